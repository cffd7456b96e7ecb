"""When a client's connection is read."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.gateway.reading_pace import STALLED_SECONDS, ReadingPace


class Reading:
    """The reading side of a transport."""

    reads = True

    def pauseProducing(self) -> None:
        self.reads = False

    def resumeProducing(self) -> None:
        self.reads = True


class PaceTests(SynchronousTestCase):
    """Two reasons not to read, and the end of patience."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = Reading()
        self.stalled = 0
        self.pace = ReadingPace(self.transport, self.clock, self.has_stalled)

    def has_stalled(self) -> None:
        self.stalled += 1

    def test_a_client_that_reads_again(self) -> None:
        """Is read again, and nothing comes of it."""
        self.pace.pauseProducing()
        self.assertFalse(self.transport.reads)
        self.clock.advance(STALLED_SECONDS - 1)
        self.pace.resumeProducing()
        self.assertTrue(self.transport.reads)
        self.clock.advance(STALLED_SECONDS)
        self.assertEqual(self.stalled, 0)

    def test_a_client_that_does_not(self) -> None:
        """Is given up once."""
        self.pace.pauseProducing()
        self.clock.advance(STALLED_SECONDS + 1)
        self.assertEqual((self.stalled, self.transport.reads), (1, False))

    def test_held(self) -> None:
        """For so long, and not longer for being too fast again meanwhile."""
        self.pace.hold(1.0)
        self.assertFalse(self.transport.reads)
        self.clock.advance(0.5)
        self.pace.hold(1.0)
        self.clock.advance(0.5)
        self.assertTrue(self.transport.reads)

    def test_both(self) -> None:
        """It is read when neither stands against it."""
        self.pace.hold(1.0)
        self.pace.pauseProducing()
        self.clock.advance(1.0)
        self.assertFalse(self.transport.reads)
        self.pace.resumeProducing()
        self.assertTrue(self.transport.reads)
        self.pace.pauseProducing()
        self.pace.hold(1.0)
        self.pace.resumeProducing()
        self.assertFalse(self.transport.reads)
        self.clock.advance(1.0)
        self.assertTrue(self.transport.reads)

    def test_the_end(self) -> None:
        """Leaves no timer."""
        self.pace.hold(1.0)
        self.pace.pauseProducing()
        self.pace.stopProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])
