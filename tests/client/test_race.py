"""Several ways to one end."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.client.race import first_of
from tace.errors import LinkLost


class Races(SynchronousTestCase):
    """Attempts that end when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.started: list[Deferred[str]] = []
        self.cancelled: list[int] = []

    def attempt(self) -> Deferred[str]:
        number = len(self.started)
        running: Deferred[str] = Deferred(lambda _: self.cancelled.append(number))
        self.started.append(running)
        return running

    def race(self, count: int) -> Deferred[str]:
        attempts: list[Callable[[], Deferred[str]]] = [self.attempt] * count
        return first_of(self.clock, attempts, 0.25)

    def test_one_after_the_other(self) -> None:
        """The next begins a quarter of a second later; the first to succeed wins."""
        result = self.race(3)
        self.assertEqual(len(self.started), 1)
        self.clock.advance(0.25)
        self.assertEqual(len(self.started), 2)
        self.started[0].callback("slow but first")
        self.assertEqual(self.successResultOf(result), "slow but first")
        self.assertEqual(self.cancelled, [1])
        self.clock.advance(10.0)
        self.assertEqual(len(self.started), 2)

    def test_a_failure_starts_the_next_at_once(self) -> None:
        """Nobody waits for a quarter of a second behind a refused connection."""
        result = self.race(3)
        self.started[0].errback(LinkLost("refused"))
        self.assertEqual(len(self.started), 2)
        self.started[1].errback(LinkLost("refused too"))
        self.started[2].callback("third")
        self.assertEqual(self.successResultOf(result), "third")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_fail(self) -> None:
        """As the first one did."""
        result = self.race(2)
        self.started[0].errback(LinkLost("the first"))
        self.started[1].errback(LinkLost("the second"))
        self.assertEqual(str(self.failureResultOf(result, LinkLost).value), "the first")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_fail_at_once(self) -> None:
        """Attempts that fail before they return are no special case; nor are those that succeed."""
        failing: list[Callable[[], Deferred[str]]] = [lambda: fail(LinkLost("no"))] * 5
        self.failureResultOf(first_of(self.clock, failing, 0.25), LinkLost)
        good: list[Callable[[], Deferred[str]]] = [*failing, lambda: succeed("yes"), self.attempt]
        self.assertEqual(self.successResultOf(first_of(self.clock, good, 0.25)), "yes")
        self.assertEqual(self.started, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Everything that runs is given up."""
        result = self.race(3)
        self.clock.advance(0.25)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.cancelled, [0, 1])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_to_attempt(self) -> None:
        """That is a mistake of the caller."""
        self.failureResultOf(self.race(0), ValueError)
