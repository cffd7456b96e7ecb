"""The whole of the links: the contract in memory, and life over loopback TCP."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import FilteringLogObserver, ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import provider

from tace.config import LinksSettings
from tace.errors import DrainingNow, LinkLost, LocalExhaustion, StartError
from tace.links.service import CERTIFICATE_SECONDS, PeerLinks
from tace.observe.exhaustion import NAMESPACE, ExhaustionLines
from tace.wire.message import Message
from tace.wire.peer import Done, GetRing, Notify, Ping, Pong, Ring
from tests.links.contract import ContractNode, LinksContract, Procedures, Serving
from tests.links.fakes import Counts, Heard, MemoryNetwork
from tests.links.nodes import NETWORK_ID, Book, MemoryNode, Own, key_of, signed_record
from tests.links.stranger import dial
from tests.links.test_tls import link_context


class MemoryLinksTests(LinksContract, SynchronousTestCase):
    """Real links, real TLS, connections in memory, time by a fake clock."""

    fragment = 0

    def setUp(self) -> None:
        self.network = MemoryNetwork(self.fragment)

    def make_nodes(self, procedures: Sequence[Procedures]) -> Sequence[ContractNode]:
        book = Book()
        return [
            MemoryNode(self.network, book, number).start(served)
            for number, served in enumerate(procedures, start=1)
        ]

    def advance(self, seconds: float) -> None:
        self.network.advance(seconds)

    def crash(self, node: ContractNode) -> None:
        cast(MemoryNode, node).crash()

    def freeze(self, node: ContractNode) -> None:
        self.network.freeze(cast(MemoryNode, node).host)


class FragmentedLinksTests(MemoryLinksTests):
    """The same over a network that delivers seven bytes at a time."""

    fragment = 7


class LifeTests(SynchronousTestCase):
    """Starting, draining, renewing certificates."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.book = Book()
        self.serving = Serving()

    def node(self, number: int, **settings: Any) -> MemoryNode:
        node = MemoryNode(self.network, self.book, number, **settings)
        return node.start(self.serving.procedures)

    def test_port_taken(self) -> None:
        """One line for the operator that names the setting."""
        self.node(1)
        error = self.failureResultOf(MemoryNode(self.network, self.book, 1).links.start())
        error.check(StartError)
        self.assertEqual(
            str(error.value),
            "[links] listen: cannot listen on tcp:6512: Address already in use",
        )

    def test_listen_makes_no_sense(self) -> None:
        """Not an endpoint at all."""
        node = MemoryNode(self.network, self.book, 1, listen="carrier-pigeon:6512")
        error = self.failureResultOf(node.links.start(), StartError)
        self.assertTrue(str(error.value).startswith("[links] listen: carrier-pigeon:6512"))

    def test_port(self) -> None:
        """Only while it listens."""
        node = self.node(1)
        self.assertEqual(node.links.port, 6512)
        node.links.close()
        self.network.settle()
        self.assertRaises(RuntimeError, lambda: node.links.port)

    def test_nothing_left_after_close(self) -> None:
        """No connection, no timer, no port."""
        first, second = self.node(1), self.node(2)
        first.links.pin([second.node])
        second.links.guard([first.node])
        self.network.advance(5)
        closed = [first.links.close(), second.links.close()]
        self.network.advance(2)
        for one in closed:
            self.successResultOf(one)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])
        self.assertEqual((self.network.transports, self.network.listening), ([], {}))

    def test_drain_finishes_what_is_under_way(self) -> None:
        """New requests are refused, old ones answered, then the link is closed."""
        first, second = self.node(1), self.node(2)
        call = first.links.call(second.node, GetRing(1))
        self.network.settle()
        closed = second.links.close()
        self.network.settle()
        self.failureResultOf(self.called(first, second, Notify(1, 2)), DrainingNow)
        self.assertNoResult(call)
        self.serving.waiting[0].callback(Ring(1, True, b""))
        self.network.advance(1)
        self.assertEqual(self.successResultOf(call), Ring(1, True, b""))
        self.successResultOf(closed)
        self.assertEqual(first.heard.names(), ["up", "lost"])

    def test_drain_has_an_end(self) -> None:
        """A procedure that hangs does not hold up a stop for ever."""
        first, second = self.node(1), self.node(2)
        call = first.links.call(second.node, GetRing(1), timeout_seconds=60)
        self.network.settle()
        closed = second.links.close(within_seconds=3)
        self.network.advance(5)
        self.successResultOf(closed)
        self.failureResultOf(call, LinkLost)

    def test_close_while_dialling(self) -> None:
        """Dials and introductions under way are given up."""
        first, second = self.node(1), self.node(2)
        self.network.freeze(second.host)
        waiting = [
            first.links.call(second.node, Ping(), timeout_seconds=60),
            first.links.introduce(second.address),
        ]
        self.network.advance(0.5)
        closed = first.links.close()
        self.network.advance(1)
        self.successResultOf(closed)
        for one in waiting:
            self.failureResultOf(one, LinkLost)

    def test_closed_links_take_no_calls(self) -> None:
        """Neither over a link nor by dialling."""
        first, second = self.node(1), self.node(2)
        first.links.close()
        self.network.settle()
        self.failureResultOf(first.links.call(second.node, Ping()), LinkLost)
        self.assertFalse(first.links.is_up(second.node))

    def test_certificates_are_swapped_under_traffic(self) -> None:
        """A day later new links have another certificate; the old link goes on, with the requests
        that were under way over the swap."""
        first, second, third = self.node(1), self.node(2), self.node(3)
        before = certificate_of(self.network, second)
        self.network.advance(CERTIFICATE_SECONDS - 5)
        slow = first.links.call(second.node, GetRing(1), timeout_seconds=60)
        for _ in range(100):
            calls = [self.called(first, second, Notify(1, 2)) for _ in range(3)]
            self.network.advance(0.1)
            for call in calls:
                self.assertEqual(self.successResultOf(call), Done())
        self.assertNotEqual(certificate_of(self.network, second), before)
        self.serving.waiting[0].callback(Ring(1, True, b""))
        self.network.settle()
        self.assertEqual(self.successResultOf(slow), Ring(1, True, b""))
        self.assertEqual(self.successResultOf(self.called(third, second, Ping())), Pong())
        self.assertEqual((first.heard.names(), second.heard.names()), (["up"], ["up", "up"]))

    def test_what_the_hello_told(self) -> None:
        """The peer's clock and the stamp it demands; nothing without a link."""
        first, second = self.node(1), self.node(2, clock_seconds_off=-900, requests_stamp_bits=18)
        self.assertIsNone(first.links.clock_difference_seconds(second.node))
        self.assertIsNone(first.links.requests_stamp_bits(second.node))
        self.called(first, second, Ping())
        difference = first.links.clock_difference_seconds(second.node)
        assert difference is not None
        self.assertLess(abs(difference + 900), 0.01)
        self.assertEqual(first.links.requests_stamp_bits(second.node), 18)
        self.assertEqual(first.counts.sums["links_with_other_time",], 1)

    def called(self, asker: MemoryNode, asked: MemoryNode, request: Any) -> Any:
        call = asker.links.call(asked.node, request)
        self.network.settle()
        return call


