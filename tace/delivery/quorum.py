"""Writing something to all its replicas at once, and answering when a majority has it (page 2.4).

What is written to one node within one reactor turn shares a request. An answer comes within
the deadline, whoever is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tace.background import background
from tace.delivery.votes import Outcome, Votes
from tace.errors import Failure, Refusal, TooMany
from tace.ids import NodeId
from tace.seams import Counters, Links, View
from tace.wire.fields import PutResult
from tace.wire.message import Request
from tace.wire.peer import PutAnswer

T = TypeVar("T")
DEADLINE_SECONDS = 2.8
MAX_REDIRECTS = 2
MAX_UNDECIDED = 20_000


class QuorumWriter(Generic[T]):
    """Writes objects of one kind.

    :param request: makes the request that carries several of them, with records for the replica.
    :param batch_limit: how many fit one request.
    :param judge: looks at a durable answer before it is counted (the secret of an ``acked``).
    :param deadline_seconds: when a write is decided by the answers there are.
    :param call_timeout_seconds: how long one replica may take (default: the links' setting).
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
        judge: Callable[[T, PutResult, Votes], str] = lambda _, result, __: result.code,
        deadline_seconds: float = DEADLINE_SECONDS,
        call_timeout_seconds: float | None = None,
    ) -> None:
        self._request = request
        self._batch_limit = batch_limit
        self._view = view
        self._links = links
        self._clock = clock
        self._counters = counters
        self._judge = judge
        self._deadline_seconds = deadline_seconds
        self._call_timeout_seconds = call_timeout_seconds
        self._batches: dict[NodeId, list[_Write[T]]] = {}
        self._undecided = 0

    def write(self, key: bytes, thing: T) -> Deferred[Outcome]:
        """Store ``thing`` at the replica set of ``key``.

        :raises TooMany: as many writes as there may be are under way.
        """
        if self._undecided >= MAX_UNDECIDED:
            raise TooMany("this node is busy storing", retry_after_ms=1000)
        replica_set = self._view.replica_set(key)
        write = _Write(key, thing, Votes(replica_set))
        self._undecided += 1
        deadline = self._clock.callLater(self._deadline_seconds, write.decide)

        def decided(outcome: Outcome) -> Outcome:
            self._undecided -= 1
            if deadline.active():
                deadline.cancel()
            return outcome

        write.done.addCallback(decided)
        for node in replica_set.everyone:
            self._ask(node, write)
        write.look()
        return write.done

    def _ask(self, node: NodeId, write: _Write[T]) -> None:
        write.asked[node] = write.asked.get(node, 0) + 1
        if self._view.is_dead(node):
            write.votes.cast(node, "failed")
            return
        if not self._batches:
            self._clock.callLater(0, self._flush)
        self._batches.setdefault(node, []).append(write)

    def _flush(self) -> None:
        batches, self._batches = self._batches, {}
        for node, writes in batches.items():
            for start in range(0, len(writes), self._batch_limit):
                batch = writes[start : start + self._batch_limit]
                background("write to a replica", self._send(node, batch, ()))

    async def _send(
        self, node: NodeId, batch: Sequence[_Write[T]], records: tuple[bytes, ...]
    ) -> None:
        try:
            answer = await self._links.call(
                node,
                self._request([write.thing for write in batch], records),
                timeout_seconds=self._call_timeout_seconds,
            )
        except (Failure, Refusal) as error:
            self._counters.count("replica_write_failures_total", reason=error.code)
            for write in batch:
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
                write.cast(node, self._judge(write.thing, result, write.votes))
        if redirected:
            await self._redirect(node, redirected, answer.records)

    async def _redirect(
        self, node: NodeId, writes: Sequence[_Write[T]], records: tuple[bytes, ...]
    ) -> None:
        """The replica knows others that are nearer, or this node knows some that it does not."""
        self._counters.count("redirects_total")
        self._view.learn(records)
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
            for other in replica_set.everyone:
                if other not in write.asked:
                    write.votes.expect(other, replica_set)
                    self._ask(other, write)
            write.look()


class _Write(Generic[T]):
    """One write under way."""

    __slots__ = ("asked", "done", "key", "thing", "votes")

    def __init__(self, key: bytes, thing: T, votes: Votes) -> None:
        self.key = key
        self.thing = thing
        self.votes = votes
        self.asked: dict[NodeId, int] = {}
        self.done: Deferred[Outcome] = Deferred()

    def cast(self, node: NodeId, code: str) -> None:
        self.votes.cast(node, code)
        self.look()

    def look(self) -> None:
        if self.votes.decided:
            self.decide()

    def decide(self) -> None:
        if not self.done.called:
            self.done.callback(self.votes.outcome())
