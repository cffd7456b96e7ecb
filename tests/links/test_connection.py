"""One link against a peer that does not do what it should."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost, TimedOut, TooMany
from tace.identity.link_proof import Role
from tace.links.connection import CLOSING_SECONDS
from tace.links.reading import MAX_SLOW_READERS, STALLED_SECONDS
from tace.wire.framing import MAX_BODY_BYTES, encode_frame
from tace.wire.message import Message, encode
from tace.wire.peer import (
    Done,
    GetRecord,
    GetRing,
    Goodbye,
    Hello,
    Notify,
    Ping,
    Pong,
    RecordAnswer,
    Refused,
    Ring,
    Unwatch,
)
from tests.links.contract import Serving
from tests.links.fakes import MemoryNetwork
from tests.links.nodes import Book, MemoryNode, key_of, signed_record
from tests.links.stranger import HOST, Stranger, dial, listen
from tests.links.test_tls import link_context


class StrangerTests(SynchronousTestCase):
    """A node, and a stranger who speaks TLS."""

    settings: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.book = Book()
        self.serving = Serving()
        self.node = MemoryNode(self.network, self.book, 1, **self.settings)
        self.node.start(self.serving.procedures)

    def stranger(self) -> Stranger:
        """Connected, with TLS up, and silent."""
        stranger = dial(self.network, self.node.host, link_context())
        self.network.settle()
        self.assertTrue(stranger.handshaken)
        return stranger

    def linked(self) -> Stranger:
        """One whose hello was good."""
        stranger = self.stranger()
        stranger.say(stranger.hello())
        self.network.settle()
        self.assertTrue(self.node.links.is_up(signed_record(key_of(66)).node_id))
        return stranger

    def assertTurnedAway(self, stranger: Stranger, code: str) -> None:
        """Told why, in one frame behind the hello, and hung up on."""
        self.network.advance(CLOSING_SECONDS)
        goodbye = stranger.messages[-1]
        assert isinstance(goodbye, Goodbye)
        self.assertEqual(goodbye.code, code)
        self.assertIsNotNone(stranger.lost)
        self.assertEqual(list(self.node.links.up()), [])


class HelloTests(StrangerTests):
    """Before anyone is believed."""

    def test_good(self) -> None:
        """The node says hello without waiting for ours; it signs as the side that listened."""
        stranger = self.linked()
        (hello,) = stranger.messages
        assert isinstance(hello, Hello)
        self.assertEqual(hello.record, self.node.record.encoded)

    def test_wrong_network(self) -> None:
        """Another network's hello."""
        stranger = self.stranger()
        stranger.say(stranger.hello(network_id=b"\x78" * 32))
        self.assertTurnedAway(stranger, "wrong-network")

    def test_wrong_version(self) -> None:
        """A version from the future."""
        stranger = self.stranger()
        stranger.say(stranger.hello(versions=(9,)))
        self.assertTurnedAway(stranger, "wrong-version")

    def test_a_record_without_its_key(self) -> None:
        """A certificate of one's own and somebody else's record prove nothing."""
        stranger = self.stranger()
        stranger.say(stranger.hello(record=signed_record(key_of(67))))
        self.assertTurnedAway(stranger, "bad-link-proof")

    def test_signed_for_the_other_role(self) -> None:
        """The side that dialled signs as the side that dialled."""
        stranger = self.stranger()
        stranger.say(stranger.hello(role=Role.LISTENED))
        self.assertTurnedAway(stranger, "bad-link-proof")

    def test_our_own_hello_sent_back(self) -> None:
        """A mirror is not a node."""
        stranger = self.stranger()
        stranger.say(stranger.messages[0])
        self.assertTurnedAway(stranger, "wrong-node")

    def test_a_hello_relayed_from_another_session(self) -> None:
        """A stranger between two nodes, with a TLS session to each, can pass nothing on."""
        other = MemoryNode(self.network, self.book, 2, addresses=(f"{HOST}:6512",))
        other.start({})
        fronts: list[Stranger] = []
        listen(self.network, link_context(), fronts.append)
        call = self.node.links.call(other.node, Ping())
        self.network.settle()
        back = dial(self.network, other.host, link_context())
        self.network.settle()
        (front,) = fronts
        front.say(back.messages[0])
        back.say(front.messages[0])
        self.network.advance(CLOSING_SECONDS)
        error = self.failureResultOf(call, LinkLost)
        self.assertIn("bad-link-proof", str(error.value))
        for stranger in (front, back):
            goodbye = stranger.messages[-1]
            assert isinstance(goodbye, Goodbye)
            self.assertEqual(goodbye.code, "bad-link-proof")

    def test_something_else_first(self) -> None:
        """Nothing is answered before the hello, not even a ping."""
        stranger = self.stranger()
        stranger.say(Ping(), 1)
        self.assertTurnedAway(stranger, "protocol-error")

    def test_too_late(self) -> None:
        """TLS alone buys five seconds."""
        stranger = self.stranger()
        self.network.advance(4.9)
        self.assertIsNone(stranger.lost)
        self.network.advance(0.2)
        self.assertIsNotNone(stranger.lost)
        self.assertEqual(len(stranger.messages), 1)

    def test_half_a_hello(self) -> None:
        """Half a frame holds nothing up for longer than a whole one."""
        stranger = self.stranger()
        hello = encode(stranger.hello())
        stranger.transport.write(encode_frame(Hello.NUMBER, 0, hello)[:100])
        self.network.advance(5.1)
        self.assertIsNotNone(stranger.lost)

    def test_a_hello_in_small_pieces(self) -> None:
        """Slowly, but in time."""
        stranger = self.stranger()
        for byte in encode_frame(Hello.NUMBER, 0, encode(stranger.hello())):
            stranger.transport.write(bytes([byte]))
            self.network.settle()
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_too_long_before_the_hello(self) -> None:
        """Four bytes of length are enough to be turned away."""
        stranger = self.stranger()
        stranger.transport.write((5000).to_bytes(4))
        self.assertTurnedAway(stranger, "protocol-error")

    def test_requests_right_behind_the_hello(self) -> None:
        """In one write: the link is told of first, then the request is answered."""
        stranger = self.stranger()
        stranger.say(stranger.hello())
        stranger.say(Notify(1, 2), 5)
        self.network.settle()
        self.assertEqual(stranger.got[-1], (5, Done()))
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_a_clock_that_is_off(self) -> None:
        """Counted and logged from ten minutes on; the link is good all the same."""
        for seconds, flagged in ((500, 0), (-700, 1), (7200, 2)):
            stranger = self.stranger()
            stranger.say(stranger.hello(clock_seconds=1_700_000_000 + seconds))
            self.network.settle()
            self.assertEqual(self.node.counts.sums.get(("links_with_other_time",), 0), flagged)


