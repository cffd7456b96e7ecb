"""Bringing copies to another node, by the requests of everyday writes (page 2.4).

Used where a node hands over what it keeps: what was meant for another one, what lies with it and
not with those who keep it, and all of it when it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from tace.identity.mailbox_proof import Removal
from tace.ids import NodeId
from tace.seams import Item, ItemState, Links, Store
from tace.wire.fields import TombstoneField
from tace.wire.message import Request, encode
from tace.wire.peer import PutAnswer, PutEnvelopes, PutRecord, PutTombstones, StoreBlob

BATCH_ITEMS = 16
"""Of one call: as many as one request of envelopes takes."""
REMOVALS_PER_REQUEST = 4
BLOB_TIMEOUT_SECONDS = 15.0
KEPT_CODES = frozenset({"stored", "duplicate", "acked"})
DECLINED_CODES = frozenset({"stale-sequence", "expired", "quota"})
"""It has a newer one, it is over, or as many are there as any replica keeps for one mailbox."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of it.

    :ivar codes: of each object that was offered, the result's word.
    :ivar bytes: of the bodies that were sent.
    """

    codes: tuple[str, ...]
    bytes: int

    @property
    def refused(self) -> set[str]:
        """Why some of it is not there: words that are neither of a copy nor as good as one."""
        return set(self.codes) - KEPT_CODES - DECLINED_CODES


class Bringing:
    """Offers another node copies of what is here."""

    def __init__(self, links: Links, store: Store, clock: IReactorTime) -> None:
        self._links = links
        self._store = store
        self._clock = clock

    async def bring(self, node: NodeId, items: Sequence[Item]) -> Brought:
        """Offer it all of these (at most :data:`BATCH_ITEMS`) that are still here.

        Of an envelope that was opened meanwhile its tombstone is brought instead.

        :raises Failure: it does not answer. :raises Refusal: it takes nothing now.
        :raises StoreError: this disk fails.
        """
        now = self._clock.seconds()
        wanted = [item for item in items if item.state is not ItemState.BLOB]
        # What was opened since is a tombstone here by now, and the node lacks that too.
        wanted += [
            Item(item.key, item.name, ItemState.TOMBSTONE)
            for item in items
            if item.state is ItemState.ENVELOPE
        ]
        envelopes, tombstones, removals, records = await self._store.get_items(wanted, now)
        requests: list[Request[PutAnswer]] = []
        if envelopes:
            requests.append(PutEnvelopes(tuple(e.encoded for e in envelopes)))
        if tombstones:
            fields = tuple(TombstoneField(t.mailbox, t.encoded) for t in tombstones)
            requests.append(PutTombstones(fields))
        for few in _parts(removals):
            requests.append(PutTombstones((), tuple(r.encoded for r in few)))
        for record in records:
            requests.append(PutRecord(record.encoded))
        codes: list[str] = []
        size = 0
        for request in requests:
            answer = await self._links.call(node, request)
            codes += [result.code for result in answer.results]
            size += len(encode(request))
        for item in items:
            if item.state is ItemState.BLOB:
                blob = await self._store.get_blob(item.key, now)
                if blob is not None:
                    answer = await self._links.call(
                        node, StoreBlob(blob.encoded), timeout_seconds=BLOB_TIMEOUT_SECONDS
                    )
                    codes += [result.code for result in answer.results]
                    size += len(blob.encoded)
        return Brought(tuple(codes), size)


def _parts(removals: Sequence[Removal]) -> list[Sequence[Removal]]:
    return [
        removals[start : start + REMOVALS_PER_REQUEST]
        for start in range(0, len(removals), REMOVALS_PER_REQUEST)
    ]
