"""Range-based set reconciliation: what the two sides of a comparison decide (page 2.4).

After negentropy (https://logperiodic.com/rbsr.html): ranges whose fingerprints differ are split, by
the peer and by the asker in turn, until what is left is short enough to be listed. No state is kept
of any peer between two comparisons, and the answering side keeps none between two requests. The
wire is in docs/protocol/peer.md, section 8.6. Nothing here waits, reads or sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tace.errors import Malformed, NotReplica, ProtocolError
from tace.ids import Arc
from tace.seams import Item, ItemState
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.peer import (
    CompareRanges,
    Finding,
    ItemField,
    PartField,
    RangeDifferences,
    RangeField,
)
from tace.wire.ranges import (
    END,
    LEAF_ITEMS,
    MAX_PARTS,
    MAX_RANGES,
    NOTHING,
    SHORT_BYTES,
    RangeSum,
    arc_of,
    joined,
    separator,
    short_name,
)

MAX_LEVELS = 16
"""How often a peer may split what it has split. Each time a part has some sixteenth of the items,
so an honest one is done after seven, however much it holds."""
MAX_PENDING = 4096
"""Ranges of one comparison that still have to be looked at; a million items that all differ take
some 800."""
MAX_ROUNDS = 4096
"""Requests in which a peer shows nothing that is lacking here, one after the other."""
_ITEM_BYTES = 72
_PART_BYTES = 24
_FINDING_BYTES = 24


@dataclass(frozen=True, slots=True)
class Stretch:
    """A range that has to be looked at.

    ``theirs`` is the peer's fingerprint there, where it has told one; ``listed``: the peer has
    begun to list it.
    """

    lower: bytes
    upper: bytes
    level: int = 0
    theirs: bytes = b""
    listed: bool = False

    @property
    def most_parts(self) -> int:
        """Into how many parts to sum what is held there."""
        return MAX_PARTS if self.theirs else 1


class Comparison:
    """The asker's side, with one peer.

    In turn: :meth:`next` until it is None, and for each stretch :meth:`weigh` with the sums of what
    is held there, then :meth:`name` where it says so; :meth:`request`, until that is None; and
    :meth:`take` with the answer.

    :param ranges: what to compare, the most urgent first.
    :param hour: what is over by then is left out.
    """

    def __init__(self, ranges: Sequence[tuple[bytes, bytes]], hour: int) -> None:
        self._hour = hour
        self._latest_hour = hour + 1
        self._pending = [Stretch(lower, upper) for lower, upper in reversed(ranges)]
        self._asked: list[tuple[Stretch, RangeField]] = []
        self._rounds = 0

    @property
    def hour(self) -> int:
        """As of which the sums have to be."""
        return self._hour

    @property
    def pending(self) -> int:
        """How many ranges are still to be looked at."""
        return len(self._pending)

    # -- asking ----------------------------------------------------------------------------------

    def next(self) -> Stretch | None:
        """The stretch to look at next; None when the request is full, or nothing is left."""
        if not self._pending:
            return None
        if len(self._asked) + self._pending[-1].most_parts > MAX_RANGES:
            return None
        return self._pending.pop()

    def weigh(self, stretch: Stretch, parts: list[RangeSum]) -> bool:
        """Ask about it, unless it is in step. True: the items there have to be named first.

        :param parts: what is held there, in at most :attr:`Stretch.most_parts`.
        """
        whole = joined(parts)
        if stretch.theirs and whole.fingerprint == stretch.theirs:
            return False
        if not whole.count:
            self.name(stretch, ())
            return False
        if whole.count <= LEAF_ITEMS and (stretch.theirs or stretch.listed):
            return True
        lower = stretch.lower
        for part in parts:
            field = RangeField(lower, _wire(part.upper), part.fingerprint)
            self._asked.append((Stretch(lower, part.upper, stretch.level), field))
            lower = part.upper
        return False

    def name(self, stretch: Stretch, items: Sequence[Item]) -> None:
        """Have the rest of a stretch listed, that is, all but these items, which are here."""
        held = b"".join(short_name(place(item), item.state) for item in items[:LEAF_ITEMS])
        field = RangeField(stretch.lower, _wire(stretch.upper), b"", held)
        again = Stretch(stretch.lower, stretch.upper, stretch.level, listed=True)
        self._asked.append((again, field))

    def request(self) -> CompareRanges | None:
        """What to send; None when all is compared.

        :raises ProtocolError: the peer has shown nothing new for too long.
        """
        if not self._asked:
            return None
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise ProtocolError("a comparison without end")
        return CompareRanges(self._hour, tuple(field for _, field in self._asked))

    # -- hearing ---------------------------------------------------------------------------------

    def take(self, answer: RangeDifferences) -> list[Item]:
        """What the peer lists as held there; some of it may be known here.

        :raises ProtocolError: it is no answer to what was asked.
        """
        asked, self._asked = self._asked, []
        later = answer.hour - self._hour
        if later:
            if later < 0 or answer.hour > self._latest_hour or answer.looked or answer.findings:
                raise ProtocolError("a comparison as of another hour")
            self._hour = answer.hour
            self._put_back(asked)
            return []
        if not 1 <= answer.looked <= len(asked):
            raise ProtocolError("a comparison of more, or of less, than was asked")
        self._put_back(asked[answer.looked :])
        listed: list[Item] = []
        further: list[Stretch] = []
        last = -1
        for finding in answer.findings:
            if not last < finding.range < answer.looked:
                raise ProtocolError("a finding about nothing that was asked")
            last = finding.range
            stretch, field = asked[last]
            if not finding.parts:
                listed += _items(stretch, finding)
                if finding.until:
                    rest = Stretch(finding.until, stretch.upper, stretch.level, listed=True)
                    further.append(rest)
            elif not field.fingerprint or finding.items or finding.until:
                raise ProtocolError("parts of a range that was to be listed")
            else:
                further += _parts(stretch, finding.parts)
        self._pending += reversed(further)
        if len(self._pending) > MAX_PENDING:
            raise ProtocolError("a comparison of too many ranges")
        return listed

    def found(self) -> None:
        """Something that it listed is lacking here: it gets on."""
        self._rounds = 0

    def _put_back(self, asked: Sequence[tuple[Stretch, RangeField]]) -> None:
        self._pending += (stretch for stretch, _ in reversed(asked))


def _items(stretch: Stretch, finding: Finding) -> list[Item]:
    """:raises ProtocolError: out of order, outside the range, or a list that does not get on."""
    end = finding.until or stretch.upper
    if finding.until and not (finding.items and stretch.lower < end < stretch.upper):
        raise ProtocolError("a list that does not get on")
    items = [Item(f.key, f.name, ItemState(f.state)) for f in finding.items]
    before = b""
    for item in items:
        there = place(item)
        if not stretch.lower <= there < end or there <= before:
            raise ProtocolError("a list that is out of order or outside its range")
        before = there
    return items


def _parts(stretch: Stretch, parts: Sequence[PartField]) -> list[Stretch]:
    """Those worth looking at. :raises ProtocolError: they do not make up the range."""
    if stretch.level >= MAX_LEVELS:
        raise ProtocolError("a range split without end")
    bounds = [stretch.lower, *(part.upper or END for part in parts)]
    if (
        len(parts) < 2
        or bounds[-1] != stretch.upper
        or any(one >= other for one, other in pairwise(bounds))
    ):
        raise ProtocolError("parts that do not make up the range")
    return [
        Stretch(lower, upper, stretch.level + 1, part.fingerprint)
        for (lower, upper), part in zip(pairwise(bounds), parts, strict=True)
        if part.fingerprint != NOTHING
    ]


# -- answering -----------------------------------------------------------------------------------


class Answer:
    """The answer to one request, range by range; each method is about the next one.

    Those that return a bool say whether there was room: the first False ends the answer.
    """

    def __init__(self, hour: int) -> None:
        self._hour = hour
        self._findings: list[Finding] = []
        self._looked = 0
        self._room = MAX_BODY_BYTES - 1024

    def in_step(self) -> None:
        """Nothing differs there, or there is nothing to list."""
        self._looked += 1

    def split(self, parts: Sequence[RangeSum]) -> bool:
        """It differs, and this is what is held in its parts."""
        fields = tuple(PartField(_wire(part.upper), part.fingerprint) for part in parts)
        size = sum(len(field.upper) + _PART_BYTES for field in fields)
        return self._add(Finding(self._looked, fields), size)

    def listed(self, items: Sequence[Item], until: bytes = b"") -> bool:
        """It differs, and this is what is held there, up to ``until``."""
        fields = tuple(ItemField(item.key, item.name, int(item.state)) for item in items)
        return self._add(
            Finding(self._looked, (), fields, until), len(until) + len(fields) * _ITEM_BYTES
        )

    def message(self) -> RangeDifferences:
        return RangeDifferences(self._hour, self._looked, tuple(self._findings))

    def _add(self, finding: Finding, size: int) -> bool:
        if self._looked and size + _FINDING_BYTES > self._room:
            return False
        self._room -= size + _FINDING_BYTES
        self._findings.append(finding)
        self._looked += 1
        return True


def agreed_hour(asked: int, own: int) -> int:
    """By which the answer goes; where it is not the asked one, nothing else can be answered.

    :raises NotReplica: the asker's clock is an hour ahead.
    """
    if asked > own + 1:
        raise NotReplica("your clock is an hour ahead")
    return max(asked, own)


def bounds_of(field: RangeField) -> tuple[bytes, bytes, Arc]:
    """Lower and upper bound, and the keys there. :raises Malformed: there can be none."""
    upper = field.upper or END
    arc = arc_of(field.lower, upper)
    if arc is None:
        raise Malformed("a range in which nothing can lie")
    return field.lower, upper, arc


def page_of(items: Sequence[Item], limit: int) -> tuple[Sequence[Item], bytes]:
    """At most ``limit`` of these, and where the rest begins; empty: there is none."""
    if len(items) <= limit:
        return items, b""
    return items[:limit], separator(place(items[limit - 1]), place(items[limit]))


def unnamed(items: Iterable[Item], held: bytes) -> list[Item]:
    """Those whose short name is not among the ones that the asker holds."""
    names = {held[at : at + SHORT_BYTES] for at in range(0, len(held), SHORT_BYTES)}
    return [item for item in items if short_name(place(item), item.state) not in names]


def place(item: Item) -> bytes:
    """Where it stands among all items: key || name."""
    return item.key + item.name


def _wire(upper: bytes) -> bytes:
    return b"" if upper == END else upper
