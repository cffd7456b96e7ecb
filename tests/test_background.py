"""Work nobody waits for, and work that comes again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.background import Periodic, background, failures


class BackgroundTests(SynchronousTestCase):
    """One coroutine that is nobody's."""

    def test_a_failure_is_logged_and_counted_and_goes_no_further(self) -> None:
        """Whoever waits for the end hears of the end only."""

        async def fail() -> None:
            raise ValueError("broken")

        before = failures.get("a failing one", 0)
        self.assertIsNone(self.successResultOf(background("a failing one", fail())))
        self.assertEqual(failures["a failing one"], before + 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_cancelled_work_is_no_failure(self) -> None:
        """Somebody wanted it to end."""
        never: Deferred[None] = Deferred()

        async def wait() -> None:
            await never

        running = background("a cancelled one", wait())
        running.cancel()
        self.assertIsNone(self.successResultOf(running))
        self.assertNotIn("a cancelled one", failures)

    def test_it_starts_at_once(self) -> None:
        """Not in a later turn."""
        seen: list[str] = []

        async def note() -> None:
            seen.append("ran")

        background("a quick one", note())
        self.assertEqual(seen, ["ran"])


class PeriodicTestCase(SynchronousTestCase):
    """A clock, and rounds that a test holds in its hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.begun: list[float] = []
        self.open: list[Deferred[None]] = []
        self.most_at_once = 0

    def periodic(
        self,
        interval: float = 10.0,
        *,
        first: Callable[[], object] = lambda: None,
        held: bool = False,
    ) -> Periodic:
        """Calls ``first`` at the start of each round, then waits where ``held``."""

        async def round_() -> None:
            self.begun.append(self.clock.seconds())
            waiting: Deferred[None] = Deferred()
            self.open.append(waiting)
            self.most_at_once = max(self.most_at_once, len(self.open))
            try:
                first()
                if held:
                    await waiting
            finally:
                self.open.remove(waiting)

        return Periodic("rounds", self.clock, lambda: interval, round_)

    def step(self, seconds: float) -> None:
        """Let time pass in tenths of a second."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def end_round(self) -> None:
        self.open[0].callback(None)


class RoundsTests(PeriodicTestCase):
    """When rounds come."""

    def test_they_come_at_the_interval_after_the_last_has_ended(self) -> None:
        """A long round does not make the next one early."""
        rounds = self.periodic(held=True)
        rounds.start(delay=0.0)
        self.clock.advance(0)
        self.step(30)
        self.end_round()
        self.step(9)
        self.assertEqual(len(self.begun), 1)
        self.step(2)
        self.assertEqual(len(self.begun), 2)

    def test_without_a_delay_the_first_round_comes_after_an_interval(self) -> None:
        """Work that need not be done at the start."""
        rounds = self.periodic()
        rounds.start()
        self.step(9)
        self.assertEqual(self.begun, [])
        self.step(2)
        self.assertEqual(len(self.begun), 1)

    def test_a_failing_round_goes_on(self) -> None:
        """Logged, counted, and the next one comes at its time."""

        def fail() -> None:
            raise ValueError("this round")

        before = failures.get("rounds", 0)
        rounds = self.periodic(first=fail)
        rounds.start(delay=0.0)
        self.clock.advance(0)
        self.step(25)
        self.assertEqual(len(self.begun), 3)
        self.assertEqual(failures["rounds"], before + 3)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_soon_brings_the_next_one_forward_and_never_back(self) -> None:
        """The earlier wish holds."""
        rounds = self.periodic()
        rounds.start()
        rounds.soon(2.0)
        rounds.soon(5.0)
        self.step(1.9)
        self.assertEqual(self.begun, [])
        self.step(0.3)
        self.assertEqual(len(self.begun), 1)

    def test_soon_before_the_start_does_nothing(self) -> None:
        """Nothing runs that nobody has started."""
        self.periodic().soon()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_soon_during_a_round_means_right_after_it(self) -> None:
        """Once, however often it was said."""
        rounds = self.periodic(held=True)
        rounds.start(delay=0.0)
        self.clock.advance(0)
        rounds.soon()
        rounds.soon()
        self.step(5)
        self.assertEqual(len(self.begun), 1)
        self.end_round()
        self.clock.advance(0)
        self.assertEqual(len(self.begun), 2)
        self.end_round()
        self.step(5)
        self.assertEqual(len(self.begun), 2)

    def test_rounds_never_overlap(self) -> None:
        """Not even when a round asks for the next one before it first waits."""
        rounds = self.periodic(held=True, first=lambda: rounds.soon(0.2))
        rounds.start(delay=0.0)
        self.clock.advance(0)
        self.step(3)
        self.assertEqual((len(self.begun), self.most_at_once), (1, 1))
        self.end_round()
        self.step(1)
        self.assertEqual((len(self.begun), self.most_at_once), (2, 1))


class StopTests(PeriodicTestCase):
    """The end."""

    def test_between_rounds(self) -> None:
        """At once, and no timer is left."""
        rounds = self.periodic()
        rounds.start()
        self.successResultOf(rounds.stop())
        rounds.soon()
        rounds.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_twice_and_never_started(self) -> None:
        """Both are nothing special."""
        rounds = self.periodic()
        self.successResultOf(rounds.stop())
        self.successResultOf(rounds.stop())

    def test_during_a_round(self) -> None:
        """The round is cancelled, and nothing comes after it."""
        rounds = self.periodic(held=True)
        rounds.start(delay=0.0)
        self.clock.advance(0)
        self.successResultOf(rounds.stop())
        self.assertEqual((self.open, self.clock.getDelayedCalls()), ([], []))

    def test_waits_for_a_round_that_has_to_finish(self) -> None:
        """Cancelling is a wish: what the round still does is waited for."""
        finish: Deferred[None] = Deferred()
        first: Deferred[None] = Deferred()

        async def stubborn() -> None:
            try:
                await first
            finally:
                await finish

        rounds = Periodic("stubborn", self.clock, lambda: 1.0, stubborn)
        rounds.start(delay=0.0)
        self.clock.advance(0)
        stopped = rounds.stop()
        again = rounds.stop()
        self.assertNoResult(stopped)
        finish.callback(None)
        self.successResultOf(stopped)
        self.successResultOf(again)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_by_the_round_itself(self) -> None:
        """Before its first wait: it is cancelled there, and no other follows."""
        stopped: list[Deferred[None]] = []
        rounds = self.periodic(held=True, first=lambda: stopped.append(rounds.stop()))
        rounds.start(delay=0.0)
        self.clock.advance(0)
        self.successResultOf(stopped[0])
        self.assertEqual((self.open, self.clock.getDelayedCalls()), ([], []))

    def test_a_round_without_a_wait(self) -> None:
        """Ends in the turn it began in; the loop goes on."""
        seen: list[int] = []

        def quick() -> Awaitable[object]:
            async def run() -> None:
                seen.append(1)

            return run()

        rounds = Periodic("quick", self.clock, lambda: 1.0, quick)
        rounds.start(delay=0.0)
        self.step(3.5)
        self.assertEqual(len(seen), 4)
