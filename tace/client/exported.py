"""What an export file holds (docs/protocol/e2ee.md, section 14): a MessagePack map of maps.

The names and the shapes are those of the web client, which takes rows as they are: what it needs
of a row is written, also where it means nothing here. A reader ignores what it does not know.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tace.e2ee.content import MAX_BODY_BYTES, MAX_FILE_CHUNKS
from tace.e2ee.export import BadExport
from tace.identity.keys import PUBLIC_KEY_BYTES, parse_public_key
from tace.wire.message import Bytes32

MAX_PEOPLE = 100_000
MAX_MESSAGES = 2_000_000
MAX_NODES = 100_000
MAX_COUNTER = ((1 << 53) - 1) // 2
"""What an import adds to it must have room below 2^53."""
PLACE_STEP = 1 << 20
"""Between two messages: room for late ones."""

Name = Annotated[str, Meta(max_length=255)]
Milliseconds = int | float
MessageText = Annotated[str, Meta(max_length=MAX_BODY_BYTES)]
HexId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
IdentityText = Annotated[str, Meta(pattern="^[0-9A-Za-z_-]{44}$")]


class Mark(Struct, rename="camel"):
    """A reaction: the emoji, empty where it was taken back."""

    emoji: Annotated[str, Meta(max_length=32)]
    counter: Annotated[int, Meta(ge=0)]


class FileRow(Struct, rename="camel"):
    """Where a file's chunks are. Its bytes are in no export."""

    name: Name
    type: Name
    bytes: Annotated[int, Meta(ge=0)]
    key: Bytes32
    expires_hours: Annotated[int, Meta(ge=0)]
    hashes: Annotated[list[Bytes32], Meta(min_length=1, max_length=MAX_FILE_CHUNKS)]
    state: str = "remote"
    progress: float = 0


class Delivery(Struct, rename="camel"):
    """What the web client keeps of a message of ours on its way."""

    copies: int = 0
    of: int = 0
    node: str | None = None
    stored_ms: Milliseconds | None = None
    delivered_ms: Milliseconds | None = None
    read_ms: Milliseconds | None = None
    refusal: str | None = None
    parts: int = 1
    expires_ms: Milliseconds = 0


class MessageRow(Struct, rename="camel", kw_only=True):
    """One line of a conversation, as it reads now.

    :ivar id: unique in the file; the content's, but where two people gave theirs the same one.
    :ivar chat: the other person. ``mine``: 1 or 0.
    :ivar place: grows in each conversation.
    :ivar unread: 1 where it was received and never shown.
    :ivar edit_counter: of the edit that made the text; 0 when there was none.
    """

    id: HexId
    chat: IdentityText
    content_id: HexId
    mine: Literal[0, 1]
    place: int | float
    kind: str
    text: MessageText
    sent_ms: Milliseconds
    saved_ms: Milliseconds
    state: str
    unread: Literal[1] | UnsetType = UNSET
    device: Annotated[str, Meta(max_length=64)] = ""
    counter: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0
    edit_counter: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0
    reply_to: HexId | None = None
    part_ids: list[str] = []
    my_reaction: Mark | None = None
    their_reaction: Mark | None = None
    file: FileRow | None = None
    delivery: Delivery | None = None


class Last(Struct, rename="camel"):
    """What a list shows of the newest message."""

    mine: bool
    kind: str
    text: str
    sent_ms: Milliseconds
    state: str


class Person(Struct, rename="camel", kw_only=True):
    """Somebody, and what is kept of the conversation with them."""

    identity: IdentityText
    standing: Literal["contact", "request", "blocked"]
    next_counter: Annotated[int, Meta(ge=1, le=MAX_COUNTER)]
    last_place: int | float
    name: Name = ""
    alias: Name = ""
    verified: bool = False
    device_list: bytes | None = None
    looked_up_ms: Milliseconds = 0
    new_device_since_ms: Milliseconds | None = None
    unlisted_device: bool = False
    muted: bool = False
    pinned: bool = False
    archived: bool = False
    retention_days: float | str | None = "global"
    draft: str = ""
    unread: int = 0
    first_unread: str | None = None
    last: Last | None = None
    active_ms: Milliseconds = 0


class Node(Struct, rename="camel"):
    """A node to talk to."""

    origin: Annotated[str, Meta(max_length=200)]
    node_id: str | None = None
    source: str = "added"
    software: str = ""
    round_trip_ms: float | None = None
    last_seen_ms: float | None = None
    last_failure: str | None = None
    last_failure_ms: float | None = None


class Settings(Struct, rename="camel", omit_defaults=True):
    """Each client's own; this one keeps what it does with strangers."""

    strangers: str = ""


class Exported(Struct, rename="camel", kw_only=True):
    """All of it."""

    version: Literal[1]
    made_ms: Milliseconds
    identity: IdentityText
    name: Name
    settings: Settings
    people: Annotated[list[Person], Meta(max_length=MAX_PEOPLE)]
    messages: Annotated[list[MessageRow], Meta(max_length=MAX_MESSAGES)]
    nodes: Annotated[list[Node], Meta(max_length=MAX_NODES)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Exported)


def encode_exported(exported: Exported) -> bytes:
    """The content of an export file."""
    return _encoder.encode(exported)


def decode_exported(content: bytes) -> Exported:
    """:raises BadExport: of another version, or not what an export holds."""
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        # The decoder names fields and types, never values.
        raise BadExport(f"the file holds no export of this version: {error}") from None


def identity_bytes(text: str) -> bytes:
    """:raises BadExport: that is no public key."""
    try:
        found = urlsafe_b64decode(text)
        parse_public_key(found)
    except (Error, ValueError):
        raise BadExport("a person of the file has no valid key") from None
    if len(found) != PUBLIC_KEY_BYTES:
        raise BadExport("a person of the file has no valid key")
    return found
