"""Who keeps a key."""

from collections.abc import Collection
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId, distance
from tace.ring.placement import Placement, address_group, choose
from tace.ring.table import RoutingTable
from tace.seams import StandIn

NETWORK = b"n" * 32


def record(number: int, *, zone: str = "", address: str = "", mask: int = 15) -> NodeRecord:
    """A node made from its number."""
    return NodeRecord.sign(
        SigningKey.from_seed(number.to_bytes(48)),
        NETWORK,
        peer_addresses=(address or f"10.{number}.0.1:6512",),
        client_urls=(),
        boot=1,
        sequence=1,
        position_mask=mask,
        expires_seconds=0,
        zone=zone,
    )


RECORDS = [record(n) for n in range(1, 13)]


def placement(
    records: list[NodeRecord],
    replicas: int,
    dead: dict[NodeId, float] | None = None,
    full: Collection[NodeId] = (),
    *,
    urgent: bool = False,
    leaving: Collection[NodeId] = (),
) -> Placement:
    """Over these records, with these ages of death."""
    table = RoutingTable(1000)
    for item in records:
        table.put(item)
    ages = dead or {}
    return Placement(
        table,
        replicas,
        ages.get,
        is_absent=ages.__contains__,
        is_full=full.__contains__,
        is_leaving=leaving.__contains__,
        is_urgent=lambda: urgent,
        repair_after_seconds=30,
        forget_after_seconds=300,
    )


class GroupTests(SynchronousTestCase):
    """What counts as one neighbourhood."""

    def test_v4_v6_and_names(self) -> None:
        """/24, /48, and each name for itself."""
        self.assertEqual(address_group("10.1.2.3:1"), address_group("10.1.2.200:2"))
        self.assertNotEqual(address_group("10.1.2.3:1"), address_group("10.1.3.3:1"))
        self.assertEqual(address_group("[2001:db8:1::1]:1"), address_group("[2001:db8:1:9::2]:1"))
        self.assertNotEqual(address_group("[2001:db8:1::1]:1"), address_group("[2001:db8:2::1]:1"))
        self.assertEqual(address_group("A.example:1"), "a.example")


class ChooseTests(SynchronousTestCase):
    """Diversity first, then ring order."""

    def test_new_zones_and_groups_come_first(self) -> None:
        """The second pass fills up with what the first passed over."""
        same = [record(n, zone="z1" if n < 4 else "z2") for n in range(1, 6)]
        ids = [r.node_id for r in same]
        self.assertEqual(choose(same, 3), (ids[0], ids[3], ids[1]))

    def test_one_address_group_is_plain_ring_order(self) -> None:
        """A network on one machine is placed as Chord would."""
        near = [record(n, address=f"127.0.0.1:{n}") for n in range(1, 6)]
        self.assertEqual(choose(near, 3), tuple(r.node_id for r in near[:3]))

    @given(st.integers(0, 6), st.lists(st.sampled_from(["", "a", "b"]), min_size=6, max_size=6))
    def test_as_many_as_asked_and_each_once(self, count: int, zones: list[str]) -> None:
        """Diversity never costs a copy."""
        found = choose([record(n, zone=zones[n]) for n in range(1, 6)], count)
        self.assertEqual(len(found), min(count, 5))
        self.assertEqual(len(set(found)), len(found))


class ReplicaSetTests(SynchronousTestCase):
    """Members, holders, quorums."""

    @given(st.binary(min_size=32, max_size=32), st.integers(1, 12))
    def test_the_first_distinct_nodes_clockwise(self, key: bytes, replicas: int) -> None:
        """With nobody dead and everyone diverse, members are the nearest distinct nodes."""
        found = placement(RECORDS, replicas).replica_set(key)
        line = sorted(
            (distance(key, position), r.node_id) for r in RECORDS for position, _ in r.places
        )
        expected = list(dict.fromkeys(node for _, node in line))[:replicas]
        self.assertEqual(list(found.members), expected)
        self.assertEqual(found.holders, found.members)
        self.assertGreater(found.write_quorum + found.read_quorum, found.size)

    def test_quorums(self) -> None:
        """W is a majority, R meets every W."""
        for n, w, r in ((1, 1, 1), (2, 2, 1), (3, 2, 2), (5, 3, 3), (8, 5, 4)):
            found = placement(RECORDS[:n], 8).replica_set(b"k" * 32)
            self.assertEqual((found.size, found.write_quorum, found.read_quorum), (n, w, r))

    def test_a_dead_member_counts_then_is_replaced_then_forgotten(self) -> None:
        """Just dead: still a holder. Dead for long: replaced, but counted. Forgotten: neither."""
        key = b"k" * 32
        first = placement(RECORDS, 8).replica_set(key).members[0]
        for age, member, holder in ((1.0, True, True), (31.0, True, False), (301.0, False, False)):
            found = placement(RECORDS, 8, {first: age}).replica_set(key)
            self.assertEqual(first in found.members, member, age)
            self.assertEqual(first in found.holders, holder, age)
            self.assertEqual(len(found.holders), 8)

    def test_few_living_copies_are_repaired_at_once(self) -> None:
        """At N/2 + 1 living members nobody waits."""
        key = b"k" * 32
        members = placement(RECORDS, 8).replica_set(key).members
        found = placement(RECORDS, 8, dict.fromkeys(members[:3], 0.5)).replica_set(key)
        self.assertFalse(set(members[:3]) & set(found.holders))
        self.assertEqual(len(found.holders), 8)


