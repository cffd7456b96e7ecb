"""The inner message: what lies in the seal beside the lock's secret, always 3,455 bytes.

Two kinds, told apart by the first byte. Both name the sender's identity and device; that is a
claim, proved only when a session with that device opens the rest.

==== =========================================== ===================== ==============
type prefix                                      ratchet message       room for content
==== =========================================== ===================== ==============
1    type u8, identity 33, device id 32          3,389                 3,298
2    type u8, handshake 1,293                    2,161                 2,070
==== =========================================== ===================== ==============

A ratchet message is ``salt 16 | sealed header 57 | ciphertext | tag 16``; its plaintext is
``length u16 | content | zeros``, so its length says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tace.e2ee.device import DEVICE_ID_BYTES, device_id
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.pqxdh import HANDSHAKE_BYTES
from tace.e2ee.ratchet import OVERHEAD_BYTES
from tace.errors import Malformed
from tace.identity.keys import PUBLIC_KEY_BYTES
from tace.ids import digest
from tace.wire.objects import BLOB_BYTES, SECRET_BYTES

HPKE_BYTES = 65 + 16
"""The uncompressed ephemeral point, and the tag."""
INNER_BYTES = BLOB_BYTES - HPKE_BYTES - SECRET_BYTES
TYPE_IN_SESSION = 1
TYPE_WITH_HANDSHAKE = 2
_CLAIM_BYTES = PUBLIC_KEY_BYTES + DEVICE_ID_BYTES
_LENGTH_BYTES = 2
ROOM_IN_SESSION = INNER_BYTES - 1 - _CLAIM_BYTES - OVERHEAD_BYTES - _LENGTH_BYTES
"""How many bytes of content fit once the peer has answered."""
ROOM_WITH_HANDSHAKE = INNER_BYTES - 1 - HANDSHAKE_BYTES - OVERHEAD_BYTES - _LENGTH_BYTES
"""How many bytes of content fit while the handshake rides along."""
CONSUMED_TAG_BYTES = 8

_IDENTITY_AT = 2
"""In type 2 the certificate follows the flags: the identity first, then the device key."""


@dataclass(frozen=True, slots=True)
class Inner:
    """An inner message, taken apart; nothing in it is verified yet.

    :ivar identity: who claims to have sent it (33 bytes, not even known to be a point).
    :ivar device: the device id that is claimed.
    :ivar handshake: 1,293 bytes, or none.
    :ivar prefix: everything before the ratchet message; part of its associated data.
    """

    identity: bytes
    device: bytes
    handshake: bytes = field(repr=False)
    prefix: bytes = field(repr=False)
    message: bytes = field(repr=False)

    @classmethod
    def parse(cls, encoded: bytes) -> Inner:
        """:raises Malformed: wrong length, or a type that is not known here."""
        if len(encoded) != INNER_BYTES:
            raise Malformed(f"an inner message has {INNER_BYTES} bytes, not {len(encoded)}")
        if encoded[0] == TYPE_IN_SESSION:
            end = 1 + _CLAIM_BYTES
            identity = encoded[1 : 1 + PUBLIC_KEY_BYTES]
            return cls(
                identity, encoded[1 + PUBLIC_KEY_BYTES : end], b"", encoded[:end], encoded[end:]
            )
        if encoded[0] == TYPE_WITH_HANDSHAKE:
            end = 1 + HANDSHAKE_BYTES
            device_key_at = _IDENTITY_AT + PUBLIC_KEY_BYTES
            return cls(
                encoded[_IDENTITY_AT:device_key_at],
                device_id(encoded[device_key_at : device_key_at + PUBLIC_KEY_BYTES]),
                encoded[1:end],
                encoded[:end],
                encoded[end:],
            )
        raise Malformed(f"inner message type {encoded[0]} is not known here")

    @property
    def consumed_tag(self) -> bytes:
        """H("tace consumed 1" || inner message)[:8]: by which a replay is known."""
        return digest(E2eeLabel.CONSUMED, self.prefix, self.message)[:CONSUMED_TAG_BYTES]


def prefix_in_session(identity: bytes, device: bytes) -> bytes:
    return bytes([TYPE_IN_SESSION]) + identity + device


def prefix_with_handshake(handshake: bytes) -> bytes:
    return bytes([TYPE_WITH_HANDSHAKE]) + handshake


def pad(content: bytes, room: int) -> bytes:
    """``length u16 | content | zeros``: ``room`` + 2 bytes whatever the content.

    :raises ValueError: the content does not fit.
    """
    if len(content) > room:
        raise ValueError(f"{len(content)} bytes of content do not fit into {room}")
    return len(content).to_bytes(_LENGTH_BYTES) + content + bytes(room - len(content))


def unpad(padded: bytes) -> bytes:
    """:raises Malformed: the length does not fit, or what follows the content is not zero."""
    length = int.from_bytes(padded[:_LENGTH_BYTES])
    content, rest = (
        padded[_LENGTH_BYTES : _LENGTH_BYTES + length],
        padded[_LENGTH_BYTES + length :],
    )
    if len(padded) < _LENGTH_BYTES or len(content) != length or rest.strip(b"\0"):
        raise Malformed("the padding is not what it should be")
    return content
