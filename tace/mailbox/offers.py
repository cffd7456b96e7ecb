"""Answering offers: what of it is lacking here (docs/protocol/peer.md, sections 5.5 and 8.11).

An answer is told to whoever asks, about names that the asker brings; no name is ever told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tace.errors import TooMany
from tace.ids import Arc, NodeId
from tace.mailbox.reconcile import RETRY_AFTER_MS, before, lacking
from tace.seams import Item, ItemState, Procedure, Store, View
from tace.wire.fields import BlobName
from tace.wire.message import Message
from tace.wire.peer import Offer, OfferAnswer


class Door(Protocol):
    """Where copies come in."""

    closed: bool


class OfferAnswers:
    """Says what is lacking: one request at a time of each asker.

    :param door: while it is closed, nothing is taken under any key.
    """

    def __init__(self, *, view: View, store: Store, clock: IReactorTime, door: Door) -> None:
        self._view = view
        self._store = store
        self._clock = clock
        self._door = door
        self._asking: set[NodeId] = set()

    def procedures(self) -> dict[type[Message], Procedure]:
        return {Offer: self.answer}

    async def answer(self, peer: NodeId, message: Offer) -> OfferAnswer:
        """:raises TooMany: another one of that peer is under way. :raises StoreError: no disk."""
        if peer in self._asking:
            raise TooMany("one offer at a time", retry_after_ms=RETRY_AFTER_MS)
        self._asking.add(peer)
        try:
            return await self._looked_at(message)
        finally:
            self._asking.remove(peer)

    async def _looked_at(self, message: Offer) -> OfferAnswer:
        offered = [Item(f.key, f.name, ItemState(f.state)) for f in message.items]
        keys = [item.key for item in offered] + [name.hash for name in message.blobs]
        taken = {key: self._takes(key) for key in dict.fromkeys(keys)}
        misplaced = tuple(at for at, key in enumerate(keys) if not taken[key])
        wanted = [item for item in offered if taken[item.key]]
        absent = set(lacking(wanted, await self._store.held_items(wanted) if wanted else ()))
        found = [at for at, item in enumerate(offered) if item in absent]
        for at, name in enumerate(message.blobs, start=len(offered)):
            if taken[name.hash] and not await self._holds(name):
                found.append(at)
        records: Sequence[bytes] = ()
        if misplaced:
            records = self._view.nearer_records(keys[misplaced[0]])
        return OfferAnswer(tuple(found), misplaced, tuple(records))

    def _takes(self, key: bytes) -> bool:
        return not self._door.closed and self._view.is_candidate(self._view.own, key)

    async def _holds(self, name: BlobName) -> bool:
        arc = Arc(before(name.hash), name.hash)
        here = await self._store.list_blobs(arc, after=b"", limit=1, now=self._clock.seconds())
        return any(held.expires_hours >= name.expires_hours for held in here)
