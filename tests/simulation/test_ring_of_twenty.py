"""Twenty nodes in virtual time: they join, crash and return, while people write to each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.people import Person
from tace.simulation.world import World, simulated_world

ROOT = Path(__file__).resolve().parent.parent.parent
IDEAL_SECONDS = 20.0
LATE_SECONDS = 5.0


class Chatter:
    """People who read all the time, and somebody of whom writes every now and then."""

    def __init__(self, world: World, people: int, per_second: float) -> None:
        self._world = world
        self._per_second = per_second
        self.people: list[Person] = [world.person(f"p{number}") for number in range(people)]
        for person in self.people:
            person.read()
        self._going = True
        self._write()

    def _write(self) -> None:
        if self._going:
            sender, recipient = self._world.random.sample(self.people, 2)
            sender.send(recipient)
            self._world.clock.callLater(
                self._world.random.expovariate(self._per_second), self._write
            )

    def end(self) -> None:
        """Nobody writes any more; what is on its way arrives."""
        self._going = False
        self._world.run_for(10.0)


def digest_of(seed: int, nodes: int) -> str:
    """The history of a small world with a bit of everything."""
    with simulated_world(seed) as world:
        world.ring(2)
        world.storm(nodes - 2)
        world.run_for(4.0)
        chatter = Chatter(world, people=4, per_second=5.0)
        world.run_for(2.0)
        fallen = world.nodes[1]
        world.kill(fallen)
        world.kill(world.nodes[2], power=True, wipe=True)
        world.run_for(4.0)
        world.start(fallen)
        world.stop(world.nodes[3])
        world.run_for(4.0)
        chatter.end()
        return f"{world.history.digest} {world.history.count} {world.clock.calls_run}"


class TwentyNodes(SynchronousTestCase):
    """The oracle finds nothing, and what was called stored is delivered, once."""

    def test_joins_crashes_and_restarts(self) -> None:
        """One after the other, a storm, disks kept and lost, words said and unsaid."""
        with simulated_world(4) as world:
            world.ring(8, apart_seconds=0.5)
            chatter = Chatter(world, people=8, per_second=6.0)
            world.storm(12)
            world.run_for(5.0)
            self.be_ideal(world, 20)
            # Killed, and back with its disk.
            first, second, third, fourth = world.random.sample(world.living, 4)
            world.kill(first)
            world.run_for(2.0)
            world.start(first)
            # Without power: nobody is told.
            world.kill(second, power=True)
            world.run_for(8.0)
            self.be_ideal(world, 19)
            world.start(second)
            # Its disk is lost, and it comes back empty.
            world.kill(third, wipe=True)
            world.run_for(3.0)
            world.start(third)
            # Told to stop, and started again.
            world.stop(fourth)
            world.run_for(4.0)
            self.assertFalse(fourth.alive)
            world.start(fourth)
            world.run_for(3.0)
            self.be_ideal(world, 20)
            chatter.end()
            self.assertEqual(world.faults(late_seconds=LATE_SECONDS), [])
            ledger = world.ledger
            self.assertGreater(ledger.sent_count, 100)
            self.assertEqual(
                (ledger.stored_count, ledger.delivered_count), (ledger.sent_count,) * 2
            )
            self.assertGreater(world.oracle.checks, 500)

    def be_ideal(self, world: World, members: int) -> None:
        """All pointers are right within the bound, and all these are members."""
        world.seconds_until_ideal(IDEAL_SECONDS)
        self.assertEqual(world.oracle.violations, [])
        self.assertEqual(len(world.oracle.members), members)


class RepeatTests(SynchronousTestCase):
    """From one seed everything repeats."""

    def test_the_same_seed_the_same_history(self) -> None:
        """And another one for another seed."""
        first = digest_of(7, 6)
        self.assertEqual(digest_of(7, 6), first)
        self.assertNotEqual(digest_of(8, 6), first)

    def test_whatever_the_hash_seed(self) -> None:
        """No order of a set, no object's address, and no wall clock decides anything."""
        script = (
            "from tests.simulation.test_ring_of_twenty import digest_of; print(digest_of(7, 6))"
        )
        expected = digest_of(7, 6)
        for hash_seed in ("0", "12345"):
            environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
            printed = subprocess.run(
                [sys.executable, "-c", script],
                cwd=ROOT,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
            self.assertEqual(printed.strip(), expected, hash_seed)