class SessionTests(StrangerTests):
    """A proven peer that breaks the rules."""

    def test_too_long_after_the_hello(self) -> None:
        """64 KiB and no more."""
        stranger = self.linked()
        stranger.transport.write((MAX_BODY_BYTES + 7).to_bytes(4))
        self.assertTurnedAway(stranger, "protocol-error")

    def test_an_answer_nobody_asked_for(self) -> None:
        """Told so, and hung up on."""
        stranger = self.linked()
        stranger.say(Pong(), 1)
        self.assertTurnedAway(stranger, "protocol-error")

    def test_the_wrong_answer(self) -> None:
        """The call fails, the link is closed."""
        stranger = self.linked()
        call = self.node.links.call(signed_record(key_of(66)).node_id, Ping())
        self.network.settle()
        stranger.say(Ring(1, True, b""), stranger.got[-1][0])
        self.assertTurnedAway(stranger, "protocol-error")
        self.failureResultOf(call, LinkLost)

    def test_unknown_messages(self) -> None:
        """A request is refused, a one-way message ignored; the link stays."""
        stranger = self.linked()
        stranger.transport.write(encode_frame(250, 9, b"\x90") + encode_frame(250, 0, b"\x90"))
        self.network.settle()
        request_id, refused = stranger.got[-1]
        assert isinstance(refused, Refused)
        self.assertEqual((request_id, refused.code), (9, "unknown-message"))
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_cut_in_the_middle_of_a_frame(self) -> None:
        """A lost connection, nothing else."""
        stranger = self.linked()
        stranger.transport.write(encode_frame(Ping.NUMBER, 1, encode(Ping()))[:6])
        self.network.settle()
        stranger.transport.abortConnection()
        self.network.settle()
        self.assertEqual(self.node.heard.names(), ["up", "lost"])

    def test_goodbye(self) -> None:
        """What is in flight fails with its word; the node hangs up too."""
        stranger = self.linked()
        call = self.node.links.call(signed_record(key_of(66)).node_id, Ping())
        self.network.settle()
        stranger.say(Goodbye("draining", "back soon"))
        self.network.settle()
        error = self.failureResultOf(call, LinkLost)
        self.assertIn("draining back soon", str(error.value))
        self.assertIsNotNone(stranger.lost)
        self.assertEqual(self.node.heard.names(), ["up", "lost"])

    def test_closed_while_a_hello_is_awaited(self) -> None:
        """Whoever waits for the link is told at once; a hello that comes late harms nobody."""
        strangers: list[Stranger] = []
        listen(self.network, link_context(), strangers.append)
        introduced = self.node.links.introduce(f"{HOST}:6512")
        self.network.settle()
        closed = self.node.links.close()
        self.failureResultOf(introduced, LinkLost)
        self.network.settle()
        self.successResultOf(closed)
        self.assertIsNotNone(strangers[0].lost)

    def test_a_peer_that_does_not_close(self) -> None:
        """A goodbye is not waited on for ever."""
        stranger = self.linked()
        self.network.freeze(HOST)
        closed = self.node.links.close()
        self.network.advance(CLOSING_SECONDS + 0.1)
        self.successResultOf(closed)
        self.assertIsNone(stranger.lost)

    def test_one_way_messages_without_a_procedure(self) -> None:
        """Are nobody's business."""
        node = MemoryNode(self.network, self.book, 3).start({})
        other = self.serving
        self.node.links.call(node.node, Ping())
        self.network.settle()
        self.assertTrue(self.node.links.send(node.node, Unwatch(())))
        self.network.settle()
        self.assertEqual((other.asked, node.heard.names()), ([], ["up"]))

    def test_a_one_way_procedure_that_fails(self) -> None:
        """Is logged and counted; the link stays."""

        async def fail(node: bytes, message: Message) -> None:
            raise ValueError("in here")

        node = MemoryNode(self.network, self.book, 3).start({Unwatch: fail})
        self.node.links.call(node.node, Ping())
        self.network.settle()
        self.node.links.send(node.node, Unwatch(()))
        self.network.settle()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(node.counts.sums["link_procedures_failed", "Unwatch"], 1)
        self.assertEqual(node.heard.names(), ["up"])


