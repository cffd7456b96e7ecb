"""Nodes that were found dead and may be back: which of them to ask next, and how often. Pure.

After the passive lists of Shafaat, Ghodsi and Haridi, "Dealing with network partitions in
structured overlay networks" (2009): rings that were one can only find each other through nodes that
each of them holds for dead. Time is given with every call, in unix seconds, and may step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random

from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.seams import MAX_KNOWN_DEAD

KEPT_SECONDS = 7 * 24 * 3600.0
"""A dead node is asked for so long whether it is back."""
BURST_SECONDS = 60.0
"""Nodes that die within this time of each other may have gone together."""
BURST_NODES = 3
BURST_SHARE = 0.05
"""So many, and of all known ones such a share: that looks like a partition."""
BURST_PER_SECOND = 4.0
"""Questions after a burst of deaths, and after a start; half as many each minute."""
HALVED_SECONDS = 60.0
LASTING_PER_SECOND = ((3600.0, 1 / 5), (24 * 3600.0, 1 / 15), (KEPT_SECONDS, 1 / 60))
"""Questions in the long run, by the age of the last death."""
LEAST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS = 2.0, 600.0
AGE_PER_INTERVAL = 40.0
"""A node is asked again when a fortieth of the time that it has been dead is over."""
JITTER = 0.25
"""Share of an interval that chance adds or takes."""


@dataclass(frozen=True, slots=True)
class Dead:
    """A node that was found dead.

    :ivar record: the last that is known of it; it may be over by now.
    :ivar died: when, unix seconds.
    :ivar in_burst: did many others die about the same time?
    """

    record: NodeRecord
    died: float
    in_burst: bool = False

    @property
    def node(self) -> NodeId:
        return self.record.node_id


@dataclass(slots=True)
class _Turn:
    """A dead node, when it was asked last, and when it is to be asked again."""

    dead: Dead
    ask_again: float
    asked: float = -inf


class DeadCache:
    """The dead, the likeliest to return first.

    Likeliest are those that died with many others, for a partition ends for all of them at once;
    then those that died last. The longest dead are forgotten where there are too many.

    It keeps account of what is to be written down, for whoever has a disk.
    """

    def __init__(self, random: Random, *, max_nodes: int = MAX_KNOWN_DEAD) -> None:
        self._random = random
        self._max_nodes = max_nodes
        self._turns: dict[NodeId, _Turn] = {}
        self._burst = -KEPT_SECONDS
        self._asked_until = 0.0
        self._unsaved: dict[NodeId, None] = {}
        self._saved: dict[NodeId, None] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, node: NodeId) -> bool:
        return node in self._turns

    def record_of(self, node: NodeId) -> NodeRecord | None:
        """The last that is known of a dead node; None of any other."""
        turn = self._turns.get(node)
        return None if turn is None else turn.dead.record

    @property
    def silent(self) -> int:
        """How many died with many others: the other side of a suspected partition, or 0."""
        return sum(turn.dead.in_burst for turn in self._turns.values())

    @property
    def silent_since(self) -> float | None:
        """When the first of these died, unix seconds; None where there are none."""
        return min((t.dead.died for t in self._turns.values() if t.dead.in_burst), default=None)

    # -- who is dead -----------------------------------------------------------------------------

    def add(self, died: Iterable[Dead], known: int, now: float) -> int:
        """Take in nodes that are not here yet. How many died of late, if that is a burst; else 0.

        :param known: how many nodes were known to be here before any of the dead died.
        """
        news = [dead for dead in died if dead.node not in self._turns]
        for dead in sorted(news, key=lambda dead: dead.died):
            self._turns[dead.node] = _Turn(dead, now)
            self._unsaved[dead.node] = None
        self._keep_the_latest()
        lately = [t for t in self._turns.values() if now - t.dead.died <= BURST_SECONDS]
        if not news or len(lately) < max(BURST_NODES, BURST_SHARE * known):
            return 0
        for turn in lately:
            self._change(turn, replace(turn.dead, in_burst=True))
        self._burst = max(turn.dead.died for turn in lately)
        return len(lately)

    def heard_of(self, record: NodeRecord) -> None:
        """A record of a dead node was heard: it may name other addresses."""
        turn = self._turns.get(record.node_id)
        if turn is not None and record.freshness > turn.dead.record.freshness:
            self._change(turn, replace(turn.dead, record=record))

    def discard(self, node: NodeId) -> list[NodeId]:
        """It lives. Those that died about the same time, by id: they may be back, too."""
        returned = self._turns.pop(node, None)
        if returned is None or not returned.dead.in_burst:
            return []
        return sorted(
            other
            for other, turn in self._turns.items()
            if turn.dead.in_burst and abs(turn.dead.died - returned.dead.died) <= BURST_SECONDS
        )

    def forget_old(self, now: float) -> list[NodeId]:
        """Drop those that have been dead for too long; which."""
        old = [node for node, turn in self._turns.items() if now - turn.dead.died > KEPT_SECONDS]
        for node in old:
            del self._turns[node]
        return old

    def _keep_the_latest(self) -> None:
        excess = len(self._turns) - self._max_nodes
        if excess > 0:
            longest = sorted(self._turns.items(), key=lambda item: (item[1].dead.died, item[0]))
            for node, _ in longest[:excess]:
                del self._turns[node]

    def _change(self, turn: _Turn, dead: Dead) -> None:
        if dead != turn.dead:
            turn.dead = dead
            self._unsaved[dead.node] = None

    # -- what is written down --------------------------------------------------------------------

    def load(self, dead: Iterable[Dead], written: Iterable[NodeId], now: float) -> None:
        """Those of an earlier life of this program; their ages go on.

        Anything may be different after a start: they are asked as often as after a burst. A death
        that lies ahead, for a clock was or is wrong, happened now; so each is kept for seven days
        by this clock and no longer.

        :param written: all that is on the disk, also what means nothing any more.
        """
        self._saved.update(dict.fromkeys(written))
        for known in dead:
            at = min(known.died, now)
            if now - at <= KEPT_SECONDS and known.node not in self._turns:
                self._turns[known.node] = _Turn(known, now)
                self._change(self._turns[known.node], replace(known, died=at))
                self._burst = now
        self._keep_the_latest()

    def take_unsaved(self) -> tuple[list[Dead], list[NodeId]]:
        """What is new since the last time, and who is to be forgotten; counts as saved."""
        new = [self._turns[node].dead for node in self._unsaved if node in self._turns]
        over = [node for node in self._saved if node not in self._turns]
        self._unsaved.clear()
        for node in over:
            del self._saved[node]
        self._saved.update((dead.node, None) for dead in new)
        return new, over

    def not_saved(self, new: Sequence[Dead], over: Sequence[NodeId]) -> None:
        """What was taken could not be written down."""
        self._unsaved.update((dead.node, None) for dead in new)
        self._saved.update(dict.fromkeys(over))

    # -- whom to ask -----------------------------------------------------------------------------

    def per_second(self, now: float) -> float:
        """How many are to be asked each second."""
        if not self._turns:
            return 0.0
        youngest = now - max(turn.dead.died for turn in self._turns.values())
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
        # What was allowed and not used is not saved up, but for the next whole question. A clock
        # that was set back owes nothing.
        start = max(min(self._asked_until, now), now - max(1.0, 1 / rate))
        count = int((now - start) * rate + 1e-6)
        if not count:
            self._asked_until = start
            return []
        self._asked_until = start + count / rate
        due = [turn for turn in self._turns.values() if self._is_due(turn, now)]
        due.sort(key=lambda turn: (not turn.dead.in_burst, -turn.dead.died, turn.ask_again))
        chosen = self._random.sample(due[: 4 * count], min(count, len(due)))
        for turn in chosen:
            self._note_asked(turn, now)
        return [turn.dead.node for turn in chosen]

    @staticmethod
    def _is_due(turn: _Turn, now: float) -> bool:
        # No wait is as long as this: the clock was set back.
        return not 0.0 < turn.ask_again - now <= MOST_INTERVAL_SECONDS * (1.0 + JITTER)

    def asked(self, node: NodeId, now: float) -> None:
        """It is asked for another reason than its turn."""
        if node in self._turns:
            self._note_asked(self._turns[node], now)

    def may_ask(self, node: NodeId, now: float) -> bool:
        """Is it dead, and was it left alone for the shortest interval?"""
        turn = self._turns.get(node)
        return turn is not None and not 0.0 <= now - turn.asked < LEAST_INTERVAL_SECONDS

    def _note_asked(self, turn: _Turn, now: float) -> None:
        interval = max(LEAST_INTERVAL_SECONDS, (now - turn.dead.died) / AGE_PER_INTERVAL)
        turn.asked = now
        turn.ask_again = now + min(interval, MOST_INTERVAL_SECONDS) * self._random.uniform(
            1.0 - JITTER, 1.0 + JITTER
        )
