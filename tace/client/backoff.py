"""When to try again: soon and elsewhere first, then ever slower."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.25
SLOWEST_SECONDS = 60.0
OFFER_AGAIN_SECONDS = 60.0
OFFER_SLOWEST_SECONDS = 6 * 3600.0


def retry_after(failures: int, random_source: random.Random) -> float:
    """Seconds to wait after that many failures in a row: 0.25, then about 1, 2, 4 ... 60."""
    if failures <= 1:
        return FIRST_SECONDS
    return _jittered(min(SLOWEST_SECONDS, 2.0 ** min(failures - 2, 16)), random_source)


def offer_again_after(offers: int, random_source: random.Random) -> float:
    """Seconds until a stored message that nobody confirmed is offered again: a minute, then
    twice as long each time, up to 6 hours. All replicas may be gone, and the sender is not."""
    slower = OFFER_AGAIN_SECONDS * 2.0 ** min(max(0, offers - 1), 16)
    return _jittered(min(OFFER_SLOWEST_SECONDS, slower), random_source)


def _jittered(seconds: float, random_source: random.Random) -> float:
    return seconds * random_source.uniform(0.75, 1.25)
