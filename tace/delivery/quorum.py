"""Writing something to all its replicas at once, and answering when a majority has it (page 2.4).

What is written to one node within one reactor turn shares a request. An answer comes within
the deadline, whoever is dead. For each member that cannot take it (dead, away, full, or failing
just now) the next candidate clockwise takes a copy in its place, with a hint for whom it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.delivery.votes import Outcome, Votes
from tace.delivery.whereabouts import AllKnown, Whereabouts
from tace.errors import Failure, ForgedRecord, Full, RateLimited, Refusal, TooMany
from tace.ids import NodeId
from tace.seams import Counters, Links, ReplicaSet, View
from tace.wire.fields import PutResult
from tace.wire.message import Request
from tace.wire.peer import PutAnswer

T = TypeVar("T")
DEADLINE_SECONDS = 2.8
"""A write is answered by then, whatever is dead."""
MAX_REDIRECTS = 2
"""How often one replica of one write is asked again after it has pointed elsewhere."""
MAX_UNDECIDED = 20_000
"""Writes under way, of each kind of object."""


class QuorumWriter(Generic[T]):
    """Writes objects of one kind.

    :param request: makes the request that carries several of them, with records for the replica.
    :param batch_limit: how many fit one request.
    :param whereabouts: finds out who keeps a key that is far away; None: all are known.
    :param judge: looks at a durable answer before it is counted (the secret of an ``acked``).
    :param deadline_seconds: when a write is decided by the answers there are.
    :param call_timeout_seconds: how long one replica may take (default: the links' setting).
    :param makes_room: what is written frees more than it takes, so full nodes get it too.
    :param gather_seconds: what comes within this time shares its requests. Zero: within one turn of
        the reactor.
    """

    def __init__(
        self,
        request: Callable[[Sequence[T], tuple[bytes, ...]], Request[PutAnswer]],
        batch_limit: int,
        *,
        view: View,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
        whereabouts: Whereabouts | None = None,
        judge: Callable[[T, PutResult, Votes], str] = lambda _, result, __: result.code,
        deadline_seconds: float = DEADLINE_SECONDS,
        call_timeout_seconds: float | None = None,
        makes_room: bool = False,
        gather_seconds: float = 0.0,
    ) -> None:
        self._request = request
        self._batch_limit = batch_limit
        self._view = view
        self._links = links
        self._clock = clock
        self._counters = counters
        self._whereabouts: Whereabouts = whereabouts or AllKnown()
        self._judge = judge
        self._deadline_seconds = deadline_seconds
        self._call_timeout_seconds = call_timeout_seconds
        self._makes_room = makes_room
        self._gather_seconds = gather_seconds
        self._batches: dict[tuple[NodeId, NodeId], list[_Write[T]]] = {}
        self._undecided: dict[_Write[T], float] = {}
        """When each write is to be decided at the latest; in the order they came, so in order."""
        self._timer: IDelayedCall | None = None

    def write(self, key: bytes, thing: T) -> Deferred[Outcome]:
        """Store ``thing`` at the replica set of ``key``.

        :raises TooMany: as many writes as there may be are under way.
        """
        done: Deferred[Outcome] = Deferred()
        self.begin(key, thing, done.callback)
        return done

    def begin(self, key: bytes, thing: T, decided: Callable[[Outcome], object]) -> None:
        """As :meth:`write`, for many at once: ``decided`` is called once, maybe at once.

        :raises TooMany: as many writes as there may be are under way; then it is not called.
        """
        if len(self._undecided) >= MAX_UNDECIDED:
            raise TooMany("this node is busy storing", retry_after_ms=1000)
        replica_set = self._view.replica_set(key)
        write = _Write(key, thing, Votes(replica_set), decided, self._decided)
        self._undecided[write] = self._clock.seconds() + self._deadline_seconds
        if self._timer is None:
            self._timer = self._clock.callLater(self._deadline_seconds, self._decide_overdue)
        if self._whereabouts.knows(key):
            self._ask_everyone(write, replica_set)
            write.look()
        else:
            background("find who keeps it", self._place(write))

    async def _place(self, write: _Write[T]) -> None:
        """Find the replicas first; the time that takes is part of the write's."""
        await self._whereabouts.resolve(write.key)
        if not write.done:
            replica_set = self._view.replica_set(write.key)
            write.votes = Votes(replica_set)
            self._ask_everyone(write, replica_set)
            write.look()

    # -- deadlines: one timer for all writes, because all wait equally long ----------------------

    def _decided(self, write: _Write[T]) -> None:
        del self._undecided[write]
        if not self._undecided and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _decide_overdue(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._undecided:
            write, deadline = next(iter(self._undecided.items()))
            if deadline > now:
                self._timer = self._clock.callLater(deadline - now, self._decide_overdue)
                return
            write.decide()

    # -- asking ----------------------------------------------------------------------------------

    def _ask_everyone(self, write: _Write[T], replica_set: ReplicaSet) -> None:
        """The members and holders that were not asked yet, and those who stand in for members."""
        hints = {
            stand_in.node: stand_in.member
            for stand_in in replica_set.stand_ins
            if stand_in.absent or not self._makes_room
        }
        for node in replica_set.everyone:
            if node not in write.asked:
                write.votes.expect(node, replica_set)
                self._ask(node, write, hints.pop(node, b""))
        for node, member in hints.items():
            if node not in write.asked:
                write.votes.expect(node, replica_set)
                self._ask(node, write, member)

    def _ask(self, node: NodeId, write: _Write[T], member: NodeId) -> None:
        """:param member: for whom it is; empty where the node is a replica itself."""
        write.asked[node] = write.asked.get(node, 0) + 1
        if self._view.is_dead(node):
            write.votes.cast(node, "failed")
            return
        if not self._makes_room and self._view.is_full(node):
            write.votes.cast(node, Full.code)
            return
        if not self._batches:
            self._clock.callLater(self._gather_seconds, self._flush)
        self._batches.setdefault((node, member), []).append(write)

    def _stand_in_for(self, member: NodeId, write: _Write[T]) -> None:
        """A member has just failed: the next candidate that was not asked takes its copy."""
        replica_set = self._view.replica_set(write.key)
        if member not in replica_set.members:
            return
        for node in self._view.candidates(write.key):
            if node not in write.asked and not (
                self._view.is_dead(node) or self._view.is_full(node)
            ):
                write.votes.expect(node, replica_set)
                self._ask(node, write, member)
                return

    def _flush(self) -> None:
        batches, self._batches = self._batches, {}
        for (node, member), writes in batches.items():
            for start in range(0, len(writes), self._batch_limit):
                batch = writes[start : start + self._batch_limit]
                background("write to a replica", self._send(node, batch, (), member))

    async def _send(
        self,
        node: NodeId,
        batch: Sequence[_Write[T]],
        records: tuple[bytes, ...],
        member: NodeId = b"",
    ) -> None:
        request = self._request([write.thing for write in batch], records)
        if member:
            request = msgspec.structs.replace(request, instead_of=member)
        try:
            answer = await self._links.call(
                node, request, timeout_seconds=self._call_timeout_seconds
            )
        except (Failure, Refusal) as error:
            self._counters.count("replica_write_failures_total", reason=error.code)
            for write in batch:
                # One that has too much to do is not gone: asking others would only spread that.
                if not isinstance(error, RateLimited | TooMany):
                    self._stand_in_for(node, write)
                write.cast(node, "failed")
            return
        if len(answer.results) != len(batch):
            self._counters.count("replica_write_failures_total", reason="miscounted")
            for write in batch:
                write.cast(node, "failed")
            return
        redirected = []
        for write, result in zip(batch, answer.results, strict=True):
            if result.code == "redirect":
                redirected.append(write)
            else:
                if result.code == Full.code:
                    self._stand_in_for(node, write)
                write.cast(node, self._judge(write.thing, result, write.votes))
        if redirected:
            await self._redirect(node, redirected, answer.records)

    async def _redirect(
        self, node: NodeId, writes: Sequence[_Write[T]], records: tuple[bytes, ...]
    ) -> None:
        """The replica knows others that are nearer, or this node knows some that it does not."""
        self._counters.count("redirects_total")
        for write in writes:
            try:
                self._view.learn_around(write.key, records)
            except ForgedRecord:
                self._counters.count("redirects_forged_total")
                break
        for write in writes:
            replica_set = self._view.replica_set(write.key)
            if write.asked[node] > MAX_REDIRECTS or node not in replica_set.everyone:
                write.cast(node, "redirect")
            else:
                write.asked[node] += 1
                background(
                    "write to a replica again",
                    self._send(node, [write], self._view.nearer_records(write.key)),
                )
            self._ask_everyone(write, replica_set)
            write.look()


class _Write(Generic[T]):
    """One write under way.

    :param tell: called once with what became of it.
    :param decided: called before that.
    """

    __slots__ = ("_decided", "_tell", "asked", "done", "key", "thing", "votes")

    def __init__(
        self,
        key: bytes,
        thing: T,
        votes: Votes,
        tell: Callable[[Outcome], object],
        decided: Callable[[_Write[T]], None],
    ) -> None:
        self._decided = decided
        self._tell = tell
        self.key = key
        self.thing = thing
        self.votes = votes
        self.asked: dict[NodeId, int] = {}
        self.done = False

    def cast(self, node: NodeId, code: str) -> None:
        self.votes.cast(node, code)
        self.look()

    def look(self) -> None:
        if not self.done and self.votes.decided:
            self.decide()

    def decide(self) -> None:
        if not self.done:
            self.done = True
            self._decided(self)
            self._tell(self.votes.outcome())
