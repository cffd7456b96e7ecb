"""Comparing whole listings page by page, with peers that know no fingerprints of ranges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from tace.errors import ProtocolError
from tace.ids import Arc, NodeId
from tace.mailbox.pace import Pace
from tace.mailbox.reconcile import BEFORE_FIRST, lacking
from tace.seams import Item, ItemState, Links, Store
from tace.wire.peer import ItemField, ListItems


class PagedLists:
    """Asks for the peer's listing page by page, and looks up the same items here."""

    def __init__(self, links: Links, store: Store, pace: Pace) -> None:
        self._links = links
        self._store = store
        self._pace = pace

    async def missing(self, peer: NodeId, arcs: Sequence[Arc]) -> AsyncIterator[list[Item]]:
        for arc in arcs:
            for records in (False, True):
                # One segment at a time: within it the listing is in plain key order.
                for low, high in arc.segments():
                    segment = Arc(low or BEFORE_FIRST, high)
                    async for wanted in self._segment(peer, segment, records=records):
                        yield wanted

    async def _segment(
        self, peer: NodeId, segment: Arc, *, records: bool
    ) -> AsyncIterator[list[Item]]:
        after: Item | None = None
        while True:
            request = ListItems(
                segment.start,
                segment.end,
                records=records,
                after=None if after is None else ItemField(after.key, after.name, int(after.state)),
            )
            page = await self._links.call(peer, request)
            await self._pace.spend_messages(request, page)
            theirs = [Item(f.key, f.name, ItemState(f.state)) for f in page.items]
            _check_order(after, theirs, segment)
            if theirs:
                wanted = lacking(theirs, await self._store.held_items(theirs))
                if wanted:
                    yield wanted
            if not page.more or not theirs:
                return
            after = theirs[-1]


def _check_order(after: Item | None, items: list[Item], segment: Arc) -> None:
    """A listing must move on, or a lying peer could keep this node asking for ever."""
    last = (b"", b"") if after is None else (after.key, after.name)
    for item in items:
        if (item.key, item.name) <= last or item.key not in segment:
            raise ProtocolError("a listing that is out of order or outside its arc")
        last = (item.key, item.name)
