"""Whole nodes in memory for the tests of delivery: some of them lie."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.inbox import Inbox
from tace.delivery.votes import Outcome
from tace.identity.mailbox_proof import Lease
from tace.seams import Procedure
from tace.wire.message import Message
from tace.wire.objects import CHUNK_BYTES, SECONDS_PER_HOUR, Blob, Envelope, is_stamped
from tests.letters import Box
from tests.network import MemoryNetwork, TestNode

STAMP_BITS = 4
"""What the nodes of a :class:`~tests.network.MemoryNetwork` demand."""


def stamped_blob(number: int, now: float, *, hours: int = 24, bits: int = STAMP_BITS) -> Blob:
    """Blob ``number``, which expires so many hours from now, with the work done."""
    data = number.to_bytes(8) * (CHUNK_BYTES // 8)
    name = sha256(data).digest()
    nonce = next(n for n in count() if is_stamped(name, bits, n, wanted=bits))
    return Blob.make(
        data,
        expires_hours=int(now // SECONDS_PER_HOUR) + hours,
        stamp_target=bits,
        stamp_nonce=nonce,
    )


class Reader:
    """One client's inbox at a node: what was pushed, and which mailboxes it caught up with."""

    def __init__(self, node: TestNode, window: int = 64) -> None:
        self.node = node
        self.pushed: list[bytes] = []
        self.caught_up: list[tuple[bytes, bool]] = []
        self.inbox = Inbox(
            self.pushed.append,
            lambda mailbox, complete: self.caught_up.append((mailbox, complete)),
            clock=node.network.clock,
            window=window,
        )

    def lease(self, box: Box) -> Lease:
        network = self.node.network
        return Lease(
            *box.lease(
                network_id=network.settings.network_id,
                node=self.node.id,
                now=network.clock.seconds(),
            )
        )

    def watch(self, box: Box) -> None:
        self.node.core.collect.watch(self.lease(box), self.inbox)

    def leave(self, box: Box) -> None:
        self.node.core.collect.unwatch(box.id, self.inbox)
        self.inbox.close()


class DeliveryTestCase(SynchronousTestCase):
    """A ring of nodes that are all replicas of everything."""

    count = 3
    replicas = 8

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=1, **{"ring.replicas": self.replicas})
        self.nodes = self.network.ring(self.count)
        self.box = Box()

    def letter(self, number: int) -> Envelope:
        return self.box.envelope(number, self.network.clock.seconds())

    def send(self, at: int, envelope: Envelope) -> Deferred[list[Outcome]]:
        return self.nodes[at].core.deposit.envelopes([envelope.encoded])

    def sent(self, at: int, envelope: Envelope, *, within: float = 3.0) -> Outcome:
        outcome: Outcome
        (outcome,) = self.network.result(self.send(at, envelope), within)
        return outcome

    def put(self, node: TestNode, envelopes: Sequence[Envelope]) -> None:
        """Into one store, past everything else."""
        self.network.result(node.store.put_envelopes(envelopes, self.network.clock.seconds()))

    def put_everywhere(self, envelopes: Sequence[Envelope]) -> None:
        for node in self.nodes:
            self.put(node, envelopes)

    def truth(self, node: TestNode, cls: type[Message]) -> Procedure:
        return node.raw_links._procedures[cls]

    def lie(self, node: TestNode, cls: type[Message], procedure: Procedure) -> None:
        """From now on the node answers others so. To itself it tells the truth."""
        node.raw_links._procedures = {**node.raw_links._procedures, cls: procedure}

    def slow(self, node: TestNode, cls: type[Message], seconds: float) -> None:
        """The node takes its time with each answer of a kind."""
        honest = self.truth(node, cls)

        async def late(peer: bytes, message: Any) -> Message | None:
            waited: Deferred[None] = Deferred()
            self.network.clock.callLater(seconds, waited.callback, None)
            await waited
            return await honest(peer, message)

        self.lie(node, cls, late)