class LeavingTests(SynchronousTestCase):
    """Those who leave are members, and the next ones keep copies in their stead at once."""

    key = b"k" * 32

    def test_the_next_ones_hold(self) -> None:
        """n and the quorums stay as they are while it serves; nobody stands in for it."""
        order = placement(RECORDS, 4).candidates(self.key)
        found = placement(RECORDS, 4, leaving=[order[1]]).replica_set(self.key)
        self.assertEqual(found.members, order[:4])
        self.assertEqual(set(found.holders), {order[0], order[2], order[3], order[4]})
        self.assertEqual(found.stand_ins, ())
        self.assertEqual(found.everyone, (*order[:4], order[4]))

    def test_both_may_ask_and_take(self) -> None:
        """The one that leaves still gets what others send by an older view."""
        order = placement(RECORDS, 4).candidates(self.key)
        where = placement(RECORDS, 4, leaving=[order[1]])
        for node in (order[1], order[4]):
            self.assertTrue(where.may_ask(node, self.key))
            self.assertTrue(where.is_candidate(node, self.key, 3))
            self.assertTrue(any(self.key in arc for arc, _ in where.arcs_held_by(node)))

    def test_one_that_dies_on_the_way(self) -> None:
        """Is counted as any dead one, and replaced already."""
        order = placement(RECORDS, 4).candidates(self.key)
        found = placement(RECORDS, 4, {order[1]: 1.0}, leaving=[order[1]]).replica_set(self.key)
        self.assertIn(order[1], found.members)
        self.assertNotIn(order[1], found.holders)

    def test_everybody(self) -> None:
        """They are asked for as long as they are there."""
        nodes = [r.node_id for r in RECORDS]
        found = placement(RECORDS, 4, leaving=nodes).replica_set(self.key)
        self.assertEqual((len(found.members), found.holders), (4, ()))

    @given(st.integers(1, 4), st.sets(st.integers(0, 11), max_size=6))
    def test_as_many_hold_as_ever(self, replicas: int, who: set[int]) -> None:
        """As long as there are others, whoever leaves."""
        leaving = [RECORDS[at].node_id for at in who]
        where = placement(RECORDS, replicas, leaving=leaving)
        for item in RECORDS:
            for position, _ in item.places:
                found = where.replica_set(position)
                self.assertEqual(len(found.holders), min(replicas, len(RECORDS) - len(leaving)))
                self.assertFalse(set(found.holders) & set(leaving))
                for node in found.holders:
                    self.assertTrue(where.is_candidate(node, position, 3))
                    self.assertTrue(any(position in arc for arc, _ in where.arcs_held_by(node)))


class StandInTests(SynchronousTestCase):
    """Who takes new copies for members that cannot."""

    key = b"k" * 32

    def setUp(self) -> None:
        self.order = placement(RECORDS, 4).candidates(self.key)
        self.members = self.order[:4]

    def test_nobody_while_all_members_are_here(self) -> None:
        """The usual case costs nothing."""
        self.assertEqual(placement(RECORDS, 4).replica_set(self.key).stand_ins, ())

    def test_the_next_candidates_clockwise(self) -> None:
        """One for each; those that cannot take anything themselves are passed over."""
        one, two = self.members[1], self.members[3]
        found = placement(RECORDS, 4, {one: 1.0, self.order[4]: 1.0}, full=[two, self.order[5]])
        replica_set = found.replica_set(self.key)
        self.assertEqual(replica_set.members, self.members)
        self.assertEqual(
            replica_set.stand_ins,
            (StandIn(self.order[6], one, True), StandIn(self.order[7], two, False)),
        )

    def test_holders_that_replace_a_dead_one_come_first(self) -> None:
        """They keep its copies anyway, and so hand them over."""
        one = self.members[0]
        replica_set = placement(RECORDS, 4, {one: 31.0}).replica_set(self.key)
        (extra,) = set(replica_set.holders) - set(replica_set.members)
        self.assertEqual(replica_set.stand_ins, (StandIn(extra, one, True),))

    def test_as_many_as_there_are(self) -> None:
        """In a small network there may be none."""
        few = RECORDS[:4]
        members = placement(few, 4).replica_set(self.key).members
        replica_set = placement(few, 4, {members[0]: 1.0}).replica_set(self.key)
        self.assertEqual((replica_set.members, replica_set.stand_ins), (members, ()))


