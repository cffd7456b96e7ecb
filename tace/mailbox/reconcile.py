"""Finding out what another replica holds that this one lacks (page 2.4).

:class:`Reconciliation` is the interface. :class:`RangeReconciliation` compares fingerprints of
ranges; :class:`RangeAnswers` is its other side. A peer of an older version, which knows no
fingerprints, is compared with page by page (:mod:`tace.mailbox.listing`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tace.errors import NotReplica, TooMany, UnknownMessage
from tace.ids import Arc, NodeId
from tace.mailbox.comparison import (
    Answer,
    Comparison,
    agreed_hour,
    bounds_of,
    page_of,
    unnamed,
)
from tace.mailbox.pace import Pace
from tace.seams import Item, ItemState, Links, Store, View
from tace.wire.fields import MAX_LISTED
from tace.wire.objects import SECONDS_PER_HOUR
from tace.wire.peer import CompareRanges, RangeDifferences, RangeField
from tace.wire.ranges import LEAF_ITEMS, MAX_PARTS, ranges_of

RETRY_AFTER_MS = 1000
COMPARE_TIMEOUT_SECONDS = 10.0
"""A peer that has just started sums up what it holds before it answers: 4 s for a million items."""


class Reconciliation(Protocol):
    def missing(self, peer: NodeId, arcs: Sequence[Arc]) -> AsyncIterator[list[Item]]:
        """Batches of items in the arcs that the peer holds and this node lacks.

        :raises Failure: the peer does not answer. :raises Refusal: it will not say.
        """


def lacking(theirs: Iterable[Item], ours: Iterable[Item]) -> list[Item]:
    """Which of their items to fetch, given everything of ours with the same keys and names.

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


class RangeReconciliation:
    """Compares ranges with one peer after the other, as :class:`Comparison` decides.

    :param older: for peers that know no ranges.
    """

    def __init__(
        self, links: Links, store: Store, clock: IReactorTime, pace: Pace, older: Reconciliation
    ) -> None:
        self._links = links
        self._store = store
        self._clock = clock
        self._pace = pace
        self._older = older

    async def missing(self, peer: NodeId, arcs: Sequence[Arc]) -> AsyncIterator[list[Item]]:
        # In the order given: what is urgent stands first.
        ranges = [bounds for arc in arcs for bounds in ranges_of(arc)]
        comparison = Comparison(ranges, int(self._clock.seconds() // SECONDS_PER_HOUR))
        while True:
            await self._look(comparison)
            request = comparison.request()
            if request is None:
                return
            try:
                answer = await self._links.call(
                    peer, request, timeout_seconds=COMPARE_TIMEOUT_SECONDS
                )
            except UnknownMessage:
                break
            await self._pace.spend_messages(request, answer)
            theirs = comparison.take(answer)
            if theirs:
                wanted = lacking(theirs, await self._store.held_items(theirs))
                if wanted:
                    comparison.found()
                    yield wanted
        async for items in self._older.missing(peer, arcs):
            yield items

    async def _look(self, comparison: Comparison) -> None:
        """Have the next request made from what is held here."""
        while (stretch := comparison.next()) is not None:
            now = float(comparison.hour * SECONDS_PER_HOUR)
            bounds = (stretch.lower, stretch.upper)
            parts = await self._store.sum_items(*bounds, parts=stretch.most_parts, now=now)
            if comparison.weigh(stretch, parts):
                comparison.name(
                    stretch, await self._store.list_range(*bounds, limit=LEAF_ITEMS, now=now)
                )


class RangeAnswers:
    """Answers those who compare: one request at a time of each."""

    def __init__(self, *, view: View, store: Store, clock: IReactorTime) -> None:
        self._view = view
        self._store = store
        self._clock = clock
        self._asking: set[NodeId] = set()

    async def answer(self, peer: NodeId, message: CompareRanges) -> RangeDifferences:
        """:raises Refusal: not its ranges, none at all, or one request too many."""
        if peer in self._asking:
            raise TooMany("one comparison at a time", retry_after_ms=RETRY_AFTER_MS)
        self._asking.add(peer)
        try:
            return await self._compared(peer, message)
        finally:
            self._asking.remove(peer)

    async def _compared(self, peer: NodeId, message: CompareRanges) -> RangeDifferences:
        for field in message.ranges:
            _, _, arc = bounds_of(field)
            if not self._view.may_ask_about(peer, arc):
                raise NotReplica("those ranges are not yours to reconcile")
        hour = agreed_hour(message.hour, int(self._clock.seconds() // SECONDS_PER_HOUR))
        answer = Answer(hour)
        if hour == message.hour:
            for field in message.ranges:
                if not await self._look(field, answer, float(hour * SECONDS_PER_HOUR)):
                    break
        return answer.message()

    async def _look(self, field: RangeField, answer: Answer, now: float) -> bool:
        """Say what differs in one range; False where there was no room left for it."""
        lower, upper, _ = bounds_of(field)
        if field.fingerprint:
            (whole,) = await self._store.sum_items(lower, upper, parts=1, now=now)
            if whole.fingerprint == field.fingerprint:
                answer.in_step()
                return True
            if whole.count > LEAF_ITEMS:
                parts = await self._store.sum_items(lower, upper, parts=MAX_PARTS, now=now)
                if len(parts) > 1:
                    return answer.split(parts)
        found = await self._store.list_range(lower, upper, limit=MAX_LISTED + 1, now=now)
        page, until = page_of(found, MAX_LISTED)
        items = unnamed(page, field.held)
        if until and not items:
            # All of the page is there: the asker must get on all the same.
            items = list(page[-1:])
        if not items and not field.fingerprint:
            answer.in_step()
            return True
        return answer.listed(items, until)


BEFORE_FIRST = b"\xff" * 32
"""As an exclusive start it means: from the very first key."""


def before(key: bytes) -> bytes:
    """The key that comes just before, as the start of an arc that begins with this one."""
    return ((int.from_bytes(key) - 1) % (1 << 256)).to_bytes(32)
