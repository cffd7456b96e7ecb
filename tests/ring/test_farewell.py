"""The word that a node will be back, over whole nodes."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.ring.farewell import HEARD_WITHIN_SECONDS
from tests.network import MemoryNetwork, TestNode

AWAY = 60.0


class FarewellTestCase(SynchronousTestCase):
    """Six nodes that know each other."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=41, **{"ring.away_seconds": AWAY})
        self.nodes = self.network.ring(6)
        self.leaver = self.nodes[2]
        self.others = [node for node in self.nodes if node is not self.leaver]

    def pointed_at(self, node: TestNode) -> bool:
        """Does anybody's successor list name it?"""
        return any(
            place.node == node.id
            for other in self.others
            for pointers in other.core.ring.snapshot()
            for place in pointers.successors
        )


class LeavingTests(FarewellTestCase):
    """What the others do at that word."""

    def test_everyone_linked_has_heard_before_it_goes(self) -> None:
        """Without one link being cut, and nobody holds it for dead."""
        linked = len(self.leaver.raw_links.up())
        heard = self.network.result(
            Deferred.fromCoroutine(self.leaver.core.farewell.say(self.network.clock.seconds())),
            within=HEARD_WITHIN_SECONDS,
        )
        self.assertEqual(heard, linked)
        self.assertGreaterEqual(linked, 5)
        for node in self.others:
            self.assertTrue(node.core.membership.is_dead(self.leaver.id))
            self.assertEqual(node.core.membership.dead(), [])
            self.assertFalse(node.core.membership.alone)
        self.assertFalse(self.leaver.core.membership.is_dead(self.leaver.id))

    def test_pointers_move_on_that_word(self) -> None:
        """The links still stand, nothing was silent, and nobody points there any more."""
        self.assertTrue(self.pointed_at(self.leaver))
        self.network.result(Deferred.fromCoroutine(self.leaver.core.say_away()), within=1.0)
        self.network.run(0.1)
        self.assertTrue(self.leaver.raw_links.up())
        self.assertFalse(self.pointed_at(self.leaver))

    def test_nobody_is_pointed_at_who_has_not_answered(self) -> None:
        """Contact before adopting holds here too: whoever is next was asked first."""
        self.network.frames.clear()
        before = {
            (node.id, pointers.place.number): pointers.successor
            for node in self.others
            for pointers in node.core.ring.snapshot()
        }
        self.network.result(Deferred.fromCoroutine(self.leaver.core.say_away()), within=1.0)
        self.network.run(0.3)
        asked = {(a, b) for a, b, kind in self.network.frames if kind == "GetRing"}
        moved = 0
        for node in self.others:
            for pointers in node.core.ring.snapshot():
                successor = pointers.successor
                assert successor is not None
                was = before[node.id, pointers.place.number]
                if was is not None and was.node == self.leaver.id:
                    moved += 1
                    if successor.node != node.id:
                        self.assertIn((node.id, successor.node), asked)
        self.assertGreater(moved, 0)

    def test_it_keeps_its_places_in_replica_sets(self) -> None:
        """n does not shrink, however long it takes; nobody takes its place."""
        before = [node.core.membership.replica_set(b"k" * 32).members for node in self.others]
        self.leaver.drain()
        self.network.run(AWAY - 5)
        after = [node.core.membership.replica_set(b"k" * 32) for node in self.others]
        self.assertEqual([s.members for s in after], before)
        self.assertEqual([s.holders for s in after], before)

    def test_who_does_not_answer_is_not_waited_for(self) -> None:
        """A second, and it goes."""
        for node in self.others:
            self.patch(node.raw_links, "answer", lambda peer, message: Deferred())
        begun = self.network.clock.seconds()
        self.network.result(Deferred.fromCoroutine(self.leaver.core.say_away()), within=2.0)
        taken = self.network.clock.seconds() - begun
        self.assertAlmostEqual(taken, HEARD_WITHIN_SECONDS, places=1)
        linked = len(self.leaver.raw_links.up())
        self.assertEqual(self.leaver.counters.counts["farewells_unheard_total"], linked)


class ReturningTests(FarewellTestCase):
    """And when it is back, or not."""

    def test_it_is_back_at_once_everywhere(self) -> None:
        """Pointers, links, replica sets; nobody ever thought it dead."""
        self.leaver.drain()
        self.network.run(20.0)
        self.assertEqual([n.core.membership.dead() for n in self.others], [[]] * 5)
        self.nodes[2] = self.leaver.again()
        self.network.run(1.5)
        for node in self.others:
            self.assertFalse(node.core.membership.is_dead(self.leaver.id))
        self.assertTrue(self.pointed_at(self.leaver))
        deaths = [node.counters.counts.get("deaths_total", 0) for node in self.others]
        self.assertEqual(deaths, [0] * 5)

    def test_a_return_that_nobody_told_of(self) -> None:
        """Those who are away are asked now and then, so it comes to light."""
        self.network = MemoryNetwork(seed=42, **{"ring.away_seconds": AWAY})
        one, leaver = self.network.ring(2)
        leaver.drain()
        self.network.partition([one.id], [leaver.id])
        again = leaver.again()
        self.network.run(10.0)
        self.assertTrue(one.core.membership.is_dead(again.id))
        # The way is open, but the other one does not take it.
        self.network.cut.clear()
        self.patch(again.raw_links, "_open", lambda node: node in again.raw_links.up())
        self.network.run(10.0)
        self.assertFalse(one.core.membership.is_dead(again.id))

    def test_when_it_is_not_back_in_time_it_is_dead(self) -> None:
        """And is replaced from then on."""
        self.leaver.drain()
        self.network.run(AWAY - 2)
        self.assertEqual([n.core.membership.dead() for n in self.others], [[]] * 5)
        self.network.run(4.0)
        self.assertEqual([n.core.membership.dead() for n in self.others], [[self.leaver.id]] * 5)
