"""Calls that wait, and their one timer."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost, TimedOut
from tace.links.calls import Call, PendingCalls
from tace.wire.peer import Ping, Pong


class PendingCallsTests(SynchronousTestCase):
    """By a fake clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timeouts = 0
        self.calls = PendingCalls(self.clock, self.timed_out)

    def timed_out(self) -> None:
        self.timeouts += 1

    def call(self, number: int, deadline: float) -> Call:
        call = Call(Ping(), deadline)
        self.calls.add(number, call)
        return call

    def test_answered(self) -> None:
        """Taken once, by its number."""
        call = self.call(7, 1.0)
        self.assertIs(self.calls.take(7), call)
        self.assertIsNone(self.calls.take(7))
        call.succeed(Pong())
        self.assertEqual(self.successResultOf(call.answer), Pong())

    def test_each_deadline(self) -> None:
        """In any order, each at its own time."""
        late, early, middle = self.call(1, 3.0), self.call(2, 1.0), self.call(3, 2.0)
        for call, others in ((early, (middle, late)), (middle, (late,)), (late, ())):
            self.clock.advance(1.0)
            self.failureResultOf(call.answer, TimedOut)
            for other in others:
                self.assertNoResult(other.answer)
        self.assertEqual((len(self.calls), self.timeouts), (0, 3))

    def test_one_timer(self) -> None:
        """However many calls; none is left when there are no calls any more."""
        for number in range(100):
            self.call(number, 1.0 + number % 7)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for number in range(100):
            self.calls.take(number)
        self.clock.advance(1.0)
        self.assertEqual((self.clock.getDelayedCalls(), self.timeouts), ([], 0))

    def test_take_all(self) -> None:
        """The oldest first; the timer is gone."""
        calls = [self.call(number, 1.0) for number in (5, 3, 9)]
        self.assertEqual(self.calls.take_all(), calls)
        self.assertEqual((len(self.calls), self.clock.getDelayedCalls()), (0, []))

    def test_nobody_waits_any_more(self) -> None:
        """A cancelled call takes neither an answer nor an error."""
        for end in (lambda call: call.succeed(Pong()), lambda call: call.fail(LinkLost())):
            call = self.call(1, 1.0)
            call.answer.cancel()
            self.failureResultOf(call.answer, CancelledError)
            end(call)

    def test_a_deadline_in_the_past(self) -> None:
        """Fails in the next turn, not within the call."""
        call = self.call(1, -5.0)
        self.assertNoResult(call.answer)
        self.clock.advance(0)
        self.failureResultOf(call.answer, TimedOut)
