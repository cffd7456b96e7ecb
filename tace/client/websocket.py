"""Dials a node over a WebSocket and carries a :class:`~tace.client.connection.Connection`."""

from __future__ import annotations

from functools import partial
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import LinkLost
from tace.wire.client import MAX_CLIENT_MESSAGE_BYTES, SUBPROTOCOL

CONNECT_SECONDS = 4.0
CLOSE_SECONDS = 1.0


class _NodeSocket(WebSocketClientProtocol):
    """Autobahn's side; everything it hears goes to the connection."""

    def __init__(self, address: NodeAddress) -> None:
        super().__init__()
        self._address = address
        self.connection: Connection | None = None
        self.ready: Deferred[Connection] | None = Deferred()

    def onOpen(self) -> None:
        # Twisted leaves Nagle on, which costs 40 ms a message.
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        if self.websocket_protocol_in_use != SUBPROTOCOL:
            self.dropConnection(abort=True)
            return
        self.connection = Connection(self._address, self, self.factory.reactor)
        ready, self.ready = self.ready, None
        if ready is not None:
            ready.callback(self.connection)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.connection is not None:
            # Text is never sent by a node; as bytes it fails in the decoder like other garbage.
            self.connection.received(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        text = "the node closed the connection" if wasClean else "the connection broke"
        if self.connection is not None:
            self.connection.carrier_lost(text)
        ready, self.ready = self.ready, None
        if ready is not None:
            ready.errback(LinkLost(f"{self._address}: not a tace node, or it refused ({reason})"))

    # -- Carrier ---------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        if self.state == self.STATE_OPEN:
            self.sendMessage(data, isBinary=True)

    def close(self) -> None:
        self.sendClose()


class WebSocketDialer:
    """Opens connections to nodes.

    :param reactor: the real one (or what stands in for it).
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __call__(self, address: NodeAddress) -> Deferred[Connection]:
        """A connection on which the node has not spoken yet.

        For ``https`` the certificate is verified against the platform's authorities.

        :raises LinkLost: nobody answers there, the certificate does not fit, or it is no node.
        """
        return Deferred.fromCoroutine(self._dial(address))

    async def _dial(self, address: NodeAddress) -> Connection:
        factory = WebSocketClientFactory(
            address.socket_url, protocols=[SUBPROTOCOL], useragent="tace", reactor=self._reactor
        )
        factory.setProtocolOptions(
            maxFramePayloadSize=MAX_CLIENT_MESSAGE_BYTES,
            maxMessagePayloadSize=MAX_CLIENT_MESSAGE_BYTES,
            openHandshakeTimeout=CONNECT_SECONDS,
            closeHandshakeTimeout=CLOSE_SECONDS,
            serverConnectionDropTimeout=CLOSE_SECONDS,
            failByDrop=True,
            tcpNoDelay=True,
        )
        # Autobahn declares a class here; all it does is call it.
        factory.protocol = partial(_NodeSocket, address)  # type: ignore[assignment]
        try:
            # With TLS the endpoint gives the protocol inside it, as without.
            socket: Any = await self._endpoint(address).connect(factory)
        except (ConnectError, DNSLookupError, OSError) as error:
            raise LinkLost(f"{address}: {error}") from None
        assert isinstance(socket, _NodeSocket)
        if socket.ready is None:
            assert socket.connection is not None
            return socket.connection
        try:
            return await socket.ready
        except CancelledError:
            socket.dropConnection(abort=True)
            raise

    def _endpoint(self, address: NodeAddress) -> IStreamClientEndpoint:
        endpoint = HostnameEndpoint(
            self._reactor, address.host, address.port, timeout=CONNECT_SECONDS
        )
        if address.secure:
            return wrapClientTLS(optionsForClientTLS(address.host), endpoint)
        return endpoint
