"""Which nodes keep a key: one pure function of the key and what is known of the ring (page 2.4).

The candidates of a key are the first 3N distinct nodes clockwise from it. Of these a first pass
takes nodes in new zones and new address groups, a second pass fills in ring order. Where some of
them are dead, the walk goes on until 3N living ones are found: those keep the copies meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice

from tace.identity.node_record import NodeRecord
from tace.ids import Arc, NodeId, Position
from tace.ring.table import RoutingTable
from tace.seams import ReplicaSet, StandIn

CANDIDATES_PER_REPLICA = 3
ASKERS_PER_REPLICA = 2
MAX_WALKED_PER_REPLICA = 12
"""A walk past the dead ends here: so many nodes in a row are hardly ever dead, but in a view that
is cut off from almost everyone."""
MAX_GROUPS_REMEMBERED = 65_536
"""Addresses whose group is remembered: choosing replicas asks again and again. About 15 MB."""
MAX_CHANGES = 16
"""After more changes at one time everything is worked out anew."""


@lru_cache(maxsize=MAX_GROUPS_REMEMBERED)
def address_group(address: str) -> str:
    """What counts as one operator's neighbourhood: the /24 of an IPv4, the /48 of an IPv6 address.

    A host name is its own group.
    """
    host = address.rpartition(":")[0].strip("[]")
    try:
        parsed = ip_address(host)
    except ValueError:
        return host.lower()
    packed = parsed.packed
    return packed[:3].hex() if parsed.version == 4 else packed[:6].hex()


def choose(candidates: Sequence[NodeRecord], count: int) -> tuple[NodeId, ...]:
    """``count`` of the candidates, diverse ones first, in ring order within each pass.

    A node without a zone is bound only by its address group.
    """
    zones: set[str] = set()
    groups: set[str] = set()
    first: list[NodeId] = []
    for record in candidates:
        if len(first) == count:
            break
        group = address_group(record.peer_addresses[0]) if record.peer_addresses else ""
        if group in groups or (record.zone and record.zone in zones):
            continue
        groups.add(group)
        zones.add(record.zone)
        first.append(record.node_id)
    taken = set(first)
    rest = (record.node_id for record in candidates if record.node_id not in taken)
    return (*first, *islice(rest, count - len(first)))


@dataclass(frozen=True, slots=True)
class Walk:
    """The nodes clockwise from a key that matter for it; none that is long dead.

    :ivar nodes: distinct ones, until 3N of them live or the walk is too long.
    :ivar first: 3N of them as they come, the dead of the last minutes included.
    :ivar living: 3N of those that were not found dead and do not leave.
    """

    nodes: tuple[NodeId, ...]
    first: tuple[NodeId, ...]
    living: tuple[NodeId, ...]

    @property
    def candidates(self) -> tuple[NodeId, ...]:
        """All of both, as they come."""
        if self.first == self.living:
            return self.first
        reach = {*self.first, *self.living}
        return tuple(node for node in self.nodes if node in reach)


class Placement:
    """Replica sets over a routing table, remembered until the view changes.

    :param replicas: N.
    :param dead_for: how many seconds ago a node died, or None for one whose place is kept.
    :param is_absent: is it dead, or away for a while?
    :param is_full: does it say that it takes nothing new?
    :param is_leaving: does it hand over what it keeps, to go for good? Then it is a member and
        serves for as long as it is there, but the next candidate keeps copies in its stead at once.
    :param is_urgent: have so many died lately that the dead are replaced at once?
    :param repair_after_seconds: a node dead this long is replaced by the next candidate.
    :param forget_after_seconds: a node dead this long no longer counts in n.
    """

    def __init__(
        self,
        table: RoutingTable,
        replicas: int,
        dead_for: Callable[[NodeId], float | None],
        *,
        is_absent: Callable[[NodeId], bool],
        is_full: Callable[[NodeId], bool],
        is_leaving: Callable[[NodeId], bool] = lambda node: False,
        is_urgent: Callable[[], bool] = lambda: False,
        repair_after_seconds: float,
        forget_after_seconds: float,
    ) -> None:
        self._table = table
        self.replicas = replicas
        self._dead_for = dead_for
        self._is_absent = is_absent
        self._is_full = is_full
        self._is_leaving = is_leaving
        self._is_urgent = is_urgent
        self._repair_after = repair_after_seconds
        self._forget_after = forget_after_seconds
        self._sets: dict[Position, ReplicaSet] = {}
        self._walks: dict[Position, Walk] = {}
        self._held: dict[NodeId, _Held] = {}
        self._changed: list[NodeRecord] = []
        self._was_urgent = False

    def on(self, table: RoutingTable) -> Placement:
        """The same rules over another table."""
        return Placement(
            table,
            self.replicas,
            self._dead_for,
            is_absent=self._is_absent,
            is_full=self._is_full,
            is_leaving=self._is_leaving,
            is_urgent=self._is_urgent,
            repair_after_seconds=self._repair_after,
            forget_after_seconds=self._forget_after,
        )

    def note_change(self, record: NodeRecord) -> None:
        """Call when a node came, went, died, filled up or crossed one of the two ages; with the
        record that it had before, too, if its positions are others now."""
        if len(self._changed) <= MAX_CHANGES:
            self._changed.append(record)

    def _forget_changed(self) -> None:
        """Forget each set whose walk passes a node that has changed, and no other: in a large
        network something changes all the time, and hardly ever here."""
        changed, self._changed = self._changed, []
        urgent = self._is_urgent()
        if len(changed) > MAX_CHANGES or urgent != self._was_urgent:
            self._was_urgent = urgent
            self._sets.clear()
            self._walks.clear()
            self._held.clear()
            return
        starts: set[Position] = set()
        for position in {position for record in changed for position, _ in record.places}:
            starts.update(self._starts_before(position))
        for start in starts:
            self._sets.pop(start, None)
            self._walks.pop(start, None)
        for node in [node for node, held in self._held.items() if held.starts & starts]:
            del self._held[node]

    def _starts_before(self, position: Position) -> Iterator[Position]:
        """Where walks begin that pass this position.

        Up to the first change on its way a walk meets what it met before, so the nodes of now tell
        how far back it may have begun.
        """
        wanted = CANDIDATES_PER_REPLICA * self.replicas
        most = MAX_WALKED_PER_REPLICA * self.replicas
        living: set[NodeId] = set()
        passed: set[NodeId] = set()
        yield position
        for before, place in self._table.counter_clockwise(position):
            yield before
            dead_for = self._dead_for(place.node)
            if dead_for is None and not self._is_leaving(place.node):
                living.add(place.node)
            if dead_for is None or dead_for < self._forget_after:
                passed.add(place.node)
            if len(living) == wanted or len(passed) == most:
                break

    def _alive(self, node: NodeId, limit_seconds: float) -> bool:
        dead_for = self._dead_for(node)
        return dead_for is None or dead_for < limit_seconds

    def walk(self, key: bytes) -> Walk:
        """Who stands next to a key."""
        if self._changed:
            self._forget_changed()
        start = self._table.successor_position(key)
        found = self._walks.get(start)
        if found is None:
            found = self._walks[start] = self._walk_from(key)
        return found

    def _walk_from(self, key: bytes) -> Walk:
        wanted = CANDIDATES_PER_REPLICA * self.replicas
        most = MAX_WALKED_PER_REPLICA * self.replicas
        nodes: list[NodeId] = []
        living: list[NodeId] = []
        for node in self._table.nodes_clockwise(key):
            if len(living) == wanted or len(nodes) == most:
                break
            dead_for = self._dead_for(node)
            if dead_for is None:
                if not self._is_leaving(node):
                    living.append(node)
            elif dead_for >= self._forget_after:
                continue
            nodes.append(node)
        return Walk(tuple(nodes), tuple(nodes[:wanted]), tuple(living))

    def candidates(self, key: bytes) -> tuple[NodeId, ...]:
        """The first 3N nodes clockwise that are not long dead, and the first 3N that live."""
        return self.walk(key).candidates

    def is_candidate(self, node: NodeId, key: bytes, per_replica: int) -> bool:
        """Is it among the first ``per_replica`` * N of all, or of the living? (At most 3.)"""
        walk = self.walk(key)
        most = per_replica * self.replicas
        return node in walk.first[:most] or node in walk.living[:most]

    def may_ask(self, node: NodeId, key: bytes) -> bool:
        """May it ask what is kept under that key? Whoever keeps copies may, and those who soon
        may have to: the first 2N."""
        if self.is_candidate(node, key, ASKERS_PER_REPLICA):
            return True
        replica_set = self.replica_set(key)
        return node in replica_set.everyone or any(
            node == stand_in.node for stand_in in replica_set.stand_ins
        )

    def replica_set(self, key: bytes) -> ReplicaSet:
        if self._changed:
            self._forget_changed()
        start = self._table.successor_position(key)
        found = self._sets.get(start)
        if found is None:
            found = self._sets[start] = self._compute(key)
        return found

    def _compute(self, key: bytes) -> ReplicaSet:
        walk = self.walk(key)
        members = choose(self._records(walk.first), self.replicas)
        holders = members
        if walk.first != walk.living:
            holders = choose(self._records(self._kept(walk, members)), self.replicas)
        return ReplicaSet(members, holders, self._stand_ins(members, holders, walk.living))

    def _kept(self, walk: Walk, members: Sequence[NodeId]) -> tuple[NodeId, ...]:
        """The first 3N without those that are replaced by now, and those that leave."""
        living_members = sum(self._dead_for(node) is None for node in members)
        # Few copies left, or about to be: the dead are replaced at once, not after the usual wait.
        few = living_members <= self.replicas // 2 + 1
        patience = 0.0 if few or self._is_urgent() else self._repair_after
        kept = (
            node
            for node in walk.nodes
            if self._alive(node, patience) and not self._is_leaving(node)
        )
        return tuple(islice(kept, CANDIDATES_PER_REPLICA * self.replicas))

    def _records(self, nodes: Sequence[NodeId]) -> list[NodeRecord]:
        return [record for node in nodes if (record := self._table.get(node)) is not None]

    def _stand_ins(
        self,
        members: Sequence[NodeId],
        holders: Sequence[NodeId],
        living: Sequence[NodeId],
    ) -> tuple[StandIn, ...]:
        """Who takes new copies for each member that cannot: holders that are no members come
        first, then the next candidates clockwise."""
        unable = [node for node in members if self._is_absent(node) or self._is_full(node)]
        if not unable:
            return ()
        free = (
            node
            for node in dict.fromkeys((*holders, *living))
            if node not in members and not self._is_absent(node) and not self._is_full(node)
        )
        pairs = zip(free, unable, strict=False)
        return tuple(StandIn(node, member, self._is_absent(member)) for node, member in pairs)

    def arcs_held_by(self, node: NodeId) -> tuple[tuple[Arc, ReplicaSet], ...]:
        """The arcs between neighbouring positions whose keys ``node`` keeps, each with its set, in
        ring order; the same object for as long as nothing has changed.

        Looks back from each of its positions over as many distinct nodes as can matter.
        """
        if self._changed:
            self._forget_changed()
        found = self._held.get(node)
        if found is None:
            record = self._table.get(node)
            if record is None:
                return ()
            # Everything that keeps or repairs copies asks after each change, all for the same.
            found = self._held[node] = self._arcs_around(record)
        return found.arcs

    def _arcs_around(self, record: NodeRecord) -> _Held:
        node = record.node_id
        reach = CANDIDATES_PER_REPLICA * self.replicas
        most = MAX_WALKED_PER_REPLICA * self.replicas
        arcs: dict[bytes, tuple[Arc, ReplicaSet]] = {}
        starts: set[Position] = set()
        for position, _ in record.places:
            end = position
            passed: set[NodeId] = set()
            living: set[NodeId] = set()
            for before, place in self._table.counter_clockwise(position):
                starts.add(end)
                replica_set = self.replica_set(end)
                if node in replica_set.holders or node in replica_set.members:
                    arcs[end] = (Arc(before, end), replica_set)
                end = before
                dead_for = self._dead_for(place.node)
                if dead_for is None and not self._is_leaving(place.node):
                    living.add(place.node)
                if dead_for is None or dead_for < self._forget_after:
                    passed.add(place.node)
                if len(living) > reach or len(passed) > most:
                    break
        return _Held(tuple(arcs[end] for end in sorted(arcs)), frozenset(starts))


@dataclass(frozen=True, slots=True)
class _Held:
    """What a node keeps, and where the walks begin that say so."""

    arcs: tuple[tuple[Arc, ReplicaSet], ...]
    starts: frozenset[Position]
