"""How much is logged of connections that cannot be accepted."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, PredicateResult
from twisted.trial.unittest import SynchronousTestCase

from tace.observe.exhaustion import NAMESPACE, ExhaustionLines


def event(seconds: float, namespace: str = NAMESPACE) -> dict[str, Any]:
    return {"log_namespace": namespace, "log_time": seconds, "log_level": LogLevel.info}


class ExhaustionLinesTests(SynchronousTestCase):
    """One namespace, a line a minute."""

    def setUp(self) -> None:
        self.passes = ExhaustionLines()

    def lines(self, *events: dict[str, Any]) -> list[bool]:
        return [self.passes(one) is not PredicateResult.no for one in events]

    def test_one_a_minute(self) -> None:
        """Of however many."""
        flood = [event(1000.0 + number / 1000) for number in range(10_000)]
        self.assertEqual(sum(self.lines(*flood)), 1)
        self.assertEqual(self.lines(event(1059.9), event(1060.0), event(1061.0)), [0, 1, 0])

    def test_everything_else_is_somebody_else_s_matter(self) -> None:
        """Neither let through nor held back."""
        for _ in range(3):
            self.assertIs(self.passes(event(1.0, "tace.links.pool")), PredicateResult.maybe)

    def test_a_clock_that_is_set_back(self) -> None:
        """By a year: the next line is not a year away."""
        self.assertEqual(self.lines(event(5e7), event(1e7), event(1e7 + 1)), [1, 1, 0])
