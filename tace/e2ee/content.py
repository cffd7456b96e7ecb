"""What people and their clients say to each other: the contents inside a ratchet message.

The plaintext is a MessagePack array of 1 to 8 contents, each
``[kind u8, id 16, counter, sent_ms, reply_to, body]``; the body is an array laid out by the kind.
Unknown trailing fields are ignored, here and in bodies. Several contents in one message save
envelopes: a first text travels with the profile and the contacts mailbox, receipts with an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec

from tace.errors import Malformed
from tace.ids import KIND_CONTACTS
from tace.wire.message import Bytes16, Bytes32, UInt8, UInt32

MAX_CONTENTS = 8
MAX_BODY_BYTES = 64 * 1024
"""The longest body, in parts; also the longest text."""
MAX_PARTS = 64
MAX_RECEIPTS = 100
MAX_UNREAD = 32
MAX_EMOJI_BYTES = 32
MAX_FILE_CHUNKS = 1024
PIECE_BYTES = 63_472
"""What one chunk of a file holds (:mod:`tace.e2ee.file`)."""
DELIVERED = 1
READ = 2

SafeInt = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
"""A whole number that JavaScript holds exactly."""


class Kind:
    """The numbers of kinds: only ever appended. Those without a body here are reserved."""

    TEXT = 1
    PART = 2
    RECEIPT = 3
    SESSION_REQUEST = 4
    PROFILE = 5
    CONTACTS_MAILBOX = 6
    REACTION = 7
    EDIT = 8
    DELETE = 9
    FILE = 10
    TIMER = 11
    DUMMY = 12
    OWN_COPY = 13


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    KIND: ClassVar[int]

    def __repr__(self) -> str:
        # What people say never ends up in a log.
        return f"<{type(self).__name__}>"


class Text(_Body, frozen=True, array_like=True, gc=False):
    """``[text]``: plain text, shown as such."""

    KIND = Kind.TEXT
    text: Annotated[str, msgspec.Meta(max_length=MAX_BODY_BYTES)]


class Part(_Body, frozen=True, array_like=True, gc=False):
    """``[whole 16, kind, index, count, piece]``: one piece of a body that fits no message.

    :ivar whole: what its parts have in common, drawn at random.
    :ivar kind: the kind of the body that the pieces make when laid end to end.
    """

    KIND = Kind.PART
    whole: Bytes16
    kind: UInt8
    index: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTS)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
    piece: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_BODY_BYTES)]


class Receipt(_Body, frozen=True, array_like=True, gc=False):
    """``[state, [id 16, ...]]``: 1 delivered, 2 read; 1 to 100 content ids. Never receipted."""

    KIND = Kind.RECEIPT
    state: UInt8
    ids: Annotated[tuple[Bytes16, ...], msgspec.Meta(min_length=1, max_length=MAX_RECEIPTS)]


class SessionRequest(_Body, frozen=True, array_like=True, gc=False):
    """``[[envelope id 32, ...]]``: those could not be read; send again what was in them.

    Travels in the fresh session that asks for nothing but to be used; at most 32 ids.
    """

    KIND = Kind.SESSION_REQUEST
    unread: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=MAX_UNREAD)]


class Profile(_Body, frozen=True, array_like=True, gc=False):
    """``[name]``: what the sender wants to be called; at most 64 characters."""

    KIND = Kind.PROFILE
    name: Annotated[str, msgspec.Meta(max_length=64)]


class ContactsMailbox(_Body, frozen=True, array_like=True, gc=False):
    """``[mailbox 32]``: where this device takes messages from the recipient from now on."""

    KIND = Kind.CONTACTS_MAILBOX
    mailbox: Bytes32


class Reaction(_Body, frozen=True, array_like=True, gc=False):
    """``[target 16, emoji]``: what one feels about a content; "" takes it away; 32 bytes."""

    KIND = Kind.REACTION
    target: Bytes16
    emoji: Annotated[str, msgspec.Meta(max_length=MAX_EMOJI_BYTES)]


class Edit(_Body, frozen=True, array_like=True, gc=False):
    """``[target 16, text]``: another text in the place of one's own."""

    KIND = Kind.EDIT
    target: Bytes16
    text: Annotated[str, msgspec.Meta(max_length=MAX_BODY_BYTES)]


class Delete(_Body, frozen=True, array_like=True, gc=False):
    """``[target 16]``: one's own content is taken back."""

    KIND = Kind.DELETE
    target: Bytes16


