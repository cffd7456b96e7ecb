"""Client sessions over WebSocket (RFC 6455), carried by Autobahn."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.logger import Logger

from tace.errors import TimedOut, TooMany
from tace.gateway.reading_pace import ReadingPace
from tace.gateway.session import ClientSession
from tace.gateway.sessions import ClientSessions
from tace.wire.client import MAX_CLIENT_MESSAGE_BYTES, SUBPROTOCOL

PING_SECONDS = 25
"""A client that has said nothing for so long is pinged."""
PONG_SECONDS = 60
"""A ping that is not answered within this ends the connection. It waits behind all that a slow
client has not read yet."""
HANDSHAKE_SECONDS = 10
"""For the upgrade, once its request has been read."""
CLOSING_SECONDS = 1
"""For the other side's word of farewell; then the connection is cut."""
MAX_FRAMES = 64
"""Of one WebSocket message: frames without content would otherwise go on for ever."""
CLOSE_NORMAL = 1000
CLOSE_TOO_BIG = 1009


class _AutobahnLog:
    """Autobahn's log without the lines that a stranger can cause as often as it likes.

    What its own code and ours fail at is still written.
    """

    _log = Logger()

    def warn(self, text: str, **fields: Any) -> None:
        if "err" in fields or "tb" in fields:
            self._log.error(text, **fields)

    def error(self, text: str, **fields: Any) -> None:
        if "fail" in fields:
            self._log.error(text, **fields)

    def failure(self, text: str, failure: Any = None, **fields: Any) -> None:
        self._log.failure(text, failure, **fields)

    def debug(self, text: str, **fields: Any) -> None:
        """Nothing."""

    trace = info = debug


