"""A network in which nobody knows everybody: mail is stored and read through nodes far away."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.ring.acquaintances import KEPT_SECONDS
from tace.simulation.node import SimulatedNode
from tace.simulation.people import Person
from tace.simulation.scenarios.stage import Stage
from tace.simulation.world import World, simulated_world

NODES = 36
SETTINGS = {
    "ring.replicas": 2,
    "ring.positions": 1,
    "ring.successors": 8,
    "ring.table_capacity": 24,
}


def far_from(world: World, person: Person) -> SimulatedNode:
    """A node that does not know who keeps that mailbox."""
    return next(
        node
        for node in world.living
        if not node.core.membership.table.covers(person.mailbox)
        and node.id not in keepers(world, person)
    )


def keepers(world: World, person: Person) -> tuple[bytes, ...]:
    """Who keeps the mailbox, in the eyes of a node that knows."""
    node = next(n for n in world.living if n.core.membership.table.covers(person.mailbox))
    return node.core.membership.replica_set(person.mailbox).everyone


class FullTables(SynchronousTestCase):
    """Thirty-six nodes, of which each knows twenty-four."""

    def test_mail_is_read_far_from_where_it_lies(self) -> None:
        """What waited is listed, completely; what comes is pushed; and so it stays for long, while
        those who keep the mailbox die and others take their places."""
        with simulated_world(1, SETTINGS) as world:
            stage = Stage(world)
            stage.stand(NODES)
            alice, bob = world.person("alice"), world.person("bob")
            at = far_from(world, bob)
            waiting = [alice.send(bob) for _ in range(5)]
            stage.run_for(5.0)
            bob.read(at)
            stage.run_for(2.0)
            for message in waiting:
                self.assertIsNotNone(world.ledger.letters[message].delivered)
            self.assert_pushed(stage, alice, bob)
            for _ in range(2):
                victim = next(n for n in world.living if n.id in keepers(world, bob))
                world.kill(victim, power=True, wipe=True)
                stage.run_for(60.0)
                self.assert_pushed(stage, alice, bob)
            self.assertIs(bob.at, at)
            stage.end()
            self.assertEqual(stage.broken, [])

    def test_newcomers_become_the_keepers(self) -> None:
        """A watch follows them, within the time for which it is believed who keeps a key."""
        with simulated_world(2, SETTINGS) as world:
            stage = Stage(world)
            stage.stand(NODES)
            alice, bob = world.person("alice"), world.person("bob")
            bob.read(far_from(world, bob))
            stage.run_for(2.0)
            self.assert_pushed(stage, alice, bob)
            before = set(keepers(world, bob))
            while before & set(keepers(world, bob)):
                world.ring(10, apart_seconds=0.5)
                stage.run_for(5.0)
            stage.run_for(KEPT_SECONDS + 60.0)
            self.assert_pushed(stage, alice, bob)
            stage.end()
            self.assertEqual(stage.broken, [])

    def assert_pushed(self, stage: Stage, sender: Person, reader: Person) -> None:
        """A letter arrives in two seconds."""
        message = sender.send(reader)
        stage.run_for(2.0)
        self.assertIsNotNone(stage.world.ledger.letters[message].delivered)
