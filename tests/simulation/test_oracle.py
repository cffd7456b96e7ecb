"""The oracle finds each way in which a ring can be wrong, and nothing in one that is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId, Place
from tace.ring.pointers import Pointers
from tace.simulation.clock import VirtualClock
from tace.simulation.history import History
from tace.simulation.oracle import Oracle
from tace.simulation.rings import (
    list_fault,
    pointer_fault,
    principals,
    shape_fault,
)

R = 3


def ideal_ring(nodes: int, positions: int = 1) -> dict[Place, Pointers]:
    """So many nodes with every pointer right; lists by a way of counting of its own."""
    ids = [bytes([node + 1]) * 32 for node in range(nodes)]
    places = [Place(node, number) for node in ids for number in range(positions)]
    order = sorted(places, key=lambda place: place.position)
    ring = {}
    for at, place in enumerate(order):
        successors: list[Place] = []
        for follower in (order + order)[at + 1 : at + len(order)]:
            others = {p.node for p in successors} - {place.node}
            if len(others) == R:
                break
            successors.append(follower)
        ring[place] = Pointers(place, order[at - 1], tuple(successors), True)
    return ring


def name(place: Place) -> str:
    return f"{place.node[0]}#{place.number}"


class RingCase(SynchronousTestCase):
    """Rings to be spoilt."""

    def setUp(self) -> None:
        self.ring = ideal_ring(8)
        self.order = sorted(self.ring, key=lambda place: place.position)

    def point(self, at: int, *to: int) -> None:
        """Give one position, by its place in the order, other successors."""
        place = self.order[at]
        successors = tuple(self.order[index] for index in to)
        self.ring[place] = replace(self.ring[place], successors=successors)


class JudgementTests(RingCase):
    """The pure part."""

    def test_right(self) -> None:
        """Of one position each or four, of many nodes or few, and of one alone."""
        alone = Place(b"\x01" * 32, 0)
        for ring in (
            self.ring,
            ideal_ring(8, 4),
            ideal_ring(2),
            ideal_ring(2, 4),
            {alone: Pointers(alone, None, (alone,), True)},
        ):
            self.assertIsNone(shape_fault(ring, name))
            self.assertIsNone(pointer_fault(ring, R, name))
            self.assertEqual(len(principals(ring)), len(ring))
            for pointers in ring.values():
                self.assertIsNone(list_fault(pointers, name))

    def test_out_of_order(self) -> None:
        """A list goes clockwise."""
        self.point(0, 1, 3, 2)
        fault = list_fault(self.ring[self.order[0]], name)
        self.assertIn(f"out of order at {name(self.order[2])}", str(fault))

    def test_twice(self) -> None:
        """Nobody stands in it twice, nor its owner at all."""
        self.point(0, 1, 1, 2)
        self.assertIn("twice", str(list_fault(self.ring[self.order[0]], name)))
        self.point(0, 1, 0)
        self.assertIn("its own", str(list_fault(self.ring[self.order[0]], name)))

    def test_no_live_successor(self) -> None:
        """All that a list names are dead."""
        for at in (1, 2, 3):
            del self.ring[self.order[at]]
        fault = shape_fault(self.ring, name)
        self.assertEqual(fault, f"{name(self.order[0])} has no live successor")

    def test_one_that_lives_is_enough(self) -> None:
        """Dead ones before it are passed over."""
        for at in (1, 2):
            del self.ring[self.order[at]]
        self.assertIsNone(shape_fault(self.ring, name))

    def test_two_rings(self) -> None:
        """Every other position follows every other."""
        for at in range(8):
            self.point(at, (at + 2) % 8, (at + 4) % 8)
        self.assertIn("there are 2 rings", str(shape_fault(self.ring, name)))

    def test_a_ring_of_its_own(self) -> None:
        """One that points at itself has left the others: it passes over all of them."""
        self.point(3, 3)
        self.assertEqual(principals(self.ring), [self.order[3]])

    def test_around_more_than_once(self) -> None:
        """Zave's loopy ring: one cycle, but it passes every place several times."""
        for at in range(8):
            self.point(at, (at + 3) % 8)
        self.assertIn("3 times around", str(shape_fault(self.ring, name)))

    def test_an_appendage(self) -> None:
        """Whoever nobody points at yet is all right, if it leads to the ring."""
        self.point(2, 4, 5, 6)
        self.assertIsNone(shape_fault(self.ring, name))
        self.assertIn("and not", str(pointer_fault(self.ring, R, name)))

    def test_principals(self) -> None:
        """Who is passed over is none; what lies behind the end of a list is not passed over."""
        self.point(2, 4, 5)
        self.assertEqual(
            principals(self.ring), [place for place in self.order if place != self.order[3]]
        )

    def test_a_dead_entry_passes_nobody_over(self) -> None:
        """It is as if it were not there."""
        del self.ring[self.order[3]]
        self.assertEqual(len(principals(self.ring)), 7)

    def test_the_first_wrong_pointer(self) -> None:
        """Successors, predecessors and membership, each by name."""
        names = [name(place) for place in self.order]
        self.point(1, 2, 3)
        self.assertEqual(
            pointer_fault(self.ring, R, name),
            f"{names[1]} has nobody as successor 3 and not {names[4]}",
        )
        place = self.order[1]
        self.point(1, 2, 3, 4)
        self.ring[place] = replace(self.ring[place], predecessor=self.order[7])
        self.assertEqual(
            pointer_fault(self.ring, R, name),
            f"{names[1]} has {names[7]} as predecessor and not {names[0]}",
        )
        self.ring[place] = replace(self.ring[place], predecessor=self.order[0], member=False)
        self.assertEqual(pointer_fault(self.ring, R, name), f"{names[1]} is no member yet")


