"""One connection to a node, whatever carries it: requests and their answers, pushes, liveness.

The carrier (:mod:`tace.client.websocket`, or a fake) calls :meth:`Connection.received` with each
binary message and :meth:`Connection.carrier_lost` once at the end.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.client.address import NodeAddress
from tace.errors import (
    LinkLost,
    ProtocolError,
    TaceError,
    TimedOut,
    TooMany,
    UnknownMessage,
    refusal_from_wire,
)
from tace.wire.client import (
    CLIENT_MESSAGES,
    CaughtUp,
    Challenge,
    ClientPing,
    ClientPong,
    ClientRefused,
    Push,
    encode_client_message,
    split_client_message,
)
from tace.wire.message import Message, Request

A = TypeVar("A", bound=Message)

OPENING_SECONDS = 5.0
"""From the dial to the node's challenge."""
ANSWER_SECONDS = 10.0
"""A node answers a send within 3 s whatever is dead; the rest is the way there and back."""
QUIET_SECONDS = 20.0
"""After this long without a byte the client asks whether the node is still there."""
PONG_SECONDS = 5.0
MAX_CLOCK_DIFFERENCE_SECONDS = 24 * 3600
_MAX_REQUEST_ID = 0xFFFF_FFFF


class Carrier(Protocol):
    """What moves whole binary messages."""

    def send(self, data: bytes) -> None:
        """Hand over one message; silently dropped once the carrier is closed."""

    def close(self) -> None:
        """Close in good order; ``carrier_lost`` follows."""


class ConnectionEvents(Protocol):
    """Who wants to know what a node says unasked. Called from the reactor."""

    def pushed(self, envelope: bytes) -> None:
        """A message for one of the leased mailboxes; 3,630 bytes, not looked at yet."""

    def caught_up(self, mailbox: bytes, complete: bool) -> None:
        """Everything that waited there when the watch began has been pushed."""

    def connection_lost(self, reason: TaceError) -> None:
        """The connection is over; every request on it has failed. Called once."""


class NoEvents:
    """For connections on which nothing comes unasked."""

    def pushed(self, envelope: bytes) -> None:
        """Not watched: nothing to do."""

    def caught_up(self, mailbox: bytes, complete: bool) -> None:
        """Not watched: nothing to do."""

    def connection_lost(self, reason: TaceError) -> None:
        """Requests have failed already."""


