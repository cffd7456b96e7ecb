"""Who may come in while others flood the door."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.links.handshake import MAX_HANDSHAKE_BYTES
from tace.wire.peer import Done, GetRing, Notify, Ping
from tests.links.contract import Serving
from tests.links.fakes import MemoryNetwork
from tests.links.logs import logged_lines
from tests.links.nodes import Book, MemoryNode, key_of
from tests.links.stranger import HOST, Stranger, dial, listen
from tests.links.test_tls import link_context


class Mutes:
    """Clients that connect and say nothing, or what they are told to say."""

    def __init__(self, network: MemoryNetwork, address: str, host: str = HOST) -> None:
        place, port = address.split(":")
        self._network = network
        self._place = (place, int(port))
        self._reactor = network.reactor(host)
        self.transports: list[Any] = []
        self.open = 0

    def connect(self, number: int) -> None:
        # In small lots: a fake clock is slow with thousands of timers.
        for left in range(number, 0, -100):
            for _ in range(min(left, 100)):
                self._reactor.connectTCP(*self._place, self)
            self._network.settle()

    def startedConnecting(self, connector: object) -> None:
        return None

    def clientConnectionFailed(self, connector: object, reason: object) -> None:
        return None

    def buildProtocol(self, addr: object) -> Mutes:
        return self

    def makeConnection(self, transport: object) -> None:
        self.transports.append(transport)
        self.open += 1

    def dataReceived(self, data: bytes) -> None:
        return None

    def connectionLost(self, reason: object) -> None:
        self.open -= 1


def client_hello() -> bytes:
    """The first bytes of an honest handshake."""
    connection = SSL.Connection(link_context(), None)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return connection.bio_read(65_536)
    raise AssertionError


class EntranceTests(SynchronousTestCase):
    """A node, silent connections, and honest nodes elsewhere."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.book = Book()
        self.serving = Serving()

    def node(self, number: int, **settings: Any) -> MemoryNode:
        node = MemoryNode(self.network, self.book, number, **settings)
        return node.start(self.serving.procedures)

    def answered(self, asker: MemoryNode, asked: MemoryNode) -> Any:
        call: Deferred[Any] = asker.links.call(asked.node, Notify(1, 2))
        self.network.settle()
        return self.successResultOf(call)

    def refused(self, node: MemoryNode, code: str) -> int:
        return node.counts.sums.get(("links_refused", code), 0)


