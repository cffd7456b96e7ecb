"""The hostile list, as far as it concerns one link: each gets its word, once, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ForgedProof, ForgedRecord, Malformed, Quota
from tace.links.connection import CLOSING_SECONDS, GOODBYE_FORGED
from tace.links.rates import MAX_FORGERIES
from tace.wire.fields import PutResult
from tace.wire.framing import MAX_BODY_BYTES, MAX_BODY_BYTES_BEFORE_HELLO, encode_frame
from tace.wire.message import Message, encode
from tace.wire.peer import (
    Done,
    GetMembers,
    GetRing,
    Goodbye,
    Hello,
    Notify,
    Ping,
    Pong,
    PutAnswer,
    PutEnvelopes,
    Records,
    Ring,
    Unwatch,
)
from tests.links.contract import Serving
from tests.links.fakes import MemoryNetwork
from tests.links.logs import logged_lines
from tests.links.nodes import Book, MemoryNode, key_of, signed_record
from tests.links.stranger import HOST, Stranger, dial
from tests.links.test_tls import link_context

Abuse = Callable[[Stranger], bytes]
"""What a stranger sends, given the state of its connection."""

NESTED = b"\x91" * 1000 + b"\xc0"
"""An array in an array, a thousand times."""
HUGE_ARRAY = b"\xdd\xff\xff\xff\xff"
"""The head of an array of four thousand million elements."""
HUGE_BYTES = b"\xc6\xff\xff\xff\xff"
"""The head of four gigabytes of bytes."""


def frame(number: int, request_id: int, body: bytes) -> Abuse:
    return lambda _: encode_frame(number, request_id, body)


def raw(data: bytes) -> Abuse:
    return lambda _: data


def hello(**changes: object) -> Abuse:
    """A hello with something wrong about it."""

    def make(stranger: Stranger) -> bytes:
        said = stranger.hello(**changes)  # type: ignore[arg-type]
        return encode_frame(Hello.NUMBER, 0, encode(said))

    return make


def hello_with_id(stranger: Stranger) -> bytes:
    return encode_frame(Hello.NUMBER, 7, encode(stranger.hello()))


def mirrored(stranger: Stranger) -> bytes:
    return encode_frame(Hello.NUMBER, 0, encode(stranger.messages[0]))


BEFORE_HELLO: dict[str, tuple[Abuse, str]] = {
    "garbage": (raw(bytes(range(255, 0, -1))), "protocol-error"),
    "an HTTP request": (raw(b"GET / HTTP/1.1\r\n\r\n"), "protocol-error"),
    "zeros": (raw(bytes(100)), "protocol-error"),
    "too long": (raw((MAX_BODY_BYTES_BEFORE_HELLO + 7).to_bytes(4)), "protocol-error"),
    "four gigabytes": (raw(b"\xff" * 4), "protocol-error"),
    "shorter than its header": (raw((5).to_bytes(4) + bytes(5)), "protocol-error"),
    "a request": (frame(Ping.NUMBER, 1, b"\x90"), "protocol-error"),
    "an answer": (frame(Pong.NUMBER, 1, b"\x90"), "protocol-error"),
    "a one-way message": (frame(Records.NUMBER, 0, b"\x91\x90"), "protocol-error"),
    "an unknown message": (frame(999, 0, b"\x90"), "protocol-error"),
    "an unknown request": (frame(999, 1, b"\x90"), "protocol-error"),
    "a hello with a request id": (hello_with_id, "protocol-error"),
    "a hello nested deep": (frame(Hello.NUMBER, 0, NESTED), "protocol-error"),
    "a hello of a huge array": (frame(Hello.NUMBER, 0, HUGE_ARRAY), "protocol-error"),
    "a hello of huge versions": (frame(Hello.NUMBER, 0, b"\x95" + HUGE_ARRAY), "protocol-error"),
    "a hello of huge bytes": (
        frame(Hello.NUMBER, 0, b"\x95\x91\x01" + HUGE_BYTES),
        "protocol-error",
    ),
    "an empty hello": (frame(Hello.NUMBER, 0, b""), "protocol-error"),
    "another network": (hello(network_id=b"\x78" * 32), "wrong-network"),
    "another version": (hello(versions=(200,)), "wrong-version"),
    "somebody else's record": (hello(record=signed_record(key_of(67))), "bad-link-proof"),
    "our own hello": (mirrored, "wrong-node"),
}

AFTER_HELLO: dict[str, tuple[Abuse, str]] = {
    "garbage": (raw(bytes(range(255, 0, -1))), "protocol-error"),
    "too long": (raw((MAX_BODY_BYTES + 7).to_bytes(4)), "protocol-error"),
    "shorter than its header": (raw(bytes(4)), "protocol-error"),
    "a second hello": (hello(), "protocol-error"),
    "an answer never asked for": (frame(Pong.NUMBER, 1, b"\x90"), "protocol-error"),
    "a refusal never asked for": (frame(2, 9, b"\x91\xa4quota"), "protocol-error"),
    "a request id in use": (
        raw(2 * encode_frame(GetRing.NUMBER, 5, encode(GetRing(1)))),
        "protocol-error",
    ),
    "a request without an id": (frame(Ping.NUMBER, 0, b"\x90"), "protocol-error"),
    "a one-way message with an id": (frame(Unwatch.NUMBER, 5, b"\x91\x90"), "protocol-error"),
    "a goodbye with an id": (frame(Goodbye.NUMBER, 5, b"\x91\xa4idle"), "protocol-error"),
    "nested deep": (frame(GetMembers.NUMBER, 1, NESTED), "protocol-error"),
    "nested deep in a field": (frame(PutEnvelopes.NUMBER, 1, b"\x91" + NESTED), "protocol-error"),
    "nested deep behind the fields": (
        frame(Notify.NUMBER, 1, b"\x93\x01\x02" + b"\x91" * 60_000 + b"\xc0"),
        "protocol-error",
    ),
    "a huge array": (frame(PutEnvelopes.NUMBER, 1, b"\x91" + HUGE_ARRAY), "protocol-error"),
    "huge bytes": (frame(PutEnvelopes.NUMBER, 1, b"\x91\x91" + HUGE_BYTES), "protocol-error"),
    "bad UTF-8": (frame(Goodbye.NUMBER, 0, b"\x91\xa2\xff\xff"), "protocol-error"),
    "no MessagePack": (frame(GetRing.NUMBER, 1, b"\xc1"), "protocol-error"),
}


class AbuseCase(SynchronousTestCase):
    """A node with an honest peer, and a stranger."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A fresh network."""
        self.network = MemoryNetwork()
        self.book = Book()
        self.serving = Serving()
        self.node = MemoryNode(self.network, self.book, 1).start(self.serving.procedures)
        self.honest = MemoryNode(self.network, self.book, 2).start({})
        self.assertServed()

    def assertServed(self) -> None:
        """The honest peer is answered."""
        call = self.honest.links.call(self.node.node, Notify(1, 2))
        self.network.settle()
        self.assertEqual(self.successResultOf(call), Done())

    def connected(self) -> Stranger:
        stranger = dial(self.network, self.node.host, link_context())
        self.network.settle()
        return stranger

    def linked(self, number: int = 66) -> Stranger:
        stranger = self.connected()
        stranger.say(stranger.hello(key=key_of(number)))
        self.network.settle()
        return stranger

    def abused(self) -> Iterator[tuple[str, Stranger, bytes, str]]:
        """Each abuse in a fresh network: what, who, the bytes, and the word for it."""
        for first, table in ((self.connected, BEFORE_HELLO), (self.linked, AFTER_HELLO)):
            for what, (abuse, code) in table.items():
                self.begin()
                stranger = first()
                yield f"{what} ({first.__name__})", stranger, abuse(stranger), code


