"""When a replica compares itself with which of the others (page 2.4).

Every peer that shares arcs is compared with in turn, a few at a time, a pair that stays in step
ever less often; what has the fewest living copies comes first. What a comparison is, and what it
brings, is its owner's matter. No peer can hold the others up: one that brings nothing for a while
loses its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic, background
from tace.errors import NotReplica, TaceError
from tace.ids import Arc, NodeId
from tace.seams import Counters, ReplicaSet, View

MAX_INTERVAL_FACTOR = 10
"""A pair that stays in step, or a peer that fails, is asked up to this many times less often."""
AFTER_CHANGE_SECONDS = 0.5
NOT_REPLICA_SECONDS = 1.0
"""A peer that does not see yet what this node sees is asked again so soon, then less and less."""
MAX_AT_ONCE = 8
"""Comparisons with other replicas under way at one time."""
STALLED_SECONDS = 30.0
"""A comparison that has brought nothing for so long is ended, and tried again later."""
MAX_SECONDS = 600.0
"""So long a comparison may take at most; what it has brought is kept."""
FIRST_SECONDS = 45.0
"""A node that joins waits so long for its peers; then it goes on, and says that it is partial."""


class Reader(Protocol):
    """Who answers reads, and says while they are not whole."""

    partial: bool


class ComparisonRounds:
    """Compares with every peer, again and again.

    :param what: what is compared, ``items`` or ``blobs``: for metrics and logs.
    :param pull: brings over what a peer has in the arcs and this node lacks; how many items. It
        calls its third argument whenever some have come. A :class:`TaceError` is the peer's fault,
        or the disk's: it is asked again before long.
    :param reader: told whether enough peers have been compared with for whole answers.
    :param interval_seconds: time between two comparisons with the same peer.
    """

    def __init__(
        self,
        what: str,
        pull: Callable[[NodeId, Sequence[Arc], Callable[[], None]], Coroutine[Any, Any, int]],
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
        self._compared: dict[NodeId, _Compared] = {}
        self._queue: dict[NodeId, _Shared] = {}
        self._running: dict[NodeId, _Turn] = {}
        self._idle: list[Deferred[None]] = []
        self._held: Sequence[tuple[Arc, ReplicaSet]] | None = None
        self._wide = False
        self._shared: dict[NodeId, _Shared] = {}
        """Of these held arcs and no others."""
        self._alone = True
        self._stopped = False
        self._rounds = Periodic(f"repair of {what}", clock, self._until_next, self._round)

    def start(self) -> None:
        self._view.when_changed(self.soon)
        self._rounds.start(delay=AFTER_CHANGE_SECONDS)

    async def stop(self) -> None:
        """No further comparison; returns when those under way, which are cancelled, have ended."""
        self._stopped = True
        self._queue.clear()
        await self._rounds.stop()
        for running in list(self._running.values()):
            running.cancel()

    def soon(self) -> None:
        """Who shares which arcs may have changed."""
        if self._alone and self._arcs_by_peer():
            # Others have turned up: until they have been asked, they may hold what we lack.
            self._alone = False
            self._reader.partial = True
        self._rounds.soon(AFTER_CHANGE_SECONDS)

    def lost_touch(self, node: NodeId) -> None:
        """The link to it went away: either side may have missed something."""
        self._compared.pop(node, None)
        if node in self._running:
            self._running[node].outdated = True

    async def once(self) -> bool:
        """Compare every arc with every living peer once; True when all of them answered.

        The reader's answers are whole as soon as enough of them have. Peers that take longer than
        FIRST_SECONDS are not waited for; they go on.
        """
        shared = self._arcs_by_peer()
        self._alone = not shared
        for peer, of_peer in shared.items():
            if peer not in self._running:
                self._queue[peer] = of_peer
        self._begin()
        if self._running:
            await self._idle_or_timeout(FIRST_SECONDS)
        self._look_whole()
        return all(
            (done := self._compared.get(peer)) is not None and done.answered for peer in shared
        )

    async def _idle_or_timeout(self, seconds: float) -> None:
        """Until nothing is compared any more, or that much time has passed."""
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        timer = self._clock.callLater(seconds, idle.callback, None)
        try:
            await idle
        finally:
            self._idle.remove(idle)
            if timer.active():
                timer.cancel()

    def _look_whole(self) -> None:
        """Reads are whole once as many others have been asked as meet every write quorum."""
        if not self._reader.partial:
            return
        asked = {peer for peer, compared in self._compared.items() if compared.answered}
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
        self._forget_what_went(shared)
        self._queue = {}
        for peer, of_peer in shared.items():
            if peer not in self._running:
                pieces = self._due(of_peer, self._compared.get(peer), now)
                if pieces:
                    self._queue[peer] = replace(of_peer, pieces=pieces)
        self._begin()
        self._look_whole()
        self._counters.gauge("repair_peers", len(shared), what=self._what)

    def _forget_what_went(self, shared: dict[NodeId, _Shared]) -> None:
        """What goes has to be compared again should it be shared once more; so has what was
        compared while it went. What stays has been compared: a node that joins costs two old
        neighbours nothing."""
        for peer, known in list(self._compared.items()):
            if peer not in shared:
                del self._compared[peer]
            elif known.covers(shared[peer].arcs):
                self._compared[peer] = replace(known, arcs=shared[peer].arcs)
        for peer, turn in self._running.items():
            if peer not in shared or not all(
                any(arc.covers(wanted) for arc in shared[peer].arcs) for wanted in turn.arcs
            ):
                turn.outdated = True

    @staticmethod
    def _due(shared: _Shared, known: _Compared | None, now: float) -> tuple[_Piece, ...]:
        """What is to be compared with a peer now: all, what has come since the last time, or
        nothing."""
        if known is None or known.next_at <= now:
            return shared.pieces
        if known.arcs == shared.arcs:
            return ()
        if not known.answered:
            return shared.pieces
        if known.more_at > now:
            return ()
        return tuple(piece for piece in shared.pieces if not known.covers((piece.arc,)))

    def _until_next(self) -> float:
        now = self._clock.seconds()
        waiting = (c.due_at for peer, c in self._compared.items() if peer not in self._running)
        return max(1.0, min(waiting, default=now + self._interval) - now)

    def _arcs_by_peer(self) -> dict[NodeId, _Shared]:
        """Which arcs this node shares with which living peer; first those peers that share what
        has the fewest living copies."""
        # Two rings have become one, or one has grown fast: those who kept a key a moment ago do not
        # any more, and are to be found among the next ones clockwise.
        wide = self._view.many_came
        held = self._view.arcs_held()
        if held is self._held and wide is self._wide:
            return self._shared
        self._held, self._wide = held, wide
        own = self._view.own
        pieces: dict[NodeId, list[_Piece]] = {}
        for arc, replica_set in held:
            everyone = replica_set.everyone
            if own in everyone:
                piece = _Piece(arc, self._living_copies(replica_set))
                peers: Sequence[NodeId] = everyone
                if wide:
                    peers = tuple(dict.fromkeys((*everyone, *self._view.candidates(arc.end))))
                for peer in peers:
                    pieces.setdefault(peer, []).append(piece)
        pieces.pop(own, None)
        living = (peer for peer in pieces if not self._view.is_dead(peer))
        fewest_first = sorted(
            living, key=lambda peer: (min(piece.copies for piece in pieces[peer]), peer)
        )
        self._shared = {
            peer: _Shared(
                tuple(_joined([piece.arc for piece in pieces[peer]])), tuple(pieces[peer])
            )
            for peer in fewest_first
        }
        return self._shared

    def _living_copies(self, replica_set: ReplicaSet) -> int:
        """Of what is kept there, as far as the members have it."""
        return sum(not self._view.is_dead(node) for node in replica_set.members)

    # -- a few at a time -------------------------------------------------------------------------

    def _begin(self) -> None:
        while self._queue and len(self._running) < MAX_AT_ONCE and not self._stopped:
            peer = next(iter(self._queue))
            shared = self._queue.pop(peer)
            turn = self._running[peer] = _Turn(self._clock, shared.arcs)
            background(f"repair of {self._what}", self._compare(peer, shared, turn))

    async def _compare(self, peer: NodeId, shared: _Shared, turn: _Turn) -> None:
        try:
            brought = await turn.run(self._pull(peer, _urgent_first(shared.pieces), turn.moved))
        except TaceError as error:
            # The peer's fault, or the disk's: the others are asked all the same.
            self._failed(peer, shared, error.code)
        except CancelledError:
            self._failed(peer, shared, "stalled")
        else:
            if not turn.outdated:
                self._succeeded(peer, shared, brought)
        finally:
            turn.end()
            del self._running[peer]
            self._begin()
            if not self._running:
                for idle in list(self._idle):
                    idle.callback(None)
        self._look_whole()
        self._rounds.soon(AFTER_CHANGE_SECONDS if turn.outdated else self._until_next())

    def _failed(self, peer: NodeId, shared: _Shared, code: str) -> None:
        self._counters.count("repair_failures_total", reason=code, what=self._what)
        now = self._clock.seconds()
        before = self._compared.get(peer)
        if before is not None and before.answered and not shared.is_whole:
            # What was compared before holds; what has come since is asked for again.
            factor = min(max(1, before.more_factor * 2), MAX_INTERVAL_FACTOR)
            more_at = now + self._wait_after(code, factor)
            self._compared[peer] = replace(before, more_at=more_at, more_factor=factor)
            return
        factor = 1
        if before is not None and not before.answered and before.arcs == shared.arcs:
            factor = min(before.factor * 2, MAX_INTERVAL_FACTOR)
        next_at = now + self._wait_after(code, factor)
        self._compared[peer] = _Compared(shared.arcs, next_at, factor, answered=False)

    def _wait_after(self, code: str, factor: int) -> float:
        """Seconds until a peer that failed is asked again."""
        wait = self._interval / 6 * factor
        if code == NotReplica.code and factor < MAX_INTERVAL_FACTOR:
            wait = min(wait, NOT_REPLICA_SECONDS * factor)
        return wait

    def _succeeded(self, peer: NodeId, shared: _Shared, brought: int) -> None:
        before = self._compared.get(peer)
        if before is not None and before.answered and not shared.is_whole:
            # What was compared before is due again when it was.
            self._compared[peer] = replace(before, arcs=shared.arcs, more_at=0.0, more_factor=0)
            return
        factor = 1
        if before is not None and before.answered and not brought and before.arcs == shared.arcs:
            factor = min(before.factor * 2, MAX_INTERVAL_FACTOR)
        wait = self._interval * factor * self._random.uniform(0.75, 1.25)
        next_at = self._clock.seconds() + wait
        self._compared[peer] = _Compared(shared.arcs, next_at, factor, answered=True)


@dataclass(frozen=True, slots=True)
class _Piece:
    """An arc between neighbouring positions, and how many copies of what lies there live."""

    arc: Arc
    copies: int


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is shared with one peer.

    :ivar arcs: all of it, in ring order, neighbouring ones joined.
    :ivar pieces: what of it is compared, in ring order.
    """

    arcs: tuple[Arc, ...]
    pieces: tuple[_Piece, ...]

    @property
    def is_whole(self) -> bool:
        """Is all of it compared?"""
        return tuple(_joined([piece.arc for piece in self.pieces])) == self.arcs


