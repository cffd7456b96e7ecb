"""The shape of the whole ring, known after every change without looking at all of it.

The shape depends on one thing only: which live place each position goes on to. Most changes leave
that as it is, and nearly all others put a place between two or pass one over, which is seen from
the few places around. Whatever is not plain in that way is looked at as a whole, by
:func:`~tace.simulation.rings.shape_fault`, whose verdict this always is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tace.ids import NodeId, Place, between
from tace.ring.pointers import Pointers
from tace.simulation.rings import Names, best_successor, shape_fault

MAX_STEPS = 32
"""So many places are looked at around a change; where that does not settle it, all are."""


class RingShape:
    """The pointers of every position that is taken and whose node lives."""

    def __init__(self) -> None:
        self._ring: dict[Place, Pointers] = {}
        self._following: dict[Place, Place] = {}
        """Where each place goes on to; right while the ring is known to be sound."""
        self._named: Counter[Place] = Counter()
        """How many lists name a place."""
        self._sound = False
        """Is the shape as it should be, and nothing has happened that might have changed it?"""
        self.whole_looks = 0
        """How many times all of the ring was looked at."""

    @property
    def ring(self) -> Mapping[Place, Pointers]:
        return self._ring

    def put(self, pointers: Pointers) -> None:
        """What a position points at now; it has successors."""
        place = pointers.place
        before = self._ring.get(place)
        self._ring[place] = pointers
        if before is None and self._named[place]:
            # It was away: for those that still name it, it is the next one again.
            self._sound = False
        if before is None or before.successors != pointers.successors:
            self._named.subtract(before.successors if before is not None else ())
            self._named.update(pointers.successors)
            if self._sound:
                self._sound = self._goes_on(place, pointers)

    def remove(self, node: NodeId) -> None:
        """A node is gone, and with it what it pointed at."""
        for place in [place for place in self._ring if place.node == node]:
            self._named.subtract(self._ring.pop(place).successors)
            self._sound = False

    def fault(self, name: Names) -> str | None:
        """What is wrong with the shape as it is now."""
        return None if self._sound else self.whole_fault(name)

    def whole_fault(self, name: Names) -> str | None:
        """The same, whatever is thought to be known."""
        self.whole_looks += 1
        fault = shape_fault(self._ring, name)
        self._sound = fault is None
        if self._sound:
            self._following = {
                place: best
                for place, pointers in self._ring.items()
                if (best := best_successor(pointers, self._ring)) is not None
            }
        return fault

    def _goes_on(self, place: Place, pointers: Pointers) -> bool:
        """Is a sound ring still sound, for certain, with this list in it?"""
        after = best_successor(pointers, self._ring)
        if after is None:
            return False
        before = self._following.get(place)
        self._following[place] = after
        if before == after:
            return True
        if after not in self._following or after == place:
            return False
        # One that is new leads to the ring, and nobody leads to it yet.
        return before is None or (
            self._leads(after, before)
            if between(place.position, after.position, before.position)
            else self._leads(before, after)
        )

    def _leads(self, start: Place, end: Place) -> bool:
        """Does a way go from one to the other in a few steps, clockwise and never past it?

        Then the ways of a ring may be changed from one to the other: they meet again.
        """
        at = start
        for _ in range(MAX_STEPS):
            following = self._following[at]
            if following == end:
                return True
            if not between(at.position, following.position, end.position):
                return False
            at = following
        return False
