"""A name service of a simulated world: what is not in its table does not exist."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.errors import NameFailed
from tace.seams import NamedSeed

ANSWER_SECONDS = 0.02


class SimulatedNames:
    """A :class:`~tace.seams.SeedNames`. All nodes ask the same one; no partition cuts it off.

    :param clock: of the process that asks.
    :param table: the seeds of each name; who changes it changes what is answered next.
    """

    def __init__(self, clock: IReactorTime, table: dict[str, list[NamedSeed]]) -> None:
        self._clock = clock
        self._table = table

    def look_up(self, name: str) -> Deferred[Sequence[NamedSeed]]:
        return deferLater(self._clock, ANSWER_SECONDS, self._answer, name)

    def _answer(self, name: str) -> Sequence[NamedSeed]:
        seeds = self._table.get(name)
        if not seeds:
            raise NameFailed(f"there is no name {name}")
        return list(seeds)
