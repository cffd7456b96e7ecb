"""A WebSocket client that breaks the rules."""

from __future__ import annotations

from typing import NamedTuple

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint

from tace.client.address import NodeAddress
from tace.errors import ProtocolError
from tace.wire.client import CLIENT_MESSAGES, ClientRefused, split_client_message


class Closed(NamedTuple):
    """How the node ended a connection: RFC 6455's close code, the reason, and what it said last."""

    code: int | None
    reason: str
    refusal: str


class RudeClient(WebSocketClientProtocol):
    """Says what the test says; ``closed`` fires when the node has had enough of it."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Deferred[None] = Deferred()
        self.closed: Deferred[Closed] = Deferred()
        self._refusal = ""

    def onOpen(self) -> None:
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        try:
            number, _, body = split_client_message(payload)
            message = CLIENT_MESSAGES.decode(number, body)
        except ProtocolError:
            return
        if isinstance(message, ClientRefused):
            self._refusal = message.code

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.closed.callback(Closed(code, reason or "", self._refusal))

    def say(self, payload: bytes, *, binary: bool) -> None:
        self.sendMessage(payload, isBinary=binary)


async def dial(address: NodeAddress, subprotocols: list[str]) -> RudeClient:
    """Its handshake may still fail; then only ``closed`` fires."""
    factory = WebSocketClientFactory(address.socket_url, protocols=subprotocols, reactor=reactor)
    factory.protocol = RudeClient
    factory.setProtocolOptions(serverConnectionDropTimeout=1, closeHandshakeTimeout=1)
    client = await HostnameEndpoint(reactor, address.host, address.port).connect(factory)
    assert isinstance(client, RudeClient)
    return client
