"""Copies that go to the next candidate, with a hint, and home again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import InternalError, RateLimited
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.ids import Arc
from tace.mailbox.bringing import BATCH_ITEMS
from tace.mailbox.handoff import TURN_SECONDS
from tace.seams import HINT_SECONDS, Item, ItemState
from tace.wire.fields import PutResult, TombstoneField
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import (
    CompareRanges,
    ListBlobs,
    ListItems,
    PutAnswer,
    PutEnvelopes,
    PutRecord,
    PutTombstones,
    StoreBlob,
)
from tests.delivery.nodes import DeliveryTestCase, stamped_blob
from tests.letters import Box, secret
from tests.network import MemoryNetwork, TestNode

WHOLE = Arc(bytes(32), bytes(32))


class StandInTestCase(DeliveryTestCase):
    """Nine nodes, three of which keep the mailbox; one more sends."""

    count = 9
    replicas = 3

    def setUp(self) -> None:
        super().setUp()
        self.members = self.by_id(self.nodes[0].core.membership.replica_set(self.box.id).members)
        candidates = self.by_id(self.nodes[0].core.membership.candidates(self.box.id))
        self.others = [node for node in candidates if node not in self.members]
        self.member, self.stand_in = self.members[0], self.others[0]
        self.sender = self.nodes.index(self.others[-1])

    def by_id(self, ids: tuple[bytes, ...]) -> list[TestNode]:
        nodes = {node.id: node for node in self.nodes}
        return [nodes[node] for node in ids]

    def holds(self, node: TestNode, envelope: Envelope) -> bool:
        found = node.store.get_envelopes(
            envelope.mailbox, [envelope.id], self.network.clock.seconds()
        )
        return bool(self.network.result(found))

    def holders(self, envelope: Envelope) -> list[TestNode]:
        return [node for node in self.nodes if self.holds(node, envelope)]

    def hints(self, node: TestNode, member: TestNode | None = None) -> list[Item]:
        member = member or self.member
        items: list[Item] = self.network.result(node.store.list_hints(member.id, 1000))
        return items

    def no_repair(self) -> None:
        """Nobody answers those who would repair: what arrives was brought."""

        async def busy(peer: bytes, message: object) -> Any:
            raise InternalError("busy")

        for node in self.nodes:
            self.lie(node, CompareRanges, busy)
            self.lie(node, ListItems, busy)
            self.lie(node, ListBlobs, busy)

    def back(self, node: TestNode) -> TestNode:
        """It is started again, and has a moment."""
        again = node.again()
        self.nodes[self.nodes.index(node)] = again
        self.network.run(3.0)
        return again


class WritingTests(StandInTestCase):
    """Where copies go while a member cannot take them."""

    def test_a_member_that_is_away(self) -> None:
        """The next candidate has it and knows for whom; it is no copy of the n."""
        self.member.drain()
        letter = self.letter(1)
        self.network.frames.clear()
        outcome = self.sent(self.sender, letter, within=0.1)
        self.network.run(0.1)
        self.assertEqual((outcome.state, outcome.of), ("stored", 3))
        self.assertEqual(
            self.hints(self.stand_in), [Item(letter.mailbox, letter.id, ItemState.ENVELOPE)]
        )
        self.assertCountEqual(self.holders(letter), [*self.members[1:], self.stand_in])
        asked = {b for _, b, kind in self.network.frames if kind == "PutEnvelopes"}
        self.assertNotIn(self.member.id, asked)

    def test_a_member_that_is_dead(self) -> None:
        """The same, before and after it is replaced."""
        self.member.kill()
        self.network.run(1.0)
        for number, seconds in enumerate((0.0, 40.0)):
            self.network.run(seconds)
            letter = self.letter(number)
            self.assertEqual(self.sent(self.sender, letter, within=0.1).state, "stored")
            self.network.run(0.1)
            self.assertCountEqual(self.holders(letter), [*self.members[1:], self.stand_in])
            self.assertIn(
                Item(letter.mailbox, letter.id, ItemState.ENVELOPE), self.hints(self.stand_in)
            )

    def test_hinted_copies_make_no_majority(self) -> None:
        """Two of three members away: ``partial 1 of 3``, and two copies beyond."""
        for member in self.members[:2]:
            member.drain()
        outcome = self.sent(self.sender, self.letter(1), within=0.1)
        self.assertEqual(
            (outcome.state, outcome.copies, outcome.of, outcome.stand_ins), ("partial", 1, 3, 2)
        )
        for member, stand_in in zip(self.members[:2], self.others[:2], strict=True):
            self.assertEqual(len(self.hints(stand_in, member)), 1)

    def test_a_member_that_fails_just_now(self) -> None:
        """Nobody knew before: the copy goes on to the next candidate all the same."""

        async def fails(peer: bytes, message: PutEnvelopes) -> PutAnswer:
            raise InternalError("its disk")

        self.lie(self.member, PutEnvelopes, fails)
        letter = self.letter(1)
        self.assertEqual(self.sent(self.sender, letter, within=0.1).state, "stored")
        self.network.run(0.1)
        self.assertEqual(
            self.hints(self.stand_in), [Item(letter.mailbox, letter.id, ItemState.ENVELOPE)]
        )

    def test_a_member_that_has_too_much_to_do(self) -> None:
        """Is not gone: nobody else gets its work as well."""

        async def busy(peer: bytes, message: PutEnvelopes) -> PutAnswer:
            raise RateLimited("slower")

        self.lie(self.member, PutEnvelopes, busy)
        letter = self.letter(1)
        self.assertEqual(self.sent(self.sender, letter, within=0.1).state, "stored")
        self.network.run(0.1)
        self.assertCountEqual(self.holders(letter), self.members[1:])

    def test_when_no_candidate_is_left(self) -> None:
        """It is as before there were hints."""
        self.network = MemoryNetwork(seed=2, **{"ring.replicas": 8})
        self.nodes = self.network.ring(3)
        self.nodes[1].drain()
        self.nodes[2].drain()
        outcome = self.sent(0, self.letter(1), within=0.1)
        self.assertEqual((outcome.state, outcome.copies, outcome.stand_ins), ("partial", 1, 0))


class FullTests(StandInTestCase):
    """A member that takes nothing new."""

    def say_full(self, full: bool) -> None:
        self.member.core.say_full(full)
        self.network.run(2.0)

    def test_it_is_passed_over_and_not_counted(self) -> None:
        """Nobody asks it; what frees room it gets all the same."""
        letter = self.letter(1)
        self.assertEqual(self.sent(self.sender, letter).state, "stored")
        self.network.run(0.5)
        self.say_full(True)
        self.network.frames.clear()
        later = self.letter(2)
        outcome = self.sent(self.sender, later, within=0.1)
        self.network.run(0.1)
        self.assertEqual((outcome.state, outcome.of), ("stored", 3))
        self.assertCountEqual(self.holders(later), [*self.members[1:], self.stand_in])
        asked = {b for _, b, kind in self.network.frames if kind == "PutEnvelopes"}
        self.assertNotIn(self.member.id, asked)
        ack = self.box.tombstone(letter, 1)
        (acked,) = self.network.result(self.nodes[self.sender].core.deposit.acks([ack], []))
        self.network.run(0.1)
        self.assertEqual(acked.state, "stored")
        self.assertFalse(self.holds(self.member, letter))

    def test_it_is_not_gone(self) -> None:
        """It keeps its place, answers reads, and gets what was meant for it when it has room."""
        self.say_full(True)
        letter = self.letter(1)
        self.sent(self.sender, letter)
        self.network.run(30.0)
        self.assertFalse(self.nodes[0].core.membership.is_dead(self.member.id))
        self.assertEqual(len(self.hints(self.stand_in)), 1)
        self.no_repair()
        self.say_full(False)
        self.network.run(12.0)
        self.assertTrue(self.holds(self.member, letter))
        self.assertEqual(self.hints(self.stand_in), [])

    def test_saying_it_twice_is_saying_it_once(self) -> None:
        """No record is signed for nothing."""
        self.say_full(True)
        record = self.member.core.membership.current
        self.say_full(True)
        self.assertIs(self.member.core.membership.current, record)

    def test_it_says_so_only_in_its_answer(self) -> None:
        """The record is not here yet: then the word of the answer sends the copy on."""

        async def full(peer: bytes, message: PutEnvelopes) -> PutAnswer:
            return PutAnswer(tuple(PutResult("full") for _ in message.envelopes))

        self.lie(self.member, PutEnvelopes, full)
        letter = self.letter(1)
        self.assertEqual(self.sent(self.sender, letter, within=0.1).state, "stored")
        self.network.run(0.1)
        self.assertEqual(
            self.hints(self.stand_in), [Item(letter.mailbox, letter.id, ItemState.ENVELOPE)]
        )

    def test_where_everyone_is_full(self) -> None:
        """The word is ``full``."""
        for node in self.nodes:
            node.core.say_full(True)
        self.network.run(3.0)
        outcome = self.sent(self.sender, self.letter(1), within=0.1)
        self.assertEqual((outcome.state, outcome.copies), ("full", 0))


class HandoffTests(StandInTestCase):
    """The member is back."""

    def test_everything_that_is_stored_is_brought(self) -> None:
        """Envelopes, tombstones by secret and by removal, records, blobs; over several batches."""
        deposit = self.nodes[self.sender].core.deposit
        now = self.network.clock.seconds()
        acked, removed = self.letter(1), self.letter(2)
        self.put_everywhere([acked, removed])
        self.member.drain()
        letters = [self.letter(number) for number in range(10, 10 + 2 * BATCH_ITEMS)]
        self.network.result(deposit.envelopes([letter.encoded for letter in letters]))
        removal = Removal.sign(self.box.key, self.box.kind, [(removed.id, removed.expires_hours)])
        ack = TombstoneField(self.box.id, Tombstone.of(acked, secret(1)).encoded)
        self.network.result(deposit.acks([ack], [removal.encoded]))
        record = self.record_of_members(now)
        self.network.result(deposit.record(record.encoded))
        blob = self.blob_of_members(now)
        self.network.result(
            Deferred.fromCoroutine(self.nodes[self.sender].core.blobs.put(blob)), within=10.0
        )
        self.network.run(1.0)
        hinted = {item for node in self.nodes for item in self.hints(node)}
        states = [item.state for item in hinted]
        self.assertEqual([states.count(state) for state in ItemState], [2 * BATCH_ITEMS, 2, 1, 1])
        self.no_repair()
        member = self.back(self.member)
        for letter in letters:
            self.assertTrue(self.holds(member, letter))
        for letter in (acked, removed):
            self.assertFalse(self.holds(member, letter))
        now = self.network.clock.seconds()
        self.assertEqual(self.network.result(member.store.get_record(record.key, now)), record)
        self.assertEqual(self.network.result(member.store.get_blob(blob.hash, now)), blob)
        for node in self.nodes:
            self.assertEqual(self.hints(node), [])
        self.assertIn(self.stand_in, self.holders(letters[0]))

    def record_of_members(self, now: float) -> UserRecord:
        """A record of which the member is a replica."""
        for number in range(1000):
            record = UserRecord.sign(
                SigningKey.from_seed(number.to_bytes(48)),
                kind=KIND_DEVICE_LIST,
                device=NO_DEVICE,
                sequence=1,
                expires_hours=int(now // 3600) + 10,
                payload=b"p",
            )
            if self.keeps(record.key):
                return record
        raise AssertionError("no such record")

    def blob_of_members(self, now: float) -> Any:
        for number in range(1000):
            blob = stamped_blob(number, now)
            if self.keeps(blob.hash):
                return blob
        raise AssertionError("no such blob")

    def keeps(self, key: bytes) -> bool:
        return self.member.id in self.nodes[0].core.membership.replica_set(key).members

    def test_what_was_opened_meanwhile_comes_as_a_tombstone(self) -> None:
        """Though the tombstone was not hinted to this holder."""
        self.member.drain()
        letter = self.letter(1)
        self.sent(self.sender, letter)
        self.network.run(0.1)
        ack = Tombstone.of(letter, secret(1))
        now = self.network.clock.seconds()
        self.network.result(self.stand_in.store.put_tombstones([ack], now))
        self.no_repair()
        member = self.back(self.member)
        item = Item(letter.mailbox, letter.id, ItemState.TOMBSTONE)
        found = self.network.result(member.store.get_items([item], now))
        self.assertEqual(found[1], [ack])

    def test_a_holder_that_was_restarted_remembers(self) -> None:
        """The hint lies beside the copy."""
        self.member.drain()
        letter = self.letter(1)
        self.sent(self.sender, letter)
        self.network.run(0.1)
        self.stand_in.kill()
        self.network.run(5.0)
        self.back(self.stand_in)
        self.no_repair()
        self.assertTrue(self.holds(self.back(self.member), letter))

    def test_a_member_that_goes_again_in_the_middle(self) -> None:
        """Nothing is forgotten; the rest comes when it is back for good."""
        self.member.drain()
        letters = [self.letter(number) for number in range(3 * BATCH_ITEMS)]
        deposit = self.nodes[self.sender].core.deposit
        self.network.result(deposit.envelopes([letter.encoded for letter in letters]))
        self.network.run(0.1)
        self.no_repair()
        again = self.member.again()
        self.nodes[self.nodes.index(self.member)] = again
        while not any(self.holds(again, letter) for letter in letters):
            self.network.run(0.01)
        again.kill()
        self.network.run(1.0)
        left = self.hints(self.stand_in)
        self.assertGreater(len(left), 0)
        member = self.back(again)
        self.network.run(12.0)
        self.assertTrue(all(self.holds(member, letter) for letter in letters))
        self.assertEqual(self.hints(self.stand_in), [])

    def test_a_slow_one_holds_up_the_others_only_for_its_turn(self) -> None:
        """Two are back; the first takes its time with every batch."""
        slow, other = self.members[:2]
        for node in (slow, other):
            node.drain()
        letters = [self.letter(number) for number in range(8 * BATCH_ITEMS)]
        self.put(self.stand_in, letters)
        self.no_repair()
        items = [Item(letter.mailbox, letter.id, ItemState.ENVELOPE) for letter in letters]
        for node in (slow, other):
            remembered = self.stand_in.core.handoff.remember(node.id, items)
            self.network.result(Deferred.fromCoroutine(remembered))
        slow_again = slow.again()
        self.slow(slow_again, PutEnvelopes, 2.4)
        self.nodes[self.nodes.index(slow)] = slow_again
        other_again = self.back(other)
        self.network.run(TURN_SECONDS + 1.0)
        self.assertTrue(all(self.holds(other_again, letter) for letter in letters))
        self.assertFalse(all(self.holds(slow_again, letter) for letter in letters))
        self.network.run(60.0)
        self.assertTrue(all(self.holds(slow_again, letter) for letter in letters))

    def test_a_member_that_came_back_full(self) -> None:
        """It says so in its answer: the hints wait until it has room."""
        self.member.drain()
        letter = self.letter(1)
        self.sent(self.sender, letter)
        self.network.run(0.1)
        self.no_repair()
        member = self.member.again()
        self.nodes[self.nodes.index(self.member)] = member
        honest = self.truth(member, PutEnvelopes)

        async def full(peer: bytes, message: PutEnvelopes) -> PutAnswer:
            return PutAnswer(tuple(PutResult("full") for _ in message.envelopes))

        self.lie(member, PutEnvelopes, full)
        self.network.run(15.0)
        self.assertEqual(len(self.hints(self.stand_in)), 1)
        self.lie(member, PutEnvelopes, honest)
        self.network.run(12.0)
        self.assertEqual(self.hints(self.stand_in), [])
        self.assertTrue(self.holds(member, letter))

    def test_after_three_hours_the_address_is_forgotten_and_not_the_copy(self) -> None:
        """Repair takes care then."""
        self.member.kill()
        self.network.run(1.0)
        letter = self.box.envelope(1, self.network.clock.seconds())
        self.sent(self.sender, letter)
        self.network.run(0.1)
        store = self.stand_in.store
        later = self.network.clock.seconds() + HINT_SECONDS
        self.assertEqual(len(self.hints(self.stand_in)), 1)
        self.assertEqual(self.network.result(store.expire_hints(later)), 1)
        self.assertEqual(self.hints(self.stand_in), [])
        self.assertTrue(self.holds(self.stand_in, letter))


class PermissionTests(StandInTestCase):
    """Who may hint whom."""

    def setUp(self) -> None:
        super().setUp()
        self.network = MemoryNetwork(seed=3, **{"ring.replicas": 1})
        self.nodes = self.network.ring(6)
        self.placed = self.by_id(
            tuple(self.nodes[0].core.membership.table.nodes_clockwise(self.box.id))
        )

    def code(self, at: TestNode, request: Any) -> str:
        asker = next(node for node in self.nodes if node is not at)
        answer = self.network.result(asker.core.links.call(at.id, request))
        (result,) = answer.results
        code: str = result.code
        return code

    def test_the_holder_within_3n_and_the_member_within_2n(self) -> None:
        """Others are refused by name, and nothing is kept."""
        first, second, third, fourth = self.placed[:4]
        letter = self.letter(1)
        for holder, member, code in (
            (second, first, "stored"),
            (third, second, "stored"),
            (first, third, "not-replica"),
            (fourth, first, "redirect"),
        ):
            before = holder.counters.counts.get("hints_total", 0)
            request = PutEnvelopes((letter.encoded,), (), member.id)
            self.assertEqual(self.code(holder, request), code)
            self.assertEqual(self.holds(holder, letter), code == "stored")
            kept = holder.counters.counts.get("hints_total", 0) - before
            self.assertEqual(kept, int(code == "stored"))
        self.network.run(5.0)
        self.assertTrue(self.holds(first, letter))
        self.assertEqual([self.hints(second, first), self.hints(third, second)], [[], []])

    def test_names_that_are_none(self) -> None:
        """Of a node nobody knows, of too few bytes."""
        for name in (b"x" * 32, b"x"):
            request = PutEnvelopes((self.letter(1).encoded,), (), name)
            self.assertEqual(self.code(self.placed[1], request), "not-replica")

    def test_the_same_for_everything_that_is_stored(self) -> None:
        """Tombstones, removals, records, blobs."""
        holder, stranger = self.placed[0], b"x" * 32
        letter = self.letter(1)
        field = TombstoneField(self.box.id, Tombstone.of(letter, secret(1)).encoded)
        removal = Removal.sign(self.box.key, self.box.kind, [(letter.id, letter.expires_hours)])
        now = self.network.clock.seconds()
        record = UserRecord.sign(
            SigningKey.from_seed(b"u" * 48),
            kind=KIND_DEVICE_LIST,
            device=NO_DEVICE,
            sequence=1,
            expires_hours=int(now // 3600) + 10,
            payload=b"p",
        )
        blob = stamped_blob(1, now)
        table = self.nodes[0].core.membership.table
        for key, request in (
            (self.box.id, PutTombstones((field,), (), (), stranger)),
            (self.box.id, PutTombstones((), (removal.encoded,), (), stranger)),
            (record.key, PutRecord(record.encoded, (), stranger)),
            (blob.hash, StoreBlob(blob.encoded, (), stranger)),
        ):
            (holder,) = self.by_id((next(table.nodes_clockwise(key)),))
            self.assertEqual(self.code(holder, request), "not-replica")
            self.assertEqual(self.network.result(holder.store.hinted_members()), [])

    def test_a_hint_for_the_receiver_itself(self) -> None:
        """It is the member: there is nothing to remember."""
        holder = self.placed[0]
        letter = self.letter(1)
        request = PutEnvelopes((letter.encoded,), (), holder.id)
        self.assertEqual(self.code(holder, request), "stored")
        self.assertEqual(self.hints(holder, holder), [])


class BoxTests(StandInTestCase):
    """The box of these tests."""

    def test_it_has_candidates_beyond_its_members(self) -> None:
        """Or nothing above means anything."""
        self.assertEqual(len(self.members), 3)
        self.assertEqual(len(self.others), 6)
        self.assertNotEqual(Box("other").id, self.box.id)
