"""People who write to each other: some read all the time, some are away."""

from __future__ import annotations

from random import Random

from tace.simulation.people import Person
from tace.simulation.world import World


class Load:
    """Messages at random moments, from anybody to anybody else.

    :param random: when, and who writes to whom; nothing of the network draws from it.
    """

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._per_second = 0.0
        self._writing = False
        self.readers: list[Person] = []
        self.absent: list[Person] = []
        """Those who do not read until they return."""

    def add(self, people: int, *, away: int = 0) -> None:
        """So many more people, of whom the last ``away`` do not read for now."""
        first = len(self.readers) + len(self.absent)
        for number in range(first, first + people):
            person = self._world.person(f"p{number}")
            if number - first < people - away:
                self.readers.append(person)
                person.read()
            else:
                self.absent.append(person)

    def begin(self, per_second: float) -> None:
        """So many messages a second on average (Poisson), until told otherwise."""
        self._per_second = per_second
        if not self._writing and per_second > 0:
            self._writing = True
            self._next()

    def end(self) -> None:
        """Nobody writes any more."""
        self._per_second = 0.0

    def come_back(self) -> None:
        """Those who were away read from now on."""
        for person in self.absent:
            person.read()
        self.readers += self.absent
        self.absent = []

    def one(self, *, to: Person | None = None) -> None:
        """One message, now; to anybody, where nobody is named."""
        everybody = [*self.readers, *self.absent]
        recipient = to or self._random.choice(everybody)
        others = [person for person in everybody if person is not recipient]
        self._random.choice(others).send(recipient)

    def _next(self) -> None:
        if self._per_second <= 0:
            self._writing = False
            return
        self._world.clock.callLater(self._random.expovariate(self._per_second), self._write)

    def _write(self) -> None:
        if self._per_second > 0:
            self.one()
        self._next()
