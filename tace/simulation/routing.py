"""A network of routing tables alone: thousands of nodes that look keys up, and nothing else.

The tables, the memberships and the lookups are those of production, and so are the messages, which
are encoded and decoded. Links are not: a question is a call. A table is filled when its node is
first asked, with every record of the network in random order, as gossip would bring them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tace.errors import LinkLost
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId, Position
from tace.ring.lookup import Lookup
from tace.ring.membership import RECORD_LIFETIME_SECONDS, Membership, OwnDescription
from tace.ring.placement import CANDIDATES_PER_REPLICA
from tace.simulation.signatures import SeededKey
from tace.wire.message import Message, Request, encode
from tace.wire.peer import PEER_MESSAGES

A = TypeVar("A", bound=Message)
REPLICAS = 8
POSITION_MASK = 0b1111
MAX_TABLES = 1500
"""Tables that are kept. The one used longest ago goes, and is filled anew when it is wanted."""
NETWORK = b"routing".ljust(32, b"-")


class NoCounters:
    """Nobody reads them."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Forgotten at once."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Forgotten at once."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Forgotten at once."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A node's name and record; its table is made when somebody asks it.

    :ivar description: what its record says, to be said again by its membership.
    """

    name: str
    record: NodeRecord
    description: OwnDescription
    alive: bool


class RoutingNode:
    """One node: what it knows, and its lookups."""

    def __init__(self, membership: Membership, lookup: Lookup) -> None:
        self.membership = membership
        self.lookup = lookup
        self._procedures = lookup.procedures()

    async def answer(self, peer: NodeId, request: Message) -> Message:
        answer = await self._procedures[type(request)](peer, request)
        assert answer is not None
        return answer


class DirectLinks:
    """Links of one node: to ask is to call, and nobody who lives is slow.

    Implements :class:`~tace.ring.lookup.Peers`.
    """

    def __init__(self, network: RoutingNetwork, own: NodeId) -> None:
        self._network = network
        self._own = own

    def call(
        self, node: NodeId, request: Request[A], *, timeout_seconds: float | None = None
    ) -> Deferred[A]:
        return Deferred.fromCoroutine(self._call(node, request))

    async def _call(self, node: NodeId, request: Request[A]) -> A:
        if not self._network.is_alive(node):
            raise LinkLost("nobody answers")
        there = self._network.node(node)
        answer = await there.answer(self._own, _carried(request))
        brought: A = _carried(answer)  # type: ignore[assignment]
        return brought

    def is_up(self, node: NodeId) -> bool:
        return self._network.is_alive(node)


def _carried(message: Message) -> Message:
    return PEER_MESSAGES.decode(message.NUMBER, encode(message))


class RoutingNetwork:
    """So many nodes with tables of one size.

    :param seed: of all keys and orders.
    :param capacity: nodes that a table holds.
    :param dead: so many of the nodes do not answer, which nobody knows.
    """

    def __init__(
        self, seed: int, nodes: int, capacity: int, dead: int, *, clock: IReactorTime
    ) -> None:
        self._seed = seed
        self._capacity = capacity
        self._clock = clock
        gone = set(Random(f"{seed}/dead").sample(range(nodes), dead))
        self.machines = [self._machine(number, number not in gone) for number in range(nodes)]
        self._by_id = {machine.record.node_id: machine for machine in self.machines}
        self._records = [machine.record for machine in self.machines]
        self._ring: list[tuple[Position, NodeId]] = sorted(
            (position, record.node_id) for record in self._records for position, _ in record.places
        )
        self._nodes: dict[NodeId, RoutingNode] = {}

    def _machine(self, number: int, alive: bool) -> Machine:
        name = f"n{number:05}"
        description = OwnDescription(
            peer_addresses=(f"10.{number >> 8 & 255}.{number & 255}.{number >> 16}:9000",),
            client_urls=(f"https://{name}.example",),
            boot=int(self._clock.seconds()),
            position_mask=POSITION_MASK,
        )
        record = NodeRecord.sign(
            SeededKey.named(self._seed, name),
            NETWORK,
            peer_addresses=description.peer_addresses,
            client_urls=description.client_urls,
            boot=description.boot,
            sequence=1,
            position_mask=description.position_mask,
            expires_seconds=int(self._clock.seconds()) + RECORD_LIFETIME_SECONDS,
        )
        return Machine(name, record, description, alive)

    def is_alive(self, node: NodeId) -> bool:
        return self._by_id[node].alive

    def node(self, node: NodeId) -> RoutingNode:
        """That node, with its table."""
        found = self._nodes.pop(node, None)
        if found is None:
            while len(self._nodes) >= MAX_TABLES:
                del self._nodes[next(iter(self._nodes))]
            found = self._made(self._by_id[node])
        self._nodes[node] = found
        return found

    def _made(self, machine: Machine) -> RoutingNode:
        membership = Membership(
            SeededKey.named(self._seed, machine.name),
            NETWORK,
            machine.description,
            clock=self._clock,
            counters=NoCounters(),
            replicas=REPLICAS,
            table_capacity=self._capacity,
            repair_after_seconds=30.0,
            forget_after_seconds=300.0,
        )
        order = Random(f"{self._seed}/table/{machine.name}")
        for record in order.sample(self._records, len(self._records)):
            membership.table.put(record)
        lookup = Lookup(
            membership,
            links=DirectLinks(self, membership.own),
            clock=self._clock,
            counters=NoCounters(),
            may_ask=lambda node: 0.0,
            candidates=CANDIDATES_PER_REPLICA * REPLICAS,
        )
        return RoutingNode(membership, lookup)

    def after(self, key: bytes) -> Sequence[NodeId]:
        """Who really follows the key: the first 3N distinct nodes."""
        start = bisect_left(self._ring, (key, b""))
        found: dict[NodeId, None] = {}
        for at in range(len(self._ring)):
            found[self._ring[(start + at) % len(self._ring)][1]] = None
            if len(found) == CANDIDATES_PER_REPLICA * REPLICAS:
                break
        return list(found)
