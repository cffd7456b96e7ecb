"""When a node is called dead, and what the word of others counts for. Pure but for the time given.

After SWIM (Das, Gupta, Motivala 2002): whoever cannot reach a node asks others to try before the
verdict is passed on, an accusation names the incarnation it is about, and the accused refutes it
with a later one. Other than there an accusation alone moves nothing: each node looks for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tace.ids import NodeId

Freshness = tuple[int, int]
"""(boot, sequence) of a record: which incarnation of a node is meant."""

CONFIRMATIONS = 2
"""Others that must not have reached a node either, before its death is passed on."""
FAILURES = 2
"""Signs of death that make a verdict, one of them at least an own one."""
VOUCHED_SECONDS = 60.0
"""So long others are believed who reach a node that this one does not."""
ACCUSED_SECONDS = 30.0
"""An accusation is evidence for so long; and one that was refuted is not listened to again."""
MAX_ACCUSED = 4096
"""Nodes about which accusations are remembered."""
MAX_ACCUSERS = 8
"""Of one node."""


class Allowances(Protocol):
    """How much each peer may ask or say."""

    def take(self, key: NodeId, now: float, amount: float = 1.0) -> float:
        """0.0 when it was granted; else the seconds to wait."""


class Verdict(Enum):
    """What is to be thought of a node that was to be reached."""

    LIVES = "lives"
    UNDECIDED = "undecided"
    OUT_OF_REACH = "out-of-reach"
    """It lives, and is no pointer of ours."""
    DEAD = "dead"
    """For this node; others are not told."""
    CONFIRMED = "confirmed"
    """Dead, and others are told."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one node.

    :ivar failures: own ones: a lost link, a dial or a ping in vain.
    :ivar missed_by: others that did not reach it.
    :ivar reached_by: others that did.
    :ivar vouched_for_seconds: since others first reached a node that this one does not.
    """

    failures: int
    missed_by: int = 0
    reached_by: int = 0
    vouched_for_seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The word of others never kills, and spares only for a while."""
        if not self.failures:
            return Verdict.UNDECIDED
        if self.reached_by:
            vouched = self.vouched_for_seconds < VOUCHED_SECONDS
            return Verdict.OUT_OF_REACH if vouched else Verdict.DEAD
        if self.missed_by >= CONFIRMATIONS:
            return Verdict.CONFIRMED
        return Verdict.DEAD if self.failures + self.missed_by >= FAILURES else Verdict.UNDECIDED


@dataclass(slots=True)
class _Case:
    """The accusations of one incarnation."""

    freshness: Freshness
    since: float
    accusers: set[NodeId]
    refuted: bool = False


class Accusations:
    """What others said of which incarnation, and what came of it. The oldest are forgotten."""

    def __init__(self) -> None:
        self._cases: dict[NodeId, _Case] = {}

    def __len__(self) -> int:
        return len(self._cases)

    def heard(self, node: NodeId, freshness: Freshness, accuser: NodeId, now: float) -> bool:
        """Somebody calls this incarnation dead; True when it is worth a look."""
        case = self._case(node, now)
        if case is None or freshness > case.freshness:
            self._cases.pop(node, None)
            if len(self._cases) >= MAX_ACCUSED:
                del self._cases[next(iter(self._cases))]
            self._cases[node] = _Case(freshness, now, {accuser})
            return True
        if case.refuted or freshness < case.freshness:
            return False
        if len(case.accusers) < MAX_ACCUSERS:
            case.accusers.add(accuser)
        return False

    def accusers(self, node: NodeId, freshness: Freshness, now: float) -> frozenset[NodeId]:
        """Who called this incarnation dead a short while ago."""
        case = self._case(node, now)
        if case is None or case.refuted or case.freshness < freshness:
            return frozenset()
        return frozenset(case.accusers)

    def refuted(self, node: NodeId, now: float) -> None:
        """It was reached: what is said of this incarnation is not listened to for a while."""
        case = self._case(node, now)
        if case is not None and not case.refuted:
            case.refuted = True
            case.since = now
            case.accusers.clear()

    def _case(self, node: NodeId, now: float) -> _Case | None:
        case = self._cases.get(node)
        if case is not None and now - case.since > ACCUSED_SECONDS:
            del self._cases[node]
            return None
        return case
