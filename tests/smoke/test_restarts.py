"""A recipient who stays connected while the nodes that keep the mailbox are restarted."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall

from tace.wire.client import SendResult
from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.nodes import Nodes, replica_nodes
from tests.smoke.stage.people import Recipient, Sender

REPLICAS = 3
SEND_EVERY_SECONDS = 0.1
WITHIN_SECONDS = 2.0


class Restarts(SmokeCase):
    """Five nodes, three of which keep the mailbox; two others serve the two people."""

    async def test_one_after_the_other(self) -> None:
        """Each message is pushed within 2 s of being sent, over the one connection."""
        nodes = Nodes(self, 5, {"ring.replicas": REPLICAS})
        statuses = await nodes.start()
        box = Box()
        keepers = replica_nodes(statuses, box.id, REPLICAS)
        replicas = [i for i, status in enumerate(statuses) if status.node_id in keepers]
        others = [i for i in range(len(nodes)) if i not in replicas]
        recipient = await Recipient.at(self, nodes.address(others[0]), box)
        await recipient.complete
        mail = _Mail(await Sender.at(self, nodes.address(others[1])), recipient, box)
        mail.start()
        self.addCleanup(mail.stop)
        # An odd number of replicas: each of them is asked to stop once, and killed once.
        for index, signal in zip(replicas * 2, ("TERM", "KILL") * REPLICAS, strict=True):
            await nodes.end(index, signal)
            await nodes.start_one(index)
            await nodes.one_ring()
        await mail.stop()

        self.assertEqual(recipient.losses, 0)
        self.assertGreater(len(mail.latencies), 20)
        slow = {number: taken for number, taken in mail.latencies.items() if taken > WITHIN_SECONDS}
        self.assertEqual(slow, {})
        # A recipient may be faster with her ack than the second replica with its answer.
        refused = [result for result in mail.results if result.state not in ("stored", "acked")]
        self.assertEqual(refused, [])
        print(
            f"\n  {len(mail.latencies)} messages while each replica restarted twice:"
            f" slowest {max(mail.latencies.values()):.3f} s"
        )


class _Mail:
    """Sends a letter every tenth of a second, and notes how long each took to be pushed."""

    def __init__(self, sender: Sender, recipient: Recipient, box: Box) -> None:
        self.latencies: dict[int, float] = {}
        self.results: list[SendResult] = []
        self._sender = sender
        self._recipient = recipient
        self._box = box
        self._under_way: list[Deferred[None]] = []
        self._loop = LoopingCall(self._send_next)
        self._sent = 0

    def start(self) -> None:
        self._loop.start(SEND_EVERY_SECONDS)

    async def stop(self) -> None:
        """Returns when the last one has arrived."""
        if self._loop.running:
            self._loop.stop()
        await gatherResults(self._under_way, consumeErrors=True)

    def _send_next(self) -> None:
        self._sent += 1
        self._under_way.append(Deferred.fromCoroutine(self._send(self._sent)))

    async def _send(self, number: int) -> None:
        begun = reactor.seconds()
        letter = self._box.envelope(number, begun)
        arrived = self._recipient.gets(number)
        self.results.append(await self._sender.send_one(letter))
        self.latencies[number] = await arrived.addTimeout(10, reactor) - begun
