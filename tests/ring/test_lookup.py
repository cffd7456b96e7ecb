"""Lookups beyond what a table holds: who is found, and what liars and the dead can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ForgedRecord, LinkLost, NotStored, RateLimited, TooMany
from tace.ids import NodeId
from tace.ring import acquaintances
from tace.ring.acquaintances import KEPT_SECONDS, MAX_KEYS, Acquaintances
from tace.ring.lookup import (
    DEADLINE_SECONDS,
    HOPS,
    MAX_PASSED_ON,
    MAX_STEPS,
    NEARER_NAMED,
    PATHS,
    Found,
    Lookup,
    after,
    before,
)
from tace.ring.placement import CANDIDATES_PER_REPLICA
from tace.simulation.routing import DirectLinks, NoCounters, RoutingNetwork
from tace.simulation.signatures import remembered_signatures
from tace.wire.message import Message
from tace.wire.peer import FindSuccessors, Successors

NODES = 520
CAPACITY = 384


@cache
def network() -> RoutingNetwork:
    """One for all tests: tables take a while to fill, and lookups leave nothing in them."""
    return RoutingNetwork(5, NODES, CAPACITY, 0, clock=network_clock())


@cache
def network_clock() -> Clock:
    """The time of all its nodes."""
    clock = Clock()
    clock.rightNow = 1_800_000_000.0
    return clock


Answer = Callable[[NodeId, FindSuccessors], Awaitable[Message]]


class LyingLinks(DirectLinks):
    """Links of one node, where some nodes answer what a test has them answer."""

    def __init__(self, own: NodeId) -> None:
        super().__init__(network(), own)
        self.instead: dict[NodeId, Answer] = {}
        self.asked: list[tuple[NodeId, int]] = []
        self.up = True

    def call(self, node: NodeId, request: Any, *, timeout_seconds: float | None = None) -> Any:
        self.asked.append((node, request.hops))
        answer = self.instead.get(node)
        if answer is not None:
            return Deferred.fromCoroutine(_of(answer(node, request)))
        return super().call(node, request, timeout_seconds=timeout_seconds)

    def is_up(self, node: NodeId) -> bool:
        return self.up


async def _of(answer: Awaitable[Message]) -> Message:
    return await answer


class LookupTestCase(SynchronousTestCase):
    """One node's lookups, for keys that it cannot place."""

    def setUp(self) -> None:
        remembering = remembered_signatures()
        remembering.__enter__()
        self.addCleanup(remembering.__exit__, None, None, None)
        self.random = Random(3)
        self.own = network().machines[0].record.node_id
        self.membership = network().node(self.own).membership
        self.links = LyingLinks(self.own)
        self.clock = Clock()
        self.wait = 0.0
        self.lookup = self.make(self.links)
        self.key = self.far_key()
        self.truth = list(network().after(self.key))

    def make(self, links: DirectLinks) -> Lookup:
        return Lookup(
            self.membership,
            links=links,
            clock=self.clock,
            counters=NoCounters(),
            may_ask=lambda node: self.wait,
            candidates=24,
        )

    def far_key(self) -> bytes:
        while True:
            key = self.random.randbytes(32)
            if not self.membership.table.covers(key):
                return key

    def nodes(self, found: Found) -> list[NodeId]:
        return [record.node_id for record in found.records]

    def result(self, looking: Awaitable[Found]) -> Found:
        found = self.successResultOf(Deferred.fromCoroutine(_found(looking)))
        assert isinstance(found, Found)
        return found

    def everyone_but_me(self) -> list[NodeId]:
        return [m.record.node_id for m in network().machines if m.record.node_id != self.own]


async def _found(looking: Awaitable[Found]) -> Found:
    return await looking


