"""The routing table: verified node records, and every position they take, in ring order. Pure.

While the network is smaller than the table, everyone is in it and a lookup is arithmetic. In a
larger one :mod:`tace.ring.fingers` says who is kept, and lookups go from node to node
(:mod:`tace.ring.lookup`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import inf, isinf

from tace.identity.node_record import NodeRecord
from tace.ids import MAX_POSITIONS_REMEMBERED, Arc, NodeId, Place, Position, position_of
from tace.ring.fingers import Fingers

NEIGHBOURS = 24
"""3N: so many distinct nodes around each own position are kept by a full table."""
SMOOTHING = 1 / 8
"""Weight of a round trip among those before it."""
WHOLE_AGAIN = 7 / 8
"""A table that was full holds everyone again when no more than this part of it is taken."""


@lru_cache(maxsize=MAX_POSITIONS_REMEMBERED)
def _entry(node: NodeId, number: int) -> tuple[Position, Place]:
    """What stands in the ring; shared by all tables of a process."""
    return position_of(node, number), Place(node, number)


def everyone_counts(node: NodeId) -> bool:
    """Nobody is known to be dead."""
    return True


def nobody_cares(record: NodeRecord) -> None:
    """Whoever leaves, leaves."""


class RoutingTable:
    """Node records by id, and their positions sorted clockwise.

    :param capacity: how many nodes it holds at most. Then a further one stays outside, or another
        leaves for it.
    :param own: whose table it is: its record, once it is in, says which neighbours are kept. A
        table of nobody's takes nobody in when it is full.
    :param neighbours: 3N.
    :param counts: is a node living, or dead for so short a time that it has its place?
    :param left: told of each record that has to leave for another one.
    """

    def __init__(
        self,
        capacity: int,
        own: NodeId | None = None,
        *,
        neighbours: int = NEIGHBOURS,
        counts: Callable[[NodeId], bool] = everyone_counts,
        left: Callable[[NodeRecord], None] = nobody_cares,
    ) -> None:
        self.capacity = capacity
        self._own = own
        self._neighbours = neighbours
        self._counts = counts
        self._left = left
        self._records: dict[NodeId, NodeRecord] = {}
        self._ring: list[tuple[Position, Place]] = []
        self._positions: list[Position] = []
        """Those of the ring by themselves: every message is looked up, and this halves it."""
        self._met: dict[NodeId, float] = {}
        self._fingers: Fingers | None = None
        """There is an order among the nodes from when the table is full."""
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

    def put(self, record: NodeRecord, *, met: bool = False) -> bool:
        """Take in a record unless a fresher one (or the same) is here; True when it was news.

        :param met: has its node just proved itself on a link?
        """
        known = self._records.get(record.node_id)
        if known is not None:
            if known.freshness >= record.freshness:
                return False
            self._records[record.node_id] = record
            if known.position_mask != record.position_mask:
                self._stand(known, record)
            return True
        if len(self._records) >= self.capacity:
            leaver = self._order().leaves_for(record, met=met)
            if leaver is None:
                return False
            self._leave(leaver)
        self._records[record.node_id] = record
        if met:
            self._met[record.node_id] = inf
        self._stand(None, record)
        return True

    def remove(self, node: NodeId) -> None:
        known = self._records.pop(node, None)
        if known is None:
            return
        self._met.pop(node, None)
        self._stand(known, None)
        if len(self._records) <= WHOLE_AGAIN * self.capacity:
            self._fingers = None

    def _leave(self, node: NodeId) -> None:
        record = self._records[node]
        self.remove(node)
        self._left(record)

    def met(self, node: NodeId, round_trip_seconds: float = inf) -> None:
        """It has proved itself on a link. Infinite: a round trip was not measured.

        Several are smoothed (RFC 6298, section 2).
        """
        if node not in self._records:
            return
        known = self._met.get(node, inf)
        news = node not in self._met
        if isinf(known):
            self._met[node] = round_trip_seconds
        elif not isinf(round_trip_seconds):
            self._met[node] = known + SMOOTHING * (round_trip_seconds - known)
        if news and self._fingers is not None:
            self._fingers.look_again()

    def look_again(self) -> None:
        """Who is alive has changed."""
        if self._fingers is not None:
            self._fingers.look_again()

    def _order(self) -> Fingers:
        if self._fingers is None:
            self._fingers = Fingers(
                self, self._own, self.capacity, self._neighbours, self._counts, self._met
            )
        return self._fingers

    def _stand(self, old: NodeRecord | None, new: NodeRecord | None) -> None:
        for record in (old, new):
            if record is not None and record.node_id == self._own:
                self._fingers = None
        if old is not None:
            for position, _ in old.places:
                at = bisect_left(self._positions, position)
                del self._ring[at], self._positions[at]
            if self._fingers is not None:
                self._fingers.left(old)
        if new is not None:
            for position, index in new.places:
                at = bisect_left(self._positions, position)
                self._ring.insert(at, _entry(new.node_id, index))
                self._positions.insert(at, position)
            if self._fingers is not None:
                self._fingers.came(new)
        self.version += 1

    # -- what it knows -----------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Is everyone in it who was ever offered?"""
        return self._fingers is None

    def covers(self, key: bytes) -> bool:
        """Are all candidates of that key known, so that who keeps it is arithmetic?"""
        return self._fingers is None or self._fingers.covers(key)

    # -- walks -----------------------------------------------------------------------------------

    def slot(self, key: bytes) -> int:
        """Which entry of the ring is the successor of ``key``: the first at or after it."""
        at = bisect_left(self._positions, key)
        return at if at < len(self._ring) else 0

    def successor_position(self, key: bytes) -> Position:
        """The first position at or after ``key``; nothing where nobody is."""
        return self._positions[self.slot(key)] if self._positions else Position(b"")

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
