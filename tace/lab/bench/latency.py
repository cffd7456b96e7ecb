"""Durations in buckets of one percent: a long run takes no more room than a short one."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, exp, floor, log

import msgspec

RELATIVE_WIDTH = 0.01
_LOG_WIDTH = log(1 + RELATIVE_WIDTH)
_LEAST_SECONDS = 1e-6
"""What is shorter counts as this."""


class Quantiles(msgspec.Struct, frozen=True):
    """Milliseconds. All 0 where nothing was measured."""

    p50: float
    p95: float
    p99: float
    max: float


class Latencies:
    """A histogram with buckets that grow by one percent (as HdrHistogram's do).

    From a microsecond to an hour there are about 2,200 of them, so a quantile is right to half a
    percent; the maximum is exact.
    """

    def __init__(self) -> None:
        self.count = 0
        self._buckets: dict[int, int] = {}
        self._longest = 0.0

    def add(self, seconds: float) -> None:
        bucket = floor(log(max(seconds, _LEAST_SECONDS)) / _LOG_WIDTH)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self._longest = max(self._longest, seconds)

    def add_all(self, buckets: Mapping[int, int], longest: float) -> None:
        """What another one has counted: its :attr:`buckets` and :attr:`longest`."""
        for bucket, count in buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
            self.count += count
        self._longest = max(self._longest, longest)

    @property
    def buckets(self) -> dict[int, int]:
        return dict(self._buckets)

    @property
    def longest(self) -> float:
        """Seconds."""
        return self._longest

    def quantile(self, share: float) -> float:
        """Seconds within which at least this share (0 to 1) lies; 0.0 of nothing."""
        wanted = max(1, ceil(share * self.count))
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= wanted:
                return min(exp((bucket + 0.5) * _LOG_WIDTH), self._longest)
        return 0.0

    def quantiles(self) -> Quantiles:
        p50, p95, p99 = (_milliseconds(self.quantile(share)) for share in (0.5, 0.95, 0.99))
        return Quantiles(p50, p95, p99, _milliseconds(self._longest))


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