class AbuseTests(AbuseCase):
    """What becomes of the link."""

    def assertTurnedAway(self, stranger: Stranger, code: str, what: str) -> None:
        """Told why, once, in the last frame; hung up on; nobody else noticed."""
        self.network.settle()
        goodbyes = [message for message in stranger.messages if isinstance(message, Goodbye)]
        self.assertEqual([goodbye.code for goodbye in goodbyes], [code], what)
        self.assertIsInstance(stranger.messages[-1], Goodbye, what)
        self.network.advance(CLOSING_SECONDS)
        self.assertIsNotNone(stranger.lost, what)
        self.assertEqual(self.node.counts.sums["links_refused", code], 1, what)
        self.assertEqual(list(self.node.links.up()), [self.honest.node], what)
        self.assertEqual(self.honest.heard.names(), ["up"], what)
        self.assertServed()

    def test_each(self) -> None:
        """From a stranger who has proved nothing, and from a node with a key of its own."""
        for what, stranger, sent, code in self.abused():
            stranger.transport.write(sent)
            self.assertTurnedAway(stranger, code, what)

    def test_a_hello_that_was_good_once(self) -> None:
        """Recorded on one link, it is worth nothing on the next."""
        first = self.connected()
        recorded = encode_frame(Hello.NUMBER, 0, encode(first.hello()))
        first.transport.write(recorded)
        self.network.settle()
        self.assertEqual(len(self.node.links.up()), 2)
        first.transport.abortConnection()
        second = self.connected()
        second.transport.write(recorded)
        self.assertTurnedAway(second, "bad-link-proof", "a replay")

    def test_an_answer_twice(self) -> None:
        """The second one answers nothing."""
        stranger = self.linked()
        call = self.node.links.call(signed_record(key_of(66)).node_id, Ping())
        self.network.settle()
        request_id = stranger.got[-1][0]
        stranger.say(Pong(), request_id)
        stranger.say(Pong(), request_id)
        self.network.settle()
        self.assertEqual(self.successResultOf(call), Pong())
        self.assertTurnedAway(stranger, "protocol-error", "an answer twice")

    def test_answers_nobody_asked_for_by_the_thousand(self) -> None:
        """The first one ends it: the others cost their bytes."""
        stranger = self.linked()
        answer = encode_frame(Ring.NUMBER, 1, encode(Ring(1, True, b"")))
        stranger.transport.write(answer * 5000)
        self.assertTurnedAway(stranger, "protocol-error", "many answers")

    def test_half_a_frame_and_silence(self) -> None:
        """Keeps one frame's bytes and one place, and loses the place to whoever needs it."""
        self.network = MemoryNetwork()
        self.node = MemoryNode(self.network, self.book, 1, max_links=4)
        self.node.start(self.serving.procedures)
        strangers = [self.linked(number) for number in range(66, 70)]
        for stranger in strangers:
            stranger.transport.write(encode_frame(GetRing.NUMBER, 1, bytes(60_000))[:50_000])
        self.network.advance(600)
        self.honest = MemoryNode(self.network, self.book, 2).start({})
        self.assertServed()
        self.network.advance(CLOSING_SECONDS)
        self.assertEqual(len(self.node.links.up()), 4)
        self.assertEqual(sum(stranger.lost is not None for stranger in strangers), 1)

    def test_objects_that_are_not_what_they_should_be(self) -> None:
        """Are refused one by one and noted; the link goes on. Ordinary refusals are not noted."""

        async def put(node: bytes, message: Message) -> Message:
            return PutAnswer((PutResult("stored"), PutResult("stamp-required")))

        async def notify(node: bytes, message: Notify) -> Message:
            raise (Malformed if message.to_index else Quota)("too little")

        self.node.links.serve({PutEnvelopes: put, Notify: notify})
        lines = logged_lines(self)
        stranger = self.linked()
        stranger.say(Notify(0, 0), 1)
        self.network.settle()
        self.assertEqual(lines(), [])
        stranger.say(PutEnvelopes(()), 2)
        stranger.say(Notify(1, 0), 3)
        self.network.settle()
        self.assertEqual(len(stranger.got), 4)
        for code in ("stamp-required", "malformed"):
            self.assertEqual(self.node.counts.sums["links_refused", code], 1)
        self.assertEqual(len(lines()), 1)
        self.assertIsNone(stranger.lost)

    def test_forged_signatures_without_end(self) -> None:
        """Finding out costs more than forging: a few, and the link ends; the next one at once."""

        async def put(node: bytes, message: Message) -> Message:
            return PutAnswer((PutResult("stored"), PutResult("bad-record"), PutResult("full")))

        async def notify(node: bytes, message: Notify) -> Message:
            if message.to_index:
                return Done()
            raise ForgedRecord

        async def records(node: bytes, message: Records) -> None:
            raise ForgedRecord

        async def ring(node: bytes, message: GetRing) -> Message:
            raise ForgedProof

        for sent in (PutEnvelopes(()), Notify(0, 0), GetRing(0), Records(())):
            self.begin()
            self.node.links.serve(
                {PutEnvelopes: put, Notify: notify, Records: records, GetRing: ring}
            )
            stranger = self.linked()
            for number in range(MAX_FORGERIES + 1):
                self.assertIsNone(stranger.lost, sent)
                stranger.say(sent, 0 if isinstance(sent, Records) else number + 1)
                self.network.settle()
            self.assertTurnedAway(stranger, GOODBYE_FORGED, repr(sent))
            again = self.linked()
            # One was earned back in the second that closing took.
            for number in range(2):
                again.say(sent, 0 if isinstance(sent, Records) else number + 1)
                self.network.settle()
            self.assertEqual(getattr(again.messages[-1], "code", ""), GOODBYE_FORGED)

    def test_unknown_requests_do_not_end_a_link(self) -> None:
        """A newer version asks what this one does not know: refused, one by one."""
        stranger = self.linked()
        for request_id in range(1, 50):
            stranger.transport.write(encode_frame(999, request_id, b"\xc1"))
        self.network.settle()
        self.assertEqual(len(stranger.got), 50)
        self.assertIsNone(stranger.lost)


