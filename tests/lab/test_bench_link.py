"""A link and bare TLS, measured beside each other over loopback."""

from __future__ import annotations

import random

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tace.errors import LinkLost
from tace.lab.bench.bare_tls import BareTls
from tace.lab.bench.link import run_link_bench
from tace.links.tls import LinkTls
from tace.wire.objects import ENVELOPE_BYTES


class LinkBench(TestCase):
    """Real sockets, few requests."""

    timeout = 60

    async def test_report(self) -> None:
        """Both kinds of request get through; the ratio is that of the CPU times."""
        report = await run_link_bench(reactor, 200, random.Random(1).randbytes)
        self.assertGreater(report.put.request_bytes, ENVELOPE_BYTES)
        self.assertLess(report.ping.request_bytes, 10)
        for figures in (report.put, report.ping):
            self.assertGreater(figures.requests_per_second, 0)
            ratio = figures.bare_cpu_us_per_request / figures.cpu_us_per_request
            self.assertApproximates(figures.ratio, ratio, 0.02)

    async def test_bare_sizes(self) -> None:
        """Every request is answered once, also where there are fewer than may be in flight."""
        bare = BareTls(reactor, LinkTls(0.0), 100_000, 10)
        requests = await bare.open()
        self.addCleanup(bare.close)
        heard: list[int] = []
        arrived = requests.arrived

        def listen(count: int) -> None:
            heard.append(count)
            arrived(count)

        self.patch(requests, "arrived", listen)
        await requests.exchange(3, 64)
        self.assertEqual(sum(heard), 3)
        await requests.exchange(50, 7)
        self.assertEqual(sum(heard), 53)
        self.assertLessEqual(max(heard), 7)

    async def test_bare_connection_breaks(self) -> None:
        """Whoever waits hears of it."""
        bare = BareTls(reactor, LinkTls(0.0), 10, 10)
        requests = await bare.open()
        waiting = requests.exchange(1_000_000, 64)
        await bare.close()
        await self.assertFailure(waiting, LinkLost)
