"""A node that leaves for good is never the reason that there are fewer copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import InternalError
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.mailbox.belongings import FAR_HEIRS
from tace.mailbox.leave import MAX_WATCHERS, CannotLeave, Stage, Standing
from tace.seams import Item, ItemState
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import CompareRanges
from tests.delivery.nodes import stamped_blob
from tests.letters import Box, secret
from tests.mailbox.test_repair import RepairTestCase
from tests.network import TestNode

SETTINGS = {
    "ring.replicas": 3,
    "ring.repair_after_seconds": 3600.0,
    "ring.forget_after_seconds": 7200.0,
    "ring.reconcile_seconds": 300.0,
}
"""Nothing here is repaired because somebody is dead for long enough."""
WITH_REPAIR = {**SETTINGS, "ring.reconcile_seconds": 10.0}
LEAVE_SECONDS = 60.0


class LeaveTestCase(RepairTestCase):
    """Seven nodes, three copies of each of 60 letters; one node leaves."""

    count = 7
    settings: Mapping[str, Any] = SETTINGS

    def setUp(self) -> None:
        self.nodes = self.network_of(self.count, **self.settings)
        self.letters_before = [e for n in range(20) for e in self.letters(3, Box(f"b{n}"))]
        self.deposit(self.letters_before)
        self.network.run(5.0)
        self.leaver = self.nodes[self.count // 2]
        self.others = [node for node in self.nodes if node is not self.leaver]
        self.told: list[Standing] = []

    def deposit(self, letters: list[Envelope]) -> None:
        sender = self.nodes[0].core.deposit
        for letter in letters:
            (outcome,) = self.network.result(sender.envelopes([letter.encoded]))
            self.assertEqual(outcome.state, "stored")

    def leave(self, node: TestNode, *, consent: bool = False) -> Deferred[None]:
        """Fires when it has left, and is gone by then."""
        left: Deferred[None] = Deferred()

        def gone() -> None:
            node.kill()
            left.callback(None)

        node.core.leave.when_left(lambda: self.network.clock.callLater(0, gone))
        node.core.leave.begin(consent=consent)
        node.core.leave.watch(self.told.append)
        return left

    def copies(self, letter: Envelope) -> int:
        return len(self.holders(self.others, letter))


class HandingOver(LeaveTestCase):
    """What is there afterwards."""

    def test_as_many_copies_as_before_when_it_goes(self) -> None:
        """The moment it has left, and not only after a repair; without one death."""
        self.network.result(self.leave(self.leaver), LEAVE_SECONDS)
        self.assertEqual([self.copies(letter) for letter in self.letters_before], [3] * 60)
        self.network.run(30.0)
        deaths = sum(node.counters.counts.get("deaths_total", 0) for node in self.others)
        self.assertEqual(deaths, 0)
        for node in self.others:
            sets = [s for _, s in node.core.membership.arcs_held()]
            self.assertFalse(any(self.leaver.id in s.everyone for s in sets))
            self.assertEqual({s.size for s in sets}, {3})

    def test_it_moves_about_what_it_held(self) -> None:
        """Each copy once, and nothing else."""
        held = len(self.items(self.leaver))
        before = [len(self.items(node)) for node in self.others]
        moved_before = self.moved()
        self.network.result(self.leave(self.leaver), LEAVE_SECONDS)
        gained = sum(len(self.items(n)) - b for n, b in zip(self.others, before, strict=True))
        self.assertGreater(held, 10)
        self.assertEqual(gained, held)
        self.assertLessEqual(self.moved() - moved_before, held)

    def moved(self) -> int:
        names = ("repaired_items_total", "handed_over_items_total")
        return sum(n.counters.counts.get(name, 0) for n in self.nodes for name in names)

    def test_what_only_it_holds_is_handed_over(self) -> None:
        """A letter, an ack, a removal, a record and a chunk of a file, on no other disk, and in
        arcs that are not its own."""
        now = self.network.clock.seconds()
        box = Box("only here")
        first, second, third = self.letters(3, box)
        store = self.leaver.store
        self.put(self.leaver, [first, second, third])
        self.network.result(store.put_tombstones([Tombstone.of(second, secret(1))], now))
        removal = Removal.sign(box.key, box.kind, [(third.id, third.expires_hours)])
        self.network.result(store.put_removals([removal], now))
        record = UserRecord.sign(
            SigningKey.from_seed(b"u" * 48),
            kind=KIND_DEVICE_LIST,
            device=NO_DEVICE,
            sequence=1,
            expires_hours=int(now // 3600) + 10,
            payload=b"p",
        )
        self.network.result(store.put_records([record], now))
        blobs = [stamped_blob(n, now) for n in range(4)]
        self.network.result(store.put_blobs(blobs, now))
        self.network.result(self.leave(self.leaver), LEAVE_SECONDS)
        expected = {
            Item(box.id, first.id, ItemState.ENVELOPE),
            Item(box.id, second.id, ItemState.TOMBSTONE),
            Item(box.id, third.id, ItemState.TOMBSTONE),
        }
        keepers = [n for n in self.others if expected & self.items(n)]
        self.assertEqual(len(keepers), 3)
        for node in keepers:
            self.assertLessEqual(expected, self.items(node))
        records = [
            n for n in self.others if self.network.result(n.store.get_record(record.key, now))
        ]
        self.assertEqual(len(records), 3)
        for blob in blobs:
            there = [
                n for n in self.others if self.network.result(n.store.get_blob(blob.hash, now))
            ]
            self.assertEqual(len(there), 3)

    def test_written_while_it_leaves(self) -> None:
        """Every write is stored, and has its copies when it has gone."""
        left = self.leave(self.leaver)
        written = []
        for n in range(60):
            (letter,) = self.letters(1, Box(f"late{n}"))
            self.deposit([letter])
            written.append(letter)
            self.network.run(0.1)
        self.network.result(left, LEAVE_SECONDS)
        self.network.run(2.0)
        for letter in written + self.letters_before:
            self.assertGreaterEqual(self.copies(letter), 3)

    def test_two_at_the_same_time(self) -> None:
        """Neither hands anything to the other."""
        other = self.others.pop()
        first, second = self.leave(self.leaver), self.leave(other)
        self.network.result(first, LEAVE_SECONDS)
        self.network.result(second, LEAVE_SECONDS)
        self.assertEqual([self.copies(letter) for letter in self.letters_before], [3] * 60)

    def test_progress(self) -> None:
        """It says how much there is, and comes to nothing left."""
        self.network.result(self.leave(self.leaver), LEAVE_SECONDS)
        stages = [standing.stage for standing in self.told]
        self.assertEqual(stages, sorted(stages, key=list(Stage).index))
        self.assertEqual(stages[-1], Stage.LEFT)
        most = max(standing.progress.items_left for standing in self.told)
        self.assertGreater(most, 0)
        last = self.told[-1].progress
        self.assertEqual((last.arcs_left, last.items_left, last.waiting), (0, 0, ""))
        self.assertGreater(last.arcs, 0)
        self.assertGreaterEqual(last.items, 20)


class Waiting(LeaveTestCase):
    """Where it does not get on."""

    def fill(self, max_bytes: int) -> None:
        """The disks of the others have so much room."""
        for node in self.others:
            node.store._max_bytes = max_bytes

    def test_one_that_is_full(self) -> None:
        """It stays until there is room."""
        self.fill(1)
        left = self.leave(self.leaver)
        self.network.run(60.0)
        self.assertNoResult(left)
        self.assertIn("is full", self.told[-1].progress.waiting)
        self.assertGreater(self.told[-1].progress.arcs_left, 0)
        self.fill(1 << 40)
        self.network.result(left, LEAVE_SECONDS)
        self.assertEqual([self.copies(letter) for letter in self.letters_before], [3] * 60)

    def test_one_that_does_not_confirm(self) -> None:
        """It lies that it has nothing to compare: nobody can make the leaver go early."""
        heir = self.others[0]
        procedures: Any = heir.raw_links._procedures
        real = procedures[CompareRanges]

        async def refusing(peer: bytes, message: CompareRanges) -> Any:
            raise InternalError("it will not say")

        procedures[CompareRanges] = refusing
        left = self.leave(self.leaver)
        self.network.run(60.0)
        self.assertNoResult(left)
        self.assertIn("does not confirm", self.told[-1].progress.waiting)
        procedures[CompareRanges] = real
        self.network.result(left, LEAVE_SECONDS)

    def test_killed_in_the_middle(self) -> None:
        """It is a member again when it starts, everywhere, and nothing is lost."""
        self.fill(1)
        self.leave(self.leaver)
        self.network.run(10.0)
        self.assertEqual(self.leaver.core.state, "leaving")
        held = self.items(self.leaver)
        self.leaver.kill()
        again = self.leaver.again()
        self.network.run(20.0)
        self.assertTrue(again.core.ring.joined)
        self.assertFalse(again.core.leave.under_way)
        self.assertEqual(again.core.state, "member")
        self.assertEqual(self.items(again), held)
        for node in self.others:
            self.assertFalse(node.core.membership.is_leaving(again.id))
            self.assertFalse(node.core.membership.is_dead(again.id))

    def test_one_that_comes_back_after_it_left(self) -> None:
        """A fresher record ends it."""
        self.network.result(self.leave(self.leaver), LEAVE_SECONDS)
        self.network.run(5.0)
        self.assertTrue(all(n.core.membership.has_left(self.leaver.id) for n in self.others))
        again = self.leaver.again()
        self.network.run(20.0)
        self.assertTrue(again.core.ring.joined)
        for node in self.others:
            self.assertFalse(node.core.membership.has_left(again.id))
            self.assertIn(again.id, [r.node_id for r in node.core.membership.living()])


class Refusing(LeaveTestCase):
    """Where it does not begin."""

    count = 3

    def test_fewer_nodes_than_copies(self) -> None:
        """Not without consent; with it, everyone who is left has everything."""
        with self.assertRaisesRegex(CannotLeave, "2 other nodes, for 3 copies") as caught:
            self.leaver.core.leave.begin()
        self.assertTrue(caught.exception.consent)
        self.assertFalse(self.leaver.core.leave.under_way)
        only = self.letters(1, Box("only here"))
        self.put(self.leaver, only)
        self.network.result(self.leave(self.leaver, consent=True), LEAVE_SECONDS)
        self.assertEqual(self.copies(only[0]), 2)

    def test_alone(self) -> None:
        """What is there stays there."""
        for node in self.others:
            node.kill()
        self.network.run(30.0)
        with self.assertRaisesRegex(CannotLeave, "no other node"):
            self.leaver.core.leave.begin()
        held = self.items(self.leaver)
        self.network.result(self.leave(self.leaver, consent=True), LEAVE_SECONDS)
        self.assertEqual(self.items(self.leaver), held)

    def test_twice(self) -> None:
        """It is leaving already."""
        self.leave(self.leaver, consent=True)
        with self.assertRaisesRegex(CannotLeave, "already"):
            self.leaver.core.leave.begin(consent=True)

    def test_before_it_is_a_member(self) -> None:
        """It does not hold its part yet."""
        late = self.network.node("late", seeds=("nobody:1",))
        with self.assertRaisesRegex(CannotLeave, "joining"):
            late.core.leave.begin(consent=True)

    def test_watchers_are_bounded(self) -> None:
        """One more is refused, and one that ends makes room."""
        leave = self.leaver.core.leave
        ends = [leave.watch(self.told.append) for _ in range(MAX_WATCHERS)]
        with self.assertRaises(CannotLeave):
            leave.watch(self.told.append)
        ends[0]()
        leave.watch(self.told.append)


class FarAway(LeaveTestCase):
    """Copies that lie where this node has nothing to ask: of arcs that were its own once."""

    count = 14
    settings = WITH_REPAIR

    def test_they_are_offered_to_those_who_keep_them(self) -> None:
        """Also a letter that is on no other disk; as many copies are made of it as of any."""
        own = self.leaver.id
        membership = self.leaver.core.membership
        boxes = [Box(f"far{n}") for n in range(200)]
        far = [box for box in boxes if not membership._placement_of(box.id).may_ask(own, box.id)]
        self.assertGreater(len(far), 5)
        letters = [letter for box in far for letter in self.letters(1, box)]
        self.put(self.leaver, letters)
        self.network.result(self.leave(self.leaver), LEAVE_SECONDS)
        self.assertTrue(all(self.copies(letter) >= FAR_HEIRS for letter in letters))
        self.assertEqual([self.copies(letter) for letter in self.letters_before], [3] * 60)
        # The rest is the replicas' own repair.
        self.network.run(120.0)
        self.assertTrue(all(self.copies(letter) == 3 for letter in letters))

    def test_one_that_takes_nothing(self) -> None:
        """It stays."""
        own = self.leaver.id
        membership = self.leaver.core.membership
        boxes = (Box(f"far{n}") for n in range(200))
        box = next(b for b in boxes if not membership._placement_of(b.id).may_ask(own, b.id))
        (letter,) = self.letters(1, box)
        self.put(self.leaver, [letter])
        for node in self.others:
            node.core.replica.closed = True
        left = self.leave(self.leaver)
        self.network.run(30.0)
        self.assertNoResult(left)
        self.assertIn("not-stored", self.told[-1].progress.waiting)
        for node in self.others:
            node.core.replica.closed = False
        self.network.result(left, LEAVE_SECONDS)
        self.assertGreaterEqual(self.copies(letter), FAR_HEIRS)
