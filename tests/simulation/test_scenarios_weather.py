"""Bad ways and slow machines: latencies by distribution, and loops that stand still."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.clock import VirtualClock
from tace.simulation.latency import (
    RESEND_SECONDS,
    lognormal_latency,
    lossy,
    one_way_slower,
    reordered,
    zoned_latency,
    zones_of_hosts,
)
from tace.simulation.network import Latency
from tace.simulation.people import AWAY_SECONDS
from tace.simulation.process import Process
from tace.simulation.world import simulated_world

HERE, THERE = "10.0.0.1", "10.0.1.1"


def always(random: Random, source: str, destination: str) -> float:
    return 0.01


def drawn(latency: Latency, source: str = HERE, destination: str = THERE) -> list[float]:
    random = Random(1)
    return sorted(latency(random, source, destination) for _ in range(2001))


class Latencies(SynchronousTestCase):
    """Seconds of packets."""

    def test_lognormal(self) -> None:
        """Half are faster than the median; there is a tail, and an end to it."""
        seconds = drawn(lognormal_latency(0.02, 1.0, most_seconds=0.3))
        self.assertApproximates(seconds[1000], 0.02, 0.002)
        self.assertGreater(seconds[1980], 0.1)
        self.assertEqual(seconds[-1], 0.3)

    def test_zones(self) -> None:
        """Near within, far between."""
        zone = zones_of_hosts(2)
        self.assertEqual([zone(f"10.0.{n}.1") for n in range(4)], [0, 1, 0, 1])
        latency = zoned_latency(zone, always, lambda *_: 0.09)
        self.assertEqual(latency(Random(1), HERE, "10.0.2.1"), 0.01)
        self.assertEqual(latency(Random(1), HERE, THERE), 0.09)

    def test_loss(self) -> None:
        """So many come a resend later, some of these two."""
        seconds = drawn(lossy(always, 0.1))
        late = [s for s in seconds if s > 0.01]
        self.assertApproximates(len(late) / 2001, 0.1, 0.02)
        self.assertAlmostEqual(late[0], 0.01 + RESEND_SECONDS)
        self.assertApproximates(late[-1], 0.01 + 3 * RESEND_SECONDS, 2.0)
        self.assertEqual(set(drawn(lossy(always, 0.0))), {0.01})

    def test_reordered(self) -> None:
        """Some are overtaken by what was sent a little later."""
        seconds = drawn(reordered(always, 0.1, 0.05))
        late = [s for s in seconds if s > 0.01]
        self.assertApproximates(len(late) / 2001, 0.1, 0.02)
        self.assertLessEqual(late[-1], 0.06)

    def test_asymmetric(self) -> None:
        """One way only."""
        latency = one_way_slower(always, frozenset([HERE]), 5.0)
        self.assertEqual(latency(Random(1), HERE, THERE), 0.05)
        self.assertEqual(latency(Random(1), THERE, HERE), 0.01)


class Stalls(SynchronousTestCase):
    """A loop that stands still."""

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.ran: list[str] = []
        self.process = Process(self.clock, lambda: self.ran.append("."))

    def test_makes_up_for_it(self) -> None:
        """In the order in which things came, when it is over, and each looked at."""
        self.process.callLater(1.0, self.ran.append, "timer")
        self.process.stall(3.0)
        self.process.stall(0.5)
        self.process.turn(self.ran.append, "packet")
        self.clock.run_for(2.9)
        self.assertEqual(self.ran, [])
        self.clock.run_for(0.2)
        self.assertEqual(self.ran, ["packet", ".", "timer", "."])
        self.process.turn(self.ran.append, "later")
        self.assertEqual(self.ran[-2:], ["later", "."])

    def test_a_timer_that_is_cancelled_when_it_goes_on(self) -> None:
        """What came meanwhile is looked at first, and may make a timer needless that was due."""
        timer = self.process.callLater(1.0, self.ran.append, "timer")
        self.process.stall(3.0)
        self.process.turn(timer.cancel)
        self.clock.run_for(2.0)
        self.assertTrue(timer.active())
        self.clock.run_for(2.0)
        self.assertEqual(self.ran, ["."])

    def test_killed_while_it_stands(self) -> None:
        """Nothing of it happens any more."""
        self.process.stall(1.0)
        self.process.turn(self.ran.append, "packet")
        self.process.kill()
        self.clock.run_for(2.0)
        self.assertEqual(self.ran, [])

    def test_a_node_that_stands_still(self) -> None:
        """It answers when it goes on, and not before."""
        with simulated_world(1) as world:
            (node,) = world.ring(1)
            alice, bob = world.person("alice"), world.person("bob")
            node.process.stall(2.0)
            alice.send(bob)
            world.run_for(1.9)
            self.assertEqual(world.ledger.stored_count, 0)
            world.run_for(0.1 + 2 * AWAY_SECONDS + 0.05)
            self.assertEqual(world.ledger.stored_count, 1)

    def test_a_clock_that_is_off(self) -> None:
        """From the next start of the machine on."""
        with simulated_world(1) as world:
            (node,) = world.ring(1)
            node.seconds_off = -30.0
            self.assertEqual(node.process.seconds(), world.clock.seconds())
            world.kill(node)
            world.start(node)
            self.assertEqual(node.process.seconds(), world.clock.seconds() - 30.0)


class Outboxes(SynchronousTestCase):
    """Somebody comes back with what was sent."""

    def test_send_again(self) -> None:
        """The same message, once; the network has it already."""
        with simulated_world(1) as world:
            world.ring(1)
            alice, bob = world.person("alice"), world.person("bob")
            message = alice.send(bob)
            world.run_for(1.0)
            alice.send_again(message)
            world.run_for(1.0)
            bob.read()
            world.run_for(1.0)
            self.assertEqual((world.ledger.sent_count, world.ledger.delivered_count), (1, 1))
            self.assertEqual(world.faults(), [])
            self.assertRaises(KeyError, bob.send_again, message)
