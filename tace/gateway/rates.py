"""How fast clients may ask: a token bucket for each connection and for each network address.

One connection may use a quarter of what its address may, so that one program that runs wild leaves
room for the others behind the same router. Pure: time comes in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from tace.ids import MailboxId
from tace.limits import BucketTable, TokenBucket
from tace.wire.client import (
    Ack,
    FindRecord,
    GetBlob,
    GetNetwork,
    GetStatus,
    OpenLease,
    PublishRecord,
    PutBlob,
    Send,
)
from tace.wire.message import Message

BURST_SECONDS = 8.0
"""So many seconds' worth may come at once."""
CONNECTION_SHARE = 0.25
"""Of its address's rate, for one connection (of acks: for one mailbox)."""
MAX_ADDRESSES = 16_384
"""Address groups whose use is remembered, for each kind of command."""
MAX_MAILBOXES_REMEMBERED = 65_536
"""Mailboxes whose acks are counted: a new connection is not a new allowance."""
REMOVED_ITEM_BYTES = 36
"""Of one item in a removal; so many items are counted for its length."""


class Kind(StrEnum):
    """What is counted together."""

    COMMANDS = "commands"
    SENDS = "sends"
    ACKS = "acks"
    LOOKUPS = "lookups"
    RECORDS = "records"
    BLOBS = "blobs"
    LEASES = "leases"
    SESSIONS = "sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Of one address, each second; 0 for no bound.

    :param sends: envelopes.
    :param acks: messages let go of, by tombstone or removal.
    :param lookups: records asked for, and what anyone may know of the node and the network.
    :param records: records published.
    :param blobs: put or fetched, 63,488 bytes each.
    :param leases: mailboxes opened; each costs the node a signature check.
    :param sessions: opened over HTTP requests.
    :param commands: all messages from a client together.
    """

    sends: float = 0.0
    acks: float = 0.0
    lookups: float = 0.0
    records: float = 0.0
    blobs: float = 0.0
    leases: float = 0.0
    sessions: float = 0.0
    commands: float = 0.0

    def of(self, kind: Kind) -> float:
        return float(getattr(self, kind.value))


class Cost(NamedTuple):
    """What a command takes.

    :param small: little is kept while it waits for its turn.
    """

    kind: Kind
    amount: int
    small: bool


def cost_of(message: Message) -> Cost | None:
    """Beyond its being a command; None for one that costs nothing else."""
    cost = _COSTS.get(type(message))
    return cost if cost is None or isinstance(cost, Cost) else cost(message)


def _of_acks(message: Any) -> Cost:
    removed = sum(len(removal) // REMOVED_ITEM_BYTES for removal in message.removals)
    return Cost(Kind.ACKS, len(message.tombstones) + removed, small=True)


_COSTS: dict[type[Message], Cost | Callable[[Any], Cost]] = {
    Send: lambda message: Cost(Kind.SENDS, len(message.envelopes), small=False),
    Ack: _of_acks,
    PutBlob: Cost(Kind.BLOBS, 1, small=False),
    GetBlob: Cost(Kind.BLOBS, 1, small=True),
    FindRecord: Cost(Kind.LOOKUPS, 1, small=True),
    # A few bytes that ask for many.
    GetNetwork: Cost(Kind.LOOKUPS, 1, small=True),
    GetStatus: Cost(Kind.LOOKUPS, 1, small=True),
    PublishRecord: Cost(Kind.RECORDS, 1, small=True),
    OpenLease: Cost(Kind.LEASES, 1, small=True),
}


class Rates:
    """What all clients of a node have used lately."""

    def __init__(self, limits: RateLimits) -> None:
        self.of_one_connection = {
            kind: rate * CONNECTION_SHARE for kind in Kind if (rate := limits.of(kind)) > 0
        }
        self._addresses = {
            kind: BucketTable[str](rate, rate * BURST_SECONDS, MAX_ADDRESSES)
            for kind in Kind
            if (rate := limits.of(kind)) > 0
        }
        acks = limits.acks * CONNECTION_SHARE
        self._mailboxes = (
            BucketTable[MailboxId](acks, acks * BURST_SECONDS, MAX_MAILBOXES_REMEMBERED)
            if acks > 0
            else None
        )

    def wait_of_address(self, kind: Kind, group: str, now: float, amount: float = 1.0) -> float:
        """Take from what an address group may still have; the seconds to wait where it is short.

        :param group: empty for an address that is not counted.
        """
        table = self._addresses.get(kind)
        return table.take(group, now, amount) if table is not None and group else 0.0

    def counts_acks(self) -> bool:
        return self._mailboxes is not None

    def wait_of_mailbox(self, mailbox: MailboxId, now: float, amount: float) -> float:
        """The same for acks to one mailbox."""
        return self._mailboxes.take(mailbox, now, amount) if self._mailboxes is not None else 0.0

    def of_connection(self, group: str) -> Allowance:
        return Allowance(self, group)


class Allowance:
    """What one connection may still ask for."""

    __slots__ = ("_buckets", "_group", "_rates")

    def __init__(self, rates: Rates, group: str) -> None:
        self._rates = rates
        self._group = group
        # Made when first used: most connections wait for messages and use next to nothing.
        self._buckets: dict[Kind, TokenBucket] = {}

    def wait(self, kind: Kind, now: float, amount: float = 1.0) -> float:
        """Take ``amount``; 0.0 when it was there, else the seconds to wait, and it was not taken.

        What the connection had and its address had not is lost to the connection.
        """
        bucket = self._buckets.get(kind)
        if bucket is None:
            rate = self._rates.of_one_connection.get(kind)
            if rate is None:
                return 0.0
            bucket = self._buckets[kind] = TokenBucket(rate, rate * BURST_SECONDS)
        return bucket.take(now, amount) or self._rates.wait_of_address(
            kind, self._group, now, amount
        )
