"""Finding the dead again: who is asked, who is told, and what brings nobody back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.network import MemoryNetwork, TestNode

DAY_SECONDS = 24 * 3600.0


class MergeTestCase(SynchronousTestCase):
    """A ring that falls into two parts."""

    def split(self, seed: int = 1, count: int = 6, **settings: object) -> None:
        """Half of a ring on each side, each of which holds the other for dead."""
        quiet = {"ring.positions": 1, "ring.stabilize_quiet_seconds": 15.0}
        self.network = MemoryNetwork(seed=seed, **{**quiet, **settings})
        nodes = self.network.ring(count)
        self.here, self.there = nodes[: count // 2], nodes[count // 2 :]
        self.cut()
        self.network.run(20.0)

    def cut(self) -> None:
        self.network.partition([n.id for n in self.here], [n.id for n in self.there])

    def silent(self, nodes: list[TestNode]) -> list[int]:
        return [node.core.merge.silent for node in nodes]

    def assert_one_ring(self) -> None:
        """Everyone knows that everyone is here."""
        nodes = [*self.here, *self.there]
        for node in nodes:
            self.assertEqual(node.core.membership.dead(), [], node.name)
            self.assertEqual(len(node.core.membership.living()), len(nodes), node.name)


class LastingTests(MergeTestCase):
    """A partition that lasts longer than a record holds."""

    def test_who_is_known_no_more_is_not_back(self) -> None:
        """A day later the records of the other side are over. It is silent as before, is still
        asked, at its last addresses, and found when it is there again."""
        self.split()
        self.assertEqual(self.silent(self.here), [3, 3, 3])
        self.network.clock.rightNow += 26 * 3600.0
        self.network.run(30.0)
        for node in self.here:
            self.assertEqual(len(node.core.membership.table), 3, node.name)
        self.assertEqual(self.silent(self.here), [3, 3, 3])
        self.network.cut.clear()
        self.network.run(900.0)
        self.assertEqual(self.silent([*self.here, *self.there]), [0] * 6)
        self.assert_one_ring()
