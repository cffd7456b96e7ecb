"""When to try again: soon and elsewhere first, then ever slower."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_SECONDS = 0.25
SLOWEST_SECONDS = 60.0
REFUSED_SLOWEST_SECONDS = 3600.0
MAX_DOUBLINGS = 16
"""No wait needs more: whatever doubles so often has reached its bound."""


def retry_after(failures: int, random_source: random.Random) -> float:
    """Seconds to wait after that many failures in a row: 0.25, then about 1, 2, 4 ... 60."""
    if failures <= 1:
        return FIRST_SECONDS
    return _jittered(min(SLOWEST_SECONDS, _doubled(1.0, failures - 2)), random_source)


@dataclass(frozen=True, slots=True)
class Repeats:
    """When a stored message that nobody confirmed is offered again: all of its replicas may be
    gone, and its sender is not.

    The first offers come soon: somebody who is there has confirmed it by then, and a ring that was
    wrong for a moment has been mended. A recipient who is away for days costs one offer a day.

    :ivar first_seconds: until the first; each wait is twice as long as the one before.
    :ivar slowest_seconds: the longest wait.
    :ivar absent_seconds: a home that has met no node for so long offers everything once when it
        meets one: what was due meanwhile, and what became of the replicas, nobody looked after.
    """

    first_seconds: float = 60.0
    slowest_seconds: float = 24 * 3600.0
    absent_seconds: float = 6 * 3600.0

    def after(self, offers: int, random_source: random.Random) -> float:
        """Seconds to wait after that many offers."""
        slower = _doubled(self.first_seconds, offers - 1)
        return _jittered(min(self.slowest_seconds, slower), random_source)

    def after_refusal(self, offers: int, random_source: random.Random) -> float:
        """Seconds to wait where the last of them was refused: an hour at most, because nobody has
        said lately that the message is still there."""
        return min(REFUSED_SLOWEST_SECONDS, self.after(offers, random_source))


def _doubled(first: float, times: int) -> float:
    return first * 2.0 ** min(max(0, times), MAX_DOUBLINGS)


def _jittered(seconds: float, random_source: random.Random) -> float:
    return seconds * random_source.uniform(0.75, 1.25)