class FindingTests(LookupTestCase):
    """Whom it should."""

    def test_every_way(self) -> None:
        """Three ways, one result, and nobody is asked twice in any of them."""
        for way in (self.lookup.find, self.lookup.iterative, self.lookup.recursive):
            self.links.asked.clear()
            found = self.result(way(self.key))
            self.assertEqual(self.nodes(found), self.truth)
            asked = [node for node, _ in self.links.asked]
            self.assertEqual(len(asked), len(set(asked)))
            self.assertGreaterEqual(found.hops, found.first_hops)
            self.assertGreater(found.first_hops, 1)

    def test_what_is_known_is_not_asked(self) -> None:
        """One hop."""
        own_place = self.membership.current.places[0][0]
        found = self.result(self.lookup.find(own_place))
        self.assertEqual((found.hops, found.asked, self.links.asked), (1, 0, []))
        self.assertEqual(self.nodes(found), list(network().after(own_place)))

    def test_resolve(self) -> None:
        """Afterwards the replica set is arithmetic, for a while; a far node is no candidate."""
        self.assertFalse(self.lookup.knows(self.key))
        self.assertFalse(self.membership.is_candidate(self.truth[0], self.key))
        self.successResultOf(Deferred.fromCoroutine(self.lookup.resolve(self.key)))
        self.assertTrue(self.lookup.knows(self.key))
        self.assertEqual(list(self.membership.candidates(self.key)), self.truth)
        self.assertLessEqual(set(self.membership.replica_set(self.key).members), set(self.truth))
        self.assertTrue(self.membership.is_candidate(self.truth[0], self.key))
        for node in self.truth:
            self.assertIsNotNone(self.membership.record_of(node))
        self.links.asked.clear()
        self.successResultOf(Deferred.fromCoroutine(self.lookup.resolve(self.key)))
        self.assertEqual(self.links.asked, [])
        self.membership.acquaintances.forget(self.key)
        self.assertEqual(len(self.membership.acquaintances), 0)

    def test_round_trips(self) -> None:
        """Those who were asked over a link that was open stay before others of their octave; an
        answer that others passed on, or a dial, measures nobody."""
        table = self.membership.table

        def waited(up: bool, looking: Awaitable[Found]) -> list[float]:
            self.links.up = up
            asked: list[NodeId] = []

            async def late(node: NodeId, request: FindSuccessors) -> Message:
                asked.append(node)
                self.clock.advance(0.05)
                del self.links.instead[node]
                answer: Message = await self.links.call(node, request)
                return answer

            self.links.instead = dict.fromkeys(self.everyone_but_me(), late)
            table._met.clear()
            self.successResultOf(Deferred.fromCoroutine(_found(looking)))
            self.links.instead = {}
            return [seconds for node in asked if (seconds := table._met.get(node)) is not None]

        self.addCleanup(table._met.clear)
        self.assertIn(0.05, waited(True, self.lookup.iterative(self.key)))
        self.assertEqual(waited(False, self.lookup.iterative(self.key)), [])
        self.assertEqual(waited(True, self.lookup.recursive(self.key)), [])

    def test_together(self) -> None:
        """Who wants the same key at the same time waits for the first."""
        held: list[Deferred[Message]] = []

        def hold(node: NodeId, request: FindSuccessors) -> Awaitable[Message]:
            held.append(Deferred())
            return held[-1]

        self.links.instead = dict.fromkeys(self.everyone_but_me(), hold)
        waiting = [Deferred.fromCoroutine(self.lookup.resolve(self.key)) for _ in range(3)]
        self.assertEqual(len(held), PATHS)
        for answer in held[:]:
            answer.errback(LinkLost("gone"))
        self.clock.advance(DEADLINE_SECONDS)
        for each in waiting:
            self.successResultOf(each)
        self.assertFalse(self.lookup.knows(self.key))
        self.assertEqual(len(self.membership.acquaintances), 0)


class HostileTests(LookupTestCase):
    """Nodes that are dead, or lie."""

    def colluders(self, count: int) -> list[bytes]:
        """Records of real nodes that have nothing to do with the key."""
        machines = [m for m in network().machines if m.record.node_id not in self.truth]
        return [machine.record.encoded for machine in machines[1 : count + 1]]

    def first_asked(self, way: Callable[[bytes], Awaitable[Found]]) -> list[NodeId]:
        self.result(way(self.key))
        asked = [node for node, _ in self.links.asked]
        self.links.asked.clear()
        return asked

    def test_one_that_hides_everyone(self) -> None:
        """It says found and names its friends; the other path brings those it hides."""

        async def lie(node: NodeId, request: FindSuccessors) -> Message:
            return Successors(True, tuple(self.colluders(24)))

        for way in (self.lookup.find, self.lookup.iterative):
            for liar in self.first_asked(way)[:2]:
                self.links.instead = {liar: lie}
                self.assertEqual(self.nodes(self.result(way(self.key))), self.truth)
                self.assertIn(liar, [node for node, _ in self.links.asked])
                self.links.instead = {}

    def test_one_that_leads_astray(self) -> None:
        """Names that lie no nearer are not followed, nor those that were asked."""

        records = [machine.record for machine in network().machines]
        astray = sorted(records, key=lambda record: before(record, self.key))[-7:]

        async def lie(node: NodeId, request: FindSuccessors) -> Message:
            record = self.membership.record_of(node)
            assert record is not None
            return Successors(False, tuple(r.encoded for r in (record, *astray)))

        self.links.instead = dict.fromkeys(self.everyone_but_me(), lie)
        failed = Deferred.fromCoroutine(_found(self.lookup.iterative(self.key)))
        self.failureResultOf(failed, NotStored)
        asked = [node for node, _ in self.links.asked]
        self.assertEqual(len(asked), len(set(asked)))
        self.assertLessEqual(len(asked), PATHS * MAX_STEPS)
        self.assertGreater(len(asked), PATHS)
        self.assertFalse({record.node_id for record in astray} & set(asked))

    def test_forged_records(self) -> None:
        """They are as if they were not there; an answer of nothing else is none."""
        forged = tuple(r[:-1] + bytes([r[-1] ^ 1]) for r in self.colluders(5))

        async def lie(node: NodeId, request: FindSuccessors) -> Message:
            return Successors(True, forged)

        liar = self.first_asked(self.lookup.iterative)[0]
        self.links.instead = {liar: lie}
        self.assertEqual(self.nodes(self.result(self.lookup.iterative(self.key))), self.truth)

    def test_the_dead(self) -> None:
        """Three of the first who are asked do not answer; and when nobody does, it ends."""

        async def silent(node: NodeId, request: FindSuccessors) -> Message:
            raise LinkLost("nobody there")

        dead = self.first_asked(self.lookup.iterative)[:3]
        self.links.instead = dict.fromkeys(dead, silent)
        found = self.result(self.lookup.iterative(self.key))
        self.assertEqual((self.nodes(found), found.silent >= 1), (self.truth, True))
        self.links.instead = dict.fromkeys(self.everyone_but_me(), silent)
        failed = Deferred.fromCoroutine(_found(self.lookup.find(self.key)))
        self.failureResultOf(failed, NotStored)
        self.assertEqual(len(self.membership.acquaintances), 0)

    def test_in_time(self) -> None:
        """Who says nothing for ever is waited for no longer than the deadline."""

        def never(node: NodeId, request: FindSuccessors) -> Awaitable[Message]:
            return Deferred()

        self.links.instead = dict.fromkeys(self.everyone_but_me(), never)
        looking = Deferred.fromCoroutine(_found(self.lookup.find(self.key)))
        self.clock.advance(DEADLINE_SECONDS - 0.01)
        self.assertNoResult(looking)
        self.clock.advance(0.01)
        self.failureResultOf(looking, NotStored)


