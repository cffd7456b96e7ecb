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
        self._end = 0.0
        self._times: deque[float] = deque()
        self._timer: IDelayedCall | None = None

    def keep_in_flight(self, depth: int, end: float) -> None:
        """Closed loop: ``depth`` messages under way until ``end``; the next leaves when one of them
        is stored and pushed."""
        self._depth, self._end = depth, end
        self._pump()

    def send_every(self, seconds: float, first: float, count: int) -> None:
        """Open loop: so many messages, one at ``first`` and then one every so many seconds,
        whatever comes of them."""
        self._times = deque(first + number * seconds for number in range(count))
        self._pump()

    def send_few(self, count: int) -> None:
        """Now, as many of them as the node takes at once; for warming up."""
        for _ in range(min(count, len(self._letters), self._sender.room)):
            self._send(self._now())

    @property
    def unsent(self) -> int:
        """Messages of the open loop that have not left."""
        return min(len(self._times), len(self._letters))

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
        if self._depth:
            self._fill()
        else:
            self._send_due()

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
        while self._times and self._times[0] <= now and self._letters and self._sender.room > 0:
            self._send(self._times.popleft())
        if self._timer is None and self._times and now < self._times[0]:
            self._timer = self._clock.callLater(self._times[0] - now, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._pump()

    def _send(self, intended: float) -> None:
        self._in_flight += 1
        self._sender.send(self._letters.popleft(), intended)
