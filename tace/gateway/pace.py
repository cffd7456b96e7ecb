"""One client's commands at the speed it is allowed: each waits for its turn, or is refused."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.errors import RateLimited
from tace.gateway.rates import Kind, Rates, cost_of
from tace.ids import MailboxId
from tace.wire.client import Ack
from tace.wire.message import Message

PATIENCE_SECONDS = 3.0
"""A small command that is too fast waits for its turn so long; beyond that it is refused."""


class Pace:
    """What one connection may do, and when.

    :param group: the address group it is counted in; empty for one that is not.
    """

    __slots__ = ("_allowance", "_clock", "_rates")

    def __init__(self, rates: Rates, group: str, clock: IReactorTime) -> None:
        self._rates = rates
        self._allowance = rates.of_connection(group)
        self._clock = clock

    def wait_of_command(self) -> float:
        """For any command whatever: 0.0 when it may be done, else the seconds until one may."""
        return self._allowance.wait(Kind.COMMANDS, self._clock.seconds())

    async def pay(self, message: Message) -> None:
        """Wait for the command's turn.

        What is large is refused at once: it would be kept in memory meanwhile.

        :raises RateLimited: the client is too fast.
        """
        cost = cost_of(message)
        if cost is None:
            return
        now = self._clock.seconds()
        end = now + (PATIENCE_SECONDS if cost.small else 0.0)
        wait = self._allowance.wait(cost.kind, now, cost.amount)
        if wait:
            take = functools.partial(self._allowance.wait, cost.kind, amount=cost.amount)
            await self._turn(wait, take, end)
        if cost.kind is Kind.ACKS and self._rates.counts_acks():
            mailboxes = [field.mailbox for field in cast(Ack, message).tombstones]
            await self._pay_for_mailboxes(mailboxes, end)

    async def _pay_for_mailboxes(self, mailboxes: Sequence[MailboxId], end: float) -> None:
        for mailbox, count in Counter(mailboxes).items():
            wait = self._rates.wait_of_mailbox(mailbox, self._clock.seconds(), count)
            if wait:
                take = functools.partial(self._rates.wait_of_mailbox, mailbox, amount=count)
                await self._turn(wait, take, end)

    async def _turn(self, wait: float, take: Callable[[float], float], end: float) -> None:
        while wait:
            if self._clock.seconds() + wait > end:
                raise too_fast(wait)
            await deferLater(self._clock, wait)
            wait = take(self._clock.seconds())


def too_fast(wait_seconds: float) -> RateLimited:
    """The refusal of what would have to wait so long."""
    return RateLimited("slower", retry_after_ms=int(wait_seconds * 1000) + 1)
