"""Finding out who keeps a key before it is written or read, where that is not arithmetic.

In a network that a routing table holds, it always is; beyond, :mod:`tace.ring.lookup` finds out.
"""

from __future__ import annotations

from typing import Protocol


class Whereabouts(Protocol):
    """What is known of who keeps which key."""

    def knows(self, key: bytes) -> bool:
        """Is the replica set of that key, as the view has it, the one there is?"""

    async def resolve(self, key: bytes) -> None:
        """Make that so, as far as it can be found out in time."""


class AllKnown:
    """Everyone is in the table."""

    def knows(self, key: bytes) -> bool:
        return True

    async def resolve(self, key: bytes) -> None:
        """There is nothing to find out."""
