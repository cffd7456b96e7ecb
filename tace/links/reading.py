"""Reading from a peer only as fast as it reads: back-pressure from our answers to its requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

MAX_ANSWERS_WAITING_BYTES = 256 * 1024
"""When so much waits to be sent to a peer, no more of its requests are read until half has gone:
the peer feels TCP push back, and this node keeps no answers for it."""
STALLED_SECONDS = 30.0
"""A peer that has taken nothing of what waits for it for this long, read from or not, is cut off:
it holds memory and will not let go. (Twisted's transport gathers some 128 KiB and asks for more
when all of it has gone; so 5 kB a second is enough.)"""


MAX_SLOW_READERS = 32
"""For so many peers at one time more than :data:`MAX_ANSWERS_WAITING_BYTES` may wait: those that
must be read from, with up to half of ``max_unsent_bytes`` each. Without that, all links together
could hold gigabytes."""


class Marks(NamedTuple):
    """How many bytes may wait for a peer before what happens.

    ``relief``: no more than this, and all is well again. ``shut``: its requests are not read, where
    that can be. ``refuse``: its requests are refused, where they must be read.
    """

    relief: int
    shut: int
    refuse: int

    @classmethod
    def below(cls, max_unsent_bytes: int) -> Marks:
        """The marks under the bound at which a peer is cut off."""
        refuse = max_unsent_bytes // 2
        shut = min(MAX_ANSWERS_WAITING_BYTES, refuse)
        return cls(shut // 2, shut, refuse)


class SlowReaders:
    """The links of a node for which much waits although they are read from."""

    def __init__(self, most: int = MAX_SLOW_READERS) -> None:
        self._most = most
        self._inside: set[ReadingGate] = set()

    def enter(self, gate: ReadingGate) -> bool:
        """Is there a place for one more, or has it one?"""
        if gate not in self._inside and len(self._inside) >= self._most:
            return False
        self._inside.add(gate)
        return True

    def leave(self, gate: ReadingGate) -> None:
        self._inside.discard(gate)


class ReadingGate:
    """Whether a link reads.

    A link stops reading only when a request arrives and **no request of its own is under way**, and
    reads again as soon as it asks something. So never do both sides of a link wait for the other to
    read: the one that stopped has a request of the other in hand, and the other, which has one
    under way, does not stop. (Besides that it may :meth:`rest`, for a short time that ends by
    itself.)

    :param transport: what is paused.
    :param handed_over: bytes that the transport has taken so far.
    :param stalled: told once when the peer has taken nothing for :data:`STALLED_SECONDS`.
    :param rested: told after a rest: what was read and left is to be dealt with.
    :param slow_readers: those of the whole node.
    """

    def __init__(
        self,
        clock: IReactorTime,
        transport: Any,
        handed_over: Callable[[], int],
        stalled: Callable[[], None],
        rested: Callable[[], None],
        slow_readers: SlowReaders,
    ) -> None:
        self._clock = clock
        self._transport = transport
        self._handed_over = handed_over
        self._stalled = stalled
        self._rested = rested
        self._slow_readers = slow_readers
        self._timer: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None
        self._seen = 0
        self._held = False
        self.is_shut = False

    def shut(self) -> None:
        """Read no more for now: too much waits for the peer."""
        self._held = True
        self.watch()
        self._set()

    def open(self) -> None:
        """Read again, after a rest if there is one; what waits for the peer still waits."""
        self._held = False
        self._set()

    def rest(self, seconds: float) -> None:
        """Do not read for so long."""
        if self._rest is None:
            self._rest = self._clock.callLater(seconds, self._rest_is_over)
            self._set()

    def watch(self) -> None:
        """Much waits for the peer: from now on it must take some of it, read from or not."""
        if self._timer is None:
            self._watch()

    def may_lag(self) -> bool:
        """Much waits and it is read from all the same. May more be made to wait?"""
        return self._slow_readers.enter(self)

    def relieved(self) -> None:
        """Little waits any more."""
        self._slow_readers.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.open()

    def end(self) -> None:
        """The connection is being closed: whatever still comes is read, and dropped."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self.relieved()

    def _rest_is_over(self) -> None:
        self._rest = None
        self._set()
        if not self.is_shut:
            self._rested()

    def _set(self) -> None:
        shut = self._held or self._rest is not None
        if shut != self.is_shut:
            self.is_shut = shut
            if shut:
                self._transport.pauseProducing()
            else:
                self._transport.resumeProducing()

    def _watch(self) -> None:
        self._seen = self._handed_over()
        self._timer = self._clock.callLater(STALLED_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._handed_over() == self._seen:
            self._stalled()
        else:
            self._watch()
