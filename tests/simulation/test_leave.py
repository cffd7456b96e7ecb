"""Nodes that leave for good, one after the other, while people write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.trial.unittest import SynchronousTestCase

from tace.mailbox.leave import CannotLeave
from tace.simulation.node import SimulatedNode
from tace.simulation.scenarios.stage import Stage
from tace.simulation.world import simulated_world
from tace.wire.objects import ENVELOPE_BYTES

SETTINGS: dict[str, object] = {
    "ring.replicas": 5,
    "ring.repair_after_seconds": 3600.0,
    "ring.forget_after_seconds": 7200.0,
}
"""No copy is made because somebody has been dead for long enough."""
NODES, LETTERS = 12, 100
LEAVERS = 4
MOVED_SHARE = 2.0
"""Of what they held. Half of it is what is fetched twice and what comparing costs; a network that
copies everything anew, or from everyone at once, is far beyond it."""


@contextmanager
def stage_of_twelve() -> Iterator[Stage]:
    """With messages to people who are away, and others who write all the time."""
    with simulated_world(7, SETTINGS) as world:
        stage = Stage(world)
        stage.form(NODES)
        stage.fill(6, LETTERS, 1.0)
        stage.run_for(5.0)
        yield stage


def moved_bytes(nodes: list[SimulatedNode]) -> int:
    names = ("repair_bytes_total", "leaving_bytes_total")
    return sum(node.counters.sums.get(name, 0) for node in nodes for name in names)


class Leaving(SynchronousTestCase):
    """The production's own leaving, on whole nodes."""

    def test_one_after_the_other_under_load(self) -> None:
        """Nothing is lost, every copy is there when the last one has gone, and about what they
        held has moved, though nobody is ever replaced for being dead."""
        with stage_of_twelve() as stage:
            world = stage.world
            held = 0
            before = moved_bytes(world.nodes)
            for node in list(world.living[1::2])[:LEAVERS]:
                held += stage.kept_items(node) * ENVELOPE_BYTES
                stage.leave([node])
                # At once: none is missing, not only after a repair.
                self.assertIsNone(stage.copies.missing(), node.name)
            moved = moved_bytes(world.nodes) - before
            self.assertEqual(len(world.living), NODES - LEAVERS)
            stage.ideal_within(20.0)
            stage.copies_within(5.0)
            stage.promise_no_loss()
            outcome = stage.end()
            self.assertEqual(stage.broken, [])
            self.assertEqual([str(v) for v in world.oracle.violations], [])
            self.assertEqual(outcome.delivered, outcome.sent)
            self.assertEqual((outcome.lost, outcome.duplicated), (0, 0))
            self.assertGreater(held, 100 * ENVELOPE_BYTES)
            self.assertLess(moved, MOVED_SHARE * held)

    def test_killed_in_the_middle(self) -> None:
        """Nothing is lost, and it is a member again."""
        with stage_of_twelve() as stage:
            world = stage.world
            node = world.living[3]
            world.leave(node)
            stage.run_for(0.5)
            self.assertTrue(node.core.leave.under_way)
            stage.kill([node])
            stage.run_for(5.0)
            stage.start([node])
            stage.ideal_within(30.0)
            self.assertTrue(node.is_member)
            self.assertFalse(node.core.leave.under_way)
            stage.run_for(10.0)
            for other in world.living:
                self.assertFalse(other.core.membership.is_leaving(node.id))
            stage.copies_within(60.0)
            stage.promise_no_loss()
            outcome = stage.end()
            self.assertEqual(stage.broken, [])
            self.assertEqual(outcome.lost, 0)

    def test_not_below_the_number_of_copies(self) -> None:
        """Without the operator's consent it stays."""
        with simulated_world(7, SETTINGS) as world:
            stage = Stage(world)
            nodes = stage.form(5)
            with self.assertRaises(CannotLeave):
                world.leave(nodes[2])
            stage.run_for(5.0)
            self.assertTrue(nodes[2].is_member)
