"""One real node: how it starts, refuses to start, and stops."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tace import node as node_module
from tace.config import default_settings
from tace.core import Core
from tace.errors import StartError, StoreError
from tace.identity.keys import SigningKey
from tace.node import Node, make_node
from tace.wire.client import ClientPing, ClientPong
from tests.gateway.certificates import issue
from tests.gateway.running import reactor, talk


def port_of(port: Any) -> int:
    """The TCP port that is listened on."""
    number: int = port.getHost().port
    return number


class NodeTestCase(TestCase):
    """Nodes on ports of their own, in directories of their own."""

    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.threads = set(threading.enumerate())

    def node(self, **settings: Any) -> Node:
        return make_node(
            default_settings(
                **{
                    "node.data_dir": str(self.folder),
                    "links.listen": "tcp:0:interface=127.0.0.1",
                    "gateway.listen": "tcp:0:interface=127.0.0.1",
                    **settings,
                }
            ),
            reactor,
        )

    def started(self, **settings: Any) -> Node:
        node = self.node(**settings)
        node.privilegedStartService()
        node.startService()
        self.addCleanup(node.stopService)
        return node

    def taken_port(self) -> int:
        """A port that somebody else listens on until the test has ended."""
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        self.addCleanup(taken.close)
        return int(taken.getsockname()[1])

    async def assert_nothing_is_left(self) -> None:
        """No thread: one would keep the process from ending."""
        while left := set(threading.enumerate()) - self.threads - reactor_threads():
            await deferLater(reactor, 0.01)
            if all(not thread.is_alive() for thread in left):
                break

    async def refusal(self, **settings: Any) -> str:
        """The line a node does not start with, and nothing left behind."""
        node = self.node(**settings)
        error = self.assertRaises(StartError, node.privilegedStartService)
        await self.assert_nothing_is_left()
        line = str(error)
        self.assertNotIn("\n", line)
        return line


def reactor_threads() -> set[threading.Thread]:
    """Those of Twisted's own pool, which outlive a test."""
    return set(reactor.getThreadPool().threads)


class StartTests(NodeTestCase):
    """What a first start makes, and a second one finds."""

    async def test_the_identity_is_made_once_and_is_the_owners_alone(self) -> None:
        """Mode 0600 whatever lay in its way; the same node after a restart."""
        self.folder.mkdir()
        (self.folder / "identity.new").write_bytes(b"left by a crash, readable by all")
        (self.folder / "identity.new").chmod(0o666)
        node = self.started()
        path = self.folder / "identity.pem"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual([p.name for p in self.folder.glob("identity*")], [path.name])
        self.assertIsInstance(SigningKey.from_pem(path.read_bytes()), SigningKey)
        before = path.read_bytes()
        await node.stopService()
        again = self.started()
        self.assertEqual((again.node_id, path.read_bytes()), (node.node_id, before))

    async def test_it_says_where_it_is(self) -> None:
        """The record names the ports that were really taken; the node alone says so."""
        node = self.started()
        await node._starting
        record = node.core.membership.current
        self.assertEqual(record.peer_addresses, (f"127.0.0.1:{node.peer_port}",))
        self.assertEqual(record.client_urls, node.names)
        self.assertEqual(node.state, "alone")

    async def test_metrics(self) -> None:
        """In Prometheus' words, where the settings say, and only there."""
        node = self.started(**{"observe.metrics_listen": "tcp:0:interface=127.0.0.1"})
        await node._starting
        talker, factory = await talk(node)
        answered = factory.next(ClientPong)
        talker.tell(ClientPing(), 1)
        await answered
        talker.sendClose(1000)
        await factory.closed
        metrics, gateway = (port_of(node._ports[at]) for at in (-1, 0))
        answer = await fetch(metrics, b"/metrics")
        self.assertIn(b" 200 ", answer[:20])
        self.assertIn(b'\ntace_pointer_changes_total{pointer="successor"} ', answer)
        self.assertIn(b"no-store", answer)
        self.assertIn(b" 404 ", (await fetch(metrics, b"/"))[:20])
        self.assertIn(b" 404 ", (await fetch(gateway, b"/metrics"))[:20])