class LogTests(AbuseCase):
    """What an operator reads of it."""

    def test_one_line_for_an_address(self) -> None:
        """However often it comes back; the next line, ten seconds later, has the number."""
        lines = logged_lines(self)
        for _ in range(20):
            stranger = self.connected()
            stranger.transport.write(b"\xff" * 4)
            self.network.settle()
        self.assertEqual(len(lines()), 1)
        self.network.advance(10)
        stranger = self.connected()
        stranger.transport.write(b"\xff" * 4)
        self.network.settle()
        self.assertEqual(len(lines()), 2)
        self.assertIn("20 since the last line", lines()[1])
        self.assertEqual(self.node.counts.sums["links_refused", "protocol-error"], 21)

    def test_a_line_names_the_address_and_the_word(self) -> None:
        """And nothing that was sent: no key, no id, no content."""
        for what, stranger, sent, code in self.abused():
            lines = logged_lines(self)
            stranger.transport.write(sent)
            self.network.settle()
            (line,) = lines()
            self.assertIn(HOST, line)
            self.assertIn(code, line)
            for secret in (signed_record(key_of(66)).node_id, b"GET /", b"\xff\xff"):
                self.assertNotIn(secret.hex(), line, what)
                self.assertNotIn(repr(secret)[2:-1], line, what)
            self.assertLess(len(line), 300, what)
