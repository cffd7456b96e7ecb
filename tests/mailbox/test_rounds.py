"""Who is compared with when, and how long anybody is waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost, NotReplica, TaceError
from tace.ids import Arc, NodeId
from tace.mailbox.rounds import (
    FIRST_SECONDS,
    MAX_AT_ONCE,
    MAX_SECONDS,
    STALLED_SECONDS,
    ComparisonRounds,
)
from tace.seams import ReplicaSet
from tests.letters import Box
from tests.mailbox.test_repair import RepairTestCase
from tests.network import NoCounters

OWN = b"o" * 32
INTERVAL = 60.0
ARC = Arc(bytes(32), b"\xff" * 32)


class Neighbours:
    """A view of one arc, kept by this node and so many others."""

    def __init__(self, others: Sequence[NodeId]) -> None:
        self.own = OWN
        self.dead: set[NodeId] = set()
        self.sets: dict[Arc, Sequence[NodeId]] = {}
        self.others = list(others)
        self.arcs = [ARC]
        self.listeners: list[Callable[[], None]] = []
        self.many_came = False
        self.next_ones: list[NodeId] = []

    def candidates(self, key: bytes) -> tuple[NodeId, ...]:
        return (OWN, *self.others, *self.next_ones)

    def arcs_held(self) -> list[tuple[Arc, ReplicaSet]]:
        found = []
        for arc in self.arcs:
            everyone = (OWN, *self.sets.get(arc, self.others))
            found.append((arc, ReplicaSet(everyone, everyone)))
        return found

    def is_dead(self, node: NodeId) -> bool:
        return node in self.dead

    def when_changed(self, listener: Callable[[], None]) -> None:
        self.listeners.append(listener)


class Answers:
    """Whether reads are whole."""

    partial = True


class RoundsTestCase(SynchronousTestCase):
    """Comparisons that end when the test says so."""

    count = 20

    def setUp(self) -> None:
        self.clock = Clock()
        self.peers = [bytes([n]) * 32 for n in range(1, self.count + 1)]
        self.view = Neighbours(self.peers)
        self.reader = Answers()
        self.counters = NoCounters()
        self.asked: list[NodeId] = []
        self.arcs_asked: list[tuple[Arc, ...]] = []
        self.under_way: dict[NodeId, tuple[Deferred[int], Callable[[], None]]] = {}
        view: Any = self.view
        self.rounds = ComparisonRounds(
            "items",
            self.pull,
            self.reader,
            view=view,
            clock=self.clock,
            random=Random(1),
            counters=self.counters,
            interval_seconds=INTERVAL,
        )

    async def pull(self, peer: NodeId, arcs: Sequence[Arc], moved: Callable[[], None]) -> int:
        self.asked.append(peer)
        self.arcs_asked.append(tuple(arcs))
        ended: Deferred[int] = Deferred()
        self.under_way[peer] = (ended, moved)
        try:
            return await ended
        finally:
            del self.under_way[peer]

    def end(self, peer: NodeId, brought: int = 0) -> None:
        self.under_way[peer][0].callback(brought)

    def break_off(self, peer: NodeId, error: TaceError | None = None) -> None:
        self.under_way[peer][0].errback(error or LinkLost())

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)


class FirstTests(RoundsTestCase):
    """The comparison of a node that joins."""

    def test_a_few_at_a_time(self) -> None:
        """The next one when one has ended."""
        once = Deferred.fromCoroutine(self.rounds.once())
        self.assertEqual(self.asked, self.peers[:MAX_AT_ONCE])
        self.end(self.peers[3])
        self.assertEqual(self.asked, self.peers[: MAX_AT_ONCE + 1])
        while self.under_way:
            self.end(next(iter(self.under_way)))
        self.assertEqual(self.asked, self.peers)
        self.assertTrue(self.successResultOf(once))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whole_before_everyone_has_answered(self) -> None:
        """21 members: R = 11, and ten others besides this node are one too few."""
        Deferred.fromCoroutine(self.rounds.once())
        for done in range(1, 12):
            self.assertTrue(self.reader.partial, done)
            self.end(next(iter(self.under_way)))
        self.assertFalse(self.reader.partial)

    def test_slow_ones_are_not_waited_for_without_end(self) -> None:
        """The node goes on and says what it is: partial, until they have answered."""
        once = Deferred.fromCoroutine(self.rounds.once())
        self.pass_seconds(FIRST_SECONDS - 1)
        self.assertNoResult(once)
        for _, moved in self.under_way.values():
            moved()
        self.pass_seconds(1)
        self.assertFalse(self.successResultOf(once))
        self.assertTrue(self.reader.partial)
        self.assertEqual(len(self.under_way), MAX_AT_ONCE)

    def test_one_that_fails(self) -> None:
        """Is told; the others are asked all the same."""
        once = Deferred.fromCoroutine(self.rounds.once())
        self.break_off(self.peers[0])
        while self.under_way:
            self.end(next(iter(self.under_way)))
        self.assertEqual(self.asked, self.peers)
        self.assertFalse(self.successResultOf(once))


class TurnTests(RoundsTestCase):
    """How long one comparison may take."""

    count = 2

    def setUp(self) -> None:
        super().setUp()
        self.rounds.start()
        self.pass_seconds(1)
        self.slow, self.other = self.peers
        self.end(self.other)
        self.asked.clear()

    def test_one_that_brings_nothing_loses_its_turn(self) -> None:
        """And is asked again, less and less often."""
        self.pass_seconds(STALLED_SECONDS - 2)
        self.assertIn(self.slow, self.under_way)
        self.pass_seconds(2)
        self.assertNotIn(self.slow, self.under_way)
        self.assertEqual(self.counters.counts["repair_failures_total"], 1)
        self.pass_seconds(INTERVAL / 6 + 1)
        self.assertEqual(self.asked, [self.slow])
        self.break_off(self.slow)
        self.pass_seconds(INTERVAL / 6 + 1)
        self.assertEqual(self.asked.count(self.slow), 1)
        self.pass_seconds(INTERVAL / 6)
        self.assertEqual(self.asked.count(self.slow), 2)

    def test_one_that_brings_something_goes_on(self) -> None:
        """But not for ever."""
        for _ in range(int(MAX_SECONDS // 20)):
            self.assertIn(self.slow, self.under_way)
            self.under_way[self.slow][1]()
            self.pass_seconds(20)
        self.assertNotIn(self.slow, self.under_way)

    def test_the_others_are_compared_with_meanwhile(self) -> None:
        """A peer that drags its feet holds up nobody else's comparison."""
        for _ in range(10):
            self.under_way[self.slow][1]()
            self.pass_seconds(10)
        self.assertEqual(set(self.asked), {self.other})

    def test_one_that_was_overtaken_by_a_loss_is_done_again(self) -> None:
        """What was missed may lie in a part that had been compared already."""
        self.assertTrue(self.reader.partial)
        for peer in self.peers:
            self.rounds.lost_touch(peer)
        self.end(self.slow)
        self.assertTrue(self.reader.partial)
        self.pass_seconds(2)
        self.assertCountEqual(self.asked, self.peers)
        for peer in self.peers:
            self.end(peer)
        self.assertFalse(self.reader.partial)

    def test_stop_ends_what_is_under_way(self) -> None:
        """No timer, no comparison, nothing begins any more."""
        Deferred.fromCoroutine(self.rounds.stop())
        self.assertEqual(self.under_way, {})
        self.rounds.soon()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OrderTests(RoundsTestCase):
    """What has the fewest living copies comes first."""

    count = 4

    def test_the_fewest_copies_first(self) -> None:
        """Of the arcs, and of the peers: those who share what is in danger."""
        first, second, third = (
            Arc(bytes([n]) + bytes(31), bytes([n + 0x10]) + bytes(31)) for n in (0x10, 0x20, 0x30)
        )
        one, two, three, four = self.peers
        self.view.arcs = [first, second, third]
        self.view.sets = {first: [one, two, four], second: [two, four], third: [one, two, three]}
        self.view.dead = {four}
        self.rounds.start()
        self.pass_seconds(1)
        self.assertEqual(self.asked, [two, one, three])
        self.assertEqual(self.arcs_asked, [(second, first, third), (first, third), (third,)])

    def test_neighbours_with_as_many_copies_are_one(self) -> None:
        """One range is less to ask about than two."""
        first = Arc(b"\x10" + bytes(31), b"\x20" + bytes(31))
        second = Arc(b"\x20" + bytes(31), b"\x30" + bytes(31))
        self.view.arcs = [first, second]
        self.rounds.start()
        self.pass_seconds(1)
        self.assertEqual(set(self.arcs_asked), {(Arc(first.start, second.end),)})

    def test_the_order_alone_is_no_reason(self) -> None:
        """A death changes what is urgent, and not what has been compared."""
        first = Arc(b"\x10" + bytes(31), b"\x20" + bytes(31))
        second = Arc(b"\x20" + bytes(31), b"\x30" + bytes(31))
        one, two, three, four = self.peers
        self.view.arcs = [first, second]
        self.view.sets = {first: [one, two, three], second: [one, two, four]}
        self.rounds.start()
        self.pass_seconds(1)
        while self.under_way:
            self.end(next(iter(self.under_way)))
        self.asked.clear()
        self.view.dead = {four}
        self.rounds.soon()
        self.pass_seconds(2)
        self.assertEqual(self.asked, [])


