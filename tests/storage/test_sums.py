"""Leaves: their number is bounded by what they hold, and nothing large is ever read at once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from hashlib import sha256
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.storage.sums import (
    MAX_LEAF_ITEMS,
    STRETCH_ITEMS,
    Entry,
    RangeSums,
    SumsByHour,
    ends_at,
    partition,
)
from tace.wire.objects import TOMBSTONE_GRACE_HOURS
from tace.wire.ranges import END, MAX_PARTS, element, joined

HOUR = 100


def place(number: int) -> bytes:
    return sha256(number.to_bytes(4)).digest() * 2


class Table:
    """What a store holds, in order, and its sums."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.sums = RangeSums(HOUR)
        self.reads: list[int] = []

    def put(self, *places: bytes) -> None:
        for it in places:
            insort(self.entries, (it, 1))
            self.sums.add(it, 1, HOUR + 1)

    def drop(self, *places: bytes) -> None:
        for it in places:
            del self.entries[bisect_left(self.entries, (it, 1))]
            self.sums.remove(it, 1, HOUR + 1)

    def read(self, lower: bytes, upper: bytes, limit: int) -> Sequence[Entry]:
        first, last = bisect_left(self.entries, (lower, 0)), bisect_left(self.entries, (upper, 0))
        found = self.entries[first : min(last, first + limit)]
        self.reads.append(len(found))
        return found

    def learn(self, lower: bytes = b"", upper: bytes = END) -> None:
        while unknown := self.sums.unknown(lower, upper):
            self.sums.learn(*unknown, self.read)

    def check(self, lower: bytes = b"", upper: bytes = END, parts: int = 1) -> None:
        """What is said of the range is what lies in it."""
        self.learn(lower, upper)
        cover = self.sums.cover(lower, upper)
        assert cover is not None
        found = joined(partition(lower, upper, parts, cover, self.read))
        there = [it for it in self.entries if lower <= it[0] < upper]
        assert (found.count, found.total) == (
            len(there),
            sum(element(*it) for it in there) % 2**256,
        )


