"""A thread that serves in turns outlives every failure, and is never asked for more than it can."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import StoreError
from tace.storage.turns import Turns
from tests.storage.pump import PATIENCE_SECONDS, Pump


class TurnsTests(SynchronousTestCase):
    """Requests are numbers; what is done with them is written down."""

    def setUp(self) -> None:
        """A thread whose first turn waits until the test lets it go on."""
        self.pump = Pump()
        self.turns: list[list[int]] = []
        self.go_on = Event()
        self.addCleanup(self.go_on.set)

    def start(self, most_waiting: int = 100, most_a_turn: int = 4) -> Turns[int]:
        """Answers with the double; 13 breaks the turn, 14 only itself, 15 what comes after it."""

        def take_turn(requests: list[int]) -> Sequence[object]:
            self.go_on.wait(PATIENCE_SECONDS)
            self.turns.append(requests)
            if 13 in requests:
                raise ZeroDivisionError("thirteen")
            return [StoreError("fourteen") if it == 14 else 2 * it for it in requests]

        def afterwards(idle: bool) -> None:
            if 15 in self.turns[-1]:
                raise ZeroDivisionError("fifteen")

        return Turns(
            "test",
            self.pump,
            take_turn,
            afterwards=afterwards,
            finish=lambda: self.turns.append([]),
            most_waiting=most_waiting,
            most_a_turn=most_a_turn,
        )

    def stop(self, turns: Turns[int]) -> None:
        """Wait for the thread to end."""
        self.go_on.set()
        self.pump.result(turns.stop())

    def fails(self, answer: Deferred[int], reason: str) -> None:
        """The answer is this error."""
        with self.assertRaisesRegex(StoreError, reason):
            self.pump.result(answer)

    def test_what_waits_is_served_together(self) -> None:
        """In order, in turns no heavier than they may be, and finish comes last."""
        turns = self.start()
        answers = [turns.ask(n) for n in range(10)]
        self.stop(turns)
        self.assertEqual([self.successResultOf(it) for it in answers], list(range(0, 20, 2)))
        self.assertEqual([n for turn in self.turns for n in turn], list(range(10)))
        self.assertEqual(self.turns[-1], [])
        self.assertLessEqual(max(map(len, self.turns)), 4)
        self.assertLessEqual(len(self.turns), 5)

    def test_weight_bounds_a_turn(self) -> None:
        """A heavy request is served all the same, and nothing after it in its turn."""
        turns = self.start()
        for n in range(3):
            turns.ask(n, weight=50 if n == 1 else 1)
        self.stop(turns)
        self.assertIn(self.turns, ([[0, 1], [2], []], [[0], [1], [2], []]))

    def test_what_waits_is_bounded(self) -> None:
        """By weight; one request alone is always taken."""
        turns = self.start(most_waiting=10)
        heavy = turns.ask(1, weight=50)
        self.fails(turns.ask(2), "test is too far behind")
        self.go_on.set()
        self.assertEqual(self.pump.result(heavy), 2)
        self.assertEqual(self.pump.result(turns.ask(3)), 6)
        self.stop(turns)

    def test_a_failure_of_one_is_its_own(self) -> None:
        """The others of the turn have their answers."""
        turns = self.start()
        answers = [turns.ask(n) for n in (1, 14, 2)]
        self.go_on.set()
        self.assertEqual(self.pump.result(answers[0]), 2)
        self.fails(answers[1], "fourteen")
        self.assertEqual(self.pump.result(answers[2]), 4)
        self.stop(turns)

    def test_a_broken_turn_fails_and_the_next_is_served(self) -> None:
        """Everybody in it hears of it; it is logged."""
        turns = self.start(most_a_turn=1)
        broken, after = turns.ask(13), turns.ask(1)
        self.go_on.set()
        self.fails(broken, "ZeroDivisionError: thirteen")
        self.assertEqual(self.pump.result(after), 2)
        self.stop(turns)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_fails_afterwards_harms_nobody(self) -> None:
        """The answers are out already; it is logged."""
        turns = self.start(most_a_turn=1)
        self.go_on.set()
        self.assertEqual(self.pump.result(turns.ask(15)), 30)
        self.assertEqual(self.pump.result(turns.ask(1)), 2)
        self.stop(turns)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nothing_is_taken_after_stop(self) -> None:
        """What came before is served."""
        turns = self.start()
        before = turns.ask(1)
        stopped = turns.stop()
        self.fails(turns.ask(2), "closed")
        self.go_on.set()
        self.pump.result(stopped)
        self.assertEqual(self.successResultOf(before), 2)