class ClientSocket(WebSocketServerProtocol):
    """One WebSocket connection of a client."""

    log = _AutobahnLog()
    factory: ClientSockets
    _group = ""
    _frames = 0
    _pace: ReadingPace | None = None
    _session: ClientSession | None = None

    def onConnect(self, request: Any) -> str:
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(400, f"the subprotocol {SUBPROTOCOL} is needed")
        transport: Any = self.transport
        self._group = self.factory.sessions.group_of(
            getattr(transport.getPeer(), "host", ""), request.headers.get("x-forwarded-for", "")
        )
        return SUBPROTOCOL

    def onOpen(self) -> None:
        # Autobahn leaves Nagle on, which costs 40 ms now and then.
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        # twisted.web has left itself registered.
        transport.unregisterProducer()
        self._pace = ReadingPace(transport, self.factory.clock, self._stalled)
        transport.registerProducer(self._pace, True)
        self._session = self.factory.sessions.add(self, self._group)
        self._session.opened()

    # Autobahn describes each read, write and message to its log and its listeners, whether or not
    # anybody listens: a fifth of what a message costs here.

    def dataReceived(self, data: bytes) -> None:
        self._dataReceived(data)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        if sync or chopsize or self.send_queue or self.state != self.STATE_OPEN:
            super().sendData(data, sync, chopsize)
        else:
            transport: Any = self.transport
            transport.write(data)

    def onMessageEnd(self) -> None:
        if not self.failedByMe:
            self._onMessage(b"".join(self.message_data), self.message_is_binary)
        self.message_data: Any = None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._session is not None:
            # A text message is no client message, whatever it says.
            self._session.received(payload if isBinary else b"")

    def onMessageBegin(self, isBinary: bool) -> None:
        self._frames = 0
        WebSocketServerProtocol.onMessageBegin(self, isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        WebSocketServerProtocol.onMessageFrameBegin(self, length)
        self._frames += 1
        if self._frames > MAX_FRAMES and not self.failedByMe:
            self._fail_connection(CLOSE_TOO_BIG, f"a message of more than {MAX_FRAMES} frames")

    def onPing(self, payload: bytes) -> None:
        if self._session is not None and self._session.pinged():
            WebSocketServerProtocol.onPing(self, payload)

    def _fail_connection(self, code: int = 1001, reason: str = "") -> None:
        # What Autobahn itself finds wrong: half frames, reserved bits, messages that are too large.
        word = "too-large" if code == CLOSE_TOO_BIG else "protocol-error"
        self.factory.sessions.services.misconduct.report(self._group, word)
        WebSocketServerProtocol._fail_connection(self, code, reason)

    def _stalled(self) -> None:
        # Nobody would read a farewell.
        self.dropConnection(abort=True)
        if self._session is not None:
            self._session.end(TimedOut("what you are sent stays unread"))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._pace is not None:
            self._pace.stopProducing()
        if self._session is not None:
            self.factory.sessions.remove(self._session)
            self._session.closed()
            self._session = None

    # -- ClientTransport -------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        # Autobahn raises for a connection that is closing; what is said to it has no reader.
        if self.state == self.STATE_OPEN:
            self.sendMessage(data, isBinary=True)

    def close(self) -> None:
        if self.state == self.STATE_OPEN:
            self.sendClose(CLOSE_NORMAL)

    def hold(self, seconds: float) -> None:
        if self._pace is not None:
            self._pace.hold(seconds)


class ClientSockets(WebSocketServerFactory):
    """Makes the sessions of clients that come by WebSocket."""

    def __init__(self, sessions: ClientSessions, reactor: Any) -> None:
        WebSocketServerFactory.__init__(
            self, protocols=[SUBPROTOCOL], server="tace", reactor=reactor
        )
        self.protocol = ClientSocket
        self.sessions = sessions
        self.clock = reactor
        self.setProtocolOptions(
            # Pages of files and in sandboxes: no origin means anything here.
            allowNullOrigin=True,
            maxFramePayloadSize=MAX_CLIENT_MESSAGE_BYTES,
            maxMessagePayloadSize=MAX_CLIENT_MESSAGE_BYTES,
            # Who breaks RFC 6455 or sends too much hears so (close codes 1002, 1009) before it is
            # cut off; nothing more of it is kept.
            failByDrop=False,
            openHandshakeTimeout=HANDSHAKE_SECONDS,
            closeHandshakeTimeout=CLOSING_SECONDS,
            autoPingInterval=PING_SECONDS,
            autoPingTimeout=PONG_SECONDS,
            tcpNoDelay=True,
        )


class SocketResource(WebSocketResource):
    """Upgrades to a WebSocket; says so in words to whoever asks for something else.

    A browser that speaks HTTP/2 with this node opens a second connection, over HTTP/1.1, for it.
    """

    def __init__(self, sockets: ClientSockets) -> None:
        WebSocketResource.__init__(self, sockets)
        self._sockets = sockets

    def _refuse(self, request: Any, refusal: TooMany) -> bytes:
        request.setResponseCode(503)
        request.setHeader("retry-after", str(-(-refusal.retry_after_ms // 1000)))
        request.setHeader("content-type", "text/plain; charset=utf-8")
        request.setHeader("cache-control", "no-store")
        request.setHeader("x-content-type-options", "nosniff")
        return f"{refusal.code}: {refusal.detail}\n".encode()

    def render(self, request: Any) -> Any:
        wanted = (request.getHeader("upgrade") or "").lower()
        if wanted == "websocket" and request.clientproto == b"HTTP/1.1":
            sessions = self._sockets.sessions
            peer = getattr(request.getClientAddress(), "host", "")
            try:
                sessions.require_room(sessions.group_of(peer, request.forwarded_for()))
            except TooMany as refusal:
                return self._refuse(request, refusal)
            return WebSocketResource.render(self, request)
        request.setResponseCode(426, b"Upgrade Required")
        if request.clientproto == b"HTTP/1.1":
            request.setHeader("upgrade", "websocket")
        request.setHeader("content-type", "text/plain; charset=utf-8")
        request.setHeader("cache-control", "no-store")
        request.setHeader("x-content-type-options", "nosniff")
        return b"" if request.method == b"HEAD" else b"Here is a WebSocket, over HTTP/1.1.\n"


def websocket_resource(sockets: ClientSockets) -> SocketResource:
    return SocketResource(sockets)
