"""What a watch costs while nothing arrives."""

from __future__ import annotations

import re
from collections import Counter

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.nodes import Nodes, free_ports, replica_nodes
from tests.smoke.stage.people import Recipient, Sender

REPLICAS = 3
IDLE_SECONDS = 10.0
PINGS = {"Ping", "Pong", "ClientPing", "ClientPong"}


class IdleWatch(SmokeCase):
    """Four nodes whose other periodic work is switched off for as long as the test takes."""

    async def test_no_frame_but_pings(self) -> None:
        """Ten seconds in which no message of any other kind is received by anyone."""
        nodes = Nodes(
            self,
            4,
            {
                "ring.replicas": REPLICAS,
                "ring.stabilize_quiet_seconds": 300.0,
                "ring.stabilize_slower": 1000.0,
                "ring.stabilize_stale_share": 1.0,
                "ring.reconcile_seconds": 3600.0,
            },
            alterations=["count_frames"],
        )
        first = free_ports(len(nodes))
        metrics = [first + index for index in range(len(nodes))]
        for plan, port in zip(nodes.plans, metrics, strict=True):
            with plan.config.open("a") as config:
                config.write(f'\n[observe]\nmetrics_listen = "tcp:{port}:interface=127.0.0.1"\n')
        statuses = await nodes.start()
        box = Box()
        keepers = replica_nodes(statuses, box.id, REPLICAS)
        (gateway,) = (i for i, status in enumerate(statuses) if status.node_id not in keepers)
        recipient = await Recipient.at(self, nodes.address(gateway), box)
        self.assertTrue(await recipient.complete)
        sender = await Sender.at(self, nodes.address((gateway + 1) % len(nodes)))

        before = await self._received(metrics)
        await sender.send_one(box.envelope(1, reactor.seconds()))
        await recipient.gets(1)
        await self._settled(metrics)
        busy = await self._received(metrics)
        # The counting counts: one message, its arrival from the two replicas that are watched.
        self.assertEqual(
            {name: (busy - before)[name] for name in ("Send", "Arrived", "Ack")},
            {"Send": 1, "Arrived": 2, "Ack": 1},
        )

        pushes = recipient.pushes
        await deferLater(reactor, IDLE_SECONDS)
        idle = await self._received(metrics) - busy
        print(f"\n  received by 4 nodes in {IDLE_SECONDS:.0f} idle seconds: {dict(idle)}")
        self.assertEqual(set(idle) - PINGS, set())
        self.assertGreater(idle["Ping"], 0)
        self.assertEqual(recipient.pushes, pushes)
        self.assertEqual(recipient.losses, 0)

    async def _settled(self, metrics: list[int]) -> None:
        """Until a second has passed without anything but pings: the ring has come to rest."""
        seen = await self._received(metrics)
        for _ in range(20):
            await deferLater(reactor, 1.0)
            now = await self._received(metrics)
            if set(now - seen) <= PINGS:
                return
            seen = now
        self.fail("the network does not come to rest")

    async def _received(self, metrics: list[int]) -> Counter[str]:
        """How often each kind of message was received so far, by all nodes together."""
        total: Counter[str] = Counter()
        agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        for port in metrics:
            response = await agent.request(b"GET", f"http://127.0.0.1:{port}/metrics".encode())
            body: Deferred[bytes] = readBody(response)
            found = re.findall(
                r'^tace_received_total\{message="(\w+)"\} ([\d.e+]+)', (await body).decode(), re.M
            )
            total.update({name: int(float(number)) for name, number in found})
        return total
