"""When a client's connection is read: not while it leaves answers unread, nor while it is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

STALLED_SECONDS = 60.0
"""A client that leaves what it is sent unread for so long is cut off."""


class Pausable(Protocol):
    """The reading side of a transport."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...


@implementer(IPushProducer)
class ReadingPace:
    """Nothing is read from a client that does not read: what it is owed would pile up here.

    :param stalled: called when it has read nothing for ``STALLED_SECONDS``.
    """

    __slots__ = ("_clock", "_held", "_stalled", "_transport", "_unread")

    def __init__(
        self, transport: Pausable, clock: IReactorTime, stalled: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._stalled = stalled
        self._unread: IDelayedCall | None = None
        self._held: IDelayedCall | None = None

    def hold(self, seconds: float) -> None:
        """Read nothing for so long, or for as long as it is held already."""
        if self._held is None:
            self._held = self._clock.callLater(seconds, self._let_go)
            self._transport.pauseProducing()

    def _let_go(self) -> None:
        self._held = None
        if self._unread is None:
            self._transport.resumeProducing()

    # -- IPushProducer: the transport says whether the client reads ------------------------------

    def pauseProducing(self) -> None:
        if self._unread is None:
            self._unread = self._clock.callLater(STALLED_SECONDS, self._cut_off)
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if self._held is None:
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection has gone."""
        for timer in (self._unread, self._held):
            if timer is not None and timer.active():
                timer.cancel()
        self._unread = self._held = None

    def _cut_off(self) -> None:
        self._unread = None
        self._stalled()
