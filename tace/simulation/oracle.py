"""The pointer oracle (page 2.2): looks at the ring after every change, and knows who lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tace.ids import NodeId, Place
from tace.ring.pointers import Pointers
from tace.simulation.history import Event, History
from tace.simulation.rings import list_fault, pointer_fault, principals
from tace.simulation.shape import RingShape

HISTORY_SHOWN = 40
MAX_VIOLATIONS = 20
"""So many are kept; the first is the one that matters."""
CONTACT_SECONDS = 2.5
"""Who answered may have died since; longer ago than a call may take, and it did not answer."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be, and what happened before it."""

    after_seconds: float
    what: str
    history: tuple[Event, ...]

    def __str__(self) -> str:
        lines = [f"after {self.after_seconds:.4f} s: {self.what}", *map(str, self.history)]
        return "\n    ".join(lines)


class Oracle:
    """Keeps the true state of all pointers and judges it.

    Checked after every change of a pointer or a member: the changed lists by themselves, that a new
    head of a list was alive to answer, that each has a live successor, and the shape of the ring
    (all of it, or what is around the change where that proves as much). Every virtual second: the
    whole shape, whatever was thought of it. Then, and after every death: that there are principals
    enough.

    :param clock_seconds: seconds since the world began.
    :param successors: r.
    :param settle_seconds: a node counts among those that must be principals when it has been a
        member for so long. A list mends by one entry a round, so that a position is in all of
        them after as many rounds as they are long.
    """

    def __init__(
        self,
        history: History,
        clock_seconds: Callable[[], float],
        *,
        successors: int,
        settle_seconds: float = 30.0,
    ) -> None:
        self._history = history
        self._seconds = clock_seconds
        self._distinct = successors
        self._settle_seconds = settle_seconds
        self._names: dict[NodeId, str] = {}
        self._shape = RingShape()
        self._member_since: dict[NodeId, float] = {}
        self._died: dict[NodeId, float] = {}
        self._disorder_until = 0.0
        self.violations: list[Violation] = []
        self.checks = 0
        """How many times the ring was looked at."""

    # -- what the world tells --------------------------------------------------------------------

    def lives(self, node: NodeId, name: str) -> None:
        """A node was started."""
        self._names[node] = name
        self._died.pop(node, None)

    def died(self, node: NodeId) -> None:
        """A node is gone, and with it what it pointed at."""
        self._died[node] = self._seconds()
        self._member_since.pop(node, None)
        self._shape.remove(node)
        self._look_at_shape()
        self.look_at_principals()

    def changed(self, node: NodeId, before: Sequence[Pointers], now: Sequence[Pointers]) -> None:
        """A node has moved pointers, or become a member."""
        for old, new in zip(before, now, strict=True):
            if old is new:
                continue
            if new.successors:
                self._shape.put(new)
            self._note(old, new)
            fault = list_fault(new, self._name) or self._contact_fault(old, new)
            if fault is not None:
                self._violated(fault, new.place)
        if all(pointers.member for pointers in now):
            self._member_since.setdefault(node, self._seconds())
        self._look_at_shape()

    def expect_disorder(self, seconds: float) -> None:
        """For so long the network is cut, or most of it is starting: no one ring can be asked for.

        Lists must be in order all the same.
        """
        self._disorder_until = max(self._disorder_until, self._seconds() + seconds)

    def order_within(self, seconds: float) -> None:
        """Whatever was to be expected: from then on there is one ring."""
        self._disorder_until = self._seconds() + seconds

    # -- judgements ------------------------------------------------------------------------------

    @property
    def disorderly(self) -> bool:
        """Is one ring not to be asked for just now?"""
        return self._seconds() < self._disorder_until

    def look_at_everything(self) -> None:
        """The whole ring, as it is now."""
        if not self.disorderly:
            fault = self._shape.whole_fault(self._name)
            if fault is not None:
                self._violated(fault)
        self.look_at_principals()

    def look_at_principals(self) -> None:
        """Are there r + 1 principals, or as many as have been members for a while?"""
        if self.disorderly:
            return
        settled = self._seconds() - self._settle_seconds
        wanted = min(
            self._distinct + 1, sum(since <= settled for since in self._member_since.values())
        )
        there = {place.node: None for place in principals(self._shape.ring)}
        if len(there) < wanted:
            passed = [self._names[n] for n in self._member_since if n not in there]
            self._violated(
                f"{len(there)} principals where there must be {wanted}; passed over by somebody:"
                f" {' '.join(passed[:8])}"
            )

    def ideal_fault(self) -> str | None:
        """The first pointer that is not right, as it is now; None in an ideal ring."""
        return pointer_fault(self._shape.ring, self._distinct, self._name)

    @property
    def members(self) -> list[str]:
        """The live nodes that are members, by name."""
        return sorted(self._names[node] for node in self._member_since)

    def not_ideal(self, bound_seconds: float) -> None:
        """The ring was given so long to become ideal, and is not."""
        fault = self.ideal_fault()
        if fault is not None:
            self._violated(f"not ideal {bound_seconds:g} s after the last fault: {fault}")

    def _look_at_shape(self) -> None:
        self.checks += 1
        if not self.disorderly:
            fault = self._shape.fault(self._name)
            if fault is not None:
                self._violated(fault)

    def _contact_fault(self, old: Pointers, new: Pointers) -> str | None:
        """A place comes to the head of a list only when its node has just answered."""
        head = new.successor
        if head is None or head in old.successors or self.disorderly:
            return None
        if head.node not in self._names:
            return f"{self._name(new.place)} took a successor that never was"
        died = self._died.get(head.node)
        if died is not None and self._seconds() - died > CONTACT_SECONDS:
            ago = self._seconds() - died
            return (
                f"{self._name(new.place)} took {self._name(head)} for its successor, which cannot"
                f" have answered: it died {ago:.1f} s before"
            )
        return None

    # -- words -----------------------------------------------------------------------------------

    def _name(self, place: Place) -> str:
        return f"{self._names.get(place.node, place.node.hex()[:8])}#{place.number}"

    def _note(self, old: Pointers, new: Pointers) -> None:
        head = "nobody" if new.successor is None else self._name(new.successor)
        before = "nobody" if new.predecessor is None else self._name(new.predecessor)
        joined = " is a member," if new.member and not old.member else ""
        self._history.note(
            self._names[new.place.node],
            f"#{new.place.number}{joined} {before} < . < {head}, {len(new.successors)} in all",
        )

    def _violated(self, what: str, place: Place | None = None) -> None:
        if len(self.violations) >= MAX_VIOLATIONS:
            return
        if self.violations and self.violations[-1].what == what:
            return
        about = () if place is None else (self._names[place.node],)
        self.violations.append(
            Violation(self._seconds(), what, self._history.latest(HISTORY_SHOWN, about))
        )
