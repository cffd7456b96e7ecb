"""What lies with nodes that keep it no more, and that nobody asks, goes to those who keep it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost, StoreError
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.ids import Arc, NodeId
from tace.limits.buckets import TokenBucket
from tace.mailbox import displaced
from tace.mailbox.displaced import LOOK_SECONDS, MAX_REST_SECONDS, Displaced
from tace.mailbox.pace import Pace
from tace.seams import Item, ItemState, ReplicaSet
from tace.storage.memory import MemoryStore
from tace.wire.fields import MAX_LISTED, BlobName, PutResult
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.message import Message, encode
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import (
    MAX_OFFERED_BLOBS,
    ItemField,
    Offer,
    OfferAnswer,
    PutAnswer,
    PutEnvelopes,
)
from tests.delivery.nodes import stamped_blob
from tests.letters import Box, secret
from tests.mailbox.test_repair import RepairTestCase
from tests.network import START_SECONDS, NoCounters, TestNode

HANDED_ON = 2.5 * LOOK_SECONDS
"""After a change everything has been handed on by then."""


class DisplacedTestCase(RepairTestCase):
    """Eight nodes, two copies, and nobody who repairs meanwhile."""

    def setUp(self) -> None:
        self.nodes = self.network_of(
            8,
            **{
                "ring.replicas": 2,
                "ring.reconcile_seconds": 3600.0,
                "ring.stabilize_quiet_seconds": 15.0,
            },
        )
        self.network.run(HANDED_ON)
        self.network.frames.clear()

    def letter(self, name: str = "far") -> Envelope:
        return self.letters(1, Box(name))[0]

    def ranked(self, key: bytes) -> list[TestNode]:
        """All of them, in the order in which they follow the key."""
        table = self.nodes[0].core.membership.table
        by_id = {node.id: node for node in self.nodes}
        return [by_id[node] for node in table.nodes_clockwise(key)]

    def members(self, key: bytes) -> list[TestNode]:
        ids = self.nodes[0].core.membership.replica_set(key).members
        return [node for node in self.nodes if node.id in ids]

    def have_a_look(self, node: TestNode) -> None:
        """Something changes in its view, nothing of weight."""
        node.core.membership.describe(node.core.membership.description)
        self.network.run(HANDED_ON)

    def offered(self) -> int:
        return sum(name == "Offer" for _, _, name in self.network.frames)


class HandedOnTests(DisplacedTestCase):
    """Whole nodes."""

    def test_what_only_a_far_node_holds(self) -> None:
        """Whoever keeps it has it soon; the far copy stays."""
        letters = [self.letter(f"b{n}") for n in range(30)]
        holder = self.nodes[3]
        far = [e for e in letters if holder in self.ranked(e.mailbox)[4:]]
        self.assertGreater(len(far), 3)
        self.put(holder, far)
        self.have_a_look(holder)
        for letter in far:
            found = self.holders(self.nodes, letter)
            self.assertCountEqual(found, [holder, *self.members(letter.mailbox)])

    def test_everything_that_is_kept(self) -> None:
        """A letter, an ack, a removal, a record, and files."""
        now = self.network.clock.seconds()
        box = Box("far")
        first, second, third = self.letters(3, box)
        holder = self.ranked(box.id)[-1]
        self.put(holder, [first, second, third])
        self.network.result(holder.store.put_tombstones([Tombstone.of(second, secret(1))], now))
        removal = Removal.sign(box.key, box.kind, [(third.id, third.expires_hours)])
        self.network.result(holder.store.put_removals([removal], now))
        records = [
            UserRecord.sign(
                SigningKey.from_seed(bytes([n]) * 48),
                kind=KIND_DEVICE_LIST,
                device=NO_DEVICE,
                sequence=1,
                expires_hours=int(now // 3600) + 10,
                payload=b"p",
            )
            for n in range(1, 9)
        ]
        records = [r for r in records if holder in self.ranked(r.key)[4:]]
        blobs = [stamped_blob(n, now) for n in range(12)]
        blobs = [b for b in blobs if holder in self.ranked(b.hash)[4:]]
        self.assertTrue(records)
        self.assertGreater(len(blobs), 2)
        self.network.result(holder.store.put_records(records, now))
        self.network.result(holder.store.put_blobs(blobs, now))
        self.patch(displaced, "MAX_OFFERED_BLOBS", 1)
        self.have_a_look(holder)
        expected = {
            Item(box.id, first.id, ItemState.ENVELOPE),
            Item(box.id, second.id, ItemState.TOMBSTONE),
            Item(box.id, third.id, ItemState.TOMBSTONE),
        }
        for node in self.members(box.id):
            self.assertLessEqual(expected, self.items(node))
        for record in records:
            for node in self.members(record.key):
                self.assertEqual(
                    self.network.result(node.store.get_record(record.key, now)), record
                )
        for blob in blobs:
            for node in self.members(blob.hash):
                self.assertEqual(self.network.result(node.store.get_blob(blob.hash, now)), blob)

    def test_page_by_page(self) -> None:
        """Many mailboxes, some of them longer than a page."""
        self.patch(displaced, "MAX_LISTED", 4)
        boxes = [Box(f"b{n}") for n in range(20)]
        holder = self.nodes[3]
        far = [box for box in boxes if holder in self.ranked(box.id)[4:]]
        letters = [e for n, box in enumerate(far) for e in self.letters(1 + n % 10, box)]
        self.put(holder, letters)
        self.have_a_look(holder)
        for letter in letters:
            self.assertEqual(len(self.holders(self.members(letter.mailbox), letter)), 2)
        self.assertEqual(self.offers_until_quiet(holder), 0)

    def offers_until_quiet(self, node: TestNode) -> int:
        self.network.frames.clear()
        self.have_a_look(node)
        return self.offered()

    def test_once(self) -> None:
        """Those who have it are not asked again, whatever changes; a new life asks once more, and
        finds nothing lacking."""
        letter = self.letter()
        holder = self.ranked(letter.mailbox)[-1]
        self.put(holder, [letter])
        self.have_a_look(holder)
        self.assertGreater(self.offered(), 0)
        self.assertEqual(self.offers_until_quiet(holder), 0)
        holder.kill()
        self.network.run(5.0)
        self.network.frames.clear()
        holder.again()
        self.network.run(HANDED_ON)
        brought = [name for _, _, name in self.network.frames if name == "PutEnvelopes"]
        self.assertEqual((self.offered(), brought), (2, []))

    def test_nothing_where_nothing_is_displaced(self) -> None:
        """Copies with the first 2N are others' to ask for; a change costs no message."""
        letters = [self.letter(f"b{n}") for n in range(20)]
        for letter in letters:
            for node in self.ranked(letter.mailbox)[:4]:
                self.put(node, [letter])
        for node in self.nodes:
            self.have_a_look(node)
        self.assertEqual(self.offered(), 0)

    def test_who_has_it_is_sent_nothing(self) -> None:
        """Only the other one is."""
        letter = self.letter()
        holder = self.ranked(letter.mailbox)[-1]
        one, other = self.members(letter.mailbox)
        self.put(one, [letter])
        self.put(holder, [letter])
        self.have_a_look(holder)
        sent = [to for _, to, name in self.network.frames if name == "PutEnvelopes"]
        self.assertEqual(sent, [other.id])
        self.assertIn(other, self.holders(self.nodes, letter))

    def test_what_others_say_drops_nothing(self) -> None:
        """A member that claims to have it: the copy here stays."""
        letter = self.letter()
        holder = self.ranked(letter.mailbox)[-1]
        self.put(holder, [letter])
        for node in self.members(letter.mailbox):
            self.answer_offers(node, OfferAnswer(()))
        self.have_a_look(holder)
        self.network.run(900.0)
        self.assertEqual(self.holders(self.nodes, letter), [holder])

    def answer_offers(self, node: TestNode, answer: Message) -> list[Offer]:
        """Have it answer all of them so; what it was offered."""
        asked: list[Offer] = []

        async def lie(peer: NodeId, message: Offer) -> Message:
            asked.append(message)
            return answer

        node.raw_links._procedures = {**node.raw_links._procedures, Offer: lie}
        return asked

    def test_who_says_that_it_is_misplaced(self) -> None:
        """Has nothing brought, and does not count; the other one has it all the same."""
        letter = self.letter()
        holder = self.ranked(letter.mailbox)[-1]
        self.put(holder, [letter])
        one, other = self.members(letter.mailbox)
        stranger = self.network.node("stranger")
        record = stranger.core.membership.current.encoded
        self.answer_offers(one, OfferAnswer((), (0,), (record,)))
        self.have_a_look(holder)
        self.assertCountEqual(self.holders(self.nodes, letter), [other, holder])
        self.assertIsNotNone(holder.core.membership.record_of(stranger.id))
        self.assertGreater(self.offers_until_quiet(holder), 0)

    def test_an_answer_about_what_was_not_offered(self) -> None:
        """Is no answer, for either list, as is one that says a thing twice."""
        letter = self.letter()
        holder = self.ranked(letter.mailbox)[-1]
        self.put(holder, [letter])
        member = self.members(letter.mailbox)[0]
        counts = holder.counters.counts
        for answer in (OfferAnswer((1,)), OfferAnswer((), (1,)), OfferAnswer((0, 0))):
            asked = self.answer_offers(member, answer)
            before = counts.get("displaced_failures_total", 0)
            holder.core.membership.describe(holder.core.membership.description)
            waited = 0.0
            while not asked and waited < MAX_REST_SECONDS:
                self.network.run(1.0)
                waited += 1.0
            # Nothing more is said to it in this look, which goes round twice.
            self.network.run(5.0)
            self.assertEqual(len(asked), 1)
            self.assertEqual(counts.get("displaced_failures_total", 0), before + 1)
            self.assertNotIn(member, self.holders(self.nodes, letter))
            self.network.run(MAX_REST_SECONDS)

    def test_a_member_that_is_full(self) -> None:
        """It is not asked while it says so, and has its copy when it has room again."""
        letter = self.letter()
        holder = self.ranked(letter.mailbox)[-1]
        self.put(holder, [letter])
        full = self.members(letter.mailbox)[0]
        full.core.say_full(True)
        self.network.run(2.0)
        self.network.frames.clear()
        self.have_a_look(holder)
        self.assertNotIn(full.id, [to for _, to, name in self.network.frames if name == "Offer"])
        full.core.say_full(False)
        self.network.run(HANDED_ON + LOOK_SECONDS)
        self.assertIn(full, self.holders(self.nodes, letter))

    def test_a_member_that_does_not_answer(self) -> None:
        """It is tried ever more seldom, once a look, and the other one has its copy."""
        letters = [self.letter(f"b{n}") for n in range(12)]
        holder = self.nodes[3]
        far = [e for e in letters if holder in self.ranked(e.mailbox)[4:]]
        self.put(holder, far)
        silent = self.members(far[0].mailbox)[0]
        times: list[float] = []

        async def refuse(peer: NodeId, message: Offer) -> None:
            times.append(self.network.clock.seconds())

        silent.raw_links._procedures = {**silent.raw_links._procedures, Offer: refuse}
        self.have_a_look(holder)
        self.network.run(4 * MAX_REST_SECONDS)
        self.assertGreater(len(times), 4)
        waits = [later - earlier for earlier, later in pairwise(times)]
        self.assertLess(waits[0], 3 * LOOK_SECONDS)
        self.assertGreaterEqual(waits[-1], MAX_REST_SECONDS)
        for letter in far:
            others = [node for node in self.members(letter.mailbox) if node is not silent]
            self.assertEqual(len(self.holders(others, letter)), len(others))

    def test_a_late_write(self) -> None:
        """By somebody who knows fewer nodes: it is offered, though the mailbox was before."""
        box = Box("late")
        early, late = self.letters(2, box)
        writer, *_, holder, _, _ = self.ranked(box.id)
        self.put(holder, [early])
        self.have_a_look(holder)
        self.network.frames.clear()
        answer: PutAnswer = self.network.result(
            writer.core.links.call(holder.id, PutEnvelopes((late.encoded,)))
        )
        self.assertEqual([result.code for result in answer.results], ["stored"])
        self.network.run(HANDED_ON)
        self.assertEqual(len(self.holders(self.members(box.id), late)), 2)

    def test_too_many_late_writes(self) -> None:
        """Everything is offered again then."""
        self.patch(displaced, "MAX_LATE", 0)
        self.test_a_late_write()

    def test_writes_where_they_belong(self) -> None:
        """Have nobody look."""
        box = Box("here")
        member = self.members(box.id)[0]
        self.network.run(2 * MAX_REST_SECONDS)
        self.assertFalse(member.core.displaced._due)
        sender = self.nodes[0].core.deposit
        self.network.result(sender.envelopes([self.letters(1, box)[0].encoded]))
        self.assertFalse(member.core.displaced._due)


