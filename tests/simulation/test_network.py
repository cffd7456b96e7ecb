"""The production links over simulated sockets keep the contract, and sockets behave as TCP does."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from tace.config import LinksSettings
from tace.errors import LinkLost, TimedOut
from tace.links.service import PeerLinks
from tace.simulation.clock import VirtualClock
from tace.simulation.network import Network, uniform_latency
from tace.simulation.process import Process
from tace.wire.peer import Done, GetRecord, GetRing, Notify, Ping, Pong, RecordAnswer
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

    def test_a_reader_that_does_not_read(self) -> None:
        """What is on its way is bounded: the rest waits in the sender's own, bounded buffer."""
        first, second = self.pair()
        self.network.partition([first.host], [second.host])
        key = bytes(32)
        calls = [first.links.call(second.node, GetRecord(key)) for _ in range(5)]
        blob = [
            first.links.call(second.node, cast(Any, Notify)(n % 100, 0), timeout_seconds=60)
            for n in range(900)
        ]
        self.network.heal()
        self.advance(2.0)
        for call in calls:
            self.assertEqual(self.successResultOf(call), RecordAnswer(key))
        for call in blob:
            self.assertEqual(self.successResultOf(call), Done())

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
