"""Holding back what came before its turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.order import HOLD_SECONDS, MAX_HELD, HoldBack


class HoldBackTests(SynchronousTestCase):
    def _held(self, next_counter: int | None = 1) -> HoldBack[str]:
        return HoldBack(next_counter)

    def test_in_turn(self) -> None:
        """What comes in its turn is shown at once."""
        held = self._held()
        self.assertEqual([["1"], ["2"], ["3"]], [held.offer(n, str(n), 0) for n in (1, 2, 3)])
        self.assertEqual(4, held.next_counter)
        self.assertIsNone(held.deadline())

    def test_gap_closes(self) -> None:
        """What waited is shown with what it waited for."""
        held = self._held()
        self.assertEqual([], held.offer(3, "3", 0))
        self.assertEqual([], held.offer(2, "2", 0))
        self.assertEqual(["1", "2", "3"], held.offer(1, "1", 0))

    def test_two_seconds(self) -> None:
        """Then it is shown all the same, with all before it; what is missing comes late."""
        held = self._held()
        held.offer(5, "5", 10.0)
        held.offer(3, "3", 11.0)
        held.offer(7, "7", 11.5)
        held.offer(6, "6", 11.5)
        self.assertEqual(10.0 + HOLD_SECONDS, held.deadline())
        self.assertEqual([], held.due(11.9))
        self.assertEqual(["3", "5", "6", "7"], held.due(12.0))
        self.assertEqual(["4"], held.offer(4, "4", 13.0))
        self.assertEqual(["8"], held.offer(8, "8", 13.0))

    def test_what_follows_a_second_gap_waits_on(self) -> None:
        """Only what has waited, and what follows it without a gap, is shown."""
        held = self._held()
        held.offer(2, "2", 0.0)
        held.offer(9, "9", 1.5)
        self.assertEqual(["2"], held.due(2.0))
        self.assertEqual(3.5, held.deadline())
        self.assertEqual(["9"], held.due(3.5))

    def test_caught_up(self) -> None:
        """Nothing else lies in the mailbox: everything is shown."""
        held = self._held()
        held.offer(4, "4", 0)
        held.offer(2, "2", 0)
        self.assertEqual(["2", "4"], held.caught_up())
        self.assertEqual([], held.caught_up())
        self.assertEqual(5, held.next_counter)

    def test_no_place(self) -> None:
        """Counter 0 is shown at once and moves nothing."""
        held = self._held(3)
        self.assertEqual(["x"], held.offer(0, "x", 0))
        self.assertEqual(3, held.next_counter)

    def test_new_device(self) -> None:
        """Who was never heard may come in at any count; only the very first needs no wait."""
        self.assertEqual(["1"], self._held(None).offer(1, "1", 0))
        held = self._held(None)
        self.assertEqual([], held.offer(40, "40", 0))
        self.assertEqual([], held.offer(39, "39", 0.5))
        self.assertEqual(["39", "40"], held.due(2.0))
        self.assertEqual(["41"], held.offer(41, "41", 2.0))

    def test_bounded(self) -> None:
        """At most 256 wait; then the first of them goes, with what follows it."""
        held = self._held()
        for n in range(2, MAX_HELD + 2):
            self.assertEqual([], held.offer(n * 2, str(n), 0))
        self.assertEqual(["2"], held.offer(10_000, "last", 0))
        self.assertEqual(MAX_HELD, len(held))

    def test_twice(self) -> None:
        """Two with one counter are both shown in its place; the first one's time counts."""
        held = self._held()
        held.offer(2, "2", 0)
        self.assertEqual([], held.offer(2, "again", 1))
        self.assertEqual((2, HOLD_SECONDS), (len(held), held.deadline()))
        self.assertEqual(["1", "2", "again"], held.offer(1, "1", 1))
        self.assertEqual((0, 3), (len(held), held.next_counter))

    @given(st.permutations(range(1, 40)))
    def test_any_order(self, arrivals: list[int]) -> None:
        """Whatever the order of arrival, nothing is lost and nothing shown out of order."""
        held: HoldBack[int] = HoldBack(1)
        shown = [item for counter in arrivals for item in held.offer(counter, counter, 0)]
        self.assertEqual(list(range(1, 40)), shown)
