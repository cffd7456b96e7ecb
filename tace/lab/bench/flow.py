"""One flow of messages, from one sender to one receiver, at a pace."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.lab.bench.letters import Letter


class Outgoing(Protocol):
    """What a flow needs of its :class:`~tace.lab.bench.clients.Sender`."""

    @property
    def room(self) -> int:
        """How many requests the node takes now."""

    @property
    def lost(self) -> bool:
        """The connection is over."""

    def send(self, letter: Letter, intended: float) -> None:
        """Send it now, though it was meant to leave at ``intended``."""


class Flow:
    """Hands letters to a sender: some always in flight, or at fixed times.

    :param letters: what there is to send.
    :param now: seconds of a monotonic clock; all times are of it.
    """

    def __init__(
        self,
        letters: Iterable[Letter],
        sender: Outgoing,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._letters = deque(letters)
        self._sender = sender
        self._clock = clock
        self._now = now
        self._in_flight = 0
        self._depth = 0
        self._next = 0.0
        self._every = 0.0
        self._end = 0.0
        self._timer: IDelayedCall | None = None

    def keep_in_flight(self, depth: int, end: float) -> None:
        """Closed loop: ``depth`` messages under way until ``end``; the next leaves when one of them
        is stored and pushed."""
        self._depth, self._end = depth, end
        self._pump()

    def send_every(self, seconds: float, first: float, end: float) -> None:
        """Open loop: one message at ``first`` and then every so many seconds, whatever comes of
        them, as long as that time is before ``end``."""
        self._next, self._every, self._end = first, seconds, end
        self._pump()

    def send_few(self, count: int) -> None:
        """Now, as many of them as the node takes at once; for warming up."""
        for _ in range(min(count, len(self._letters), self._sender.room)):
            self._send(self._now())

    @property
    def unsent(self) -> int:
        """Messages that should have left before the end and have not."""
        if not self._every:
            return 0
        count = 0
        intended = self._next
        while intended < self._end and count < len(self._letters):
            count += 1
            intended += self._every
        return count

    @property
    def exhausted(self) -> bool:
        """There was too little to send."""
        return not self._letters

    def freed(self) -> None:
        """A message that was in flight is over."""
        self._in_flight -= 1
        self._pump()

    def answered(self, over: bool) -> None:
        """A sending was answered; ``over``: its message is no longer in flight."""
        if over:
            self._in_flight -= 1
        self._pump()

    def _pump(self) -> None:
        if self._every:
            self._send_due()
        else:
            self._fill()

    def _fill(self) -> None:
        while (
            self._in_flight < self._depth
            and self._letters
            and self._sender.room > 0
            and not self._sender.lost
            and (now := self._now()) < self._end
        ):
            self._send(now)

    def _send_due(self) -> None:
        now = self._now()
        while (
            self._next < self._end and self._next <= now and self._letters and self._sender.room > 0
        ):
            intended, self._next = self._next, self._next + self._every
            self._send(intended)
        if self._timer is None and now < self._next < self._end:
            self._timer = self._clock.callLater(self._next - now, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._pump()

    def _send(self, intended: float) -> None:
        self._in_flight += 1
        self._sender.send(self._letters.popleft(), intended)