class Connection:
    """The client's side of ``tace.client.1``.

    :param address: what was dialled; leases are signed for its origin.
    :param clock: timeouts, the quiet timer, and how far the node's clock has moved on.
    """

    def __init__(self, address: NodeAddress, carrier: Carrier, clock: IReactorTime) -> None:
        self.address = address
        self.events: ConnectionEvents = NoEvents()
        self._carrier = carrier
        self._clock = clock
        self._challenge: Challenge | None = None
        self._node_clock_offset = 0.0
        self._opened: Deferred[Challenge] | None = None
        self._waiting: dict[int, tuple[type[Message], Deferred[Any], IDelayedCall]] = {}
        self._last_id = 0
        self._lost: TaceError | None = None
        self._goodbye: TaceError | None = None
        self._timer: IDelayedCall | None = clock.callLater(OPENING_SECONDS, self._not_opened)
        self._heard = clock.seconds()

    # -- what callers use ------------------------------------------------------------------------

    def opened(self) -> Deferred[Challenge]:
        """Fires with the node's challenge, once; to be asked for once.

        :raises LinkLost: the connection ended before it.
        :raises TimedOut: the node said nothing for 5 s.
        """
        waiting: Deferred[Challenge] = Deferred()
        if self._challenge is not None:
            waiting.callback(self._challenge)
        elif self._lost is not None:
            waiting.errback(self._lost)
        else:
            self._opened = waiting
        return waiting

    @property
    def challenge(self) -> Challenge:
        """What the node said first. To be read only after :meth:`opened` fired."""
        assert self._challenge is not None
        return self._challenge

    @property
    def lost(self) -> bool:
        return self._lost is not None

    @property
    def node_seconds(self) -> float:
        """The node's clock, now."""
        return self._clock.seconds() + self._node_clock_offset

    def request(
        self, message: Request[A], *, timeout_seconds: float = ANSWER_SECONDS
    ) -> Deferred[A]:
        """Ask; many may be under way at once.

        :raises Refusal: the node says no.
        :raises LinkLost: the connection is over, or ended before the answer.
        :raises TimedOut: no answer in time; the connection is then given up.
        :raises TooMany: the node takes no more requests at once.
        """
        if self._lost is not None:
            return fail(LinkLost(str(self._lost)))
        if len(self._waiting) >= self.challenge.requests_in_flight:
            return fail(TooMany("requests in flight"))
        self._last_id = request_id = self._last_id % _MAX_REQUEST_ID + 1
        self._carrier.send(encode_client_message(message, request_id))
        answer: Deferred[A] = Deferred(lambda _: self._forget(request_id))
        timer = self._clock.callLater(timeout_seconds, self._no_answer)
        self._waiting[request_id] = (message.ANSWER, answer, timer)
        return answer

    def tell(self, message: Message) -> None:
        """Say something that has no answer; nothing happens on a lost connection."""
        if self._lost is None:
            self._carrier.send(encode_client_message(message, 0))

    def close(self) -> None:
        """End it in good order. Requests under way fail with ``LinkLost``."""
        self._give_up(LinkLost("closed"))

    # -- what the carrier calls ------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """One binary message from the node."""
        if self._lost is not None:
            return
        self._heard = self._clock.seconds()
        try:
            number, request_id, body = split_client_message(data)
            self._dispatch(CLIENT_MESSAGES.decode(number, body), request_id)
        except UnknownMessage:
            # A newer node may say things we do not know, as long as they answer nothing.
            pass
        except ProtocolError as error:
            self._give_up(error)

    def carrier_lost(self, reason: str) -> None:
        """The carrier is gone; nothing more can be sent or will come."""
        self._end(self._goodbye or LinkLost(reason))

    # -- inside ----------------------------------------------------------------------------------

    def _dispatch(self, message: Message, request_id: int) -> None:
        if self._challenge is None:
            if isinstance(message, ClientRefused):
                self._goodbye = refusal_from_wire(
                    message.code, message.detail, message.retry_after_ms
                )
                self._give_up(self._goodbye)
            elif isinstance(message, Challenge):
                self._open(message)
            else:
                raise ProtocolError("the node did not begin with its challenge")
        elif request_id:
            self._answered(message, request_id)
        elif isinstance(message, Push):
            self.events.pushed(message.envelope)
        elif isinstance(message, CaughtUp):
            self.events.caught_up(message.mailbox, message.complete)
        elif isinstance(message, ClientRefused):
            # The node is about to close: this is the reason that requests will fail with.
            self._goodbye = refusal_from_wire(message.code, message.detail, message.retry_after_ms)
            self._give_up(self._goodbye)
        else:
            raise ProtocolError(f"{type(message).__name__} answers nothing")

    def _open(self, challenge: Challenge) -> None:
        self._challenge = challenge
        self._set_node_clock(challenge.clock_ms)
        if abs(self._node_clock_offset) > MAX_CLOCK_DIFFERENCE_SECONDS:
            self._challenge = None
            self._give_up(ProtocolError("the node's clock and ours differ by more than a day"))
            return
        if 1 not in challenge.versions:
            self._challenge = None
            self._give_up(ProtocolError("the node speaks no version that is known here"))
            return
        self._set_timer(QUIET_SECONDS, self._quiet)
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(challenge)

    def _answered(self, message: Message, request_id: int) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            # Cancelled meanwhile; a node cannot know that.
            return
        expected, answer, timer = waiting
        timer.cancel()
        if isinstance(message, ClientPong):
            self._set_node_clock(message.clock_ms)
        if isinstance(message, ClientRefused):
            answer.errback(refusal_from_wire(message.code, message.detail, message.retry_after_ms))
        elif isinstance(message, expected):
            answer.callback(message)
        else:
            error = ProtocolError(f"{type(message).__name__} instead of {expected.__name__}")
            answer.errback(error)
            raise error

    def _set_node_clock(self, clock_ms: int) -> None:
        self._node_clock_offset = clock_ms / 1000 - self._clock.seconds()

    def _forget(self, request_id: int) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None:
            waiting[2].cancel()

    def _not_opened(self) -> None:
        self._timer = None
        self._give_up(TimedOut("the node did not speak in time"))

    def _no_answer(self) -> None:
        # An answer that is overdue means that the node hangs: another one is asked instead.
        self._give_up(TimedOut("the node did not answer in time"))

    def _quiet(self) -> None:
        self._timer = None
        remaining = self._heard + QUIET_SECONDS - self._clock.seconds()
        if remaining <= 0:
            ping = self.request(ClientPing(), timeout_seconds=PONG_SECONDS)
            ping.addErrback(lambda _: None)
            remaining = QUIET_SECONDS
        if self._lost is None:
            self._set_timer(remaining, self._quiet)

    def _set_timer(self, seconds: float, call: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, call)

    def _give_up(self, reason: TaceError) -> None:
        if self._lost is None:
            self._carrier.close()
            self._end(reason)

    def _end(self, reason: TaceError) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        opened, self._opened = self._opened, None
        waiting, self._waiting = self._waiting, {}
        if opened is not None:
            opened.errback(reason)
        for _, answer, timer in waiting.values():
            if timer.active():
                timer.cancel()
            answer.errback(_copy(reason))
        self.events.connection_lost(reason)


def _copy(reason: TaceError) -> TaceError:
    """One exception object per waiter: each gets its own traceback."""
    return type(reason)(*reason.args)
