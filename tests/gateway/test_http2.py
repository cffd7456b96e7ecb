"""HTTP/2 where TLS negotiates it, over real sockets on loopback, and WebSocket beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import hyperframe.frame
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.trial.unittest import TestCase

from tace.gateway import requests, site
from tace.gateway.frames import MAX_BODY_BYTES, join_frames, split_frames
from tace.gateway.requests import BodyRoom
from tace.node import Node
from tace.wire.client import Challenge, ClientPing, ClientPong, encode_client_message
from tests.gateway.certificates import install
from tests.gateway.in_memory import Answer, decode
from tests.gateway.logs import gateway_lines
from tests.gateway.running import client_port, reactor, start_node, talk


class StreamReset(Exception):
    """The node ended a request without an answer."""


class Http2Client(Protocol):
    """One HTTP/2 connection; answers by stream."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)
        self.ready: Deferred[Http2Client] = Deferred()
        self.closed: Deferred[None] = Deferred()
        self.headed: Deferred[None] = Deferred()
        self._answers: dict[int, tuple[dict[str, str], bytearray, Deferred[Answer]]] = {}

    def connectionMade(self) -> None:
        self.h2.initiate_connection()
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RemoteSettingsChanged) and not self.ready.called:
                self.ready.callback(self)
            if isinstance(event, h2.events.ResponseReceived):
                self._answers[event.stream_id][0].update(
                    (str(name), str(value)) for name, value in event.headers
                )
                headed, self.headed = self.headed, Deferred()
                headed.callback(None)
            elif isinstance(event, h2.events.DataReceived):
                self._answers[event.stream_id][1].extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                fields, body, done = self._answers.pop(event.stream_id)
                done.callback(Answer(int(fields.pop(":status")), fields, bytes(body)))
            elif isinstance(event, h2.events.StreamReset):
                self._answers.pop(event.stream_id)[2].errback(StreamReset())
            elif isinstance(event, h2.events.ConnectionTerminated):
                assert self.transport is not None
                self.transport.loseConnection()
        self._flush()

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)

    async def status_of(self, answer: Deferred[Answer]) -> int:
        """As soon as the head of an answer is here, though its body may not be."""
        for fields, _, done in self._answers.values():
            if done is answer:
                while ":status" not in fields:
                    self.headed = Deferred()
                    await self.headed.addTimeout(5.0, reactor)
                return int(fields[":status"])
        raise AssertionError("it has been answered in full")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        length: int | None = None,
        end: bool = True,
        **more: str,
    ) -> Deferred[Answer]:
        """
        :param length: said to be that of the body; None says nothing.
        :param end: whether the body ends with what is here.
        """
        stream = self.h2.get_next_available_stream_id()
        fields = [
            (":method", method),
            (":path", path),
            (":scheme", "https"),
            (":authority", "localhost"),
            *((name.replace("_", "-"), value) for name, value in more.items()),
        ]
        if length is not None:
            fields.append(("content-length", str(length)))
        done: Deferred[Answer] = Deferred()
        self._answers[stream] = ({}, bytearray(), done)
        self.h2.send_headers(stream, fields, end_stream=not body)
        self._upload(stream, body, end)
        return done.addTimeout(5.0, reactor)

    def cancel(self, stream: int) -> None:
        self.h2.reset_stream(stream)
        del self._answers[stream]
        self._flush()

    def _upload(self, stream: int, body: bytes, end: bool = True) -> None:
        """As far as the node's window allows; the rest when it has opened it."""
        while body:
            room = min(
                self.h2.local_flow_control_window(stream),
                self.h2.max_outbound_frame_size,
                len(body),
            )
            if room == 0:
                self._flush()
                reactor.callLater(0.01, self._upload, stream, body, end)
                return
            part, body = body[:room], body[room:]
            self.h2.send_data(stream, part, end_stream=end and not body)
        self._flush()

    def _flush(self) -> None:
        self.write(self.h2.data_to_send())

    def write(self, data: bytes) -> None:
        """Bytes as they are, right or not."""
        assert self.transport is not None
        self.transport.write(data)