class AnsweringTests(LookupTestCase):
    """What others are told, and what they may not have done."""

    def ask(self, message: FindSuccessors, lookup: Lookup | None = None) -> Deferred[Message]:
        procedure = (lookup or self.lookup).procedures()[FindSuccessors]
        peer = network().machines[7].record.node_id

        async def answer() -> Message:
            answered = await procedure(peer, message)
            assert answered is not None
            return answered

        return Deferred.fromCoroutine(answer())

    def test_nearer_ones(self) -> None:
        """Nobody is asked; those named precede the key, the nearest first."""
        answer = self.successResultOf(self.ask(FindSuccessors(self.key)))
        assert isinstance(answer, Successors)
        self.assertEqual((answer.found, len(answer.records)), (False, NEARER_NAMED))
        self.assertEqual(self.links.asked, [])
        first = self.membership.verified(answer.records[0])
        place = self.membership.table.closest_preceding(self.key)
        assert first is not None and place is not None
        self.assertEqual(place.node, first.node_id)

    def test_passed_on(self) -> None:
        """With one hop less, and the answer counts how often."""
        answer = self.successResultOf(self.ask(FindSuccessors(self.key, HOPS)))
        assert isinstance(answer, Successors)
        self.assertTrue(answer.found)
        self.assertGreaterEqual(answer.hops, 1)
        self.assertEqual({hops for _, hops in self.links.asked}, {HOPS - 1})
        nearest = sorted(
            (r for e in answer.records if (r := self.membership.verified(e)) is not None),
            key=lambda record: after(record, self.key),
        )
        self.assertEqual([record.node_id for record in nearest], self.truth)

    def test_two_that_pass_on_for_ever(self) -> None:
        """Each hop takes one from the number: a circle of liars ends."""
        depth: list[int] = []

        async def again(node: NodeId, request: FindSuccessors) -> Message:
            depth.append(request.hops)
            return await self.ask(request)

        self.links.instead = dict.fromkeys(self.everyone_but_me(), again)
        answer = self.successResultOf(self.ask(FindSuccessors(self.key, HOPS)))
        assert isinstance(answer, Successors)
        self.assertEqual((answer.found, answer.hops), (False, HOPS))
        self.assertEqual(depth, list(range(HOPS - 1, -1, -1)))

    def test_too_often(self) -> None:
        """Who asks too fast is told when to ask again."""
        self.wait = 0.25
        refusal = self.failureResultOf(self.ask(FindSuccessors(self.key)), RateLimited).value
        self.assertEqual(getattr(refusal, "retry_after_ms", None), 250)

    def test_too_many_passed_on(self) -> None:
        """So many at one time; those that are refused cost nothing."""

        held: list[Deferred[Message]] = []

        def never(node: NodeId, request: FindSuccessors) -> Awaitable[Message]:
            held.append(Deferred())
            return held[-1]

        self.links.instead = dict.fromkeys(self.everyone_but_me(), never)
        waiting = [self.ask(FindSuccessors(self.key, 2)) for _ in range(MAX_PASSED_ON)]
        for each in waiting:
            self.assertNoResult(each)
        self.failureResultOf(self.ask(FindSuccessors(self.key, 2)), TooMany)
        self.assertEqual(len(self.links.asked), MAX_PASSED_ON)


