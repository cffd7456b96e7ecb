"""The estimate of a delay, by values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.delay import DelayEstimate


def estimate(*seconds: float) -> float:
    delay = DelayEstimate(least_seconds=0.05, most_seconds=1.0)
    for each in seconds:
        delay.observe(each)
    return delay.seconds


class DelayTests(SynchronousTestCase):
    def test_before_anything_was_seen(self) -> None:
        self.assertEqual(estimate(), 0.05)

    def test_the_first_one_as_in_rfc_6298(self) -> None:
        """The mean is it, the variation half of it: three times it in all."""
        self.assertAlmostEqual(estimate(0.1), 0.3)

    def test_the_second_one_as_in_rfc_6298(self) -> None:
        """Variation 3/4 of 0.05 and 1/4 of 0.1; then the mean 7/8 of 0.1 and 1/8 of 0.2."""
        self.assertAlmostEqual(estimate(0.1, 0.2), 0.1125 + 4 * 0.0625)

    def test_what_has_been_quick_for_long(self) -> None:
        self.assertEqual(estimate(*[0.001] * 50), 0.05)

    @given(st.lists(st.floats(0, 1000)))
    def test_within_its_bounds(self, seconds: list[float]) -> None:
        self.assertTrue(0.05 <= estimate(*seconds) <= 1.0)
