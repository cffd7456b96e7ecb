"""The rules of a verdict, and what is remembered of the words of others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.ring.suspicion import (
    ACCUSED_SECONDS,
    MAX_ACCUSED,
    MAX_ACCUSERS,
    VOUCHED_SECONDS,
    Accusations,
    Evidence,
    Verdict,
)

COUNTS = st.integers(0, 5)
EVIDENCE = st.builds(
    Evidence,
    COUNTS,
    missed_by=COUNTS,
    reached_by=COUNTS,
    vouched_for_seconds=st.floats(0, 2 * VOUCHED_SECONDS),
)
NODE, OTHER, ACCUSER = b"n" * 32, b"o" * 32, b"a" * 32


class VerdictTests(SynchronousTestCase):
    """What follows from what was seen."""

    def test_table(self) -> None:
        """Own failures, others that missed it, others that reached it."""
        for seen, verdict in {
            (0, 3, 0): Verdict.UNDECIDED,
            (1, 0, 0): Verdict.UNDECIDED,
            (1, 1, 0): Verdict.DEAD,
            (2, 0, 0): Verdict.DEAD,
            (2, 1, 0): Verdict.DEAD,
            (2, 2, 0): Verdict.CONFIRMED,
            (2, 2, 1): Verdict.OUT_OF_REACH,
        }.items():
            self.assertIs(Evidence(*seen).verdict, verdict, seen)

    @given(EVIDENCE)
    def test_others_never_kill(self, evidence: Evidence) -> None:
        """Without a failure of one's own there is no death, whatever they say."""
        if evidence.verdict in (Verdict.DEAD, Verdict.CONFIRMED):
            self.assertGreater(evidence.failures, 0)

    @given(EVIDENCE)
    def test_a_death_that_is_told_was_seen_by_three(self, evidence: Evidence) -> None:
        """And by nobody that it answered."""
        if evidence.verdict is Verdict.CONFIRMED:
            self.assertGreaterEqual(evidence.failures, 1)
            self.assertGreaterEqual(evidence.missed_by, 2)
            self.assertEqual(evidence.reached_by, 0)

    @given(EVIDENCE)
    def test_nobody_is_kept_alive_for_ever(self, evidence: Evidence) -> None:
        """Who says that it lives is believed for a minute."""
        if evidence.failures >= 2 and evidence.vouched_for_seconds >= VOUCHED_SECONDS:
            self.assertIn(evidence.verdict, (Verdict.DEAD, Verdict.CONFIRMED))


class AccusationTests(SynchronousTestCase):
    """A bounded memory of incarnations and of who accused them."""

    def setUp(self) -> None:
        self.accusations = Accusations()

    def test_the_first_word_is_worth_a_look(self) -> None:
        """The next ones are evidence, if they come soon."""
        self.assertTrue(self.accusations.heard(NODE, (1, 1), ACCUSER, 0.0))
        self.assertFalse(self.accusations.heard(NODE, (1, 1), OTHER, 1.0))
        self.assertEqual(self.accusations.accusers(NODE, (1, 1), 2.0), {ACCUSER, OTHER})
        self.assertEqual(self.accusations.accusers(NODE, (1, 1), ACCUSED_SECONDS + 1), frozenset())
        self.assertTrue(self.accusations.heard(NODE, (1, 1), ACCUSER, ACCUSED_SECONDS + 2))

    def test_the_same_one_again_counts_once(self) -> None:
        """However often it says so."""
        for _ in range(5):
            self.accusations.heard(NODE, (1, 1), ACCUSER, 0.0)
        self.assertEqual(self.accusations.accusers(NODE, (1, 1), 0.0), {ACCUSER})

    def test_who_was_reached_is_not_accused_again(self) -> None:
        """But for a later incarnation, or after a while."""
        self.accusations.heard(NODE, (1, 1), ACCUSER, 0.0)
        self.accusations.refuted(NODE, 1.0)
        self.assertFalse(self.accusations.heard(NODE, (1, 1), OTHER, 2.0))
        self.assertEqual(self.accusations.accusers(NODE, (1, 1), 2.0), frozenset())
        self.assertTrue(self.accusations.heard(NODE, (1, 2), OTHER, 3.0))

    def test_what_is_said_of_an_earlier_incarnation(self) -> None:
        """Is no evidence against a later one, and does not replace what is said of that."""
        self.accusations.heard(NODE, (1, 5), ACCUSER, 0.0)
        self.assertEqual(self.accusations.accusers(NODE, (2, 1), 0.0), frozenset())
        self.assertFalse(self.accusations.heard(NODE, (1, 4), OTHER, 0.0))
        self.assertEqual(self.accusations.accusers(NODE, (1, 5), 0.0), {ACCUSER})

    def test_bounds(self) -> None:
        """Of nodes, and of accusers of one."""
        for number in range(MAX_ACCUSED + 5):
            self.accusations.heard(number.to_bytes(32), (1, 1), ACCUSER, 0.0)
        self.assertEqual(len(self.accusations), MAX_ACCUSED)
        for number in range(MAX_ACCUSERS + 5):
            self.accusations.heard(NODE, (1, 1), number.to_bytes(32), 0.0)
        self.assertEqual(len(self.accusations.accusers(NODE, (1, 1), 0.0)), MAX_ACCUSERS)
