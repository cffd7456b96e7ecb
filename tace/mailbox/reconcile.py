"""Finding out what another replica holds that this one lacks.

:class:`Reconciliation` is the interface; :class:`PagedLists` compares whole listings page by page.
Range-based reconciliation takes its place behind the same interface.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tace.errors import ProtocolError
from tace.ids import Arc, NodeId
from tace.seams import Item, ItemState, Links, Store
from tace.wire.fields import MAX_LISTED
from tace.wire.peer import ItemField, ListItems


class Reconciliation(Protocol):
    def missing(self, peer: NodeId, arc: Arc, *, records: bool) -> AsyncIterator[list[Item]]:
        """Batches of items in the arc that the peer holds and this node lacks.

        :raises Failure: the peer does not answer. :raises Refusal: it will not say.
        """


def lacking(theirs: Iterable[Item], ours: Iterable[Item]) -> list[Item]:
    """Which of their items to fetch, given everything of ours with the same keys.

    Of an envelope that is acked here nothing is needed; a tombstone is needed where only the
    envelope is known.
    """
    held = {(item.key, item.name): item.state for item in ours}
    wanted = []
    for item in theirs:
        state = held.get((item.key, item.name))
        if state is None or (state is ItemState.ENVELOPE and item.state is ItemState.TOMBSTONE):
            wanted.append(item)
    return wanted


class PagedLists:
    """Asks for the peer's listing page by page, and looks up the same stretch here."""

    def __init__(self, links: Links, store: Store, clock: IReactorTime) -> None:
        self._links = links
        self._store = store
        self._clock = clock

    async def missing(self, peer: NodeId, arc: Arc, *, records: bool) -> AsyncIterator[list[Item]]:
        # One segment at a time: within it both listings are in plain key order.
        for low, high in arc.segments():
            segment = Arc(low or BEFORE_FIRST, high)
            after: Item | None = None
            while True:
                page = await self._links.call(
                    peer,
                    ListItems(
                        segment.start,
                        segment.end,
                        records=records,
                        after=None if after is None else ItemField(*_fields(after)),
                    ),
                )
                theirs = [Item(f.key, f.name, ItemState(f.state)) for f in page.items]
                _check_order(after, theirs, segment)
                if theirs:
                    wanted = lacking(theirs, await self._ours(theirs, records=records))
                    if wanted:
                        yield wanted
                if not page.more or not theirs:
                    break
                after = theirs[-1]

    async def _ours(self, theirs: list[Item], *, records: bool) -> list[Item]:
        """Which of these this node holds, in whatever state.

        A peer may name two items with all of ours between them: only those it named are kept.
        """
        named = {(item.key, item.name) for item in theirs}
        first, last = theirs[0], theirs[-1]
        stretch = Arc(before(first.key), last.key)
        held: list[Item] = []
        after: Item | None = None
        while True:
            page = await self._store.list_items(
                stretch, records=records, after=after, limit=MAX_LISTED, now=self._clock.seconds()
            )
            held += (item for item in page if (item.key, item.name) in named)
            if len(page) < MAX_LISTED:
                return held
            after = page[-1]


def _fields(item: Item) -> tuple[bytes, bytes, int]:
    return (item.key, item.name, int(item.state))


def _check_order(after: Item | None, items: list[Item], segment: Arc) -> None:
    """A listing must move on, or a lying peer could keep this node asking for ever."""
    last = (b"", b"") if after is None else (after.key, after.name)
    for item in items:
        if (item.key, item.name) <= last or item.key not in segment:
            raise ProtocolError("a listing that is out of order or outside its arc")
        last = (item.key, item.name)


BEFORE_FIRST = b"\xff" * 32
"""As an exclusive start it means: from the very first key."""


def before(key: bytes) -> bytes:
    """The key that comes just before, as the start of an arc that begins with this one."""
    return ((int.from_bytes(key) - 1) % (1 << 256)).to_bytes(32)
