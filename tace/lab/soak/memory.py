"""What processes hold: read from /proc, and whether it grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ALLOWED_SHARE = 0.10
ALLOWED_BYTES = 6 * 1024 * 1024
"""Growth from the second quarter to the last that still counts as flat: caches that fill, and what
the allocator does not give back."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process.

    :ivar at: seconds since the run began.
    """

    at: float
    rss_bytes: int
    open_files: int


def look(pid: int, at: float) -> Sample | None:
    """None where there is no such process (any more), or no /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, IndexError, ValueError):
        return None
    return Sample(at, pages * os.sysconf("SC_PAGE_SIZE"), files)


@dataclass(frozen=True, slots=True)
class Course:
    """How a process's memory went.

    :ivar slope_bytes_per_hour: of the line of least squares through the second half.
    """

    begin: int
    middle: int
    end: int
    highest: int
    slope_bytes_per_hour: float
    files_begin: int
    files_end: int


def course(samples: Sequence[Sample]) -> Course | None:
    """None where nobody looked."""
    if not samples:
        return None
    half = samples[len(samples) // 2 :]
    return Course(
        samples[0].rss_bytes,
        samples[len(samples) // 2].rss_bytes,
        samples[-1].rss_bytes,
        max(sample.rss_bytes for sample in samples),
        3600 * _slope([(sample.at, float(sample.rss_bytes)) for sample in half]),
        samples[0].open_files,
        samples[-1].open_files,
    )


def growth(samples: Sequence[Sample]) -> tuple[float, float]:
    """(median of the second quarter, median of the last), in bytes."""
    quarter = len(samples) // 4
    if not quarter:
        return (0.0, 0.0)
    return (
        median(sample.rss_bytes for sample in samples[quarter : 2 * quarter]),
        median(sample.rss_bytes for sample in samples[-quarter:]),
    )


def is_flat(samples: Sequence[Sample]) -> bool:
    """Does it hold no more at the end than when it had warmed up?"""
    before, after = growth(samples)
    return after <= before * (1 + ALLOWED_SHARE) + ALLOWED_BYTES


def _slope(points: Sequence[tuple[float, float]]) -> float:
    count = len(points)
    if count < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
