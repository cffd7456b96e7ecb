"""The production links over simulated sockets keep the contract, and sockets behave as TCP does."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, cast

from twisted.internet.error import CannotListenError, TCPTimedOutError
from twisted.trial.unittest import SynchronousTestCase

from tace.config import LinksSettings
from tace.errors import LinkLost, TimedOut
from tace.links.service import PeerLinks
from tace.simulation.clock import VirtualClock
from tace.simulation.network import Network, uniform_latency
from tace.simulation.process import Process
from tace.simulation.streams import WINDOW_BYTES, StreamEnd
from tace.wire.peer import Done, GetRing, Notify, Ping, Pong
from tests.links.contract import ContractNode, LinksContract, Procedures, Serving
from tests.links.fakes import Counts, Heard
from tests.links.nodes import NETWORK_ID, Book, Own, key_of, signed_record

PORT = 6512


class SocketNode:
    """Links on a simulated host."""

    def __init__(self, network: Network, clock: VirtualClock, book: Book, number: int) -> None:
        self.network = network
        self.clock = clock
        self.book = book
        self.number = number
        self.host = f"10.0.{number}.1"
        self.address = f"{self.host}:{PORT}"
        self.boot = 0

    def start(self, procedures: Procedures) -> SocketNode:
        self.boot += 1
        key = key_of(self.number)
        record = signed_record(key, boot=self.boot, addresses=(self.address,))
        self.node = record.node_id
        self.book.records[self.node] = record
        self.process = Process(self.clock)
        settings = LinksSettings(listen=f"tcp:{PORT}")
        host = self.network.host(self.host, self.process)
        self.links = PeerLinks(
            settings,
            key,
            NETWORK_ID,
            Own(record),
            self.book,
            host,
            self.process,
            Random(self.number),
            Counts(),
            dial_endpoint=host.endpoint(settings.hello_timeout_seconds),
        )
        self.heard = Heard()
        self.links.subscribe(self.heard)
        self.links.serve(procedures)
        self.links.start().addErrback(lambda failure: failure.raiseException())
        return self

    def kill(self) -> None:
        self.process.kill()
        self.network.end_process(self.host)


class NetworkTestCase(SynchronousTestCase):
    """Nodes with nothing but links."""

    latency = (0.01, 0.02)

    def setUp(self) -> None:
        self.clock = VirtualClock(1_700_000_000.0)
        self.network = Network(self.clock, Random(1), uniform_latency(*self.latency))
        self.book = Book()

    def nodes(self, procedures: Sequence[Procedures]) -> list[SocketNode]:
        return [
            SocketNode(self.network, self.clock, self.book, number).start(served)
            for number, served in enumerate(procedures, start=1)
        ]

    def advance(self, seconds: float) -> None:
        self.clock.run_for(seconds)


class SimulatedLinksTests(LinksContract, NetworkTestCase):
    """The contract; without latency, because it lets "now" mean a round trip."""

    latency = (0.0, 0.0)

    def make_nodes(self, procedures: Sequence[Procedures]) -> Sequence[ContractNode]:
        return self.nodes(procedures)

    def advance(self, seconds: float) -> None:
        self.clock.run_for(seconds)

    def crash(self, node: ContractNode) -> None:
        cast(SocketNode, node).kill()

    def freeze(self, node: ContractNode) -> None:
        self.network.power_off(cast(SocketNode, node).host)


class SocketTests(NetworkTestCase):
    """What happens to bytes and connections."""

    def pair(self) -> tuple[SocketNode, SocketNode]:
        """Two nodes with a link."""
        self.serving = Serving()
        first, second = self.nodes([{}, self.serving.procedures])
        call = first.links.call(second.node, Ping())
        self.advance(1.0)
        self.assertEqual(self.successResultOf(call), Pong())
        return first, second

    def test_a_round_trip_takes_its_time(self) -> None:
        """Two latencies on a link that is open."""
        first, second = self.pair()
        before = self.clock.seconds()
        call = first.links.call(second.node, Ping())
        self.clock.run_until(lambda: call.called)
        self.assertTrue(0.02 <= self.clock.seconds() - before <= 0.04)

    def test_in_order_whatever_the_latency(self) -> None:
        """Later packets that would be faster wait for those ahead of them."""
        first, second = self.pair()
        self.network.latency = uniform_latency(0.001, 1.0)
        for number in range(50):
            first.links.call(second.node, Notify(number, 0))
            self.advance(0.01)
        self.advance(5.0)
        asked = [cast(Notify, message).to_index for _, message in self.serving.asked]
        self.assertEqual(asked, list(range(50)))

    def test_a_cut_stalls_and_does_not_break(self) -> None:
        """What was sent meanwhile arrives, once, in order, when the way is open again."""
        first, second = self.pair()
        self.network.partition([first.host], [second.host])
        calls = [first.links.call(second.node, Notify(n, 0), timeout_seconds=60) for n in range(10)]
        self.advance(2.0)
        for call in calls:
            self.assertNoResult(call)
        self.network.heal()
        self.advance(0.1)
        self.assertEqual([self.successResultOf(call) for call in calls], [Done()] * 10)
        self.assertEqual([cast(Notify, m).to_index for _, m in self.serving.asked], list(range(10)))

    def test_dialled_while_it_stands_still(self) -> None:
        """The host accepts and keeps what comes; the program answers when it goes on."""
        self.serving = Serving()
        first, second = self.nodes([{}, self.serving.procedures])
        second.process.stall(2.0)
        call = first.links.call(second.node, Notify(1, 2), timeout_seconds=10)
        self.advance(1.9)
        self.assertNoResult(call)
        self.assertEqual(first.heard.names(), [])
        self.advance(1.0)
        self.assertEqual(self.successResultOf(call), Done())

    def test_a_cut_of_one_way(self) -> None:
        """The question arrives, the answer does not."""
        first, second = self.pair()
        self.network.cut(second.host, first.host)
        call = first.links.call(second.node, Notify(1, 2))
        self.advance(2.6)
        self.failureResultOf(call, TimedOut)
        self.assertEqual(len(self.serving.asked), 1)

    def test_killed(self) -> None:
        """The others are told at once, and nobody listens there."""
        first, second = self.pair()
        second.kill()
        self.advance(0.1)
        self.assertEqual(first.heard.names(), ["up", "lost"])
        call = first.links.call(second.node, Ping())
        self.advance(0.1)
        self.failureResultOf(call, LinkLost)

    def test_without_power(self) -> None:
        """Nobody is told; a call times out, and a dial too."""
        first, second = self.pair()
        self.network.power_off(second.host)
        second.process.kill()
        call = first.links.call(second.node, Ping())
        self.advance(2.6)
        self.failureResultOf(call, TimedOut)
        self.advance(3.5)
        self.assertEqual(first.heard.names(), ["up", "lost"])
        again = first.links.call(second.node, Ping(), timeout_seconds=20)
        self.advance(4.0)
        self.assertNoResult(again)
        self.advance(2.0)
        self.failureResultOf(again, LinkLost)

    def test_power_again(self) -> None:
        """Whoever writes to a connection from before is told that it is gone."""
        first, second = self.pair()
        self.network.power_off(second.host)
        second.process.kill()
        self.advance(0.5)
        self.network.power_on(second.host)
        second.start(self.serving.procedures)
        self.advance(1.0)
        self.assertTrue(first.links.is_up(second.node))
        lost = first.links.call(second.node, Ping())
        self.advance(0.1)
        self.failureResultOf(lost, LinkLost)
        again = first.links.call(second.node, Ping())
        self.advance(1.0)
        self.assertEqual(self.successResultOf(again), Pong())

    def test_connections_that_are_reset(self) -> None:
        """Both sides lose them, and both are there."""
        first, second = self.pair()
        self.network.reset_connections(first.host)
        self.advance(0.1)
        self.assertEqual((first.heard.names(), second.heard.names()), (["up", "lost"],) * 2)
        again = first.links.call(second.node, Ping())
        self.advance(1.0)
        self.successResultOf(again)

    def test_bytes_are_counted(self) -> None:
        """Those of frames, by the host that sends them."""
        first, second = self.pair()
        before = dict(self.network.bytes_sent)
        first.links.call(second.node, GetRing(1))
        self.advance(0.1)
        sent = self.network.bytes_sent
        # 10 bytes of frame and the body [1, ""].
        self.assertEqual(sent[first.host] - before[first.host], 10 + 4)
        self.assertEqual(sent[second.host], before[second.host])


class Recorder:
    """A protocol that writes down what happens to it; its own TLS wrapper."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.heard: list[str | bytes] = []
        self.wrappedProtocol = self

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def handshakeCompleted(self) -> None:
        self.heard.append("handshake")

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: Any) -> None:
        self.heard.append(reason.type.__name__)

    def buildProtocol(self, _: object) -> Recorder:
        return self

    def pauseProducing(self) -> None:
        self.heard.append("pause")

    def resumeProducing(self) -> None:
        self.heard.append("resume")

    def stopProducing(self) -> None:
        self.heard.append("stop")


