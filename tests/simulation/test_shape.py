"""The shape of the ring is known after every change, and is what a look at all of it tells."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import Place
from tace.ring.pointers import Pointers
from tace.simulation.rings import shape_fault
from tace.simulation.shape import RingShape
from tests.simulation.test_oracle import OracleTests, RingCase, ideal_ring, name


class ChangeTests(RingCase):
    """Sound rings of eight places; one thing changes."""

    def setUp(self) -> None:
        super().setUp()
        self.shape = RingShape()
        for pointers in self.ring.values():
            self.shape.put(pointers)
        self.assertIsNone(self.shape.fault(name))
        self.looks = self.shape.whole_looks

    def put(self, at: int, *to: int) -> str | None:
        """One place moves its list; what is found at once."""
        self.point(at, *to)
        self.shape.put(self.ring[self.order[at]])
        found = self.shape.fault(name)
        self.assertEqual(found, shape_fault(self.ring, name))
        return found

    def test_plain_changes_need_no_look_at_all_of_it(self) -> None:
        """Another tail, one that is passed over, and it again."""
        self.assertIsNone(self.put(0, 1, 2))
        self.assertIsNone(self.put(0, 2, 3))
        self.assertIsNone(self.put(0, 1, 2, 3))
        self.assertEqual(self.shape.whole_looks, self.looks)

    def test_around_again(self) -> None:
        """A place that goes on to the one behind it makes a ring of two, to which all others lead;
        one that goes on to itself makes one more."""
        self.assertIsNone(self.put(3, 2))
        self.assertIn("there are 2 rings", str(self.put(1, 1)))

    def test_two_rings_at_the_change_that_makes_them(self) -> None:
        """Every other place moves to every other; the last one parts the rings."""
        found = [self.put(at, (at + 2) % 8, (at + 4) % 8) for at in range(8)]
        self.assertIn("there are 2 rings", str(found[-1]))

    def test_one_that_returns(self) -> None:
        """Those who still name it go on to it again."""
        gone = self.order[3]
        pointers = self.ring.pop(gone)
        self.shape.remove(gone.node)
        self.assertIsNone(self.shape.fault(name))
        self.ring[gone] = replace(pointers, successors=(gone,))
        looks = self.shape.whole_looks
        self.shape.put(self.ring[gone])
        self.assertEqual(self.shape.fault(name), shape_fault(self.ring, name))
        self.assertGreater(self.shape.whole_looks, looks)


class AnyChangeTests(SynchronousTestCase):
    """Rings that are changed at random."""

    def test_always_what_the_whole_ring_says(self) -> None:
        """Lists nearly right and quite wrong, deaths and returns: the same verdict each time."""
        faults = plain = 0
        for seed in range(40):
            random = Random(seed)
            ring: dict[Place, Pointers] = dict(ideal_ring(6, 2))
            order = sorted(ring, key=lambda place: place.position)
            shape = RingShape()
            for pointers in ring.values():
                shape.put(pointers)
            for _ in range(60):
                at = random.randrange(len(order))
                place = order[at]
                if random.random() < 0.1 and len(ring) > 4:
                    for gone in [one for one in ring if one.node == place.node]:
                        del ring[gone]
                    shape.remove(place.node)
                else:
                    first = random.choice((1, 1, 1, 1, 2, 2, 3, random.randrange(12)))
                    to = tuple(order[(at + first + step) % len(order)] for step in range(4))
                    ring[place] = Pointers(place, None, to, True)
                    shape.put(ring[place])
                looks = shape.whole_looks
                found = shape.fault(name)
                self.assertEqual(found, shape_fault(ring, name), (seed, at))
                faults += found is not None
                plain += shape.whole_looks == looks
        self.assertGreater(faults, 100)
        self.assertGreater(plain, 100)


class AtOnceTests(OracleTests):
    """The oracle tells of a fault in the call in which the change is told to it."""

    def test_told_at_once(self) -> None:
        """Zave's mutant, a head that passes its own place: no second passes."""
        checks = self.oracle.checks
        self.successors(3, self.order[2], self.order[4])
        self.assertGreater(self.oracle.checks, checks)
        self.assertTrue(self.found())

    def test_rings_parted_by_one_change(self) -> None:
        """Each list is in order by itself: only the shape is wrong."""
        for at in range(7):
            self.successors(at, *(self.order[(at + step) % 8] for step in (2, 4)))
        self.assertEqual(self.found(), [])
        self.successors(7, self.order[1], self.order[3])
        self.assertIn("there are 2 rings", self.found()[0])

    def test_whole_ring_each_second(self) -> None:
        """What happened while no one ring was asked for is found without a further change."""
        self.oracle.expect_disorder(5.0)
        for at in range(8):
            self.successors(at, *(self.order[(at + step) % 8] for step in (2, 4)))
        self.clock.run_for(6.0)
        self.assertEqual(self.found(), [])
        self.oracle.look_at_everything()
        self.assertIn("there are 2 rings", self.found()[0])
