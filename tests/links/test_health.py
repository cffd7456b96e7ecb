"""Self-doubt, measured round trips, and the watch that goes by both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.links.health import LATE_SECONDS, MAX_STRETCH, LocalHealth, RoundTrip
from tace.links.silence import CEILING_FACTOR, SilenceWatch

PING_AFTER, LOST_AFTER = 1.0, 3.0


class HealthTests(SynchronousTestCase):
    """What a node makes of its own lag."""

    def setUp(self) -> None:
        self.health = LocalHealth()

    def test_late_timers_stretch_and_successes_shrink(self) -> None:
        """One step a second each way."""
        for second in range(3):
            self.health.late(LATE_SECONDS, float(second))
            self.health.late(LATE_SECONDS, float(second))
        self.assertEqual(self.health.stretch, 4.0)
        for second in range(3, 10):
            self.health.success(float(second))
            self.health.success(float(second))
        self.assertEqual(self.health.stretch, 1.0)

    def test_a_little_late_is_on_time(self) -> None:
        """Every timer is."""
        self.health.late(LATE_SECONDS / 2, 0.0)
        self.assertEqual(self.health.stretch, 1.0)

    def test_a_stall_counts_for_its_length(self) -> None:
        """Three seconds of it, at once."""
        self.health.late(3.2, 10.0)
        self.assertEqual(self.health.stretch, 5.0)

    def test_a_false_alarm_counts(self) -> None:
        """The node that was given up was there."""
        self.health.false_alarm(0.0)
        self.assertEqual(self.health.stretch, 2.0)

    @given(st.lists(st.tuples(st.sampled_from("lfs"), st.floats(0, 1e6), st.floats(0, 100))))
    def test_bounds(self, events: list[tuple[str, float, float]]) -> None:
        """One to eight, whatever happens in whatever order."""
        health = LocalHealth()
        for kind, by, now in events:
            if kind == "l":
                health.late(by, now)
            elif kind == "f":
                health.false_alarm(now)
            else:
                health.success(now)
            self.assertTrue(1.0 <= health.stretch <= MAX_STRETCH)


class RoundTripTests(SynchronousTestCase):
    """RFC 6298."""

    def test_first_and_second_measurement(self) -> None:
        """SRTT and RTTVAR as section 2 has them."""
        trip = RoundTrip()
        self.assertEqual(trip.timeout_seconds(0.5, 9.0), 0.5)
        trip.measured(1.0)
        self.assertEqual(trip.timeout_seconds(0.5, 9.0), 1.0 + 4 * 0.5)
        trip.measured(2.0)
        self.assertAlmostEqual(trip.timeout_seconds(0.5, 9.0), 1.125 + 4 * 0.625)

    @given(st.lists(st.floats(-10, 100)), st.floats(0.1, 5), st.floats(5, 50))
    def test_floor_and_ceiling(self, samples: list[float], floor: float, ceiling: float) -> None:
        """Whatever was measured."""
        trip = RoundTrip()
        for sample in samples:
            trip.measured(sample)
        self.assertTrue(floor <= trip.timeout_seconds(floor, ceiling) <= ceiling)


class WatchTests(SynchronousTestCase):
    """When a silent link is given up."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.health, self.trip = LocalHealth(), RoundTrip()
        self.pings: list[float] = []
        self.lost: list[float] = []
        self.watch = SilenceWatch(
            self.clock,
            ping_after_seconds=PING_AFTER,
            lost_after_seconds=LOST_AFTER,
            health=self.health,
            round_trip=self.trip,
            ping=lambda: self.pings.append(self.clock.seconds()),
            lost=lambda: self.lost.append(self.clock.seconds()),
        )
        self.watch.guard(True)

    def run_for(self, seconds: float) -> None:
        end = self.clock.seconds() + seconds
        while (due := [c.getTime() for c in self.clock.getDelayedCalls()]) and min(due) <= end:
            self.clock.advance(max(0.0, min(due) - self.clock.seconds()))
        self.clock.advance(end - self.clock.seconds())

    def test_silence(self) -> None:
        """Pinged after one second, given up after three."""
        self.run_for(10.0)
        self.assertEqual(self.pings, [PING_AFTER])
        self.assertEqual(self.lost, [LOST_AFTER])

    def test_a_node_that_lags_waits_longer(self) -> None:
        """The stall is seen in its own timer, before the verdict."""
        self.run_for(PING_AFTER)
        self.clock.advance(2.5)
        self.run_for(0.0)
        self.assertEqual(self.lost, [])
        self.assertEqual(self.health.stretch, 2.0)
        self.run_for(10.0)
        self.assertEqual(self.lost, [2 * LOST_AFTER])

    def test_slow_round_trips_are_borne(self) -> None:
        """As long as they ask for, and no longer than the ceiling."""
        self.trip.measured(2.0)
        self.run_for(20.0)
        self.assertEqual(self.lost, [PING_AFTER + 6.0])
        self.trip.measured(1000.0)
        self.watch.heard()
        now = self.clock.seconds()
        self.watch.guard(True)
        self.run_for(100.0)
        self.assertEqual(self.lost[1:], [now + CEILING_FACTOR * LOST_AFTER + PING_AFTER])
