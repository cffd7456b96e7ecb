"""Who stays in a full routing table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import permutations
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import RING_SIZE, NodeId, distance
from tace.ring.fingers import MET_NEIGHBOURS, Octave, least_capacity
from tace.ring.table import RoutingTable

NETWORK = b"n" * 32


@cache
def record(number: int, *, mask: int = 0b1111, sequence: int = 1) -> NodeRecord:
    return NodeRecord.sign(
        SigningKey.from_seed(number.to_bytes(48)),
        NETWORK,
        peer_addresses=(f"10.0.{number >> 8}.{number & 255}:1",),
        client_urls=(),
        boot=1,
        sequence=sequence,
        position_mask=mask,
        expires_seconds=2_000_000_000,
    )


def others(count: int, first: int = 1, mask: int = 0b1111) -> list[NodeRecord]:
    return [record(number, mask=mask) for number in range(first, first + count)]


def nearest(own: NodeRecord, records: Iterable[NodeRecord], count: int) -> set[NodeId]:
    """Around each own position so many distinct nodes before it, and twice as many after it."""
    found: set[NodeId] = set()
    for start, _ in own.places:
        places = sorted(
            (distance(start, position), each.node_id)
            for each in records
            for position, _ in each.places
        )
        nodes = [node for _, node in places]
        found.update(list(dict.fromkeys(nodes))[: 2 * count])
        found.update(list(dict.fromkeys(reversed(nodes)))[:count])
    return found


def octave(own: NodeRecord, other: NodeRecord) -> Octave:
    """The lowest, by the definition."""
    starts = sorted(position for position, _ in own.places)
    found = []
    for position, _ in other.places:
        behind, segment = min((distance(start, position), n) for n, start in enumerate(starts))
        found.append(Octave(behind.bit_length(), segment))
    return min(found)


class TableTestCase(SynchronousTestCase):
    """A table of node 0, and nodes that are offered."""

    def make(self, capacity: int, neighbours: int, own: NodeRecord | None = None) -> RoutingTable:
        self.own = own or record(0)
        self.dead: set[NodeId] = set()
        self.gone: list[NodeRecord] = []
        self.table = RoutingTable(
            capacity,
            self.own.node_id,
            neighbours=neighbours,
            counts=lambda node: node not in self.dead,
            left=self.gone.append,
        )
        self.table.put(self.own)
        return self.table

    def offer(self, records: Iterable[NodeRecord], *, met: bool = False) -> list[NodeRecord]:
        return [each for each in records if self.table.put(each, met=met)]

    def strangers(self, records: Sequence[NodeRecord], near: set[NodeId]) -> dict[Octave, int]:
        """How many that are no neighbours the table has of each octave in which some exist."""
        counts = {octave(self.own, each): 0 for each in records if each.node_id not in near}
        for each in self.table:
            if each.node_id not in near and each is not self.own:
                counts[octave(self.own, each)] += 1
        return counts


class KeptTests(TableTestCase):
    """Neighbours, a few in every octave, and everybody in equal parts."""

    def test_neighbours_in_every_order(self) -> None:
        """Seven nodes in all 5,040 orders: the three around the own position are always kept."""
        own, few = record(0, mask=1), others(7, mask=1)
        near = nearest(own, few, 1)
        self.assertEqual(len(near), 3)
        for order in permutations(few):
            self.make(5, 1, own)
            self.offer(order)
            self.assertEqual(len(self.table), 5)
            self.assertLessEqual(near, {each.node_id for each in self.table})

    @settings(deadline=None, max_examples=30)
    @given(st.randoms(use_true_random=False), st.integers(30, 200), st.integers(1, 3))
    def test_any_order(self, random: Random, count: int, neighbours: int) -> None:
        """Each octave has as many as the others, or all there are; two at least."""
        capacity = least_capacity(neighbours, 4) + 40
        self.make(capacity, neighbours)
        known = others(count)
        for _ in range(2):
            # Gossip says everything again; who was refused for want of room may be wanted now.
            random.shuffle(known)
            self.offer(known)
        near = nearest(self.own, known, neighbours)
        if count < capacity:
            self.assertTrue(self.table.is_whole)
            self.assertEqual(len(self.table), count + 1)
            return
        self.assertEqual(len(self.table), capacity)
        self.assertLessEqual(near, {each.node_id for each in self.table})
        strangers = self.strangers(known, near)
        fullest = max(strangers.values())
        self.assertGreaterEqual(fullest, 3)
        for here, kept in strangers.items():
            there = [e for e in known if e.node_id not in near and octave(self.own, e) == here]
            self.assertGreaterEqual(kept, min(len(there), fullest - 1), here)
        self.assertEqual(len(self.gone), len({each.node_id for each in self.gone}) + self.again())

    def again(self) -> int:
        """How often somebody left who had left before."""
        return len(self.gone) - len({each.node_id for each in self.gone})

    @settings(deadline=None, max_examples=20)
    @given(st.data())
    def test_after_any_changes(self, data: st.DataObject) -> None:
        """Removed, dead, alive again, fresher with other positions: as if it were made anew."""
        self.make(40, 2)
        known = {number: record(number) for number in range(1, 80)}
        self.offer(known.values())
        for sequence in range(2, 30):
            number = data.draw(st.sampled_from(sorted(known)))
            what = data.draw(st.sampled_from(["remove", "die", "live", "move", "put"]))
            node = record(number).node_id
            if what == "remove":
                self.table.remove(node)
            elif what == "move":
                known[number] = record(number, mask=0b110000, sequence=sequence)
                self.table.put(known[number])
            elif what == "put":
                self.table.put(known[number])
            else:
                (self.dead.add if what == "die" else self.dead.discard)(node)
                self.table.look_again()
        self.offer(known.values())
        here = list(self.table)
        living = [each for each in here if each.node_id not in self.dead | {self.own.node_id}]
        self.assertLessEqual(len(here), 40)
        all_living = [each for each in known.values() if each.node_id not in self.dead]
        self.assertLessEqual(nearest(self.own, all_living, 2), {each.node_id for each in living})
        order = self.table._order()
        strangers = {
            n.node_id for n in here if n is not self.own and not order.is_neighbour(n.node_id)
        }
        self.assertEqual(sum(order.population().values()), len(strangers))

    def test_octaves(self) -> None:
        """By the distance after the own position before it, and the lowest of all places."""
        self.make(30, 1)
        self.offer(others(60))
        for other in others(60):
            self.assertEqual(self.table._order().octave_of(other), octave(self.own, other))

    def test_a_table_of_nobody(self) -> None:
        """Takes in nobody when it is full."""
        table = RoutingTable(3)
        taken = [each for each in others(5) if table.put(each)]
        self.assertEqual(len(taken), 3)


class AttackTests(TableTestCase):
    """Keys cost nothing; what is in use stays."""

    def setUp(self) -> None:
        self.make(160, 6)
        self.honest = others(150)
        self.offer(self.honest, met=True)
        # Some that nobody ever met, so that the table is full.
        self.offer(others(60, 1000))
        self.offer(others(60, 1000))
        self.assertEqual(len(self.table), 160)

    def test_fresh_keys(self) -> None:
        """Far from the own positions they drive out nobody who was met; near them no successor."""
        fakes = others(400, 2000)
        known = [each for each in self.table if each is not self.own]
        far = [f for f in fakes if f.node_id not in nearest(self.own, [*known, f], 6)]
        before = {each.node_id for each in self.table if each in self.honest}
        fingers = self.table._order().population()
        taken = {octave(self.own, each) for each in far}
        poor = sum(max(0, 2 - fingers.get(each, 0)) for each in taken)
        self.offer(far)
        # But where an octave had no finger, or one.
        lost = before - {each.node_id for each in self.table}
        self.assertLessEqual(len(lost), poor)
        self.assertLess(poor, 20)
        self.offer(fakes)
        here = {each.node_id for each in self.table}
        self.assertGreater(len(here & {each.node_id for each in fakes}), 20)
        most = min(MET_NEIGHBOURS, (160 // 4 - 18) // 4)
        for start, _ in self.own.places:
            places = sorted(
                (distance(start, p), each.node_id) for each in self.honest for p, _ in each.places
            )
            successors = list(dict.fromkeys(node for _, node in places))[:most]
            self.assertLessEqual(set(successors), here)

    def test_churn_ends(self) -> None:
        """Offered again and again, the same keys change nothing any more."""
        fakes = others(200, 2000)
        rounds = [len(self.offer(fakes)) for _ in range(4)]
        self.assertEqual(rounds[-1], 0, rounds)

    def test_who_is_met_comes_before_who_is_not(self) -> None:
        """And a node that is long dead gives way to anybody in its octave."""
        self.make(14, 1)
        far = others(300)
        self.offer(far)
        near = nearest(self.own, far, 1)
        inside = [e for e in self.table if e.node_id not in near and e is not self.own]
        octaves = {octave(self.own, each): each for each in inside}
        newcomer = next(
            each
            for each in others(300, 500)
            if octave(self.own, each) in octaves
            and each.node_id not in nearest(self.own, [*far, each], 1)
        )
        rivals = {e.node_id for e in inside if octave(self.own, e) == octave(self.own, newcomer)}
        self.assertFalse(self.table.put(newcomer))
        for node in rivals:
            self.table.met(node)
        self.assertFalse(self.table.put(newcomer, met=True))
        victim = sorted(rivals)[0]
        self.dead.add(victim)
        self.table.look_again()
        self.gone.clear()
        self.assertTrue(self.table.put(newcomer))
        self.assertEqual([each.node_id for each in self.gone], [victim])

    def test_the_nearest_in_round_trip_stays(self) -> None:
        """Of those met in the fullest octave the slowest leaves, of the others the youngest."""
        self.make(14, 1)
        far = others(300)
        self.offer(far)
        fullest: dict[Octave, list[NodeId]] = {}
        near = nearest(self.own, far, 1)
        for each in self.table:
            if each.node_id not in near and each is not self.own:
                fullest.setdefault(octave(self.own, each), []).append(each.node_id)
        for each in self.table:
            self.table.met(each.node_id, 0.01)
        most = max(map(len, fullest.values()))
        crowd = [node for nodes in fullest.values() if len(nodes) == most for node in nodes]
        for seconds, node in enumerate(crowd, 1):
            self.table.met(node, seconds / 100)
        newcomer = next(
            each for each in others(3000, 500) if each.node_id in nearest(self.own, [*far, each], 1)
        )
        self.gone.clear()
        self.assertTrue(self.table.put(newcomer))
        self.assertEqual([each.node_id for each in self.gone], [crowd[-1]])

    def test_round_trips_are_smoothed(self) -> None:
        """One slow answer makes nobody far; a sign of life without a measure changes nothing."""
        self.make(14, 1)
        (other,) = others(1)
        self.offer([other])
        table, node = self.table, other.node_id
        for seconds, expected in ((inf, inf), (0.1, 0.1), (inf, 0.1), (0.9, 0.2), (0.2, 0.2)):
            table.met(node, seconds)
            self.assertEqual(table._met[node], expected)


class CoverTests(TableTestCase):
    """For which keys everybody is known who may keep them."""

    def test_under_capacity(self) -> None:
        """All of them."""
        self.make(50, 3)
        self.offer(others(40))
        self.assertTrue(self.table.is_whole)
        self.assertTrue(self.table.covers(b"\xff" * 32))

    @settings(deadline=None)
    @given(st.integers(0, RING_SIZE - 1))
    def test_beyond_it(self, value: int) -> None:
        """What is covered is right; what lies near the own positions is covered."""
        key = value.to_bytes(32)
        for start, _ in self.own.places:
            for nudge in (0, value % 2**245, -(value % 2**245)):
                self.check(((int.from_bytes(start) + nudge) % RING_SIZE).to_bytes(32))
        self.check(key)

    def setUp(self) -> None:
        self.make(80, 3)
        self.known = others(250)
        self.offer(self.known)
        self.covered = 0

    def after(self, key: bytes, records: Iterable[NodeRecord]) -> list[NodeId]:
        places = sorted(
            (distance(key, position), each.node_id)
            for each in records
            if each is not self.own
            for position, _ in each.places
        )
        return list(dict.fromkeys(node for _, node in places))[:3]

    def check(self, key: bytes) -> None:
        if self.table.covers(key):
            self.assertEqual(self.after(key, self.table), self.after(key, self.known))

    def test_the_borders(self) -> None:
        """From the third node before an own position to the third from the last after it."""
        for start, _ in self.own.places:
            places = sorted(
                (distance(start, position), position, each.node_id)
                for each in self.known
                for position, _ in each.places
            )
            behind: dict[NodeId, bytes] = {}
            for _, position, node in reversed(places):
                behind.setdefault(node, position)
            ahead: dict[NodeId, bytes] = {}
            for _, position, node in places:
                ahead.setdefault(node, position)
            first, last = list(behind.values())[2], list(ahead.values())[2]
            for inside in (first, start, last):
                self.assertTrue(self.table.covers(inside))
            for outside in (_moved(first, -1), _moved(last, 1)):
                if not any(self._within(outside, each) for each, _ in self.own.places):
                    self.assertFalse(self.table.covers(outside))
                self.covered += 1
        self.assertEqual(self.covered, 8)

    def _within(self, key: bytes, start: bytes) -> bool:
        """Near another own position, which may cover it, too."""
        return min(distance(start, key), distance(key, start)) < 2**240

    def test_whole_again(self) -> None:
        """When a good part of the table is free, everybody had room."""
        self.assertFalse(self.table.is_whole)
        for each in list(self.table)[-20:]:
            self.table.remove(each.node_id)
        self.assertTrue(self.table.is_whole)


def _moved(position: bytes, by: int) -> bytes:
    return ((int.from_bytes(position) + by) % RING_SIZE).to_bytes(32)
