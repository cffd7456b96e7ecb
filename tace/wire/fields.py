"""Values that several messages carry. Each is a MessagePack array in field order."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from tace.wire.message import Bytes32, PublicKey, Signature, UInt8, UInt32, UInt63, Word
from tace.wire.objects import (
    CHUNK_BYTES,
    ENVELOPE_BYTES,
    SECRET_BYTES,
    STORED_BLOB_BYTES,
    TOMBSTONE_BYTES,
)

MAX_ENVELOPES = 16
"""Envelopes in one message."""
MAX_TOMBSTONES = 64
"""Tombstones in one message."""
MAX_REDIRECT_RECORDS = 8
"""Node records in one answer that points elsewhere."""
MAX_LISTED = 512
"""Items in one page of a listing."""

EnvelopeBytes = Annotated[bytes, msgspec.Meta(min_length=ENVELOPE_BYTES, max_length=ENVELOPE_BYTES)]
TombstoneBytes = Annotated[
    bytes, msgspec.Meta(min_length=TOMBSTONE_BYTES, max_length=TOMBSTONE_BYTES)
]
ChunkBytes = Annotated[bytes, msgspec.Meta(min_length=CHUNK_BYTES, max_length=CHUNK_BYTES)]
StoredBlobBytes = Annotated[
    bytes, msgspec.Meta(min_length=STORED_BLOB_BYTES, max_length=STORED_BLOB_BYTES)
]
RemovalBytes = Annotated[bytes, msgspec.Meta(min_length=99, max_length=2403)]
NodeRecordBytes = Annotated[bytes, msgspec.Meta(min_length=65, max_length=1024)]
UserRecordBytes = Annotated[bytes, msgspec.Meta(min_length=145, max_length=8192)]
RedirectRecords = Annotated[
    tuple[NodeRecordBytes, ...], msgspec.Meta(max_length=MAX_REDIRECT_RECORDS)
]
Envelopes = Annotated[tuple[EnvelopeBytes, ...], msgspec.Meta(max_length=MAX_ENVELOPES)]


class PlaceField(NamedTuple):
    """A pointer of the ring: node id and position number. The position itself is computed."""

    node: Bytes32
    number: Annotated[int, msgspec.Meta(ge=0, le=7)]


class MemberField(NamedTuple):
    """Which record of a node somebody holds."""

    node: Bytes32
    boot: UInt63
    sequence: UInt63


class LeaseField(NamedTuple):
    """A :class:`~tace.identity.mailbox_proof.Lease`, field by field."""

    mailbox_key: PublicKey
    kind: UInt8
    origin: Annotated[str, msgspec.Meta(max_length=200)]
    challenge: Bytes32
    expires_seconds: UInt63
    signature: Signature


class TombstoneField(NamedTuple):
    mailbox: Bytes32
    tombstone: TombstoneBytes


class PutResult(NamedTuple):
    """What became of one object: ``stored``, ``duplicate``, ``acked``, or a refusal's word.

    ``secret`` (16 bytes) comes with ``acked``: the proof that the recipient opened the message.
    """

    code: Word
    secret: Annotated[bytes, msgspec.Meta(max_length=SECRET_BYTES)] = b""


class WaitingItem(NamedTuple):
    """A message that waits in a mailbox."""

    id: Bytes32
    expires_hours: UInt32


class BlobName(NamedTuple):
    """A blob that a replica holds, without its bytes."""

    hash: Bytes32
    expires_hours: UInt32
