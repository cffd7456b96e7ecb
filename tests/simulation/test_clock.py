"""Virtual time keeps Twisted's promises about delayed calls, and its own about order."""

from __future__ import annotations

from random import Random

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tace.simulation.clock import START_SECONDS, VirtualClock


class ClockTests(SynchronousTestCase):
    """Calls, and when they are run."""

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.ran: list[object] = []

    def later(self, delay: float, name: object) -> IDelayedCall:
        return self.clock.callLater(delay, self.ran.append, name)

    def test_interfaces(self) -> None:
        """It can stand where a reactor's time is asked for."""
        verifyObject(IReactorTime, self.clock)
        verifyObject(IDelayedCall, self.later(1.0, "x"))

    def test_it_begins_on_a_whole_hour(self) -> None:
        """Expiries are whole hours; a test can reckon with them."""
        self.assertEqual(self.clock.seconds(), START_SECONDS)
        self.assertEqual(START_SECONDS % 3600, 0)

    def test_in_the_order_they_are_due(self) -> None:
        """And those of one moment in the order they were put in."""
        for name, delay in enumerate((2.0, 1.0, 1.0, 0.0, 2.0)):
            self.later(delay, name)
        self.clock.run_for(2.0)
        self.assertEqual(self.ran, [3, 1, 2, 0, 4])

    def test_time_stands_at_each_deadline(self) -> None:
        """A call sees the time it was due at, and what it puts in is run in its turn."""
        seen: list[float] = []

        def again() -> None:
            seen.append(self.clock.seconds() - START_SECONDS)
            if len(seen) < 4:
                self.clock.callLater(0.5, again)

        self.clock.callLater(0.5, again)
        self.clock.run_for(10.0)
        self.assertEqual(seen, [0.5, 1.0, 1.5, 2.0])
        self.assertEqual(self.clock.seconds(), START_SECONDS + 10.0)

    def test_now_is_run_before_time_moves_on(self) -> None:
        """A delay of nothing is still a turn of its own, after those that wait already."""
        self.clock.callLater(1.0, lambda: self.later(0.0, "put in now"))
        self.later(1.0, "waits already")
        self.later(1.001, "later")
        self.clock.run_for(1.0)
        self.assertEqual(self.ran, ["waits already", "put in now"])

    def test_cancel(self) -> None:
        """It is not run, and cannot be cancelled twice."""
        call = self.later(1.0, "x")
        self.assertTrue(call.active())
        call.cancel()
        self.assertFalse(call.active())
        self.assertRaises(AlreadyCancelled, call.cancel)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.run_for(2.0)
        self.assertEqual(self.ran, [])

    def test_called(self) -> None:
        """What has run is over, from the moment it runs."""
        active: list[bool] = []
        call = self.clock.callLater(1.0, lambda: active.append(call.active()))
        self.clock.run_for(1.0)
        self.assertEqual(active, [False])
        for late in (call.cancel, lambda: call.reset(1.0), lambda: call.delay(1.0)):
            self.assertRaises(AlreadyCalled, late)

    def test_reset_and_delay(self) -> None:
        """Later and earlier, from now and from when it was due; once in any case."""
        sooner, later, delayed = (self.later(5.0, name) for name in "sld")
        sooner.reset(1.0)
        later.reset(8.0)
        delayed.delay(-1.0)
        delayed.delay(-1.0)
        self.assertEqual([c.getTime() - START_SECONDS for c in (sooner, later, delayed)], [1, 8, 3])
        self.assertEqual(self.clock.getDelayedCalls(), [sooner, delayed, later])
        self.clock.run_for(10.0)
        self.assertEqual(self.ran, ["s", "d", "l"])

    def test_the_past_is_refused(self) -> None:
        """As a reactor does."""
        self.assertRaises(ValueError, self.clock.callLater, -0.1, self.ran.append, 1)

    def test_until_something_holds(self) -> None:
        """Time stops at the call that made it so; without one, at the limit."""
        self.later(3.0, "x")
        self.later(4.0, "y")
        self.assertTrue(self.clock.run_until(lambda: bool(self.ran), 10.0))
        self.assertEqual(self.clock.seconds(), START_SECONDS + 3.0)
        self.assertFalse(self.clock.run_until(lambda: len(self.ran) > 5, 10.0))
        self.assertEqual(self.clock.seconds(), START_SECONDS + 13.0)

    def test_what_a_call_raises_ends_the_run(self) -> None:
        """A mistake is not passed over in silence."""
        self.clock.callLater(1.0, lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, self.clock.run_for, 2.0)

    def test_many_moved_and_cancelled(self) -> None:
        """Against a plain list, with so many that abandoned places are swept out on the way."""
        random = Random(1)
        calls = [self.later(random.uniform(1, 100), n) for n in range(5000)]
        for _ in range(20_000):
            call = random.choice(calls)
            if call.active():
                if random.random() < 0.1:
                    call.cancel()
                else:
                    call.reset(random.uniform(1, 100))
        expected = [call for call in calls if call.active()]
        expected.sort(key=lambda call: call.getTime())
        self.assertEqual(self.clock.getDelayedCalls(), expected)
        self.clock.run_for(100.0)
        self.assertEqual(self.ran, [calls.index(call) for call in expected])
        self.assertLess(len(expected), 4000)
        self.assertEqual(self.clock.calls_run, len(expected))
