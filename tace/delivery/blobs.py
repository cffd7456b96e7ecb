"""What clients do with blobs: put one on all its replicas, find one by its hash (page 3.2).

A write goes as every other write does (:mod:`tace.delivery.quorum`). A read asks one replica after
the other, because every answer is 63 kB: the next one when one has nothing, or is slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.delivery.quorum import QuorumWriter
from tace.delivery.votes import Outcome
from tace.delivery.whereabouts import AllKnown, Whereabouts
from tace.errors import Failure, NotStored, Refusal, TooMany
from tace.ids import NodeId
from tace.mailbox.rules import AdmissionRules
from tace.seams import Counters, Links, ReplicaSet, View
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.objects import SECONDS_PER_HOUR, STORED_BLOB_BYTES, Blob
from tace.wire.peer import FetchBlob, StoreBlob

MAX_TRANSFERS = 64
"""Blobs that this node stores or looks for at one time: 4 MB, and as much for each replica."""
BUSY_MS = 1000
DEADLINE_SECONDS = 8.0
"""A blob is stored or found by then. Longer than for messages: a client waits 10 s, and eight
copies are half a megabyte."""
CALL_TIMEOUT_SECONDS = 7.5
ASK_ANOTHER_SECONDS = 0.7
"""A replica that has said nothing for so long is not waited for alone."""
_OVERHEAD_BYTES = 16
"""Of MessagePack around the blob and before each record: 1 + 3 + 1, and 3."""


class BlobDelivery:
    """Stores blobs for clients and finds them."""

    def __init__(
        self,
        *,
        view: View,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
        rules: AdmissionRules,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self._view = view
        self._links = links
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._whereabouts: Whereabouts = whereabouts or AllKnown()
        self._transfers = 0
        self._writes: QuorumWriter[Blob] = QuorumWriter(
            lambda batch, records: StoreBlob(batch[0].encoded, _fitting(records)),
            1,
            view=view,
            links=links,
            clock=clock,
            counters=counters,
            whereabouts=whereabouts,
            deadline_seconds=DEADLINE_SECONDS,
            call_timeout_seconds=CALL_TIMEOUT_SECONDS,
        )

    async def put(self, blob: Blob) -> Outcome:
        """Store a blob at the replica set of its hash.

        :raises TooMany: this node has as many blobs under way as it takes.
        """
        word = self._rules.blob_refusal(blob, self._clock.seconds())
        if word is not None:
            return Outcome(word, 0, 0)
        with self._transfer():
            return await self._writes.write(blob.hash, blob)

    async def find(self, name: bytes) -> Blob | None:
        """The blob with that hash; None where nobody who answers has it, a read quorum of them.

        :raises NotStored: fewer replicas answered than a read needs, and none had it.
        :raises TooMany: this node has as many blobs under way as it takes.
        """
        with self._transfer():
            await self._whereabouts.resolve(name)
            replica_set = self._view.replica_set(name)
            return await _Search(
                name,
                replica_set,
                self._in_order(replica_set),
                links=self._links,
                clock=self._clock,
                counters=self._counters,
            ).run()

    def _in_order(self, replica_set: ReplicaSet) -> list[NodeId]:
        """This node itself, those a link is open to, the others."""
        living = [node for node in replica_set.everyone if not self._view.is_dead(node)]
        own = self._view.own
        return sorted(living, key=lambda node: (node != own, not self._links.is_up(node)))

    @contextmanager
    def _transfer(self) -> Iterator[None]:
        if self._transfers >= MAX_TRANSFERS:
            raise TooMany("this node has its hands full of blobs", retry_after_ms=BUSY_MS)
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1


def _fitting(records: Sequence[bytes]) -> tuple[bytes, ...]:
    """As many records as a frame has room for beside a blob."""
    room = MAX_BODY_BYTES - STORED_BLOB_BYTES - _OVERHEAD_BYTES
    fitting: list[bytes] = []
    for record in records:
        room -= len(record) + _OVERHEAD_BYTES
        if room < 0:
            break
        fitting.append(record)
    return tuple(fitting)


class _Search:
    """One search under way: replicas in turn, until one has the blob or all have been asked."""

    def __init__(
        self,
        name: bytes,
        replica_set: ReplicaSet,
        nodes: Sequence[NodeId],
        *,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
    ) -> None:
        self._name = name
        self._set = replica_set
        self._rest = list(nodes)
        self._links = links
        self._clock = clock
        self._counters = counters
        self._asked = 0
        self._without = 0
        self._done: Deferred[Blob | None] = Deferred()
        self._next: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None

    def run(self) -> Deferred[Blob | None]:
        self._deadline = self._clock.callLater(DEADLINE_SECONDS, self._end)
        self._ask_next()
        return self._done

    def _ask_next(self) -> None:
        _cancel(self._next)
        if self._rest:
            node = self._rest.pop(0)
            self._asked += 1
            self._next = self._clock.callLater(ASK_ANOTHER_SECONDS, self._ask_next)
            background("look for a blob", self._ask(node))
        elif not self._asked:
            self._end()
        elif self._without >= self._set.read_quorum:
            # Enough say that there is none. One of them may lie, so the others get a moment.
            self._next = self._clock.callLater(ASK_ANOTHER_SECONDS, self._end)

    async def _ask(self, node: NodeId) -> None:
        found: Blob | None = None
        try:
            answer = await self._links.call(
                node, FetchBlob(self._name), timeout_seconds=CALL_TIMEOUT_SECONDS
            )
            if answer.blob:
                found = self._judge(Blob.parse(answer.blob))
            elif not answer.partial and node in self._set.members:
                # Only members count: a read quorum meets every write quorum among them alone.
                self._without += 1
        except (Failure, Refusal) as error:
            self._counters.count("replica_read_failures_total", reason=error.code)
        self._asked -= 1
        if self._done.called:
            return
        if found is not None:
            self._end(found)
        else:
            self._ask_next()

    def _judge(self, blob: Blob) -> Blob | None:
        """What a replica brought, if it is what was asked for and not over."""
        over = blob.expires_hours * SECONDS_PER_HOUR <= self._clock.seconds()
        return None if over or blob.hash != self._name else blob

    def _end(self, found: Blob | None = None) -> None:
        _cancel(self._next)
        _cancel(self._deadline)
        if self._done.called:
            return
        if found is None and self._without < self._set.read_quorum:
            self._done.errback(NotStored("too few nodes could be asked", retry_after_ms=1000))
        else:
            self._done.callback(found)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()
