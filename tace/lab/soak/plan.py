"""What happens when in a soak: all of it follows from a seed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

WITNESS = 0
"""The node that is never ended, so that its memory can be watched from the beginning to the end."""
KILL, TERM = "KILL", "TERM"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakSettings:
    """How large and how long.

    :ivar letters_per_second: of all people together.
    :ivar abuse_every_seconds: in the mean.
    :ivar silent_connections: of each attack that opens connections and says nothing.
    :ivar only: the names of the abuses that take place; empty for all of them.
    """

    nodes: int = 5
    people: int = 10
    seconds: float = 120.0
    seed: int = 1
    letters_per_second: float = 5.0
    abuse_every_seconds: float = 4.0
    end_every_seconds: float = 20.0
    away_seconds: tuple[float, float] = (2.0, 8.0)
    silent_connections: int = 300
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Abuse:
    at: float
    name: str
    node: int
    seed: int


@dataclass(frozen=True, slots=True)
class Ending:
    """A node is ended with that signal and started again after ``away`` seconds."""

    at: float
    node: int
    signal: str
    away: float


def abuses(settings: SoakSettings, names: Sequence[str]) -> Iterator[Abuse]:
    """Each attack once, in random order, then all again; at random moments, on random nodes."""
    random = Random(f"{settings.seed} abuses")
    at = 0.0
    waiting: list[str] = []
    while True:
        at += settings.abuse_every_seconds * random.uniform(0.5, 1.5)
        if at >= settings.seconds:
            return
        if not waiting:
            chosen = [name for name in names if name in settings.only or not settings.only]
            waiting = random.sample(chosen, len(chosen))
        yield Abuse(at, waiting.pop(), random.randrange(settings.nodes), random.getrandbits(32))


def endings(settings: SoakSettings) -> Iterator[Ending]:
    """One node at a time, never the witness, crashed or stopped in good order."""
    random = Random(f"{settings.seed} endings")
    mortal = [node for node in range(settings.nodes) if node != WITNESS]
    if not mortal:
        return
    last = -1
    at = settings.end_every_seconds
    while at < settings.seconds:
        node = random.choice([node for node in mortal if node != last] or mortal)
        yield Ending(at, node, random.choice((KILL, TERM)), random.uniform(*settings.away_seconds))
        last = node
        at += settings.end_every_seconds
