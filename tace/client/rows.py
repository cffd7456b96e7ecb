"""What the home keeps, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from tace.e2ee.content import File, Kind


class MessageState(StrEnum):
    """How far an outgoing message has come; an incoming one is ``RECEIVED``."""

    QUEUED = "queued"
    """In the outbox only."""
    PARTIAL = "partial"
    """On fewer disks than a majority of its replicas; still in the outbox."""
    STORED = "stored"
    """On a majority of its replicas' disks; still in the outbox."""
    DELIVERED = "delivered"
    """The recipient's device has it."""
    FAILED = "failed"
    """It expired before anybody confirmed it."""
    RECEIVED = "received"

    @property
    def reached(self) -> int:
        """How far it has come, of what is on its way or has failed."""
        return _REACHED.get(self, 0)

    def leads_to(self, later: MessageState) -> bool:
        """May a message in this state be said to be in that one? What was stored is not unsaid when
        it is offered or encrypted once more; it may fail as long as it was not delivered."""
        if self in (MessageState.DELIVERED, MessageState.RECEIVED):
            return False
        return later is MessageState.FAILED or self.reached <= later.reached


_REACHED = {MessageState.PARTIAL: 1, MessageState.STORED: 2, MessageState.DELIVERED: 3}


class Introduction(IntEnum):
    """Does a device know our name and our contacts mailbox?"""

    NOT_SENT = 0
    SENT = 1
    """They ride on everything until it confirms something."""
    CONFIRMED = 2


class Standing(StrEnum):
    """How far somebody was let in."""

    CONTACT = "contact"
    """Added, written to, or accepted."""
    REQUEST = "request"
    """A stranger who wrote: to be accepted or blocked. Bounded (:mod:`tace.client.strangers`)."""
    BLOCKED = "blocked"
    """What they say is dropped, and nothing is sent to them."""


class Listing(StrEnum):
    """Is a device on its owner's list of devices?"""

    KNOWN = "known"
    UNCHECKED = "unchecked"
    """It is new here; nothing of it is shown before the list was looked up."""
    UNLISTED = "unlisted"
    """It is not: one that its owner replaced, or that somebody took from them."""


class ParcelState(StrEnum):
    WAITING = "waiting"
    STORED = "stored"
    ACKED = "acked"
    """A node proved that the device let go of it; kept in case it could not be read."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A person: somebody written to, or who wrote.

    :ivar name: what they call themselves; never trusted.
    :ivar alias: what this user calls them; goes before their own name.
    :ivar verified: this user has compared the safety number with them.
    :ivar device_list: their record of kind 1 as it was found last, or None.
    :ivar looked_up_seconds: when it was last asked for.
    """

    identity: bytes
    name: str = ""
    device_list: bytes | None = None
    looked_up_seconds: float = 0.0
    next_counter: int = 1
    alias: str = ""
    standing: Standing = Standing.CONTACT
    verified: bool = False

    @property
    def called(self) -> str:
        """The user's name for them, else their own; empty where nobody said."""
        return self.alias or self.name


@dataclass(frozen=True, slots=True)
class PeerDevice:
    """One device of a person: where to write to and what is shared with it.

    :ivar record: its record of kind 2, or None where it only wrote to us so far.
    :ivar inbox_key: what envelopes to it are sealed to, from its record or its handshake.
    :ivar contacts_mailbox: where it wants our messages, once it said so.
    :ivar introduction: whether it knows our contacts mailbox (and our name).
    :ivar next_shown: the counter after the last one shown of what it sent, None before the first.
    :ivar reset_seconds: when a new session was last asked of it.
    :ivar listing: whether its owner's list names it.
    :ivar pair: the sessions with it (:class:`tace.e2ee.session.Pair`), as bytes.
    """

    identity: bytes
    device: bytes
    record: bytes | None = None
    inbox_key: bytes | None = None
    contacts_mailbox: bytes | None = None
    introduction: Introduction = Introduction.NOT_SENT
    next_shown: int | None = None
    reset_seconds: float = 0.0
    pair: bytes | None = field(default=None, repr=False)
    listing: Listing = Listing.KNOWN


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One thing said in a conversation.

    :ivar text: of a text; the new text of an edit; the emoji of a reaction; the name of a file.
    :ivar kind: text, reaction, edit, delete or file (:class:`tace.e2ee.content.Kind`).
    :ivar target: the id of what a reaction, an edit or a delete is about.
    :ivar file: where a file's chunks are and what opens them.
    """

    seq: int
    peer: bytes
    id: bytes
    outgoing: bool
    state: MessageState
    copies: int
    replicas: int
    sender_device: bytes
    counter: int
    sent_ms: int
    received_ms: int
    text: str = field(repr=False)
    kind: int = Kind.TEXT
    target: bytes | None = None
    file: File | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A content that the recipient has not confirmed.

    :ivar device: for this device only, or None for every one they have.
    :ivar message: the id of the message of the history that it carries (a part of), or None.
    """

    seq: int
    id: bytes
    peer: bytes
    device: bytes | None
    message: bytes | None
    content: bytes = field(repr=False)
    expires_hours: int
    addressed: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """One encrypted copy of an outgoing content, for one device.

    :ivar stamped: it is for a mailbox that takes only stamped messages.
    :ivar introduces: our name and contacts mailbox rode with it.
    :ivar copies: on how many of its ``replicas`` disks a node said it is.
    :ivar attempts: how often it was offered in this state.
    :ivar next_seconds: when it is to be offered next.
    :ivar asked: the node that a stored one was offered to last.
    """

    seq: int
    outgoing: int
    device: bytes
    envelope_id: bytes
    envelope: bytes = field(repr=False)
    stamped: bool
    state: ParcelState
    copies: int
    replicas: int
    attempts: int
    next_seconds: float
    introduces: bool = False
    asked: bytes | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An envelope that unsealed and could not be decrypted."""

    envelope: bytes = field(repr=False)
    peer: bytes
    device: bytes
    kept_seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of one person is kept and was not shown.

    :ivar contents: those that were not receipted.
    :ivar bytes: of the messages and of parts whose others are missing.
    """

    messages: int
    contents: int
    bytes: int
