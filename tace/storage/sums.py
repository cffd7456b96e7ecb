"""Sums of what lies in any range of places, without reading all of it again (page 2.4).

The places are cut into *leaves* of a few hundred items; of each the count and the sum of the
elements are kept in memory, or nothing yet. Writes add to them and take from them. A range is then
the leaves inside it and what is read of the two at its edges. What is not known is learned when it
is asked for, a stretch at a time; a leaf that has grown too large is forgotten and learned anew, as
several, and small neighbours become one. So a million items take some 5,000 leaves, about 2 MB.

Sums are as of an hour: what is over by then is in none. Peers' clocks differ, so that for some
minutes two hours are asked for by turns; the sums of both are kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from tace.ids import RING_SIZE
from tace.seams import ItemState
from tace.wire.objects import TOMBSTONE_GRACE_HOURS
from tace.wire.ranges import END, LEAF_ITEMS, RangeSum, element, separator

STRETCH_ITEMS = 256
"""Learned at once, into one leaf."""
MAX_LEAF_ITEMS = 2 * STRETCH_ITEMS
"""In a leaf; with more it is forgotten, and learned anew as several."""
MAX_HOURS = 2
"""Hours as of which there are sums at one time."""

Entry = tuple[bytes, int]
"""(place, state) of an item."""
ReadRange = Callable[[bytes, bytes, int], Sequence[Entry]]
"""(lower, upper, limit) -> the first items of a range, in order, as of the hour of the sums."""
_Sum = tuple[int, int]
"""(count, total)."""


def ends_at(state: int, expires_hours: int) -> int:
    """The hour from which an item is over; see :mod:`tace.storage.rules`."""
    return expires_hours + (TOMBSTONE_GRACE_HOURS if state == ItemState.TOMBSTONE else 0)


@dataclass(frozen=True, slots=True)
class Cover:
    """A range as leaves, and what has to be read at its edges.

    ``uppers`` and ``sums`` are of the leaves between ``first`` and ``last``, which lie inside.
    """

    first: bytes
    last: bytes
    uppers: Sequence[bytes]
    sums: Sequence[_Sum]


class RangeSums:
    """The leaves, as of one hour. Safe to call from several threads.

    :param hour: items that are over by then are in no sum.
    """

    def __init__(self, hour: int) -> None:
        self.hour = hour
        self._lock = Lock()
        self._cuts = [b""]
        """Where each leaf begins; the first one at the first place of all."""
        self._sums: list[_Sum | None] = [None]

    @property
    def leaves(self) -> int:
        """How many there are."""
        return len(self._cuts)

    # -- what changes ----------------------------------------------------------------------------

    def add(self, place: bytes, state: int, ends: int) -> None:
        """An item has come; it is over from the hour ``ends`` on."""
        self._change(place, state, ends, 1)

    def remove(self, place: bytes, state: int, ends: int) -> None:
        """It has gone."""
        self._change(place, state, ends, -1)

    def _change(self, place: bytes, state: int, ends: int, count: int) -> None:
        if ends > self.hour:
            with self._lock:
                self._count(place, state, count)

    def moved(self, hour: int, between: Sequence[Entry]) -> RangeSums:
        """The sums as of another hour.

        :param between: what is over at one of the two hours and not at the other.
        """
        other = RangeSums(hour)
        with self._lock:
            other._cuts, other._sums = [*self._cuts], [*self._sums]
        for place, state in between:
            other._count(place, state, -1 if hour > self.hour else 1)
        return other

    def _count(self, place: bytes, state: int, count: int) -> None:
        index = bisect_right(self._cuts, place) - 1
        known = self._sums[index]
        if known is None:
            return
        more = known[0] + count
        if more > MAX_LEAF_ITEMS:
            self._sums[index] = None
            return
        self._sums[index] = (more, (known[1] + count * element(place, state)) % RING_SIZE)
        if count < 0:
            self._join(index)

    def _join(self, index: int) -> None:
        """Make one of this leaf and its neighbours where together they are small."""
        for left in (index, index - 1):
            if not 0 <= left < len(self._sums) - 1:
                continue
            one, other = self._sums[left], self._sums[left + 1]
            if one is None or other is None or one[0] + other[0] > STRETCH_ITEMS:
                continue
            self._sums[left] = (one[0] + other[0], (one[1] + other[1]) % RING_SIZE)
            del self._sums[left + 1], self._cuts[left + 1]

    # -- learning --------------------------------------------------------------------------------

    def unknown(self, lower: bytes, upper: bytes) -> tuple[bytes, bytes] | None:
        """The first stretch that has to be read before anything can be said of a range.

        It may go on behind the range. None: all is known.
        """
        with self._lock:
            index = bisect_right(self._cuts, lower) - 1
            while index < len(self._cuts) and self._cuts[index] < upper:
                if self._sums[index] is None:
                    return max(lower, self._cuts[index]), self._end(index)
                index += 1
        return None

    def learn(self, lower: bytes, upper: bytes, read: ReadRange) -> None:
        """Read the beginning of a stretch that :meth:`unknown` has named.

        No write may come between the reading and the end of this call.
        """
        entries = read(lower, upper, STRETCH_ITEMS + 1)
        if len(entries) > STRETCH_ITEMS:
            upper = separator(entries[-2][0], entries[-1][0])
            entries = entries[:-1]
        total = sum(element(place, state) for place, state in entries) % RING_SIZE
        with self._lock:
            index = bisect_right(self._cuts, lower) - 1
            end = self._end(index)
            if self._sums[index] is not None or upper > end:
                return
            if self._cuts[index] < lower:
                index += 1
                self._cuts.insert(index, lower)
                self._sums.insert(index, None)
            self._sums[index] = (len(entries), total)
            if upper < end:
                self._cuts.insert(index + 1, upper)
                self._sums.insert(index + 1, None)
            self._join(index)

    def _end(self, index: int) -> bytes:
        return self._cuts[index + 1] if index + 1 < len(self._cuts) else END

    # -- sums ------------------------------------------------------------------------------------

    def cover(self, lower: bytes, upper: bytes) -> Cover | None:
        """What is known of a range; None where some of it has to be learned first."""
        with self._lock:
            first = bisect_left(self._cuts, lower)
            last = bisect_right(self._cuts, upper) - 1 if upper < END else len(self._cuts)
            begin, end = bisect_right(self._cuts, lower) - 1, bisect_left(self._cuts, upper)
            if any(known is None for known in self._sums[begin:end]):
                return None
            if first >= last:
                return Cover(upper, upper, (), ())
            uppers = [*self._cuts[first + 1 : last], self._end(last - 1)]
            sums = [known for known in self._sums[first:last] if known is not None]
            return Cover(self._cuts[first], uppers[-1], uppers, sums)


class SumsByHour:
    """The sums as of the hours that are asked for, those asked for last. Safe for threads that
    look; one alone changes which there are.
    """

    def __init__(self) -> None:
        self._kept: tuple[RangeSums, ...] = ()

    def at(self, hour: int) -> RangeSums | None:
        """None: nothing is known as of that hour."""
        return next((sums for sums in self._kept if sums.hour == hour), None)

    def nearest(self, hour: int) -> RangeSums | None:
        """Those as of the hour that is closest."""
        return min(self._kept, key=lambda sums: abs(sums.hour - hour), default=None)

    def keep(self, sums: RangeSums) -> RangeSums:
        """Have these, too; beyond MAX_HOURS the ones that came first go."""
        self._kept = (*self._kept, sums)[-MAX_HOURS:]
        return sums

    def forget(self, before: int | None = None) -> None:
        """All of them, or those as of earlier hours."""
        self._kept = tuple(
            sums for sums in self._kept if before is not None and sums.hour >= before
        )

    def add(self, place: bytes, state: int, expires_hours: int) -> None:
        """An item has come."""
        for sums in self._kept:
            sums.add(place, state, ends_at(state, expires_hours))

    def remove(self, place: bytes, state: int, expires_hours: int) -> None:
        """It has gone."""
        for sums in self._kept:
            sums.remove(place, state, ends_at(state, expires_hours))


def partition(
    lower: bytes, upper: bytes, most: int, cover: Cover, read: ReadRange
) -> list[RangeSum]:
    """The range in at most ``most`` parts; see :meth:`tace.seams.Store.sum_items`."""
    pieces = [
        *_piece(lower, cover.first, read),
        *(RangeSum(end, *known) for end, known in zip(cover.uppers, cover.sums, strict=True)),
        *_piece(cover.last, upper, read),
    ]
    count = sum(piece.count for piece in pieces)
    wanted = min(most, -(-count // LEAF_ITEMS))
    if wanted <= 1:
        return [RangeSum(upper, count, sum(piece.total for piece in pieces) % RING_SIZE)]
    if len(cover.sums) >= wanted:
        parts = _gathered(pieces, count, wanted)
        if len(parts) > 1:
            return parts
    return _cut(read(lower, upper, count + MAX_LEAF_ITEMS), upper, wanted)


def _piece(lower: bytes, upper: bytes, read: ReadRange) -> list[RangeSum]:
    if lower >= upper:
        return []
    # At most two leaves, and what has come since they were looked at.
    entries = read(lower, upper, 4 * MAX_LEAF_ITEMS)
    return [RangeSum(upper, len(entries), _total(entries))]


def _gathered(pieces: Sequence[RangeSum], count: int, wanted: int) -> list[RangeSum]:
    """Leaves put together, so that the parts hold about the same."""
    parts: list[RangeSum] = []
    passed = held = total = 0
    for piece in pieces:
        passed += piece.count
        held += piece.count
        total += piece.total
        if passed * wanted >= count * (len(parts) + 1):
            parts.append(RangeSum(piece.upper, held, total % RING_SIZE))
            held = total = 0
    # Behind the last part only empty leaves are left.
    return [*parts[:-1], RangeSum(pieces[-1].upper, parts[-1].count, parts[-1].total)]


def _cut(entries: Sequence[Entry], upper: bytes, wanted: int) -> list[RangeSum]:
    """Parts of equal counts, of items that were read."""
    wanted = min(wanted, max(1, len(entries)))
    ends = [len(entries) * (part + 1) // wanted for part in range(wanted)]
    parts = []
    begin = 0
    for end in ends:
        there = entries[begin:end]
        bound = separator(there[-1][0], entries[end][0]) if end < len(entries) else upper
        parts.append(RangeSum(bound, len(there), _total(there)))
        begin = end
    return parts


def _total(entries: Sequence[Entry]) -> int:
    return sum(element(place, state) for place, state in entries) % RING_SIZE
