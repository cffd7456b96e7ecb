"""How long to leave a node alone that could not be reached."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tace.ids import NodeId

FIRST_SECONDS = 0.2
"""The wait after the second failure; each further one doubles it."""
MOST_SECONDS = 15.0
"""The longest wait between two dials: a node that is back is found within that."""
MAX_REMEMBERED = 4096
"""Nodes whose failed dials are remembered."""
"""Nodes whose failed dials are remembered."""


@dataclass(slots=True)
class _Failures:
    count: int
    next_dial: float


class Backoff:
    """After the first failure a node is dialled again at once, then after 0.2 s, doubling to 15 s.

    Each wait is shortened at random by up to half, so that nodes that lost the same peer do not
    come back together. Remembers the 4,096 nodes that failed last.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures: dict[NodeId, _Failures] = {}

    def failed(self, node: NodeId, now: float) -> None:
        """A dial failed, or the link it gave did not last."""
        failures = self._failures.pop(node, None) or _Failures(0, now)
        wait = 0.0
        if failures.count > 0:
            # The exponent is capped so that the float cannot overflow.
            doubled = FIRST_SECONDS * 2 ** min(failures.count - 1, 16)
            wait = min(doubled, MOST_SECONDS) * self._random.uniform(0.5, 1.0)
        failures.count += 1
        failures.next_dial = now + wait
        self._failures[node] = failures
        if len(self._failures) > MAX_REMEMBERED:
            del self._failures[next(iter(self._failures))]

    def clear(self, node: NodeId) -> None:
        """It is there: it dialled us, or a link to it has lasted."""
        self._failures.pop(node, None)

    def wait_seconds(self, node: NodeId, now: float) -> float:
        """How long until it may be dialled; 0 for now."""
        failures = self._failures.get(node)
        return 0.0 if failures is None else max(0.0, failures.next_dial - now)
