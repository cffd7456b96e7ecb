"""Client sessions without a connection of their own: exchanges and long polls.

Nothing here knows HTTP: an exchange and a poll are calls that bring client messages, and
:mod:`tace.gateway.polling_http` turns requests into them (docs/protocol/client.md, section 12).

What a session keeps for a client that does not come for it is bounded: pushed messages by the
window, answers by ``MAX_LATE_BYTES``, and the batch that was handed out last by
``MAX_BATCH_BYTES`` and one message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.errors import ProtocolError, TooMany
from tace.gateway.frames import MAX_FRAMES
from tace.gateway.session import ClientSession
from tace.gateway.sessions import ClientSessions
from tace.gateway.waiting import Messages, WaitingExchange, WaitingPoll
from tace.wire.client import ClientRefused, encode_client_message

EXCHANGE_SECONDS = 12.0
"""An exchange is answered by then: longer than any answer takes, shorter than proxies wait."""
POLL_SECONDS = 25.0
"""A poll is answered by then: below the 30 s after which the first proxies hang up."""
IDLE_SECONDS = 60.0
"""A session without a request ends after this."""
MAX_BATCH_BYTES = 256 * 1024
"""Of one answer, and one message more; the rest comes with the next poll."""
MAX_LATE_BYTES = 256 * 1024
"""Of answers that wait for a poll; those beyond it are refusals."""
MAX_EXCHANGES = 16
"""Of one session, waiting for their answers at one time."""


class UnknownSession(Exception):
    """No session has this token, or it has ended and its last word was fetched."""


class BadPoll(Exception):
    """A poll out of turn. The session goes on."""


class BadExchange(Exception):
    """What was sent broke the protocol and ended the session.

    :param last_word: the client message that says so.
    """

    def __init__(self, last_word: bytes) -> None:
        super().__init__("the session has ended")
        self.last_word = last_word


class PollingSession:
    """One client session, and what waits to be fetched from it.

    :param gone: called once, when nothing of this session is to be kept any more.
    """

    def __init__(
        self,
        sessions: ClientSessions,
        clock: IReactorTime,
        gone: Callable[[PollingSession], None],
        group: str = "",
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._gone: Callable[[PollingSession], None] | None = gone
        self._waiting: deque[bytes] = deque()
        self._late = 0
        self._late_bytes = 0
        self._awaited: dict[int, WaitingExchange] = {}
        self._exchanges: dict[WaitingExchange, None] = {}
        self._poll: WaitingPoll | None = None
        self._polled = 0
        self._kept: Messages = []
        self._ended = False
        self._last_word = b""
        self._idle: IDelayedCall = clock.callLater(IDLE_SECONDS, self._idled)
        self.session: ClientSession = sessions.add(self, group)

    def open(self) -> Messages:
        """What the node says first."""
        self.session.opened()
        return self._take()

    # -- from the client -------------------------------------------------------------------------

    def exchange(self, messages: Sequence[bytes]) -> Deferred[Messages]:
        """Take in these messages; fires with the answers that came in time.

        Cancelled when the client is gone: what was asked is done all the same, and answers that
        had not come are fetched by a poll, like those that come too late.

        :raises UnknownSession: it has ended.
        :raises TooMany: as many exchanges are under way as may be; nothing was taken in.
        :raises BadExchange: one of them broke the protocol, and the session has ended with it.
        """
        self._touch()
        if len(self._exchanges) >= MAX_EXCHANGES:
            raise TooMany("too many exchanges under way", retry_after_ms=1000)
        # Cancelled by whoever waits for it: its client is gone.
        exchange = WaitingExchange(self._forget)
        self._exchanges[exchange] = None
        for message in messages:
            if self._late >= MAX_FRAMES or exchange.bytes >= MAX_BATCH_BYTES:
                # The session would take it and its answer would pile up here.
                refused = TooMany("poll for the answers that wait", retry_after_ms=100)
                request = _request_id(message)
                if request:
                    exchange.answer(request, _refusal(refused, request))
                    continue
            self._await(message, exchange)
            self.session.received(message)
            if self._ended:
                self._forget(exchange)
                raise BadExchange(self._last_word)
        if exchange.complete:
            self._finish(exchange)
        else:
            exchange.timer = self._clock.callLater(EXCHANGE_SECONDS, self._finish, exchange)
        return exchange.deferred

    def malformed(self, reason: ProtocolError) -> BadExchange:
        """The client sent a body that is no sequence of messages; the session has ended.

        :raises UnknownSession: it had ended before.
        """
        self._touch()
        self.session.end(reason)
        return BadExchange(self._last_word)

    def poll(self, number: int) -> Deferred[Messages]:
        """Batch ``number``, counted from 1: at once where something waits, else when it comes.

        The batch that was handed out last can be asked for again; asking for the next one lets go
        of it. Cancelled when the client is gone: then nothing has been handed out.

        :raises UnknownSession: it has ended, and the client has heard why.
        :raises BadPoll: neither the last one nor the next one.
        """
        if self._ended and not self._waiting and number != self._polled:
            self.discard()
            raise UnknownSession
        if not self._ended:
            self._touch()
            self.session.has_spoken()
        if number not in (self._polled, self._polled + 1) or number < 1:
            raise BadPoll(f"poll {number} comes after {self._polled}")
        if self._poll is not None:
            self._poll.answer([])
            self._poll = None
        if number == self._polled:
            return succeed(self._kept)
        if self._waiting or self._ended:
            return succeed(self._hand_out())
        poll = self._poll = WaitingPoll(self._let_go)
        poll.timer = self._clock.callLater(POLL_SECONDS, self._answer_poll)
        return poll.deferred

    def discard(self) -> None:
        """The client has done with it, or nobody comes for the rest."""
        self.session.closed()
        self._end()
        self._idle_off()
        self._waiting.clear()
        self._kept = []
        gone, self._gone = self._gone, None
        if gone is not None:
            self._sessions.remove(self.session)
            gone(self)

    # -- ClientTransport -------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        request = _request_id(data)
        exchange = self._awaited.pop(request, None)
        if exchange is not None and exchange.bytes < MAX_BATCH_BYTES:
            exchange.answer(request, data)
        else:
            if exchange is not None:
                exchange.awaited.discard(request)
            self._keep(request, data)
        if exchange is not None and exchange.complete and exchange.timer is not None:
            self._finish(exchange)

    def close(self) -> None:
        """The node hangs up; the client can still fetch why."""
        self._last_word = self._waiting[-1] if self._waiting else b""
        self._end()

    def hold(self, seconds: float) -> None:
        """Requests of a client that is too fast are refused one by one: it cannot be held."""

    def _keep(self, request: int, data: bytes) -> None:
        if request:
            if self._late_bytes + len(data) > MAX_LATE_BYTES:
                # Every request may be repeated; what is kept for a client may not grow.
                data = _refusal(TooMany("more answers than are kept"), request)
            self._late += 1
            self._late_bytes += len(data)
        self._waiting.append(data)
        if self._poll is not None and self._poll.soon is None:
            # What comes in one reactor turn leaves in one batch.
            self._poll.soon = self._clock.callLater(0, self._answer_poll)

    # -- exchanges -------------------------------------------------------------------------------

    def _await(self, message: bytes, exchange: WaitingExchange) -> None:
        request = _request_id(message)
        if not request:
            return
        before = self._awaited.get(request)
        if before is not None and before is not exchange:
            # The client asks again what it thinks lost: the answer goes where it listens now.
            before.awaited.discard(request)
            if before.complete:
                self._finish(before)
        self._awaited[request] = exchange
        exchange.awaited.add(request)

    def _finish(self, exchange: WaitingExchange) -> None:
        self._forget(exchange)
        exchange.deferred.callback(exchange.answers)

    def _forget(self, exchange: WaitingExchange) -> None:
        self._exchanges.pop(exchange, None)
        for request in exchange.awaited:
            if self._awaited.get(request) is exchange:
                del self._awaited[request]
        exchange.awaited.clear()
        exchange.stop()

    # -- polls -----------------------------------------------------------------------------------

    def _answer_poll(self) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.answer(self._hand_out())

    def _let_go(self, poll: WaitingPoll) -> None:
        if self._poll is poll:
            self._poll = None
        poll.stop()

    def _hand_out(self) -> Messages:
        self._polled += 1
        self._kept = self._take()
        return self._kept

    def _take(self) -> Messages:
        taken: Messages = []
        size = 0
        while self._waiting and size < MAX_BATCH_BYTES:
            message = self._waiting.popleft()
            size += len(message)
            taken.append(message)
            if _request_id(message):
                self._late -= 1
                self._late_bytes -= len(message)
        return taken

    # -- the end ---------------------------------------------------------------------------------

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        for exchange in list(self._exchanges):
            if exchange.timer is not None:
                self._finish(exchange)
        self._answer_poll()

    def _touch(self) -> None:
        if self._ended:
            raise UnknownSession
        self._idle.reset(IDLE_SECONDS)

    def _idled(self) -> None:
        if not self._ended:
            self._sessions.services.counters.count("client_sessions_ended_total", reason="idle")
        self.discard()

    def _idle_off(self) -> None:
        if self._idle.active():
            self._idle.cancel()


def _request_id(message: bytes) -> int:
    """Of a client message long enough to have one (``type u16 | request id u32``)."""
    return int.from_bytes(message[2:6], "big")


def _refusal(reason: TooMany, request: int) -> bytes:
    return encode_client_message(
        ClientRefused(reason.code, reason.detail, reason.retry_after_ms), request
    )
