"""Which of the dead are asked whether they are back, and how often."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId
from tace.ring.dead_cache import BURST_PER_SECOND, KEPT_SECONDS, DeadCache


def node(number: int) -> NodeId:
    return number.to_bytes(32)


class DeadCacheTests(SynchronousTestCase):
    """Deaths, turns and returns; the clock is a number."""

    def setUp(self) -> None:
        self.cache = DeadCache(Random(1), max_nodes=20)

    def asked(self, start: float, seconds: int) -> list[NodeId]:
        return [n for second in range(seconds) for n in self.cache.next(start + second)]

    def test_many_at_once_are_asked_often_and_then_seldom(self) -> None:
        """Four a second after a burst, one in five seconds ten minutes later."""
        burst = self.cache.add({node(n): 100.0 for n in range(10)}, 20, 100.0)
        self.assertEqual(burst, 10)
        self.assertEqual(self.cache.per_second(100.0), BURST_PER_SECOND)
        self.assertGreater(len(self.asked(101.0, 20)), 40)
        self.assertLessEqual(len(self.asked(1000.0, 50)), 11)
        self.assertGreaterEqual(len(self.asked(1100.0, 50)), 9)

    def test_one_death_is_no_burst(self) -> None:
        """Nor are three of a hundred."""
        self.assertEqual(self.cache.add({node(1): 100.0}, 20, 100.0), 0)
        cache = DeadCache(Random(1))
        self.assertEqual(cache.add({node(n): 100.0 for n in range(3)}, 100, 100.0), 0)

    def test_those_that_went_together_return_together(self) -> None:
        """One that answers names the others of its burst, and no older death."""
        self.cache.add({node(9): 100.0}, 20, 100.0)
        self.cache.add({node(n): 500.0 for n in range(3)}, 20, 500.0)
        self.assertEqual(self.cache.discard(node(1)), [node(0), node(2)])
        self.assertEqual(self.cache.discard(node(9)), [])
        self.assertEqual(self.cache.discard(node(9)), [])

    def test_bounds(self) -> None:
        """The longest dead go first; after seven days all are forgotten."""
        self.cache.add({node(n): float(n) for n in range(30)}, 1000, 30.0)
        self.assertEqual(len(self.cache), 20)
        self.assertNotIn(node(9), self.cache)
        self.assertIn(node(10), self.cache)
        self.assertEqual(len(self.cache.forget_old(KEPT_SECONDS + 31.0)), 20)

    def test_a_node_is_left_alone_for_a_while(self) -> None:
        """Whoever says that it is back brings about one question in two seconds."""
        self.cache.add({node(1): 10.0}, 20, 10.0)
        self.assertTrue(self.cache.may_ask(node(1), 10.0))
        self.cache.asked(node(1), 10.0)
        self.assertFalse(self.cache.may_ask(node(1), 11.0))
        self.assertTrue(self.cache.may_ask(node(1), 12.5))
        self.assertFalse(self.cache.may_ask(node(2), 12.5))