class LeafTests(SynchronousTestCase):
    """Large ones, small ones, unknown ones."""

    def setUp(self) -> None:
        self.table = Table()

    def test_nothing_is_read_twice(self) -> None:
        """Once learned, sums of the whole cost no reading, and narrower ones two leaves."""
        self.table.put(*map(place, range(20_000)))
        self.table.check()
        self.assertLessEqual(max(self.table.reads), STRETCH_ITEMS + 1)
        self.table.reads.clear()
        self.table.check()
        self.assertEqual(self.table.reads, [])
        self.table.check(b"\x11" * 32, b"\xdd" * 32)
        self.assertLessEqual(sum(self.table.reads), 2 * MAX_LEAF_ITEMS)
        self.assertLess(self.table.sums.leaves, 2 * 20_000 // STRETCH_ITEMS)

    def test_a_put_reads_nothing(self) -> None:
        """Until a leaf is too large: then it alone is read again."""
        self.table.put(*map(place, range(5000)))
        self.table.check()
        self.table.reads.clear()
        self.table.put(*map(place, range(5000, 5100)))
        self.table.check()
        self.assertEqual(self.table.reads, [])
        self.table.put(*(bytes([7]) * 62 + n.to_bytes(2) for n in range(MAX_LEAF_ITEMS)))
        self.table.check()
        self.assertGreater(len(self.table.reads), 0)
        self.assertLess(sum(self.table.reads), 3 * MAX_LEAF_ITEMS)

    def test_leaves_of_what_has_gone_are_joined(self) -> None:
        """Their number follows what is held, not what ever was."""
        places = [place(n) for n in range(20_000)]
        self.table.put(*places)
        self.table.check()
        self.table.drop(*places[100:])
        self.assertLess(self.table.sums.leaves, 3)
        self.table.check()

    def test_tiny_ranges_make_no_tiny_leaves(self) -> None:
        """Whoever asks about thousands of ranges makes nobody remember them."""
        self.table.put(*map(place, range(2000)))
        random = Random(3)
        for _ in range(3000):
            lower = random.randbytes(8)
            self.table.check(lower, lower + b"\x01")
        self.assertLess(self.table.sums.leaves, 4 * 2000 // STRETCH_ITEMS)

    def test_one_key_with_very_much(self) -> None:
        """A mailbox is cut like anything else."""
        self.table.put(*(bytes(32) + place(n)[:32] for n in range(10_000)))
        self.table.check(parts=MAX_PARTS)
        self.table.reads.clear()
        self.table.check(parts=MAX_PARTS)
        self.assertEqual(self.table.reads, [])

    def test_what_is_not_known_is_not_said(self) -> None:
        """A range is covered when all of it was learned."""
        self.table.put(*map(place, range(2000)))
        self.assertIsNone(self.table.sums.cover(b"\x40", b"\x80"))
        self.table.learn(b"\x40", b"\x80")
        self.assertIsNotNone(self.table.sums.cover(b"\x40", b"\x80"))
        self.assertIsNone(self.table.sums.cover(b"\x00", b"\x80"))

    def test_another_hour(self) -> None:
        """What ends in between is taken out, and put in again on the way back."""
        self.table.put(*map(place, range(1000)))
        self.table.check()
        ending = [(place(n), 1) for n in range(10)]
        whole = self.table.sums.cover(b"", END)
        later = self.table.sums.moved(HOUR + 1, ending)
        less = later.cover(b"", END)
        assert whole is not None and less is not None
        self.assertEqual(
            sum(count for count, _ in less.sums), sum(count for count, _ in whole.sums) - 10
        )
        self.table.sums = later.moved(HOUR, ending)
        self.table.check()

    def test_what_is_over_is_not_added(self) -> None:
        """A put that the hour of the sums leaves out; a tombstone ends later than its envelope."""
        self.table.check()
        self.table.sums.add(place(1), 1, HOUR)
        self.table.sums.remove(place(2), 1, HOUR)
        self.table.check()
        self.assertEqual(ends_at(1, 5), 5)
        self.assertEqual(ends_at(2, 5), 5 + TOMBSTONE_GRACE_HOURS)

    def test_two_hours_at_once(self) -> None:
        """Both go on; of three the first one is forgotten, and all before an hour when told so."""
        by_hour = SumsByHour()
        self.assertIsNone(by_hour.nearest(HOUR))
        for hour in (HOUR, HOUR + 1):
            by_hour.keep(RangeSums(hour)).learn(b"", END, self.table.read)
        by_hour.add(place(1), 1, HOUR + 1)
        by_hour.add(place(2), 1, HOUR + 2)
        by_hour.remove(place(3), 1, HOUR)
        for hour, count in ((HOUR, 2), (HOUR + 1, 1)):
            sums = by_hour.at(hour)
            assert sums is not None
            cover = sums.cover(b"", END)
            assert cover is not None
            self.assertEqual([counted for counted, _ in cover.sums], [count])
        by_hour.keep(RangeSums(HOUR + 5))
        self.assertIsNone(by_hour.at(HOUR))
        self.assertIsNotNone(by_hour.at(HOUR + 1))
        by_hour.forget(before=HOUR + 5)
        self.assertIsNone(by_hour.at(HOUR + 1))
        self.assertIsNotNone(by_hour.at(HOUR + 5))
        by_hour.forget()
        self.assertIsNone(by_hour.at(HOUR + 5))

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["put", "drop", "check"]), st.integers(0, 2**32)),
            max_size=14,
        )
    )
    def test_whatever_happens(self, steps: list[tuple[str, int]]) -> None:
        """Sums are of what is there; adjoining parts, unknown stretches, joins, all at random."""
        table = Table()
        held: list[int] = []
        for what, seed in steps:
            random = Random(seed)
            lower, upper = sorted((random.randbytes(3), random.randbytes(2)))
            if what == "put":
                fresh = [n for n in random.sample(range(4000), 900) if n not in held]
                held += fresh
                table.put(*map(place, fresh))
            elif what == "drop":
                gone = random.sample(held, len(held) // random.randint(1, 3))
                held = [n for n in held if n not in gone]
                table.drop(*map(place, gone))
            else:
                table.check(lower, upper or END, random.choice([1, MAX_PARTS]))
        table.check(parts=MAX_PARTS)