class RefusalTests(NodeTestCase):
    """A node that cannot start says why in one line that names the setting."""

    async def test_a_taken_peer_port(self) -> None:
        """Nothing else stays open."""
        port = self.taken_port()
        line = await self.refusal(**{"links.listen": f"tcp:{port}:interface=127.0.0.1"})
        self.assertIn("[links] listen", line)
        self.assertIn(str(port), line)

    async def test_a_taken_client_port(self) -> None:
        """The peer port, which was free, is let go again."""
        port = self.taken_port()
        line = await self.refusal(**{"gateway.listen": f"tcp:{port}:interface=127.0.0.1"})
        self.assertIn("[gateway] listen", line)

    async def test_a_taken_metrics_port(self) -> None:
        """Likewise, with the two others open by then."""
        port = self.taken_port()
        line = await self.refusal(**{"observe.metrics_listen": f"tcp:{port}:interface=127.0.0.1"})
        self.assertIn("[observe] metrics_listen", line)

    async def test_a_certificate_that_cannot_be_used(self) -> None:
        """Found at the start, not by the first client."""
        self.folder.mkdir()
        broken = self.folder / "broken.pem"
        broken.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        line = await self.refusal(
            **{
                "gateway.certificate_file": str(broken),
                "gateway.private_key_file": str(broken),
                "gateway.listen": "tcp:0:interface=127.0.0.1",
            }
        )
        self.assertIn("[gateway] certificate_file", line)

    async def test_a_directory_that_cannot_be_written(self) -> None:
        """A path below a file, which not even root can write to."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.write_bytes(b"a file")
        self.folder = self.folder / "below"
        line = await self.refusal()
        self.assertIn("[node] data_dir", line)

    async def test_a_damaged_identity(self) -> None:
        """Cut short, another kind of key, locked by a password: never written over."""
        self.folder.mkdir()
        path = self.folder / "identity.pem"
        good = SigningKey.from_seed(b"k" * 48).to_pem()
        for content in (b"", good[:80], b"no key", good.replace(b"PRIVATE", b"PUBLIC"), LOCKED):
            path.write_bytes(content)
            line = await self.refusal()
            self.assertIn("identity.pem", line)
            self.assertEqual(path.read_bytes(), content)

    async def test_a_damaged_database(self) -> None:
        """Not a database at all, and one that lost its first page; neither is written over."""
        self.folder.mkdir()
        path = self.folder / "node.db"
        path.write_bytes(b"this is no database" * 1000)
        self.assertIn("node.db", await self.refusal())
        self.assertEqual(path.read_bytes(), b"this is no database" * 1000)

    async def test_a_directory_that_another_node_uses(self) -> None:
        """One directory is one node."""
        node = self.started()
        self.threads = set(threading.enumerate())
        self.assertIn("works in this directory", await self.refusal())
        await node._starting

    async def test_afterwards_the_port_is_free_and_a_start_succeeds(self) -> None:
        """A failed start holds neither lock nor port."""
        port = self.taken_port()
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        peer = free.getsockname()[1]
        free.close()
        where = {"links.listen": f"tcp:{peer}:interface=127.0.0.1"}
        await self.refusal(**where, **{"gateway.listen": f"tcp:{port}:interface=127.0.0.1"})
        node = self.started(**where)
        self.assertEqual(node.peer_port, peer)


class StopTests(NodeTestCase):
    """Always to the end, whatever happens on the way."""

    async def test_twice(self) -> None:
        """The second waits for the first and does nothing."""
        node = self.started()
        await node._starting
        first, second = node.stopService(), node.stopService()
        await first
        await second
        await node.stopService()
        await self.assert_nothing_is_left()

    async def test_before_it_was_started(self) -> None:
        """There is nothing to do."""
        await self.node().stopService()

    async def test_during_the_start(self) -> None:
        """The start ends where it is, and starts no loop after that."""
        silent = self.taken_port()
        node = self.started(**{"links.seeds": [f"127.0.0.1:{silent}"]})
        self.assertNoResult(node._starting)
        await node.stopService()
        self.successResultOf(node._starting)
        self.assertFalse(node.core.ring.joined)
        await self.assert_nothing_is_left()

    async def test_although_a_part_of_it_fails(self) -> None:
        """The store is closed all the same; the reason is in the log."""
        node = self.started()
        await node._starting

        async def broken(_: Core) -> None:
            await node.core.upkeep.stop()
            raise StoreError("the disk is full")

        real = Core.stop
        self.patch(Core, "stop", broken)
        await node.stopService()
        self.assertEqual(len(self.flushLoggedErrors(StoreError)), 1)
        await self.assert_nothing_is_left()
        await real(node.core)
        self.flushLoggedErrors(StoreError)

    async def test_with_clients_and_something_in_flight(self) -> None:
        """They are told; what never ends is not waited for longer than the drain."""
        node = self.started()
        await node._starting
        _, factory = await talk(node)
        (session,) = node._clients
        session._in_flight += 1
        self.patch(node_module, "DRAIN_SECONDS", 0.1)
        await node.stopService()
        await factory.closed
        await self.assert_nothing_is_left()


async def fetch(port: int, path: bytes) -> bytes:
    """Everything that one GET brings."""
    done: Deferred[bytes] = Deferred()

    class Fetching(Protocol):
        got = b""

        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(b"GET " + path + b" HTTP/1.0\r\n\r\n")

        def dataReceived(self, data: bytes) -> None:
            self.got += data

        def connectionLost(self, reason: Any = None) -> None:
            done.callback(self.got)

    await HostnameEndpoint(reactor, b"127.0.0.1", port).connect(Factory.forProtocol(Fetching))
    return await done


LOCKED = issue("nobody", password=b"secret")[1]
