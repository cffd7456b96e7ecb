"""One link as a protocol without I/O: bytes in, events out (docs/protocol/peer.md, "Session").

:class:`PeerSession` knows who may send what when, which answer belongs to which request, and how
much may be under way. It reads no clock and checks no signature: what a hello claims is checked by
whoever drives the session, between :class:`HelloArrived` and :meth:`PeerSession.accept_hello`.

Everything the other side does wrong ends in :class:`Broken`; everything this side does wrong is a
``RuntimeError`` (a mistake in this program) or one of tace's errors (a bound is reached).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import TypeAlias, cast

import msgspec

from tace.errors import (
    InternalError,
    ProtocolError,
    Redirect,
    Refusal,
    TooLarge,
    TooMany,
    UnknownMessage,
    refusal_from_wire,
)
from tace.wire.fields import MAX_REDIRECT_RECORDS
from tace.wire.framing import MAX_BODY_BYTES, Frame, FrameBuffer, encode_frame
from tace.wire.message import Message, Request, encode
from tace.wire.peer import (
    PEER_MESSAGES,
    Accused,
    Arrived,
    Changed,
    Goodbye,
    Hello,
    Records,
    Refused,
    Returned,
    Unwatch,
)

ONE_WAY_ID = 0
"""The request id of everything that is neither a request nor an answer."""
GOODBYE_IDLE = "idle"
"""Nothing is under way and the link is not worth keeping."""
GOODBYE_DUPLICATE = "duplicate"
"""There is another link between the two nodes."""
GOODBYE_DRAINING = "draining"
"""The node is about to stop."""
NEVER_BEGAN = frozenset({GOODBYE_IDLE, GOODBYE_DUPLICATE})
"""After a goodbye with one of these words, what the sender of the goodbye has not answered it has
never begun: it may be asked again over another link."""

_LAST_ID = 0xFFFF_FFFF
_MAX_CODE = 32
_MAX_DETAIL = 200
_MAX_RETRY_MS = 0xFFFF_FFFF


class State(IntEnum):
    AWAITING_HELLO = 1
    CHECKING_HELLO = 2
    """The hello is here; nothing is read before it is accepted or rejected."""
    UP = 3
    CLOSED = 4


class Kind(IntEnum):
    """What a frame is, by its number and its request id."""

    HELLO = 1
    REQUEST = 2
    ANSWER = 3
    ONE_WAY = 4
    GOODBYE = 5
    UNKNOWN_REQUEST = 6
    UNKNOWN_ONE_WAY = 7


# What is asked for every frame is looked up once: a member of an Enum costs 0.1 us on Python 3.11.
_AWAITING_HELLO, _CHECKING_HELLO, _UP = State.AWAITING_HELLO, State.CHECKING_HELLO, State.UP
_REQUEST, _ANSWER = Kind.REQUEST, Kind.ANSWER

STATES: dict[State, dict[Kind, State]] = {
    State.AWAITING_HELLO: {
        Kind.HELLO: State.CHECKING_HELLO,
        Kind.GOODBYE: State.CLOSED,
    },
    State.CHECKING_HELLO: {},
    State.UP: {
        Kind.REQUEST: State.UP,
        Kind.ANSWER: State.UP,
        Kind.ONE_WAY: State.UP,
        Kind.UNKNOWN_REQUEST: State.UP,
        Kind.UNKNOWN_ONE_WAY: State.UP,
        Kind.GOODBYE: State.CLOSED,
    },
    State.CLOSED: {},
}
"""What may arrive in which state, and the state after it. A kind that is missing breaks the
protocol, but for two states that read nothing: CHECKING_HELLO waits, CLOSED ignores.

