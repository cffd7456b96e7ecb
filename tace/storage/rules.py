"""What both stores go by: when a thing is over, how much a mailbox may hold, the answers to puts.

Expiries count whole hours since 1970. An object with expiry E is over when ``E <= hour_of(now)``; a
tombstone TOMBSTONE_GRACE_HOURS later, the memory of a record's sequence RECORD_MEMORY_HOURS later.
"""

from __future__ import annotations

from dataclasses import dataclass

from tace.ids import KIND_REQUESTS, MailboxId
from tace.seams import Put
from tace.wire.objects import SECONDS_PER_HOUR, TOMBSTONE_GRACE_HOURS

RECORD_MEMORY_HOURS = 30 * 24
"""The longest life of a record: when the memory goes, no older one can still be valid."""
MAX_PEERS = 1024
"""Nodes whose addresses are kept on the disk."""
TOMBSTONES_AN_ITEM = 64
"""Of a mailbox: as often as that may it be filled and emptied within the life of a message."""
CLOSED_TO_BLOBS = 4
"""One part in so many of the budget: files never keep messages out."""

STORED = Put("stored")
DUPLICATE = Put("duplicate")
EXPIRED = Put("expired")
QUOTA = Put("quota")
FULL = Put("full")
STALE = Put("stale-sequence")


def acked(secret: bytes | None) -> Put:
    """A tombstone stands there; one made by a removal has no secret."""
    return Put("acked", secret or b"")


def hour_of(now: float) -> int:
    """The whole hours that are past at ``now`` (unix seconds)."""
    return int(now // SECONDS_PER_HOUR)


def tombstone_hour_of(now: float) -> int:
    """As :func:`hour_of`, to compare a tombstone's expiry with."""
    return hour_of(now) - TOMBSTONE_GRACE_HOURS


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many messages may wait in a mailbox; what has expired counts until it is forgotten."""

    contacts_items: int
    requests_items: int

    def of(self, mailbox: MailboxId) -> int:
        return self.requests_items if mailbox[-1] == KIND_REQUESTS else self.contacts_items

    def tombstones_of(self, mailbox: MailboxId) -> int:
        """How many may stand there before one that buries nothing is refused."""
        return TOMBSTONES_AN_ITEM * self.of(mailbox)
