"""The messages between a client and a node (docs/protocol/client.md).

``type u16 | request id u32 | body`` in one binary WebSocket message; numbers from 256, only ever
appended. Request id 0 marks what is not an answer.
"""

from __future__ import annotations

from struct import Struct
from typing import Annotated

import msgspec

from tace.errors import ProtocolError
from tace.wire.fields import (
    MAX_ENVELOPES,
    ChunkBytes,
    EnvelopeBytes,
    Envelopes,
    LeaseField,
    NodeRecordBytes,
    PutResult,
    RemovalBytes,
    TombstoneField,
    UserRecordBytes,
)
from tace.wire.message import (
    Bytes32,
    Line,
    Message,
    MessageTable,
    Request,
    UInt8,
    UInt16,
    UInt32,
    UInt63,
    Word,
    encode,
)
from tace.wire.objects import CHUNK_BYTES

SUBPROTOCOL = "tace.client.1"
MAX_CLIENT_MESSAGE_BYTES = 66 * 1024
"""Of one message between a client and a node."""
MAX_MAILBOXES = 8
"""Mailboxes that one connection may read."""
_HEAD = Struct(">HI")
HEAD_BYTES = _HEAD.size


def encode_client_message(message: Message, request_id: int) -> bytes:
    return _HEAD.pack(message.NUMBER, request_id) + encode(message)


def split_client_message(data: bytes) -> tuple[int, int, bytes]:
    """(number, request id, body).

    :raises ProtocolError: shorter than its header, or longer than a message may be.
    """
    if not HEAD_BYTES <= len(data) <= MAX_CLIENT_MESSAGE_BYTES:
        raise ProtocolError(f"a client message of {len(data)} bytes")
    number, request_id = _HEAD.unpack_from(data)
    return number, request_id, data[HEAD_BYTES:]


_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Mailboxes = Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=MAX_MAILBOXES)]

# -- opening -------------------------------------------------------------------------------------


class Challenge(Message, frozen=True, array_like=True, gc=False):
    """The node speaks first. ``names`` are the origins a lease may be signed for."""

    NUMBER = 256
    challenge: Bytes32
    clock_ms: UInt63
    network_id: Bytes32
    node_id: Bytes32
    names: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=16)]
    versions: Annotated[tuple[UInt8, ...], msgspec.Meta(max_length=8)]
    software: Word
    requests_stamp_bits: UInt8
    max_lifetime_hours: UInt32
    requests_in_flight: UInt16


class ClientRefused(Message, frozen=True, array_like=True, gc=False):
    """The answer that says no. With request id 0: why the node closes the connection."""

    NUMBER = 257
    code: Word
    detail: Line = ""
    retry_after_ms: UInt32 = 0


class ClientPong(Message, frozen=True, array_like=True, gc=False):
    NUMBER = 258
    clock_ms: UInt63


class ClientPing(Request[ClientPong], frozen=True, array_like=True, gc=False):
    NUMBER = 259
    ANSWER = ClientPong


class ClientDone(Message, frozen=True, array_like=True, gc=False):
    NUMBER = 260


# -- inbox connections ---------------------------------------------------------------------------


class OpenLease(Request[ClientDone], frozen=True, array_like=True, gc=False):
    """Makes this an inbox connection and opens, or renews, one mailbox."""

    NUMBER = 261
    ANSWER = ClientDone
    lease: LeaseField


class StartWatch(Request[ClientDone], frozen=True, array_like=True, gc=False):
    """Pushes what waits in the leased mailboxes, then :class:`CaughtUp`, then what arrives.

    At most ``window`` messages are pushed and not yet released by an ack, a removal or
    :class:`Defer`; the node lowers a larger window to its own.
    """

    NUMBER = 262
    ANSWER = ClientDone
    mailboxes: _Mailboxes
    window: UInt16 = 64


class Push(Message, frozen=True, array_like=True, gc=False):
    """A message for this mailbox. May come again; clients ack what they know already."""

    NUMBER = 263
    envelope: EnvelopeBytes


class CaughtUp(Message, frozen=True, array_like=True, gc=False):
    """Everything that waited when the watch began has been pushed.

    ``complete`` is false when fewer replicas than a read needs could be asked.
    """

    NUMBER = 264
    mailbox: Bytes32
    complete: bool = True


class AckAnswer(Message, frozen=True, array_like=True, gc=False):
    """One result for each tombstone, then for each removal: ``stored`` when a majority has it."""

    NUMBER = 265
    results: Annotated[tuple[PutResult, ...], msgspec.Meta(max_length=64)]


class Ack(Request[AckAnswer], frozen=True, array_like=True, gc=False):
    """Lets go of messages: tombstones for those that were opened, removals for junk."""

    NUMBER = 266
    ANSWER = AckAnswer
    tombstones: Annotated[tuple[TombstoneField, ...], msgspec.Meta(max_length=60)]
    removals: Annotated[tuple[RemovalBytes, ...], msgspec.Meta(max_length=4)] = ()


class Defer(Message, frozen=True, array_like=True, gc=False):
    """One-way: these stay in the mailbox and no longer count against the window.

    The next watch pushes them again.
    """

    NUMBER = 267
    ids: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=64)]


