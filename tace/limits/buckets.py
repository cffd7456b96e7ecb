"""Token buckets: so much a second over the long run, and so much at once.

A bucket holds ``burst`` tokens when it is full and is filled at ``rate_per_second``. What is asked
for is taken from it; what is not there has to be waited for (RFC 2697 describes the same meter).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

ROUNDING_SECONDS = 1e-6
"""What is lacking by no more than this time brings is granted: unix time in a float is exact to
some 0.2 us only, and whoever waits as long as it was told must not be told again."""


class TokenBucket:
    """One asker's allowance.

    :param rate_per_second: tokens that come back each second; more than 0.
    :param burst: tokens a bucket that was left alone holds; more than 0.
    """

    __slots__ = ("_burst", "_rate", "_seen", "_tokens")

    def __init__(self, rate_per_second: float, burst: float) -> None:
        if not (rate_per_second > 0 and burst > 0):
            raise ValueError("a bucket needs a rate and a burst above 0")
        self._rate = rate_per_second
        self._burst = burst
        self._tokens = burst
        self._seen: float | None = None

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take ``amount`` tokens if they are there.

        What is larger than the whole burst is granted from a full bucket and leaves it in debt:
        nothing is refused for ever, and the rate holds all the same.

        :param now: seconds on any clock. One that goes back gives nothing and takes nothing.
        :return: 0.0 when they were taken; else the seconds to wait, and nothing was taken.
        """
        if now != self._seen:
            self._fill(now)
        if amount <= self._tokens:
            self._tokens -= amount
            return 0.0
        lacking = min(amount, self._burst) - self._tokens
        if lacking <= ROUNDING_SECONDS * self._rate:
            self._tokens -= amount
            return 0.0
        return lacking / self._rate

    def is_full(self, now: float) -> bool:
        """Is it as good as a new one?"""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        seen = self._seen
        if seen is not None and now > seen:
            tokens = self._tokens + (now - seen) * self._rate
            self._tokens = tokens if tokens < self._burst else self._burst
        self._seen = now


class BucketTable(Generic[K]):
    """A token bucket for each key (an address group, a mailbox), in bounded memory.

    When more keys are at work than the table holds, the one that asked longest ago is forgotten
    and finds a full bucket when it comes back. Whoever commands more than ``max_keys`` keys can
    therefore have a burst for each; ``max_keys`` says how many that takes.

    :param max_keys: at least 1. A key costs some 200 bytes.
    """

    def __init__(self, rate_per_second: float, burst: float, max_keys: int) -> None:
        if max_keys < 1:
            raise ValueError("a table has room for one key at least")
        TokenBucket(rate_per_second, burst)  # A bad rate is an error now, not at the first key.
        self._rate = rate_per_second
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: dict[K, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: K, now: float, amount: float = 1.0) -> float:
        """As :meth:`TokenBucket.take`, from the bucket of ``key``."""
        return self.bucket(key).take(now, amount)

    def bucket(self, key: K) -> TokenBucket:
        """The bucket of ``key``. Whoever holds on to it has it also when the table forgets it."""
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            bucket = TokenBucket(self._rate, self._burst)
            while len(self._buckets) >= self._max_keys:
                del self._buckets[next(iter(self._buckets))]
        # The dict's order is that of last use.
        self._buckets[key] = bucket
        return bucket

    def forget_full(self, now: float) -> None:
        """Drop every bucket that is full again: it is as good as none."""
        for key in [key for key, bucket in self._buckets.items() if bucket.is_full(now)]:
            del self._buckets[key]