OWN = b"o" * 32
HERE, FAR = Arc(b"\x00" * 32, b"\x40" * 32), Arc(b"\x40" * 32, b"\x00" * 32)


class Faraway:
    """A view in which this node keeps one quarter of the ring, and others keep the rest.

    It is the whereabouts, too: ``unknown`` keys have to be looked up, once.
    """

    own = OWN

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []
        self.others = tuple(bytes([n]) * 32 for n in range(1, 5))
        self.unknown: set[bytes] = set()
        self.looked_up: list[bytes] = []

    def arcs_held(self) -> list[tuple[Arc, ReplicaSet]]:
        return [(HERE, ReplicaSet((OWN,), (OWN,)))]

    def is_candidate(self, node: NodeId, key: bytes, per_replica: int = 3) -> bool:
        return key in HERE

    def replica_set(self, key: bytes) -> ReplicaSet:
        return ReplicaSet(self.others, self.others)

    def is_dead(self, node: NodeId) -> bool:
        return False

    is_full = is_dead

    def when_changed(self, listener: Callable[[], None]) -> None:
        self.listeners.append(listener)

    def change(self) -> None:
        for listener in self.listeners:
            listener()

    def knows(self, key: bytes) -> bool:
        return key not in self.unknown

    async def resolve(self, key: bytes) -> None:
        self.looked_up.append(key)


