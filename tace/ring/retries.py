"""When to try again what has failed: longer and longer, never at one time with others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Tried:
    next_try: float
    failures: int = 0


class Retries(Generic[K]):
    """After the first failure a try waits ``first_seconds``, then twice that, up to
    ``most_seconds``.

    Each wait differs by up to a quarter, so that nodes that lost the same peer do not come back
    together. Remembers what was tried until :meth:`keep` leaves it out.
    """

    def __init__(self, random: Random, first_seconds: float, most_seconds: float) -> None:
        self._random = random
        self._first = first_seconds
        self._most = most_seconds
        self._tried: dict[K, _Tried] = {}

    def is_due(self, key: K, now: float) -> bool:
        """May it be tried?"""
        tried = self._tried.get(key)
        return tried is None or tried.next_try <= now

    def failures(self, key: K) -> int:
        """How often it has failed since it last succeeded."""
        tried = self._tried.get(key)
        return 0 if tried is None else tried.failures

    def begun(self, key: K, now: float) -> None:
        """It is being tried: not again before the wait is over, whatever comes of it."""
        failures = self.failures(key)
        self._tried[key] = _Tried(now + self._wait(failures + 1), failures)

    def failed(self, key: K, now: float) -> None:
        failures = self.failures(key) + 1
        self._tried[key] = _Tried(now + self._wait(failures), failures)

    def succeeded(self, key: K, now: float, *, again_seconds: float) -> None:
        """Not again for about so long."""
        self._tried[key] = _Tried(now + again_seconds * self._random.uniform(0.75, 1.25))

    def keep(self, wanted: Callable[[K], bool]) -> None:
        """Forget the others."""
        self._tried = {key: tried for key, tried in self._tried.items() if wanted(key)}

    def _wait(self, failures: int) -> float:
        # The exponent is capped so that the float cannot overflow.
        doubled = self._first * (1 << min(failures - 1, 16))
        return min(doubled, self._most) * self._random.uniform(0.75, 1.25)
