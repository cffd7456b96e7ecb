"""The sessions of one pair of devices, after Signal's Sesame: which one sends, which one opens.

A :class:`Pair` is an immutable value: :func:`start`, :func:`send` and :func:`receive` return the
next one, which must be on disk before bytes leave or plaintext is shown. Which session sends:

=================================== ============================================================
event                               effect
=================================== ============================================================
own start                           the new session sends; if fresh, all others only receive
a message opens in a session        that session sends from now on, and its handshake stops
                                    riding; one that only receives stays so
a message opens a new session       the new session sends; if fresh, all others only receive
... while an own start that wins    both started at once: the own one goes on sending, the new
is unanswered                       one comes second; a fresh start wins over another, else the
                                    lower id
more than three sessions            the last one ends; its id is remembered
=================================== ============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

import msgspec

from tace.e2ee.agreement import RandomBytes
from tace.e2ee.inner import (
    CONSUMED_TAG_BYTES,
    ROOM_IN_SESSION,
    ROOM_WITH_HANDSHAKE,
    Inner,
    pad,
    prefix_in_session,
    prefix_with_handshake,
    unpad,
)
from tace.e2ee.pqxdh import (
    FRESH,
    HANDSHAKE_BYTES,
    SESSION_ID_BYTES,
    Encapsulate,
    Handshake,
    OwnDevice,
    encapsulate,
    initiate,
    respond,
    session_id,
)
from tace.e2ee.prekeys import Prekey
from tace.e2ee.ratchet import (
    KeyGone,
    NoHeaderKey,
    Ratchet,
    RatchetError,
    Tampered,
    TooFarAhead,
    decrypt,
    encrypt,
    start_as_initiator,
    start_as_responder,
)
from tace.e2ee.records import DeviceRecord
from tace.errors import Expired, Malformed, TaceError
from tace.wire.message import Bytes16, Bytes32, PublicKey, UInt32
from tace.wire.objects import SECONDS_PER_HOUR

MAX_SESSIONS = 3
MAX_ENDED = 64
CONSUMED_WINDOW = 512
"""How many opened messages of a pair are remembered, to tell a replay from what cannot be read."""
REQUEST_INTERVAL_SECONDS = 3600
"""A client asks one device for a new session at most this often."""
STATE_VERSION = 1


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One session. Secret throughout.

    :ivar transcript: the associated data of all its messages.
    :ivar handshake: rides on every message until the first answer; then, and at the responder's,
        empty.
    :ivar unanswered_until_hours: when an own start that nobody answered has to be made again,
        because the prekeys it used will be forgotten.
    :ivar only_receives: a fresh session has taken its place.
    """

    id: Bytes16
    transcript: Bytes32
    handshake: Annotated[bytes, msgspec.Meta(max_length=HANDSHAKE_BYTES)]
    unanswered_until_hours: UInt32
    only_receives: bool
    ratchet: Ratchet

    @property
    def fresh_start(self) -> bool:
        """Is it an own start, unanswered, with the flag fresh?"""
        return bool(self.handshake) and bool(self.handshake[0] & FRESH)

    def __repr__(self) -> str:
        return f"<Session {self.id.hex()[:8]}>"


class Pair(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All sessions between this device and one other. Secret throughout.

    :ivar sessions: at most 3; the first one sends.
    :ivar ended: ids of sessions that are no more, 16 bytes each, oldest first, at most 64: their
        handshakes start nothing again.
    :ivar consumed: tags of the messages opened last, 8 bytes each, oldest first, at most 512.
    """

    version: Annotated[int, msgspec.Meta(ge=STATE_VERSION, le=STATE_VERSION)]
    identity: PublicKey
    device: Bytes32
    sessions: Annotated[tuple[Session, ...], msgspec.Meta(max_length=MAX_SESSIONS)] = ()
    ended: Annotated[bytes, msgspec.Meta(max_length=MAX_ENDED * SESSION_ID_BYTES)] = b""
    consumed: Annotated[bytes, msgspec.Meta(max_length=CONSUMED_WINDOW * CONSUMED_TAG_BYTES)] = b""

    @classmethod
    def with_device(cls, identity: bytes, device: bytes) -> Pair:
        """No session yet with that device (id 32) of that identity (33)."""
        return cls(STATE_VERSION, identity, device)

    def to_bytes(self) -> bytes:
        """For the device's own disk."""
        return _encoder.encode(self)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Pair:
        """:raises Malformed: not what :meth:`to_bytes` wrote."""
        try:
            return _decoder.decode(stored)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Malformed("not a stored pair of devices") from None

    @property
    def active(self) -> Session | None:
        """The session that sends."""
        if self.sessions and not self.sessions[0].only_receives:
            return self.sessions[0]
        return None

    @property
    def room(self) -> int:
        """How many bytes of content the next message holds."""
        active = self.active
        return ROOM_IN_SESSION if active and not active.handshake else ROOM_WITH_HANDSHAKE

    def needs_start(self, now: float) -> bool:
        """Is there nothing to send on: no session, or a start that waited too long?"""
        active = self.active
        return active is None or (
            bool(active.handshake) and active.unanswered_until_hours * SECONDS_PER_HOUR <= now
        )

    def __repr__(self) -> str:
        return f"<Pair with {self.device.hex()[:8]}, {len(self.sessions)} sessions>"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Pair)


