"""Reads how late a node's event loop is, from the metrics that it exports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.web.client import Agent, readBody
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tace.observe.metrics import samples

SCRAPE_SECONDS = 10.0


class LoopLagFigures(msgspec.Struct, frozen=True):
    """Milliseconds. ``p99`` is read off a histogram's buckets, so it is coarse."""

    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class LagCounts:
    """``loop_lag_seconds`` of one or more nodes: how many calls came at most so late."""

    cumulative: Mapping[float, float] = field(default_factory=dict)
    """By the bucket's upper bound in seconds; the last one is infinity."""
    longest: float = 0.0
    """Seconds, since the last scrape."""

    @classmethod
    def parse(cls, exposition: str) -> LagCounts:
        """From Prometheus' text format; empty where the node does not export it.

        :raises ValueError: not that format.
        """
        buckets: dict[float, float] = {}
        longest = 0.0
        for name, labels, value in samples(exposition):
            if name == "tace_loop_lag_seconds_bucket":
                buckets[float(labels["le"])] = value
            elif name == "tace_loop_lag_max_seconds":
                longest = value
        return cls(buckets, longest)

    def since(self, earlier: LagCounts) -> LagCounts:
        """What was counted after ``earlier``, by the same node."""
        return LagCounts(
            {
                bound: count - earlier.cumulative.get(bound, 0.0)
                for bound, count in self.cumulative.items()
            },
            self.longest,
        )

    @staticmethod
    def together(counts: Iterable[LagCounts]) -> LagCounts:
        """Several nodes' as one."""
        total: dict[float, float] = {}
        longest = 0.0
        for each in counts:
            for bound, count in each.cumulative.items():
                total[bound] = total.get(bound, 0.0) + count
            longest = max(longest, each.longest)
        return LagCounts(total, longest)

    def figures(self) -> LoopLagFigures:
        return LoopLagFigures(round(self._quantile(0.99) * 1000, 3), round(self.longest * 1000, 3))

    def _quantile(self, share: float) -> float:
        """Seconds; between the bounds of a bucket it is taken as even, as Prometheus does."""
        bounds = sorted(self.cumulative)
        wanted = share * self.cumulative[bounds[-1]] if bounds else 0.0
        low, below = 0.0, 0.0
        for bound in bounds:
            count = self.cumulative[bound]
            if count >= wanted and count > below:
                # No more than was ever seen; the last bucket has no end.
                high = min(bound, self.longest)
                return max(low, low + (high - low) * (wanted - below) / (count - below))
            low, below = bound, count
        return 0.0


@implementer(IAgentEndpointFactory)
class _UnixEndpoints:
    """Every URI leads to one socket."""

    def __init__(self, reactor: Any, path: Path) -> None:
        self._endpoint = UNIXClientEndpoint(reactor, str(path))

    def endpointForURI(self, uri: Any) -> UNIXClientEndpoint:
        return self._endpoint


async def scrape(reactor: Any, socket: Path) -> LagCounts:
    """What the node that serves its metrics at this socket has counted.

    :raises Exception: it does not answer (Twisted's, for a connection that fails or takes long).
    """
    agent = Agent.usingEndpointFactory(reactor, _UnixEndpoints(reactor, socket))
    answer: Any = await agent.request(b"GET", b"http://node/metrics").addTimeout(
        SCRAPE_SECONDS, reactor
    )
    return LagCounts.parse((await readBody(answer)).decode())
