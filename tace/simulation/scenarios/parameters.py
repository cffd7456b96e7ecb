"""What can be chosen of a scenario that is built in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one run.

    :ivar nodes: in the ring; of those that join it, too, in a storm.
    :ivar people: who write; half of them are away until the end where there are no ``letters``.
    :ivar letters: written before anything happens, each to somebody of his own who is away.
    :ivar per_second: messages a second, on average, while it happens.
    :ivar seconds: how long it goes on, in virtual time.
    :ivar ways: into how many parts a network is split.
    :ivar median_minutes: half of all sessions are shorter.
    :ivar heavy_tailed: most sessions are short and a few very long, instead of Poisson departures.
    :ivar capacity: nodes that a routing table holds.
    :ivar lookups: keys that are looked for.
    :ivar dead: of 100 nodes so many do not answer, and nobody knows.
    """

    nodes: int = 100
    people: int = 20
    letters: int = 500
    per_second: float = 2.0
    seconds: float = 60.0
    ways: int = 2
    median_minutes: float = 15.0
    heavy_tailed: bool = False
    capacity: int = 512
    lookups: int = 250
    dead: float = 0.0
