"""What happens when to which node: all of it follows from a seed. Pure.

The fault model. N is the number of copies of each message, or of nodes where these are fewer.

- At most (N - 1) // 2 nodes are away at any moment, by whatever fault: a majority of every replica
  set answers, or will as soon as the others have noticed. A node that is killed, paused or told to
  restart has its disk when it is back.
- At most N // 2 disks are wiped at once. A wiped disk counts until its node has been back for
  ``repair_seconds``, in which the others give it its copies again. What is ``stored`` lies on
  N // 2 + 1 disks, so that one copy is always left: **nothing acknowledged may be lost**, not even
  where the sender never comes back.
- ``wiped_at_once`` above N // 2 goes beyond that on purpose: all copies of a message may go
  together. What a sender's device still keeps must come all the same; what was left for somebody
  by a sender who went away may be lost, and is counted as lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

FEWEST_FAULTS = 10
"""So many are tried in a run, however short."""


class FaultKind(StrEnum):
    """What is done to a node."""

    KILL = "kill"
    """SIGKILL; started again with its disk."""
    PAUSE = "pause"
    """SIGSTOP, and SIGCONT later: it keeps its connections and says nothing."""
    RESTART = "restart"
    """SIGTERM: it goes in good order, and is started again."""
    WIPE = "wipe"
    """SIGKILL; its data directory is emptied, so that another node starts in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosSettings:
    """How large, how long, how rough.

    :ivar copies: N above, as the nodes are set to keep.
    :ivar letters_per_second: of all people together, who are there all the time.
    :ivar absent: people whose letters wait until the end.
    :ivar absent_letters_per_second: to all of them together.
    :ivar away_seconds: the shortest and the longest time that a node is down or paused.
    :ivar wiped_at_once: None for as many as the fault model allows.
    """

    nodes: int = 20
    copies: int = 8
    people: int = 10
    seconds: float = 300.0
    seed: int = 1
    letters_per_second: float = 4.0
    absent: int = 8
    absent_letters_per_second: float = 2.0
    node_fault_every_seconds: float = 60.0
    away_seconds: tuple[float, float] = (1.0, 12.0)
    repair_seconds: float = 60.0
    wiped_at_once: int | None = None

    @property
    def set_size(self) -> int:
        """N: how many nodes keep a message."""
        return min(self.copies, self.nodes)

    @property
    def max_away(self) -> int:
        return (self.set_size - 1) // 2

    @property
    def survivable_wipes(self) -> int:
        """So many disks may be wiped at once, and one copy of what is stored is left."""
        return self.set_size // 2

    @property
    def max_wiped(self) -> int:
        return self.survivable_wipes if self.wiped_at_once is None else self.wiped_at_once


@dataclass(frozen=True, slots=True)
class Fault:
    """One node is away for ``seconds``, and then started or continued."""

    at: float
    kind: FaultKind
    node: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Deposit:
    """Somebody leaves a letter for an absent one, at that node, and goes once it is stored."""

    at: float
    recipient: int
    number: int


def refused(
    settings: ChaosSettings, fault: Fault, *, away: Collection[int], wiped: Collection[int]
) -> str:
    """Why this fault must not happen now; empty where it may.

    :param away: the nodes that are down or paused.
    :param wiped: the nodes whose disks count as wiped.
    """
    if fault.node in away:
        return f"node {fault.node} is away"
    if len(away) >= settings.max_away:
        return f"{len(away)} nodes are away"
    if (
        fault.kind is FaultKind.WIPE
        and fault.node not in wiped
        and len(wiped) >= settings.max_wiped
    ):
        return f"{len(wiped)} disks are wiped"
    return ""


def faults(settings: ChaosSettings) -> Iterator[Fault]:
    """Each kind once, in random order, then all again, at random moments, on random nodes.

    What :func:`refused` does not allow as planned is left out. At the end as many nodes are away as
    may be, and all come back at once: from then on it is measured how fast the network heals.
    """
    random = Random(f"{settings.seed} faults")
    every = min(
        settings.node_fault_every_seconds / settings.nodes, settings.seconds / FEWEST_FAULTS
    )
    end = settings.seconds
    last_burst = end - _longest_away(settings)
    waiting: list[FaultKind] = []
    planned: list[Fault] = []
    at = 0.0
    while True:
        at += every * random.uniform(0.5, 1.5)
        if at + settings.away_seconds[0] >= end:
            return
        if not waiting:
            waiting = random.sample(list(FaultKind), len(FaultKind))
        away_for = random.uniform(settings.away_seconds[0], _longest_away(settings))
        if at >= last_burst or at + away_for > end:
            away_for = end - at
        fault = Fault(at, waiting.pop(), random.randrange(settings.nodes), away_for)
        away, wiped = _suffering(settings, planned, at)
        if not refused(settings, fault, away=away, wiped=wiped):
            planned.append(fault)
            yield fault


def deposits(settings: ChaosSettings) -> Iterator[Deposit]:
    """Evenly spaced, to random absent people."""
    random = Random(f"{settings.seed} deposits")
    if not settings.absent:
        return
    for number in range(int(settings.seconds * settings.absent_letters_per_second)):
        at = number / settings.absent_letters_per_second
        yield Deposit(at, random.randrange(settings.absent), number)


def _longest_away(settings: ChaosSettings) -> float:
    shortest, longest = settings.away_seconds
    # In a short run nobody is away for most of it.
    return max(shortest, min(longest, settings.seconds / 4))


def _suffering(
    settings: ChaosSettings, planned: Sequence[Fault], now: float
) -> tuple[set[int], set[int]]:
    """(who is away, whose disk counts as wiped), as planned."""
    away = {fault.node for fault in planned if fault.at + fault.seconds > now}
    wiped = {
        fault.node
        for fault in planned
        if fault.kind is FaultKind.WIPE and fault.at + fault.seconds + settings.repair_seconds > now
    }
    return away, wiped