class FlowTests(StrangerTests):
    """Who asks without end, or does not read."""

    settings: ClassVar[dict[str, Any]] = {
        "max_requests_in_flight": 8,
        "max_unsent_bytes": 256 * 1024,
    }

    def test_requests_in_flight_are_bounded_there(self) -> None:
        """The ninth of eight is refused, the others are still answered."""
        stranger = self.linked()
        for request_id in range(1, 10):
            stranger.say(GetRecord(b"k" * 32), request_id)
        self.network.settle()
        answered = [message for message in stranger.messages if isinstance(message, RecordAnswer)]
        self.assertEqual(len(answered), 9)
        for request_id in range(1, 10):
            stranger.say(GetRing(1), request_id)
        self.network.settle()
        request_id, refused = stranger.got[-1]
        assert isinstance(refused, Refused)
        self.assertEqual((request_id, refused.code), (9, "too-many"))
        self.assertEqual(len(self.serving.waiting), 8)

    def test_requests_in_flight_are_bounded_here(self) -> None:
        """Calls beyond that fail at once; a timed-out one keeps its place until it is answered."""
        stranger = self.linked()
        node = signed_record(key_of(66)).node_id
        calls = [self.node.links.call(node, Ping(), timeout_seconds=1) for _ in range(8)]
        self.failureResultOf(self.node.links.call(node, Ping()), TooMany)
        self.network.advance(1.1)
        for call in calls:
            self.failureResultOf(call, TimedOut)
        self.failureResultOf(self.node.links.call(node, Ping()), TooMany)
        stranger.say(Pong(), 3)
        self.network.settle()
        again: Deferred[Any] = self.node.links.call(node, Ping())
        self.assertNoResult(again)
        again.addErrback(lambda _: None)

    def ask_for_much(self, stranger: Stranger, requests: int, first_id: int = 1) -> None:
        """Requests with answers of 8 kB, each of its own read."""

        async def answer(node: bytes, message: Message) -> Message:
            self.answered += 1
            return RecordAnswer(bytes(8000))

        self.answered = 0
        self.node.links.serve({GetRecord: answer})
        for request_id in range(first_id, first_id + requests):
            stranger.say(GetRecord(b"k" * 32), request_id)
            self.network.settle()

    def hold(self, stranger: Stranger) -> Callable[[], None]:
        """From now on the stranger does not read; undo with what is returned."""
        transport = stranger.transport.transport.other
        deliver = transport.deliver
        transport.deliver = lambda: False

        def go_on() -> None:
            transport.deliver = deliver
            self.network.settle()

        return go_on

    def test_a_slow_reader_slows_its_sender(self) -> None:
        """Its requests are not read while the answers to earlier ones wait; none is lost."""
        stranger = self.linked()
        go_on = self.hold(stranger)
        self.ask_for_much(stranger, 200)
        # What is kept at most, what the transports hold besides, and one answer beyond.
        self.assertLess(self.answered * 8000, 128 * 1024 + 2 * 128 * 1024)
        waiting = len(stranger.transport.transport._out)
        self.assertGreater(waiting, 0)
        self.assertEqual(self.node.counts.sums["link_reading_stopped",], 1)
        go_on()
        answers = [message for message in stranger.messages if isinstance(message, RecordAnswer)]
        self.assertEqual(len(answers), 200)
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_requests_of_one_read_are_held_back_too(self) -> None:
        """However many came at once: they stay bytes until there is room for their answers."""
        stranger = self.linked()
        go_on = self.hold(stranger)
        self.ask_for_much(stranger, 60)
        answered = self.answered
        for request_id in range(100, 300):
            stranger.say(GetRecord(b"k" * 32), request_id)
        self.network.settle()
        self.assertEqual(self.answered, answered)
        go_on()
        self.assertEqual(self.answered, 260)

    def test_a_slow_reader_slows_nobody_else(self) -> None:
        """Another peer is answered as before."""
        other = MemoryNode(self.network, self.book, 2).start({})
        stranger = self.linked()
        self.hold(stranger)
        self.ask_for_much(stranger, 100)
        call = other.links.call(self.node.node, Notify(1, 2))
        self.network.settle()
        self.assertEqual(self.successResultOf(call), Done())

    def test_who_is_asked_something_is_read(self) -> None:
        """Two sides never wait for each other to read: whoever waits for an answer reads, also
        what was held back of an earlier read."""
        stranger = self.linked()
        go_on = self.hold(stranger)
        self.ask_for_much(stranger, 20)
        for request_id in range(100, 200):
            stranger.say(GetRecord(b"k" * 32), request_id)
        self.network.settle()
        self.assertLess(self.answered, 120)
        call = self.node.links.call(signed_record(key_of(66)).node_id, Ping())
        self.network.settle()
        go_on()
        answers = (RecordAnswer, Refused)
        self.assertEqual(sum(isinstance(one, answers) for one in stranger.messages), 120)
        stranger.say(Pong(), 1)
        self.network.settle()
        self.assertEqual(self.successResultOf(call), Pong())
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_two_sides_that_both_send_much(self) -> None:
        """Each asks the other for more than fits any buffer: all is answered in the end."""

        async def answer(node: bytes, message: Message) -> Message:
            return RecordAnswer(bytes(8000))

        nodes = [
            MemoryNode(self.network, self.book, number, max_requests_in_flight=1000)
            for number in (2, 3)
        ]
        for node in nodes:
            node.start({GetRecord: answer})
        one, two = nodes
        calls = []
        for _ in range(500):
            calls.append(one.links.call(two.node, GetRecord(b"k" * 32)))
            calls.append(two.links.call(one.node, GetRecord(b"k" * 32)))
        self.network.advance(1)
        for call in calls:
            self.assertEqual(self.successResultOf(call), RecordAnswer(bytes(8000)))

    def test_refused_when_it_must_be_read_from(self) -> None:
        """A peer that keeps a request of ours unanswered is refused, not served, when half of what
        may wait does."""
        stranger = self.linked()
        self.node.links.call(signed_record(key_of(66)).node_id, Ping()).addErrback(lambda _: None)
        go_on = self.hold(stranger)
        self.ask_for_much(stranger, 200)
        self.assertLess(self.answered * 8000, 128 * 1024 + 2 * 128 * 1024)
        go_on()
        refused = [message for message in stranger.messages if isinstance(message, Refused)]
        self.assertEqual(len(refused), 200 - self.answered)
        self.assertEqual({message.code for message in refused}, {"too-many"})
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_a_peer_that_asks_and_never_reads(self) -> None:
        """Is cut off when it has taken nothing for half a minute."""
        stranger = self.linked()
        self.hold(stranger)
        self.ask_for_much(stranger, 100)
        self.network.advance(STALLED_SECONDS - 0.1)
        self.assertEqual(self.node.heard.names(), ["up"])
        self.network.advance(0.2)
        self.assertEqual(self.node.heard.names(), ["up", "lost"])
        self.assertEqual(self.node.counts.sums["links_ended", "reads-too-slowly"], 1)

    def test_one_that_must_be_read_from_and_never_reads(self) -> None:
        """The same for a peer that keeps a request of ours unanswered: it goes on asking, is
        refused, and takes nothing."""
        stranger = self.linked()
        self.node.links.call(signed_record(key_of(66)).node_id, Ping()).addErrback(lambda _: None)
        self.hold(stranger)
        self.ask_for_much(stranger, 100)
        for request_id in range(1000, 1000 + int(STALLED_SECONDS)):
            self.assertEqual(self.node.heard.names(), ["up"])
            stranger.say(Notify(1, 2), request_id)
            self.network.advance(1)
        self.network.advance(0.1)
        self.assertEqual(self.node.heard.names(), ["up", "lost"])
        self.assertEqual(self.node.counts.sums["links_ended", "reads-too-slowly"], 1)

    def test_closing_a_link_that_is_not_read_from(self) -> None:
        """Leaves nothing behind, no timer either."""
        stranger = self.linked()
        self.hold(stranger)
        self.ask_for_much(stranger, 100)
        closed = self.node.links.close()
        self.network.advance(CLOSING_SECONDS + 0.1)
        self.successResultOf(closed)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_a_peer_that_reads_slowly_keeps_its_link(self) -> None:
        """What its transport gathers, every twenty seconds, is enough."""
        stranger = self.linked()
        transport = stranger.transport.transport.other
        deliver = transport.deliver
        transport.deliver = lambda: False
        transport.fragment = 70_000
        self.ask_for_much(stranger, 100)
        for _ in range(5):
            self.network.advance(20)
            for _ in range(4):
                deliver()
        self.assertEqual(self.node.heard.names(), ["up"])

    def test_refusals_alone_can_be_too_much(self) -> None:
        """A peer that reads nothing and must be read from is cut off at the bound."""
        stranger = self.linked()
        self.node.links.call(signed_record(key_of(66)).node_id, Ping()).addErrback(lambda _: None)
        self.hold(stranger)
        self.ask_for_much(stranger, 60)
        request_id = 1000
        while self.node.heard.names() == ["up"] and request_id < 20_000:
            for _ in range(500):
                request_id += 1
                stranger.say(GetRecord(b"k" * 32), request_id)
            self.network.settle()
        self.assertEqual(self.node.heard.names(), ["up", "lost"])
        self.assertEqual(self.node.counts.sums["links_ended", "reads-too-slowly"], 1)

    def test_calls_to_a_peer_that_does_not_read(self) -> None:
        """Fail at once when too much waits; one-way messages are not sent."""
        stranger = self.linked()
        stranger.transport.transport.other.deliver = lambda: False
        node = signed_record(key_of(66)).node_id
        while self.node.links.send(node, Unwatch((b"m" * 32,) * 64)):
            self.network.settle()
        self.failureResultOf(self.node.links.call(node, Ping()), TooMany)
        self.assertTrue(self.node.links.is_up(node))

    def test_a_slow_replica_slows_nobody_else(self) -> None:
        """Calls over other links go out and come back while one link takes nothing."""
        other = MemoryNode(self.network, self.book, 2).start(self.serving.procedures)
        stranger = self.linked()
        stranger.transport.transport.other.deliver = lambda: False
        slow = signed_record(key_of(66)).node_id
        while self.node.links.send(slow, Unwatch((b"m" * 32,) * 64)):
            self.network.settle()
        call = self.node.links.call(other.node, Notify(1, 2))
        self.network.settle()
        self.assertEqual(self.successResultOf(call), Done())

    def test_back_pressure_ends(self) -> None:
        """What was kept goes out when the peer reads again."""
        stranger = self.linked()
        transport = stranger.transport.transport.other
        deliver = transport.deliver
        transport.deliver = lambda: False
        node = signed_record(key_of(66)).node_id
        sent = 0
        while sent < 100 and self.node.links.send(node, Unwatch((b"m" * 32,) * 64)):
            self.network.settle()
            sent += 1
        transport.deliver = deliver
        self.network.settle()
        arrived = [message for message in stranger.messages if isinstance(message, Unwatch)]
        self.assertEqual(len(arrived), sent)


