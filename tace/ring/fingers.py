"""Which nodes a full routing table keeps (page 2.3). Pure: it looks at the table, and decides.

Kept in any case are the neighbours of the own positions: what replica sets near them are computed
from. All others share the room that is left equally between the octaves of distance: that is a
density proportional to 1/distance, with a few fingers (Chord, section 4.3) in each octave. Of two
in one octave those stay that have proved themselves on a link, those nearer in round trip, and
those known for longer; so nobody who makes keys drives out what is in use.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tace.identity.node_record import NodeRecord
from tace.ids import POSITIONS_PER_NODE, RING_SIZE, NodeId, Place, Position

FINGERS = 2
"""In an octave, at least: for so many even somebody in use leaves another octave."""
MET_NEIGHBOURS = 16
"""So many of the nearest that have proved themselves are kept on each side of an own position,
however many others are named in between: as many as a successor list has. In a small table fewer,
so that half of what the neighbourhood leaves is for fingers."""
NEIGHBOURHOOD = 3
"""Times 3N nodes: 3N before an own position and 6N after it."""


def least_capacity(neighbours: int, positions: int) -> int:
    """What a table has to hold so that a quarter of it is left for fingers.

    :param neighbours: 3N.
    """
    return 4 * NEIGHBOURHOOD * neighbours * positions // 3


_HIGHEST = RING_SIZE.bit_length() * POSITIONS_PER_NODE
_NOBODY: set[NodeId] = set()


class Ring(Protocol):
    """What is looked at: the records and positions of a table, walked either way."""

    def __iter__(self) -> Iterator[NodeRecord]:
        """Every record, the one known longest first."""

    def get(self, node: NodeId) -> NodeRecord | None:
        """The record of a node, or None."""

    def clockwise(self, key: bytes) -> Iterator[tuple[Position, Place]]:
        """Every position once, from the successor of ``key`` on."""

    def counter_clockwise(self, key: bytes) -> Iterator[tuple[Position, Place]]:
        """Every position once, from the one strictly before ``key`` backwards."""


class Octave(NamedTuple):
    """The places whose distance after one own position has so many bits.

    ``segment`` says which: own positions by number, in ring order.
    """

    bits: int
    segment: int


def _octave(number: int) -> Octave:
    """Inside octaves are numbers, the lowest first: tens of thousands are computed a second."""
    return Octave(*divmod(number, POSITIONS_PER_NODE))


@dataclass(slots=True, eq=False)
class _Side:
    """The neighbourhood on one side of an own position.

    :ivar wanted: so many distinct nodes belong to it.
    :ivar nodes: these, and the nearest that have proved themselves.
    :ivar reach: the distance of the last of the wanted; the whole ring where there are fewer.
    :ivar covered: a key so far away has a whole set of candidates within the reach.
    :ivar stale: to be looked at again.
    """

    clockwise: bool
    wanted: int
    nodes: frozenset[NodeId] = frozenset()
    reach: int = RING_SIZE
    covered: int = RING_SIZE
    stale: bool = True


@dataclass(slots=True, eq=False)
class _Segment:
    """The ring from one own position to the next one."""

    start: Position
    value: int
    length: int
    after: _Side
    before: _Side
    """Of its own position, not of the end."""
    next_before: _Side = field(init=False)
    """Of the own position at the end."""


class Fingers:
    """The order among the nodes of one table: who leaves when another comes.

    A place belongs to the own position that precedes it: from there it is routed to. A node belongs
    to the lowest octave that one of its places stands in, because few stand there.

    :param own: this node; its record in the table says where it stands.
    :param capacity: of the table, at least :func:`least_capacity`.
    :param neighbours: 3N; so many distinct nodes are kept before each own position, and twice as
        many after it, so that the sets of keys on both sides are known.
    :param counts: is a node living, or dead for so short a time that it has its place?
    :param met: of each node that has proved itself on a link the seconds of a round trip; infinite
        where they were not measured.
    """

    def __init__(
        self,
        ring: Ring,
        own: NodeId | None,
        capacity: int,
        neighbours: int,
        counts: Callable[[NodeId], bool],
        met: Mapping[NodeId, float],
    ) -> None:
        self._ring = ring
        self._own = own
        self._counts = counts
        self._met = met
        record = None if own is None else ring.get(own)
        starts = sorted(position for position, _ in record.places) if record is not None else []
        share = capacity // len(starts) if starts else 0
        self._wanted = neighbours
        self._met_wanted = max(0, min(MET_NEIGHBOURS, (share - NEIGHBOURHOOD * neighbours) // 4))
        self._starts = starts
        self._segments = self._cut(starts)
        self._sides = [
            side for segment in self._segments for side in (segment.before, segment.after)
        ]
        self._octaves: dict[int, set[NodeId]] = {}
        """Those who are no neighbours, by octave."""
        self._home: dict[NodeId, int] = {}
        """The octave of everyone."""
        self._most = 0
        """Of these, in the fullest octave."""
        self._arrivals = 0
        self._arrival: dict[NodeId, int] = {}
        """How many came before it."""
        self._stale = True
        for known in ring:
            self.came(known)
        self._settle()

    def _cut(self, starts: list[Position]) -> list[_Segment]:
        values = [int.from_bytes(start) for start in starts]
        segments = [
            _Segment(
                start,
                value,
                (values[(n + 1) % len(values)] - value) % RING_SIZE or RING_SIZE,
                _Side(clockwise=True, wanted=2 * self._wanted),
                _Side(clockwise=False, wanted=self._wanted),
            )
            for n, (start, value) in enumerate(zip(starts, values, strict=True))
        ]
        for segment, following in zip(segments, segments[1:] + segments[:1], strict=True):
            segment.next_before = following.before
        return segments

    # -- questions -------------------------------------------------------------------------------

    def covers(self, key: bytes) -> bool:
        """Does the table hold all candidates of that key, as far as they were ever offered?"""
        self._settle()
        if not self._segments:
            return True
        segment = self._segments[bisect_right(self._starts, key) - 1]
        distance = (int.from_bytes(key) - segment.value) % RING_SIZE
        return (
            distance <= segment.after.covered
            or segment.length - distance <= segment.next_before.covered
        )

    def is_neighbour(self, node: NodeId) -> bool:
        """Is it kept because of where it stands?"""
        self._settle()
        return self._is_near(node)

    def octave_of(self, record: NodeRecord) -> Octave:
        """The lowest octave that it stands in."""
        return _octave(self._look_up(record)[0])

    def population(self) -> dict[Octave, int]:
        """How many nodes that are no neighbours are filed under each octave."""
        self._settle()
        return {_octave(at): len(nodes) for at, nodes in self._octaves.items() if nodes}

    def leaves_for(self, newcomer: NodeRecord, *, met: bool) -> NodeId | None:
        """Who leaves the full table so that a node can come in; None: it stays outside.

        :param met: has the newcomer proved itself on a link?
        """
        self._settle()
        octave, sides = self._look_up(newcomer)
        if sides:
            return self._spare(FINGERS + 1) or self._last_of_fullest()
        there = self._octaves.get(octave, _NOBODY)
        if len(there) + 2 <= self._most:
            # Moving one makes the octaves more equal; so there is an end to moving.
            spare = self._spare(max(len(there) + 2, FINGERS + 1))
            if spare is not None or not (met or len(there) < FINGERS):
                return spare
            return self._last_of_fullest()
        yielding = [n for n in there if not self._counts(n) or (met and n not in self._met)]
        return max(yielding, key=self._rank, default=None)

    # -- changes ---------------------------------------------------------------------------------

    def came(self, record: NodeRecord) -> None:
        """It is in the table now."""
        if record.node_id == self._own:
            return
        self._arrivals += 1
        self._arrival[record.node_id] = self._arrivals
        octave, sides = self._look_up(record)
        for side in sides:
            side.stale = self._stale = True
        self._home[record.node_id] = octave
        self._file(record.node_id)

    def left(self, record: NodeRecord) -> None:
        """It was in the table, with this record."""
        node = record.node_id
        if node not in self._home:
            return
        for side in self._sides:
            if node in side.nodes:
                side.stale = self._stale = True
        self._unfile(node)
        del self._home[node], self._arrival[node]

    def look_again(self) -> None:
        """Somebody died, or came back, or proved itself: who counts has changed."""
        for side in self._sides:
            side.stale = self._stale = True

    # -- inside ----------------------------------------------------------------------------------

    def _look_up(self, record: NodeRecord) -> tuple[int, list[_Side]]:
        """The lowest octave it stands in, and in the reach of which neighbourhoods it does.

        Most of what is told to a full table ends here.
        """
        starts, segments = self._starts, self._segments
        lowest, sides = _HIGHEST, list[_Side]()
        for position, _ in record.places:
            number = bisect_right(starts, position) - 1
            if not segments:
                return 0, sides
            segment = segments[number]
            distance = (int.from_bytes(position) - segment.value) % RING_SIZE
            if distance <= segment.after.reach:
                sides.append(segment.after)
            if segment.length - distance <= segment.next_before.reach:
                sides.append(segment.next_before)
            octave = distance.bit_length() * POSITIONS_PER_NODE + number % len(segments)
            lowest = min(lowest, octave)
        return lowest, sides

    def _file(self, node: NodeId) -> None:
        if self._is_near(node):
            return
        there = self._octaves.setdefault(self._home[node], set())
        there.add(node)
        self._most = max(self._most, len(there))

    def _unfile(self, node: NodeId) -> None:
        there = self._octaves.get(self._home[node], _NOBODY)
        if node in there:
            there.remove(node)
            if len(there) + 1 == self._most:
                self._most = max(map(len, self._octaves.values()))

    def _is_near(self, node: NodeId) -> bool:
        return any(node in side.nodes for side in self._sides)

    def _settle(self) -> None:
        """Look at the neighbourhoods that may have changed."""
        if not self._stale:
            return
        for segment in self._segments:
            for side in (segment.before, segment.after):
                if side.stale:
                    self._survey(segment, side)
        self._stale = False

    def _survey(self, segment: _Segment, side: _Side) -> None:
        before = side.nodes
        self._look(segment, side)
        side.stale = False
        for node in before ^ side.nodes:
            if node not in self._home:
                continue
            if node in side.nodes:
                self._unfile(node)
            else:
                self._file(node)

    def _look(self, segment: _Segment, side: _Side) -> None:
        """Walk away from the own position until enough nodes were passed."""
        walk = self._ring.clockwise if side.clockwise else self._ring.counter_clockwise
        wanted, whole = side.wanted, side.wanted - (self._wanted if side.clockwise else 0)
        missing = min(self._met_wanted, len(self._met))
        nearest: set[NodeId] = set()
        proved: set[NodeId] = set()
        seen = {self._own}
        side.reach = side.covered = RING_SIZE
        for position, place in walk(segment.start):
            node = place.node
            if node in seen:
                continue
            seen.add(node)
            if not self._counts(node):
                continue
            if len(nearest) < wanted:
                nearest.add(node)
                if len(nearest) in (whole, wanted):
                    ahead = (int.from_bytes(position) - segment.value) % RING_SIZE
                    distance = ahead if side.clockwise else RING_SIZE - ahead
                    if len(nearest) == whole:
                        side.covered = distance
                    if len(nearest) == wanted:
                        side.reach = distance
            if node in self._met and len(proved) < missing:
                proved.add(node)
            if len(nearest) >= wanted and (len(proved) >= missing or len(seen) > 2 * wanted):
                break
        side.nodes = frozenset(nearest | proved)

    def _spare(self, least: int) -> NodeId | None:
        """Somebody who is long dead or was never met, from the fullest octave that has one.

        :param least: of octaves with so many.
        """
        for nodes in sorted(self._octaves.values(), key=len, reverse=True):
            if len(nodes) < least:
                break
            last = max(nodes, key=self._rank)
            if last not in self._met or not self._counts(last):
                return last
        return None

    def _last_of_fullest(self) -> NodeId | None:
        """Whoever can best be missed; None where only neighbours are left."""
        fullest = (nodes for nodes in self._octaves.values() if len(nodes) == self._most)
        return max((node for nodes in fullest for node in nodes), key=self._rank, default=None)

    def _rank(self, node: NodeId) -> tuple[bool, float, int]:
        """The greatest leaves first: the long dead, the never met, the far, the young."""
        unmet = node not in self._met
        far = 2.0 if unmet else 1.0 - 1.0 / (1.0 + self._met[node])
        return not self._counts(node), far, self._arrival[node]
