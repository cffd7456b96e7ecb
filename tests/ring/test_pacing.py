"""The control law of stabilising: quick after events, slow when quiet, as fast as churn asks."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.ring.pacing import (
    FAILURES_COUNTED,
    JITTER,
    LEAST_CEILING_SECONDS,
    NUDGED_SECONDS,
    OVERRUN_FACTOR,
    PRIOR_LIFE_SECONDS,
    SHARED_SECONDS,
    ChurnEstimate,
    PacingLaw,
    Schedule,
)

LAW = PacingLaw(
    after_event_seconds=0.25,
    slower=1.25,
    quiet_seconds=15.0,
    stale_share=0.01,
    detection_seconds=3.0,
)
SECONDS = st.floats(0.01, 300)
LAWS = st.builds(
    PacingLaw,
    after_event_seconds=st.floats(0.01, 60),
    slower=st.floats(1.01, 10),
    quiet_seconds=st.floats(0.01, 300),
    stale_share=st.floats(0.0001, 1),
    detection_seconds=st.floats(0.1, 300),
)
RATES = st.floats(1e-9, 10)


class LawTests(SynchronousTestCase):
    """Pure figures."""

    def quiet(self, seconds: float, took_seconds: float = 0.0, ceiling: float = 15.0) -> float:
        return LAW.after(seconds, quiet=True, took_seconds=took_seconds, ceiling_seconds=ceiling)

    def test_a_quarter_slower_each_quiet_round(self) -> None:
        """From a quarter of a second to 15 s in 19 rounds, and no further."""
        times = [LAW.after_event_seconds]
        for _ in range(25):
            times.append(self.quiet(times[-1]))
        self.assertAlmostEqual(times[1], 0.3125)
        self.assertLess(times[18], 15.0)
        self.assertEqual(times[19:], [15.0] * 7)

    def test_an_event_has_it_start_anew(self) -> None:
        """However slow it was."""
        after = LAW.after(15.0, quiet=False, took_seconds=0.0, ceiling_seconds=15.0)
        self.assertEqual(after, 0.25)

    def test_a_round_that_overran_doubles_it(self) -> None:
        """Quiet or not; the ceiling holds."""
        self.assertEqual(self.quiet(1.0, took_seconds=1.5), 1.25 * OVERRUN_FACTOR)
        after = LAW.after(1.0, quiet=False, took_seconds=1.5, ceiling_seconds=15.0)
        self.assertEqual(after, 0.25 * OVERRUN_FACTOR)
        self.assertEqual(self.quiet(14.0, took_seconds=20.0), 15.0)

    def test_the_ceiling_follows_churn(self) -> None:
        """Lives of an hour and of 15 minutes leave it where it is, of 5 minutes and less do not."""
        ceilings = [LAW.ceiling_seconds(1 / (60 * m)) for m in (60, 15, 6, 1.4)]
        self.assertEqual(ceilings[:2], [15.0, 12.0])
        self.assertAlmostEqual(ceilings[2], 2 * (3.6 - 3.0))
        self.assertEqual(ceilings[3], LEAST_CEILING_SECONDS)

    @given(LAWS, RATES, RATES)
    def test_more_deaths_never_make_it_slower(self, law: PacingLaw, one: float, two: float) -> None:
        """The ceiling falls with the rate, between its bounds."""
        fewer, more = sorted((one, two))
        self.assertGreaterEqual(law.ceiling_seconds(fewer), law.ceiling_seconds(more))
        highest = max(law.quiet_seconds, law.after_event_seconds)
        self.assertLessEqual(law.ceiling_seconds(fewer), highest)

    @given(LAWS, RATES, st.lists(st.tuples(st.booleans(), SECONDS), max_size=40))
    def test_bounds_hold_whatever_happens(
        self, law: PacingLaw, rate: float, rounds: list[tuple[bool, float]]
    ) -> None:
        """Never quicker than after an event, never slower than the ceiling."""
        ceiling = law.ceiling_seconds(rate)
        seconds = law.after_event_seconds
        for quiet, took in rounds:
            seconds = law.after(seconds, quiet=quiet, took_seconds=took, ceiling_seconds=ceiling)
            self.assertLessEqual(seconds, ceiling)
            self.assertGreaterEqual(seconds, min(law.after_event_seconds, ceiling))

    def test_the_mutant_without_a_ceiling_is_caught(self) -> None:
        """The bounds are seen to be asked for."""
        real = PacingLaw.after

        def boundless(law: PacingLaw, seconds: float, **how: float) -> float:
            return real(law, seconds, **{**how, "ceiling_seconds": 1e9})  # type: ignore[arg-type]

        with patch.object(PacingLaw, "after", boundless), self.assertRaises(AssertionError):
            LawTests("test_a_quarter_slower_each_quiet_round").debug()


class ChurnTests(SynchronousTestCase):
    """How often neighbours die, as far as they were watched."""

    def test_before_anything_is_known(self) -> None:
        """One death an hour."""
        self.assertEqual(ChurnEstimate(0.0).deaths_per_second, 1 / PRIOR_LIFE_SECONDS)

    def test_nobody_dies(self) -> None:
        """The longer it lasts and the more there are, the less is expected."""
        churn = ChurnEstimate(0.0)
        churn.look(64, 0, 1000.0)
        self.assertAlmostEqual(churn.deaths_per_second, 1 / (PRIOR_LIFE_SECONDS + 64_000))

    @given(st.floats(60, 36_000), st.integers(5, 100), st.integers(0, 2**32))
    def test_it_finds_the_rate(self, mean: float, neighbours: int, seed: int) -> None:
        """Of exponential lives, within a factor that sixteen deaths allow."""
        random = Random(seed)
        churn = ChurnEstimate(0.0)
        now = 0.0
        for _ in range(200):
            now += random.expovariate(neighbours / mean)
            churn.look(neighbours, 1, now)
        # 15 lives, gamma distributed: further off once in some 10^5.
        self.assertGreater(churn.deaths_per_second, 1 / (PRIOR_LIFE_SECONDS + 5 * 16 * mean))
        self.assertLess(churn.deaths_per_second, 8 / mean)

    def test_old_deaths_are_forgotten(self) -> None:
        """Half of them go at once; a quiet while later little is left of that."""
        churn = ChurnEstimate(0.0)
        churn.look(64, 32, 60.0)
        at_once = churn.deaths_per_second
        churn.look(32, 0, 4000.0)
        self.assertGreater(at_once, FAILURES_COUNTED / 2 / (PRIOR_LIFE_SECONDS + 64 * 60))
        self.assertLess(churn.deaths_per_second, at_once / 10)

    def test_a_clock_that_goes_back(self) -> None:
        """Takes nothing away."""
        churn = ChurnEstimate(100.0)
        churn.look(10, 0, 50.0)
        self.assertEqual(churn.deaths_per_second, 1 / PRIOR_LIFE_SECONDS)


class ScheduleTests(SynchronousTestCase):
    """When each of four positions is due."""

    def setUp(self) -> None:
        self.schedule = Schedule(LAW, range(4), Random(1), 0.0)
        self.now = 0.0

    def rounds(self, count: int, quiet: bool = True) -> None:
        """So many rounds of whatever is due."""
        for _ in range(count):
            self.now = max(self.now, self.schedule.next_at)
            for index in self.schedule.due(self.now):
                self.schedule.done(index, self.now, quiet=quiet, ceiling_seconds=15.0)

    def test_all_are_due_at_first(self) -> None:
        """And none right after that."""
        self.assertEqual(self.schedule.due(0.0), [0, 1, 2, 3])
        self.rounds(1)
        self.assertEqual(self.schedule.due(self.now), [])

    def test_times_are_jittered(self) -> None:
        """Each by itself, so that positions and nodes drift apart."""
        self.rounds(200)
        gaps = [self.schedule._positions[i].due_at - self.now for i in range(4)]
        self.assertEqual(len(set(gaps)), 4)
        self.assertLessEqual(max(gaps), 15.0 * JITTER[1])

    def test_an_event_concerns_one(self) -> None:
        """The others stay as slow as they were."""
        self.rounds(200)
        self.schedule.event(2, self.now)
        self.assertEqual(self.schedule.seconds(2), LAW.after_event_seconds)
        self.assertLessEqual(self.schedule.next_at, self.now + 0.25 * JITTER[1])
        self.assertEqual({self.schedule.seconds(i) for i in (0, 1, 3)}, {15.0})

    def test_hurry_is_at_once(self) -> None:
        """The first round does not wait."""
        self.rounds(200)
        self.schedule.hurry(1, self.now)
        self.assertIn(1, self.schedule.due(self.now))

    def test_nudges_make_no_more_rounds_than_events(self) -> None:
        """Whoever nudges all the time has a round made four, at most five times a second."""
        self.rounds(200)
        began, rounds = self.now, 0
        while self.now < began + 10.0:
            self.schedule.nudge(0, self.now)
            self.now += 0.01
            if 0 in self.schedule.due(self.now):
                rounds += 1
                self.schedule.done(0, self.now, quiet=True, ceiling_seconds=15.0)
        self.assertGreater(rounds, 30)
        quickest = LAW.after_event_seconds - SHARED_SECONDS
        self.assertLessEqual(rounds, 10.0 / quickest + 1)

    def test_a_nudge_is_answered_soon(self) -> None:
        """And does not change how often rounds come besides."""
        self.rounds(200)
        self.now = self.schedule.next_at - 1.0
        slow = min(range(4), key=lambda i: self.schedule._positions[i].due_at)
        other = (slow + 1) % 4
        self.schedule.nudge(other, self.now)
        self.assertAlmostEqual(self.schedule.next_at, self.now + NUDGED_SECONDS)
        self.assertEqual(self.schedule.seconds(other), 15.0)