class NotReplicaTests(RoundsTestCase):
    """A peer that does not see yet what this node sees."""

    count = 1

    def test_it_is_asked_again_soon(self) -> None:
        """After a second, two, four; one that never sees it as seldom as any that fails."""
        self.rounds.start()
        self.pass_seconds(1)
        (peer,) = self.peers
        waits = []
        for _ in range(6):
            self.break_off(peer, NotReplica("that arc is not yours"))
            begun = self.clock.seconds()
            while peer not in self.under_way:
                self.pass_seconds(0.25)
            waits.append(self.clock.seconds() - begun)
        for waited, wanted in zip(waits, (1, 2, 4, 8), strict=False):
            self.assertTrue(wanted <= waited <= wanted + 0.5, waits)
        self.assertGreater(waits[-1], INTERVAL)


class ArcsChangeTests(RoundsTestCase):
    """What a pair shares, after it was compared."""

    count = 1

    def setUp(self) -> None:
        super().setUp()
        self.arc = Arc(b"\x10" + bytes(31), b"\x80" + bytes(31))
        self.view.arcs = [self.arc]
        self.rounds.start()
        self.pass_seconds(1)
        (self.peer,) = self.peers
        self.end(self.peer)
        self.asked.clear()

    def share(self, *arcs: Arc) -> None:
        self.view.arcs = list(arcs)
        self.rounds.soon()
        self.pass_seconds(2)

    def test_a_part_is_not_compared_again(self) -> None:
        """Somebody has joined between the two: what is left to them is in step."""
        middle = b"\x40" + bytes(31)
        self.share(Arc(middle, self.arc.end))
        self.assertEqual(self.asked, [])
        self.pass_seconds(INTERVAL * 1.25 + 1)
        self.assertEqual(self.asked, [self.peer])

    def test_what_was_not_shared_meanwhile_is(self) -> None:
        """It went, and came back: who knows what was written in between."""
        middle = b"\x40" + bytes(31)
        self.share(Arc(middle, self.arc.end))
        self.share(self.arc)
        self.assertEqual(self.asked, [self.peer])

    def test_more_is(self) -> None:
        """Somebody is gone: what they share now was never compared."""
        self.share(Arc(b"\x08" + bytes(31), self.arc.end))
        self.assertEqual(self.asked, [self.peer])
        self.end(self.peer)
        self.share(Arc(b"\x08" + bytes(31), self.arc.end))
        self.assertEqual(self.asked, [self.peer])

    def test_another_one_beside_is(self) -> None:
        """One of two is new, and only that is asked about; all of it again in its turn."""
        beside = Arc(b"\xa0" + bytes(31), b"\xb0" + bytes(31))
        self.share(self.arc, beside)
        self.assertEqual(self.arcs_asked[1:], [(beside,)])
        self.end(self.peer)
        self.pass_seconds(INTERVAL * 1.25 + 1)
        self.assertEqual(self.arcs_asked[2:], [(self.arc, beside)])

    def test_what_has_come_and_cannot_be_had(self) -> None:
        """It is asked for again; what was compared before is not."""
        beside = Arc(b"\xa0" + bytes(31), b"\xb0" + bytes(31))
        self.share(self.arc, beside)
        waits = []
        for _ in range(3):
            self.break_off(self.peer, NotReplica("that arc is not yours"))
            self.rounds.soon()
            begun = self.clock.seconds()
            while self.peer not in self.under_way:
                self.pass_seconds(0.25)
            waits.append(self.clock.seconds() - begun)
        for waited, wanted in zip(waits, (1, 2, 4), strict=True):
            self.assertTrue(wanted <= waited <= wanted + 1, waits)
        self.assertEqual(self.arcs_asked[1:], [(beside,)] * 4)
        self.end(self.peer)
        self.share(self.arc, beside)
        self.assertEqual(len(self.asked), 4)

    def test_what_goes_while_it_is_compared(self) -> None:
        """And comes back before that has ended: it proves nothing."""
        beside = Arc(b"\xa0" + bytes(31), b"\xb0" + bytes(31))
        self.share(self.arc, beside)
        self.share(self.arc)
        self.share(self.arc, beside)
        self.end(self.peer)
        self.pass_seconds(1)
        self.assertEqual(self.arcs_asked[1:], [(beside,)] * 2)


