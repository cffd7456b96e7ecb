"""Who is told what, how often, and when it ends."""

from __future__ import annotations

from math import ceil, log10
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId
from tace.ring.rumours import FANOUT, MAX_KNOWING, MAX_RUMOURS, RECORDS_PER_FRAME, Rumours

NEWS = b"news"


def node(number: int) -> NodeId:
    return number.to_bytes(32)


def always(_: NodeId) -> bool:
    return True


class Telling(SynchronousTestCase):
    """One node's rumours."""

    def setUp(self) -> None:
        self.rumours = Rumours(Random(1))

    def test_to_nobody_twice(self) -> None:
        """And when everybody has it, it ends, however often it was to be told."""
        self.rumours.begin(node(0), NEWS, 100)
        peers = [node(n) for n in range(1, 11)]
        told = [p for _ in range(5) for p, _ in self.rumours.next_round(peers, always)]
        self.assertCountEqual(told, peers)
        self.assertEqual(len(self.rumours), 0)

    def test_a_few_at_a_time_and_not_for_ever(self) -> None:
        """Of many peers a few hear it from here."""
        self.rumours.begin(node(0), NEWS, 4)
        peers = [node(n) for n in range(1, 101)]
        rounds = [len(self.rumours.next_round(peers, always)) for _ in range(6)]
        self.assertEqual(rounds, [FANOUT] * 4 + [0, 0])

    def test_not_to_who_told_it(self) -> None:
        """Who is heard telling it has it."""
        peers = [node(1), node(2)]
        self.rumours.begin(node(0), NEWS, 9)
        self.rumours.heard(node(1), NEWS, again=False)
        self.assertEqual(self.rumours.next_round(peers, always), [(node(2), (NEWS,))])

    def test_interest_is_lost(self) -> None:
        """Each time somebody tells it back, it is told once less; the first time is news."""
        self.rumours.begin(node(0), NEWS, 2)
        self.rumours.heard(node(1), NEWS, again=False)
        self.assertIn(NEWS, self.rumours)
        self.rumours.heard(node(2), NEWS, again=True)
        self.assertIn(NEWS, self.rumours)
        self.rumours.heard(node(3), NEWS, again=True)
        self.assertNotIn(NEWS, self.rumours)
        self.rumours.heard(node(4), NEWS, again=True)
        self.assertEqual(len(self.rumours), 0)

    def test_a_newer_record(self) -> None:
        """Takes the older one's place, and nobody has it yet."""
        self.rumours.begin(node(0), NEWS, 9)
        self.rumours.heard(node(1), NEWS, again=False)
        self.rumours.begin(node(0), b"newer", 9)
        self.assertNotIn(NEWS, self.rumours)
        self.assertEqual(self.rumours.next_round([node(1)], always), [(node(1), (b"newer",))])

    def test_who_is_not_wanted(self) -> None:
        """A node that is known no more is told of no more; the others have their turn."""
        for number in range(2 * RECORDS_PER_FRAME):
            self.rumours.begin(node(number), b"%d" % number, 3)
        wanted = node(2 * RECORDS_PER_FRAME - 1)
        told = self.rumours.next_round([node(99)], lambda each: each == wanted)
        self.assertEqual(told, [(node(99), (b"%d" % (2 * RECORDS_PER_FRAME - 1),))])

    def test_more_than_a_frame_holds(self) -> None:
        """All have their turn."""
        for number in range(3 * RECORDS_PER_FRAME):
            self.rumours.begin(node(number), b"%d" % number, 2)
        heard: list[bytes] = []
        for _ in range(3):
            ((_, records),) = self.rumours.next_round([node(999)], always)
            self.assertLessEqual(len(records), RECORDS_PER_FRAME)
            heard += records
        self.assertEqual(len(set(heard)), 3 * RECORDS_PER_FRAME)

    def test_bounds(self) -> None:
        """More is left to others."""
        for number in range(MAX_RUMOURS + 10):
            self.rumours.begin(node(number), b"%d" % number, 3)
        self.assertEqual(len(self.rumours), MAX_RUMOURS)
        for number in range(2 * MAX_KNOWING):
            self.rumours.heard(node(number), b"1", again=False)
        told = self.rumours.next_round([node(2 * MAX_KNOWING - 1)], always)
        self.assertIn(b"1", told[0][1])

    def test_one_is_alone(self) -> None:
        """Nobody can be told; it is kept."""
        self.rumours.begin(node(0), NEWS, 3)
        self.assertEqual(self.rumours.next_round([node(0)], lambda _: False), [])
        self.rumours.begin(node(0), NEWS, 3)
        self.assertEqual(len(self.rumours.next_round([node(1)], always)), 1)


class Spreading(SynchronousTestCase):
    """Many nodes, each linked to some."""

    def spread(self, nodes: int, links: int, seed: int) -> tuple[int, float]:
        """How many never hear it, and how often a node tells it in the mean."""
        random = Random(seed)
        linked: list[set[int]] = [set() for _ in range(nodes)]
        for one in range(nodes):
            while len(linked[one]) < links:
                other = random.randrange(nodes)
                if other != one:
                    linked[one].add(other)
                    linked[other].add(one)
        times = ceil(4 * log10(nodes + 1))
        rumours = [Rumours(Random(f"{seed}/{number}")) for number in range(nodes)]
        rumours[0].begin(node(0), NEWS, times)
        informed = {0}
        told = 0
        while any(len(each) for each in rumours):
            going = [
                (one, int.from_bytes(peer))
                for one, each in enumerate(rumours)
                for peer, _ in each.next_round([node(n) for n in sorted(linked[one])], always)
            ]
            told += len(going)
            for one, other in going:
                again = other in informed
                if not again:
                    informed.add(other)
                    rumours[other].begin(node(0), NEWS, times)
                rumours[other].heard(node(one), NEWS, again=again)
        return nodes - len(informed), told / nodes

    def test_reaches_everyone(self) -> None:
        """With few words: each node tells it about ten times where thirty nodes are linked."""
        for nodes, links, most in ((2, 1, 1.0), (12, 11, 6.0), (100, 30, 12.0), (300, 12, 14.0)):
            for seed in range(3):
                missed, told = self.spread(nodes, links, seed)
                self.assertEqual(missed, 0, (nodes, seed))
                self.assertLess(told, most, (nodes, seed))
