"""How late the event loop is."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.observe.lag import LoopLag
from tace.observe.metrics import Metrics


class LoopLagTests(SynchronousTestCase):
    """With a clock whose calls come as late as is wanted."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.lag = LoopLag(self.clock, self.metrics, every_seconds=0.1)

    def counted(self, line: str) -> bool:
        return f"tace_loop_lag_seconds_{line}\n" in self.metrics.exposition().decode()

    def test_in_time(self) -> None:
        """Nothing is late, again and again."""
        self.lag.start()
        for _ in range(5):
            self.clock.advance(0.1)
        self.assertTrue(self.counted("count 5.0"))
        self.assertTrue(self.counted('bucket{le="0.0005"} 5.0'))
        self.assertLess(self.lag.longest(), 1e-9)

    def test_late(self) -> None:
        """By as much as the call came too late; the longest is told once."""
        self.lag.start()
        self.clock.advance(0.1 + 0.03)
        self.clock.advance(0.1 + 0.2)
        self.clock.advance(0.1)
        self.assertTrue(self.counted('bucket{le="0.025"} 1.0'))
        self.assertTrue(self.counted('bucket{le="0.05"} 2.0'))
        self.assertTrue(self.counted('bucket{le="0.25"} 3.0'))
        self.assertAlmostEqual(self.lag.longest(), 0.2)
        self.assertEqual(self.lag.longest(), 0.0)

    def test_stop(self) -> None:
        """No call stays behind, whether it was started or not."""
        self.lag.stop()
        self.lag.start()
        self.clock.advance(0.1)
        self.lag.stop()
        self.lag.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
