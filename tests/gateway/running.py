"""A node on loopback for the tests of its client side, and a WebSocket client that takes notes."""

from __future__ import annotations

from typing import Any, TypeVar

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS

from tace.config import default_settings
from tace.node import Node, make_node
from tace.wire.client import (
    CLIENT_MESSAGES,
    SUBPROTOCOL,
    Challenge,
    encode_client_message,
    split_client_message,
)
from tace.wire.message import Message

reactor: Any = installed_reactor
M = TypeVar("M", bound=Message)


def start_node(data_dir: str, **settings: Any) -> Node:
    """A node alone, in memory, on ports of its own."""
    node = make_node(
        default_settings(
            **{
                "node.data_dir": data_dir,
                "links.listen": "tcp:0:interface=127.0.0.1",
                "gateway.listen": "tcp:0:interface=127.0.0.1",
                "storage.kind": "memory",
                **settings,
            }
        ),
        reactor,
    )
    node.privilegedStartService()
    node.startService()
    return node


def client_port(node: Node) -> int:
    return int(node.client_url.rpartition(":")[2])


def endpoint(node: Node, trusted: Certificate | None = None) -> Any:
    """How to reach the node's client side, over TLS where a certificate is given."""
    host = HostnameEndpoint(reactor, b"127.0.0.1", client_port(node))
    if trusted is None:
        return host
    return wrapClientTLS(optionsForClientTLS("localhost", trusted), host)


class Talker(WebSocketClientProtocol):
    """Keeps what it is told, and says when it is opened, told something, closed."""

    factory: TalkerFactory

    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        number, request_id, body = split_client_message(payload)
        self.factory.heard(request_id, CLIENT_MESSAGES.decode(number, body))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.has_closed(code, reason)

    def tell(self, message: Message, request_id: int) -> None:
        self.sendMessage(encode_client_message(message, request_id), isBinary=True)


class TalkerFactory(WebSocketClientFactory):
    """Of one connection."""

    noisy = False

    def __init__(self, url: str, protocols: list[str]) -> None:
        WebSocketClientFactory.__init__(self, url, protocols=protocols, reactor=reactor)
        self.protocol = Talker
        self.opened: Deferred[Talker] = Deferred()
        self.closed: Deferred[tuple[int | None, str | None]] = Deferred()
        self.messages: list[tuple[int, Message]] = []
        self._waiting: list[tuple[type[Message], Deferred[Any]]] = []
        self.setProtocolOptions(openHandshakeTimeout=5, closeHandshakeTimeout=1)

    def heard(self, request_id: int, message: Message) -> None:
        self.messages.append((request_id, message))
        for entry in list(self._waiting):
            if isinstance(message, entry[0]):
                self._waiting.remove(entry)
                entry[1].callback(message)

    def next(self, cls: type[M]) -> Deferred[M]:
        """The next message of a kind, after those that have come."""
        found: Deferred[M] = Deferred()
        self._waiting.append((cls, found))
        return found.addTimeout(5.0, reactor)

    def has_closed(self, code: int | None, reason: str | None) -> None:
        self.closed.callback((code, reason))


async def dial(
    node: Node, *, protocols: tuple[str, ...] = (SUBPROTOCOL,), trusted: Certificate | None = None
) -> TalkerFactory:
    """Connect; the WebSocket handshake is under way."""
    factory = TalkerFactory(
        node.client_url.replace("http", "ws", 1) + "/v1/socket", list(protocols)
    )
    await endpoint(node, trusted).connect(factory)
    return factory


async def talk(node: Node, trusted: Certificate | None = None) -> tuple[Talker, TalkerFactory]:
    """A connection that is open and challenged."""
    factory = await dial(node, trusted=trusted)
    challenged = factory.next(Challenge)
    talker = await factory.opened.addTimeout(5.0, reactor)
    if not any(isinstance(message, Challenge) for _, message in factory.messages):
        await challenged
    else:
        challenged.addErrback(lambda _: None)
    return talker, factory
