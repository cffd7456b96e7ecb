"""How often a position is stabilised: the control law of page 2.3, and what it goes by. Pure.

Quick after an event, slower with each quiet round, never slower than measured churn allows. After
the stabiliser of MIT's Chord (additive there) and Mahajan, Castro, Rowstron (2003), who choose the
rate for a wanted share of pointers that are out of date.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

OVERRUN_FACTOR = 2.0
"""A round that takes longer than the time between two: slow down."""
LEAST_CEILING_SECONDS = 1.0
"""However fast neighbours die: events come besides, and rounds cost something, too."""
FAILURES_COUNTED = 16
JITTER = (0.75, 1.25)
"""Of each time between rounds, so that nodes do not fall into step."""
SHARED_SECONDS = 0.05
"""Positions that are due so close to each other share a round: what goes to one peer, a frame."""
NUDGED_SECONDS = 0.02
"""A neighbour says that it changed: many nudges of one moment make one round."""
PRIOR_LIFE_SECONDS = 3600.0
"""A neighbour's life, where nothing is known yet: as much as one death after so long."""


@dataclass(frozen=True, slots=True)
class PacingLaw:
    """The parameters, in one place; the settings ``ring.stabilize_*``.

    :ivar after_event_seconds: the time to the next round after something changed.
    :ivar slower: with each quiet round the time grows by this factor, more than 1.
    :ivar quiet_seconds: it never grows beyond this.
    :ivar stale_share: of first successors, those that may be out of date on average, 0 to 1.
    :ivar detection_seconds: what it takes to find a silent neighbour dead, without a round.
    """

    after_event_seconds: float
    slower: float
    quiet_seconds: float
    stale_share: float
    detection_seconds: float

    def ceiling_seconds(self, deaths_per_second: float) -> float:
        """The longest time between rounds, where a neighbour dies so often.

        A pointer is wrong for half a round and the time of detection, on average; of it that is to
        be ``stale_share``.
        """
        wanted = 2 * (self.stale_share / deaths_per_second - self.detection_seconds)
        least = max(LEAST_CEILING_SECONDS, self.after_event_seconds)
        return min(max(wanted, least), max(self.quiet_seconds, self.after_event_seconds))

    def after(
        self, seconds: float, *, quiet: bool, took_seconds: float, ceiling_seconds: float
    ) -> float:
        """The time to the next round after one that came ``seconds`` after the one before.

        :param quiet: nothing changed in it, and nothing is known to be wrong.
        """
        next_seconds = seconds * self.slower if quiet else self.after_event_seconds
        if took_seconds > seconds:
            next_seconds *= OVERRUN_FACTOR
        return min(max(next_seconds, self.after_event_seconds), ceiling_seconds)


class ChurnEstimate:
    """How often a neighbour dies: of the last deaths, and the time neighbours lived meanwhile.

    The maximum likelihood estimate for exponential lives, k deaths over the time they took of all
    neighbours together, with a prior of one death.
    """

    def __init__(self, now: float) -> None:
        self._looked_at = now
        self._lived = 0.0
        self._lived_at_deaths: deque[float] = deque(maxlen=FAILURES_COUNTED)

    def look(self, neighbours: int, deaths: int, now: float) -> None:
        """There have been so many neighbours since the last look, and so many died."""
        self._lived += neighbours * max(0.0, now - self._looked_at)
        self._looked_at = now
        self._lived_at_deaths.extend([self._lived] * deaths)

    @property
    def deaths_per_second(self) -> float:
        """Of one neighbour; more than 0."""
        deaths = len(self._lived_at_deaths)
        full = deaths == FAILURES_COUNTED
        since = self._lived_at_deaths[0] if full else 0.0
        # Of a full window the first death only says where it begins.
        counted = deaths - 1 if full else deaths
        return (1 + counted) / (PRIOR_LIFE_SECONDS + self._lived - since)


@dataclass(slots=True)
class _Position:
    seconds: float
    due_at: float
    began_at: float


class Schedule:
    """When each position of a node is due for a round.

    :param random: for the jitter.
    """

    def __init__(self, law: PacingLaw, indexes: Iterable[int], random: Random, now: float) -> None:
        self._law = law
        self._random = random
        self._positions = {index: _Position(law.after_event_seconds, now, now) for index in indexes}

    @property
    def next_at(self) -> float:
        """When the next round is due."""
        return min(position.due_at for position in self._positions.values())

    def seconds(self, index: int) -> float:
        """The time between two rounds of a position, as it is now."""
        return self._positions[index].seconds

    def due(self, now: float) -> list[int]:
        """The positions that share a round now; they count as begun."""
        if self.next_at > now:
            return []
        due = [i for i, p in self._positions.items() if p.due_at <= now + SHARED_SECONDS]
        for index in due:
            self._positions[index].began_at = now
        return due

    def event(self, index: int, now: float) -> None:
        """Something changed: from now on it goes quickly."""
        position = self._positions[index]
        position.seconds = self._law.after_event_seconds
        self._by(index, now + self._jittered(position.seconds))

    def hurry(self, index: int, now: float) -> None:
        """As after an event, and the first round at once."""
        self._positions[index].seconds = self._law.after_event_seconds
        self._by(index, now)

    def nudge(self, index: int, now: float) -> None:
        """One round soon, but no more of them than after an event."""
        quickest = self._positions[index].began_at + self._law.after_event_seconds
        self._by(index, max(now + NUDGED_SECONDS, quickest))

    def done(self, index: int, now: float, *, quiet: bool, ceiling_seconds: float) -> None:
        """A round has ended."""
        position = self._positions[index]
        position.seconds = self._law.after(
            position.seconds,
            quiet=quiet,
            took_seconds=now - position.began_at,
            ceiling_seconds=ceiling_seconds,
        )
        position.due_at = now + self._jittered(position.seconds)

    def _by(self, index: int, at: float) -> None:
        position = self._positions[index]
        position.due_at = min(position.due_at, at)

    def _jittered(self, seconds: float) -> float:
        return seconds * self._random.uniform(*JITTER)
