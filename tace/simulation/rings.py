"""What must hold of a ring at every moment, and what is right of it at rest (page 2.2). Pure.

After P. Zave, "Reasoning about identifier spaces: how to make Chord correct" (2017), section 4. The
state is that of the world, which knows who lives; the nodes themselves only suspect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tace.ids import RING_SIZE, NodeId, Place, distance
from tace.ring.pointers import MAX_LIST_ENTRIES, Pointers

Ring = Mapping[Place, Pointers]
"""The pointers of every position that is taken and whose node lives."""
Names = Callable[[Place], str]


def list_fault(pointers: Pointers, name: Names) -> str | None:
    """What is wrong with one list by itself: its order, or a place that stands in it twice."""
    own = pointers.position
    if pointers.successors == (pointers.place,):
        return None
    last = 0
    for place in pointers.successors:
        here = distance(own, place.position)
        if here == 0:
            return f"{name(pointers.place)} stands in its own successor list"
        if here == last:
            return f"{name(pointers.place)} has {name(place)} twice among its successors"
        if here < last:
            return f"{name(pointers.place)} has its successors out of order at {name(place)}"
        last = here
    return None


def best_successor(pointers: Pointers, ring: Ring) -> Place | None:
    """The first of the list that lives."""
    return next((place for place in pointers.successors if place in ring), None)


def shape_fault(ring: Ring, name: Names) -> str | None:
    """A live successor for each, one ring, in order once around, and everyone else leads to it.

    A position whose node has not joined anything yet (no successors) is not looked at.
    """
    following: dict[Place, Place] = {}
    for place, pointers in ring.items():
        if pointers.successors:
            best = best_successor(pointers, ring)
            if best is None:
                return f"{name(place)} has no live successor"
            following[place] = best
    rings: list[list[Place]] = []
    seen: dict[Place, int] = {}
    for number, start in enumerate(following):
        path: list[Place] = []
        at = start
        while at not in seen:
            if at not in following:
                return f"{name(start)} leads to {name(at)}, which has joined nothing"
            seen[at] = number
            path.append(at)
            at = following[at]
        if seen[at] == number:
            rings.append(path[path.index(at) :])
    if len(rings) > 1:
        shown = " and ".join(_shown(cycle, name) for cycle in rings[:3])
        return f"there are {len(rings)} rings: {shown}"
    for cycle in rings:
        around = sum(
            distance(place.position, following[place].position) or RING_SIZE for place in cycle
        )
        if around != RING_SIZE:
            return f"the ring goes {around // RING_SIZE} times around: {_shown(cycle, name)}"
    return None


def _shown(cycle: Sequence[Place], name: Names) -> str:
    names = [name(place) for place in cycle]
    return " ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def principals(ring: Ring) -> list[Place]:
    """The positions that nobody's list passes over, clockwise.

    They are what Chord's correctness rests on: r + 1 of them, and the ring cannot break.
    """
    order = sorted(ring, key=lambda place: place.position)
    index = {place: number for number, place in enumerate(order)}
    count = len(order)
    skipped: set[int] = set()
    for place, pointers in ring.items():
        last = index[place]
        for successor in pointers.successors:
            here = index.get(successor)
            if here is None:
                continue
            passed = last + 1
            while passed % count != here and passed < last + count:
                skipped.add(passed % count)
                passed += 1
            last = here
    return [place for number, place in enumerate(order) if number not in skipped]


def pointer_fault(ring: Ring, distinct_nodes: int, name: Names) -> str | None:
    """The first pointer that is not what it is in an ideal ring; None where all are right.

    :param distinct_nodes: r, the other nodes that a successor list names.
    """
    order = sorted(ring, key=lambda place: place.position)
    twice = order + order
    for number, place in enumerate(order):
        pointers = ring[place]
        if not pointers.member:
            return f"{name(place)} is no member yet"
        end = number + min(len(order), MAX_LIST_ENTRIES + 1)
        after = twice[number + 1 : end]
        wanted = _list_of(place, after, distinct_nodes)
        if pointers.successors != wanted:
            at = next(
                i
                for i in range(len(wanted) + 1)
                if pointers.successors[i : i + 1] != wanted[i : i + 1]
            )
            return (
                f"{name(place)} has {_entry(pointers.successors, at, name)} as successor"
                f" {at + 1} and not {_entry(wanted, at, name)}"
            )
        before = order[number - 1]
        if pointers.predecessor != before and len(order) > 1:
            shown = "nobody" if pointers.predecessor is None else name(pointers.predecessor)
            return f"{name(place)} has {shown} as predecessor and not {name(before)}"
    return None


def _list_of(own: Place, after: Iterable[Place], distinct_nodes: int) -> tuple[Place, ...]:
    entries: list[Place] = []
    nodes: set[NodeId] = set()
    for place in after:
        if len(nodes) == distinct_nodes or len(entries) == MAX_LIST_ENTRIES:
            break
        entries.append(place)
        if place.node != own.node:
            nodes.add(place.node)
    return tuple(entries) or (own,)


def _entry(places: Sequence[Place], at: int, name: Names) -> str:
    return name(places[at]) if at < len(places) else "nobody"
