"""How long a node that cannot be reached is left alone."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.links.backoff import FIRST_SECONDS, MAX_REMEMBERED, MOST_SECONDS, Backoff

NODE, OTHER = b"\x01" * 32, b"\x02" * 32


class BackoffTests(SynchronousTestCase):
    """Pure: time and randomness are given."""

    def setUp(self) -> None:
        self.backoff = Backoff(Random(1))

    def waits(self, failures: int) -> list[float]:
        """The wait after each failure, each dial made as soon as it may be."""
        now, waits = 1000.0, []
        for _ in range(failures):
            self.backoff.failed(NODE, now)
            waits.append(self.backoff.wait_seconds(NODE, now))
            now += waits[-1]
        return waits

    def test_unknown(self) -> None:
        """Who never failed is dialled at once."""
        self.assertEqual(self.backoff.wait_seconds(NODE, 0), 0)

    def test_doubling(self) -> None:
        """0, then 0.2 s doubling to 15 s, each shortened by up to half."""
        waits = self.waits(40)
        self.assertEqual(waits[0], 0)
        for doublings, wait in enumerate(waits[1:]):
            most = min(FIRST_SECONDS * 2**doublings, MOST_SECONDS)
            self.assertTrue(most / 2 - 1e-6 <= wait <= most + 1e-6, (doublings, wait))

    def test_jitter(self) -> None:
        """No two nodes wait alike."""
        other = Backoff(Random(2))
        for _ in range(8):
            self.backoff.failed(NODE, 0)
            other.failed(NODE, 0)
        self.assertNotEqual(self.backoff.wait_seconds(NODE, 0), other.wait_seconds(NODE, 0))

    def test_time_passes(self) -> None:
        """The wait gets shorter, and never negative."""
        for _ in range(8):
            self.backoff.failed(NODE, 0)
        wait = self.backoff.wait_seconds(NODE, 0)
        self.assertEqual(self.backoff.wait_seconds(NODE, wait / 2), wait / 2)
        self.assertEqual(self.backoff.wait_seconds(NODE, wait + 1), 0)

    def test_clear(self) -> None:
        """Starts again from nothing, for that node only."""
        for _ in range(8):
            self.backoff.failed(NODE, 0)
            self.backoff.failed(OTHER, 0)
        self.backoff.clear(NODE)
        self.assertEqual(self.backoff.wait_seconds(NODE, 0), 0)
        self.assertGreater(self.backoff.wait_seconds(OTHER, 0), 0)
        self.assertEqual(self.waits(1), [0])

    def test_bounded(self) -> None:
        """The node that failed longest ago is forgotten first."""
        for _ in range(3):
            self.backoff.failed(NODE, 0)
        for number in range(MAX_REMEMBERED):
            self.backoff.failed(number.to_bytes(32), 0)
        self.assertEqual(self.backoff.wait_seconds(NODE, 0), 0)
