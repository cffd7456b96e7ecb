"""Proof of work for envelopes to strangers' mailboxes, made in a thread and given up at will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

from tace.e2ee.stamp import stamp_search, with_stamp
from tace.wire.objects import Envelope

T = TypeVar("T")
MAX_TARGET = 24
"""Beyond it (half a minute of work and more for each message) a node is broken or hostile."""


class InThread(Protocol):
    """Runs a function beside the reactor, or at once where there is none (simulation)."""

    def __call__(self, work: Callable[[], T], /) -> Deferred[T]:
        """What the function returns, or raises."""


class StampGivenUp(Exception):
    """The program is ending."""


class Stamper:
    """Makes stamps, one envelope at a time."""

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._stopped = False

    def stamp(self, envelope: Envelope, target: int) -> Deferred[Envelope]:
        """The same envelope with a stamp of at least ``target`` bits.

        :raises StampGivenUp: :meth:`stop` was called.
        """
        return self._in_thread(lambda: self._search(envelope, target))

    def stop(self) -> None:
        """Give up what is under way; a thread ends within milliseconds."""
        self._stopped = True

    def _search(self, envelope: Envelope, target: int) -> Envelope:
        for nonce in stamp_search(envelope.id, target):
            if nonce is not None:
                return with_stamp(envelope, target, nonce)
            if self._stopped:
                break
        raise StampGivenUp