class FloodTests(EntranceTests):
    """More connections than there are places."""

    def test_ten_thousand_from_one_address(self) -> None:
        """Keep nobody out: neither a node that is linked, nor one that is pinned, nor a new one."""
        node, linked, pinned, new = (self.node(number) for number in range(1, 5))
        self.answered(linked, node)
        mutes = Mutes(self.network, node.address)
        mutes.connect(10_000)
        self.assertEqual(mutes.open, 256)
        self.assertEqual(self.answered(linked, node), Done())
        node.links.pin([pinned.node])
        self.network.advance(0.1)
        self.assertTrue(node.links.is_up(pinned.node))
        self.assertEqual(self.answered(new, node), Done())
        self.assertEqual(linked.heard.names(), ["up"])

    def test_one_line_and_a_count(self) -> None:
        """Ten thousand of them are one line in the log, and a number."""
        node = self.node(1)
        logged = logged_lines(self)
        Mutes(self.network, node.address).connect(10_000)
        self.assertEqual(len(logged()), 1)
        self.assertEqual(
            self.refused(node, "connects-too-often") + self.refused(node, "too-many-unproved"),
            10_000 - 256,
        )

    def test_places_come_back_with_time(self) -> None:
        """Five seconds for a proof, and everything else is let in again."""
        node = self.node(1, accepts_per_second=0)
        mutes = Mutes(self.network, node.address)
        mutes.connect(300)
        self.assertEqual(mutes.open, 256)
        self.assertEqual(node.counts.values["links_unproved",], 256)
        self.network.advance(5.1)
        self.assertEqual((mutes.open, node.counts.values["links_unproved",]), (0, 0))
        self.assertEqual(self.refused(node, "hello-too-late"), 256)
        mutes.connect(1)
        self.assertEqual(mutes.open, 1)

    def test_an_honest_node_at_the_same_address(self) -> None:
        """Gets its turn a second later, in the place of what said nothing meanwhile."""
        node = self.node(1)
        mutes = Mutes(self.network, node.address)
        mutes.connect(300)
        self.network.advance(0.9)
        mutes.connect(10)
        self.assertEqual(
            (mutes.open, node.counts.sums.get(("links_ended", "displaced"))), (256, None)
        )
        self.network.advance(0.1)
        neighbour = MemoryNode(self.network, self.book, 2, host=HOST, addresses=()).start({})
        self.assertEqual(self.answered(neighbour, node), Done())
        self.assertEqual(node.counts.sums["links_ended", "displaced"], 1)

    def test_who_holds_most_loses_its_oldest(self) -> None:
        """Two addresses share out between them what one had alone."""
        node = self.node(1, max_unproved=10)
        many, few = Mutes(self.network, node.address), Mutes(self.network, node.address, "10.7.7.7")
        many.connect(10)
        first = many.transports[0]
        few.connect(1)
        self.assertEqual((many.open, few.open, first.connected), (9, 1, False))
        few.connect(20)
        self.assertEqual((many.open, few.open), (5, 5))

    def test_whoever_is_alone_is_not_displaced(self) -> None:
        """A handshake that takes its time survives a flood from a few addresses."""
        node = self.node(1, max_unproved=10)
        slow = Mutes(self.network, node.address, "10.8.8.8")
        slow.connect(1)
        for number in range(5):
            Mutes(self.network, node.address, f"10.7.7.{number}").connect(100)
        self.assertEqual(slow.open, 1)

    def test_one_address_comes_too_often(self) -> None:
        """It is cut before it costs a TLS session; another address is not, nor is loopback."""
        node = self.node(1, accepts_per_second=1, max_unproved=1000)
        mutes = Mutes(self.network, node.address)
        mutes.connect(20)
        self.assertEqual((mutes.open, self.refused(node, "connects-too-often")), (8, 12))
        for host, most in (("10.7.7.7", 8), ("127.0.0.1", 20)):
            others = Mutes(self.network, node.address, host)
            others.connect(20)
            self.assertEqual(others.open, most)
        self.network.advance(2)
        mutes.connect(20)
        self.assertEqual(mutes.open, 10)

    def test_open_connections_are_bounded_in_all(self) -> None:
        """Those too that are being closed and whose peer does not let go."""
        node = self.node(1, max_links=4, max_unproved=4)
        for number in range(20):
            stranger = dial(self.network, node.host, link_context())
            self.network.settle()
            if stranger.handshaken:
                stranger.say(stranger.hello(key=key_of(100 + number)))
                self.network.settle()
                stranger.transport.write(b"\xff" * 4)
                # It takes nothing any more, so that the node's goodbye and its close hang.
                stranger.transport.transport.other.deliver = lambda: False
                self.network.settle()
        self.assertEqual(len(self.network.transports) // 2, 8)
        self.assertEqual(self.refused(node, "too-many-connections"), 12)
        self.network.advance(1.1)
        self.assertEqual(self.answered(self.node(2), node), Done())

    def test_dialled_connections_take_no_place(self) -> None:
        """A node that dials many mute ones lets others in all the same."""
        node = self.node(1, max_unproved=4)
        strangers: list[Stranger] = []
        for port in range(7000, 7010):
            listen(self.network, link_context(), strangers.append, port)
            node.links.introduce(f"{HOST}:{port}").addErrback(lambda _: None)
        self.network.settle()
        self.assertEqual(self.answered(self.node(2), node), Done())
        self.assertEqual([stranger.lost for stranger in strangers], [None] * 10)


class SlowTests(EntranceTests):
    """Connections that say something, but never enough."""

    def test_one_byte_a_second(self) -> None:
        """Before TLS: bytes are no sign of life, the time is up at five seconds."""
        node = self.node(1)
        mutes = Mutes(self.network, node.address)
        mutes.connect(1)
        (transport,) = mutes.transports
        # The beginning of a TLS record that announces 16 kB of ClientHello.
        for byte in b"\x16\x03\x01\x40":
            self.assertEqual(mutes.open, 1)
            transport.write(bytes([byte]))
            self.network.advance(1.2)
        self.network.advance(0.3)
        self.assertEqual(mutes.open, 0)
        self.assertEqual(self.refused(node, "hello-too-late"), 1)

    def test_one_byte_a_second_after_tls(self) -> None:
        """The same for a hello that comes drop by drop."""
        node = self.node(1)
        stranger = dial(self.network, node.host, link_context())
        self.network.settle()
        for byte in (500).to_bytes(4) + b"\x00\x01":
            stranger.transport.write(bytes([byte]))
            self.network.advance(0.9)
        self.assertIsNotNone(stranger.lost)

    def test_a_handshake_without_end(self) -> None:
        """Records without content are no handshake: so many bytes, then it is cut."""
        node = self.node(1)
        mutes = Mutes(self.network, node.address)
        mutes.connect(1)
        (transport,) = mutes.transports
        hello = client_hello()
        transport.write(hello)
        self.network.settle()
        nothing = bytes.fromhex("140303000101")
        for _ in range(MAX_HANDSHAKE_BYTES // len(nothing)):
            transport.write(nothing)
        self.network.settle()
        self.assertEqual((mutes.open, self.refused(node, "handshake-too-long")), (0, 1))

    def test_something_else_than_tls(self) -> None:
        """An HTTP request gets TLS's own alert, and is counted."""
        node = self.node(1)
        mutes = Mutes(self.network, node.address)
        mutes.connect(1)
        mutes.transports[0].write(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
        self.network.settle()
        self.assertEqual((mutes.open, self.refused(node, "tls")), (0, 1))


class AddressRoomTests(EntranceTests):
    """Links that are up, from one address."""

    def test_bounded_by_address(self) -> None:
        """The longest silent of that address goes; links from elsewhere stay."""
        hub = self.node(1, max_links_per_address=2)
        elsewhere = self.node(9)
        self.answered(elsewhere, hub)
        neighbours = [self.behind(number) for number in range(2, 5)]
        for neighbour in neighbours:
            self.network.advance(0.1)
            self.assertEqual(self.answered(neighbour, hub), Done())
        self.network.advance(1)
        expected = {elsewhere.node, neighbours[1].node, neighbours[2].node}
        self.assertEqual(set(hub.links.up()), expected)

    def test_links_that_are_busy_do_not_help(self) -> None:
        """One address with requests always under way cannot take all places."""
        hub = self.node(1, max_links_per_address=2)
        for number in range(2, 8):
            self.behind(number).links.call(hub.node, GetRing(1)).addErrback(lambda _: None)
            self.network.settle()
        self.network.advance(2)
        self.assertEqual(len(hub.links.up()), 2)
        self.assertEqual(self.answered(self.node(9), hub), Done())

    def test_loopback_is_not_bounded(self) -> None:
        """A whole network on one machine."""
        hub = self.node(1, max_links_per_address=2)
        for number in range(2, 8):
            self.answered(self.behind(number, "127.0.0.1"), hub)
        self.assertEqual(len(hub.links.up()), 6)

    def test_links_we_dialled_do_not_count(self) -> None:
        """Whom we link with is our own choice."""
        hub = self.node(1, max_links_per_address=2)
        others = [self.behind(number) for number in range(2, 6)]
        for other in others:
            hub.links.call(other.node, Ping())
            self.network.settle()
        self.assertEqual(len(hub.links.up()), 4)

    def behind(self, number: int, host: str = "10.5.5.5") -> MemoryNode:
        """One of several nodes at one address."""
        node = MemoryNode(
            self.network,
            self.book,
            number,
            host=host,
            listen=f"tcp:{7000 + number}",
            addresses=(f"{host}:{7000 + number}",),
        )
        return node.start(self.serving.procedures)
