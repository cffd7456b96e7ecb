"""A simulated disk: what was committed survives a crash, and nothing is answered before.

The rules of the store are those of :class:`~tace.storage.memory.MemoryStore`. A write waits for a
commit and is applied to the disk when that is done, together with everything else that came before
the commit began; then all of them are answered. A process that is killed leaves the disk as the
last commit did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tace.errors import StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import Arc, MailboxId, MessageId, NodeId
from tace.seams import Item, KnownDead, KnownPeer, KnownSeed, Put, StoreHealth, Totals, Waiting
from tace.storage.memory import MemoryStore
from tace.wire.fields import BlobName
from tace.wire.objects import Blob, Envelope, Tombstone
from tace.wire.ranges import RangeSum

T = TypeVar("T")


class Disk:
    """The disk of one machine. It outlives the programs that write to it.

    :param make: an empty store, with the node's quotas.
    """

    def __init__(self, make: Callable[[], MemoryStore] = MemoryStore) -> None:
        self._make = make
        self._listener: Callable[[StoreHealth], None] = lambda _: None
        self.wipe()

    @property
    def content(self) -> MemoryStore:
        """What is on it."""
        return self._content

    def wipe(self) -> None:
        """Nothing is on it any more. For a time when no program runs."""
        self._content = self._make()
        self._health: StoreHealth
        self._content.when_health_changes(self._told)

    def mount(self, listener: Callable[[StoreHealth], None]) -> None:
        """A new program uses it, and is told of its health, at once; the one before no more."""
        self._listener = listener
        listener(self._health)

    def unmount(self) -> None:
        """The program is gone."""
        self._listener = lambda _: None

    def _told(self, health: StoreHealth) -> None:
        self._health = health
        self._listener(health)


class SimulatedStore:
    """A program's way to its disk (:class:`~tace.seams.Store`).

    :param clock: the program's; when that is killed, nothing more is committed or answered.
    :param commit_seconds: what a commit takes; what comes meanwhile is in the next one.
    :param read_seconds: what a read takes.
    """

    def __init__(
        self,
        disk: Disk,
        clock: IReactorTime,
        *,
        commit_seconds: float = 0.002,
        read_seconds: float = 0.0002,
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._commit_seconds = commit_seconds
        self._read_seconds = read_seconds
        self._waiting: list[_Write] = []
        self._committing: list[_Write] = []
        self._closed: list[Deferred[None]] | None = None
        self._health_listeners: list[Callable[[StoreHealth], None]] = []
        self.commits = 0
        """How many there were so far."""
        disk.mount(self._health_changed)

    # -- reads and writes ------------------------------------------------------------------------

    def _write(self, work: Callable[[MemoryStore], Deferred[T]]) -> Deferred[T]:
        if self._closed is not None:
            return fail(StoreError("the store is closed"))
        write = _Write(work)
        if not self._waiting and not self._committing:
            # In the next turn: what comes in this one shares the commit.
            self._clock.callLater(0.0, self._begin_commit)
        self._waiting.append(write)
        return write.done

    def _begin_commit(self) -> None:
        self._committing, self._waiting = self._waiting, []
        self._clock.callLater(self._commit_seconds, self._committed)

    def _committed(self) -> None:
        self.commits += 1
        done, self._committing = self._committing, []
        # All of it is on the disk before anybody hears of any of it.
        outcomes = [(write, _outcome(write.work(self._disk.content))) for write in done]
        if self._waiting:
            self._begin_commit()
        for write, outcome in outcomes:
            _settle(write.done, outcome)
        self._look_closed()

    def _read(self, work: Callable[[MemoryStore], Deferred[T]]) -> Deferred[T]:
        if self._closed is not None:
            return fail(StoreError("the store is closed"))
        answer: Deferred[T] = Deferred()

        def read() -> None:
            _settle(answer, _outcome(work(self._disk.content)))

        self._clock.callLater(self._read_seconds, read)
        return answer

    # -- Store: writes ---------------------------------------------------------------------------

    def put_envelopes(self, envelopes: Sequence[Envelope], now: float) -> Deferred[list[Put]]:
        return self._write(lambda disk: disk.put_envelopes(envelopes, now))

    def put_tombstones(self, tombstones: Sequence[Tombstone], now: float) -> Deferred[list[Put]]:
        return self._write(lambda disk: disk.put_tombstones(tombstones, now))

    def put_removals(self, removals: Sequence[Removal], now: float) -> Deferred[list[Put]]:
        return self._write(lambda disk: disk.put_removals(removals, now))

    def put_records(self, records: Sequence[UserRecord], now: float) -> Deferred[list[Put]]:
        return self._write(lambda disk: disk.put_records(records, now))

    def put_blobs(self, blobs: Sequence[Blob], now: float) -> Deferred[list[Put]]:
        return self._write(lambda disk: disk.put_blobs(blobs, now))

    def put_hints(self, member: NodeId, items: Sequence[Item], now: float) -> Deferred[bool]:
        return self._write(lambda disk: disk.put_hints(member, items, now))

    def drop_hints(self, member: NodeId, items: Sequence[Item]) -> Deferred[None]:
        return self._write(lambda disk: disk.drop_hints(member, items))

    def expire_hints(self, now: float) -> Deferred[int]:
        return self._write(lambda disk: disk.expire_hints(now))

    def drop_items(self, items: Sequence[Item]) -> Deferred[None]:
        return self._write(lambda disk: disk.drop_items(items))

    def expire(self, now: float) -> Deferred[int]:
        return self._write(lambda disk: disk.expire(now))

    def save_peers(self, peers: Sequence[KnownPeer]) -> Deferred[None]:
        return self._write(lambda disk: disk.save_peers(peers))

    def forget_peers(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        return self._write(lambda disk: disk.forget_peers(nodes))

    def save_anchors(self, anchors: Sequence[KnownPeer]) -> Deferred[None]:
        return self._write(lambda disk: disk.save_anchors(anchors))

    def save_seeds(self, seeds: Sequence[KnownSeed]) -> Deferred[None]:
        return self._write(lambda disk: disk.save_seeds(seeds))

    def save_dead(self, dead: Sequence[KnownDead]) -> Deferred[None]:
        return self._write(lambda disk: disk.save_dead(dead))

    def forget_dead(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        return self._write(lambda disk: disk.forget_dead(nodes))

    def next_boot(self, now: float) -> Deferred[int]:
        return self._write(lambda disk: disk.next_boot(now))

    # -- Store: reads ----------------------------------------------------------------------------

    def list_mailbox(
        self, mailbox: MailboxId, after: int, limit: int, now: float
    ) -> Deferred[list[Waiting]]:
        return self._read(lambda disk: disk.list_mailbox(mailbox, after, limit, now))

    def get_envelopes(
        self, mailbox: MailboxId, ids: Sequence[MessageId], now: float
    ) -> Deferred[list[Envelope]]:
        return self._read(lambda disk: disk.get_envelopes(mailbox, ids, now))

    def get_record(self, key: bytes, now: float) -> Deferred[UserRecord | None]:
        return self._read(lambda disk: disk.get_record(key, now))

    def get_blob(self, name: bytes, now: float) -> Deferred[Blob | None]:
        return self._read(lambda disk: disk.get_blob(name, now))

    def list_blobs(
        self, arc: Arc, *, after: bytes, limit: int, now: float
    ) -> Deferred[list[BlobName]]:
        return self._read(lambda disk: disk.list_blobs(arc, after=after, limit=limit, now=now))

    def list_items(
        self, arc: Arc, *, records: bool, after: Item | None, limit: int, now: float
    ) -> Deferred[list[Item]]:
        return self._read(
            lambda disk: disk.list_items(arc, records=records, after=after, limit=limit, now=now)
        )

    def sum_items(
        self, lower: bytes, upper: bytes, *, parts: int, now: float
    ) -> Deferred[list[RangeSum]]:
        return self._read(lambda disk: disk.sum_items(lower, upper, parts=parts, now=now))

    def list_range(
        self, lower: bytes, upper: bytes, *, limit: int, now: float
    ) -> Deferred[list[Item]]:
        return self._read(lambda disk: disk.list_range(lower, upper, limit=limit, now=now))

    def held_items(self, items: Sequence[Item]) -> Deferred[list[Item]]:
        return self._read(lambda disk: disk.held_items(items))

    def get_items(
        self, items: Sequence[Item], now: float
    ) -> Deferred[tuple[list[Envelope], list[Tombstone], list[Removal], list[UserRecord]]]:
        return self._read(lambda disk: disk.get_items(items, now))

    def hinted_members(self) -> Deferred[list[NodeId]]:
        return self._read(lambda disk: disk.hinted_members())

    def list_hints(self, member: NodeId, limit: int) -> Deferred[list[Item]]:
        return self._read(lambda disk: disk.list_hints(member, limit))

    def totals(self) -> Deferred[Totals]:
        return self._read(lambda disk: disk.totals())

    def load_peers(self) -> Deferred[list[KnownPeer]]:
        return self._read(lambda disk: disk.load_peers())

    def load_anchors(self) -> Deferred[list[KnownPeer]]:
        return self._read(lambda disk: disk.load_anchors())

    def load_seeds(self) -> Deferred[list[KnownSeed]]:
        return self._read(lambda disk: disk.load_seeds())

    def load_dead(self) -> Deferred[list[KnownDead]]:
        return self._read(lambda disk: disk.load_dead())

    # -- Store: the rest -------------------------------------------------------------------------

    @property
    def health(self) -> StoreHealth:
        return self._health

    def when_health_changes(self, listener: Callable[[StoreHealth], None]) -> None:
        self._health_listeners.append(listener)
        listener(self._health)

    def _health_changed(self, health: StoreHealth) -> None:
        self._health = health
        for listener in self._health_listeners:
            listener(health)

    def close(self) -> Deferred[None]:
        if self._closed is None:
            self._closed = []
        closed: Deferred[None] = Deferred()
        self._closed.append(closed)
        self._look_closed()
        return closed

    def _look_closed(self) -> None:
        if self._closed and not self._committing and not self._waiting:
            closed, self._closed = self._closed, []
            for done in closed:
                done.callback(None)


class _Write:
    """Something to be written, and whoever waits for it."""

    __slots__ = ("done", "work")

    def __init__(self, work: Callable[[MemoryStore], Deferred[Any]]) -> None:
        self.work = work
        self.done: Deferred[Any] = Deferred()


def _outcome(answered: Deferred[Any]) -> Any:
    """What a store in memory has answered: its Deferreds have fired."""
    outcomes: list[Any] = []
    answered.addBoth(outcomes.append)
    return outcomes[0]


def _settle(waiter: Deferred[Any], outcome: Any) -> None:
    if waiter.called:
        return
    if isinstance(outcome, Failure):
        waiter.errback(outcome)
    else:
        waiter.callback(outcome)