class OracleTests(RingCase):
    """The part that remembers."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = VirtualClock()
        began = self.clock.seconds()
        self.history = History(self.clock)
        self.oracle = Oracle(
            self.history, lambda: self.clock.seconds() - began, successors=R, settle_seconds=1.0
        )
        for place in self.order:
            self.oracle.lives(place.node, f"n{place.node[0]}")
        # Built from the back, so that nobody leads to what is not there yet.
        self.oracle.expect_disorder(1.0)
        for place in self.order:
            self.move(place.node, Pointers(place), self.ring[place])
        self.clock.run_for(2.0)

    def move(self, node: NodeId, before: Pointers, now: Pointers) -> None:
        self.oracle.changed(node, [before], [now])

    def successors(self, at: int, *to: Place) -> None:
        """One position moves its list."""
        old = self.ring[self.order[at]]
        new = self.ring[self.order[at]] = replace(old, successors=to)
        self.move(old.place.node, old, new)

    def found(self) -> Sequence[str]:
        return [violation.what for violation in self.oracle.violations]

    def test_nothing_is_wrong(self) -> None:
        """With the ideal ring, and with one that has lost a node."""
        self.oracle.look_at_principals()
        self.oracle.not_ideal(0.0)
        self.oracle.died(self.order[4].node)
        self.assertEqual(self.found(), [])
        self.assertEqual(len(self.oracle.members), 7)

    def test_the_first_violation_with_what_led_there(self) -> None:
        """It names the place, the time, and the last events of that node."""
        self.clock.run_for(3.0)
        self.successors(2, self.order[4], self.order[3])
        (first, *_) = self.oracle.violations
        self.assertIn("out of order", first.what)
        self.assertEqual(first.after_seconds, 5.0)
        self.assertIn("2 in all", str(first.history[-1]))
        self.assertEqual({event.who for event in first.history}, {f"n{self.order[2].node[0]}"})

    def test_a_list_of_one(self) -> None:
        """Joined with one successor only: when that dies, the position is lost."""
        self.successors(0, self.order[1])
        self.assertEqual(self.found(), [])
        self.oracle.died(self.order[1].node)
        self.assertIn("no live successor", self.found()[0])

    def test_too_few_principals(self) -> None:
        """Members that are passed over do not count."""
        for at in range(8):
            self.successors(at, *(self.order[(at + step) % 8] for step in (1, 3)))
        self.oracle.look_at_principals()
        self.assertIn("0 principals where there must be 4", self.found()[-1])

    def test_a_member_counts_when_it_had_time(self) -> None:
        """One that has just joined may still be passed over."""
        new = Place(b"\x77" * 32, 0)
        self.oracle.lives(new.node, "new")
        after = next((p for p in self.order if p.position > new.position), self.order[0])
        self.move(new.node, Pointers(new), Pointers(new, None, (after,), True))
        self.oracle.look_at_principals()
        self.assertEqual(self.found(), [])

    def test_the_dead_do_not_answer(self) -> None:
        """A new head of a list that died longer ago than an answer takes was never asked."""
        victim = self.order[1]
        self.successors(0, self.order[2], self.order[3])
        self.oracle.died(victim.node)
        self.clock.run_for(2.0)
        self.successors(0, victim, self.order[2])
        self.assertEqual(self.found(), [])
        self.successors(0, self.order[2], self.order[3])
        self.clock.run_for(2.0)
        self.successors(0, victim, self.order[2])
        self.assertIn("cannot have answered: it died 4.0 s before", self.found()[0])

    def test_what_comes_forward_in_a_list_was_adopted_before(self) -> None:
        """The second becomes the first without a word when the first is gone."""
        self.oracle.died(self.order[1].node)
        self.oracle.died(self.order[2].node)
        self.clock.run_for(5.0)
        self.successors(0, *self.ring[self.order[0]].successors[1:])
        self.assertEqual(self.found(), [])

    def test_disorder_that_is_expected(self) -> None:
        """While the network is cut two rings are no mistake; a list out of order is."""
        self.oracle.expect_disorder(10.0)
        for at in range(8):
            self.successors(at, *(self.order[(at + step) % 8] for step in (2, 4)))
        self.assertEqual(self.found(), [])
        self.oracle.order_within(1.0)
        self.clock.run_for(1.5)
        self.successors(0, self.order[2], self.order[4], self.order[6])
        self.assertIn("there are 2 rings", self.found()[0])

    def test_not_ideal_in_time(self) -> None:
        """With the pointer that is wrong."""
        self.successors(2, self.order[4], self.order[5], self.order[6])
        self.oracle.not_ideal(10.0)
        self.assertIn("not ideal 10 s after the last fault", self.found()[0])