class ArcsTests(SynchronousTestCase):
    """Which stretches of the ring a node keeps."""

    @given(st.integers(1, 8), st.binary(min_size=32, max_size=32))
    def test_a_key_is_in_an_arc_of_mine_when_i_hold_it(self, replicas: int, key: bytes) -> None:
        """Arcs and replica sets say the same of every key and every node."""
        where = placement(RECORDS, replicas)
        holders = where.replica_set(key).holders
        for item in RECORDS:
            arcs = [arc for arc, _ in where.arcs_held_by(item.node_id)]
            self.assertEqual(sum(key in arc for arc in arcs), 1 if item.node_id in holders else 0)

    @given(
        st.integers(1, 4),
        st.lists(st.sampled_from([None, 1.0, 60.0, 900.0]), min_size=12, max_size=12),
        st.lists(st.sampled_from(["", "a", "b"]), min_size=12, max_size=12),
        st.booleans(),
    )
    def test_whoever_keeps_may_ask_and_is_believed(
        self, replicas: int, ages: list[float | None], zones: list[str], urgent: bool
    ) -> None:
        """Whoever is dead and whoever is chosen for its zone: of every key, each living node that
        is to have copies may take them, ask for them, and knows the arc for its own; and of these
        there are as many as live at all."""
        records = [record(n + 1, zone=zone) for n, zone in enumerate(zones)]
        dead = {r.node_id: age for r, age in zip(records, ages, strict=True) if age is not None}
        where = placement(records, replicas, dead, urgent=urgent)
        living = [r.node_id for r in records if r.node_id not in dead]
        for item in records:
            for position, _ in item.places:
                found = where.replica_set(position)
                # Who is dead asks nothing; when it does, it lives.
                holders = [node for node in found.holders if node in living]
                for node in {*holders, *(s.node for s in found.stand_ins)}:
                    self.assertTrue(where.is_candidate(node, position, 3))
                    self.assertTrue(where.may_ask(node, position))
                for node in holders:
                    arcs = [arc for arc, _ in where.arcs_held_by(node)]
                    self.assertTrue(any(position in arc for arc in arcs))
                if urgent:
                    self.assertEqual(len(holders), min(replicas, len(living)))

    def test_one_far_away_that_brings_a_zone(self) -> None:
        """It is a member though it stands beyond the first 2N, and may ask for what it keeps."""
        key = b"k" * 32
        far = placement(RECORDS, 2).candidates(key)[5]
        zoned = [
            record(n, zone="b" if RECORDS[n - 1].node_id == far else "a") for n in range(1, 13)
        ]
        where = placement(zoned, 2)
        self.assertIn(far, where.replica_set(key).members)
        self.assertFalse(where.is_candidate(far, key, 2))
        self.assertTrue(where.may_ask(far, key))

    def test_a_long_row_of_dead_ones(self) -> None:
        """All candidates of a key have just died: the next ones that live keep it at once."""
        key = b"k" * 32
        order = placement(RECORDS, 12).candidates(key)
        dead = dict.fromkeys(order[:6], 1.0)
        where = placement(RECORDS, 1, dead)
        self.assertEqual(where.replica_set(key).holders, (order[6],))
        self.assertTrue(where.may_ask(order[6], key))
        self.assertFalse(where.may_ask(order[9], key))

    def test_alone_the_whole_ring_is_mine(self) -> None:
        """A ring of one keeps everything."""
        alone = record(1, mask=1)
        arcs = placement([alone], 8).arcs_held_by(alone.node_id)
        self.assertEqual(len(arcs), 1)
        self.assertIn(b"k" * 32, arcs[0][0])


@dataclass
class Happening:
    """Something that changes who keeps what: of which node, and what."""

    node: int
    what: str
    seconds: float


happenings = st.lists(
    st.builds(
        Happening,
        st.integers(0, 39),
        st.sampled_from(
            ("joins", "goes", "dies", "returns", "fills up", "empties", "leaves", "stays", "moves")
        ),
        st.sampled_from((0.0, 3.0, 30.0, 300.0)),
    ),
    min_size=1,
    max_size=30,
)


