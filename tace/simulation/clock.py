"""Virtual time: a heap of calls, run one after the other in the order they are due."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

START_SECONDS = 1_800_000_000.0
"""When virtual time begins, in unix seconds: on a whole hour, as expiries are."""


@implementer(IDelayedCall)
class VirtualCall:
    """A call that is due at some time.

    Its place in the heap is fixed when it is made and when it is hastened; a call that was delayed
    or cancelled leaves its old place behind, which is passed over when its time comes.
    """

    __slots__ = (
        *("_clock", "arguments", "at", "call", "called", "cancelled", "keywords", "number"),
        "waits_until",
    )

    def __init__(
        self,
        clock: VirtualClock,
        at: float,
        number: int,
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> None:
        self._clock = clock
        self.at = at
        self.number = number
        self.call = call
        self.arguments = arguments
        self.keywords = keywords
        self.called = False
        self.cancelled = False
        self.waits_until: Callable[[], float | None] | None = None
        """Asked when it is due: till when nobody is there to run it, if so. Until then it can be
        cancelled, as any call that was not run yet."""

    def getTime(self) -> float:
        """When it is due, in seconds of its clock."""
        return self.at

    def active(self) -> bool:
        return not (self.called or self.cancelled)

    def cancel(self) -> None:
        """:raises AlreadyCancelled: :raises AlreadyCalled:"""
        self._must_be_active()
        self.cancelled = True
        self._clock.let_go(self)

    def reset(self, secondsFromNow: float) -> None:
        """Have it called so many seconds from now instead.

        :raises AlreadyCancelled: :raises AlreadyCalled:
        """
        self._must_be_active()
        self._clock.move(self, self._clock.seconds() + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """Have it called so much later than it was due (earlier where that is negative).

        :raises AlreadyCancelled: :raises AlreadyCalled:
        """
        self._must_be_active()
        self._clock.move(self, self.at + secondsLater)

    def _must_be_active(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled
        if self.called:
            raise AlreadyCalled

    def __repr__(self) -> str:
        return f"<VirtualCall of {getattr(self.call, '__qualname__', self.call)!s} at {self.at}>"


@implementer(IReactorTime)
class VirtualClock:
    """Time that passes only when it is told to, from one deadline to the next.

    Calls that are due at the same moment are run in the order in which they were given that
    moment. A call that is put in for now, by a call that runs now, is run before time moves on.
    What a call raises ends the run: in a simulation it is a mistake in the program.

    (``twisted.internet.task.Clock`` sorts all its calls with every new one: a millisecond each
    when 10,000 are pending. Here it is a push on a heap.)
    """

    def __init__(self, start_seconds: float = START_SECONDS) -> None:
        self._now = start_seconds
        self._heap: list[tuple[float, int, VirtualCall]] = []
        self._numbers = 0
        self._abandoned = 0
        self.calls_run = 0
        """How many calls have been run so far."""

    # -- IReactorTime ----------------------------------------------------------------------------

    def seconds(self) -> float:
        """Virtual unix seconds."""
        return self._now

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kw: object,
    ) -> VirtualCall:
        """:raises ValueError: a delay below zero."""
        if delay < 0:
            raise ValueError(f"a call cannot be due {-delay} s ago")
        self._numbers += 1
        call = VirtualCall(self, self._now + delay, self._numbers, callable, args, kw)
        heappush(self._heap, (call.at, call.number, call))
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Every call that is still to be run, in the order in which they will be."""
        return [
            call
            for at, number, call in sorted(self._heap, key=lambda entry: entry[:2])
            if call.active() and (call.at, call.number) == (at, number)
        ]

    # -- what calls ask of their clock -----------------------------------------------------------

    def move(self, call: VirtualCall, at: float) -> None:
        """Give a call another place in the order, the last one of its moment."""
        self._numbers += 1
        call.at = max(at, self._now)
        call.number = self._numbers
        heappush(self._heap, (call.at, call.number, call))
        self.let_go(call)

    def let_go(self, call: VirtualCall) -> None:
        """A place in the heap is not good any more; now and then all of these are swept out."""
        self._abandoned += 1
        if self._abandoned > 1024 and self._abandoned * 2 > len(self._heap):
            self._heap = [
                entry for entry in self._heap if entry[2].active() and entry[1] == entry[2].number
            ]
            # A sorted list is a heap.
            self._heap.sort(key=lambda entry: entry[:2])
            self._abandoned = 0

    # -- running ---------------------------------------------------------------------------------

    def run_until(
        self,
        end: float | Callable[[], bool],
        limit_seconds: float = 3600.0,
    ) -> bool:
        """Let time pass until a moment (everything due by then is run), or until something holds.

        :param end: unix seconds, or a condition that is asked after every call.
        :param limit_seconds: how long a condition is waited for.
        :return: whether the moment was reached, or the condition held.
        """
        if callable(end):
            return self._run_until_true(end, self._now + limit_seconds)
        while self._run_next(end):
            pass
        self._now = max(self._now, end)
        return True

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(self._now + seconds)

    def _run_until_true(self, condition: Callable[[], bool], limit: float) -> bool:
        while not condition():
            if not self._run_next(limit):
                self._now = max(self._now, limit)
                return condition()
        return True

    def _run_next(self, limit: float) -> bool:
        """Run the call that is due first, unless that is after ``limit``."""
        heap = self._heap
        while heap:
            at, number, call = heap[0]
            if call.number != number or call.cancelled or call.called:
                heappop(heap)
                self._abandoned = max(0, self._abandoned - 1)
                continue
            if at > limit:
                return False
            heappop(heap)
            self._now = at
            if call.waits_until is not None and (until := call.waits_until()) is not None:
                self._numbers += 1
                call.at, call.number = until, self._numbers
                heappush(heap, (call.at, call.number, call))
                continue
            call.called = True
            self.calls_run += 1
            call.call(*call.arguments, **call.keywords)
            return True
        return False
