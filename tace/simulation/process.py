"""One life of a simulated node: all that its program does goes through here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from tace.simulation.clock import VirtualCall, VirtualClock


@implementer(IReactorTime)
class Process:
    """A program from its start to its end, with its own clock.

    A killed program does nothing any more: none of its timers goes off, nothing that arrives
    reaches it. Nothing of it is told that it ends, as with ``kill -9``.

    :param clock: the time of the world.
    :param ran: told after each turn of the program.
    :param seconds_off: how far this machine's clock is ahead.
    """

    def __init__(
        self,
        clock: VirtualClock,
        ran: Callable[[], None] = lambda: None,
        *,
        seconds_off: float = 0.0,
    ) -> None:
        self._clock = clock
        self._ran = ran
        self._seconds_off = seconds_off
        self._held: deque[Callable[[], None]] | None = None
        """While it stalls: what would have been its turns."""
        self._stalls_until: float | None = None
        self.alive = True

    def kill(self) -> None:
        """Nothing of it happens from now on."""
        self.alive = False

    def turn(self, call: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Have the program do something, if it still runs: every way in leads through here."""
        if self.alive:
            if self._held is not None:
                self._held.append(lambda: self.turn(call, *args, **kw))
                return
            call(*args, **kw)
            self._ran()

    def stall(self, seconds: float) -> None:
        """Its loop stands still for so long, as under load or SIGSTOP; then it makes up for it.

        What comes meanwhile waits in its order; the windows of its connections bound it. A stall
        within a stall is a part of it.
        """
        if self.alive and self._held is None:
            self._held = deque()
            self._stalls_until = self._clock.seconds() + seconds
            self._clock.callLater(seconds, self._go_on)

    @property
    def stalled(self) -> bool:
        """Does its loop stand still just now?"""
        return self._held is not None

    def _go_on(self) -> None:
        self._stalls_until = None
        held, self._held = self._held, None
        for turn in held or ():
            turn()

    # -- IReactorTime ----------------------------------------------------------------------------

    def seconds(self) -> float:
        """Unix seconds, as this machine has them."""
        return self._clock.seconds() + self._seconds_off

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        if not self.alive:
            # What is left of it is cleared away whenever Python likes, which must change nothing.
            return VirtualCall(self._clock, self.seconds() + delay, 0, callable, args, kw)
        call = self._clock.callLater(delay, self.turn, callable, *args, **kw)
        # A timer that comes due while the loop stands still was not called: until the loop goes
        # on, what it finds there first may cancel it.
        call.waits_until = self._till_it_goes_on
        return call if not self._seconds_off else _OwnTime(call, self._seconds_off)

    def _till_it_goes_on(self) -> float | None:
        return self._stalls_until if self.alive else None

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Those of this program only."""
        return [
            call
            for call in self._clock.getDelayedCalls()
            if isinstance(call, VirtualCall) and call.call == self.turn
        ]


@implementer(IDelayedCall)
class _OwnTime:
    """A delayed call that tells its time by a clock that is off."""

    __slots__ = ("_call", "_seconds_off")

    def __init__(self, call: VirtualCall, seconds_off: float) -> None:
        self._call = call
        self._seconds_off = seconds_off

    def getTime(self) -> float:
        return self._call.getTime() + self._seconds_off

    def active(self) -> bool:
        return self._call.active()

    def cancel(self) -> None:
        self._call.cancel()

    def reset(self, secondsFromNow: float) -> None:
        self._call.reset(secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        self._call.delay(secondsLater)
