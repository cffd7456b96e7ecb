"""Nodes that were found dead and may be back: which of them to ask next, and how often. Pure.

After the passive lists of Shafaat, Ghodsi and Haridi, "Dealing with network partitions in
structured overlay networks" (2009): rings that were one can only find each other through nodes that
each of them holds for dead. Time is given with every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random

from tace.ids import NodeId

KEPT_SECONDS = 7 * 24 * 3600.0
"""A dead node is asked for so long whether it is back."""
MAX_NODES = 1024
"""Dead nodes that are asked whether they are back."""
BURST_SECONDS = 60.0
"""Nodes that die within this time of each other may have gone together."""
BURST_NODES = 3
BURST_SHARE = 0.05
"""So many, and of all known ones such a share: that looks like a partition."""
BURST_PER_SECOND = 4.0
"""Questions after a burst of deaths; half as many each minute."""
HALVED_SECONDS = 60.0
LASTING_PER_SECOND = ((3600.0, 1 / 5), (24 * 3600.0, 1 / 15), (KEPT_SECONDS, 1 / 60))
"""Questions in the long run, by the age of the last death."""
LEAST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS = 2.0, 600.0
AGE_PER_INTERVAL = 40.0
"""A node is asked again when a fortieth of the time that it has been dead is over."""


@dataclass(slots=True)
class _Dead:
    died: float
    ask_again: float
    asked: float = -inf
    together: bool = False
    """Did others die about the same time?"""


class DeadCache:
    """The dead, the likeliest to return first.

    Likeliest are those that died with many others, for a partition ends for all of them at once;
    then those that died last. The longest dead are forgotten where there are too many.
    """

    def __init__(self, random: Random, *, max_nodes: int = MAX_NODES) -> None:
        self._random = random
        self._max_nodes = max_nodes
        self._dead: dict[NodeId, _Dead] = {}
        self._burst = -KEPT_SECONDS
        self._asked_until = 0.0

    def __len__(self) -> int:
        return len(self._dead)

    def __contains__(self, node: NodeId) -> bool:
        return node in self._dead

    # -- who is dead -----------------------------------------------------------------------------

    def add(self, died: dict[NodeId, float], known: int, now: float) -> int:
        """Take in nodes, each with when it died. How many died of late, if that is a burst; else 0.

        :param known: how many nodes were known to be here before any of the dead died.
        """
        for node, when in sorted(died.items(), key=lambda item: item[1]):
            self._dead[node] = _Dead(when, now)
        while len(self._dead) > self._max_nodes:
            del self._dead[min(self._dead, key=lambda node: self._dead[node].died)]
        lately = [dead for dead in self._dead.values() if now - dead.died <= BURST_SECONDS]
        if not died or len(lately) < max(BURST_NODES, BURST_SHARE * known):
            return 0
        for dead in lately:
            dead.together = True
        self._burst = max(dead.died for dead in lately)
        return len(lately)

    def discard(self, node: NodeId) -> list[NodeId]:
        """It lives. Those that died about the same time, by id: they may be back, too."""
        returned = self._dead.pop(node, None)
        if returned is None or not returned.together:
            return []
        return sorted(
            other
            for other, dead in self._dead.items()
            if dead.together and abs(dead.died - returned.died) <= BURST_SECONDS
        )

    def forget_old(self, now: float) -> list[NodeId]:
        """Drop those that have been dead for too long; which."""
        old = [node for node, dead in self._dead.items() if now - dead.died > KEPT_SECONDS]
        for node in old:
            del self._dead[node]
        return old

    # -- whom to ask -----------------------------------------------------------------------------

    def per_second(self, now: float) -> float:
        """How many are to be asked each second."""
        if not self._dead:
            return 0.0
        youngest = now - max(dead.died for dead in self._dead.values())
        lasting = next((rate for age, rate in LASTING_PER_SECOND if youngest < age), 0.0)
        halvings = min(max(0.0, now - self._burst) / HALVED_SECONDS, 64.0)
        return max(lasting, BURST_PER_SECOND / 2**halvings)

    def next(self, now: float) -> list[NodeId]:
        """Whom to ask now, likeliest first; each counts as asked.

        As many as the rate allows since the last time, and never more than a second's worth.
        """
        rate = self.per_second(now)
        if not rate:
            return []
        # What was allowed and not used is not saved up, but for the next whole question.
        start = max(self._asked_until, now - max(1.0, 1 / rate))
        count = int((now - start) * rate + 1e-6)
        if not count:
            return []
        self._asked_until = start + count / rate
        due = [(node, dead) for node, dead in self._dead.items() if dead.ask_again <= now]
        due.sort(key=lambda item: (not item[1].together, -item[1].died, item[1].ask_again))
        chosen = self._random.sample(due[: 4 * count], min(count, len(due)))
        for _, dead in chosen:
            self._note_asked(dead, now)
        return [node for node, _ in chosen]

    def asked(self, node: NodeId, now: float) -> None:
        """It is asked for another reason than its turn."""
        if node in self._dead:
            self._note_asked(self._dead[node], now)

    def may_ask(self, node: NodeId, now: float) -> bool:
        """Is it dead, and was it left alone for the shortest interval?"""
        dead = self._dead.get(node)
        return dead is not None and now - dead.asked >= LEAST_INTERVAL_SECONDS

    def _note_asked(self, dead: _Dead, now: float) -> None:
        interval = max(LEAST_INTERVAL_SECONDS, (now - dead.died) / AGE_PER_INTERVAL)
        dead.asked = now
        dead.ask_again = now + min(interval, MOST_INTERVAL_SECONDS) * self._random.uniform(
            0.75, 1.25
        )
