"""A program that is killed does nothing more; people find another node and lose nothing."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tace.simulation.clock import VirtualClock
from tace.simulation.process import Process
from tace.simulation.world import World, simulated_world


class ProcessTests(SynchronousTestCase):
    """One life of a program."""

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.turns: list[str] = []
        self.process = Process(self.clock, lambda: self.turns.append("looked at"))

    def test_interface(self) -> None:
        """It tells time as a reactor does."""
        verifyObject(IReactorTime, self.process)

    def test_looked_at_after_each_turn(self) -> None:
        """Not before, and not in between."""
        self.process.callLater(1.0, self.turns.append, "a")
        self.process.turn(self.turns.append, "b")
        self.clock.run_for(1.0)
        self.assertEqual(self.turns, ["b", "looked at", "a", "looked at"])

    def test_killed(self) -> None:
        """No timer, nothing that arrives, and nobody looks at it."""
        self.process.callLater(1.0, self.turns.append, "a")
        self.process.kill()
        late = self.process.callLater(1.0, self.turns.append, "b")
        self.process.callLater(1.0, self.turns.append, "c")
        self.process.turn(self.turns.append, "d")
        late.cancel()
        self.clock.run_for(2.0)
        self.assertEqual(self.turns, [])
        self.assertEqual(self.clock.calls_run, 1)

    def test_only_its_own_calls(self) -> None:
        """Others' timers are none of its business."""
        mine = self.process.callLater(1.0, self.turns.append, "a")
        Process(self.clock).callLater(1.0, self.turns.append, "b")
        self.clock.callLater(1.0, self.turns.append, "c")
        self.assertEqual(self.process.getDelayedCalls(), [mine])

    def test_a_clock_that_is_off(self) -> None:
        """It shows another time; delays are as long as everywhere."""
        process = Process(self.clock, seconds_off=-90.0)
        call = process.callLater(5.0, self.turns.append, "a")
        self.assertEqual(process.seconds(), self.clock.seconds() - 90.0)
        self.assertEqual(call.getTime(), process.seconds() + 5.0)
        call.delay(-1.0)
        self.clock.run_for(4.0)
        self.assertEqual(self.turns, ["a"])
        self.assertFalse(call.active())


class WorldTests(SynchronousTestCase):
    """Three nodes and two people."""

    def world(self, world: World) -> World:
        world.ring(3)
        world.seconds_until_ideal(20.0)
        return world

    def test_a_letter(self) -> None:
        """Sent, stored, delivered, acked, in that order, and each of them told in the history."""
        with simulated_world(1) as world:
            self.world(world)
            alice, bob = world.person("alice"), world.person("bob")
            bob.read()
            world.run_for(2.0)
            alice.send(bob)
            world.run_for(2.0)
            (letter,) = world.ledger.letters.values()
            assert letter.stored is not None and letter.acked is not None
            assert letter.delivered is not None
            self.assertLess(letter.sent, letter.stored)
            self.assertLess(letter.delivered, letter.acked)
            told = [event.what for event in world.history.latest(10, ["alice", "bob"])]
            for words in ("sends 1 to bob", "hears stored of 1", "gets 1"):
                self.assertIn(words, told)
            self.assertEqual(world.faults(), [])

    def test_the_readers_node_dies(self) -> None:
        """The reader goes to another one and gets what came meanwhile."""
        with simulated_world(2) as world:
            self.world(world)
            alice, bob = world.person("alice"), world.person("bob")
            bob.read(world.nodes[0])
            world.run_for(2.0)
            self.assertIs(bob.at, world.nodes[0])
            world.kill(world.nodes[0])
            alice.send(bob)
            world.run_for(10.0)
            self.assertIsNot(bob.at, world.nodes[0])
            self.assertEqual(world.ledger.delivered_count, 1)
            self.assertEqual(world.faults(), [])

    def test_no_node_at_all(self) -> None:
        """The outbox keeps the letter until there is one."""
        with simulated_world(3) as world:
            self.world(world)
            alice, bob = world.person("alice"), world.person("bob")
            world.oracle.expect_disorder(60.0)
            for node in world.nodes:
                world.kill(node, power=True)
            alice.send(bob)
            bob.read()
            world.run_for(5.0)
            self.assertEqual(world.ledger.stored_count, 0)
            for node in world.nodes:
                world.start(node)
            world.run_for(30.0)
            self.assertEqual(world.ledger.delivered_count, 1)
            self.assertEqual(world.oracle.ideal_fault(), None)

    def test_stopped_in_good_order(self) -> None:
        """It says so first, ends by itself, and comes back as the same node with a higher boot."""
        with simulated_world(4) as world:
            node = self.world(world).nodes[1]
            before = node.core.membership.current
            world.stop(node)
            self.assertTrue(node.alive)
            world.run_for(3.0)
            self.assertFalse(node.alive)
            for other in world.living:
                self.assertEqual(other.core.membership.dead(), [])
                self.assertEqual(other.core.membership.gone(), [before.node_id])
            world.start(node)
            world.run_for(5.0)
            self.assertGreater(node.core.membership.current.boot, before.boot)
            self.assertEqual(node.id, before.node_id)
            self.assertEqual(world.faults(), [])

    def test_a_lease_is_renewed(self) -> None:
        """A reader who stays for longer than a lease lasts misses nothing."""
        with simulated_world(5, {"ring.stabilize_quiet_seconds": 60.0}) as world:
            self.world(world)
            alice, bob = world.person("alice"), world.person("bob")
            bob.read()
            world.run_for(2000.0)
            alice.send(bob)
            world.run_for(3.0)
            self.assertEqual(world.ledger.delivered_count, 1)

    def test_misuse(self) -> None:
        """A machine runs one program, and its disk is not taken out while it does."""
        with simulated_world(6) as world:
            (node,) = world.ring(1)
            self.assertRaises(RuntimeError, node.start)
            self.assertRaises(RuntimeError, node.wipe)
            world.kill(node)
            self.assertRaises(RuntimeError, node.kill)
