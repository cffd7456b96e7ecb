"""Who writes what to whom, and when: all of it follows from a seed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Protocol


class Talk(Protocol):
    """How much is written.

    :ivar letters_per_second: of all people together.
    """

    @property
    def people(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def letters_per_second(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Letter:
    """Somebody writes to somebody; people by their numbers."""

    at: float
    sender: int
    recipient: int
    text: str


def pairs(people: int) -> list[tuple[int, int]]:
    """Who knows whom: each the next one, around a circle."""
    return [(one, (one + 1) % people) for one in range(people)][: people if people > 2 else 1]


def letters(talk: Talk) -> Iterator[Letter]:
    """Evenly spaced; who writes to whom is drawn from the pairs, in either direction."""
    random = Random(f"{talk.seed} letters")
    known = pairs(talk.people)
    count = int(talk.seconds * talk.letters_per_second)
    for number in range(count):
        one, other = random.choice(known)
        if random.random() < 0.5:
            one, other = other, one
        text = f"letter {number} from {one} to {other}"
        yield Letter(number / talk.letters_per_second, one, other, text)
