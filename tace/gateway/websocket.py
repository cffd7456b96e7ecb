"""Client sessions over WebSocket (RFC 6455), carried by Autobahn."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from tace.gateway.session import ClientSession
from tace.gateway.sessions import ClientSessions
from tace.wire.client import MAX_CLIENT_MESSAGE_BYTES, SUBPROTOCOL

PING_SECONDS = 25
PONG_SECONDS = 20
HANDSHAKE_SECONDS = 10
CLOSING_SECONDS = 1
CLOSE_NORMAL = 1000


class ClientSocket(WebSocketServerProtocol):
    """One WebSocket connection of a client."""

    _log = Logger()
    factory: ClientSockets
    _session: ClientSession | None = None

    def onConnect(self, request: Any) -> str:
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(400, f"the subprotocol {SUBPROTOCOL} is needed")
        if not self.factory.sessions.has_room():
            raise ConnectionDeny(503, "this node has as many clients as it takes")
        return SUBPROTOCOL

    def onOpen(self) -> None:
        # Autobahn leaves Nagle on, which costs 40 ms now and then.
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        # twisted.web has left itself registered.
        transport.unregisterProducer()
        transport.registerProducer(_ReadingPace(transport), True)
        self._session = self.factory.sessions.add(self)
        self._session.opened()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._session is not None:
            # A text message is no client message, whatever it says.
            self._session.received(payload if isBinary else b"")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
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
        self.sendClose(CLOSE_NORMAL)


@implementer(IPushProducer)
class _ReadingPace:
    """Nothing is read from a client that does not read: what it is owed would pile up here."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection has gone."""


class ClientSockets(WebSocketServerFactory):
    """Makes the sessions of clients that come by WebSocket."""

    def __init__(self, sessions: ClientSessions, reactor: Any) -> None:
        WebSocketServerFactory.__init__(
            self, protocols=[SUBPROTOCOL], server="tace", reactor=reactor
        )
        self.protocol = ClientSocket
        self.sessions = sessions
        self.setProtocolOptions(
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

    def render(self, request: Any) -> Any:
        wanted = (request.getHeader("upgrade") or "").lower()
        if wanted == "websocket" and request.clientproto == b"HTTP/1.1":
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