class WhatChangesTests(SynchronousTestCase):
    """What is remembered is what would be worked out anew."""

    nodes = tuple(record(n, zone=f"z{n % 5}", mask=3) for n in range(1, 41))
    moved = tuple(record(n, zone=f"z{n % 5}", mask=9) for n in range(1, 41))

    @given(happenings, st.integers(1, 8), st.integers(1, 5))
    @settings(max_examples=60, deadline=None)
    def test_as_if_nothing_were_remembered(
        self, happenings: list[Happening], together: int, replicas: int
    ) -> None:
        """After every few changes, for every position, whatever they were and when."""
        world = _World(replicas)
        for known in self.nodes[:20]:
            world.put(known)
        world.compare(self)
        for number, happening in enumerate(happenings, 1):
            world.happens(happening, self.nodes[happening.node], self.moved[happening.node])
            if number % together == 0:
                world.compare(self)
        world.compare(self)

    def test_far_away_nothing_is_forgotten(self) -> None:
        """A death costs the sets that it touches, not all."""
        world = _World(1)
        for known in self.nodes:
            world.put(known)
        positions = sorted(position for known in self.nodes for position, _ in known.places)
        before = [world.kept.replica_set(position) for position in positions]
        world.happens(Happening(0, "dies", 0.0), self.nodes[0], self.nodes[0])
        after = [world.kept.replica_set(position) for position in positions]
        touched = sum(old is not new for old, new in zip(before, after, strict=True))
        self.assertTrue(2 <= touched <= 20, touched)

    def test_a_burst_of_deaths_changes_what_is_far_from_it(self) -> None:
        """Urgent repair replaces a dead member at once, wherever the others died."""
        world = _World(8)
        for known in self.nodes:
            world.put(known)
        key = bytes(32)
        first, *_ = world.kept.candidates(key)
        by_id = {known.node_id: known for known in self.nodes}
        world.happens(Happening(0, "dies", 0.0), by_id[first], by_id[first])
        self.assertIn(first, world.kept.replica_set(key).holders)
        far = [known for known in self.nodes if known.node_id not in world.kept.walk(key).nodes]
        for known in far[:3]:
            world.happens(Happening(0, "dies", 0.0), known, known)
        self.assertNotIn(first, world.kept.replica_set(key).holders)


class _World:
    """A placement that is told of changes, and what one that knows nothing finds."""

    def __init__(self, replicas: int) -> None:
        self.now = 0.0
        self.table = RoutingTable(1000)
        self.died: dict[NodeId, float] = {}
        self.full: set[NodeId] = set()
        self.leaving: set[NodeId] = set()
        self.kept = self._placement(replicas)
        self._replicas = replicas

    def _placement(self, replicas: int) -> Placement:
        return Placement(
            self.table,
            replicas,
            self._dead_for,
            is_absent=self.died.__contains__,
            is_full=self.full.__contains__,
            is_leaving=self.leaving.__contains__,
            is_urgent=lambda: sum(self.now - died < 60 for died in self.died.values()) > 3,
            repair_after_seconds=30,
            forget_after_seconds=300,
        )

    def _dead_for(self, node: NodeId) -> float | None:
        died = self.died.get(node)
        return None if died is None else self.now - died

    def put(self, known: NodeRecord) -> None:
        self.table.put(known)
        self.kept.note_change(known)

    def happens(self, happening: Happening, known: NodeRecord, moved: NodeRecord) -> None:
        self._pass(happening.seconds)
        # A burst of deaths ends without a word: the next change, whatever it is, shows it.
        self.kept.note_change(next(iter(self.table)))
        node = known.node_id
        match happening.what:
            case "joins":
                self.put(known)
            case "goes":
                self.table.remove(node)
                self.kept.note_change(known)
                self.kept.note_change(moved)
            case "moves" if node not in self.table:
                self.put(moved)
            case "dies":
                self.died.setdefault(node, self.now)
            case "returns":
                self.died.pop(node, None)
            case "fills up":
                self.full.add(node)
            case "empties":
                self.full.discard(node)
            case "leaves":
                self.leaving.add(node)
            case "stays":
                self.leaving.discard(node)
        self._note(node)

    def _note(self, node: NodeId) -> None:
        record = self.table.get(node)
        if record is not None:
            self.kept.note_change(record)

    def _pass(self, seconds: float) -> None:
        """Whoever crosses one of the two ages is told of."""
        before, self.now = self.now, self.now + seconds
        for node, died in self.died.items():
            if any(before - died < age <= self.now - died for age in (30, 300)):
                self._note(node)

    def compare(self, test: SynchronousTestCase) -> None:
        anew = self._placement(self._replicas)
        for known in list(self.table):
            for position, _ in known.places:
                test.assertEqual(self.kept.walk(position), anew.walk(position))
                test.assertEqual(self.kept.replica_set(position), anew.replica_set(position))
            node = known.node_id
            test.assertEqual(self.kept.arcs_held_by(node), anew.arcs_held_by(node))
