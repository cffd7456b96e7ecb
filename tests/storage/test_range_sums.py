"""Sums of ranges on disk: what they cost, and what happens to them when things go wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import StoreError
from tace.seams import Item, KnownPeer
from tace.storage.reads import ranges
from tace.storage.sums import STRETCH_ITEMS
from tace.storage.writes.sums import MAX_MOVED
from tace.wire.ranges import END, MAX_PARTS, RangeSum, joined
from tests.storage.files import StoreFiles
from tests.storage.objects import NOW, at, letter, mailbox, record
from tests.storage.range_contract import sum_of


class RangeSumTests(StoreFiles):
    """In the threads of the store."""

    def setUp(self) -> None:
        super().setUp()
        self.statements: list[str] = []
        self.store = self.open(trace=self.statements.append)

    def sums(self, *, now: float = NOW, parts: int = 1) -> list[RangeSum]:
        return self.result(self.store.sum_items(b"", END, parts=parts, now=now))

    def items(self, now: float = NOW) -> list[Item]:
        return self.result(self.store.list_range(b"", END, limit=10_000, now=now))

    def bury(self, first: int, count: int, *, lives_hours: int = 24) -> None:
        """Tombstones in many mailboxes: as many as one likes, and small."""
        letters = [
            letter(n, box=mailbox(n % 20), lives_hours=lives_hours)
            for n in range(first, first + count)
        ]
        self.result(self.store.put_tombstones([it.tombstone for it in letters], NOW))

    def listings(self) -> list[str]:
        """What has been read of ranges since the last look."""
        found = [text for text in self.statements if "group_concat(hex(mailbox)" in text]
        self.statements.clear()
        return found

    def test_a_pair_in_step_reads_nothing(self) -> None:
        """After the first time; nor do puts."""
        self.bury(0, 1500)
        self.sums()
        self.assertGreaterEqual(len(self.listings()), 1500 // STRETCH_ITEMS)
        self.sums()
        self.bury(2000, 20)
        self.sums()
        self.assertEqual(self.listings(), [])
        self.assertEqual(self.sums(), [sum_of(self.items())])

    def test_it_is_learned_in_small_turns(self) -> None:
        """A write that comes meanwhile is answered long before the sum."""
        self.bury(0, 2000)
        order: list[str] = []
        summed = self.store.sum_items(b"", END, parts=1, now=NOW)
        summed.addCallback(lambda _: order.append("sum"))
        written = self.store.put_envelopes([letter(9000).envelope], NOW)
        written.addCallback(lambda _: order.append("put"))
        self.result(summed)
        self.assertEqual(order, ["put", "sum"])
        self.assertGreaterEqual(len(self.listings()), 2000 // STRETCH_ITEMS)

    def test_many_at_once(self) -> None:
        """Each gets what it asked for, also as of another hour."""
        self.bury(0, 600)
        self.bury(1000, 600, lives_hours=3)
        asked = [
            (hours, self.store.sum_items(b"", END, parts=MAX_PARTS, now=at(hours)))
            for hours in (0, 6, 0, 6, 6, 0)
        ]
        for hours, answer in asked:
            self.assertEqual(joined(self.result(answer)).count, 1200 if hours == 0 else 600)

    def test_more_ends_in_an_hour_than_is_taken_out_one_by_one(self) -> None:
        """The sums are learned anew."""
        self.bury(0, MAX_MOVED + 100, lives_hours=3)
        self.bury(5000, 300)
        self.assertEqual(self.sums()[0].count, MAX_MOVED + 400)
        self.assertEqual(self.sums(now=at(6)), [sum_of(self.items(at(6)))])
        self.assertEqual(self.sums(now=at(6))[0].count, 300)

    def test_two_hours_by_turns(self) -> None:
        """Peers whose clocks differ, or one who wants to keep this node busy: nothing is read."""
        self.bury(0, MAX_MOVED + 100, lives_hours=3)
        for hours in (4, 5):
            self.sums(now=at(hours))
        self.listings()
        for hours in (4, 5, 4, 5):
            self.assertEqual(
                self.sums(now=at(hours))[0].count, MAX_MOVED + 100 if hours == 4 else 0
            )
        self.assertEqual(self.listings(), [])

    def test_puts_while_it_is_learned(self) -> None:
        """Each is in the sum once, whether it came before or after its stretch was read."""
        self.bury(0, 1000)
        answers: list[Deferred[Any]] = []
        for n in range(12):
            answers.append(self.store.sum_items(b"", END, parts=1, now=NOW))
            letters = [letter(5000 + 20 * n + m, box=mailbox(m)) for m in range(20)]
            answers.append(self.store.put_envelopes([it.envelope for it in letters], NOW))
            answers.append(self.store.drop_items([it.item for it in letters[:5]]))
        for answer in answers:
            self.result(answer)
        self.assertEqual(self.sums(), [sum_of(self.items())])
        self.assertEqual(self.sums()[0].count, 1000 + 12 * 15)

    def test_while_nothing_can_be_written(self) -> None:
        """Replicas that lack something can still find out what there is."""
        self.bury(0, 600)
        before = self.items()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.assertEqual(self.sums(), [sum_of(before)])
            other.execute("ROLLBACK")

    def test_what_is_rolled_back_is_in_no_sum(self) -> None:
        """A write that fails takes its commit with it; the sums are learned anew."""
        self.bury(0, 100)
        self.sums()
        bad = KnownPeer(bytes(32), None, 1.0)  # type: ignore[arg-type]
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            put = self.store.put_envelopes([letter(900).envelope], NOW)
            guilty = self.store.save_peers([bad])
            other.execute("ROLLBACK")
        self.result(put)
        with self.assertRaises(StoreError):
            self.result(guilty)
        self.assertEqual(self.sums(), [sum_of(self.items())])
        self.assertEqual(self.sums()[0].count, 101)

    def test_a_store_that_is_opened_again(self) -> None:
        """Knows nothing, and learns the same."""
        self.bury(0, 700)
        self.result(self.store.put_records([record(1, 1)], NOW))
        before = self.sums()
        self.result(self.store.close())
        self.store = self.open()
        self.assertEqual(self.sums(), before)

    def test_statements_use_indexes(self) -> None:
        """In the order of the places, without sorting; and what ends is found by its hour."""
        names = ("key", "name", "last_key", "last_name")
        numbers = ("hour", "tombstone_hour", "to", "tombstone_to", "limit")
        given = {**dict.fromkeys(names, b"k"), **dict.fromkeys(numbers, 1)}
        with closing(sqlite3.connect(self.path)) as other:
            for text in (ranges._LIST, ranges._LIST_ENDING):
                plan = other.execute(f"EXPLAIN QUERY PLAN {text}", given).fetchall()
                steps = " ".join(str(row[3]) for row in plan)
                self.assertEqual(steps.count("SEARCH"), 3, steps)
                self.assertNotIn("TEMP B-TREE", steps)
                self.assertNotIn("SCAN envelope", steps)
