"""The certificate of the client side, and its replacement while the node runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.errors import StartError
from tace.gateway import certificates, site
from tace.gateway.certificates import LOOK_SECONDS, ReloadingCertificate
from tace.wire.client import ClientPing, ClientPong
from tests.gateway.certificates import install, issue
from tests.gateway.running import endpoint, reactor, start_node, talk


class ReadingTests(SynchronousTestCase):
    """Two files, as a clock goes on."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock = Clock()
        self.paths = install(self.folder, "first")
        self._written = 0

    def write(self, which: int, content: bytes) -> None:
        """A later time stamp each time, whatever the file system's resolution."""
        self._written += 1
        self.paths[which].write_bytes(content)
        later = self.paths[which].stat().st_mtime_ns + self._written * 1_000_000_000
        os.utime(self.paths[which], ns=(later, later))

    def reading(self) -> ReloadingCertificate:
        return ReloadingCertificate(*self.paths, self.clock)

    def test_a_replaced_pair_is_served_from_the_next_look_on(self) -> None:
        """Not sooner than every two seconds, and only when it has changed."""
        reading = self.reading()
        first = reading.getContext()
        for which, content in enumerate(issue("second")):
            self.write(which, content)
        self.assertIs(reading.getContext(), first)
        self.clock.advance(LOOK_SECONDS)
        second = reading.getContext()
        self.assertIsNot(second, first)
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(reading.getContext(), second)

    def test_half_of_a_new_pair_leaves_the_old_one(self) -> None:
        """Whatever is written first, down to an empty or missing file; then the new one counts."""
        reading = self.reading()
        first = reading.getContext()
        certificate, key = issue("second")
        for which, content in (
            (0, b""),
            (0, certificate[:200]),
            (0, certificate),
            (1, key[:100]),
            (1, b"not PEM at all"),
        ):
            self.write(which, content)
            self.clock.advance(LOOK_SECONDS)
            self.assertIs(reading.getContext(), first)
        self.paths[1].unlink()
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(reading.getContext(), first)
        self.write(1, key)
        self.clock.advance(LOOK_SECONDS)
        self.assertIsNot(reading.getContext(), first)

    def test_files_that_cannot_be_used_at_the_start(self) -> None:
        """One line that names the settings."""
        certificate, key = issue("first")
        other = issue("second")[1]
        locked = issue("third", password=b"secret")
        for pair in (
            (b"", key),
            (certificate, b""),
            (certificate, other),
            (key, certificate),
            locked,
        ):
            for path, content in zip(self.paths, pair, strict=True):
                path.write_bytes(content)
            error = self.assertRaises(StartError, self.reading)
            self.assertIn("[gateway] certificate_file, private_key_file", str(error))
            self.assertNotIn("\n", str(error))
        self.paths[0].unlink()
        self.assertRaises(StartError, self.reading)


class ServingTests(TestCase):
    """A node that speaks TLS to clients."""

    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.paths = install(self.folder, "first")
        self.patch(certificates, "LOOK_SECONDS", 0.0)

    def start(self) -> Any:
        node = start_node(
            self.mktemp(),
            **{
                "gateway.certificate_file": str(self.paths[0]),
                "gateway.private_key_file": str(self.paths[1]),
            },
        )
        self.addCleanup(node.stopService)
        return node

    def shown(self) -> Certificate:
        return Certificate.loadPEM(self.paths[0].read_bytes())

    async def served(self, node: Any) -> None:
        """A client that trusts just the certificate on disk is answered."""
        talker, factory = await talk(node, self.shown())
        answered = factory.next(ClientPong)
        talker.tell(ClientPing(), 1)
        await answered
        talker.sendClose(1000)
        await factory.closed

    async def test_the_certificate_on_disk_is_the_one_that_is_served(self) -> None:
        """Before and after it is replaced; a connection that is open goes on."""
        node = self.start()
        self.assertTrue(node.client_url.startswith("https://"))
        old, old_factory = await talk(node, self.shown())
        await self.served(node)
        install(self.folder, "the second one")
        await self.served(node)
        answered = old_factory.next(ClientPong)
        old.tell(ClientPing(), 1)
        await answered
        old.sendClose(1000)
        await old_factory.closed

    async def test_a_tls_handshake_that_never_ends(self) -> None:
        """The node hangs up by itself."""
        self.patch(site, "IDLE_SECONDS", 0.3)
        node = self.start()
        closed: Deferred[None] = Deferred()

        class Slow(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"\x16\x03\x01")

            def connectionLost(self, reason: Any = None) -> None:
                closed.callback(None)

        await endpoint(node).connect(Factory.forProtocol(Slow))
        await closed.addTimeout(20, reactor)

    async def test_a_body_without_end_is_cut_off(self) -> None:
        """Over TLS, where saying goodbye takes two."""
        node = self.start()
        closed: Deferred[int] = Deferred()

        class Pouring(Protocol):
            poured = 0

            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(
                    b"POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n"
                )
                transport: Any = self.transport
                transport.registerProducer(self, False)

            def resumeProducing(self) -> None:
                assert self.transport is not None
                self.poured += 65536
                self.transport.write(bytes(65536))

            def stopProducing(self) -> None:
                """The connection has gone."""

            def connectionLost(self, reason: Any = None) -> None:
                closed.callback(self.poured)

        await endpoint(node, self.shown()).connect(Factory.forProtocol(Pouring))
        poured = await closed.addTimeout(20, reactor)
        self.assertLess(poured, 16 * 1024 * 1024)