Two more ways lead on: accepting a hello (CHECKING_HELLO to UP) and, from anywhere, an error or our
own goodbye (to CLOSED)."""

ONE_WAY: frozenset[type[Message]] = frozenset(
    {Records, Unwatch, Arrived, Accused, Returned, Changed}
)
"""What may stand alone, with request id 0. ``Records`` with an id answers ``GetRecords``."""
REQUESTS: frozenset[type[Message]] = frozenset(
    cls for cls in PEER_MESSAGES.classes.values() if issubclass(cls, Request)
)
ANSWERS: frozenset[type[Message]] = frozenset(
    cls.ANSWER for cls in REQUESTS if issubclass(cls, Request)
) | {Refused}


@lru_cache(maxsize=256)
def kind_of(number: int, alone: bool) -> Kind:
    """What a frame with this number is, standing ``alone`` (request id 0) or not.

    :raises ProtocolError: a known message with an id it cannot have.
    """
    cls = PEER_MESSAGES.classes.get(number)
    if cls is None:
        return Kind.UNKNOWN_ONE_WAY if alone else Kind.UNKNOWN_REQUEST
    if alone:
        if cls is Hello:
            return Kind.HELLO
        if cls is Goodbye:
            return Kind.GOODBYE
        if cls in ONE_WAY:
            return Kind.ONE_WAY
    elif cls in REQUESTS:
        return Kind.REQUEST
    elif cls in ANSWERS:
        return Kind.ANSWER
    raise ProtocolError(f"{cls.__name__} {'without' if alone else 'with'} a request id")


# -- events (structs, because they are the cheapest values to make) --------------------------------


class HelloArrived(msgspec.Struct, frozen=True):
    """Answer with :meth:`PeerSession.accept_hello` or :meth:`PeerSession.reject`."""

    hello: Hello


class RequestArrived(msgspec.Struct, frozen=True):
    """Answer with :meth:`PeerSession.answer` or :meth:`PeerSession.refuse`, once."""

    request_id: int
    request: Message


class AnswerArrived(msgspec.Struct, frozen=True):
    request_id: int
    answer: Message


class RefusalArrived(msgspec.Struct, frozen=True):
    request_id: int
    refusal: Refusal


class OneWayArrived(msgspec.Struct, frozen=True):
    message: Message


class GoodbyeArrived(msgspec.Struct, frozen=True):
    """The other side hangs up. Everything that was not answered never will be."""

    code: str
    detail: str


class Owed(msgspec.Struct, frozen=True):
    """Bytes the session itself has to say: a refusal nobody else need decide about."""

    data: bytes


class Broken(msgspec.Struct, frozen=True):
    """The other side broke the protocol: send ``farewell``, then hang up."""

    error: ProtocolError
    farewell: bytes


Event: TypeAlias = (
    HelloArrived
    | RequestArrived
    | AnswerArrived
    | RefusalArrived
    | OneWayArrived
    | GoodbyeArrived
    | Owed
    | Broken
)


# -- the session ---------------------------------------------------------------------------------


class PeerSession:
    """Both directions of one link.

    :param max_requests_in_flight: bounds what both sides must remember: our requests without an
        answer (more raise ``TooMany``), and theirs (more are refused with ``too-many``).
    """

    def __init__(self, *, max_requests_in_flight: int = 1024) -> None:
        self._max_in_flight = max_requests_in_flight
        self._frames = FrameBuffer()
        self._state = State.AWAITING_HELLO
        self._said_hello = False
        self._last_id = 0
        self._asked: dict[int, type[Message]] = {}
        self._asked_of_us: set[int] = set()
        self.frame_bytes = 0
        """How large the body was that the event in hand came in."""

    @property
    def state(self) -> State:
        return self._state

    @property
    def in_flight(self) -> int:
        """How many of our requests have no answer yet, whether or not anyone still waits for it."""
        return len(self._asked)

    @property
    def to_answer(self) -> int:
        """How many of their requests we have not answered yet."""
        return len(self._asked_of_us)

    # -- out

    def hello(self, hello: Hello) -> bytes:
        """Our first frame."""
        if self._said_hello or self._state is State.CLOSED:
            raise RuntimeError("a hello is said once, first")
        self._said_hello = True
        return encode_frame(Hello.NUMBER, ONE_WAY_ID, encode(hello))

    def ask(self, request: Message) -> tuple[int, bytes]:
        """(request id, frame) of a request.

        :raises TooMany: as many are in flight as may be.
        :raises TooLarge: the request does not fit a frame.
        """
        self._must_be_up()
        cls = type(request)
        if not issubclass(cls, Request):
            raise RuntimeError(f"{cls.__name__} is not a request")
        if len(self._asked) >= self._max_in_flight:
            raise TooMany("too many requests in flight on this link")
        request_id = self._next_id()
        frame = _frame(request, request_id)
        self._asked[request_id] = cls.ANSWER
        return request_id, frame

    def answer(self, request_id: int, answer: Message) -> bytes:
        """The frame of an answer; one that does not fit becomes a refusal."""
        self._must_be_up()
        self._asked_of_us.remove(request_id)
        try:
            return _frame(answer, request_id)
        except TooLarge:
            return _refusal_frame(request_id, InternalError("the answer does not fit a frame"))

    def refuse(self, request_id: int, refusal: Refusal) -> bytes:
        """The frame that says no."""
        self._must_be_up()
        self._asked_of_us.remove(request_id)
        return _refusal_frame(request_id, refusal)

    def tell(self, message: Message) -> bytes:
        """The frame of a one-way message.

        :raises TooLarge: it does not fit a frame.
        """
        self._must_be_up()
        if type(message) not in ONE_WAY:
            raise RuntimeError(f"{type(message).__name__} does not go one way")
        return _frame(message, ONE_WAY_ID)

    def goodbye(self, code: str, detail: str = "") -> bytes:
        """The last frame; nothing is read any more. Empty where all is over already."""
        if self._state is State.CLOSED:
            return b""
        self._state = State.CLOSED
        return _goodbye_frame(code, detail)

    # -- in

    def receive(self, data: bytes) -> Iterator[Event]:
        """What these bytes bring, in order. Never raises for what the other side sent.

        The next frame is read only when the next event is asked for, so that the state is always
        that of the event in hand, and a hello can be accepted before what stands behind it.
        """
        if self._state is _CHECKING_HELLO:
            raise RuntimeError("the hello is to be accepted or rejected first")
        self._frames.add(data)
        return self._read()

    def accept_hello(self) -> None:
        """The hello is good: the link is up."""
        if self._state is not State.CHECKING_HELLO:
            raise RuntimeError("there is no hello to accept")
        self._state = State.UP
        self._frames.allow(MAX_BODY_BYTES)

    def reject(self, error: ProtocolError) -> Broken:
        """The hello is not good (or something else is not): the link is over."""
        self._state = State.CLOSED
        self._asked.clear()
        return Broken(error, _goodbye_frame(error.code, error.detail))

    def _read(self) -> Iterator[Event]:
        next_frame = self._frames.next_frame
        while self._state is _UP or self._state is _AWAITING_HELLO:
            try:
                frame = next_frame()
                if frame is None:
                    return
                event = self._take(frame)
            except ProtocolError as error:
                event = self.reject(error)
            if event is not None:
                yield event

    def _take(self, frame: Frame) -> Event | None:
        number, request_id, body = frame
        self.frame_bytes = len(body)
        kind = kind_of(number, request_id == ONE_WAY_ID)
        after = STATES[self._state].get(kind)
        if after is None:
            raise ProtocolError(f"message {number} before the hello, or a second hello")
        self._state = after
        if kind is _REQUEST:
            return self._request(request_id, PEER_MESSAGES.decode(number, body))
        if kind is _ANSWER:
            return self._answer(request_id, PEER_MESSAGES.decode(number, body))
        if kind is Kind.UNKNOWN_ONE_WAY:
            return None
        if kind is Kind.UNKNOWN_REQUEST:
            return Owed(_refusal_frame(request_id, UnknownMessage(f"no message {number} here")))
        message = PEER_MESSAGES.decode(number, body)
        if kind is Kind.ONE_WAY:
            return OneWayArrived(message)
        if kind is Kind.HELLO:
            return HelloArrived(cast(Hello, message))
        goodbye = cast(Goodbye, message)
        return GoodbyeArrived(goodbye.code, goodbye.detail)

    def _request(self, request_id: int, request: Message) -> Event:
        open_requests = self._asked_of_us
        if request_id in open_requests:
            raise ProtocolError(f"request id {request_id} is in use")
        if len(open_requests) >= self._max_in_flight:
            return Owed(_refusal_frame(request_id, TooMany("too many requests in flight")))
        open_requests.add(request_id)
        return RequestArrived(request_id, request)

    def _answer(self, request_id: int, answer: Message) -> Event:
        expected = self._asked.pop(request_id, None)
        if expected is None:
            raise ProtocolError(f"an answer to request {request_id}, which was not asked")
        if type(answer) is expected:
            return AnswerArrived(request_id, answer)
        if isinstance(answer, Refused):
            return RefusalArrived(request_id, _refusal(answer))
        raise ProtocolError(f"{type(answer).__name__} is no answer to that request")

    def _must_be_up(self) -> None:
        if self._state is not _UP or not self._said_hello:
            raise RuntimeError("the session is not up")

    def _next_id(self) -> int:
        request_id = self._last_id
        while True:
            request_id = request_id + 1 if request_id < _LAST_ID else 1
            if request_id not in self._asked:
                self._last_id = request_id
                return request_id


def _frame(message: Message, request_id: int) -> bytes:
    body = encode(message)
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"{type(message).__name__} of {len(body)} bytes")
    return encode_frame(message.NUMBER, request_id, body)


def _goodbye_frame(code: str, detail: str) -> bytes:
    goodbye = Goodbye(code[:_MAX_CODE], detail[:_MAX_DETAIL])
    return encode_frame(Goodbye.NUMBER, ONE_WAY_ID, encode(goodbye))


def _refusal_frame(request_id: int, refusal: Refusal) -> bytes:
    records = refusal.records[:MAX_REDIRECT_RECORDS] if isinstance(refusal, Redirect) else ()
    refused = Refused(
        refusal.code[:_MAX_CODE],
        refusal.detail[:_MAX_DETAIL],
        min(max(refusal.retry_after_ms, 0), _MAX_RETRY_MS),
        records,
    )
    return encode_frame(Refused.NUMBER, request_id, encode(refused))


def _refusal(refused: Refused) -> Refusal:
    if refused.code == Redirect.code:
        return Redirect(refused.detail, refused.retry_after_ms, refused.records)
    return refusal_from_wire(refused.code, refused.detail, refused.retry_after_ms)
