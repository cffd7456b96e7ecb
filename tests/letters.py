"""Envelopes and mailboxes for tests that do not care what is sealed in them."""

from __future__ import annotations

from hashlib import sha256

from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import LEASE_SECONDS, Lease
from tace.ids import KIND_CONTACTS, mailbox_id
from tace.wire.fields import LeaseField, TombstoneField
from tace.wire.objects import BLOB_BYTES, Envelope, Tombstone, lock_of


def secret(number: int) -> bytes:
    """The secret of message ``number``."""
    return sha256(b"secret %d" % number).digest()[:16]


class Box:
    """A mailbox and its key."""

    def __init__(self, name: str = "box", kind: int = KIND_CONTACTS) -> None:
        self.key = SigningKey.from_seed((name.encode() * 48)[:48])
        self.kind = kind
        self.id = mailbox_id(self.key.public, kind)

    def envelope(self, number: int, now: float, *, hours: int = 24) -> Envelope:
        """Message ``number``, which expires so many hours from now."""
        return Envelope.make(
            mailbox=self.id,
            expires_hours=int(now // 3600) + hours,
            lock=lock_of(secret(number)),
            blob=(b"%08d" % number) * (BLOB_BYTES // 8),
        )

    def tombstone(self, envelope: Envelope, number: int) -> TombstoneField:
        return TombstoneField(self.id, Tombstone.of(envelope, secret(number)).encoded)

    def lease(
        self,
        *,
        network_id: bytes,
        node: bytes,
        origin: str = "http://n0",
        challenge: bytes = bytes(32),
        now: float,
    ) -> LeaseField:
        lease = Lease.sign(
            self.key,
            self.kind,
            network_id=network_id,
            node=node,
            origin=origin,
            challenge=challenge,
            expires_seconds=int(now) + LEASE_SECONDS,
        )
        return LeaseField(
            lease.mailbox_key,
            lease.kind,
            lease.origin,
            lease.challenge,
            lease.expires_seconds,
            lease.signature,
        )
