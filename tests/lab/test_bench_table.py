"""What people read of a report."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.lab.bench.latency import Quantiles
from tace.lab.bench.reference import Reference
from tace.lab.bench.report import Generators, NetworkReport
from tace.lab.bench.scrape import LoopLagFigures
from tace.lab.bench.table import network_rows

SOME = Quantiles(1.0, 2.0, 3.0, 4.0)
REPORT = NetworkReport(
    nodes=5,
    copies=3,
    clients=20,
    idle_clients=0,
    tls=False,
    pairs=10,
    depth=8,
    rate=0.0,
    seconds=10.0,
    sent=1000,
    stored=1000,
    delivered=1000,
    lost=0,
    duplicated=0,
    strange=0,
    unsent=0,
    ran_out=False,
    refused={},
    acks={"stored": 1000},
    delivered_per_second=100.0,
    store_ms=SOME,
    receive_ms=SOME,
    cpu_us_per_message=600.0,
    cpu_us_per_copy=200.0,
    cpu_cores=0.5,
    rss_bytes_per_node=70 * 2**20,
    rss_bytes_per_connection=None,
    loop_lag_ms=LoopLagFigures(1.0, 2.0),
    nodes_died=0,
    load_average=0.1,
    generators=Generators(1, 0.5, 100.0, SOME),
    reference=Reference(60.0, 3.0, 20.0, 9000),
)


class NetworkRows(SynchronousTestCase):
    """``tace bench network``."""

    def text(self, **changes: Any) -> str:
        report = msgspec.structs.replace(REPORT, **changes)
        return "\n".join(" ".join(row) for row in network_rows(report))

    def test_reference_beside(self) -> None:
        """A message's CPU in units of something that every machine can measure."""
        self.assertIn("600 us 10.0 bare P-256 verifies of 60 us", self.text())
        self.assertIn("200 us a bare sqlite3 row 20 us", self.text())

    def test_usual_run_has_no_warnings(self) -> None:
        """What went well needs no words."""
        for word in ("LIMIT", "not sent", "died", "KiB"):
            self.assertNotIn(word, self.text())

    def test_generator_is_the_limit(self) -> None:
        """A figure that says nothing of the nodes says so."""
        busy = msgspec.structs.replace(REPORT.generators, busiest_core_share=0.9)
        self.assertIn("90% of a core: IT MAY BE THE LIMIT", self.text(generators=busy))

    def test_refused(self) -> None:
        """With their words."""
        refused = {"partial": 3, "full": 1200}
        self.assertIn("1,000, 900 1,200 full, 3 partial", self.text(stored=900, refused=refused))

    def test_not_sent(self) -> None:
        """In an open loop the nodes' fault, in a closed one the bench's."""
        self.assertIn("not sent in time 7 the nodes", self.text(rate=5.0, unsent=7))
        self.assertIn("not sent in time 0 all that was sealed was sent", self.text(ran_out=True))

    def test_node_died(self) -> None:
        """Its CPU time is gone with it: no sums."""
        text = self.text(
            nodes_died=1, cpu_us_per_message=None, cpu_us_per_copy=None, cpu_cores=None
        )
        self.assertIn("nodes that died 1", text)
        self.assertNotIn("CPU of all nodes", text)

    def test_connections(self) -> None:
        """Their memory, and over what."""
        text = self.text(idle_clients=1000, rss_bytes_per_connection=46080, tls=True)
        self.assertIn("45.0 KiB 1,000 of them, over TLS", text)
