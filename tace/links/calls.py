"""Requests that wait for their answers, with one timer for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.errors import TaceError, TimedOut
from tace.wire.message import Message


@dataclass(slots=True, eq=False)
class Call:
    """One request and whoever waits for its answer. It may pass from one link to another."""

    request: Message
    deadline: float
    """When waiting ends, by the clock of the links."""
    placed_at: float | None = None
    """When it was sent, where its round trip is to be measured: it asks for little, and is answered
    from memory or with one write."""
    answer: Deferred[Any] = field(default_factory=Deferred)

    def succeed(self, answer: Message) -> None:
        if not self.answer.called:
            self.answer.callback(answer)

    def fail(self, error: TaceError) -> None:
        if not self.answer.called:
            self.answer.errback(error)


class PendingCalls:
    """Calls by number, each until its answer or its deadline.

    One timer stands at the earliest deadline seen; most calls are answered long before it fires,
    so that a call costs no timer of its own.

    :param timed_out: told after some calls have timed out.
    """

    def __init__(self, clock: IReactorTime, timed_out: Callable[[], None]) -> None:
        self._clock = clock
        self._timed_out = timed_out
        self._calls: dict[int, Call] = {}
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, number: int, call: Call) -> None:
        self._calls[number] = call
        if self._timer is None:
            self._schedule(call.deadline)
        elif call.deadline < self._timer_at:
            self._timer.cancel()
            self._schedule(call.deadline)

    def take(self, number: int) -> Call | None:
        """The call, no longer pending; None when it has timed out."""
        return self._calls.pop(number, None)

    def take_all(self) -> list[Call]:
        """Every call, the oldest first; nothing is pending then."""
        calls = list(self._calls.values())
        self._calls.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return calls

    def _schedule(self, deadline: float) -> None:
        self._timer_at = deadline
        self._timer = self._clock.callLater(
            max(0.0, deadline - self._clock.seconds()), self._expire
        )

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        late = [number for number, call in self._calls.items() if call.deadline <= now]
        expired = [self._calls.pop(number) for number in late]
        if self._calls:
            self._schedule(min(call.deadline for call in self._calls.values()))
        for call in expired:
            call.fail(TimedOut("no answer in time"))
        if expired:
            self._timed_out()
