"""When a replica compares itself with which of the others (page 2.4).

Every peer that shares arcs is compared with in turn, a pair that stays in step ever less often.
What a comparison is, and what it brings, is its owner's matter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic
from tace.errors import TaceError
from tace.ids import Arc, NodeId
from tace.seams import Counters, View

MAX_INTERVAL_FACTOR = 10
"""A pair that stays in step is compared up to this many times less often."""
AFTER_CHANGE_SECONDS = 0.5


class Reader(Protocol):
    """Who answers reads, and says while they are not whole."""

    partial: bool


class ComparisonRounds:
    """Compares with every peer, again and again.

    :param what: what is compared, ``items`` or ``blobs``: for metrics and logs.
    :param pull: brings over what a peer has in the arcs and this node lacks; how many items. A
        :class:`TaceError` is the peer's fault, or the disk's: it is asked again before long.
    :param reader: told whether enough peers have been compared with for whole answers.
    :param interval_seconds: time between two comparisons with the same peer.
    """

    def __init__(
        self,
        what: str,
        pull: Callable[[NodeId, Sequence[Arc]], Awaitable[int]],
        reader: Reader,
        *,
        view: View,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        interval_seconds: float,
    ) -> None:
        self._what = what
        self._pull = pull
        self._reader = reader
        self._view = view
        self._clock = clock
        self._random = random
        self._counters = counters
        self._interval = interval_seconds
        self._in_step: dict[NodeId, _InStep] = {}
        self._alone = True
        self._rounds = Periodic(f"repair of {what}", clock, self._until_next, self._round)

    def start(self) -> None:
        self._view.when_changed(self.soon)
        self._rounds.start(delay=AFTER_CHANGE_SECONDS)

    async def stop(self) -> None:
        await self._rounds.stop()

    def soon(self) -> None:
        """Who shares which arcs may have changed."""
        if self._alone and self._arcs_by_peer():
            # Others have turned up: until they have been asked, they may hold what we lack.
            self._alone = False
            self._reader.partial = True
        self._rounds.soon(AFTER_CHANGE_SECONDS)

    def lost_touch(self, node: NodeId) -> None:
        """The link to it went away: either side may have missed something."""
        self._in_step.pop(node, None)

    async def once(self) -> bool:
        """Compare every arc with every living peer once; True when all of them answered.

        The reader's answers are whole as soon as enough of them have.
        """
        complete = True
        shared = self._arcs_by_peer()
        self._alone = not shared
        for peer, arcs in shared.items():
            complete = await self._pull_and_note(peer, arcs) and complete
        self._look_whole()
        return complete

    def _look_whole(self) -> None:
        """Reads are whole once as many others have been asked as meet every write quorum."""
        if not self._reader.partial:
            return
        asked = {peer for peer, in_step in self._in_step.items() if in_step.arcs}
        own = self._view.own
        self._reader.partial = any(
            sum(node in asked for node in replica_set.members if node != own)
            < min(replica_set.read_quorum, replica_set.size - 1)
            for _, replica_set in self._view.arcs_held()
            if own in replica_set.everyone
        )

    async def _round(self) -> None:
        now = self._clock.seconds()
        shared = self._arcs_by_peer()
        for gone in [peer for peer in self._in_step if peer not in shared]:
            del self._in_step[gone]
        for peer, arcs in shared.items():
            known = self._in_step.get(peer)
            if known is None or known.arcs != arcs or known.next_at <= now:
                await self._pull_and_note(peer, arcs)
        self._look_whole()
        self._counters.gauge("repair_peers", len(shared), what=self._what)

    def _until_next(self) -> float:
        now = self._clock.seconds()
        due = min((s.next_at for s in self._in_step.values()), default=now + self._interval)
        return max(1.0, due - now)

    def _arcs_by_peer(self) -> dict[NodeId, tuple[Arc, ...]]:
        """Which arcs this node shares with which living peer, neighbouring ones joined."""
        shared: dict[NodeId, list[Arc]] = {}
        for arc, replica_set in self._view.arcs_held():
            if self._view.own not in replica_set.everyone:
                continue
            for peer in replica_set.everyone:
                if peer != self._view.own and not self._view.is_dead(peer):
                    shared.setdefault(peer, []).append(arc)
        return {peer: tuple(_joined(shared[peer])) for peer in sorted(shared)}

    async def _pull_and_note(self, peer: NodeId, arcs: tuple[Arc, ...]) -> bool:
        try:
            brought = await self._pull(peer, arcs)
        except TaceError as error:
            # The peer's fault, or the disk's: the others are asked all the same.
            self._counters.count("repair_failures_total", reason=error.code, what=self._what)
            self._in_step[peer] = _InStep((), self._clock.seconds() + self._interval / 6, 1)
            return False
        before = self._in_step.get(peer)
        factor = 1
        if before is not None and not brought and before.arcs == arcs:
            factor = min(before.factor * 2, MAX_INTERVAL_FACTOR)
        wait = self._interval * factor * self._random.uniform(0.75, 1.25)
        self._in_step[peer] = _InStep(arcs, self._clock.seconds() + wait, factor)
        return True


class _InStep:
    """When a peer was last in step over which arcs, and when to look again."""

    __slots__ = ("arcs", "factor", "next_at")

    def __init__(self, arcs: tuple[Arc, ...], next_at: float, factor: int) -> None:
        self.arcs = arcs
        self.next_at = next_at
        self.factor = factor


def _joined(arcs: Sequence[Arc]) -> list[Arc]:
    """Join arcs that touch (they come in ring order), so that one listing covers them."""
    merged: list[Arc] = []
    for arc in arcs:
        if merged and merged[-1].end == arc.start:
            merged[-1] = Arc(merged[-1].start, arc.end)
        else:
            merged.append(arc)
    if len(merged) > 1 and merged[-1].end == merged[0].start:
        merged[0] = Arc(merged[-1].start, merged[0].end)
        merged.pop()
    return merged
