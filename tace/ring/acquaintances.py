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
MAX_KEYS = 65_536
"""Keys whose nodes are remembered: more than the mailboxes that the clients of one node read. Some
40 MB, and the records of the nodes, each once."""
MAX_TABLES = 512
"""Of these, so many have a table of their own at one time: 6 MB."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of a key: the nodes that follow it, nearest first, as they were found.

    :ivar until: the time up to which that is believed.
    """

    nodes: tuple[NodeId, ...]
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
        self._tables: dict[bytes, RoutingTable] = {}

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

    def remember(
        self, key: bytes, records: Sequence[NodeRecord], *, until: float | None = None
    ) -> None:
        """These follow the key, nearest first.

        :param until: how long that is believed; KEPT_SECONDS from now where it was just found.
        """
        for record in records:
            self.hold(record)
        self.forget(key)
        while len(self._keys) >= MAX_KEYS:
            self.forget(next(iter(self._keys)))
        if until is None:
            until = self._clock.seconds() + KEPT_SECONDS
        self._keys[key] = Surroundings(tuple(r.node_id for r in records), until)

    def forget(self, key: bytes) -> None:
        """What was found of a key is no longer true."""
        self._tables.pop(key, None)
        found = self._keys.pop(key, None)
        if found is not None:
            self.release(found.nodes)

    def around(self, key: bytes) -> Surroundings | None:
        """What is remembered of a key, however old; the order is that of last use."""
        found = self._keys.pop(key, None)
        if found is not None:
            self._keys[key] = found
        return found

    def table_around(self, key: bytes) -> RoutingTable | None:
        """Those nodes, and no others, as a table."""
        found = self.around(key)
        if found is None:
            return None
        table = self._tables.pop(key, None)
        if table is None:
            table = RoutingTable(max(1, len(found.nodes)))
            while len(self._tables) >= MAX_TABLES:
                del self._tables[next(iter(self._tables))]
        for node in found.nodes:
            # Fresher records take the places of older ones; the same one is no news.
            table.put(self._records[node])
        self._tables[key] = table
        return table

    def is_fresh(self, key: bytes) -> bool:
        """Is something remembered of it that is still believed?"""
        found = self._keys.get(key)
        return found is not None and found.until > self._clock.seconds()
