"""What another replica lacks of what is here: all of it, and nothing that a liar makes up."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import ProtocolError
from tace.ids import Arc
from tace.limits.buckets import TokenBucket
from tace.mailbox.lacking import LackingThere
from tace.mailbox.pace import Pace
from tace.seams import Item, ItemState
from tace.wire.objects import Tombstone
from tace.wire.peer import CompareRanges, Finding, PartField, RangeDifferences
from tace.wire.ranges import END, NOTHING, ranges_of
from tests.letters import Box, secret
from tests.mailbox.test_repair import RepairTestCase
from tests.network import TestNode

WHOLE = [(b"", END)]


class LackingTestCase(RepairTestCase):
    """Two nodes that do not repair by themselves meanwhile."""

    def setUp(self) -> None:
        self.here, self.there = self.network_of(2, **{"ring.reconcile_seconds": 3600.0})

    def lacking(self, ranges: Any = WHOLE) -> list[Item]:
        clock: Any = self.network.clock
        pace = Pace(TokenBucket(1e9, 1e9), clock, self.here.counters)
        comparison = LackingThere(self.here.core.links, self.here.store, clock, pace)

        async def collect() -> list[Item]:
            return [item async for few in comparison.items(self.there.id, ranges) for item in few]

        found: list[Item] = self.network.result(Deferred.fromCoroutine(collect()))
        return found

    def held(self, node: TestNode) -> set[Item]:
        return self.items(node)


class FindingOut(LackingTestCase):
    """Against two sets that differ in any way."""

    def test_any_two_sets(self) -> None:
        """Exactly the difference, once each, however much the other one has besides."""
        random = Random(3)
        letters = [e for n in range(12) for e in self.letters(50, Box(f"b{n}"))]
        self.assertEqual(self.lacking(), [])
        for share_here, share_there in ((0.1, 0.9), (0.5, 0.5), (0.9, 0.95)):
            self.put(self.here, [e for e in letters if random.random() < share_here])
            self.put(self.there, [e for e in letters if random.random() < share_there])
            found = self.lacking()
            self.assertEqual(len(found), len(set(found)))
            self.assertEqual(set(found), self.held(self.here) - self.held(self.there))
        self.put(self.there, letters)
        self.assertEqual(self.lacking(), [])

    def test_one_that_holds_nothing(self) -> None:
        """All of it."""
        self.put(self.here, self.letters(100))
        self.assertEqual(set(self.lacking()), self.held(self.here))

    def test_acks(self) -> None:
        """A tombstone lacks where the envelope lies; an envelope does not where it was acked."""
        first, second = self.letters(2)
        now = self.network.clock.seconds()
        self.put(self.here, [first, second])
        self.put(self.there, [first, second])
        self.network.result(self.here.store.put_tombstones([Tombstone.of(first, secret(0))], now))
        self.network.result(self.there.store.put_tombstones([Tombstone.of(second, secret(1))], now))
        self.assertEqual(self.lacking(), [Item(first.mailbox, first.id, ItemState.TOMBSTONE)])

    def test_only_in_the_ranges(self) -> None:
        """What lies beside them is none of its business."""
        boxes = [Box(f"b{n}") for n in range(8)]
        for box in boxes:
            self.put(self.here, self.letters(5, box))
        keys = sorted(box.id for box in boxes)
        arc = Arc(keys[1], keys[4])
        found = self.lacking(ranges_of(arc))
        self.assertEqual({item.key for item in found}, set(keys[2:5]))

    def test_in_step_costs_one_request(self) -> None:
        """With any number of items."""
        letters = self.letters(300)
        self.put(self.here, letters)
        self.put(self.there, letters)
        self.network.frames.clear()
        self.assertEqual(self.lacking(), [])
        kinds = [kind for a, _, kind in self.network.frames if a == self.here.id]
        self.assertEqual(kinds.count("CompareRanges"), 1)


class Liars(LackingTestCase):
    """Whoever answers nonsense is given up, and never asked without end."""

    def setUp(self) -> None:
        super().setUp()
        self.put(self.here, self.letters(100))
        self.asked = 0

    def answers(self, *findings: Finding, looked: int = 1, hours: int = 0) -> None:
        async def lying(peer: bytes, message: CompareRanges) -> RangeDifferences:
            self.asked += 1
            return RangeDifferences(message.hour + hours, looked, findings)

        procedures: Any = self.there.raw_links._procedures
        procedures[CompareRanges] = lying

    def test_nonsense(self) -> None:
        """Each is an error of its own making."""
        part = PartField(b"", b"f" * 16)
        for findings, looked, hours in (
            ((), 0, 0),
            ((), 2, 0),
            ((), 1, 2),
            ((Finding(1),), 1, 0),
            ((Finding(0), Finding(0)), 1, 0),
            ((Finding(0, (part,)),), 1, 0),
            ((Finding(0, (PartField(b"\x80", b"f" * 16), PartField(b"\x90", NOTHING))),), 1, 0),
            ((Finding(0, (PartField(b"\x90", NOTHING), PartField(b"\x80", NOTHING), part)),), 1, 0),
        ):
            self.answers(*findings, looked=looked, hours=hours)
            with self.assertRaises(ProtocolError):
                self.lacking()

    def test_parts_without_end(self) -> None:
        """It splits what it has split, again and again."""

        async def splitting(peer: bytes, message: CompareRanges) -> RangeDifferences:
            self.asked += 1
            findings = []
            for at, field in enumerate(message.ranges):
                middle = field.lower + b"\x01"
                parts = (PartField(middle, b"f" * 16), PartField(field.upper, b"g" * 16))
                findings.append(Finding(at, parts))
            return RangeDifferences(message.hour, len(message.ranges), tuple(findings))

        procedures: Any = self.there.raw_links._procedures
        procedures[CompareRanges] = splitting
        with self.assertRaises(ProtocolError):
            self.lacking()
        self.assertLess(self.asked, 100)

    def test_an_hour_that_goes_on(self) -> None:
        """One hour later than its own it looks again; then no more."""
        self.answers(looked=0, hours=1)
        with self.assertRaises(ProtocolError):
            self.lacking()
        self.assertEqual(self.asked, 2)
