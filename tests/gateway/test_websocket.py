"""WebSockets of clients, over real sockets on loopback."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tace.gateway import reading_pace, site, websocket
from tace.gateway import session as session_module
from tace.gateway.reading_pace import ReadingPace
from tace.gateway.session import ClientSession
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
from tace.wire.message import Message
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

    async def test_pages_of_any_origin_may_ask(self) -> None:
        """Also one of a file or in a sandbox, whose origin is null."""
        node = self.start()
        origins = ("https://elsewhere.example", "null", "file://", "app://here")
        asked = [await upgrade(node, "198.51.100.1", origin) for origin in origins]
        empty = emptied(self, node)
        for _, connection in asked:
            connection.transport.abortConnection()
        await empty
        self.assertEqual([answer.split()[1] for answer, _ in asked], [b"101"] * len(origins))

    async def test_more_clients_than_an_address_may_have(self) -> None:
        """503 and when to come again, in the place of an upgrade; a proxy says for whom it asks."""
        node = self.start(
            **{
                "gateway.max_connections_per_address": 1,
                "gateway.trusted_proxies": ("127.0.0.1",),
            }
        )
        asked = [await upgrade(node, f"198.51.100.{number}") for number in (1, 1, 2)]
        answers = [heard for heard, _ in asked]
        self.assertEqual([answer.split()[1] for answer in answers], [b"101", b"503", b"101"])
        self.assertIn(b"\r\nRetry-After: 10\r\n", answers[1])
        self.assertIn(b"\r\nX-Content-Type-Options: nosniff\r\n", answers[1])
        self.assertIn(b"too-many", answers[1])
        self.assertNotIn(b"Twisted", answers[1])
        empty = emptied(self, node)
        for _, connection in asked:
            connection.transport.abortConnection()
        await empty

    async def test_as_many_as_connect_to_a_node_for_one(self) -> None:
        """Twice as many connections as clients are taken in, said or not; the third is closed."""
        node = self.start(**{"gateway.max_connections": 1})
        silent = [await endpoint(node).connect(Factory.forProtocol(Held)) for _ in range(3)]
        await silent[2].lost
        self.assertIn(b"tace_client_connections 2.0", node.metrics.exposition())
        empty = emptied(self, node)
        for connection in silent[:2]:
            connection.transport.abortConnection()
        await empty


class Held(Protocol):
    """A connection that says nothing, or what it is given, and keeps what it hears."""

    def __init__(self, said: bytes = b"") -> None:
        self._said = said
        self._heard = b""
        self.head: Deferred[bytes] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._said)

    def dataReceived(self, data: bytes) -> None:
        self._heard += data
        if b"\r\n\r\n" in self._heard and not self.head.called:
            self.head.callback(self._heard)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


def emptied(case: TestCase, node: Node) -> Deferred[None]:
    """Fires when the node has noticed that all its clients have gone."""
    empty: Deferred[None] = Deferred()
    real = node._door.leave

    def leave(host: str) -> None:
        real(host)
        if not len(node._door):
            empty.callback(None)

    case.patch(node._door, "leave", leave)
    return empty.addTimeout(5.0, reactor)


async def upgrade(node: Node, forwarded: str, origin: str = "") -> tuple[bytes, Any]:
    """What a node answers to a proxy that asks for a WebSocket on behalf of that address, and the
    connection.

    :param origin: of the page that asks; empty for a program, which says none.
    """
    said = f"Origin: {origin}\r\n" if origin else ""
    request = (
        f"GET /v1/socket HTTP/1.1\r\nHost: n\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nX-Forwarded-For: {forwarded}\r\n{said}\r\n"
    )

    class Asking(Held):
        def __init__(self) -> None:
            Held.__init__(self, request.encode())

    connection: Any = await endpoint(node).connect(Factory.forProtocol(Asking))
    return await connection.head.addTimeout(5.0, reactor), connection


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
        """Is not read from either: what waits for it at the node stays small. Then it reads."""
        node = self.start(**{"limits.commands_per_second": 0, "limits.lookups_per_second": 0})
        talker, _ = await self.talk(node)
        (session,) = node._clients
        stalled, reads_again = self.told_of_pauses()
        gone = self.told_of_the_end(node)
        reading: Any = talker.transport
        reading.pauseProducing()
        asked = 0
        while not stalled.called and asked < 1_000_000:
            for _ in range(1000):
                asked += 1
                talker.tell(GetNetwork(), asked)
            await deferLater(reactor, 0)
        await stalled
        transport: Any = session._transport
        waiting = transport.transport
        held = len(waiting.dataBuffer) + sum(map(len, waiting._tempDataBuffer))
        self.assertLess(held, 1024 * 1024)
        reading.resumeProducing()
        await reads_again
        talker.dropConnection(abort=True)
        await gone

    async def test_a_client_that_never_reads_again(self) -> None:
        """Is cut off after a while, and counted under a name."""
        self.patch(reading_pace, "STALLED_SECONDS", 0.2)
        node = self.start(**{"limits.commands_per_second": 0, "limits.lookups_per_second": 0})
        talker, _ = await self.talk(node)
        gone = self.told_of_the_end(node)
        reading: Any = talker.transport
        reading.pauseProducing()
        asked = 0
        # What fits into the kernel's buffers counts as read, so it goes on asking.
        while not gone.called and asked < 1_000_000:
            for _ in range(500):
                asked += 1
                talker.tell(GetNetwork(), asked)
            await deferLater(reactor, 0)
        await gone
        self.assertIn(b'client_misconduct_total{code="timed-out"} 1.0', node.metrics.exposition())

    def told_of_pauses(self) -> tuple[Deferred[None], Deferred[None]]:
        """Fire when the node stops reading from a client, and when it reads again."""
        stalled: Deferred[None] = Deferred()
        reads_again: Deferred[None] = Deferred()
        pause, resume = ReadingPace.pauseProducing, ReadingPace.resumeProducing

        def paused(pace: ReadingPace) -> None:
            pause(pace)
            if not stalled.called:
                stalled.callback(None)

        def resumed(pace: ReadingPace) -> None:
            resume(pace)
            if not reads_again.called:
                reads_again.callback(None)

        self.patch(ReadingPace, "pauseProducing", paused)
        self.patch(ReadingPace, "resumeProducing", resumed)
        return stalled, reads_again

    def told_of_the_end(self, node: Node) -> Deferred[None]:
        """Fires when the node has noticed the end of a client's connection."""
        gone: Deferred[None] = Deferred()
        real = node._clients.remove

        def remove(session: ClientSession) -> None:
            real(session)
            if not gone.called:
                gone.callback(None)

        self.patch(node._clients, "remove", remove)
        return gone

    async def test_a_client_that_says_nothing(self) -> None:
        """Hears why it is hung up on; one that has said anything is left alone."""
        self.patch(session_module, "FIRST_COMMAND_SECONDS", 0.2)
        node = self.start()
        _, silent_factory = await self.talk(node)
        speaking, speaking_factory = await self.talk(node)
        speaking.tell(ClientPing(), 1)
        refused = silent_factory.next(ClientRefused)
        self.assertEqual((await refused).code, "timed-out")
        await silent_factory.closed
        answered = speaking_factory.next(ClientPong)
        speaking.tell(ClientPing(), 2)
        await answered

    async def test_a_client_that_sends_too_fast(self) -> None:
        """Hears so, is not read for a while, and goes on afterwards."""
        node = self.start(**{"limits.commands_per_second": 40.0})
        talker, factory = await self.talk(node)
        held: Deferred[None] = Deferred()
        real = ReadingPace.hold

        def hold(pace: ReadingPace, seconds: float) -> None:
            real(pace, seconds)
            if not held.called:
                held.callback(None)

        self.patch(ReadingPace, "hold", hold)
        refused = factory.next(ClientRefused)
        for number in range(1, 100):
            talker.tell(ClientPing(), number)
        await held
        self.assertEqual((await refused).code, "rate-limited")
        talker.tell(ClientPing(), 1000)
        while 1000 not in [request for request, _ in factory.messages]:
            await factory.next(Message)
        gone = self.told_of_the_end(node)
        talker.dropConnection(abort=True)
        await gone

    async def test_half_a_frame(self) -> None:
        """A frame that does not go on is dropped when the client does not answer a ping."""
        self.patch(websocket, "PING_SECONDS", 0.1)
        self.patch(websocket, "PONG_SECONDS", 0.1)
        node = self.start()
        talker, factory = await self.talk(node)
        talker.tell(ClientPing(), 1)
        raw: Any = talker.transport
        # Of a binary frame of 126 bytes, masked, the first two bytes; then silence.
        raw.write(b"\x82\xfe")
        self.patch(Talker, "onPing", lambda *_: None)
        await factory.closed.addTimeout(5.0, reactor)
        self.assertEqual(len(node._clients), 0)

    async def test_a_message_of_nothing_without_end(self) -> None:
        """1009 after so many frames: none of them has content, all of them take room."""
        node = self.start()
        talker, factory = await self.talk(node)
        raw: Any = talker.transport
        raw.write(b"\x02\x80\0\0\0\0" + b"\0\x80\0\0\0\0" * (websocket.MAX_FRAMES + 1))
        code, _ = await factory.closed.addTimeout(5.0, reactor)
        self.assertEqual(code, 1009)
        self.assertIn(b'client_misconduct_total{code="too-large"} 1.0', node.metrics.exposition())

    async def test_a_message_in_frames(self) -> None:
        """Is a message like any other, and so is the next one."""
        node = self.start()
        talker, factory = await self.talk(node)
        whole = encode_client_message(ClientPing(), 5)
        empty = websocket.MAX_FRAMES - len(whole)
        frames = [b"\x81\0\0\0\0" + bytes([byte]) for byte in whole] + [b"\x80\0\0\0\0"] * empty
        opcodes = b"\x02" + bytes(len(frames) - 2) + b"\x80"
        raw: Any = talker.transport
        for _ in range(2):
            answered = factory.next(ClientPong)
            raw.write(b"".join(bytes([op]) + f for op, f in zip(opcodes, frames, strict=True)))
            await answered

    async def test_pings_without_end(self) -> None:
        """Are commands like others: beyond the bound they are not answered, nor is more read."""
        node = self.start(**{"limits.commands_per_second": 4.0})
        talker, factory = await self.talk(node)
        pongs: list[bytes] = []
        self.patch(Talker, "onPong", lambda _, payload: pongs.append(payload))
        for number in range(20):
            talker.sendPing(b"%d" % number)
        talker.tell(ClientPing(), 7)
        while 7 not in [request for request, _ in factory.messages]:
            await factory.next(Message)
        self.assertIn(len(pongs), range(8, 12))
        gone = self.told_of_the_end(node)
        talker.dropConnection(abort=True)
        await gone

    async def test_frames_that_break_the_rules(self) -> None:
        """1002, counted under a name, and the others are served as before."""
        node = self.start()
        other, other_factory = await self.talk(node)
        for frame in (b"\xf2\x80\0\0\0\0", b"\x83\x80\0\0\0\0", b"\x82\x01x"):
            talker, factory = await self.talk(node)
            raw: Any = talker.transport
            raw.write(frame)
            code, _ = await factory.closed.addTimeout(5.0, reactor)
            self.assertEqual(code, 1002)
        said = node.metrics.exposition()
        self.assertIn(b'client_misconduct_total{code="protocol-error"} 3.0', said)
        answered = other_factory.next(ClientPong)
        other.tell(ClientPing(), 1)
        await answered

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
