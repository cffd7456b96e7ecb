"""Who may connect at all, and whose connection it is."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from tace.config import default_settings
from tace.errors import SettingsError
from tace.gateway.addresses import client_host, counted_group
from tace.gateway.door import Door, GuardedFactory, max_client_connections
from tace.gateway.misconduct import ClientMisconduct
from tests.network import NoCounters

THERE = "192.0.2.1"


class AddressTests(SynchronousTestCase):
    """Behind a proxy."""

    def test_nobody_is_believed(self) -> None:
        """Without a trusted proxy the header is what a stranger says."""
        self.assertEqual(client_host(THERE, "198.51.100.7", ()), THERE)

    def test_a_trusted_proxy(self) -> None:
        """Its last word counts; what stands before it came from the client."""
        said = "203.0.113.9, 198.51.100.7"
        self.assertEqual(client_host("10.0.0.1", said, {"10.0.0.1"}), "198.51.100.7")

    def test_a_chain_of_proxies(self) -> None:
        """Read from the right, as far as they are trusted."""
        trusted = {"10.0.0.1", "10.0.0.2"}
        said = "203.0.113.9, 198.51.100.7, 10.0.0.2"
        self.assertEqual(client_host("10.0.0.1", said, trusted), "198.51.100.7")

    def test_a_header_that_says_nothing(self) -> None:
        """The proxy itself is counted."""
        for said in ("", "unknown", "198.51.100.7, _hidden", ","):
            self.assertEqual(client_host("10.0.0.1", said, {"10.0.0.1"}), "10.0.0.1")

    def test_only_proxies(self) -> None:
        """Everybody in the chain is trusted: the first of them asked."""
        self.assertEqual(client_host("10.0.0.1", "10.0.0.1", {"10.0.0.1"}), "10.0.0.1")

    def test_what_a_trusted_proxy_is(self) -> None:
        """An address, written as addresses are compared."""
        for wrong in ("proxy.example", "10.0.0.0/8", "2001:DB8::1", "10.0.0.1:80"):
            with self.assertRaises(SettingsError):
                default_settings(**{"gateway.trusted_proxies": (wrong,)})
        default_settings(**{"gateway.trusted_proxies": ("10.0.0.1", "2001:db8::1")})

    def test_groups(self) -> None:
        """This machine is none; of IPv6 a whole site is one."""
        for host in ("127.0.0.1", "::1", "127.9.9.9"):
            self.assertEqual(counted_group(host), "")
        self.assertEqual(counted_group(THERE), THERE)
        self.assertEqual(counted_group("2001:db8::1"), counted_group("2001:db8:0:80::2"))


class DoorTestCase(SynchronousTestCase):
    """A door for 4 clients, 2 of one address: twice as many connections."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.counters = NoCounters()
        self.door = self.make()

    def make(self, per_address: int = 2, per_second: float = 0.0, proxy: str = "") -> Door:
        return Door(
            4,
            per_address,
            per_second,
            trusted_proxies=[proxy] if proxy else [],
            clock=self.clock,
            misconduct=ClientMisconduct(self.clock, self.counters),
        )


class DoorTests(DoorTestCase):
    """So many, and no more."""

    def test_one_address(self) -> None:
        """Four of it; another address still comes in, and who leaves makes room."""
        self.assertEqual([self.door.enter(THERE) for _ in range(5)], [True] * 4 + [False])
        self.assertTrue(self.door.enter("192.0.2.2"))
        self.door.leave(THERE)
        self.assertTrue(self.door.enter(THERE))
        self.assertEqual(self.counters.counts["client_misconduct_total"], 1)

    def test_all_together(self) -> None:
        """Eight, wherever they come from."""
        taken = [self.door.enter(f"192.0.2.{number}") for number in range(9)]
        self.assertEqual(taken, [True] * 8 + [False])

    def test_this_machine_and_proxies(self) -> None:
        """Are bounded by the total alone."""
        self.door = self.make(proxy=THERE)
        for _ in range(4):
            self.assertTrue(self.door.enter("127.0.0.1"))
            self.assertTrue(self.door.enter(THERE))
        self.assertFalse(self.door.enter("127.0.0.1"))
        self.assertFalse(self.door.enter(THERE))
        for host in ("127.0.0.1", THERE) * 4:
            self.door.leave(host)
        self.assertEqual(len(self.door), 0)

    def test_too_fast(self) -> None:
        """Eight seconds' worth at once, then as fast as is set."""
        self.door = self.make(per_address=0, per_second=1.0)

        def knock() -> bool:
            entered = self.door.enter(THERE)
            if entered:
                self.door.leave(THERE)
            return entered

        self.assertEqual([knock() for _ in range(9)], [True] * 8 + [False])
        self.clock.advance(1.0)
        self.assertEqual([knock() for _ in range(2)], [True, False])
        self.assertTrue(self.door.enter("192.0.2.2"))

    def test_a_large_node(self) -> None:
        """Takes in some more connections than clients, not twice as many."""
        self.assertEqual([max_client_connections(n) for n in (1, 24, 20_000)], [2, 48, 21_024])


class GuardedTests(DoorTestCase):
    """The factory before the site."""

    def setUp(self) -> None:
        super().setUp()
        self.factory = GuardedFactory(Factory.forProtocol(Protocol), self.door)

    def connect(self, address: Any) -> StringTransportWithDisconnection | None:
        protocol: Any = self.factory.buildProtocol(address)
        if protocol is None:
            return None
        transport = StringTransportWithDisconnection(peerAddress=address)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport

    def test_counted_from_the_beginning_to_the_end(self) -> None:
        """One too many gets no protocol, so the socket is closed; the end of one makes room."""
        address = IPv4Address("TCP", THERE, 1)
        open_ones = [self.connect(address) for _ in range(4)]
        self.assertIsNone(self.connect(address))
        self.assertEqual(len(self.door), 4)
        for transport in open_ones:
            assert transport is not None
            transport.loseConnection()
        self.assertEqual(len(self.door), 0)
        self.assertIsNotNone(self.connect(address))

    def test_other_addresses(self) -> None:
        """IPv6 and a UNIX socket come and go like the others."""
        for address in (IPv6Address("TCP", "2001:db8::1", 1), UNIXAddress(b"/run/node")):
            transport = self.connect(address)
            assert transport is not None
            self.assertEqual(len(self.door), 1)
            transport.loseConnection()
            self.assertEqual(len(self.door), 0)