class AcquaintanceTests(SynchronousTestCase):
    """Records beyond the table are bounded, and go when nobody wants them."""

    def test_time_and_number(self) -> None:
        """A key is believed for a while; the one used longest ago makes room."""
        clock, gone = Clock(), list[NodeId]()
        known = Acquaintances(clock, gone.append)
        records = [machine.record for machine in network().machines[:3]]
        known.remember(b"k" * 32, records[:2])
        self.assertTrue(known.is_fresh(b"k" * 32))
        clock.advance(KEPT_SECONDS)
        self.assertFalse(known.is_fresh(b"k" * 32))
        known.remember(b"k" * 32, records[1:])
        self.assertEqual(gone, [records[0].node_id])
        for number in range(MAX_KEYS):
            known.remember(number.to_bytes(32), records[:1])
        self.assertIsNone(known.around(b"k" * 32))
        self.assertEqual(len(known), 1)

    def test_tables(self) -> None:
        """Made when they are wanted, and few at a time; of fresher records when there are some."""
        self.patch(acquaintances, "MAX_TABLES", 2)
        known = Acquaintances(Clock(), lambda node: None)
        records = [machine.record for machine in network().machines[:3]]
        keys = [bytes([n]) * 32 for n in range(3)]
        self.assertIsNone(known.table_around(keys[0]))
        for key in keys:
            known.remember(key, records[:2])
        first = known.table_around(keys[0])
        assert first is not None
        self.assertEqual(set(first.nodes_clockwise(keys[0])), {r.node_id for r in records[:2]})
        self.assertIs(known.table_around(keys[0]), first)
        for key in keys:
            known.table_around(key)
        self.assertLessEqual(len(known._tables), 2)
        self.assertIsNot(known.table_around(keys[0]), first)
        known.remember(keys[0], records[1:])
        anew = known.table_around(keys[0])
        assert anew is not None
        self.assertEqual(set(anew.nodes_clockwise(keys[0])), {r.node_id for r in records[1:]})


class RedirectTests(LookupTestCase):
    """What a replica names because it is nearer, of keys beyond the table."""

    def setUp(self) -> None:
        super().setUp()
        self.acquaintances = self.membership.acquaintances
        self.acquaintances.forget(self.key)
        self.addCleanup(self.acquaintances.forget, self.key)

    def test_before_a_lookup(self) -> None:
        """A few records say nothing of who keeps a key that was never looked up."""
        self.membership.learn_around(self.key, [machine.record.encoded for machine in self.near(2)])
        self.assertFalse(self.membership.knows(self.key))

    def test_after_one(self) -> None:
        """Those that stand nearer take their places at once, and are believed no longer than what
        was found; those that stand farther are not taken in."""
        near = self.near(6)
        known = [machine.record for machine in near[2:]]
        self.membership.remember(self.key, known)
        found = self.acquaintances.around(self.key)
        network_clock().advance(1.0)
        self.membership.learn_around(self.key, [machine.record.encoded for machine in near[:2]])
        now = self.acquaintances.around(self.key)
        assert found is not None and now is not None
        self.assertEqual(now.nodes[:2], tuple(self.truth[:2]))
        self.assertEqual(now.until, found.until)
        self.assertIn(self.truth[0], self.membership.replica_set(self.key).everyone)
        far = [machine.record.encoded for machine in network().machines[:40]]
        self.membership.learn_around(self.key, far)
        bound = CANDIDATES_PER_REPLICA * len(self.membership.replica_set(self.key).everyone)
        still = self.acquaintances.around(self.key)
        assert still is not None
        self.assertLessEqual(len(still.nodes), bound)
        self.assertEqual(still.nodes[:2], tuple(self.truth[:2]))

    def near(self, count: int) -> list[Any]:
        """The machines that follow the key, nearest first."""
        machines = {machine.record.node_id: machine for machine in network().machines}
        return [machines[node] for node in self.truth[:count]]

    def test_forged(self) -> None:
        """As from anybody else; nothing changes."""
        near = self.near(6)
        self.membership.remember(self.key, [machine.record for machine in near[1:]])
        before = self.membership.replica_set(self.key)
        encoded = near[0].record.encoded
        with self.assertRaises(ForgedRecord):
            self.membership.learn_around(self.key, [encoded[:-1] + bytes([encoded[-1] ^ 1])])
        self.assertEqual(self.membership.replica_set(self.key), before)
