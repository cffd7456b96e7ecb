"""What is being fetched just now, so that no two peers are asked for the same (page 2.4).

A node that lacks a thousand items compares with eight peers at once, and each of them has nearly
all of these: together they bring each item once, and share the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred

from tace.seams import Item


class UnderWay:
    """Claims on items; those who find nothing to claim wait until somebody lets go."""

    def __init__(self) -> None:
        self._claimed: set[Item] = set()
        self._waiting: list[Deferred[None]] = []

    def claim(self, wanted: Iterable[Item], most: int) -> list[Item]:
        """The first of these that nobody has claimed, now claimed; to be released by the caller."""
        found: list[Item] = []
        for item in wanted:
            if len(found) == most:
                break
            if item not in self._claimed:
                found.append(item)
        self._claimed.update(found)
        return found

    def has(self, item: Item) -> bool:
        """Has somebody claimed it?"""
        return item in self._claimed

    def release(self, items: Sequence[Item]) -> None:
        self._claimed.difference_update(items)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)

    def one_released(self) -> Deferred[None]:
        """Fires when somebody lets go of something; cancelled at will."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        return waiter
