"""What a run of ``tace bench network`` found: the JSON object and the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from tace.lab.bench.latency import Latencies, Quantiles
from tace.lab.bench.orders import Outcome
from tace.lab.bench.reference import Reference
from tace.lab.bench.scrape import LoopLagFigures


class Generators(msgspec.Struct, frozen=True):
    """What made the load. Where one is busy all the time, it is the limit and not the nodes."""

    processes: int
    busiest_core_share: float
    """CPU time of the busiest of them by the clock: 1.0 is a whole core."""
    cpu_us_per_message: float
    loop_lag_ms: Quantiles


class NetworkReport(msgspec.Struct, frozen=True):
    """``tace bench network --json``. Documented in docs/performance.md."""

    nodes: int
    copies: int
    clients: int
    idle_clients: int
    tls: bool
    pairs: int
    depth: int
    rate: float
    seconds: float
    sent: int
    stored: int
    delivered: int
    lost: int
    duplicated: int
    strange: int
    unsent: int
    ran_out: bool
    refused: dict[str, int]
    acks: dict[str, int]
    delivered_per_second: float
    store_ms: Quantiles
    receive_ms: Quantiles
    cpu_us_per_message: float | None
    cpu_us_per_copy: float | None
    cpu_cores: float | None
    rss_bytes_per_node: int
    rss_bytes_per_connection: int | None
    loop_lag_ms: LoopLagFigures
    nodes_died: int
    load_average: float
    generators: Generators
    reference: Reference


class Totals:
    """The books of all generators as one."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = outcomes
        self.refused: Counter[str] = Counter()
        self.acks: Counter[str] = Counter()
        self.store, self.receive, self.lag = Latencies(), Latencies(), Latencies()
        for outcome in outcomes:
            self.refused.update(outcome.refused)
            self.acks.update(outcome.acks)
            self.store.add_all(outcome.store, outcome.store_longest)
            self.receive.add_all(outcome.receive, outcome.receive_longest)
            self.lag.add_all(outcome.lag, outcome.lag_longest)
        self.sent = sum(outcome.sent for outcome in outcomes)
        self.stored = sum(outcome.stored for outcome in outcomes)
        self.delivered = sum(outcome.delivered for outcome in outcomes)
        self.lost = sum(outcome.lost for outcome in outcomes)
        self.duplicated = sum(outcome.duplicated for outcome in outcomes)
        self.strange = sum(outcome.strange for outcome in outcomes)
        self.unsent = sum(outcome.unsent for outcome in outcomes)
        self.exhausted = any(outcome.exhausted for outcome in outcomes)

    def delivered_per_second(self, start: float) -> float:
        """From the start of the load to the last delivery."""
        last = max((outcome.last_delivery for outcome in self.outcomes), default=0.0)
        return round(self.delivered / (last - start), 1) if last > start else 0.0

    def generators(self, start: float) -> Generators:
        shares = [o.cpu_seconds / (o.settled_at - start) for o in self.outcomes]
        cpu = sum(outcome.cpu_seconds for outcome in self.outcomes)
        return Generators(
            processes=len(self.outcomes),
            busiest_core_share=round(max(shares, default=0.0), 2),
            cpu_us_per_message=round(cpu / self.delivered * 1e6, 1) if self.delivered else 0.0,
            loop_lag_ms=self.lag.quantiles(),
        )
