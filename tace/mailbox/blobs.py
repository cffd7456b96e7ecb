"""One replica of blobs: takes them in, serves them by hash, lists them (page 1.4).

Content-addressed and immutable: whoever knows the hash may have the bytes, and can see whether they
are the right ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorTime

from tace.errors import NotReplica, TooMany
from tace.ids import Arc, NodeId
from tace.mailbox.handoff import HintedHandoff
from tace.mailbox.rules import ASKERS_PER_REPLICA, AdmissionRules
from tace.seams import Counters, Item, ItemState, Procedure, Put, Store, View
from tace.wire.fields import MAX_LISTED, PutResult
from tace.wire.message import Message
from tace.wire.objects import Blob
from tace.wire.peer import BlobAnswer, BlobPage, FetchBlob, ListBlobs, PutAnswer, StoreBlob

MAX_UNDER_WAY = 64
"""Blobs on their way into the store or out of it: 4 MB."""
BUSY_MS = 500


class BlobReplica:
    """The blob procedures of a node, as a replica.

    ``partial`` is true while it pulls its arcs: then its answers to reads say so.

    :param took_in_far: called with the hash of a blob that is taken though this node may not ask
        about it, and without a hint for whom.
    """

    def __init__(
        self,
        *,
        view: View,
        store: Store,
        clock: IReactorTime,
        counters: Counters,
        rules: AdmissionRules,
        handoff: HintedHandoff,
        took_in_far: Callable[[bytes], None] = lambda key: None,
    ) -> None:
        self._view = view
        self._store = store
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._handoff = handoff
        self._took_in_far = took_in_far
        self._under_way = 0
        self.partial = True
        self.closed = False
        """True at the end of a leaving: others keep what is new."""

    def procedures(self) -> dict[type[Message], Procedure]:
        return {
            StoreBlob: self.store_blob,
            FetchBlob: self.fetch_blob,
            ListBlobs: self.list_blobs,
        }

    async def store_blob(self, peer: NodeId, message: StoreBlob) -> PutAnswer:
        self._view.learn(message.records)
        blob = Blob.parse(message.blob)
        if self.closed or not self._view.is_candidate(self._view.own, blob.hash):
            return PutAnswer((PutResult("redirect"),), self._view.nearer_records(blob.hash))
        if not self._handoff.allows(message.instead_of, blob.hash):
            return PutAnswer((PutResult(NotReplica.code),))
        word = self._rules.blob_refusal(blob, self._clock.seconds())
        if word is None:
            if not message.instead_of and not self._view.is_candidate(
                self._view.own, blob.hash, ASKERS_PER_REPLICA
            ):
                self._took_in_far(blob.hash)
            with self._hands():
                put = await self.keep(blob)
                if put.durable:
                    item = Item(blob.hash, blob.hash, ItemState.BLOB)
                    await self._handoff.remember(message.instead_of, [item])
                word = put.code
        return PutAnswer((PutResult(word),))

    async def keep(self, blob: Blob) -> Put:
        """Make a verified blob durable."""
        (put,) = await self._store.put_blobs([blob], self._clock.seconds())
        self._counters.count("blobs_total", result=put.code)
        return put

    async def fetch_blob(self, peer: NodeId, message: FetchBlob) -> BlobAnswer:
        with self._hands():
            blob = await self._store.get_blob(message.hash, self._clock.seconds())
        return BlobAnswer(b"" if blob is None else blob.encoded, partial=self.partial)

    async def list_blobs(self, peer: NodeId, message: ListBlobs) -> BlobPage:
        arc = Arc(message.start, message.end)
        if not self._view.may_ask_about(peer, arc):
            raise NotReplica("that arc is not yours to reconcile")
        # One more than a page holds tells whether another page follows.
        names = await self._store.list_blobs(
            arc, after=message.after, limit=MAX_LISTED + 1, now=self._clock.seconds()
        )
        return BlobPage(tuple(names[:MAX_LISTED]), more=len(names) > MAX_LISTED)

    @contextmanager
    def _hands(self) -> Iterator[None]:
        """:raises TooMany: they are full."""
        if self._under_way >= MAX_UNDER_WAY:
            raise TooMany("this node has its hands full of blobs", retry_after_ms=BUSY_MS)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
