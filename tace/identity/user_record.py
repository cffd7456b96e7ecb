"""The signed user record that replicas keep: a public envelope for an opaque payload (page 1.4).

``version u8 | kind u8 | identity 33 | device 32 | sequence u64 | expires u32 (hours) |
payload length u16 | payload | signature 64``; the signature is by the identity key over
"tace user record 1" || all bytes before it. At most 8 KiB. What the payload holds is a matter
between clients (docs/protocol/e2ee.md); replicas check the frame and the signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from tace.errors import BadRecord
from tace.identity.keys import SIGNATURE_BYTES, SigningKey, parse_public_key, verify
from tace.ids import Label, digest

USER_RECORD_VERSION = 1
MAX_USER_RECORD_BYTES = 8 * 1024
"""Of a signed record of a user or a device."""
KIND_DEVICE_LIST = 1
KIND_DEVICE = 2
USER_RECORD_KINDS = (KIND_DEVICE_LIST, KIND_DEVICE)
NO_DEVICE = bytes(32)
MAX_LIFETIME_DAYS = 30
"""Of a user's record, from its signing."""

_HEAD = Struct(">BB33s32sQIH")


def user_record_key(kind: int, identity: bytes, device: bytes = NO_DEVICE) -> bytes:
    """Where the record is kept: H("tace record 1" || kind || identity || device)."""
    return digest(Label.USER_RECORD_KEY, bytes([kind]), identity, device)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A verified user record. Made only by :meth:`sign` and :meth:`parse`."""

    kind: int
    identity: bytes
    device: bytes
    sequence: int
    expires_hours: int
    payload: bytes
    encoded: bytes

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        *,
        kind: int,
        device: bytes,
        sequence: int,
        expires_hours: int,
        payload: bytes,
    ) -> UserRecord:
        signed = (
            _HEAD.pack(
                USER_RECORD_VERSION, kind, key.public, device, sequence, expires_hours, len(payload)
            )
            + payload
        )
        return cls.parse(signed + key.sign(Label.USER_RECORD, signed))

    @classmethod
    def parse(cls, encoded: bytes) -> UserRecord:
        """:raises BadRecord: not a user record, or not signed by the identity it names."""
        if not _HEAD.size + SIGNATURE_BYTES <= len(encoded) <= MAX_USER_RECORD_BYTES:
            raise BadRecord(f"a user record of {len(encoded)} bytes")
        version, kind, identity, device, sequence, expires, length = _HEAD.unpack_from(encoded)
        if version != USER_RECORD_VERSION or kind not in USER_RECORD_KINDS:
            raise BadRecord(f"user record version {version}, kind {kind} is not known here")
        if kind == KIND_DEVICE_LIST and device != NO_DEVICE:
            raise BadRecord("a device list names no device")
        if sequence > 0x7FFF_FFFF_FFFF_FFFF:
            raise BadRecord("the sequence is out of range")
        end = _HEAD.size + length
        if len(encoded) != end + SIGNATURE_BYTES:
            raise BadRecord("the payload length does not fit the record")
        try:
            parse_public_key(identity)
        except ValueError:
            raise BadRecord("the identity is not a P-256 point") from None
        if not verify(identity, encoded[end:], Label.USER_RECORD, encoded[:end]):
            raise BadRecord("the user record is not signed by its identity")
        payload = encoded[_HEAD.size : end]
        return cls(kind, identity, device, sequence, expires, payload, encoded)

    @property
    def key(self) -> bytes:
        return user_record_key(self.kind, self.identity, self.device)

    @property
    def order(self) -> tuple[int, bytes]:
        """Of two records with one key the one with the higher order holds, on every replica."""
        return (self.sequence, sha256(self.encoded).digest())

    def __repr__(self) -> str:
        return f"<UserRecord kind {self.kind} sequence {self.sequence}>"
