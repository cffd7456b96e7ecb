"""The outcomes of several writes that began together, in the order of the writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from tace.delivery.votes import Outcome


class Gathering:
    """Does what ``gatherResults`` does, for callbacks: a Deferred for each message costs more.

    :param count: how many outcomes there will be.
    """

    __slots__ = ("_left", "_outcomes", "all")

    def __init__(self, count: int) -> None:
        self._outcomes: list[Outcome | None] = [None] * count
        self._left = count
        self.all: Deferred[list[Outcome]] = Deferred()
        """Fires when every outcome is here."""
        if not count:
            self.all.callback([])

    def place(self, index: int) -> Callable[[Outcome], None]:
        """Whom to tell the outcome of that number, once."""
        return partial(self._put, index)

    def _put(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        self._left -= 1
        if not self._left:
            self.all.callback([outcome for outcome in self._outcomes if outcome is not None])
