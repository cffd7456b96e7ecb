"""Counting what people wrote and saw."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.lab.people.ledger import Disturbance, Entry, Ledger, Spread, quantile


def texts(entries: list[Entry]) -> list[str]:
    return [entry.text for entry in entries]


class Counting(SynchronousTestCase):
    """Each promise that can break is told from the others."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        for number in range(4):
            self.ledger.wrote("ann", "ben", f"text {number}", float(number))

    def test_lost_is_what_was_acknowledged(self) -> None:
        """What nobody promised is missing, and may still come."""
        self.ledger.acknowledged("text 0", 1.0)
        self.ledger.acknowledged("text 1", 1.5)
        self.ledger.showed("ann", "ben", "text 1", 2.0)
        self.assertEqual(texts(self.ledger.lost()), ["text 0"])
        self.assertEqual(texts(self.ledger.missing()), ["text 0", "text 2", "text 3"])

    def test_doubled(self) -> None:
        """Shown twice counts, however far apart."""
        for at in (1.0, 500.0):
            self.ledger.showed("ann", "ben", "text 0", at)
        self.ledger.showed("ann", "ben", "text 1", 2.0)
        self.assertEqual(texts(self.ledger.doubled()), ["text 0"])

    def test_misdirected(self) -> None:
        """Seen by somebody else, or as somebody else's: neither is a showing."""
        self.ledger.showed("ann", "eve", "text 0", 1.0)
        self.ledger.showed("eve", "ben", "text 1", 1.0)
        self.assertEqual(texts(self.ledger.misdirected()), ["text 0", "text 1"])
        self.assertEqual(len(self.ledger.missing()), 4)

    def test_strays(self) -> None:
        """Something that nobody wrote."""
        self.ledger.showed("ann", "ben", "buy now", 1.0)
        self.assertEqual(self.ledger.strays, ["buy now"])

    def test_the_first_acknowledgement_counts(self) -> None:
        """Stored, then delivered: one promise."""
        self.ledger.acknowledged("text 0", 1.0)
        self.ledger.acknowledged("text 0", 9.0)
        self.assertEqual(next(iter(self.ledger)).acknowledged, 1.0)

    def test_texts_are_unlike(self) -> None:
        """Two alike could not be told apart."""
        self.assertRaises(ValueError, self.ledger.wrote, "ann", "ben", "text 0", 9.0)

    def test_out_of_order(self) -> None:
        """Within one direction of one pair."""
        self.ledger.wrote("ben", "ann", "answer", 5.0)
        for text, at in (("text 1", 6.0), ("text 0", 7.0), ("text 2", 8.0), ("text 3", 8.0)):
            self.ledger.showed("ann", "ben", text, at)
        self.ledger.showed("ben", "ann", "answer", 5.5)
        self.assertEqual(self.ledger.out_of_order(), 1)

    def test_waits(self) -> None:
        """Of all, and of those that were under way while something was broken."""
        for number, at in enumerate((0.5, 11.0, 12.0)):
            self.ledger.showed("ann", "ben", f"text {number}", at)
        self.assertEqual(self.ledger.waits(), Spread(3, 10.0, 10.0, 10.0))
        broken = [Disturbance("node 1 by KILL", 1.5, 1.8)]
        self.assertEqual(self.ledger.waits(broken), Spread(1, 10.0, 10.0, 10.0))
        self.assertEqual(self.ledger.waits([]), Spread(0, 0.0, 0.0, 0.0))


class Quantiles(SynchronousTestCase):
    """Nearest rank."""

    def test_small(self) -> None:
        """Of a hundred the 99th; of few the largest."""
        hundred = [float(n) for n in range(1, 101)]
        self.assertEqual([quantile(hundred, part) for part in (0.5, 0.99, 1.0)], [50, 99, 100])
        self.assertEqual([quantile([7.0], part) for part in (0.0, 0.5, 0.99)], [7, 7, 7])

    @given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
    def test_enough_are_at_or_below(self, values: list[float], part: float) -> None:
        """And it is one of them."""
        value = quantile(sorted(values), part)
        self.assertIn(value, values)
        below = sum(each <= value for each in values)
        self.assertGreaterEqual(below / len(values), part - 1e-9)
