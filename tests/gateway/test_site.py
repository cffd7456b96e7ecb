"""The HTTP side of a node, byte by byte."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from tace.gateway.channel import OPENING_SECONDS, REQUEST_SECONDS
from tace.gateway.polling_sessions import PollingSessions
from tace.gateway.requests import BodyRoom
from tace.gateway.sessions import ClientSessions
from tace.gateway.site import IDLE_SECONDS, MAX_BODY_BYTES, make_site
from tace.gateway.web_files import WebFile
from tace.gateway.websocket import ClientSockets, websocket_resource
from tests.gateway.in_memory import Answer, Connection, services, site_of
from tests.network import MemoryNetwork


class SiteTestCase(SynchronousTestCase):
    """A site without sockets, without a web client."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.site = site_of(_no_sessions(), self.clock)
        self.site.startFactory()
        self.addCleanup(self.site.stopFactory)
        self.connection = Connection(self.site)
        self.transport = self.connection.transport

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    def ask(self, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """One exchange: status, header fields in lower case, body."""
        self.transport.clear()
        self.send(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
        return self.answer()

    def answer(self) -> Answer:
        answer = self.connection.answer()
        assert answer is not None
        return answer


def _no_sessions() -> ClientSessions:
    network = MemoryNetwork()
    return ClientSessions(services(network, network.node("n0")), 8)


class AnswerTests(SiteTestCase):
    """What is where."""

    def test_the_root_says_what_this_is(self) -> None:
        """A line for a person, kept by nobody."""
        status, fields, body = self.ask("GET / HTTP/1.1\nHost: n\n")
        self.assertEqual((status, fields["cache-control"]), (200, "no-store"))
        self.assertIn(b"/v1/socket", body)

    def test_a_head_has_no_body(self) -> None:
        """The same fields, nothing after them."""
        status, fields, body = self.ask("HEAD / HTTP/1.1\nHost: n\n")
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(fields["cache-control"], "no-store")

    def test_everything_else_is_not_found(self) -> None:
        """At any depth, by any method; not cached, not guessed at, and the path is not repeated."""
        for method in ("GET", "POST", "DELETE"):
            for path in ("/nothing", "/v1", "/v1/", "/v1/none", "/a/b/c", "/%00"):
                status, fields, body = self.ask(f"{method} {path} HTTP/1.1\nHost: n\n")
                self.assertEqual(status, 404, path)
                self.assertEqual(fields["cache-control"], "no-store", path)
                self.assertEqual(fields["x-content-type-options"], "nosniff", path)
                self.assertEqual(fields["content-type"], "text/plain; charset=utf-8", path)
                self.assertNotIn(b"none", body)

    def test_the_socket_is_at_its_path(self) -> None:
        """And nowhere else."""
        status, _, body = self.ask("GET /v1/socket HTTP/1.1\nHost: n\n")
        self.assertEqual((status, body), (426, b"a WebSocket\n"))

    def test_a_resource_that_fails_shows_no_traceback(self) -> None:
        """The client learns that it failed, and nothing about the node."""

        class Broken(Resource):
            isLeaf = True  # noqa: N815 - Twisted reads it by this name

            def render(self, request: object) -> bytes:
                raise ValueError("a path of this machine")

        self.site.resource.putChild(b"broken", Broken())
        status, _, body = self.ask("GET /broken HTTP/1.1\nHost: n\n")
        self.assertEqual(status, 500)
        self.assertNotIn(b"a path of this machine", body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class BoundsTests(SiteTestCase):
    """What is not taken in."""

    def assert_refused(self) -> None:
        self.assertEqual(self.answer()[0], 400)
        self.assertEqual(self.transport.value().count(b"HTTP/1.1 "), 1)
        self.assertFalse(self.transport.connected)

    def test_a_body_of_the_largest_size(self) -> None:
        """Read, and answered."""
        head = f"POST / HTTP/1.1\nHost: n\nContent-Length: {MAX_BODY_BYTES}\n"
        status, _, _ = self.ask(head, bytes(MAX_BODY_BYTES))
        self.assertEqual(status, 200)
        self.assertTrue(self.transport.connected)

    def test_a_length_over_the_limit(self) -> None:
        """Refused by its length, before a byte of the body."""
        self.ask(f"POST / HTTP/1.1\nHost: n\nContent-Length: {MAX_BODY_BYTES + 1}\n")
        self.assert_refused()

    def test_a_body_in_chunks(self) -> None:
        """Has no length to be judged by, so it is refused, short or long."""
        for body in (b"3\r\nabc\r\n0\r\n\r\n", b"fffff\r\n" + bytes(4096)):
            self.setUp()
            self.ask("POST / HTTP/1.1\nHost: n\nTransfer-Encoding: chunked\n", body)
            self.assert_refused()

    def test_a_body_that_goes_on_after_the_no(self) -> None:
        """A transport that lingers (TLS does, while it says goodbye) is cut off, nothing kept."""
        lingering = self.transport
        lingering.loseConnection = lambda: None  # type: ignore[method-assign]
        aborted: list[str] = []
        lingering.abortConnection = lambda: aborted.append("cut off")  # type: ignore[method-assign]
        self.ask("POST / HTTP/1.1\nHost: n\nTransfer-Encoding: chunked\n")
        self.send(b"fffff\r\n" + bytes(4096))
        self.assertEqual(aborted, ["cut off"])

    def test_all_bodies_together(self) -> None:
        """What connections send at the same time has a bound; what is over makes room."""
        self.site.bodies = BodyRoom(250)
        head = b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 101\r\n\r\n"
        first, second, third = (Connection(self.site) for _ in range(3))
        for connection in (first, second):
            connection.send(head + bytes(100))
            self.assertTrue(connection.transport.connected)
        self.assertEqual(self.site.bodies.held, 200)
        third.send(head + bytes(100))
        self.assertFalse(third.transport.connected)
        first.send(b"x")
        self.assertEqual(first.answer().status, 200)  # type: ignore[union-attr]
        self.assertEqual(self.site.bodies.held, 100)
        second.go()
        self.assertEqual(self.site.bodies.held, 0)

    def test_all_bodies_of_one_address(self) -> None:
        """A quarter of the room: others find the rest."""
        self.site.bodies = BodyRoom(400)
        head = b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 101\r\n\r\n"
        first, second = (Connection(self.site, "192.0.2.1") for _ in range(2))
        other = Connection(self.site, "192.0.2.2")
        for connection in (first, second, other):
            connection.send(head + bytes(60))
        self.assertTrue(first.transport.connected)
        self.assertFalse(second.transport.connected)
        self.assertTrue(other.transport.connected)
        first.go()
        other.go()
        self.assertEqual((self.site.bodies.held, self.site.bodies._groups), (0, {}))

    def test_headers_without_end(self) -> None:
        """A line longer than any should be."""
        self.ask("GET / HTTP/1.1\n")
        self.setUp()
        self.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
        self.assertFalse(self.transport.connected)

    def test_no_timer_is_shortened(self) -> None:
        """For each that is, Twisted's reactor searches all that there are: ten thousand connections
        would keep it from everything else.
        """
        shortened: list[object] = []
        later = self.clock.callLater

        def watched(*args: Any, **kw: Any) -> Any:
            call: Any = later(*args, **kw)
            call.resetter = shortened.append
            return call

        self.patch(self.clock, "callLater", watched)
        connection = Connection(self.site)
        connection.send(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n")
        connection.send(b"GET / HTTP/1.1\r\nHo")
        self.assertGreater(len(self.clock.getDelayedCalls()), 0)
        self.assertEqual(shortened, [])

    def test_silence(self) -> None:
        """Before and in the middle of the first request, and after an answer: hung up."""
        for said, seconds in (
            (b"", OPENING_SECONDS),
            (b"GET / HTTP/1.1\r\nHo", OPENING_SECONDS),
            (b"GET / HTTP/1.1\r\nHost: n\r\n\r\n", IDLE_SECONDS),
        ):
            self.setUp()
            if said:
                self.send(said)
            self.clock.advance(seconds - 1)
            self.assertTrue(self.transport.connected)
            self.clock.advance(2)
            self.assertFalse(self.transport.connected)

    def test_a_byte_now_and_then(self) -> None:
        """Earns no time: neither the head of a request nor its body may take for ever."""
        body = b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 1000\r\n\r\n"
        for head in (b"GET / HTTP/1.1\r\nX: ", body):
            self.setUp()
            self.send(head)
            for _ in range(int(OPENING_SECONDS) - 1):
                self.clock.advance(1)
                self.send(b"x")
            self.assertTrue(self.transport.connected)
            self.clock.advance(2)
            self.assertFalse(self.transport.connected)

    def test_a_byte_now_and_then_on_a_connection_in_use(self) -> None:
        """A later request has its time from its first byte, not from the answer before."""
        self.ask("GET / HTTP/1.1\nHost: n\n")
        self.clock.advance(IDLE_SECONDS - 1)
        self.send(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(int(REQUEST_SECONDS) - 1):
            self.clock.advance(1)
            self.send(b"x")
        self.assertTrue(self.transport.connected)
        self.clock.advance(2)
        self.assertFalse(self.transport.connected)

    def test_a_transport_that_does_not_close(self) -> None:
        """Its buffer is full and nobody reads: it is cut off."""
        aborted: list[str] = []
        self.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        self.transport.abortConnection = lambda: aborted.append("cut off")  # type: ignore[method-assign]
        self.clock.advance(OPENING_SECONDS + 1)
        self.assertEqual(aborted, [])
        self.clock.advance(15)
        self.assertEqual(aborted, ["cut off"])

    def test_many_requests_at_once_from_a_client_that_does_not_read(self) -> None:
        """Answered only as far as the transport takes answers; the others when it does again."""
        protocol = self.connection.protocol
        self.send(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n")
        one = len(self.transport.value())
        real = self.transport.write

        def write(data: bytes) -> None:
            real(data)
            if len(self.transport.value()) > 10 * one:
                protocol._channel.pauseProducing()

        self.transport.write = write  # type: ignore[method-assign]
        self.send(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n" * 1000)
        self.assertLess(len(self.transport.value()), 12 * one)
        self.assertEqual(self.transport.producerState, "paused")
        answers = 0
        for _ in range(1000):
            answers += self.transport.value().count(b"HTTP/1.1 200")
            self.transport.clear()
            protocol._channel.resumeProducing()
            if answers == 1001:
                break
        self.assertEqual(answers, 1001)
        self.assertEqual(self.transport.producerState, "producing")


class GarbageTests(SiteTestCase):
    """What is no HTTP."""

    def test_a_request_line_that_is_none(self) -> None:
        """One 400, whatever stands behind it, and nothing in the log."""
        for line in (b"GET /\xff HTTP/1.1", b"G\xffT / HTTP/1.1", b"GET / HTTP/\xff", b"\x16\x03"):
            self.setUp()
            self.send(line + b"\r\nHost: n\r\n\r\nGET / HTTP/1.1\r\nHost: n\r\n\r\n")
            self.assertEqual(self.transport.value(), b"HTTP/1.1 400 Bad Request\r\n\r\n", line)
            self.assertFalse(self.transport.connected)

    def test_headers_in_no_encoding(self) -> None:
        """Mean nothing, and are no error of the node's: each would be a page in its log."""
        sessions = _no_sessions()
        sockets = websocket_resource(ClientSockets(sessions, self.clock))
        polling = PollingSessions(sessions, self.clock)
        page = WebFile("index.html", b"page", b"zip", "ab" * 32)
        site = make_site(sockets, polling, {"index.html": page}, self.clock)
        for name in ("Upgrade", "Accept-Encoding", "X-Forwarded-For", "Tace-Session", "Host"):
            for method, path in (("GET", "/"), ("GET", "/v1/socket"), ("POST", "/v1/session")):
                connection = Connection(site)
                head = f"{method} {path} HTTP/1.1\r\n{name}: ".encode()
                connection.send(head + b"\xff\xfe\r\n\r\n")
                answer = connection.answer()
                assert answer is not None
                self.assertIn(answer.status, (200, 426, 503), (name, path))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nobody_is_told_what_the_node_is_made_of(self) -> None:
        """No answer names the software."""
        for path in ("/", "/v1/socket", "/v1/poll", "/nothing"):
            self.assertNotIn("server", self.ask(f"GET {path} HTTP/1.1\nHost: n\n")[1], path)
