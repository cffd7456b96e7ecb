"""Who is here, who is away or leaves by its own word, and who was found dead (pages 2.3, 2.4).

A node that is away is not asked, but its place is kept: nobody makes copies in its stead until it
is back or its time has passed. A dead one is replaced after a while, and forgotten after a longer
one. One that leaves for good is replaced at once, and forgotten when it says that it has left; a
fresher record that says nothing of it ends that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.identity.node_record import Departure, NodeRecord
from tace.ids import NodeId

MAX_AWAY_SECONDS = 3600.0
"""Who says that it is away for longer is believed for this long, counted from the first word."""

BURST_SECONDS = 60.0
BURST_SHARE = 0.05
LEAST_IN_BURST = 3
"""In a small network one death is no burst, whatever its share."""
MAX_IN_BURST = 1024
"""So many are a burst in the largest table."""
LEAST_WAIT_SECONDS = 0.001


class Presence:
    """The verdicts on all known nodes but this one itself.

    :param changed: told of a node whose verdict, or the age of it, time alone has changed.
    :param repair_after_seconds: a node dead this long is replaced in the sets it was in.
    :param forget_after_seconds: a node dead this long no longer counts in n.
    """

    def __init__(
        self,
        clock: IReactorTime,
        changed: Callable[[NodeId], None],
        *,
        repair_after_seconds: float,
        forget_after_seconds: float,
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._repair_after = repair_after_seconds
        self._forget_after = forget_after_seconds
        self._died: dict[NodeId, float] = {}
        self._away: dict[NodeId, IDelayedCall] = {}
        self._away_since: dict[NodeId, float] = {}
        self._unfit: set[NodeId] = set()
        self._leaving: set[NodeId] = set()
        self._left: set[NodeId] = set()
        self._ageing: set[IDelayedCall] = set()
        self._came: deque[float] = deque(maxlen=MAX_IN_BURST)
        """When nodes came that were not known, or dead."""
        self._stopped = False

    def stop(self) -> None:
        """No timer from now on."""
        self._stopped = True
        for timer in self._ageing:
            timer.cancel()
        self._ageing.clear()
        for ends in self._away.values():
            ends.cancel()
        self._away.clear()

    # -- questions -------------------------------------------------------------------------------

    def is_dead(self, node: NodeId) -> bool:
        return node in self._died

    def is_gone(self, node: NodeId) -> bool:
        """Dead, away, or left for good: not to be asked."""
        return node in self._died or node in self._away or node in self._left

    def is_leaving(self, node: NodeId) -> bool:
        """Does it hand over what it keeps, and is to be replaced without any wait?"""
        return node in self._leaving

    def has_left(self, node: NodeId) -> bool:
        """Has it gone for good, by its own word?"""
        return node in self._left

    def dead(self) -> list[NodeId]:
        """The nodes found dead and not heard of since, by id."""
        return sorted(self._died)

    def away(self) -> list[NodeId]:
        """The nodes that said they would be back, by id."""
        return sorted(self._away)

    @property
    def gone_count(self) -> int:
        return len(self._died) + len(self._away) + len(self._left)

    def dead_for(self, node: NodeId) -> float | None:
        """Seconds since it was found dead; None for one that was not."""
        died = self._died.get(node)
        return None if died is None else self._clock.seconds() - died

    def gone_for(self, node: NodeId) -> float | None:
        """As placement sees it: the place of one that is away is kept, as if it were here.

        A node whose clock is unfit was never there, nor was one that has left.
        """
        return inf if node in self._unfit or node in self._left else self.dead_for(node)

    def many_died(self, known: int) -> bool:
        """Have so many of the ``known`` died within a minute that more may follow at once?"""
        since = self._clock.seconds() - BURST_SECONDS
        lately = sum(died >= since for died in self._died.values())
        return lately >= max(LEAST_IN_BURST, BURST_SHARE * known)

    def many_came(self, known: int) -> bool:
        """Have so many of the ``known`` come, or come back, within a minute that others than those
        who keep a key now may hold what is kept there?"""
        since = self._clock.seconds() - BURST_SECONDS
        lately = sum(came >= since for came in self._came)
        return lately >= min(MAX_IN_BURST, max(LEAST_IN_BURST, BURST_SHARE * known))

    # -- news ------------------------------------------------------------------------------------

    def came(self) -> None:
        """A node is here that was not known before."""
        self._came.append(self._clock.seconds())

    def told(self, record: NodeRecord, *, restarted: bool) -> None:
        """The newest record of a node: what it says of itself.

        :param restarted: its boot is higher than that of the record before.
        """
        node = record.node_id
        if restarted:
            # It has started again since it was found dead.
            self.heard(node)
        now = self._clock.seconds()
        self._end_away(node)
        self.told_departure(node, record.departure)
        if node in self._left:
            # Its death, if it was found dead meanwhile, is none any more: nobody waits for it.
            self._died.pop(node, None)
            self._away_since.pop(node, None)
            return
        if record.away_until_seconds <= now:
            self._away_since.pop(node, None)
            return
        if self._stopped:
            return
        # Only a record that says nothing of it ends the first word: nobody is away for ever by
        # saying so again.
        since = self._away_since.setdefault(node, now)
        until = min(float(record.away_until_seconds), since + MAX_AWAY_SECONDS)
        if until > now:
            self._died.pop(node, None)
            self._away[node] = self._clock.callLater(until - now, self._not_returned, node)

    def told_departure(self, node: NodeId, departure: Departure) -> None:
        """What the newest record of a node says of its leaving for good."""
        for stage, nodes in ((Departure.LEAVING, self._leaving), (Departure.LEFT, self._left)):
            if departure is stage:
                nodes.add(node)
            else:
                nodes.discard(node)

    def _not_returned(self, node: NodeId) -> None:
        """Its time has passed: dead, and for so long that repair begins at once."""
        del self._away[node]
        self._pronounce(node, self._clock.seconds() - self._repair_after)
        self._changed(node)

    def heard(self, node: NodeId) -> bool:
        """It has just proved that it lives; True when it was held for dead."""
        if self._died.pop(node, None) is None:
            return False
        self.came()
        return True

    def found_dead(self, node: NodeId) -> bool:
        """No address of it answers; True when that is news. One that is away need not answer."""
        if self.is_gone(node):
            return False
        self._pronounce(node, self._clock.seconds())
        return True

    def clock_unfit(self, node: NodeId, unfit: bool) -> bool:
        """Its clock can, or cannot, judge expiries; True when that is news."""
        if unfit == (node in self._unfit):
            return False
        self._unfit ^= {node}
        return True

    def forget(self, node: NodeId) -> None:
        """Its record is over."""
        self._died.pop(node, None)
        self._away_since.pop(node, None)
        self._unfit.discard(node)
        self._leaving.discard(node)
        self._left.discard(node)
        self._end_away(node)

    def _end_away(self, node: NodeId) -> None:
        ends = self._away.pop(node, None)
        if ends is not None:
            ends.cancel()

    def _pronounce(self, node: NodeId, died: float) -> None:
        self._died[node] = died
        for age in (self._repair_after, self._forget_after):
            # Replica sets change when it passes these ages, not only now.
            if self._clock.seconds() - died < age:
                self._call_at_age(age, node, died)

    def _call_at_age(self, age: float, node: NodeId, died: float) -> None:
        if self._stopped:
            return

        def aged() -> None:
            self._ageing.discard(timer)
            if self._died.get(node) != died:
                return
            if self._clock.seconds() - died < age:
                # Timers may be early, by a rounding: nobody would look again.
                self._call_at_age(age, node, died)
            else:
                self._changed(node)

        left = age - (self._clock.seconds() - died)
        timer = self._clock.callLater(max(left, LEAST_WAIT_SECONDS), aged)
        self._ageing.add(timer)
