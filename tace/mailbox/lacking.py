"""Finding out what another replica lacks of what is held here, by comparing ranges (page 2.4).

:mod:`tace.mailbox.comparison` looks for what this node lacks; here it is the other way about:
ranges that hold nothing here are passed over, and one that is in step shows that the other has all
of it. Who is asked can lie; it does away with no more than its own copies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twisted.internet.interfaces import IReactorTime

from tace.errors import ProtocolError
from tace.ids import Arc, NodeId
from tace.mailbox.comparison import MAX_LEVELS, MAX_PENDING, place
from tace.mailbox.pace import Pace
from tace.mailbox.reconcile import COMPARE_TIMEOUT_SECONDS
from tace.seams import Item, ItemState, Links, Store
from tace.wire.fields import MAX_LISTED, BlobName
from tace.wire.objects import SECONDS_PER_HOUR
from tace.wire.peer import CompareRanges, Finding, ListBlobs, RangeField
from tace.wire.ranges import END, MAX_RANGES, NOTHING

Bounds = tuple[bytes, bytes]
"""A range of places, [lower, upper)."""


@dataclass(frozen=True, slots=True)
class _Asked:
    lower: bytes
    upper: bytes
    level: int


class LackingThere:
    """Compares what is held here with what others hold."""

    def __init__(self, links: Links, store: Store, clock: IReactorTime, pace: Pace) -> None:
        self._links = links
        self._store = store
        self._clock = clock
        self._pace = pace

    async def items(self, node: NodeId, ranges: Sequence[Bounds]) -> AsyncIterator[list[Item]]:
        """Batches of what is held here in the ranges and not there; when it ends, all was compared.

        Of an envelope whose tombstone is there nothing lacks.

        :raises Failure: it does not answer. :raises Refusal: it will not say, or answers nonsense.
        """
        own_hour = int(self._clock.seconds() // SECONDS_PER_HOUR)
        hour = own_hour
        pending = [_Asked(lower, upper, 0) for lower, upper in reversed(ranges)]
        while pending:
            now = float(hour * SECONDS_PER_HOUR)
            asked, fields = await self._fields(pending, now)
            if not asked:
                return
            request = CompareRanges(hour, tuple(fields))
            answer = await self._links.call(node, request, timeout_seconds=COMPARE_TIMEOUT_SECONDS)
            await self._pace.spend_messages(request, answer)
            if answer.hour != hour:
                if answer.hour != own_hour + 1 or answer.looked or answer.findings:
                    raise ProtocolError("a comparison as of another hour")
                hour = answer.hour
                pending += reversed(asked)
                continue
            if not 1 <= answer.looked <= len(asked):
                raise ProtocolError("a comparison of more, or of less, than was asked")
            pending += reversed(asked[answer.looked :])
            further: list[_Asked] = []
            last = -1
            for finding in answer.findings:
                if not last < finding.range < answer.looked:
                    raise ProtocolError("a finding about nothing that was asked")
                last = finding.range
                async for lacking in self._weigh(asked[last], finding, now, further):
                    yield lacking
            pending += reversed(further)
            if len(pending) > MAX_PENDING + len(ranges):
                raise ProtocolError("a comparison of too many ranges")

    async def _fields(
        self, pending: list[_Asked], now: float
    ) -> tuple[list[_Asked], list[RangeField]]:
        """The next ranges to ask about, with what is held in them here."""
        asked: list[_Asked] = []
        fields: list[RangeField] = []
        while pending and len(asked) < MAX_RANGES:
            one = pending.pop()
            (here,) = await self._store.sum_items(one.lower, one.upper, parts=1, now=now)
            if here.count:
                asked.append(one)
                upper = b"" if one.upper == END else one.upper
                fields.append(RangeField(one.lower, upper, here.fingerprint))
        return asked, fields

    async def _weigh(
        self, asked: _Asked, finding: Finding, now: float, further: list[_Asked]
    ) -> AsyncIterator[list[Item]]:
        if not finding.parts:
            if finding.until and not asked.lower < finding.until < asked.upper:
                raise ProtocolError("a list that does not get on")
            end = finding.until or asked.upper
            there = {(field.key, field.name): field.state for field in finding.items}
            async for page in self._held(asked.lower, end, now):
                lacking = [
                    item for item in page if there.get((item.key, item.name), 0) < item.state
                ]
                if lacking:
                    yield lacking
            if finding.until:
                # A level more, or a peer could have it begun anew for ever.
                further.append(self._deeper(asked, end, asked.upper))
            return
        bounds = [asked.lower, *(part.upper or END for part in finding.parts)]
        if (
            len(finding.parts) < 2
            or bounds[-1] != asked.upper
            or any(one >= other for one, other in pairwise(bounds))
        ):
            raise ProtocolError("parts that do not make up the range")
        for (lower, upper), part in zip(pairwise(bounds), finding.parts, strict=True):
            if part.fingerprint == NOTHING:
                async for page in self._held(lower, upper, now):
                    yield page
                continue
            (here,) = await self._store.sum_items(lower, upper, parts=1, now=now)
            if here.count and here.fingerprint != part.fingerprint:
                further.append(self._deeper(asked, lower, upper))

    @staticmethod
    def _deeper(asked: _Asked, lower: bytes, upper: bytes) -> _Asked:
        """:raises ProtocolError: it has been split too often."""
        if asked.level >= MAX_LEVELS:
            raise ProtocolError("a range split without end")
        return _Asked(lower, upper, asked.level + 1)

    async def _held(self, lower: bytes, upper: bytes, now: float) -> AsyncIterator[list[Item]]:
        """Page by page, what is here."""
        while True:
            page = await self._store.list_range(lower, upper, limit=MAX_LISTED, now=now)
            if page:
                yield page
            if len(page) < MAX_LISTED:
                return
            lower = place(page[-1]) + b"\0"

    async def blobs(self, node: NodeId, arc: Arc, held: Sequence[BlobName]) -> list[Item]:
        """Which of these blobs (of one arc that does not wrap) it lacks, or holds for less long.

        :raises Failure: it does not answer. :raises Refusal: it will not say, or answers nonsense.
        """
        wanted = {name.hash: name.expires_hours for name in held}
        after = b""
        while wanted:
            request = ListBlobs(arc.start, arc.end, after)
            page = await self._links.call(node, request)
            await self._pace.spend_messages(request, page)
            for name in page.blobs:
                if name.hash <= after:
                    raise ProtocolError("a listing that is out of order")
                after = name.hash
                if wanted.get(name.hash, name.expires_hours + 1) <= name.expires_hours:
                    del wanted[name.hash]
            if not page.more or not page.blobs:
                break
        return [Item(name, name, ItemState.BLOB) for name in wanted]
