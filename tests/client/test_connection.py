"""One connection: what is asked, what is answered, and how it ends."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.client.address import NodeAddress
from tace.client.connection import (
    ANSWER_SECONDS,
    OPENING_SECONDS,
    PONG_SECONDS,
    QUIET_SECONDS,
    Connection,
)
from tace.errors import (
    LinkLost,
    NotStored,
    ProtocolError,
    RateLimited,
    TaceError,
    TimedOut,
    TooMany,
)
from tace.wire.client import (
    HEAD_BYTES,
    CaughtUp,
    Challenge,
    ClientDone,
    ClientPing,
    ClientPong,
    ClientRecord,
    ClientRefused,
    Defer,
    FindRecord,
    Push,
    encode_client_message,
    split_client_message,
)
from tace.wire.message import Message
from tace.wire.objects import ENVELOPE_BYTES
from tests.client.fakes import START_SECONDS

ADDRESS = NodeAddress.parse("http://127.0.0.1:8080")
KEY = bytes(32)


class Wire:
    """A carrier that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


class Events:
    """What came unasked."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def pushed(self, envelope: bytes) -> None:
        self.seen.append(envelope)

    def caught_up(self, mailbox: bytes, complete: bool) -> None:
        self.seen.append((mailbox, complete))

    def connection_lost(self, reason: TaceError) -> None:
        self.seen.append(type(reason))


class Connections(SynchronousTestCase):
    """A connection over a carrier that is none."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START_SECONDS)
        self.wire = Wire()
        self.events = Events()
        self.connection = Connection(ADDRESS, self.wire, self.clock)
        self.connection.events = self.events

    def challenge(self, **changes: Any) -> Challenge:
        fields: dict[str, Any] = {
            "challenge": bytes(32),
            "clock_ms": int(self.clock.seconds() * 1000) + 5000,
            "network_id": bytes(32),
            "node_id": bytes(32),
            "names": (ADDRESS.origin,),
            "versions": (1,),
            "software": "test",
            "requests_stamp_bits": 18,
            "max_lifetime_hours": 720,
            "requests_in_flight": 2,
        }
        return Challenge(**{**fields, **changes})

    def say(self, message: Message, request_id: int = 0) -> None:
        self.connection.received(encode_client_message(message, request_id))

    def open(self) -> None:
        self.say(self.challenge())

    def last_request_id(self) -> int:
        return split_client_message(self.wire.sent[-1])[1]

    def test_the_node_speaks_first(self) -> None:
        """The challenge opens it, whether it comes before or after somebody waits for it."""
        opened = self.connection.opened()
        self.assertNoResult(opened)
        self.open()
        self.assertEqual(self.successResultOf(opened).software, "test")
        self.assertEqual(self.successResultOf(self.connection.opened()).software, "test")
        self.assertEqual(self.connection.node_seconds, START_SECONDS + 5.0)
        self.clock.advance(1.0)
        self.assertEqual(self.connection.node_seconds, START_SECONDS + 6.0)

    def test_anything_else_first(self) -> None:
        """A node that begins with something else is none."""
        opened = self.connection.opened()
        self.say(ClientDone())
        self.failureResultOf(opened, ProtocolError)
        self.assertTrue(self.wire.closed)

    def test_a_refusal_first(self) -> None:
        """A node may say why it will not."""
        opened = self.connection.opened()
        self.say(ClientRefused("rate-limited", "later", 500))
        error = self.failureResultOf(opened, RateLimited).value
        self.assertEqual(error.retry_after_ms, 500)

    def test_silence_first(self) -> None:
        """A node that says nothing for 5 s is given up."""
        opened = self.connection.opened()
        self.clock.advance(OPENING_SECONDS)
        self.failureResultOf(opened, TimedOut)
        self.assertTrue(self.wire.closed)

    def test_bad_challenges(self) -> None:
        """A clock a day off, or no version in common."""
        for changes in (
            {"clock_ms": int((START_SECONDS + 86_401) * 1000)},
            {"clock_ms": int((START_SECONDS - 86_401) * 1000)},
            {"versions": (2,)},
        ):
            self.setUp()
            opened = self.connection.opened()
            self.say(self.challenge(**changes))
            self.failureResultOf(opened, ProtocolError)
            self.assertTrue(self.connection.lost)

    def test_answers_find_their_requests(self) -> None:
        """In whatever order they come."""
        self.open()
        one = self.connection.request(FindRecord(KEY))
        first = self.last_request_id()
        other = self.connection.request(FindRecord(KEY))
        second = self.last_request_id()
        self.assertNotEqual(first, second)
        self.say(ClientRecord(b"second"), second)
        self.assertNoResult(one)
        self.say(ClientRefused("not-stored", "", 0), first)
        self.failureResultOf(one, NotStored)
        self.assertEqual(self.successResultOf(other).record, b"second")

    def test_the_bound_on_requests(self) -> None:
        """No more are under way than the node takes."""
        self.open()
        waiting = [self.connection.request(FindRecord(KEY)) for _ in range(2)]
        self.failureResultOf(self.connection.request(FindRecord(KEY)), TooMany)
        waiting[0].addErrback(lambda _: None)
        waiting[0].cancel()
        more = self.connection.request(FindRecord(KEY))
        self.assertNoResult(more)

    def test_an_answer_nobody_waits_for(self) -> None:
        """It may belong to a request that was cancelled; nothing happens."""
        self.open()
        self.say(ClientRecord(b""), 77)
        self.assertFalse(self.connection.lost)

    def test_the_wrong_answer(self) -> None:
        """An answer of another kind is the node's fault and ends the connection."""
        self.open()
        asked = self.connection.request(FindRecord(KEY))
        self.say(ClientDone(), self.last_request_id())
        self.failureResultOf(asked, ProtocolError)
        self.assertTrue(self.connection.lost)

    def test_no_answer(self) -> None:
        """After 10 s the connection is given up, and every request on it fails."""
        self.open()
        one = self.connection.request(FindRecord(KEY))
        self.clock.advance(ANSWER_SECONDS / 2)
        other = self.connection.request(FindRecord(KEY))
        self.clock.advance(ANSWER_SECONDS / 2)
        self.failureResultOf(one, TimedOut)
        self.failureResultOf(other, TimedOut)
        self.failureResultOf(self.connection.request(FindRecord(KEY)), LinkLost)
        self.assertEqual(self.events.seen, [TimedOut])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_garbage(self) -> None:
        """Bytes that are no message end the connection, with the one error for it."""
        for garbage in (
            b"",
            b"\0" * (HEAD_BYTES - 1),
            encode_client_message(Push(bytes(ENVELOPE_BYTES)), 0)[:-1],
            b"\xff" * 70_000,
        ):
            self.setUp()
            self.open()
            self.connection.received(garbage)
            self.assertEqual(self.events.seen, [ProtocolError])

    def test_an_unknown_message(self) -> None:
        """A newer node may say what this version does not know."""
        self.open()
        self.connection.received((999).to_bytes(2) + bytes(4) + b"\x90")
        self.assertFalse(self.connection.lost)

    def test_what_is_pushed(self) -> None:
        """Messages, and the mark that there are no more, go to whoever listens."""
        self.open()
        self.say(Push(bytes(ENVELOPE_BYTES)))
        self.say(CaughtUp(KEY, False))
        self.assertEqual(self.events.seen, [bytes(ENVELOPE_BYTES), (KEY, False)])

    def test_the_node_says_goodbye(self) -> None:
        """The reason it gives is what requests fail with."""
        self.open()
        asked = self.connection.request(FindRecord(KEY))
        self.say(ClientRefused("rate-limited", "too much"))
        self.failureResultOf(asked, RateLimited)
        self.assertEqual(self.events.seen, [RateLimited])

    def test_the_carrier_breaks(self) -> None:
        """Every request fails, once; what comes after is not heard."""
        self.open()
        asked = self.connection.request(FindRecord(KEY))
        self.connection.carrier_lost("reset")
        self.connection.carrier_lost("reset again")
        self.say(Push(bytes(ENVELOPE_BYTES)))
        self.failureResultOf(asked, LinkLost)
        self.assertEqual(self.events.seen, [LinkLost])
        self.connection.tell(Defer((KEY,)))
        self.assertEqual(len(self.wire.sent), 1)

    def test_silence(self) -> None:
        """After 20 quiet seconds it pings; without a pong in 5 it is over."""
        self.open()
        self.clock.advance(QUIET_SECONDS)
        number, ping, _ = split_client_message(self.wire.sent[-1])
        self.assertEqual(number, ClientPing.NUMBER)
        self.say(ClientPong(int((START_SECONDS + 100) * 1000)), ping)
        self.assertEqual(self.connection.node_seconds, START_SECONDS + 100)
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(len(self.wire.sent), 2)
        self.clock.advance(PONG_SECONDS)
        self.assertTrue(self.connection.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_ping_while_there_is_traffic(self) -> None:
        """Any byte counts."""
        self.open()
        for _ in range(10):
            self.clock.advance(QUIET_SECONDS / 2)
            self.say(Push(bytes(ENVELOPE_BYTES)))
        self.assertEqual(self.wire.sent, [])


class Addresses(SynchronousTestCase):
    """The address of a node, as people write it."""

    def test_the_same_in_several_ways(self) -> None:
        """Default ports, slashes and case make no difference."""
        for ways, origin, socket in (
            (
                (
                    "http://127.0.0.1:8080",
                    "ws://127.0.0.1:8080/",
                    "HTTP://127.0.0.1:8080/v1/socket",
                ),
                "http://127.0.0.1:8080",
                "ws://127.0.0.1:8080/v1/socket",
            ),
            (
                ("https://Node.Example", "wss://node.example:443/"),
                "https://node.example",
                "wss://node.example/v1/socket",
            ),
            (("http://[::1]:8080",), "http://[::1]:8080", "ws://[::1]:8080/v1/socket"),
        ):
            found = {NodeAddress.parse(way) for way in ways}
            self.assertEqual(len(found), 1)
            (address,) = found
            self.assertEqual((address.origin, address.socket_url), (origin, socket))

    def test_not_an_address(self) -> None:
        """Each with one line that says what is wrong."""
        for text in (
            "127.0.0.1:8080",
            "ftp://node",
            "http://",
            "http://node:99999",
            "http://user@node",
            "http://node/other",
            "http://" + "n" * 200,
        ):
            with self.assertRaises(ValueError):
                NodeAddress.parse(text)
