"""How fast replicas compare and fetch: live traffic goes first (page 2.4)."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.seams import Counters
from tace.wire.message import Message, encode


class Allowance(Protocol):
    """A token bucket of bytes (:class:`tace.limits.buckets.TokenBucket`)."""

    def take(self, now: float, amount: float) -> float:
        """0.0 when they were taken, else the seconds to wait."""


class Pace:
    """So many bytes a second for all that is compared and fetched: live traffic goes first."""

    def __init__(self, allowance: Allowance, clock: IReactorTime, counters: Counters) -> None:
        self._allowance = allowance
        self._clock = clock
        self._counters = counters

    async def spend(self, size: int) -> None:
        """So many bytes have been moved: wait until that is not too many."""
        self._counters.count("repair_bytes_total", size)
        while wait := self._allowance.take(self._clock.seconds(), size):
            await deferLater(self._clock, wait)

    async def spend_messages(self, *messages: Message) -> None:
        """The bodies of these have been sent and received."""
        await self.spend(sum(len(encode(message)) for message in messages))
