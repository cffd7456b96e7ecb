"""Addresses as people and records write them."""

from __future__ import annotations

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.trial.unittest import SynchronousTestCase

from tace.links.dialling import Address, parse_address, tcp_endpoint
from tests.links.fakes import MemoryNetwork

NODE = bytes(range(32))


class AddressTests(SynchronousTestCase):
    """``host:port`` and ``host:port#node-id``."""

    def test_good(self) -> None:
        """Names, IPv4, IPv6 in brackets, with and without an id."""
        for text, address in (
            ("node.example:6512", Address("node.example", 6512, None)),
            ("10.0.0.1:1", Address("10.0.0.1", 1, None)),
            ("[2001:db8::1]:65535", Address("2001:db8::1", 65535, None)),
            (f"node.example:6512#{NODE.hex()}", Address("node.example", 6512, NODE)),
        ):
            self.assertEqual(parse_address(text), address)

    def test_bad(self) -> None:
        """Everything else is a ValueError."""
        for text in (
            "",
            "node.example",
            "node.example:",
            ":6512",
            "node.example:0",
            "node.example:65536",
            "node.example:-1",
            "node.example:6512x",
            "node.example:²",
            "2001:db8::1:6512",
            "[]:6512",
            "node.example:6512#",
            "node.example:6512#abcd",
            "node.example:6512#" + "zz" * 32,
        ):
            with self.assertRaises(ValueError, msg=text):
                parse_address(text)


class EndpointTests(SynchronousTestCase):
    """What is resolved and what is not."""

    def test_kinds(self) -> None:
        """Only a name goes to the resolver."""
        endpoint = tcp_endpoint(MemoryNetwork().reactor("10.0.0.1"), 5)
        self.assertIsInstance(endpoint("10.0.0.1", 1), TCP4ClientEndpoint)
        self.assertIsInstance(endpoint("2001:db8::1", 1), TCP6ClientEndpoint)
        self.assertIsInstance(endpoint("node.example", 1), HostnameEndpoint)