class Takers:
    """Links to nodes that say what they lack, and take what is brought.

    ``held``: what each of them has. ``refusing`` answer nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.held: dict[NodeId, set[bytes]] = {}
        self.refusing: set[NodeId] = set()
        self.offers: list[tuple[float, NodeId]] = []
        self.brought: list[tuple[NodeId, bytes]] = []
        self.code = "stored"

    def call(
        self, node: NodeId, request: Message, *, timeout_seconds: float | None = None
    ) -> Deferred[Any]:
        held = self.held.setdefault(node, set())
        if isinstance(request, Offer):
            self.offers.append((self._clock.seconds(), node))
            if node in self.refusing:
                return fail(LinkLost("nobody there"))
            lacking = [at for at, item in enumerate(request.items) if item.name not in held]
            return succeed(OfferAnswer(tuple(lacking)))
        assert isinstance(request, PutEnvelopes)
        names = [Envelope.parse(encoded).id for encoded in request.envelopes]
        self.brought += [(node, name) for name in names]
        if self.code == "stored":
            held.update(names)
        return succeed(PutAnswer(tuple(PutResult(self.code) for _ in names)))


class LookingTestCase(SynchronousTestCase):
    """One node that looks, with a view and links that do as they are told."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = START_SECONDS
        self.view = Faraway()
        self.links = Takers(self.clock)
        self.store = MemoryStore()
        self.counters = NoCounters()
        self.displaced = self.node(1)

    def node(self, seed: int) -> Displaced:
        view: Any = self.view
        links: Any = self.links
        clock: Any = self.clock
        return Displaced(
            view=view,
            whereabouts=self.view,
            links=links,
            store=self.store,
            clock=clock,
            random=Random(seed),
            pace=Pace(TokenBucket(1e9, 1e9), clock, self.counters),
            counters=self.counters,
        )

    def put(self, count: int, *, far: bool = True) -> list[Envelope]:
        """So many letters, each in a mailbox of its own."""
        boxes = (Box(f"b{n}") for n in range(1000))
        letters: list[Envelope] = []
        while len(letters) < count:
            box = next(boxes)
            if (box.id in FAR) is far:
                letters.append(box.envelope(0, self.clock.seconds()))
        self.store.put_envelopes(letters, self.clock.seconds())
        return letters

    def run_for(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)