def certificate_of(network: MemoryNetwork, node: MemoryNode) -> bytes:
    """The digest of what a node shows to whoever connects now."""
    stranger = dial(network, node.host, link_context())
    network.settle()
    digest: bytes = stranger.transport.getPeerCertificate().digest("sha256")
    stranger.transport.abortConnection()
    network.settle()
    return digest


@contextmanager
def no_descriptors() -> Iterator[Callable[[], None]]:
    """Every file descriptor of this process is taken; so are those set free since, on a call."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    taken: list[int] = []

    def take() -> None:
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            return

    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, before[1]))
    try:
        take()
        yield take
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)


class LoopbackTests(TestCase):
    """Two nodes over real sockets."""

    def setUp(self) -> None:
        self.book = Book()

    async def start(self, number: int, procedures: Procedures, listen: str = "") -> PeerLinks:
        key = key_of(number)
        own = Own(signed_record(key))
        links = PeerLinks(
            LinksSettings(listen=listen or "tcp:0:interface=127.0.0.1"),
            key,
            NETWORK_ID,
            own,
            self.book,
            reactor,
            cast(Any, reactor),
            Random(number),
            Counts(),
        )
        links.serve(procedures)
        await links.start()
        self.addCleanup(links.close)
        own.current = signed_record(key, addresses=(f"127.0.0.1:{links.port}",))
        self.book.records[own.current.node_id] = own.current
        return links

    async def test_calls_both_ways(self) -> None:
        """Many requests each way, dialled from both sides at once."""

        async def notify(node: bytes, message: Message) -> Message:
            return Done()

        first = await self.start(1, {Notify: notify})
        second = await self.start(2, {Notify: notify})
        one, two = self.book.records
        heard = Heard()
        first.subscribe(heard)
        answers = await gatherResults(
            [first.call(two, Notify(1, i)) for i in range(100)]
            + [second.call(one, Notify(2, i)) for i in range(100)]
        )
        self.assertEqual(answers, [Done()] * 200)
        self.assertEqual(heard.events, [("up", two)])

    async def test_no_descriptors_left(self) -> None:
        """The node stays up: what comes in is closed, dialling fails as what it is, and when there
        are some again it works again."""
        first = await self.start(1, {})
        second = await self.start(2, {})
        one, two = self.book.records
        lines = self.lines_on_accept()
        waiting = [socket.socket() for _ in range(10)]
        heard = Heard()
        first.subscribe(heard)
        # A reactor takes descriptors when it starts, which it does not before a test waits.
        await deferLater(reactor, 0)
        with no_descriptors() as take:
            for client in waiting:
                client.connect(("127.0.0.1", first.port))
            for client in waiting:
                self.assertEqual(await deferToThread(client.recv, 1), b"")
                client.close()
                take()
            with self.assertRaises(LocalExhaustion):
                await first.call(two, Ping())
        self.assertEqual(len(lines), 1)
        self.assertEqual(heard.events, [])
        self.assertEqual(await first.call(two, Ping()), Pong())
        self.assertEqual(await second.call(one, Ping()), Pong())

    def lines_on_accept(self) -> list[LogEvent]:
        """What would be logged, from now on, of connections that cannot be accepted."""
        lines: list[LogEvent] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == NAMESPACE:
                lines.append(event)

        observer = FilteringLogObserver(observe, [ExhaustionLines()])
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return lines

    async def test_port_taken(self) -> None:
        """A busy port stops the start, in one line."""
        first = await self.start(1, {})
        taken = f"tcp:{first.port}:interface=127.0.0.1"
        with self.assertRaises(StartError) as caught:
            await self.start(2, {}, taken)
        self.assertEqual(
            str(caught.exception),
            f"[links] listen: cannot listen on {taken}: Address already in use",
        )