class File(_Body, frozen=True, array_like=True, gc=False):
    """``[name, type, size, key 32, expires u32, [hash 32, ...]]``: sealed chunks at the nodes.

    :ivar name: as the sender calls it, at most 255 characters; never a path to write to.
    :ivar type: the media type as the sender declares it, at most 127 characters.
    :ivar size: in bytes; it fits the number of chunks.
    :ivar key: seals this file alone (:mod:`tace.e2ee.file`).
    :ivar expires_hours: hours since 1970 until which the nodes keep the chunks.
    :ivar hashes: SHA-256 of each sealed chunk, 1 to 1,024.
    """

    KIND = Kind.FILE
    name: Annotated[str, msgspec.Meta(max_length=255)]
    type: Annotated[str, msgspec.Meta(max_length=127)]
    size: SafeInt
    key: Bytes32
    expires_hours: UInt32
    hashes: Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=MAX_FILE_CHUNKS)]


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """A kind this version does not know, from a newer one. Shown as such, acked, receipted."""

    kind: int
    encoded: bytes

    def __repr__(self) -> str:
        return f"<Unknown kind {self.kind}>"


Body = (
    Text
    | Part
    | Receipt
    | SessionRequest
    | Profile
    | ContactsMailbox
    | Reaction
    | Edit
    | Delete
    | File
    | Unknown
)

_BODIES: tuple[type[_Body], ...] = (
    Text,
    Part,
    Receipt,
    SessionRequest,
    Profile,
    ContactsMailbox,
    Reaction,
    Edit,
    Delete,
    File,
)


class _Encoded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    kind: UInt8
    id: Bytes16
    counter: SafeInt
    sent_ms: SafeInt
    reply_to: Bytes16 | None
    body: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(
    Annotated[list[_Encoded], msgspec.Meta(min_length=1, max_length=MAX_CONTENTS)]
)
_body_decoders: dict[int, msgspec.msgpack.Decoder[Body]] = {
    cls.KIND: msgspec.msgpack.Decoder(cls) for cls in _BODIES
}
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


@dataclass(frozen=True, slots=True)
class Content:
    """One thing said.

    :ivar id: 16 random bytes, the same to every device and in every repetition.
    :ivar counter: place in the sender's side of the conversation: 1, 2, 3 ... over what all
        devices of the recipient get; 0 for what has no place (receipts, session requests ...).
    :ivar sent_ms: the sender's clock, in milliseconds since 1970; shown, never trusted.
    :ivar reply_to: the id of the content it answers.
    """

    id: bytes
    counter: int
    sent_ms: int
    body: Body
    reply_to: bytes | None = None


def kind_of(body: Body) -> int:
    return body.kind if isinstance(body, Unknown) else body.KIND


def encode_body(body: Body) -> bytes:
    """Its MessagePack array."""
    return body.encoded if isinstance(body, Unknown) else _encoder.encode(body)


def decode_body(kind: int, encoded: bytes) -> Body:
    """:raises Malformed: not what that kind declares."""
    decoder = _body_decoders.get(kind)
    if decoder is None:
        return Unknown(kind, encoded)
    try:
        body = decoder.decode(encoded)
    except _NOT_DECODED as error:
        # The decoder's text names fields and types, never values.
        raise Malformed(f"content of kind {kind}: {str(error)[:120]}") from None
    if isinstance(body, Part) and (body.index >= body.count or body.kind == Kind.PART):
        raise Malformed("a part whose place cannot be")
    if isinstance(body, ContactsMailbox) and body.mailbox[-1] != KIND_CONTACTS:
        raise Malformed("that is not a contacts mailbox")
    if isinstance(body, Reaction) and len(body.emoji.encode()) > MAX_EMOJI_BYTES:
        raise Malformed(f"a reaction has at most {MAX_EMOJI_BYTES} bytes")
    if isinstance(body, File) and chunks_of(body.size) != len(body.hashes):
        raise Malformed("a file whose size does not fit its chunks")
    return body


def chunks_of(size: int) -> int:
    """In how many chunks a file of ``size`` bytes goes."""
    return max(1, -(-size // PIECE_BYTES))


def encode_contents(contents: Sequence[Content]) -> bytes:
    """The plaintext of one message.

    :raises ValueError: none, or more than 8.
    """
    if not 0 < len(contents) <= MAX_CONTENTS:
        raise ValueError(f"a message holds 1 to {MAX_CONTENTS} contents, not {len(contents)}")
    return _encoder.encode(
        [
            _Encoded(
                kind_of(content.body),
                content.id,
                content.counter,
                content.sent_ms,
                content.reply_to,
                msgspec.Raw(encode_body(content.body)),
            )
            for content in contents
        ]
    )


def decode_contents(plaintext: bytes) -> list[Content]:
    """:raises Malformed: not an array of 1 to 8 contents, or one of them is not what it says."""
    try:
        found = _decoder.decode(plaintext)
    except _NOT_DECODED as error:
        raise Malformed(f"contents: {str(error)[:120]}") from None
    return [
        Content(
            each.id,
            each.counter,
            each.sent_ms,
            decode_body(each.kind, bytes(each.body)),
            each.reply_to,
        )
        for each in found
    ]