class WhenToLook(LookingTestCase):
    """And when not to."""

    def test_first_after_the_start(self) -> None:
        """Once, after the view has had time to settle."""
        self.put(1)
        self.displaced.start()
        self.run_for(LOOK_SECONDS / 2 - 1)
        self.assertEqual(self.links.offers, [])
        self.run_for(LOOK_SECONDS + 2)
        self.assertEqual(len(self.links.brought), 4)
        self.run_for(3 * MAX_REST_SECONDS)
        self.assertLessEqual(len(self.links.offers), 8)

    def test_at_rest(self) -> None:
        """Without a change it does not even look."""
        self.displaced.start()
        self.run_for(2 * LOOK_SECONDS)
        self.put(3)
        self.run_for(3 * MAX_REST_SECONDS)
        self.assertEqual(self.links.offers, [])
        self.view.change()
        self.run_for(MAX_REST_SECONDS)
        self.assertEqual(len(self.links.brought), 12)

    def test_constant_churn(self) -> None:
        """Changes all the time put nothing off; what was handed on is not offered again."""
        self.put(3)
        self.displaced.start()
        for _ in range(120):
            self.view.change()
            self.run_for(0.5)
        self.assertEqual(len(self.links.brought), 12)
        told = len(self.links.offers)
        for _ in range(120):
            self.view.change()
            self.run_for(0.5)
        self.assertEqual(len(self.links.offers), told)

    def test_not_all_at_the_same_moment(self) -> None:
        """Nodes that hold the same look one after the other, and later ones bring little."""
        self.put(3)
        nodes = [self.displaced, *(self.node(seed) for seed in range(2, 5))]
        for node in nodes:
            node.start()
        self.run_for(2 * LOOK_SECONDS)
        self.assertEqual(len(self.links.brought), 12)
        self.assertGreater(len({at for at, _ in self.links.offers}), 3)

    def test_stopped(self) -> None:
        """Also in the middle of a look: nothing more is asked or brought."""
        self.patch(displaced, "MAX_LISTED", 1)
        self.put(30)
        self.displaced.start()
        while not self.links.brought:
            self.clock.advance(0.01)
        stopped = Deferred.fromCoroutine(self.displaced.stop())
        self.successResultOf(stopped)
        told, brought = len(self.links.offers), len(self.links.brought)
        self.view.change()
        self.run_for(2 * LOOK_SECONDS)
        self.assertEqual((len(self.links.offers), len(self.links.brought)), (told, brought))

    def test_a_disk_that_fails(self) -> None:
        """The look is made again later."""
        self.put(2)
        honest = self.store.list_range
        self.patch(self.store, "list_range", lambda *a, **k: fail(StoreError("unreadable")))
        self.displaced.start()
        self.run_for(2 * LOOK_SECONDS)
        self.assertEqual(self.counters.counts["displaced_failures_total"], 1)
        self.patch(self.store, "list_range", honest)
        self.run_for(4 * LOOK_SECONDS)
        self.assertEqual(len(self.links.brought), 8)


