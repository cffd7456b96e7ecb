"""The hints of the store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tace.ids import NodeId
from tace.seams import HINT_SECONDS, MAX_HINTS, Item


class MemoryHints:
    """For whom copies are kept until they are back."""

    def __init__(self) -> None:
        self._made: dict[tuple[NodeId, Item], int] = {}
        """When each came, the oldest first."""
        self._of: dict[NodeId, dict[Item, None]] = {}

    def put(self, member: NodeId, items: Sequence[Item], now: float) -> bool:
        for item in items:
            if (member, item) not in self._made:
                self._made[member, item] = int(now)
                self._of.setdefault(member, {})[item] = None
        for oldest in list(islice(self._made, max(0, len(self._made) - MAX_HINTS))):
            self._forget(*oldest)
        return True

    def members(self) -> list[NodeId]:
        return sorted(self._of)

    def of(self, member: NodeId, limit: int) -> list[Item]:
        return list(islice(self._of.get(member, {}), limit))

    def drop(self, member: NodeId, items: Sequence[Item]) -> None:
        for item in items:
            if (member, item) in self._made:
                self._forget(member, item)

    def expire(self, now: float) -> int:
        limit = int(now - HINT_SECONDS)
        over = [hint for hint, made in self._made.items() if made <= limit]
        for hint in over:
            self._forget(*hint)
        return len(over)

    def _forget(self, member: NodeId, item: Item) -> None:
        del self._made[member, item]
        items = self._of[member]
        del items[item]
        if not items:
            del self._of[member]
