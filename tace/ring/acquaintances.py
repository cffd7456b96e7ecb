"""Nodes that are known for a while though the routing table has no room for them.

Those that a lookup is just asking, and those that were found to keep a key: so that they can be
dialled, and so that replica sets far away can be computed. Bounded; the key used longest ago goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.table import RoutingTable

KEPT_SECONDS = 300.0
"""So long it is believed who keeps a key. A replica that is none any more says who is nearer."""
MAX_KEYS = 2048
"""Keys whose nodes are remembered, with 3N records each: 24 MB at most."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of a key: the nodes that follow it, nearest first, as they were found.

    :ivar table: of these alone.
    :ivar until: the time up to which that is believed.
    """

    nodes: tuple[NodeId, ...]
    table: RoutingTable
    until: float


class Acquaintances:
    """Records with a count of who wants them, and what was found of keys.

    :param left: told of each node that nobody wants any more.
    """

    def __init__(self, clock: IReactorTime, left: Callable[[NodeId], None]) -> None:
        self._clock = clock
        self._left = left
        self._records: dict[NodeId, NodeRecord] = {}
        self._wanted: dict[NodeId, int] = {}
        self._keys: dict[bytes, Surroundings] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, node: NodeId) -> NodeRecord | None:
        return self._records.get(node)

    def hold(self, record: NodeRecord) -> None:
        """Keep it until it was released as often; of two of one node the fresher one."""
        node = record.node_id
        self._wanted[node] = self._wanted.get(node, 0) + 1
        self.refresh(record)

    def refresh(self, record: NodeRecord) -> None:
        """A record was heard: it takes the place of an older one of its node, if there is one."""
        node = record.node_id
        known = self._records.get(node)
        if node in self._wanted and (known is None or known.freshness < record.freshness):
            self._records[node] = record

    def release(self, nodes: Iterable[NodeId]) -> None:
        for node in nodes:
            self._wanted[node] -= 1
            if not self._wanted[node]:
                del self._wanted[node], self._records[node]
                self._left(node)

    # -- keys ------------------------------------------------------------------------------------

    def remember(self, key: bytes, records: Sequence[NodeRecord]) -> None:
        """These follow the key, nearest first."""
        for record in records:
            self.hold(record)
        self.forget(key)
        while len(self._keys) >= MAX_KEYS:
            self.forget(next(iter(self._keys)))
        table = RoutingTable(len(records))
        for record in records:
            table.put(record)
        until = self._clock.seconds() + KEPT_SECONDS
        self._keys[key] = Surroundings(tuple(r.node_id for r in records), table, until)

    def forget(self, key: bytes) -> None:
        """What was found of a key is no longer true."""
        found = self._keys.pop(key, None)
        if found is not None:
            self.release(found.nodes)

    def around(self, key: bytes) -> Surroundings | None:
        """What is remembered of a key, however old; the order is that of last use."""
        found = self._keys.pop(key, None)
        if found is not None:
            self._keys[key] = found
        return found

    def is_fresh(self, key: bytes) -> bool:
        """Is something remembered of it that is still believed?"""
        found = self._keys.get(key)
        return found is not None and found.until > self._clock.seconds()