class WhatIsBrought(LookingTestCase):
    """To whom, and in which order."""

    def look(self) -> None:
        self.displaced.start()
        self.run_for(2 * LOOK_SECONDS)

    def begin_at_the_beginning(self) -> None:
        """All that is far is one stretch then."""
        self.patch(displaced, "from_there_on", lambda arcs, key: arcs)

    def test_what_is_kept_here_is_not_looked_at(self) -> None:
        """It is others' to ask for."""
        self.put(5, far=False)
        self.look()
        self.assertEqual(self.links.offers, [])

    def test_two_copies_of_all_before_more_of_any(self) -> None:
        """Over all pages; then the other copies, nothing twice."""
        self.patch(displaced, "MAX_LISTED", 3)
        letters = self.put(10)
        self.look()
        brought = [name for _, name in self.links.brought]
        self.assertCountEqual(brought[:20], [e.id for e in letters] * 2)
        self.assertCountEqual(brought, [e.id for e in letters] * 4)
        self.assertEqual(len(set(self.links.brought)), 40)

    def test_the_fewest_copies_first(self) -> None:
        """What one of them has already comes behind what none has."""
        self.begin_at_the_beginning()
        letters = self.put(40)
        have = {e.id for e in letters[::2]}
        self.links.held[self.view.others[0]] = set(have)
        self.look()
        for node in self.view.others:
            mine = [name for to, name in self.links.brought[:60] if to == node]
            ranks = [name in have for name in mine]
            self.assertEqual(ranks, sorted(ranks))

    def test_what_they_have_of_it_is_not_all_of_it(self) -> None:
        """One of two letters is at two of them: whoever is brought the other one first still lacks
        this one, whoever that is."""
        self.begin_at_the_beginning()
        first, second = self.put(2)
        for seed in range(8):
            self.links.held = {node: {first.id} for node in self.view.others[:2]}
            self.displaced = self.node(seed)
            self.look()
            for node in self.view.others:
                self.assertEqual(self.links.held[node], {first.id, second.id})
            self.successResultOf(Deferred.fromCoroutine(self.displaced.stop()))

    def test_not_all_bring_to_the_same_first(self) -> None:
        """Of several that hold the same."""
        self.put(1)
        begun = set()
        for seed in range(8):
            self.links.held.clear()
            self.links.brought.clear()
            self.displaced = self.node(seed)
            self.look()
            begun.add(self.links.brought[0][0])
            self.successResultOf(Deferred.fromCoroutine(self.displaced.stop()))
        self.assertGreater(len(begun), 1)

    def test_what_a_quorum_has_is_left_to_them(self) -> None:
        """Three of four have it: the fourth asks them."""
        letters = self.put(5)
        for node in self.view.others[1:]:
            self.links.held[node] = {e.id for e in letters}
        self.look()
        self.assertEqual(self.links.brought, [])
        told = len(self.links.offers)
        self.view.change()
        self.run_for(MAX_REST_SECONDS)
        self.assertEqual(len(self.links.offers), told)

    def test_new_ones_among_those_who_keep_it(self) -> None:
        """One of four is others' matter; when most are new it is offered again, to these alone."""
        letters = self.put(5)
        self.look()
        self.links.offers.clear()
        self.links.brought.clear()
        old = self.view.others
        self.view.others = (*old[:3], b"\x0a" * 32)
        self.view.change()
        self.run_for(MAX_REST_SECONDS)
        self.assertEqual(self.links.offers, [])
        new = (b"\x0a" * 32, b"\x0b" * 32)
        self.view.others = (*old[:2], *new)
        self.view.change()
        self.run_for(MAX_REST_SECONDS)
        self.assertLessEqual({node for _, node in self.links.offers}, set(new))
        expected = [(node, e.id) for node in new for e in letters]
        self.assertCountEqual(self.links.brought, expected)

    def test_results_that_are_as_good_as_a_copy(self) -> None:
        """A mailbox that is full there is not offered for ever."""
        self.put(2)
        self.links.code = "quota"
        self.look()
        told = len(self.links.offers)
        self.view.change()
        self.run_for(2 * MAX_REST_SECONDS)
        self.assertLessEqual(len(self.links.offers), told)

    def test_results_that_are_none(self) -> None:
        """It was not taken: it is brought again, one batch of each node in a look."""
        self.begin_at_the_beginning()
        for code in ("redirect", "full"):
            self.links.brought.clear()
            self.links.code = code
            self.put(40)
            self.displaced = self.node(1)
            self.look()
            # Two have been tried first, then the other two.
            self.assertEqual(len(self.links.brought), 4 * 16)
            self.run_for(3 * MAX_REST_SECONDS)
            self.assertGreaterEqual(len(self.links.brought), 8 * 16)
            self.successResultOf(Deferred.fromCoroutine(self.displaced.stop()))

    def test_one_that_does_not_answer(self) -> None:
        """One request a look, and not one for each stretch."""
        self.patch(displaced, "MAX_LISTED", 1)
        self.put(20)
        self.links.refusing = {self.view.others[0]}
        self.look()
        asked = [node for _, node in self.links.offers]
        self.assertEqual(asked.count(self.view.others[0]), 1)
        self.assertEqual(len(self.links.brought), 60)

    def test_a_network_larger_than_the_table(self) -> None:
        """Who keeps a far key is looked up; what was handed on is not looked up again."""
        letters = self.put(6)
        self.view.unknown = {e.mailbox for e in letters}
        self.look()
        self.assertEqual(set(self.view.looked_up), self.view.unknown)
        self.assertEqual(len(self.links.brought), 24)
        self.run_for(2 * MAX_REST_SECONDS)
        self.view.looked_up.clear()
        self.view.change()
        self.run_for(MAX_REST_SECONDS)
        self.assertEqual(self.view.looked_up, [])

    def test_a_frame_has_room_for_the_longest_offer(self) -> None:
        """A full page of items, or of blobs."""
        letters = self.put(MAX_LISTED)
        self.look()
        self.assertEqual(len(self.links.brought), 4 * len(letters))
        most = Offer(
            tuple(ItemField(b"k" * 32, b"n" * 32, 1) for _ in range(MAX_LISTED)),
            tuple(BlobName(b"h" * 32, 2**32 - 1) for _ in range(MAX_OFFERED_BLOBS)),
        )
        self.assertLess(len(encode(most)), MAX_BODY_BYTES)
