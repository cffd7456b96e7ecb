"""What one position points at, and how pointers may change: the rules of page 2.2. Pure.

After P. Zave, "Reasoning about identifier spaces: how to make Chord correct" (2017): successor
lists are merged in ring order, a pointer moves only to a node that has just answered, and a
predecessor gives way only to a nearer node or when it is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tace.ids import NodeId, Place, Position, between

MAX_LIST_ENTRIES = 64
"""A successor list holds r distinct nodes, and never more places than this."""


@dataclass(frozen=True, slots=True)
class Pointers:
    """The snapshot of one position.

    ``successors`` are in ring order; places of this node itself may stand among them but count
    for nothing. ``member`` is false until the position has joined.
    """

    place: Place
    predecessor: Place | None = None
    successors: tuple[Place, ...] = ()
    member: bool = False
    position: Position = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", self.place.position)

    @property
    def successor(self) -> Place | None:
        return self.successors[0] if self.successors else None

    @property
    def digest(self) -> bytes:
        """Eight bytes that change with the snapshot, for ``unchanged`` answers."""
        state = sha256(bytes([self.member]))
        for place in (self.predecessor, *self.successors):
            state.update(b"-" if place is None else place.node + bytes([place.number]))
        return state.digest()[:8]

    def with_successors(self, successors: tuple[Place, ...]) -> Pointers:
        return replace(self, successors=successors)

    def with_predecessor(self, predecessor: Place | None) -> Pointers:
        return replace(self, predecessor=predecessor)

    def joined(self) -> Pointers:
        return replace(self, member=True)


def merged(
    own: Place,
    head: Place,
    rest: Iterable[Place],
    hints: Iterable[Place],
    *,
    distinct_nodes: int,
    is_dead: Callable[[NodeId], bool],
) -> tuple[Place, ...]:
    """The successor list that begins with ``head``, a place that has just answered.

    Follows ``rest`` (the head's own list) as long as it moves clockwise towards ``own``; it is
    never re-ordered, and stops where it wraps past ``own`` or breaks order. Dead places are left
    out. Then ``hints`` (in ring order) extend it at the tail, never in front of what was heard.

    :param distinct_nodes: r; ends the list when so many other nodes are in it.
    """
    position = own.position
    entries: list[Place] = [head]
    nodes = {head.node} - {own.node}
    last = head.position

    def extend(places: Iterable[Place]) -> None:
        nonlocal last
        for place in places:
            if len(nodes) >= distinct_nodes or len(entries) >= MAX_LIST_ENTRIES:
                return
            here = place.position
            if place == own or not between(last, here, position):
                return
            if is_dead(place.node):
                continue
            entries.append(place)
            last = here
            if place.node != own.node:
                nodes.add(place.node)

    if head == own:
        return (head,)
    extend(rest)
    extend(_after(last, hints, position))
    return tuple(entries)


def _after(last: Position, places: Iterable[Place], own: Position) -> Iterator[Place]:
    """Those of the places that lie beyond ``last`` on the way to ``own``."""
    return (place for place in places if between(last, place.position, own))


def nearer_successors(
    pointers: Pointers,
    heard: Iterable[Place | None],
    *,
    is_dead: Callable[[NodeId], bool],
    limit: int = 3,
) -> list[Place]:
    """Candidates between this position and its successor, nearest first, at most ``limit``.

    They are only candidates: each must answer over its own link before it is adopted.
    """
    end = pointers.successors[0].position if pointers.successors else pointers.position
    found = {
        place.position: place
        for place in heard
        if place is not None
        and place != pointers.place
        and between(pointers.position, place.position, end)
        and not is_dead(place.node)
    }
    own = int.from_bytes(pointers.position)
    order = sorted(found, key=lambda p: (int.from_bytes(p) - own) % (1 << 256))
    return [found[position] for position in order[:limit]]


def should_replace_predecessor(pointers: Pointers, candidate: Place) -> bool | None:
    """Rectify: may ``candidate`` become the predecessor?

    True: yes, it is nearer (or there is none). None: only if the present one is dead, so ask it.
    False: no, it is this very position or the present predecessor.
    """
    present = pointers.predecessor
    if candidate == pointers.place or candidate == present:
        return False
    if present is None or between(present.position, candidate.position, pointers.position):
        return True
    return None