class Http2TestCase(TestCase):
    """A node that speaks TLS to clients."""

    timeout = 30

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        certificate, key = install(folder, "node")
        self.trusted = Certificate.loadPEM(certificate.read_bytes())
        self.node: Node = start_node(
            self.mktemp(),
            **{
                "gateway.certificate_file": str(certificate),
                "gateway.private_key_file": str(key),
            },
        )
        self.addCleanup(self.node.stopService)

    async def connect(self, *offered: bytes) -> Any:
        """An HTTP/2 connection when ``h2`` is offered; else whatever TLS agrees on."""
        options = optionsForClientTLS("localhost", self.trusted, acceptableProtocols=list(offered))
        host = HostnameEndpoint(reactor, b"127.0.0.1", client_port(self.node))
        client: Any = await wrapClientTLS(options, host).connect(Factory.forProtocol(Http2Client))
        self.addCleanup(lambda: client.closed)
        self.addCleanup(client.transport.abortConnection)
        return client

    async def http2(self) -> Http2Client:
        client = await self.connect(b"h2", b"http/1.1")
        ready: Http2Client = await client.ready.addTimeout(5.0, reactor)
        return ready


class NegotiatingTests(Http2TestCase):
    """Who speaks what."""

    async def test_a_page(self) -> None:
        """The same answer as over HTTP/1.1."""
        client = await self.http2()
        transport: Any = client.transport
        self.assertEqual(transport.negotiatedProtocol, b"h2")
        answer = await client.ask("GET", "/")
        self.assertEqual(answer.status, 200)
        self.assertIn("content-security-policy", answer.fields)
        self.assertEqual((await client.ask("GET", "/none")).status, 404)
        self.assertEqual((await client.ask("HEAD", "/")).body, b"")

    async def test_websocket_beside_it(self) -> None:
        """A connection that offers no HTTP/2 upgrades while another one speaks it."""
        client = await self.http2()
        talker, factory = await talk(self.node, self.trusted)
        answered = factory.next(ClientPong)
        talker.tell(ClientPing(), 1)
        await answered
        self.assertEqual((await client.ask("GET", "/")).status, 200)
        talker.sendClose(1000)
        await factory.closed

    async def test_websocket_over_it(self) -> None:
        """Is refused in words; the connection goes on."""
        client = await self.http2()
        answer = await client.ask("GET", "/v1/socket")
        self.assertEqual((answer.status, answer.fields["cache-control"]), (426, "no-store"))
        self.assertNotIn("upgrade", answer.fields)
        self.assertEqual((await client.ask("GET", "/")).status, 200)


