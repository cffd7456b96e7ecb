"""Proof of work for envelopes to strangers' mailboxes: how much, and making it in a thread that
is given up at will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

from tace.client.connection import Connection
from tace.client.errors import TooMuchWork
from tace.e2ee.stamp import stamp_search, with_stamp
from tace.ids import KIND_REQUESTS, MessageId, NodeId
from tace.wire.client import SendResult
from tace.wire.objects import MAX_STAMP_TARGET, Envelope

T = TypeVar("T")
MAX_WANTED = 1024
"""Of how many mailboxes it is remembered what they want."""


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
        stamping = self.nonce(envelope.id, target)
        return stamping.addCallback(lambda nonce: with_stamp(envelope, target, nonce))

    def nonce(self, name: bytes, target: int) -> Deferred[int]:
        """What makes a stamp of ``target`` bits over a message's id or a blob's hash.

        :raises StampGivenUp: :meth:`stop` was called.
        """
        return self._in_thread(lambda: self._search(name, target))

    def stop(self) -> None:
        """Give up what is under way; a thread ends within milliseconds."""
        self._stopped = True

    def _search(self, name: bytes, target: int) -> int:
        for nonce in stamp_search(MessageId(name), target):
            if nonce is not None:
                return nonce
            if self._stopped:
                break
        raise StampGivenUp


def wanted_bits(detail: str) -> int | None:
    """How many bits a ``stamp-required`` asks for; None where it does not say."""
    bits = detail.rpartition(" ")[2]
    return int(bits) if bits.isdecimal() and len(bits) <= len(str(MAX_STAMP_TARGET)) else None


class Stamps:
    """Which stamp an envelope needs at a node, and the envelope with it."""

    def __init__(self, stamper: Stamper) -> None:
        self._stamper = stamper
        self._wanted: dict[tuple[NodeId, bytes], int] = {}

    async def stamped(self, connection: Connection, envelope: Envelope) -> Envelope:
        """The envelope with the stamp that its mailbox asks for; itself where that is fine.

        :raises TooMuchWork: the node wants more than any message is worth.
        """
        challenge = connection.challenge
        wanted = self._wanted.get((challenge.node_id, envelope.mailbox), 0)
        target = max(challenge.requests_stamp_bits, wanted)
        if envelope.kind != KIND_REQUESTS or envelope.stamped_for(target):
            return envelope
        if target > MAX_STAMP_TARGET:
            raise TooMuchWork(f"{connection.address} wants stamps of {target} bits")
        return await self._stamper.stamp(envelope, target)

    def refused(self, node: NodeId, envelope: Envelope, result: SendResult) -> bool:
        """Remember how much work a mailbox wants at that node; False where it was done already,
        or is too much."""
        bits = wanted_bits(result.detail)
        if bits is None or not envelope.stamp_target < bits <= MAX_STAMP_TARGET:
            return False
        if len(self._wanted) >= MAX_WANTED:
            self._wanted.clear()
        self._wanted[node, envelope.mailbox] = bits
        return True
