"""What replicas keep: envelopes and the tombstones that replace them (docs/protocol/peer.md).

These have fixed byte layouts of their own, because their ids and proofs are hashes over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from tace.errors import Malformed
from tace.ids import MAILBOX_KINDS, Label, MailboxId, MessageId, digest

ENVELOPE_VERSION = 1
BLOB_BYTES = 3552
_HEADER = Struct(">B32sI32sBQ")
HEADER_BYTES = _HEADER.size
ENVELOPE_BYTES = HEADER_BYTES + BLOB_BYTES
SECRET_BYTES = 16
SECONDS_PER_HOUR = 3600

TOMBSTONE_GRACE_HOURS = 2
"""A tombstone outlives the envelope's expiry by this much, for clocks that differ."""

_TOMBSTONE = Struct(">32sI16s32s")
TOMBSTONE_BYTES = _TOMBSTONE.size


def lock_of(secret: bytes) -> bytes:
    """What the envelope shows of the 16-byte secret that its sealed content holds."""
    return digest(Label.LOCK, secret)


def message_id(mailbox: MailboxId, expires_hours: int, lock: bytes, blob_hash: bytes) -> MessageId:
    """The id binds everything but the stamp, so that a stamp can be made again."""
    return digest(Label.MESSAGE, mailbox, expires_hours.to_bytes(4), lock, blob_hash)


def stamp_bits(message: MessageId, target: int, nonce: int) -> int:
    """How many leading zero bits the stamp shows (at most 256)."""
    proof = digest(Label.STAMP, message, bytes([target]), nonce.to_bytes(8))
    return 256 - int.from_bytes(proof).bit_length()


@dataclass(frozen=True, slots=True)
class Envelope:
    """One sealed message on its way.

    ``version u8 | mailbox 32 | expires u32 | lock 32 | target u8 | nonce u64 | blob 3552``:
    3,630 bytes. ``expires`` counts whole hours since 1970.
    """

    mailbox: MailboxId
    expires_hours: int
    lock: bytes
    stamp_target: int
    stamp_nonce: int
    blob: bytes
    id: MessageId
    encoded: bytes

    @classmethod
    def make(
        cls,
        *,
        mailbox: MailboxId,
        expires_hours: int,
        lock: bytes,
        blob: bytes,
        stamp_target: int = 0,
        stamp_nonce: int = 0,
    ) -> Envelope:
        if len(blob) != BLOB_BYTES:
            raise ValueError(f"a blob has {BLOB_BYTES} bytes, not {len(blob)}")
        head = _HEADER.pack(
            ENVELOPE_VERSION, mailbox, expires_hours, lock, stamp_target, stamp_nonce
        )
        return cls.parse(head + blob)

    @classmethod
    def parse(cls, encoded: bytes) -> Envelope:
        """:raises Malformed: wrong length, version or mailbox kind."""
        if len(encoded) != ENVELOPE_BYTES:
            raise Malformed(f"an envelope has {ENVELOPE_BYTES} bytes, not {len(encoded)}")
        version, mailbox, expires, lock, target, nonce = _HEADER.unpack_from(encoded)
        if version != ENVELOPE_VERSION:
            raise Malformed(f"envelope version {version} is not known here")
        if mailbox[-1] not in MAILBOX_KINDS:
            raise Malformed(f"mailbox kind {mailbox[-1]} is not known here")
        blob = encoded[HEADER_BYTES:]
        found = message_id(mailbox, expires, lock, sha256(blob).digest())
        return cls(mailbox, expires, lock, target, nonce, blob, found, encoded)

    @classmethod
    def trusted(cls, encoded: bytes, message: MessageId) -> Envelope:
        """From bytes that were parsed before, by whoever kept them with their id: hashes nothing.

        :raises Malformed: wrong length.
        """
        if len(encoded) != ENVELOPE_BYTES:
            raise Malformed(f"an envelope has {ENVELOPE_BYTES} bytes, not {len(encoded)}")
        _, mailbox, expires, lock, target, nonce = _HEADER.unpack_from(encoded)
        blob = encoded[HEADER_BYTES:]
        return cls(mailbox, expires, lock, target, nonce, blob, message, encoded)

    @property
    def expires_seconds(self) -> int:
        return self.expires_hours * SECONDS_PER_HOUR

    @property
    def kind(self) -> int:
        return self.mailbox[-1]

    def stamped_for(self, target: int) -> bool:
        """Does the stamp commit to at least ``target`` bits, and keep that word?"""
        if target == 0:
            return True
        return (
            self.stamp_target >= target
            and stamp_bits(self.id, self.stamp_target, self.stamp_nonce) >= self.stamp_target
        )

    def __repr__(self) -> str:
        return f"<Envelope {self.id.hex()[:8]}>"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Proof that the recipient opened a message: the secret behind the envelope's lock.

    ``id 32 | expires u32 | secret 16 | H(blob) 32``: 84 bytes, checked by hashing alone, with or
    without the envelope. On the wire the mailbox stands before it.
    """

    mailbox: MailboxId
    id: MessageId
    expires_hours: int
    secret: bytes
    blob_hash: bytes

    @classmethod
    def parse(cls, mailbox: MailboxId, encoded: bytes) -> Tombstone:
        """:raises Malformed: wrong length, or the secret does not open that message's lock."""
        if len(encoded) != TOMBSTONE_BYTES:
            raise Malformed(f"a tombstone has {TOMBSTONE_BYTES} bytes, not {len(encoded)}")
        message, expires, secret, blob_hash = _TOMBSTONE.unpack(encoded)
        if message_id(mailbox, expires, lock_of(secret), blob_hash) != message:
            raise Malformed("the secret does not open the lock")
        return cls(mailbox, message, expires, secret, blob_hash)

    @classmethod
    def of(cls, envelope: Envelope, secret: bytes) -> Tombstone:
        """:raises Malformed: the secret does not open the envelope's lock."""
        if lock_of(secret) != envelope.lock:
            raise Malformed("the secret does not open the lock")
        return cls(
            envelope.mailbox,
            envelope.id,
            envelope.expires_hours,
            secret,
            sha256(envelope.blob).digest(),
        )

    @property
    def encoded(self) -> bytes:
        return _TOMBSTONE.pack(self.id, self.expires_hours, self.secret, self.blob_hash)

    def __repr__(self) -> str:
        return f"<Tombstone {self.id.hex()[:8]}>"