# -- outbox connections --------------------------------------------------------------------------


class SendResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one envelope.

    ``state``: ``stored`` (a majority of the replica set has it on disk), ``partial`` (fewer have:
    keep it and send again), ``acked`` (the recipient has opened it; ``secret`` proves it), or a
    refusal's word with ``retry_after_ms``.
    """

    state: Word
    copies: UInt8 = 0
    of: UInt8 = 0
    secret: Annotated[bytes, msgspec.Meta(max_length=16)] = b""
    retry_after_ms: UInt32 = 0
    detail: Line = ""


class SendAnswer(Message, frozen=True, array_like=True, gc=False):
    NUMBER = 270
    results: Annotated[tuple[SendResult, ...], msgspec.Meta(max_length=MAX_ENVELOPES)]


class Send(Request[SendAnswer], frozen=True, array_like=True, gc=False):
    """Stores envelopes; sending one again is harmless. Refused on a connection with a lease."""

    NUMBER = 271
    ANSWER = SendAnswer
    envelopes: Envelopes


class ClientRecord(Message, frozen=True, array_like=True, gc=False):
    """The record that was asked for; empty where nobody has one."""

    NUMBER = 272
    record: Annotated[bytes, msgspec.Meta(max_length=8192)]


class FindRecord(Request[ClientRecord], frozen=True, array_like=True, gc=False):
    NUMBER = 273
    ANSWER = ClientRecord
    key: Bytes32


class RecordPublished(Message, frozen=True, array_like=True, gc=False):
    NUMBER = 274
    state: Word
    copies: UInt8
    of: UInt8


class PublishRecord(Request[RecordPublished], frozen=True, array_like=True, gc=False):
    """Stores a user record."""

    NUMBER = 275
    ANSWER = RecordPublished
    record: UserRecordBytes


class BlobStored(Message, frozen=True, array_like=True, gc=False):
    """``state``: ``stored`` (a majority of the replica set has it on disk) or ``partial``."""

    NUMBER = 276
    state: Word
    copies: UInt8
    of: UInt8


class PutBlob(Request[BlobStored], frozen=True, array_like=True, gc=False):
    """Stores one encrypted chunk of a file under its hash, until ``expires_hours``.

    The stamp is over the hash (see :class:`~tace.wire.objects.Blob`).
    """

    NUMBER = 277
    ANSWER = BlobStored
    blob: ChunkBytes
    expires_hours: UInt32
    stamp_target: UInt8
    stamp_nonce: UInt63


class BlobFound(Message, frozen=True, array_like=True, gc=False):
    """The chunk that was asked for; empty where nobody has it."""

    NUMBER = 278
    blob: Annotated[bytes, msgspec.Meta(max_length=CHUNK_BYTES)]


class GetBlob(Request[BlobFound], frozen=True, array_like=True, gc=False):
    NUMBER = 279
    ANSWER = BlobFound
    hash: Bytes32


# -- what anyone may know ------------------------------------------------------------------------


class NetworkInfo(Message, frozen=True, array_like=True, gc=False):
    """Nodes to talk to: signed records (the answering node's own first), and the size it sees."""

    NUMBER = 280
    records: Annotated[tuple[NodeRecordBytes, ...], msgspec.Meta(max_length=32)]
    members: UInt32
    state: Word


class GetNetwork(Request[NetworkInfo], frozen=True, array_like=True, gc=False):
    NUMBER = 281
    ANSWER = NetworkInfo


class PositionStatus(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One position: its id, its predecessor's, its successors', nearest first."""

    id: Bytes32
    predecessor: Annotated[bytes, msgspec.Meta(max_length=32)]
    successors: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=64)]


class StatusInfo(Message, frozen=True, array_like=True, gc=False):
    """What anyone may know of this node. ``state``: joining, member, alone, leaving, draining,
    full, damaged.

    ``tried``: of a node that is alone, whom it tried to reach last, and why that failed.
    ``silent``: so many nodes went silent about the same time and are still gone, since
    ``silent_since`` (unix seconds; 0 where there are none).
    """

    NUMBER = 282
    node_id: Bytes32
    network_id: Bytes32
    version: Word
    positions: Annotated[tuple[PositionStatus, ...], msgspec.Meta(max_length=8)]
    members: UInt32
    items: UInt63
    bytes: UInt63
    state: Word
    tried: Annotated[tuple[Line, ...], msgspec.Meta(max_length=8)] = ()
    silent: UInt32 = 0
    silent_since: UInt63 = 0


class GetStatus(Request[StatusInfo], frozen=True, array_like=True, gc=False):
    NUMBER = 283
    ANSWER = StatusInfo


CLIENT_MESSAGES = MessageTable(
    (
        Challenge,
        ClientRefused,
        ClientPong,
        ClientPing,
        ClientDone,
        OpenLease,
        StartWatch,
        Push,
        CaughtUp,
        AckAnswer,
        Ack,
        Defer,
        SendAnswer,
        Send,
        ClientRecord,
        FindRecord,
        RecordPublished,
        PublishRecord,
        BlobStored,
        PutBlob,
        BlobFound,
        GetBlob,
        NetworkInfo,
        GetNetwork,
        StatusInfo,
        GetStatus,
    )
)