class ManySlowReadersTests(StrangerTests):
    """More peers that do not read, and cannot be left unread, than may lag."""

    settings: ClassVar[dict[str, Any]] = {
        "max_requests_in_flight": 8,
        "max_unsent_bytes": 4 * 1024 * 1024,
    }

    def test_together_they_hold_little(self) -> None:
        """So many may have half of the bound wait for them, the others 256 KiB; a place that
        becomes free is the next one's."""

        async def answer(node: bytes, message: Message) -> Message:
            return RecordAnswer(bytes(8000))

        self.node.links.serve({GetRecord: answer})
        strangers = [self.slow(200 - number) for number in range(MAX_SLOW_READERS + 4)]
        for stranger, _ in strangers:
            self.ask(stranger, 300)
        waiting = [stranger.transport.transport.other for stranger, _ in strangers]
        kept = [self.kept(transport) for transport in waiting]
        self.assertEqual(sum(size > 1024 * 1024 for size in kept), MAX_SLOW_READERS)
        self.assertEqual(sum(size < 300 * 1024 for size in kept), 4)
        _, go_on = strangers[0]
        go_on()
        last, _ = strangers[-1]
        self.ask(last, 300)
        self.assertGreater(self.kept(waiting[-1]), 1024 * 1024)

    def slow(self, number: int) -> tuple[Stranger, Callable[[], None]]:
        """A node that owes us an answer and reads nothing, and how it begins to read."""
        stranger = self.stranger()
        stranger.say(stranger.hello(key=key_of(number)))
        self.network.settle()
        node = signed_record(key_of(number)).node_id
        self.node.links.call(node, Ping(), timeout_seconds=600).addErrback(lambda _: None)
        transport = stranger.transport.transport.other
        deliver = transport.deliver
        transport.deliver = lambda: False

        def go_on() -> None:
            transport.deliver = deliver
            self.network.settle()

        return stranger, go_on

    def ask(self, stranger: Stranger, requests: int) -> None:
        for request_id in range(1000, 1000 + requests):
            stranger.say(GetRecord(b"k" * 32), request_id)
        self.network.settle()

    def kept(self, transport: Any) -> int:
        """What waits in the node for the peer behind a transport."""
        unsent: int = transport.protocol.wrappedProtocol._out.unsent_bytes
        return unsent


