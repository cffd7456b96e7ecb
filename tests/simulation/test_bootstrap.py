"""Finding others, on the production links and the simulated network."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.config import default_settings
from tace.seams import NamedSeed
from tace.simulation.node import SimulatedNode
from tace.simulation.world import World, simulated_world

NOBODY = "10.9.9.9:6512"


class BootstrapTests(SynchronousTestCase):
    """The same procedure as in a real node, over simulated sockets."""

    def only(self, node: SimulatedNode, **links: object) -> None:
        """It is told of others by these settings alone."""
        given = {f"links.{name}": value for name, value in links.items()}
        node.settings = default_settings(**{"ring.replicas": 3, **given})

    def assert_one_ring(self, world: World) -> None:
        self.assertIsNone(world.oracle.ideal_fault())
        self.assertEqual(world.faults(), [])

    def test_a_name_is_enough(self) -> None:
        """For a node that is told of nobody; the id that goes with it is held to."""
        with simulated_world(41, {"ring.replicas": 3}) as world:
            ring = world.ring(4)
            world.run_for(30.0)
            late = world.add_node()
            self.only(late, seeds=(NOBODY,), seed_names=("net.example",))
            # Two rings, for as long as nobody answers for the name.
            world.oracle.expect_disorder(140.0)
            world.start(late)
            world.run_for(20.0)
            self.assertEqual(late.core.state, "alone")
            failures = " ".join(late.core.bootstrap.failures)
            self.assertIn("there is no name net.example", failures)
            self.assertIn(NOBODY, failures)
            world.names["net.example"] = [
                NamedSeed("n0.net.example:6512", f"{ring[0].address}#{ring[1].id.hex()}"),
                NamedSeed("n2.net.example:6512", f"{ring[2].address}#{ring[2].id.hex()}"),
            ]
            world.run_for(120.0)
            self.assertEqual(late.core.state, "member")
            self.assertEqual(late.counters.sums["bootstrap_seed_refused_total"], 1)
            self.assert_one_ring(world)

    def test_everybody_restarts_without_a_seed(self) -> None:
        """What each of them remembers is enough for one ring."""
        with simulated_world(42, {"ring.replicas": 3}) as world:
            nodes = world.ring(8)
            world.run_for(100.0)
            world.oracle.expect_disorder(60.0)
            for node in nodes:
                world.kill(node, power=True)
            for node in nodes:
                self.only(node, seeds=(NOBODY,))
                world.start(node)
            world.run_for(60.0)
            self.assertEqual({node.core.state for node in nodes}, {"member"})
            self.assert_one_ring(world)

    def test_the_remembered_are_gone_and_a_seed_is_not(self) -> None:
        """All that a node knew have left for good while it was off."""
        with simulated_world(43, {"ring.replicas": 3}) as world:
            nodes = world.ring(4)
            world.run_for(100.0)
            for node in nodes:
                world.kill(node, power=True)
            others = [world.add_node() for _ in range(2)]
            self.only(others[0])
            self.only(others[1], seeds=(others[0].address,))
            for node in others:
                world.start(node)
            world.run_for(30.0)
            self.only(nodes[0], seeds=(others[1].address,))
            world.start(nodes[0])
            world.run_for(60.0)
            self.assertEqual(nodes[0].core.state, "member")
            for node in others:
                self.assertTrue(nodes[0].core.links.is_up(node.id))
