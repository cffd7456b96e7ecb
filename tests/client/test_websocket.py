"""The WebSocket adapter, over loopback against a real node's gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from tace.client.address import NodeAddress
from tace.client.websocket import WebSocketDialer
from tace.config import default_settings
from tace.errors import LinkLost, TaceError
from tace.node import make_node
from tace.wire.client import ClientPing
from tests.client.timers import drop_batched_timers


class Dialling(TestCase):
    """What is at the other end is real."""

    timeout = 60

    def setUp(self) -> None:
        self.dial = WebSocketDialer(reactor)
        self.addCleanup(drop_batched_timers, reactor)

    def listen(self, factory: Any) -> NodeAddress:
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return NodeAddress.parse(f"http://127.0.0.1:{port.getHost().port}")

    async def test_a_node(self) -> None:
        """It speaks first, answers, and the end is told on both ways out."""
        settings = default_settings(
            **{
                "node.data_dir": Path(self.mktemp()).absolute(),
                "links.listen": "tcp:0:interface=127.0.0.1",
                "gateway.listen": "tcp:0:interface=127.0.0.1",
            }
        )
        node = make_node(settings, reactor)
        node.privilegedStartService()
        node.startService()
        self.addCleanup(node.stopService)
        address = NodeAddress.parse(node.client_url)
        connection = await self.dial(address)
        challenge = await connection.opened()
        self.assertIn(address.origin, challenge.names)
        self.assertEqual(challenge.node_id, node.node_id)
        pong = await connection.request(ClientPing())
        self.assertLess(abs(pong.clock_ms / 1000 - connection.node_seconds), 1.0)
        lost: Deferred[TaceError] = Deferred()

        class Ending:
            def pushed(self, envelope: bytes) -> None:
                raise AssertionError("nothing is watched")

            def caught_up(self, mailbox: bytes, complete: bool) -> None:
                raise AssertionError("nothing is watched")

            def connection_lost(self, reason: TaceError) -> None:
                lost.callback(reason)

        connection.events = Ending()
        connection.close()
        self.assertIsInstance(await lost, LinkLost)
        again = await self.dial(address)
        await again.opened()
        again.close()

    async def test_nobody_there(self) -> None:
        """Refused, and said with the address. Port 1 of loopback: nobody listens there."""
        with self.assertRaisesRegex(LinkLost, "http://127.0.0.1:1: "):
            await self.dial(NodeAddress.parse("http://127.0.0.1:1"))

    async def test_a_web_server_that_is_no_node(self) -> None:
        """A 404 where the WebSocket should be."""
        address = self.listen(Site(Resource()))
        with self.assertRaisesRegex(LinkLost, "not a tace node"):
            await self.dial(address)

    async def test_given_up(self) -> None:
        """A dial that is cancelled hangs up on a server that never answers."""
        gone: Deferred[None] = Deferred()

        class Silent(Protocol):
            def connectionMade(self) -> None:
                dialled.cancel()

            def connectionLost(self, reason: object = None) -> None:
                gone.callback(None)

        dialled = self.dial(self.listen(Factory.forProtocol(Silent)))
        dialled.addErrback(lambda _: None)
        await gone
