"""The routing table: verified node records, and every position they take, in ring order. Pure.

While the network is smaller than the table, everyone is in it and a lookup is arithmetic.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from tace.identity.node_record import NodeRecord
from tace.ids import Arc, NodeId, Place, Position


class RoutingTable:
    """Node records by id, and their positions sorted clockwise.

    :param capacity: how many nodes it holds at most; a further one is not taken in.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._records: dict[NodeId, NodeRecord] = {}
        self._ring: list[tuple[Position, Place]] = []
        self._positions: list[Position] = []
        """Those of the ring by themselves: every message is looked up, and this halves it."""
        self.version = 0
        """Rises with every change of who stands where."""

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, node: object) -> bool:
        return node in self._records

    def __iter__(self) -> Iterator[NodeRecord]:
        return iter(self._records.values())

    def get(self, node: NodeId) -> NodeRecord | None:
        return self._records.get(node)

    def put(self, record: NodeRecord) -> bool:
        """Take in a record unless a fresher one (or the same) is here; True when it was news."""
        known = self._records.get(record.node_id)
        if known is not None:
            if known.freshness >= record.freshness:
                return False
            self._records[record.node_id] = record
            if known.position_mask != record.position_mask:
                self._stand(known, record)
            return True
        if len(self._records) >= self.capacity:
            return False
        self._records[record.node_id] = record
        self._stand(None, record)
        return True

    def remove(self, node: NodeId) -> None:
        known = self._records.pop(node, None)
        if known is not None:
            self._stand(known, None)

    def _stand(self, old: NodeRecord | None, new: NodeRecord | None) -> None:
        if old is not None:
            gone = {position for position, _ in old.places}
            self._ring = [entry for entry in self._ring if entry[0] not in gone]
            self._positions = [position for position in self._positions if position not in gone]
        if new is not None:
            for position, index in new.places:
                insort(self._ring, (position, Place(new.node_id, index)))
                insort(self._positions, position)
        self.version += 1

    # -- walks -----------------------------------------------------------------------------------

    def slot(self, key: bytes) -> int:
        """Which entry of the ring is the successor of ``key``: the first at or after it."""
        at = bisect_left(self._positions, key)
        return at if at < len(self._ring) else 0

    def clockwise(self, key: bytes) -> Iterator[tuple[Position, Place]]:
        """Every position once, from the successor of ``key`` on."""
        ring = self._ring
        start = self.slot(key)
        for at in range(start, len(ring)):
            yield ring[at]
        for at in range(start):
            yield ring[at]

    def counter_clockwise(self, key: bytes) -> Iterator[tuple[Position, Place]]:
        """Every position once, from the one strictly before ``key`` backwards."""
        ring = self._ring
        start = bisect_left(self._positions, key)
        for at in range(start - 1, -1, -1):
            yield ring[at]
        for at in range(len(ring) - 1, start - 1, -1):
            yield ring[at]

    def positions_in(self, arc: Arc, limit: int) -> list[Position]:
        """The positions that lie in the arc, clockwise, at most ``limit``."""
        found: list[Position] = []
        for position, _ in self.clockwise(arc.start):
            if position == arc.start and arc.start != arc.end:
                continue
            if position not in arc or len(found) == limit:
                break
            found.append(position)
        return found

    def closest_preceding(self, key: bytes) -> Place | None:
        """The known place that most closely precedes ``key`` (Chord, figure 5)."""
        return next((place for _, place in self.counter_clockwise(key)), None)

    def nodes_clockwise(self, key: bytes) -> Iterator[NodeId]:
        """Distinct nodes, in the order their positions follow ``key``."""
        seen: set[NodeId] = set()
        for _, place in self.clockwise(key):
            if place.node not in seen:
                seen.add(place.node)
                yield place.node
