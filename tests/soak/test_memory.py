"""Whether something grows."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tace.lab.soak.memory import Sample, course, growth, is_flat, look

MIB = 1024 * 1024


def line(start: float, slope: float, count: int = 400) -> list[Sample]:
    """MiB, and MiB for each second."""
    return [Sample(float(t), int((start + slope * t) * MIB), 20) for t in range(count)]


class Courses(SynchronousTestCase):
    """Of made-up processes."""

    def test_flat(self) -> None:
        """Noise, and a warm-up in the first quarter, are no growth."""
        noisy = [Sample(float(t), (80 + t % 7) * MIB, 20) for t in range(400)]
        warming = [Sample(float(t), (40 + min(t, 60)) * MIB, 20) for t in range(400)]
        for samples in (noisy, warming, line(80, 0)):
            self.assertTrue(is_flat(samples))

    def test_growing(self) -> None:
        """A tenth of a MiB a second is a leak."""
        self.assertFalse(is_flat(line(80, 0.1)))
        before, after = growth(line(80, 0.1))
        self.assertApproximates((after - before) / MIB, 20, 0.5)

    def test_a_step_late(self) -> None:
        """What is taken in the last third and kept."""
        samples = [Sample(float(t), (80 if t < 270 else 120) * MIB, 20) for t in range(400)]
        self.assertFalse(is_flat(samples))

    def test_course(self) -> None:
        """The slope is that of the second half."""
        went = course(line(80, 0.1, 101))
        assert went is not None
        self.assertEqual([went.begin // MIB, went.middle // MIB, went.end // MIB], [80, 85, 90])
        self.assertEqual(went.highest, went.end)
        self.assertApproximates(went.slope_bytes_per_hour / MIB, 360, 1)
        self.assertIsNone(course([]))

    def test_look(self) -> None:
        """At this very process, and at none."""
        sample = look(os.getpid(), 5.0)
        assert sample is not None
        self.assertGreater(sample.rss_bytes, MIB)
        self.assertGreater(sample.open_files, 2)
        self.assertIsNone(look(2**22 + 1, 5.0))
