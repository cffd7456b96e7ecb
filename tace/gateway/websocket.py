"""Client sessions over WebSocket (RFC 6455), carried by Autobahn."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from tace.errors import DrainingNow
from tace.gateway.services import GatewayServices
from tace.gateway.session import ClientSession
from tace.wire.client import MAX_CLIENT_MESSAGE_BYTES, SUBPROTOCOL

PING_SECONDS = 25
PONG_SECONDS = 20
HANDSHAKE_SECONDS = 10
CLOSE_NORMAL = 1000


class ClientSocket(WebSocketServerProtocol):
    """One WebSocket connection of a client."""

    _log = Logger()
    factory: ClientSockets
    _session: ClientSession | None = None

    def onConnect(self, request: Any) -> str:
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(400, f"the subprotocol {SUBPROTOCOL} is needed")
        if not self.factory.has_room():
            raise ConnectionDeny(503, "this node has as many clients as it takes")
        return SUBPROTOCOL

    def onOpen(self) -> None:
        # Autobahn leaves Nagle on, which costs 40 ms now and then.
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        self._session = ClientSession(self.factory.services, self)
        self.factory.sessions[self._session] = None
        self._session.opened()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._session is not None:
            # A text message is no client message, whatever it says.
            self._session.received(payload if isBinary else b"")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._session is not None:
            self.factory.sessions.pop(self._session, None)
            self._session.closed()
            self._session = None

    # -- ClientTransport -------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        # Autobahn raises for a connection that is closing; what is said to it has no reader.
        if self.state == self.STATE_OPEN:
            self.sendMessage(data, isBinary=True)

    def close(self) -> None:
        self.sendClose(CLOSE_NORMAL)


class ClientSockets(WebSocketServerFactory):
    """Every WebSocket client of a node."""

    def __init__(self, services: GatewayServices, max_connections: int, reactor: Any) -> None:
        WebSocketServerFactory.__init__(
            self, protocols=[SUBPROTOCOL], server="tace", reactor=reactor
        )
        self.protocol = ClientSocket
        self.services = services
        self.sessions: dict[ClientSession, None] = {}
        self._max = max_connections
        self.setProtocolOptions(
            maxFramePayloadSize=MAX_CLIENT_MESSAGE_BYTES,
            maxMessagePayloadSize=MAX_CLIENT_MESSAGE_BYTES,
            openHandshakeTimeout=HANDSHAKE_SECONDS,
            autoPingInterval=PING_SECONDS,
            autoPingTimeout=PONG_SECONDS,
            tcpNoDelay=True,
        )

    def has_room(self) -> bool:
        return len(self.sessions) < self._max

    def end_all(self) -> None:
        """Tell every client that the node is about to stop."""
        for session in list(self.sessions):
            session.end(DrainingNow("this node is about to stop; use another one"))

    def finished(self) -> Deferred[Any]:
        """Fires when no answer to any client is outstanding."""
        return DeferredList([session.finished() for session in self.sessions])


def websocket_resource(sockets: ClientSockets) -> WebSocketResource:
    """The resource that upgrades to a WebSocket."""
    return WebSocketResource(sockets)
