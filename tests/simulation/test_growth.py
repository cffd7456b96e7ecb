"""A ring of three that grows to forty at once: what it held goes to those who keep it now."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.node import SimulatedNode
from tace.simulation.scenarios.stage import Stage
from tace.simulation.world import simulated_world

FIRST, AFTERWARDS = 3, 37
LETTERS = 120
COPIES_SECONDS = 120.0
KILLED_AFTER_SECONDS = 180.0


def offers(nodes: list[SimulatedNode]) -> int:
    """How often somebody was asked what it lacks."""
    return sum(node.counters.sums.get("displaced_offers_total", 0) for node in nodes)


class Growth(SynchronousTestCase):
    """The production's own procedures, on whole nodes with their usual settings."""

    def test_from_three_to_forty(self) -> None:
        """Every copy is where it belongs within two minutes; then nothing is offered any more; and
        when the first three vanish with their disks three minutes after, nothing is lost."""
        with simulated_world(1) as world:
            stage = Stage(world)
            first = list(stage.form(FIRST))
            stage.fill(4, LETTERS, 0.5)
            stage.run_for(5.0)
            self.assertEqual(offers(world.nodes), 0)
            world.storm(AFTERWARDS)
            began = world.since()
            stage.copies_within(COPIES_SECONDS)
            self.assertEqual(stage.broken, [])
            self.assertGreater(offers(world.nodes), 0)
            stage.run_for(began + KILLED_AFTER_SECONDS - 60.0 - world.since())
            settled = offers(world.nodes)
            stage.run_for(60.0)
            self.assertEqual(offers(world.nodes), settled)
            for node in first:
                world.kill(node, power=True, wipe=True)
            stage.run_for(30.0)
            stage.promise_no_loss()
            outcome = stage.end()
            self.assertEqual(stage.broken, [])
            self.assertEqual(outcome.delivered, outcome.stored)
            self.assertGreater(outcome.stored, LETTERS)