def _urgent_first(pieces: Sequence[_Piece]) -> tuple[Arc, ...]:
    """Their arcs by the number of living copies, the fewest first; joined where neighbours have as
    many."""
    by_copies: dict[int, list[Arc]] = {}
    for piece in pieces:
        by_copies.setdefault(piece.copies, []).append(piece.arc)
    return tuple(arc for few in sorted(by_copies) for arc in _joined(by_copies[few]))


@dataclass(frozen=True, slots=True)
class _Compared:
    """The last comparison with a peer: over which arcs, and when the next one is due.

    :ivar more_at: when what has come since is asked for again, where it could not be had; else 0.
    """

    arcs: tuple[Arc, ...]
    next_at: float
    factor: int
    answered: bool
    more_at: float = 0.0
    more_factor: int = 0

    @property
    def due_at(self) -> float:
        return min(self.next_at, self.more_at) if self.more_at else self.next_at

    def covers(self, arcs: Sequence[Arc]) -> bool:
        """Does each of these lie in one of those that were compared?"""
        return self.arcs == arcs or all(
            arc in self.arcs or any(mine.covers(arc) for mine in self.arcs) for arc in arcs
        )


class _Turn:
    """A comparison under way, and its bounds in time."""

    __slots__ = ("_clock", "_ends_at", "_timer", "_work", "arcs", "outdated")

    def __init__(self, clock: IReactorTime, arcs: tuple[Arc, ...]) -> None:
        self.arcs = arcs
        """All that was shared with the peer when it began."""
        self.outdated = False
        """Something may have been missed since it began: it proves nothing."""
        self._clock = clock
        self._ends_at = clock.seconds() + MAX_SECONDS
        self._timer = clock.callLater(STALLED_SECONDS, self.cancel)
        self._work: Deferred[int] = Deferred()

    def run(self, pull: Coroutine[Any, Any, int]) -> Deferred[int]:
        self._work = Deferred.fromCoroutine(pull)
        return self._work

    def moved(self) -> None:
        """It has brought something: it may go on for a while."""
        left = self._ends_at - self._clock.seconds()
        if self._timer.active():
            self._timer.reset(min(STALLED_SECONDS, max(0.0, left)))

    def cancel(self) -> None:
        self._work.cancel()

    def end(self) -> None:
        if self._timer.active():
            self._timer.cancel()


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