class NoSession(TaceError):
    """There is no session to send on: fetch the device's record and start one."""

    code = "no-session"


class Reason(Enum):
    """Why a message could not be read."""

    NO_SESSION = "no session opens it"
    ENDED = "its session has ended"
    KEY_GONE = "its key was used or evicted"
    TOO_FAR_AHEAD = "too many are missing before it"
    TAMPERED = "it does not verify"
    BAD_HANDSHAKE = "its handshake does not hold"
    UNKNOWN_PREKEY = "it names a prekey that is no more"
    BAD_PADDING = "its padding is not what it should be"


@dataclass(frozen=True, slots=True)
class Opened:
    """It opened: sent by that device of that identity, and by no one else.

    :ivar pair: the next state.
    :ivar session: id of the session that opened it.
    :ivar started: the peer started this session with it.
    :ivar fresh: ... because it could not read what there was before: send again what it has not
        receipted.
    """

    pair: Pair
    content: bytes = field(repr=False)
    session: bytes
    started: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Duplicate:
    """It was opened before. Ack it and say nothing."""


@dataclass(frozen=True, slots=True)
class Undecryptable:
    """It cannot be read, and no state has changed. Keep it a day, and ask for a new session."""

    reason: Reason


Outcome = Opened | Duplicate | Undecryptable

_REASONS: dict[type[RatchetError], Reason] = {
    NoHeaderKey: Reason.NO_SESSION,
    KeyGone: Reason.KEY_GONE,
    TooFarAhead: Reason.TOO_FAR_AHEAD,
    Tampered: Reason.TAMPERED,
}


def start(
    pair: Pair,
    own: OwnDevice,
    peer: DeviceRecord,
    random_bytes: RandomBytes,
    *,
    now: float,
    fresh: bool = False,
    encapsulate: Encapsulate = encapsulate,
) -> Pair:
    """Start a session; the handshake rides on what is sent until the first answer.

    :param fresh: earlier sessions cannot be read here; both sides stop sending on them.
    :raises Expired: the record, or the own certificate, is over.
    :raises ValueError: the record is not that of the pair's device.
    """
    if (peer.identity, peer.device) != (pair.identity, pair.device):
        raise ValueError("the record belongs to another device")
    if peer.device == own.id:
        raise ValueError("a device has no session with itself")
    handshake, keys = initiate(
        own, peer, random_bytes, now=now, fresh=fresh, encapsulate=encapsulate
    )
    session = Session(
        id=session_id(handshake.encoded),
        transcript=keys.transcript,
        handshake=handshake.encoded,
        unanswered_until_hours=min(peer.record.expires_hours, own.certificate.expires_hours),
        only_receives=False,
        ratchet=start_as_initiator(keys, peer.prekey, random_bytes),
    )
    return _with_sessions(pair, _in_front(session, pair.sessions, fresh=fresh))


def send(
    pair: Pair, own: OwnDevice, content: bytes, random_bytes: RandomBytes
) -> tuple[Pair, bytes]:
    """The next state, and an inner message of 3,455 bytes to be sealed.

    :raises NoSession: :meth:`Pair.needs_start` was not asked.
    :raises ValueError: more content than :attr:`Pair.room`.
    """
    session = pair.active
    if session is None:
        raise NoSession("there is no session to send on")
    if session.handshake:
        prefix = prefix_with_handshake(session.handshake)
    else:
        prefix = prefix_in_session(own.identity, own.id)
    ratchet, message = encrypt(
        session.ratchet, pad(content, pair.room), session.transcript + prefix, random_bytes
    )
    session = msgspec.structs.replace(session, ratchet=ratchet)
    return _with_sessions(pair, (session, *pair.sessions[1:])), prefix + message


