"""How far a node trusts its own eyes, and how long answers take. Pure but for the time given.

Lifeguard (Dadgar, Phillips, Currey 2017): most living nodes that are called dead are called so by
one that is slow itself. RFC 6298 for the time-out that measured round trips ask for.
"""

from __future__ import annotations

from math import inf

MAX_STRETCH = 8.0
"""By no more than this factor does a node stretch its time-outs."""
LATE_SECONDS = 0.1
"""A timer that goes off so late says that this node's own loop lags."""
STEP_SECONDS = 1.0
"""One late timer, false alarm or success counts at most this often."""


class LocalHealth:
    """By what factor this node stretches its time-outs before it suspects others: 1 to 8."""

    def __init__(self) -> None:
        self._stretch = 1.0
        self._worse_at = -inf
        self._better_at = -inf

    @property
    def stretch(self) -> float:
        return self._stretch

    def late(self, by_seconds: float, now: float) -> None:
        """A timer went off so long after it was due; a long stall counts for all its seconds."""
        if by_seconds >= LATE_SECONDS and now - self._worse_at >= STEP_SECONDS:
            self._worse(1.0 + int(by_seconds), now)

    def false_alarm(self, now: float) -> None:
        """A peer that was given up for its silence had been there all the time."""
        if now - self._worse_at >= STEP_SECONDS:
            self._worse(1.0, now)

    def success(self, now: float) -> None:
        """A peer answered in time."""
        if now - max(self._better_at, self._worse_at) >= STEP_SECONDS:
            self._better_at = now
            self._stretch = max(1.0, self._stretch - 1.0)

    def _worse(self, by: float, now: float) -> None:
        self._worse_at = now
        self._stretch = min(MAX_STRETCH, self._stretch + by)


class RoundTrip:
    """The smoothed round trip of one link (RFC 6298, section 2)."""

    def __init__(self) -> None:
        self._smoothed: float | None = None
        self._variation = 0.0

    def measured(self, seconds: float) -> None:
        """An answer took so long. What a clock that was set back makes of it is not believed."""
        if seconds < 0:
            return
        if self._smoothed is None:
            self._smoothed, self._variation = seconds, seconds / 2
            return
        self._variation += (abs(self._smoothed - seconds) - self._variation) / 4
        self._smoothed += (seconds - self._smoothed) / 8

    def timeout_seconds(self, floor: float, ceiling: float) -> float:
        """How long an answer may take: the floor, as long as nothing was measured."""
        if self._smoothed is None:
            return floor
        return min(max(self._smoothed + 4 * self._variation, floor), ceiling)
