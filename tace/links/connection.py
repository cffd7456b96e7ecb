"""One link to another node: the peer session on a TLS connection.

A :class:`Link` is PROVING until the other side's hello is verified, then UP, then CLOSING (a
goodbye was said or heard, or the connection was aborted) until the connection is gone. It tells its
:class:`~tace.links.needs.LinkOwner` when it comes up and when it has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tace.errors import (
    AnotherNode,
    ForgedProof,
    ForgedRecord,
    LinkLost,
    ProtocolError,
    Refusal,
    TooLarge,
    TooMany,
    WrongNode,
)
from tace.identity.link_proof import Role
from tace.ids import NodeId
from tace.limits import address_group
from tace.links.calls import Call, PendingCalls
from tace.links.health import MAX_STRETCH, RoundTrip
from tace.links.intake import Intake
from tace.links.introduction import CLOCK_FLAGGED_SECONDS, Peer
from tace.links.misconduct import SELDOM_EARNED, forgeries_in, word_to_note
from tace.links.needs import Dialled, LinkNeeds
from tace.links.reading import Marks, ReadingGate
from tace.links.sending import SendBuffer
from tace.links.serving import Replies, Serving
from tace.links.silence import CEILING_FACTOR, SilenceWatch
from tace.links.tls import TlsRejected, exporter_value
from tace.wire.message import Message
from tace.wire.peer import Ping
from tace.wire.session import (
    GOODBYE_DRAINING,
    NEVER_BEGAN,
    AnswerArrived,
    Broken,
    Event,
    GoodbyeArrived,
    HelloArrived,
    OneWayArrived,
    Owed,
    PeerSession,
    RefusalArrived,
    RequestArrived,
)

CLOSING_SECONDS = 1.0
"""How long a connection may take to close in good order before it is cut."""
GOODBYE_UNFINISHED = "unfinished"
"""Closed with work under way: what is unanswered may or may not have been done."""
SILENT = "silent"
"""Nothing was heard for too long."""
FORGERIES = (ForgedRecord, ForgedProof)
GOODBYE_FORGED = "forged"
"""Too many signatures that do not hold came over it."""


class Stage(Enum):
    PROVING = 1
    UP = 2
    CLOSING = 3
    GONE = 4


# Looked up once: a member of an Enum costs 0.1 us on Python 3.11, and every frame asks.
_PROVING, _UP, _CLOSING, _GONE = Stage


@implementer(IHandshakeListener)
class Link(Protocol):
    """See the module. Made by the factories in :mod:`tace.links.dialling`.

    :param dialled: None for a connection that came in.
    """

    _log = Logger()
    transport: Any

    def __init__(self, needs: LinkNeeds, dialled: Dialled | None) -> None:
        self._needs = needs
        self._clock = needs.clock
        self._dialled = dialled
        self._settings = settings = needs.settings
        self._session = PeerSession(max_requests_in_flight=settings.max_requests_in_flight)
        self._calls = PendingCalls(needs.clock, self._doubt)
        self._round_trip = RoundTrip()
        self._silence = SilenceWatch(
            needs.clock,
            health=needs.health,
            round_trip=self._round_trip,
            ping_after_seconds=settings.ping_after_seconds,
            lost_after_seconds=settings.lost_after_seconds,
            ping=self._ping,
            lost=self._silent,
        )
        self._serving = Serving(
            needs.procedures,
            needs.counters,
            Replies(self._answer, self._refuse, self._close_if_idle, self._ill_heard),
            settings.max_requests_in_flight,
        )
        self._stage = _PROVING
        self._exporter = b""
        self._out: SendBuffer | None = None
        self._gate: ReadingGate
        self._intake: Intake
        self._taken_at = 0.0
        self._timer: IDelayedCall | None = None
        self._retiring: str | None = None
        self._settled: list[Deferred[None]] = []
        self._reactions: dict[type[Any], Callable[[Any], None]] = {
            RequestArrived: self._request_arrived,
            AnswerArrived: self._answer_arrived,
            RefusalArrived: self._refusal_arrived,
            OneWayArrived: self._one_way_arrived,
            HelloArrived: self._hello_arrived,
            GoodbyeArrived: self._goodbye_arrived,
            Owed: self._owed,
            Broken: self._broken,
        }
        self._marks = Marks.below(settings.max_unsent_bytes)
        self.peer: Peer | None = None
        self.address_group = ""
        """Who the other side is to the network (:func:`~tace.limits.address_group`)."""
        self.up_since = 0.0
        self.end = ""
        """Why it ended, for a person; empty while it lives."""

    # -- what others ask

    @property
    def role(self) -> Role:
        return Role.LISTENED if self._dialled is None else Role.DIALLED

    @property
    def node(self) -> NodeId:
        """The verified id of the other side; only where the link is, or was, up."""
        assert self.peer is not None
        return self.peer.record.node_id

    @property
    def is_up(self) -> bool:
        return self._stage is _UP

    @property
    def is_handshaken(self) -> bool:
        """Is the TLS handshake over?"""
        return self._out is not None

    @property
    def is_idle(self) -> bool:
        """Is nothing under way in either direction?"""
        return not (self._calls or self._session.to_answer or self._serving.one_way_running)

    @property
    def answer_seconds(self) -> float:
        """How long an answer may take here, by the round trips that were measured."""
        least = self._settings.call_timeout_seconds
        return self._round_trip.timeout_seconds(least, CEILING_FACTOR * least)

    @property
    def last_heard(self) -> float:
        return self._silence.last_heard

    def when_proved(self) -> Deferred[None]:
        """Fires when the link is up.

        :raises LinkLost: (in the Deferred) it ended before that.
        """
        waiter: Deferred[None] = Deferred(_give_up)
        if self._stage is _PROVING:
            self._settled.append(waiter)
        elif self._stage is _UP:
            waiter.callback(None)
        else:
            waiter.errback(LinkLost(self.end))
        return waiter

    def place(self, call: Call) -> None:
        """Ask; the call fails at once where the link cannot take it."""
        if self._stage is not _UP:
            call.fail(LinkLost("the link is closing"))
            return
        assert self._out is not None
        if self._out.unsent_bytes >= self._settings.max_unsent_bytes:
            call.fail(TooMany("too much waits to be sent on this link"))
            return
        try:
            request_id, frame = self._session.ask(call.request)
        except (TooMany, TooLarge) as error:
            call.fail(error)
            return
        if call.placed_at is not None:
            call.placed_at = self._clock.seconds()
        self._calls.add(request_id, call)
        self._out.write(frame)
        if self._gate.is_shut:
            # The answer must be read. What else waits is not dealt with from within a call.
            self._gate.open()
            self._clock.callLater(0, self._read_on)

    def tell(self, message: Message) -> bool:
        """Send a one-way message; False where it could not be sent.

        :raises TooLarge: it does not fit a frame.
        """
        if self._stage is not _UP:
            return False
        assert self._out is not None
        if self._out.unsent_bytes >= self._settings.max_unsent_bytes:
            return False
        self._out.write(self._session.tell(message))
        return True

    def guard(self, guarded: bool) -> None:
        """Ping it when it is silent, give it up when it stays silent."""
        if self._stage is _UP:
            self._silence.guard(guarded)

    def close(self, code: str, detail: str = "") -> None:
        """Say why, then hang up in good order. What is under way fails."""
        if self._stage not in (_PROVING, _UP):
            return
        if self._out is None:
            self.abort(code)
            return
        self._out.write(self._session.goodbye(code, detail))
        self._closing(code)
        self._out.finish()
        self.transport.loseConnection()
        self._timer = self._clock.callLater(CLOSING_SECONDS, self._cut)

    def close_when_idle(self, code: str, within_seconds: float) -> None:
        """Finish what is under way, then close; after ``within_seconds`` in any case."""
        if self._stage is not _UP:
            self.abort(code)
            return
        self._retiring = code
        if code == GOODBYE_DRAINING:
            self._serving.drain()
        self._stop_timer()
        self._timer = self._clock.callLater(within_seconds, self._not_idle_in_time)
        self._close_if_idle()

    def keep(self) -> None:
        """Take :meth:`close_when_idle` back."""
        if self._stage is _UP and self._retiring is not None:
            self._retiring = None
            self._stop_timer()

    def abort(self, why: str) -> None:
        """Cut the connection."""
        if self._stage is _GONE:
            return
        if self._stage is not _CLOSING:
            self._session.goodbye(why)
            self._closing(why)
        self._cut()

    def refuse_handshake(self, code: str, detail: str) -> None:
        """Cut it because of what it did in TLS: there is no way yet to say why."""
        self._needs.misconduct.report(self.address_group, code, detail)
        self.abort(code)

    # -- Twisted's side

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.address_group = address_group(getattr(self.transport.getPeer(), "host", ""))
        self._gate = ReadingGate(
            self._clock,
            self.transport,
            self._handed_over,
            self._stalled,
            self._read_on,
            self._needs.slow_readers,
        )
        self._timer = self._clock.callLater(self._settings.hello_timeout_seconds, self._too_slow)
        self._needs.owner.link_opened(self)

    def handshakeCompleted(self) -> None:
        if self._stage is not _PROVING:
            return
        host = None if self._dialled is None else self._dialled.host
        try:
            self._needs.tls.check(self.transport, host)
        except TlsRejected as error:
            self.refuse_handshake("tls", str(error))
            return
        self._exporter = exporter_value(self.transport)
        self._out = SendBuffer(self.transport, self._marks.relief, self._relieved)
        hello = self._needs.introduction.hello(self.role, self._exporter)
        self._out.write(self._session.hello(hello))

    def dataReceived(self, data: bytes) -> None:
        self._silence.heard()
        self._needs.counters.count("link_bytes_in", len(data))
        self._take(data, self._silence.last_heard)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._stage is not _CLOSING:
            # Of a handshake that failed this is the only account there is.
            if reason.check(ConnectionClosed) is None:
                self._needs.misconduct.report(self.address_group, "tls", "the handshake failed")
            self._closing("connection-lost", f"connection lost: {reason.getErrorMessage()}")
        self._stop_timer()
        self._stage = _GONE
        if self._out is not None:
            self._out.stopProducing()
        self._settle(LinkLost(self.end))
        self._needs.owner.link_ended(self)

    # -- events of the session

    def _take(self, data: bytes, now: float) -> None:
        """Deal with these bytes and what was left of those before."""
        self._taken_at = now
        out = self._out
        if out is None or self._stage not in (_PROVING, _UP):
            return
        out.cork()
        events = self._session.receive(data)
        if not self._gate.is_shut:
            self._react(events)
        out.uncork()
        self._needs.counters.count("link_bytes_out", out.written_bytes())

    def _react(self, events: Iterator[Event]) -> None:
        for event in events:
            if self._stage is _CLOSING or self._stage is _GONE:
                break
            self._reactions[type(event)](event)
            if self._gate.is_shut:
                break

    def _hello_arrived(self, event: HelloArrived) -> None:
        introduction = self._needs.introduction
        expected = None if self._dialled is None else self._dialled.node
        try:
            peer = introduction.check(event.hello, self.role.other, self._exporter, expected)
        except ProtocolError as error:
            if expected is not None and isinstance(error, WrongNode):
                self._settle(AnotherNode(f"{error.code}: {error}"))
            self._broken(self._session.reject(error))
            return
        self.peer = peer
        self._intake = self._new_intake()
        self._stage = _UP
        self._stop_timer()
        self.up_since = self._clock.seconds()
        self._needs.counters.count("links_proved", side=self.role.name.lower())
        if abs(peer.clock_difference_seconds) >= CLOCK_FLAGGED_SECONDS:
            self._needs.counters.count("links_with_other_time")
            self._log.warn(
                "the clock of {node} differs by {seconds:.0f} s",
                node=self.node.hex(),
                seconds=peer.clock_difference_seconds,
            )
        self._session.accept_hello()
        self._needs.owner.link_proved(self)
        if self.is_up:
            self._settle(None)

    def _new_intake(self) -> Intake:
        assert self._out is not None
        needs = self._needs
        allowance = needs.rates.of(self.node)
        return Intake(self._session, allowance, self._gate, self._out, self._marks, needs.counters)

    def _request_arrived(self, event: RequestArrived) -> None:
        refusal = self._intake.refusal(self._taken_at)
        if refusal is None:
            self._serving.request(self.node, event.request_id, event.request)
        else:
            self._refuse(event.request_id, refusal)

    def _relieved(self) -> None:
        """The peer reads again."""
        was_shut = self._gate.is_shut
        self._gate.relieved()
        if was_shut:
            self._read_on()

    def _read_on(self) -> None:
        """Deal with what was read and left; what is left again waits for the next time."""
        if not self._gate.is_shut:
            self._take(b"", self._clock.seconds())

    def _answer_arrived(self, event: AnswerArrived) -> None:
        call = self._calls.take(event.request_id)
        if call is not None:
            if call.placed_at is not None:
                now = self._clock.seconds()
                self._round_trip.measured(now - call.placed_at)
                self._needs.health.success(now)
            call.succeed(event.answer)
        self._close_if_idle()

    def _refusal_arrived(self, event: RefusalArrived) -> None:
        call = self._calls.take(event.request_id)
        if call is not None:
            call.fail(event.refusal)
        self._close_if_idle()

    def _one_way_arrived(self, event: OneWayArrived) -> None:
        if self._intake.takes_one_way(self._taken_at):
            self._serving.one_way(self.node, event.message)

    def _goodbye_arrived(self, event: GoodbyeArrived) -> None:
        if event.code in NEVER_BEGAN and self.peer is not None:
            calls = self._calls.take_all()
        else:
            calls = []
        self._hang_up("goodbye", f"they said goodbye: {event.code} {event.detail}".rstrip())
        if calls:
            self._needs.owner.calls_returned(self.node, calls)

    def _owed(self, event: Owed) -> None:
        self._intake.tire(self._taken_at)
        self._send(event.data)

    def _broken(self, event: Broken) -> None:
        self._needs.misconduct.report(self.address_group, event.error.code, event.error.detail)
        self._send(event.farewell)
        self._hang_up(event.error.code, f"{event.error.code}: {event.error.detail}")

    # -- answers

    def _answer(self, request_id: int, answer: Message) -> None:
        if self._stage is _UP:
            word = word_to_note(answer)
            if word:
                self._needs.misconduct.report(self.address_group, word, "in an object to keep")
            self._send(self._session.answer(request_id, answer))
            self._forged(forgeries_in(answer))
            self._close_if_idle()

    def _refuse(self, request_id: int, refusal: Refusal) -> None:
        if self._stage is _UP:
            if refusal.code in SELDOM_EARNED:
                self._needs.misconduct.report(self.address_group, refusal.code, "to a request")
            self._send(self._session.refuse(request_id, refusal))
            self._forged(int(isinstance(refusal, FORGERIES)))
            self._close_if_idle()

    def _ill_heard(self, refusal: Refusal) -> None:
        if self._stage is _UP and isinstance(refusal, FORGERIES):
            self._needs.misconduct.report(self.address_group, refusal.code, "in a message")
            self._forged(1)

    def _forged(self, count: int) -> None:
        """Checking costs more than forging: a peer that goes on is not listened to."""
        if count and not self._intake.bears(self._clock.seconds(), count):
            self._needs.misconduct.report(self.address_group, GOODBYE_FORGED)
            self.close(GOODBYE_FORGED, "too many signatures that do not hold")

    def _send(self, data: bytes) -> None:
        """Send what cannot be held back: a peer that asks and does not read is cut off."""
        assert self._out is not None
        if self._out.unsent_bytes >= self._settings.max_unsent_bytes:
            self._stalled()
        else:
            self._out.write(data)

    # -- time

    def _too_slow(self) -> None:
        self.refuse_handshake("hello-too-late", "it has not proved itself")

    def _handed_over(self) -> int:
        return 0 if self._out is None else self._out.handed_over

    def _stalled(self) -> None:
        self._needs.misconduct.report(self.address_group, "reads-too-slowly")
        self.abort("reads-too-slowly")

    def _doubt(self) -> None:
        self._needs.counters.count("link_calls_timed_out")
        if self._stage is _UP:
            self._silence.doubt()
            self._close_if_idle()

    def _ping(self) -> None:
        now = self._clock.seconds()
        longest = CEILING_FACTOR * MAX_STRETCH * self._settings.lost_after_seconds
        # The watch decides how long is too long.
        ping = Call(Ping(), now + longest, placed_at=now)
        # Only the bytes of the answer matter.
        ping.answer.addErrback(lambda _: None)
        self.place(ping)

    def _silent(self) -> None:
        self.abort(SILENT)

    # -- the end

    def _close_if_idle(self) -> None:
        if self._retiring is not None and self._stage is _UP and self.is_idle:
            self.close(self._retiring)

    def _not_idle_in_time(self) -> None:
        code = self._retiring or GOODBYE_UNFINISHED
        self.close(GOODBYE_UNFINISHED if code in NEVER_BEGAN else code)

    def _hang_up(self, why: str, detail: str) -> None:
        """The session is over: close in good order."""
        if self._stage is _CLOSING:
            return
        self._closing(why, detail)
        if self._out is not None:
            self._out.finish()
        self.transport.loseConnection()
        self._timer = self._clock.callLater(CLOSING_SECONDS, self._cut)

    def _closing(self, why: str, detail: str = "") -> None:
        """From here on nothing is asked or answered; who waits is told.

        :param why: one of our own few words; ``detail`` may hold theirs.
        """
        self._stage = _CLOSING
        self.end = detail or why
        self._stop_timer()
        self._silence.stop()
        self._gate.end()
        self._needs.counters.count("links_ended", why=why)
        self._needs.owner.link_closing(self)
        for call in self._calls.take_all():
            call.fail(LinkLost(f"the link went away: {self.end}"))

    def _settle(self, error: LinkLost | None) -> None:
        waiting, self._settled = self._settled, []
        for waiter in waiting:
            if waiter.called:
                continue
            if error is None:
                waiter.callback(None)
            else:
                waiter.errback(error)

    def _cut(self) -> None:
        self._stop_timer()
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


def _give_up(waiter: Deferred[None]) -> None:
    waiter.errback(LinkLost("given up"))
