"""What replicas keep: envelopes, the tombstones that replace them, blobs (docs/protocol/peer.md).

These have fixed byte layouts of their own, because their ids and proofs are hashes over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

import msgspec

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

CHUNK_BYTES = 63_488
"""What a blob holds: one encrypted chunk of a file."""
_BLOB_HEADER = Struct(">IBQ")
STORED_BLOB_BYTES = _BLOB_HEADER.size + CHUNK_BYTES


def lock_of(secret: bytes) -> bytes:
    """What the envelope shows of the 16-byte secret that its sealed content holds."""
    return digest(Label.LOCK, secret)


def message_id(mailbox: MailboxId, expires_hours: int, lock: bytes, blob_hash: bytes) -> MessageId:
    """The id binds everything but the stamp, so that a stamp can be made again."""
    return digest(Label.MESSAGE, mailbox, expires_hours.to_bytes(4), lock, blob_hash)


MAX_STAMP_TARGET = 24
"""Beyond it (half a minute of work and more for each message) a node is broken or hostile: clients
leave it, and nodes do not pass its wish on."""


def stamp_bits(name: bytes, target: int, nonce: int) -> int:
    """How many leading zero bits the stamp shows (at most 256).

    ``name`` is what was stamped: a message id or the hash of a blob.
    """
    proof = digest(Label.STAMP, name, bytes([target]), nonce.to_bytes(8))
    return 256 - int.from_bytes(proof).bit_length()


def is_stamped(name: bytes, target: int, nonce: int, *, wanted: int) -> bool:
    """Does the stamp commit to at least ``wanted`` bits, and keep that word?"""
    if wanted == 0:
        return True
    return target >= wanted and stamp_bits(name, target, nonce) >= target


class Envelope(msgspec.Struct, frozen=True, gc=False):
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
        """As :func:`is_stamped`, over the id."""
        return is_stamped(self.id, self.stamp_target, self.stamp_nonce, wanted=target)

    def __repr__(self) -> str:
        return f"<Envelope {self.id.hex()[:8]}>"


class Tombstone(msgspec.Struct, frozen=True, gc=False):
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


@dataclass(frozen=True, slots=True)
class Blob:
    """One encrypted chunk of a file, kept under the SHA-256 of its bytes until it expires.

    Between nodes ``expires u32 | target u8 | nonce u64 | data 63488``: 63,501 bytes. The stamp is
    over the hash, which binds neither it nor the expiry: who wants a blob kept for longer needs no
    new work, and the latest expiry that is known holds.
    """

    hash: bytes
    expires_hours: int
    stamp_target: int
    stamp_nonce: int
    data: bytes

    @classmethod
    def make(
        cls, data: bytes, *, expires_hours: int, stamp_target: int = 0, stamp_nonce: int = 0
    ) -> Blob:
        """:raises Malformed: not as long as a chunk is."""
        if len(data) != CHUNK_BYTES:
            raise Malformed(f"a blob holds {CHUNK_BYTES} bytes, not {len(data)}")
        name = sha256(data).digest()
        return cls(name, expires_hours, stamp_target, stamp_nonce, data)

    @classmethod
    def parse(cls, encoded: bytes) -> Blob:
        """:raises Malformed: wrong length."""
        if len(encoded) != STORED_BLOB_BYTES:
            raise Malformed(f"a stored blob has {STORED_BLOB_BYTES} bytes, not {len(encoded)}")
        expires, target, nonce = _BLOB_HEADER.unpack_from(encoded)
        return cls.make(
            encoded[_BLOB_HEADER.size :],
            expires_hours=expires,
            stamp_target=target,
            stamp_nonce=nonce,
        )

    @property
    def encoded(self) -> bytes:
        head = _BLOB_HEADER.pack(self.expires_hours, self.stamp_target, self.stamp_nonce)
        return head + self.data

    def stamped_for(self, target: int) -> bool:
        """As :func:`is_stamped`, over the hash."""
        return is_stamped(self.hash, self.stamp_target, self.stamp_nonce, wanted=target)

    def __repr__(self) -> str:
        return f"<Blob {self.hash.hex()[:8]}>"
