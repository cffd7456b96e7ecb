"""Parts of a network whose nodes all start anew while apart find each other again."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tace.config import default_settings
from tace.ring.dead_memory import SAVE_SECONDS
from tace.simulation.node import SimulatedNode
from tace.simulation.world import World, simulated_world

NOBODY = "10.9.9.9:6512"
SETTINGS: dict[str, object] = {"ring.replicas": 3}
APART_SECONDS = 30.0
IDEAL_SECONDS = 10.0


def let_know_nobody(node: SimulatedNode) -> None:
    """Neither a seed nor its address book leads it to anybody: as a day later, when all records
    that it has are over."""
    node.settings = default_settings(**{**SETTINGS, "links.seeds": (NOBODY,)})
    disk = node.disk.content
    disk.load_peers().addCallback(lambda peers: disk.forget_peers([peer.node for peer in peers]))
    disk.save_anchors([])


class RestartTests(SynchronousTestCase):
    """The production procedures, on disks that survive."""

    def restart(self, world: World, nodes: Sequence[SimulatedNode]) -> None:
        for node in nodes:
            world.kill(node, power=True)
        for node in nodes:
            world.start(node)

    def split(self, world: World) -> tuple[list[SimulatedNode], list[SimulatedNode]]:
        nodes = world.ring(8, apart_seconds=0.5)
        world.run_for(30.0)
        here, there = nodes[:4], nodes[4:]
        world.oracle.expect_disorder(300.0)
        world.partition(here, there)
        world.run_for(APART_SECONDS + SAVE_SECONDS)
        self.assertEqual([node.core.merge.silent for node in nodes], [4] * 8)
        return here, there

    def test_one_side_restarts(self) -> None:
        """One ring again as soon as after any partition."""
        with simulated_world(51, SETTINGS) as world:
            here, there = self.split(world)
            self.restart(world, here)
            world.run_for(APART_SECONDS)
            self.assertEqual([node.core.merge.silent for node in here], [4] * 4)
            world.heal(order_within_seconds=300.0)
            world.seconds_until_ideal(IDEAL_SECONDS)
            self.assertEqual(len(world.oracle.members), 8)
            world.run_for(SAVE_SECONDS + 1.0)
            self.assertEqual([node.core.merge.silent for node in [*here, *there]], [0] * 8)
            self.assertEqual([str(v) for v in world.oracle.violations], [])

    def test_all_restart_and_know_nobody_else(self) -> None:
        """Those that each holds for dead are all that leads from one side to the other. What is
        remembered of them makes nobody a member."""
        with simulated_world(52, SETTINGS) as world:
            here, there = self.split(world)
            for side in (here, there):
                for node in side:
                    world.kill(node, power=True)
                    let_know_nobody(node)
                # They find each other again by a seed of their own side.
                for node in side[1:]:
                    node.settings = default_settings(
                        **{**SETTINGS, "links.seeds": (side[0].address,)}
                    )
                for node in side:
                    world.start(node)
            world.run_for(APART_SECONDS)
            for node in [*here, *there]:
                self.assertEqual(len(node.core.membership.table), 4, node.name)
                self.assertEqual(node.core.merge.silent, 4, node.name)
            world.heal(order_within_seconds=300.0)
            world.seconds_until_ideal(IDEAL_SECONDS)
            self.assertEqual(len(world.oracle.members), 8)
            world.run_for(SAVE_SECONDS + 1.0)
            self.assertEqual([node.core.merge.silent for node in [*here, *there]], [0] * 8)
            # Neither is anything left of it for the next start.
            dead = [self.successResultOf(n.disk.content.load_dead()) for n in [*here, *there]]
            self.assertEqual(dead, [[]] * 8)
            self.assertEqual([str(v) for v in world.oracle.violations], [])
