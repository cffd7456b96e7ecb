"""Real nodes that find each other through DNS and through seeds, but not through wrong ones."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory

from tace.client.address import NodeAddress
from tace.client.websocket import WebSocketDialer
from tace.lab.inquiry import Inquiry
from tace.node import Node
from tace.wire.client import StatusInfo
from tests.gateway.running import reactor
from tests.test_node import NodeTestCase


class OneNode(FileAuthority):
    """A zone in which one node is told of.

    :param texts: the TXT strings beside its SRV record.
    """

    soa: Any
    records: Any

    def __init__(self, port: int, *texts: str) -> None:
        super().__init__("")
        start = dns.Record_SOA(mname=b"net.example", rname=b"x.net.example", minimum=60, ttl=60)
        self.soa = (b"net.example", start)
        self.records = {
            b"net.example": [start],
            b"_tace._tcp.net.example": [
                dns.Record_SRV(10, 0, port, b"seed.net.example", ttl=60),
                *(dns.Record_TXT(text.encode(), ttl=60) for text in texts),
            ],
            b"seed.net.example": [dns.Record_A("127.0.0.1", ttl=60)],
        }

    def loadFile(self, filename: object) -> None:
        """There is none."""


class SeedTests(NodeTestCase):
    """Each node in a directory of its own."""

    def node(self, **settings: Any) -> Node:
        self.folder = self.folder.parent / (self.folder.name + "x")
        return super().node(**settings)

    def name_server(self, zone: OneNode) -> str:
        factory = DNSServerFactory(authorities=[zone])
        factory.noisy = False
        port = reactor.listenUDP(0, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}"

    async def until(self, node: Node, state: str) -> None:
        while node.state != state:
            await deferLater(reactor, 0.02)

    async def status(self, node: Node) -> StatusInfo:
        """What it tells a client."""
        inquiry = Inquiry(NodeAddress.parse(node.client_url), WebSocketDialer(reactor))
        try:
            return await inquiry.status()
        finally:
            inquiry.close()

    async def test_a_name_leads_to_the_network(self) -> None:
        """SRV, TXT and A, asked of a real name server."""
        first = self.started()
        text = f"id={first.node_id.hex()} host=seed.net.example"
        server = self.name_server(OneNode(first.peer_port, text))
        second = self.started(
            **{"links.seed_names": ["net.example"], "links.name_servers": [server]}
        )
        await self.until(second, "member")
        self.assertTrue(second.core.links.is_up(first.node_id))

    async def test_a_seed_that_is_not_who_it_must_be(self) -> None:
        """Is not linked; the log says so, and so does the node."""
        first = self.started()
        address = f"127.0.0.1:{first.peer_port}"
        with capturedLogs() as events:
            second = self.started(**{"links.seeds": [f"{address}#{'ab' * 32}"]})
            await self.until(second, "alone")
        (failure,) = second.core.bootstrap.failures
        self.assertIn(f"seed {address}: wrong-node", failure)
        lines = [e for e in events if "is not node {pinned}" in str(e.get("log_format"))]
        self.assertEqual([e["where"] for e in lines], ["[links] seeds"])
        self.assertFalse(second.core.links.is_up(first.node_id))
        told = await self.status(second)
        self.assertEqual((told.state, told.tried), ("alone", (failure,)))
        # Whom it turns away here is not turned away for good.
        again = self.started(**{"links.seeds": [f"{address}#{first.node_id.hex()}"]})
        await self.until(again, "member")

    async def test_who_was_met_first_is_on_the_disk(self) -> None:
        """And is not announced anew after a restart."""
        first = self.started()
        seeds = {"links.seeds": [f"127.0.0.1:{first.peer_port}"]}
        with capturedLogs() as events:
            second = self.started(**seeds)
            await self.until(second, "member")
            await second.stopService()
        trusted = [e for e in events if "trusted on first use" in str(e.get("log_format"))]
        self.assertEqual([e["node"] for e in trusted], [first.node_id.hex()])
        with capturedLogs() as events:
            third = NodeTestCase.node(self, **seeds)
            third.privilegedStartService()
            third.startService()
            self.addCleanup(third.stopService)
            await self.until(third, "member")
        self.assertEqual(third.node_id, second.node_id)
        self.assertEqual([e for e in events if "first use" in str(e.get("log_format"))], [])