class ManyCameTests(ArcsChangeTests):
    """Two rings are one: what one of them stored lies with others than those who keep it now."""

    def setUp(self) -> None:
        super().setUp()
        self.beyond = b"z" * 32
        self.view.next_ones = [self.beyond]

    def test_the_next_ones_are_asked_too(self) -> None:
        """Once, for what is kept here now."""
        self.view.many_came = True
        self.rounds.soon()
        self.pass_seconds(2)
        self.assertEqual(self.asked, [self.beyond])
        self.end(self.beyond)
        self.rounds.soon()
        self.pass_seconds(2)
        self.assertEqual(self.asked, [self.beyond])

    def test_not_otherwise(self) -> None:
        """Who joins has been told everything by those who keep it."""
        self.rounds.soon()
        self.pass_seconds(2)
        self.assertEqual(self.asked, [])


class JoiningTests(RepairTestCase):
    """Over whole nodes."""

    def test_a_slow_liar_does_not_keep_a_node_from_its_data(self) -> None:
        """What the others hold is here in a second, though the first one asked takes its time."""
        nodes = self.network_of(4)
        letters = [e for n in range(10) for e in self.letters(20, Box(f"b{n}"))]
        for node in nodes[1:]:
            self.put(node, letters)
        liar = nodes[0]
        honest = liar.raw_links._procedures

        def slowly(procedure: Any) -> Any:
            async def late(peer: bytes, message: Any) -> Any:
                waited: Deferred[None] = Deferred()
                self.network.clock.callLater(2.4, waited.callback, None)
                await waited
                return await procedure(peer, message)

            return late

        listings = {c: slowly(p) for c, p in honest.items() if c.__name__ == "CompareRanges"}
        liar.raw_links._procedures = {**honest, **listings}
        late = self.network.node("late", seeds=("n1:1",))
        late.start()
        self.network.run(1.5)
        self.assertEqual(len(self.items(late)), len(letters))
        self.assertFalse(late.core.replica.partial)
