"""What a real node answers over HTTP, on loopback, from its start to its stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from tace import node as node_module
from tace.gateway.frames import split_frames
from tace.gateway.web_files import installed_files
from tace.node import Node
from tace.wire.client import Challenge, ClientRefused
from tests.gateway.dist import FILES, write_dist
from tests.gateway.in_memory import decode
from tests.gateway.running import endpoint, start_node


class Asking(Protocol):
    """One request; everything that comes until the node hangs up."""

    def __init__(self) -> None:
        self.got = b""
        self.done: Deferred[tuple[bytes, bytes]] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Any = None) -> None:
        head, _, body = self.got.partition(b"\r\n\r\n")
        self.done.callback((head, body))


class NodeTests(TestCase):
    """A node with a made-up build of the web client."""

    timeout = 30

    def setUp(self) -> None:
        files = installed_files(write_dist(Path(self.mktemp())))
        self.patch(node_module, "installed_files", lambda: files)

    def start(self, **settings: Any) -> Node:
        node = start_node(self.mktemp(), **settings)
        self.addCleanup(node.stopService)
        return node

    async def ask(self, node: Node, request: str, **fields: str) -> tuple[bytes, bytes]:
        """Head and body of the answer to ``GET /path`` and the like."""
        return await (await self.begin(node, request, **fields))

    async def begin(self, node: Node, request: str, **fields: str) -> Deferred[tuple[bytes, bytes]]:
        asking: Any = await endpoint(node).connect(Factory.forProtocol(Asking))
        lines = [f"{request} HTTP/1.1", "Host: n", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        asking.transport.write("\r\n".join([*lines, "", ""]).encode())
        done: Deferred[tuple[bytes, bytes]] = asking.done
        return done

    async def test_the_page(self) -> None:
        """Is there unless the settings say otherwise."""
        head, body = await self.ask(self.start(), "GET /")
        self.assertEqual(body, FILES["index.html"])
        self.assertIn(b"Content-Security-Policy: default-src 'none'", head)
        _, body = await self.ask(self.start(**{"gateway.web": False}), "GET /")
        self.assertIn(b"A tace node.", body)

    async def test_without_a_build(self) -> None:
        """A node runs all the same, and says what is missing."""
        self.patch(node_module, "installed_files", dict)
        _, body = await self.ask(self.start(), "GET /")
        self.assertIn(b"was not built", body)

    async def test_a_socket_without_an_upgrade(self) -> None:
        """426, and what to upgrade to."""
        head, _ = await self.ask(self.start(), "GET /v1/socket")
        self.assertTrue(head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n"), head)
        self.assertIn(b"\r\nUpgrade: websocket", head)

    async def test_stopping(self) -> None:
        """A poll that waits hears it, and nothing of any session is left."""
        node = self.start()
        tokens = []
        for _ in range(2):
            head, body = await self.ask(node, "POST /v1/session")
            self.assertIsInstance(decode(*split_frames(body))[1], Challenge)
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            tokens.append(fields[b"Tace-Session"].decode())
        self.assertEqual(len(node._clients), 2)
        waiting = await self.begin(node, "GET /v1/poll", Tace_Session=tokens[0], Tace_Poll="1")
        # The answer to this comes after the poll was taken in.
        await self.ask(node, "GET /none")
        await node.stopService()
        _, body = await waiting
        _, word = decode(*split_frames(body))
        assert isinstance(word, ClientRefused)
        self.assertEqual(word.code, "draining")
        self.assertEqual(len(node._clients), 0)