class TransportTests(StrangerTests):
    """What a link does to its socket."""

    def test_no_delay(self) -> None:
        """TCP_NODELAY on both sides: Nagle costs 40 ms."""
        other = MemoryNode(self.network, self.book, 2).start({})
        self.node.links.call(other.node, Ping())
        self.network.settle()
        self.assertEqual([one.no_delay for one in self.network.transports], [True, True])

    def test_one_write_a_turn(self) -> None:
        """A hundred requests of one turn leave in one TLS record; so do their answers."""
        other = MemoryNode(self.network, self.book, 2).start(self.serving.procedures)
        self.node.links.call(other.node, Ping())
        self.network.settle()
        near, far = self.network.transports
        before = near.sent_bytes, far.sent_bytes
        calls = [self.node.links.call(other.node, Notify(1, 2)) for _ in range(100)]
        self.network.settle()
        for call in calls:
            self.successResultOf(call)
        record_overhead = 5 + 1 + 16
        frame_bytes = 10 + 3
        self.assertEqual(near.sent_bytes - before[0], 100 * frame_bytes + record_overhead)
        self.assertEqual(far.sent_bytes - before[1], 100 * (10 + 1) + record_overhead)


class SilenceTests(StrangerTests):
    """Links that nothing comes over."""

    def test_a_request_that_times_out_puts_the_link_in_doubt(self) -> None:
        """Unguarded, half open: found out by the first request, not after TCP's quarter hour."""
        self.linked()
        node = signed_record(key_of(66)).node_id
        self.network.freeze(HOST)
        self.network.advance(100)
        self.assertTrue(self.node.links.is_up(node))
        call = self.node.links.call(node, Ping())
        self.network.advance(2.6)
        self.failureResultOf(call, TimedOut)
        self.network.advance(1.1)
        self.assertFalse(self.node.links.is_up(node))
        self.assertEqual(self.node.counts.sums["links_ended", "silent"], 1)

    def test_a_doubted_link_that_answers(self) -> None:
        """A peer that is only slow with one request keeps its link."""
        stranger = self.linked()
        node = signed_record(key_of(66)).node_id
        call = self.node.links.call(node, Notify(1, 2))
        self.network.advance(2.6)
        self.failureResultOf(call, TimedOut)
        request_id, ping = stranger.got[-1]
        self.assertEqual(ping, Ping())
        stranger.say(Pong(), request_id)
        self.network.advance(60)
        self.assertTrue(self.node.links.is_up(node))
        self.assertEqual(stranger.messages.count(Ping()), 1)

    def test_pings_only_when_silent(self) -> None:
        """A guarded peer that talks is not pinged; one that only answers is, each second or two."""
        stranger = self.linked()
        self.node.links.guard([signed_record(key_of(66)).node_id])
        for _ in range(10):
            stranger.say(Unwatch(()))
            self.network.advance(0.5)
        self.assertNotIn(Ping(), stranger.messages)
        times = []
        for number in range(1, 6):
            while stranger.messages.count(Ping()) < number:
                # In steps: a clock that jumps says that this node's own loop lags.
                self.network.advance(0.03)
            times.append(self.network.clock.seconds())
            request_id, _ = stranger.got[-1]
            stranger.say(Pong(), request_id)
            self.network.settle()
        gaps = [later - before for before, later in itertools.pairwise(times)]
        self.assertTrue(all(1.0 <= gap < 2.1 for gap in gaps), gaps)

    def test_a_stalled_loop_condemns_nobody(self) -> None:
        """Our own loop stood still for a minute: what waits to be read counts first."""
        stranger = self.linked()
        self.node.links.guard([signed_record(key_of(66)).node_id])
        self.network.advance(1.5)
        request_id, _ = stranger.got[-1]
        stranger.say(Pong(), request_id)
        self.network.clock.advance(60)
        self.network.settle()
        self.assertEqual(self.node.heard.names(), ["up"])
