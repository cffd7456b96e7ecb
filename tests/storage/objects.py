"""Envelopes, tombstones, removals, records and peers to store, made from small numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tace.identity.keys import SEED_BYTES, SigningKey
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import KIND_DEVICE, UserRecord
from tace.ids import KIND_CONTACTS, MailboxId, digest, mailbox_id
from tace.seams import Item, ItemState, KnownDead, KnownPeer, KnownSeed
from tace.wire.objects import (
    BLOB_BYTES,
    CHUNK_BYTES,
    SECONDS_PER_HOUR,
    SECRET_BYTES,
    Blob,
    Envelope,
    Tombstone,
    lock_of,
)

HOUR = 500_000
"""Now, in the tests: hours since 1970."""
NOW = float(HOUR * SECONDS_PER_HOUR)


def at(hours: float) -> float:
    """Unix seconds so many hours after NOW."""
    return NOW + hours * SECONDS_PER_HOUR


@cache
def key(number: int) -> SigningKey:
    return SigningKey.from_seed(number.to_bytes(SEED_BYTES))


def mailbox(number: int, kind: int = KIND_CONTACTS) -> MailboxId:
    """The mailbox that ``key(number)`` opens."""
    return mailbox_id(key(number).public, kind)


@dataclass(frozen=True, slots=True)
class Letter:
    """An envelope and the secret behind its lock."""

    envelope: Envelope
    secret: bytes

    @property
    def tombstone(self) -> Tombstone:
        return Tombstone.of(self.envelope, self.secret)

    @property
    def item(self) -> Item:
        return Item(self.envelope.mailbox, self.envelope.id, ItemState.ENVELOPE)

    @property
    def buried_item(self) -> Item:
        return Item(self.envelope.mailbox, self.envelope.id, ItemState.TOMBSTONE)


def letter(number: int, *, box: MailboxId | None = None, lives_hours: int = 24) -> Letter:
    """Letters of different numbers differ in everything; the same number is the same letter."""
    secret = digest(b"test secret", number.to_bytes(8))[:SECRET_BYTES]
    envelope = Envelope.make(
        mailbox=mailbox(1) if box is None else box,
        expires_hours=HOUR + lives_hours,
        lock=lock_of(secret),
        blob=number.to_bytes(8) * (BLOB_BYTES // 8),
    )
    return Letter(envelope, secret)


def removal(*letters: Letter, by: int = 1, later_hours: int = 0) -> Removal:
    """The owner's word, who may name a later expiry than the envelopes have."""
    return Removal.sign(
        key(by),
        letters[0].envelope.kind,
        [(it.envelope.id, it.envelope.expires_hours + later_hours) for it in letters],
    )


def record(
    identity: int, sequence: int, *, lives_hours: int = 24, payload: bytes = b""
) -> UserRecord:
    return UserRecord.sign(
        key(identity),
        kind=KIND_DEVICE,
        device=bytes(32),
        sequence=sequence,
        expires_hours=HOUR + lives_hours,
        payload=payload,
    )


def record_item(it: UserRecord) -> Item:
    return Item(it.key, it.order[1], ItemState.RECORD)


def blob(number: int, *, lives_hours: int = 24, stamp_target: int = 0) -> Blob:
    """Blobs of different numbers differ in every eight bytes."""
    return Blob.make(
        number.to_bytes(8) * (CHUNK_BYTES // 8),
        expires_hours=HOUR + lives_hours,
        stamp_target=stamp_target,
        stamp_nonce=number,
    )


def peer(number: int, heard: float, *, record_bytes: int = 100) -> KnownPeer:
    node = digest(b"test peer", number.to_bytes(8))
    return KnownPeer(node, (b"record %d" % number).ljust(record_bytes), heard)


def known_dead(number: int, died: float, *, in_burst: bool = False) -> KnownDead:
    known = peer(number, 0.0)
    return KnownDead(known.node, known.record, died, in_burst)


def known_seed(number: int, since: float, *, node: int = 0) -> KnownSeed:
    return KnownSeed(f"seed{number}.example:6512", digest(b"test peer", node.to_bytes(8)), since)