class DoorTests(Http2TestCase):
    """Who is let in before TLS."""

    async def test_counted_before_the_handshake(self) -> None:
        """A connection that says nothing is counted from its beginning to its end."""
        silent: Any = await HostnameEndpoint(reactor, b"127.0.0.1", client_port(self.node)).connect(
            Factory.forProtocol(Protocol)
        )
        await self.http2()
        self.assertEqual(len(self.node._door), 2)
        gone: Deferred[None] = Deferred()
        real = self.node._door.leave

        def leave(host: str) -> None:
            real(host)
            if not gone.called:
                gone.callback(None)

        self.patch(self.node._door, "leave", leave)
        silent.transport.abortConnection()
        await gone.addTimeout(5.0, reactor)
        self.assertEqual(len(self.node._door), 1)

    async def test_no_room(self) -> None:
        """The connection is closed before a byte of a handshake."""
        self.node._door._max = 0
        closed: Deferred[None] = Deferred()

        class Refused(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                closed.callback(None)

        host = HostnameEndpoint(reactor, b"127.0.0.1", client_port(self.node))
        await host.connect(Factory.forProtocol(Refused))
        await closed.addTimeout(5.0, reactor)


class SilenceTests(Http2TestCase):
    """Connections in which nothing happens."""

    async def test_a_connection_that_is_left_alone(self) -> None:
        """Is closed after a while; nobody's address is written down."""
        self.patch(site, "IDLE_SECONDS", 0.2)
        self.node.stopService()
        self.node = start_node(
            self.mktemp(),
            **{
                "gateway.certificate_file": str(self.node.settings.gateway.certificate_file),
                "gateway.private_key_file": str(self.node.settings.gateway.private_key_file),
            },
        )
        self.addCleanup(self.node.stopService)
        lines = gateway_lines(self)
        client = await self.http2()
        await client.ask("GET", "/")
        await client.closed.addTimeout(5.0, reactor)
        self.assertEqual(lines(), [])


class PollingTests(Http2TestCase):
    """A polled session, many requests on one connection."""

    async def test_a_session(self) -> None:
        """Opened, asked while a poll waits, ended; the poll ends with it."""
        client = await self.http2()
        opened = await client.ask("POST", "/v1/session")
        (challenge,) = split_frames(opened.body)
        self.assertIsInstance(decode(challenge)[1], Challenge)
        token = opened.fields["tace-session"]
        waiting = client.ask("GET", "/v1/poll", tace_session=token, tace_poll="1")
        body = join_frames([encode_client_message(ClientPing(), 5)])
        answer = await client.ask("POST", "/v1/exchange", body, len(body), tace_session=token)
        self.assertEqual([decode(m)[0] for m in split_frames(answer.body)], [5])
        ended = await client.ask("DELETE", "/v1/session", tace_session=token)
        self.assertEqual((ended.status, (await waiting).body), (204, b""))
        self.assertEqual(len(self.node._clients), 0)

    async def test_a_poll_that_is_given_up(self) -> None:
        """The stream is reset, the connection goes on, nothing has been handed out."""
        client = await self.http2()
        opened = await client.ask("POST", "/v1/session")
        token = opened.fields["tace-session"]
        stream = client.h2.get_next_available_stream_id()
        given_up = client.ask("GET", "/v1/poll", tace_session=token, tace_poll="1")
        client.cancel(stream)
        await client.ask("GET", "/")
        again = client.ask("GET", "/v1/poll", tace_session=token, tace_poll="1")
        self.node._clients.end_all()
        self.assertEqual(len(split_frames((await again).body)), 1)
        given_up.cancel()
        given_up.addErrback(lambda _: None)


class BoundsTests(Http2TestCase):
    """Bodies, whose length need not be said here."""

    async def test_the_largest_body(self) -> None:
        """Read and answered, with its length said and without."""
        client = await self.http2()
        for length in (MAX_BODY_BYTES, None):
            answer = await client.ask("POST", "/v1/session", bytes(MAX_BODY_BYTES), length)
            (word,) = split_frames(answer.body)
            self.assertEqual(answer.status, 400)
            self.assertIn("no body", str(decode(word)[1]))

    async def test_one_byte_more(self) -> None:
        """Refused without being kept; other requests of the connection go on."""
        client = await self.http2()
        too_much = bytes(MAX_BODY_BYTES + 1)
        for length in (len(too_much), None):
            waiting = client.ask("GET", "/")
            answer = await client.ask("POST", "/v1/session", too_much, length)
            self.assertEqual((answer.status, answer.body), (400, b""))
            self.assertEqual((await waiting).status, 200)
        self.assertEqual(len(self.node._clients), 0)

    async def test_nothing_of_a_body_stays(self) -> None:
        """Not after an answer, nor a refusal, nor when the connection breaks in its middle."""
        rooms: list[BodyRoom] = []
        real = BodyRoom.take

        def take(room: BodyRoom, count: int, group: str = "") -> bool:
            rooms.append(room)
            return real(room, count, group)

        self.patch(BodyRoom, "take", take)
        client = await self.http2()
        await client.ask("POST", "/v1/session", bytes(1000), 1000)
        await client.ask("POST", "/v1/session", bytes(MAX_BODY_BYTES + 1))
        self.assertEqual(rooms[0].held, 0)
        # A body that is shorter than was said: h2 ends the connection.
        broken = client.ask("POST", "/v1/session", bytes(5), 1000)
        broken.addErrback(lambda _: None)
        await client.closed
        broken.cancel()
        self.assertEqual(rooms[0].held, 0)

    async def test_a_body_that_never_ends(self) -> None:
        """A byte now and then keeps the connection up; the stream is reset all the same."""
        self.patch(requests, "REQUEST_SECONDS", 1.0)
        client = await self.http2()
        stream = client.h2.get_next_available_stream_id()
        slow = client.ask("POST", "/v1/session", b"x", 1000, end=False)
        for _ in range(3):
            client.h2.send_data(stream, b"x")
            client._flush()
            self.assertEqual((await client.ask("GET", "/")).status, 200)
        await self.assertFailure(slow, StreamReset)
        # What was under way meanwhile is dropped without a word in the log.
        frame = hyperframe.frame.DataFrame(stream, b"x", flags=["END_STREAM"])
        client.write(frame.serialize())
        self.assertEqual((await client.ask("GET", "/")).status, 200)

    async def test_answers_that_nobody_reads(self) -> None:
        """A client with its window shut: so many answers wait for it, the next is a refusal."""
        client = await self.http2()
        token = (await client.ask("POST", "/v1/session")).fields["tace-session"]
        (polled,) = self.node._polling._by_digest.values()
        for _ in range(3):
            polled.send(bytes(64 * 1024))
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client._flush()
        shut = [client.ask("GET", "/v1/poll", tace_session=token, tace_poll="1") for _ in range(8)]
        refused = client.ask("GET", "/v1/poll", tace_session=token, tace_poll="1")
        self.assertEqual((await client.status_of(refused)), 503)
        self.assertEqual((await client.status_of(shut[0])), 200)
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
        client._flush()
        (message,) = split_frames((await refused).body)
        self.assertIn("too-many", str(decode(message)[1]))
        for answer in shut:
            await answer.addErrback(lambda _: None)
