"""WebSockets of clients, over real sockets on loopback."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tace.gateway import site
from tace.node import Node
from tace.wire.client import (
    MAX_CLIENT_MESSAGE_BYTES,
    SUBPROTOCOL,
    Challenge,
    ClientPing,
    ClientPong,
    ClientRefused,
    GetNetwork,
    encode_client_message,
)
from tests.gateway.running import (
    Talker,
    TalkerFactory,
    dial,
    endpoint,
    reactor,
    start_node,
    talk,
)


class WebSocketTestCase(TestCase):
    """A node; it is stopped after the test."""

    timeout = 30

    def start(self, **settings: Any) -> Node:
        node = start_node(self.mktemp(), **settings)
        self.addCleanup(node.stopService)
        return node

    async def talk(self, node: Node) -> tuple[Talker, TalkerFactory]:
        """A connection that is open and challenged, and gone after the test."""
        talker, factory = await talk(node)
        self.addCleanup(lambda: factory.closed)
        self.addCleanup(talker.dropConnection, abort=True)
        return talker, factory


class OpeningTests(WebSocketTestCase):
    """Who gets a session."""

    async def test_the_node_speaks_first(self) -> None:
        """A challenge comes unasked, then requests are answered."""
        node = self.start()
        talker, factory = await self.talk(node)
        challenge = factory.messages[0][1]
        assert isinstance(challenge, Challenge)
        self.assertEqual((challenge.node_id, challenge.names), (node.node_id, node.names))
        self.assertEqual(talker.websocket_protocol_in_use, SUBPROTOCOL)
        answered = factory.next(ClientPong)
        talker.tell(ClientPing(), 7)
        await answered
        self.assertEqual(factory.messages[-1][0], 7)
        talker.sendClose(1000)
        await factory.closed

    async def test_nagle_is_off(self) -> None:
        """On the node's end of the connection."""
        node = self.start()
        talker, factory = await self.talk(node)
        (session,) = node._clients
        transport: Any = session._transport
        option = transport.transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        self.assertNotEqual(option, 0)
        talker.sendClose(1000)
        await factory.closed

    async def test_without_the_subprotocol(self) -> None:
        """Refused in the handshake; there is no session."""
        node = self.start()
        for protocols in ((), ("tace.client.99",)):
            factory = await dial(node, protocols=protocols)
            _, reason = await factory.closed
            self.assertIn("400", str(reason))
        self.assertEqual(len(node._clients), 0)

    async def test_more_clients_than_the_node_takes(self) -> None:
        """The one too many hears 503; when another one goes there is room again."""
        node = self.start(**{"gateway.max_connections": 2})
        first, first_factory = await self.talk(node)
        await self.talk(node)
        _, reason = await (await dial(node)).closed
        self.assertIn("503", str(reason))
        first.sendClose(1000)
        await first_factory.closed
        await self.talk(node)
        self.assertEqual(len(node._clients), 2)


class BoundsTests(WebSocketTestCase):
    """What a client may not do."""

    async def test_an_oversized_message(self) -> None:
        """1009, message too big, before it is taken in; the node goes on."""
        node = self.start()
        talker, factory = await self.talk(node)
        talker.sendMessage(bytes(MAX_CLIENT_MESSAGE_BYTES + 1), isBinary=True)
        code, _ = await factory.closed
        self.assertEqual(code, 1009)
        await self.talk(node)

    async def test_the_largest_message_is_taken_in(self) -> None:
        """It is answered by a word, not by hanging up in the middle of it."""
        node = self.start()
        talker, factory = await self.talk(node)
        refused = factory.next(ClientRefused)
        head = encode_client_message(ClientPing(), 9)
        talker.sendMessage(head.ljust(MAX_CLIENT_MESSAGE_BYTES, b"\0"), isBinary=True)
        self.assertEqual((await refused).code, "protocol-error")
        await factory.closed

    async def test_text(self) -> None:
        """Is no client message: a word, then the end."""
        node = self.start()
        talker, factory = await self.talk(node)
        refused = factory.next(ClientRefused)
        talker.sendMessage(b"hello", isBinary=False)
        self.assertEqual((await refused).code, "protocol-error")
        code, _ = await factory.closed
        self.assertEqual(code, 1000)
        self.assertEqual(len(node._clients), 0)

    async def test_a_client_that_asks_and_does_not_read(self) -> None:
        """Is not read from either: what waits for it at the node stays small."""
        node = self.start()
        talker, _ = await self.talk(node)
        (session,) = node._clients
        asked = 0
        answered = 0
        real = session.received

        def received(data: bytes) -> None:
            nonlocal answered
            answered += 1
            real(data)

        self.patch(session, "received", received)
        reading: Any = talker.transport
        reading.pauseProducing()
        request = GetNetwork()
        before = -1
        while answered != before:
            before = answered
            for _ in range(4000):
                asked += 1
                talker.tell(request, asked)
            await deferLater(reactor, 0.2)
            if asked > 200_000:
                break
        self.assertLess(answered, asked)
        transport: Any = session._transport
        waiting = transport.transport
        held = len(waiting.dataBuffer) + sum(map(len, waiting._tempDataBuffer))
        self.assertLess(held, 1024 * 1024)

    async def test_a_draining_node_says_so(self) -> None:
        """Before it hangs up."""
        node = self.start()
        _, factory = await self.talk(node)
        refused = factory.next(ClientRefused)
        stopped = node.stopService()
        self.assertEqual((await refused).code, "draining")
        await factory.closed
        await stopped

    async def test_a_handshake_that_never_comes(self) -> None:
        """The start of one, then silence: the node hangs up by itself."""
        self.patch(site, "IDLE_SECONDS", 0.3)
        node = self.start()
        closed: Deferred[None] = Deferred()

        class Slow(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"GET /v1/socket HTTP/1.1\r\nHost: ")

            def connectionLost(self, reason: Any = None) -> None:
                closed.callback(None)

        await endpoint(node).connect(Factory.forProtocol(Slow))
        await closed