def receive(
    pair: Pair,
    own: OwnDevice,
    prekeys: Mapping[int, Prekey],
    inner: Inner,
    random_bytes: RandomBytes,
    *,
    now: float,
) -> Outcome:
    """Open an inner message that claims to come from the pair's device.

    :param prekeys: the own prekeys whose private halves still exist, by id.
    :raises ValueError: it claims to come from another device: the caller took another pair.
    """
    if (inner.identity, inner.device) != (pair.identity, pair.device):
        raise ValueError("the message claims to come from another device")
    if inner.device == own.id:
        # Anyone can claim so; there is no session with oneself.
        return Undecryptable(Reason.NO_SESSION)
    if _holds(pair.consumed, inner.consumed_tag, CONSUMED_TAG_BYTES):
        return Duplicate()
    if not inner.handshake:
        for session in pair.sessions:
            found = _open(session, inner, random_bytes)
            if isinstance(found, tuple):
                return _opened(pair, session, found, inner)
            if found is not Reason.NO_SESSION:
                return Undecryptable(found)
        return Undecryptable(Reason.NO_SESSION)
    named = session_id(inner.handshake)
    for session in pair.sessions:
        if session.id == named:
            found = _open(session, inner, random_bytes)
            if isinstance(found, tuple):
                return _opened(pair, session, found, inner)
            return Undecryptable(found)
    if _holds(pair.ended, named, SESSION_ID_BYTES):
        return Undecryptable(Reason.ENDED)
    return _accept(pair, own, prekeys, inner, random_bytes, now)


def _accept(
    pair: Pair,
    own: OwnDevice,
    prekeys: Mapping[int, Prekey],
    inner: Inner,
    random_bytes: RandomBytes,
    now: float,
) -> Outcome:
    """The first message of a session that the peer has started."""
    try:
        handshake = Handshake.parse(inner.handshake)
        prekey = prekeys.get(handshake.prekey_id)
        if prekey is None:
            return Undecryptable(Reason.UNKNOWN_PREKEY)
        keys = respond(handshake, own, prekey, now=now)
    except (Malformed, Expired):
        return Undecryptable(Reason.BAD_HANDSHAKE)
    session = Session(
        id=session_id(inner.handshake),
        transcript=keys.transcript,
        handshake=b"",
        unanswered_until_hours=0,
        only_receives=False,
        ratchet=start_as_responder(keys, prekey.agreement),
    )
    found = _open(session, inner, random_bytes)
    if not isinstance(found, tuple):
        return Undecryptable(Reason.TAMPERED if found is Reason.NO_SESSION else found)
    ratchet, content = found
    session = msgspec.structs.replace(session, ratchet=ratchet)
    active = pair.active
    if (
        active is not None
        and active.handshake
        and (not active.fresh_start, active.id) < (not handshake.fresh, session.id)
    ):
        sessions = (active, session, *pair.sessions[1:])
    else:
        sessions = _in_front(session, pair.sessions, fresh=handshake.fresh)
    pair = _consumed(_with_sessions(pair, sessions), inner)
    return Opened(pair, content, session.id, started=True, fresh=handshake.fresh)


def _open(
    session: Session, inner: Inner, random_bytes: RandomBytes
) -> tuple[Ratchet, bytes] | Reason:
    try:
        ratchet, padded = decrypt(
            session.ratchet, inner.message, session.transcript + inner.prefix, random_bytes
        )
        return ratchet, unpad(padded)
    except RatchetError as error:
        return _REASONS[type(error)]
    except Malformed:
        return Reason.BAD_PADDING


def _opened(pair: Pair, session: Session, found: tuple[Ratchet, bytes], inner: Inner) -> Opened:
    ratchet, content = found
    heard = msgspec.structs.replace(
        session, ratchet=ratchet, handshake=b"", unanswered_until_hours=0
    )
    if session.only_receives:
        sessions = tuple(heard if each.id == heard.id else each for each in pair.sessions)
    else:
        others = tuple(each for each in pair.sessions if each.id != heard.id)
        sessions = (heard, *others)
    return Opened(_consumed(_with_sessions(pair, sessions), inner), content, heard.id)


def _in_front(session: Session, others: tuple[Session, ...], *, fresh: bool) -> tuple[Session, ...]:
    if fresh:
        others = tuple(msgspec.structs.replace(each, only_receives=True) for each in others)
    return (session, *others)


def _with_sessions(pair: Pair, sessions: tuple[Session, ...]) -> Pair:
    ended = pair.ended + b"".join(session.id for session in sessions[MAX_SESSIONS:])
    return msgspec.structs.replace(
        pair, sessions=sessions[:MAX_SESSIONS], ended=ended[-MAX_ENDED * SESSION_ID_BYTES :]
    )


def _consumed(pair: Pair, inner: Inner) -> Pair:
    tags = pair.consumed + inner.consumed_tag
    return msgspec.structs.replace(pair, consumed=tags[-CONSUMED_WINDOW * CONSUMED_TAG_BYTES :])


def _holds(entries: bytes, entry: bytes, size: int) -> bool:
    """Is ``entry`` one of the entries of ``size`` bytes each that stand in a row?"""
    at = entries.find(entry)
    while at >= 0:
        if at % size == 0:
            return True
        at = entries.find(entry, at + 1)
    return False