class StreamTests(NetworkTestCase):
    """One connection by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.near, self.far = Recorder(), Recorder()
        self.network.host("10.0.2.1", Process(self.clock)).listenTCP(PORT, self.far)
        host = self.network.host("10.0.1.1", Process(self.clock))
        host.endpoint(5.0)("10.0.2.1", PORT).connect(cast(Any, self.near))
        self.advance(0.2)
        self.assertEqual((self.near.heard, self.far.heard), (["handshake"],) * 2)
        self.near.heard.clear()
        self.far.heard.clear()
        self.end: StreamEnd = self.near.transport

    def test_both_ends_know_the_same_secret(self) -> None:
        """Another one in every session."""
        keys = [one.transport.getHandle() for one in (self.near, self.far)]
        secrets = {key.export_keying_material(b"label", 32) for key in keys}
        self.assertEqual({len(secret) for secret in secrets}, {32})
        self.assertEqual(len(secrets), 1)

    def test_written_in_one_turn(self) -> None:
        """It arrives as one read."""
        self.end.write(b"a")
        self.end.writeSequence([b"b", b"c"])
        self.advance(0.1)
        self.end.write(b"d")
        self.advance(0.1)
        self.assertEqual(self.far.heard, [b"abc", b"d"])

    def test_a_reader_that_does_not_read(self) -> None:
        """The writer is paused at the window, and resumed when half of it has been read."""
        self.end.registerProducer(self.near, True)
        self.far.transport.pauseProducing()
        chunk = bytes(WINDOW_BYTES // 4)
        for _ in range(5):
            self.end.write(chunk)
            self.advance(0.1)
        self.assertEqual((self.near.heard, self.far.heard), (["pause"], []))
        self.far.transport.resumeProducing()
        self.advance(0.1)
        self.assertEqual((self.near.heard, len(self.far.heard)), (["pause", "resume"], 5))
        self.assertRaises(RuntimeError, self.end.registerProducer, self.near, True)

    def test_paused_again_while_it_catches_up(self) -> None:
        """What is left waits, and nothing overtakes it."""
        self.far.transport.pauseProducing()
        for data in (b"a", b"b"):
            self.end.write(data)
            self.advance(0.1)
        taken: list[bytes] = []

        def once(data: bytes) -> None:
            taken.append(data)
            self.far.transport.pauseProducing()

        self.far.dataReceived = once  # type: ignore[method-assign]
        self.far.transport.resumeProducing()
        self.advance(0.1)
        self.end.write(b"c")
        self.advance(0.1)
        self.assertEqual(taken, [b"a"])
        for _ in range(2):
            self.far.transport.resumeProducing()
            self.advance(0.1)
        self.assertEqual(taken, [b"a", b"b", b"c"])

    def test_closed_in_good_order(self) -> None:
        """What was written before arrives; what is written after does not."""
        self.end.write(b"last")
        self.end.loseConnection()
        self.end.write(b"too late")
        self.advance(0.2)
        self.assertEqual(self.far.heard, [b"last", "ConnectionDone"])
        self.assertEqual(self.near.heard, ["ConnectionDone"])

    def test_aborted(self) -> None:
        """Told after the call, to both."""
        self.end.registerProducer(self.near, True)
        self.end.abortConnection()
        self.assertEqual(self.near.heard, [])
        self.advance(0.1)
        self.assertEqual(self.near.heard, ["stop", "ConnectionAborted"])
        self.assertEqual(self.far.heard, ["ConnectionLost"])

    def test_an_answer_that_comes_too_late(self) -> None:
        """A dial that was given up leaves no connection at the other side."""
        self.network.latency = uniform_latency(2.0, 2.0)
        late, other = Recorder(), Recorder()
        self.network.host("10.0.3.1", Process(self.clock)).listenTCP(PORT, other)
        host = self.network.host("10.0.1.1", Process(self.clock))
        dialled = host.endpoint(3.0)("10.0.3.1", PORT).connect(cast(Any, late))
        self.advance(3.0)
        self.failureResultOf(dialled, TCPTimedOutError)
        self.advance(5.0)
        self.assertEqual((late.heard, other.heard), ([], ["ConnectionLost"]))

    def test_a_port_that_is_taken(self) -> None:
        """Until it is given up."""
        host = self.network.host("10.0.2.1", Process(self.clock))
        self.assertRaises(CannotListenError, host.listenTCP, PORT, self.far)
        self.network.stop_listening("10.0.2.1", PORT)
        host.listenTCP(PORT, self.far)
