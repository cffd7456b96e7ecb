"""Mailboxes and sealed messages, made before the clock starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tace.client.connection import Connection
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import LEASE_SECONDS, Lease
from tace.ids import KIND_CONTACTS, MailboxId, mailbox_id
from tace.wire.client import OpenLease
from tace.wire.fields import LeaseField, TombstoneField
from tace.wire.objects import BLOB_BYTES, SECRET_BYTES, Envelope, Tombstone, lock_of

_LOCK = slice(37, 69)
"""Where in an envelope the lock stands (version 1, mailbox 32, expires 4)."""


def lock_in(envelope: bytes) -> bytes:
    """What tells one message from all others, without hashing it."""
    return envelope[_LOCK]


@dataclass(frozen=True, slots=True)
class Letter:
    """One sealed message, with what its recipient will need to let go of it."""

    lock: bytes
    envelope: bytes
    tombstone: TombstoneField


class Mailbox:
    """A *contacts* mailbox, for which no stamp is asked, with its key.

    :param key: without one, a new one is made.
    """

    def __init__(self, key: SigningKey | None = None) -> None:
        self.key = key or SigningKey.generate()
        self.id: MailboxId = mailbox_id(self.key.public, KIND_CONTACTS)

    def letter(self, expires_hours: int, random_bytes: Callable[[int], bytes]) -> Letter:
        """A message of random content, as sealed content looks."""
        secret = random_bytes(SECRET_BYTES)
        envelope = self._sealed(expires_hours, secret, random_bytes(BLOB_BYTES))
        tombstone = TombstoneField(self.id, Tombstone.of(envelope, secret).encoded)
        return Letter(envelope.lock, envelope.encoded, tombstone)

    def envelope(self, expires_hours: int, random_bytes: Callable[[int], bytes]) -> Envelope:
        """The same for a message that nobody will let go of."""
        return self._sealed(expires_hours, random_bytes(SECRET_BYTES), random_bytes(BLOB_BYTES))

    def _sealed(self, expires_hours: int, secret: bytes, blob: bytes) -> Envelope:
        return Envelope.make(
            mailbox=self.id, expires_hours=expires_hours, lock=lock_of(secret), blob=blob
        )

    def lease(self, connection: Connection) -> OpenLease:
        """The request that opens this mailbox on an opened connection, or renews it."""
        challenge = connection.challenge
        lease = Lease.sign(
            self.key,
            KIND_CONTACTS,
            network_id=challenge.network_id,
            node=challenge.node_id,
            origin=connection.address.origin,
            challenge=challenge.challenge,
            expires_seconds=int(connection.node_seconds) + LEASE_SECONDS,
        )
        return OpenLease(
            LeaseField(
                lease.mailbox_key,
                lease.kind,
                lease.origin,
                lease.challenge,
                lease.expires_seconds,
                lease.signature,
            )
        )
