"""When what a store keeps is over. Expiries count whole hours since 1970 (docs/protocol/peer.md).

An object with expiry E is over when ``E <= hour_of(now)``. A tombstone is over TOMBSTONE_GRACE_HOURS
after that, the memory of a record's sequence RECORD_MEMORY_HOURS after it.
"""

from __future__ import annotations

from tace.wire.objects import SECONDS_PER_HOUR, TOMBSTONE_GRACE_HOURS

RECORD_MEMORY_HOURS = 30 * 24
"""A record's sequence outlives it by this much: the longest that an older record can still be valid."""


def hour_of(now: float) -> int:
    """The whole hours that are past at ``now`` (unix seconds)."""
    return int(now // SECONDS_PER_HOUR)


def tombstone_hour_of(now: float) -> int:
    """As :func:`hour_of`, to compare a tombstone's expiry with."""
    return hour_of(now) - TOMBSTONE_GRACE_HOURS
