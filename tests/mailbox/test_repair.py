"""Copies are made again, wherever they are missing."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.inbox import Inbox
from tace.errors import InternalError, NotReplica
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Lease, Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.ids import Arc
from tace.mailbox.reconcile import lacking
from tace.seams import Item, ItemState
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import (
    CompareRanges,
    FetchItems,
    ItemField,
    ListItems,
    RangeDifferences,
    RangeField,
)
from tace.wire.ranges import END, ranges_of
from tests.letters import Box, secret
from tests.network import MemoryNetwork, TestNode

WHOLE = Arc(bytes(32), bytes(32))


class LackingTests(SynchronousTestCase):
    """What is worth fetching."""

    def test_the_table(self) -> None:
        """Unknown things, and tombstones of envelopes that still lie here."""

        def item(state: ItemState) -> Item:
            return Item(b"k", b"n", state)

        envelope, tombstone = item(ItemState.ENVELOPE), item(ItemState.TOMBSTONE)
        self.assertEqual(lacking([envelope], []), [envelope])
        self.assertEqual(lacking([envelope], [envelope]), [])
        self.assertEqual(lacking([envelope], [tombstone]), [])
        self.assertEqual(lacking([tombstone], [envelope]), [tombstone])
        self.assertEqual(lacking([tombstone], [tombstone]), [])
        self.assertEqual(lacking([tombstone], []), [tombstone])


class RepairTestCase(SynchronousTestCase):
    """Nodes, and what lies in their stores."""

    def network_of(self, count: int, **settings: Any) -> list[TestNode]:
        self.network = MemoryNetwork(seed=5, **{"ring.reconcile_seconds": 10.0, **settings})
        return self.network.ring(count)

    def letters(self, count: int, box: Box | None = None) -> list[Envelope]:
        box = box or Box()
        return [box.envelope(n, self.network.clock.seconds()) for n in range(count)]

    def put(self, node: TestNode, envelopes: list[Envelope]) -> None:
        """Into one store, past everything else."""
        self.network.result(node.store.put_envelopes(envelopes, self.network.clock.seconds()))

    def items(self, node: TestNode, *, records: bool = False) -> set[Item]:
        found = node.store.list_items(
            WHOLE, records=records, after=None, limit=10_000, now=self.network.clock.seconds()
        )
        return set(self.network.result(found))

    def holders(self, nodes: list[TestNode], envelope: Envelope) -> list[TestNode]:
        item = Item(envelope.mailbox, envelope.id, ItemState.ENVELOPE)
        return [node for node in nodes if item in self.items(node)]


class PullTests(RepairTestCase):
    """One node brings itself up to date."""

    def test_a_newcomer_pulls_before_it_counts(self) -> None:
        """2,000 envelopes over many pages; until then its answers say ``partial``."""
        nodes = self.network_of(2)
        boxes = [Box(str(n)) for n in range(10)]
        for box in boxes:
            letters = self.letters(200, box)
            self.put(nodes[0], letters)
            self.put(nodes[1], letters)
        late = self.network.node("late", seeds=("n0:1",))
        late.start()
        self.network.run(0.05)
        self.assertTrue(late.core.replica.partial)
        self.assertFalse(late.core.ring.joined)
        self.network.run(10.0)
        self.assertFalse(late.core.replica.partial)
        self.assertTrue(late.core.ring.joined)
        self.assertEqual(self.items(late), self.items(nodes[0]))
        self.assertEqual(len(self.items(late)), 2000)

    def test_everything_that_is_kept_is_repaired(self) -> None:
        """Envelopes, tombstones by secret and by removal, user records."""
        nodes = self.network_of(3)
        now = self.network.clock.seconds()
        box = Box()
        first, second, third = self.letters(3, box)
        store = nodes[0].store
        self.put(nodes[0], [first])
        self.put(nodes[1], [second, third])
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
        self.network.run(120.0)
        expected = {
            Item(box.id, first.id, ItemState.ENVELOPE),
            Item(box.id, second.id, ItemState.TOMBSTONE),
            Item(box.id, third.id, ItemState.TOMBSTONE),
        }
        for node in nodes:
            self.assertEqual(self.items(node), expected)
            self.assertEqual(len(self.items(node, records=True)), 1)

    def test_each_item_is_fetched_once(self) -> None:
        """Though five replicas have all of it, and are compared with at the same time."""
        nodes = self.network_of(5)
        letters = self.letters(300)
        for node in nodes:
            self.put(node, letters)
        late = self.network.node("late", seeds=("n0:1",))
        self.network.frames.clear()
        late.start()
        self.network.run(10.0)
        self.assertEqual(len(self.items(late)), 300)
        asked = [(a, b) for a, b, kind in self.network.frames if kind == "FetchItems"]
        asked_of = {b for a, b in asked if a == late.id}
        self.assertLessEqual(len(asked), -(-300 // 16) + len(nodes))
        self.assertGreater(len(asked_of), 1)
        self.assertEqual(late.counters.counts["envelopes_total"], 300)

    def test_a_peer_that_does_not_bring_what_it_began_leaves_it_to_others(self) -> None:
        """What it was asked for is asked of another one when it has failed."""
        nodes = self.network_of(3)
        letters = self.letters(40)
        for node in nodes:
            self.put(node, letters)

        async def never(peer: bytes, message: FetchItems) -> Any:
            await Deferred()

        procedures: Any = nodes[0].raw_links._procedures
        procedures[FetchItems] = never
        late = self.network.node("late", seeds=("n1:1",))
        late.start()
        self.network.run(6.0)
        self.assertEqual(len(self.items(late)), 40)

    def test_what_is_urgent_is_fetched_first(self) -> None:
        """In the order in which the arcs are given, whatever their places on the ring."""
        nodes = self.network_of(2)
        boxes = sorted((Box(str(n)) for n in range(6)), key=lambda box: box.id)
        letters = [self.letters(1, box)[0] for box in boxes]
        self.put(nodes[1], letters)
        middle = boxes[2].id
        low, high = Arc(b"\xff" * 32, middle), Arc(middle, b"\xff" * 32)
        took: list[bytes] = []
        real = nodes[0].store.put_envelopes

        def put(envelopes: Any, now: float) -> Any:
            took.extend(envelope.mailbox for envelope in envelopes)
            return real(envelopes, now)

        self.patch(nodes[0].store, "put_envelopes", put)
        self.network.result(
            Deferred.fromCoroutine(nodes[0].core.repair.pull(nodes[1].id, [high, low]))
        )
        self.assertEqual(len(took), 6)
        self.assertTrue(all(mailbox in high for mailbox in took[:3]))

    def test_a_pair_in_step_is_asked_less_and_less(self) -> None:
        """Up to ten times the interval."""
        self.network_of(2)
        self.network.run(600.0)
        self.network.frames.clear()
        self.network.run(400.0)
        asked = [kind for _, _, kind in self.network.frames if kind == "CompareRanges"]
        self.assertGreater(len(asked), 0)
        self.assertLessEqual(len(asked), 2 * 6)
        self.assertNotIn("ListItems", [kind for _, _, kind in self.network.frames])

    def test_news_by_repair_is_pushed_like_any_other(self) -> None:
        """A watcher hears of what its replica has just pulled."""
        nodes = self.network_of(2)
        box = Box()
        (letter,) = self.letters(1, box)
        pushed: list[bytes] = []
        inbox = Inbox(
            pushed.append, lambda mailbox, complete: None, clock=self.network.clock, window=8
        )
        field = box.lease(
            network_id=self.network.settings.network_id,
            node=nodes[1].id,
            now=self.network.clock.seconds(),
        )
        nodes[1].core.collect.watch(Lease(*field), inbox)
        self.network.run(1.0)
        self.put(nodes[0], [letter])
        self.network.run(1.0)
        self.assertEqual(pushed, [])
        self.network.run(200.0)
        self.assertEqual(pushed, [letter.encoded])


class CopiesTests(RepairTestCase):
    """n copies exist again after a node is gone."""

    def test_one_of_six_goes_for_good(self) -> None:
        """Five copies of each of 100 messages, before and after; it takes a minute."""
        nodes = self.network_of(6, **{"ring.replicas": 5, "ring.repair_after_seconds": 30.0})
        letters = [e for n in range(20) for e in self.letters(5, Box(f"b{n}"))]
        for envelope in letters:
            outcome = self.network.result(nodes[0].core.deposit.envelopes([envelope.encoded]))
            self.assertEqual(outcome[0].state, "stored")
        self.network.run(5.0)
        for envelope in letters:
            self.assertEqual(len(self.holders(nodes, envelope)), 5)
        gone = nodes.pop(2)
        gone.kill()
        self.network.run(25.0)
        few = [e for e in letters if len(self.holders(nodes, e)) < 5]
        self.assertGreater(len(few), 0)
        self.network.run(35.0)
        for envelope in letters:
            self.assertEqual(len(self.holders(nodes, envelope)), 5)

    def test_what_was_written_while_a_replica_was_away_reaches_it(self) -> None:
        """A restarted node pulls what it missed, and acks with it."""
        nodes = self.network_of(3)
        before = self.letters(2)
        for envelope in before:
            self.network.result(nodes[0].core.deposit.envelopes([envelope.encoded]))
        nodes[2].kill()
        self.network.run(1.0)
        box = Box()
        later = box.envelope(99, self.network.clock.seconds())
        self.network.result(nodes[0].core.deposit.envelopes([later.encoded]))
        ack = box.tombstone(before[0], 0)
        self.network.result(nodes[0].core.deposit.acks([ack], []))
        nodes[2] = nodes[2].again()
        self.network.run(10.0)
        self.assertEqual(self.items(nodes[2]), self.items(nodes[0]))
        self.assertIn(Item(box.id, later.id, ItemState.ENVELOPE), self.items(nodes[2]))
        self.assertIn(Item(box.id, before[0].id, ItemState.TOMBSTONE), self.items(nodes[2]))


class AskerTests(RepairTestCase):
    """Who may ask for listings and items."""

    def test_only_those_within_the_first_2n(self) -> None:
        """Others get ``not-replica``, whether or not there is anything."""
        nodes = self.network_of(8, **{"ring.replicas": 2})
        asker = nodes[0]
        refused = answered = 0
        for node in nodes[1:]:
            for arc, _ in node.core.membership.arcs_held():
                may = node.core.membership.may_ask_about(asker.id, arc)
                asked = asker.core.links.call(node.id, ListItems(arc.start, arc.end, records=False))
                ranges = [RangeField(low, b"" if up == END else up) for low, up in ranges_of(arc)]
                hour = int(self.network.clock.seconds() // 3600)
                compared = asker.core.links.call(node.id, CompareRanges(hour, tuple(ranges)))
                if may:
                    self.network.result(asked)
                    self.network.result(compared)
                    answered += 1
                else:
                    self.assertRaises(NotReplica, self.network.result, asked)
                    self.assertRaises(NotReplica, self.network.result, compared)
                    fetch = FetchItems((ItemField(arc.end, bytes(32), 1),))
                    self.assertRaises(
                        NotReplica,
                        self.network.result,
                        asker.core.links.call(node.id, fetch),
                    )
                    refused += 1
        self.assertGreater(answered, 0)
        self.assertGreater(refused, 0)


class WholeTests(RepairTestCase):
    """When a replica's reads count."""

    def test_not_before_enough_peers_have_answered(self) -> None:
        """A node that was wiped and is refused by everyone does not say "there is nothing"."""
        nodes = self.network_of(3)
        wiped = nodes[2].core

        async def busy(peer: bytes, message: CompareRanges) -> RangeDifferences:
            raise InternalError("busy")

        for node in nodes[:2]:
            links = node.raw_links
            links._procedures = {**links._procedures, CompareRanges: busy}
        wiped.replica.partial = True
        self.assertFalse(self.network.result(Deferred.fromCoroutine(wiped.repair.pull_all())))
        self.assertTrue(wiped.replica.partial)
        for node in nodes[:2]:
            links = node.raw_links
            links._procedures = {**links._procedures, **node.core.repair.procedures()}
        self.network.run(15.0)
        self.assertFalse(wiped.replica.partial)


class ClockTests(RepairTestCase):
    """A node whose clock is unfit."""

    def test_an_hour_off_it_is_no_replica(self) -> None:
        """Others neither write to it nor count it; when its clock is right again they do."""
        nodes = self.network_of(3)
        odd = nodes[2].id
        membership = nodes[0].core.membership
        record = membership.record_of(odd)
        assert record is not None
        for difference, members in ((3700.0, 2), (-3700.0, 2), (600.0, 3)):
            self.network.clock_differences[odd] = difference
            nodes[0].core.gossip.link_up(record)
            self.assertEqual(membership.replica_set(b"k" * 32).size, members)
