"""The store on disk: one SQLite file in WAL mode, a thread that writes and a thread that reads.

The writer owns the only connection that writes; what arrives while it waits for the disk shares the
next commit and its one fsync. The reader sees every commit that was answered. Results come back to
the reactor's thread.

Where either thread meets damage both stop, the file is mended (:mod:`tace.storage.mending`), and
both start anew on the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from tace.background import background
from tace.errors import StartError, StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import Arc, MailboxId, MessageId, NodeId
from tace.seams import (
    Counters,
    Item,
    KnownDead,
    KnownPeer,
    KnownSeed,
    Put,
    StoreHealth,
    StoreState,
    Totals,
    Waiting,
)
from tace.storage.mending.opening import DamageReport, make_ready
from tace.storage.mending.sqlite import Mended, mend
from tace.storage.reads import blobs as blob_reads
from tace.storage.reads import hints as hint_reads
from tace.storage.reads import ranges as range_reads
from tace.storage.reads import sqlite as reads
from tace.storage.reads.sqlite import Found, Read, Reads
from tace.storage.rules import FULL, Quotas, hour_of
from tace.storage.schema.sqlite import (
    READER_CACHE_KIB,
    WRITER_CACHE_KIB,
    DirectoryLock,
    connect,
    packaged_steps,
)
from tace.storage.sums import STRETCH_ITEMS
from tace.storage.turns import LOOK_ROUND_SECONDS, Turns
from tace.storage.writes.blobs import PAGES_A_BLOB
from tace.storage.writes.leaving import EXPIRED_A_TURN
from tace.storage.writes.room import disk_space
from tace.storage.writes.sqlite import (
    Change,
    Learn,
    PutEnvelopes,
    PutTombstones,
    Write,
    Writes,
)
from tace.wire.fields import BlobName
from tace.wire.objects import Blob, Envelope, Tombstone
from tace.wire.ranges import RangeSum

MIN_MAX_BYTES = 1024 * 1024
MAX_OBJECTS_A_COMMIT = 512
"""About 2 MB of envelopes: a few milliseconds of writing. A blob weighs what its pages do."""
MAX_OBJECTS_WAITING = 16_384
"""About 64 MB of envelopes. Whoever puts must slow down long before."""
MAX_READS_A_TURN = 64
"""Reads done one after the other before others get a turn."""
MAX_READS_WAITING = 16_384
"""Reads that wait for the reading thread."""
_MENDING = "the store is damaged and being mended"
MAX_MENDS = 3
"""In one life of the store. A disk that spoils the file so often is not to be trusted with more."""


class SqliteStore:
    """A :class:`~tace.seams.Store` in ``path`` and its neighbours (``-wal``, ``-shm``, ``.lock``).

    Opens, and where needed upgrades, the file at once, on the calling thread; every method is then
    called from the reactor's. A process that ends without :meth:`close` takes a second longer.

    :param max_bytes: the most the files may take, at least 1 MiB; 0 for as much as the disk has.
        Below 80 MiB the log of one large commit may pass it for a moment.
    :param min_free_bytes: so much of the disk stays free.
    :param synchronous: ``full``, or ``off`` for tests, which loses commits in a power cut.
    :param counters: where damage is counted.
    :param trace: told of every statement, in the thread that runs it.
    :param look_round_seconds: how soon an idle store notices that the disk has changed.
    :raises StartError: one line why not: another node has it, of a newer tace, a read-only disk ...
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        reactor: IReactorFromThreads,
        *,
        max_bytes: int = 0,
        min_free_bytes: int = 0,
        mailbox_max_items: int = 4096,
        requests_mailbox_max_items: int = 256,
        synchronous: str = "full",
        counters: Counters | None = None,
        trace: Callable[[str], object] | None = None,
        look_round_seconds: float = LOOK_ROUND_SECONDS,
    ) -> None:
        if 0 < max_bytes < MIN_MAX_BYTES:
            raise StartError(f"{path}: max_bytes must be 0 or at least {MIN_MAX_BYTES}")
        self._path = path
        self._reactor = reactor
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._quotas = Quotas(mailbox_max_items, requests_mailbox_max_items)
        self._synchronous = synchronous
        self._report = DamageReport(path, counters)
        self._trace = trace
        self._look_round_seconds = look_round_seconds
        self._health = StoreHealth(StoreState.OK)
        self._listeners: list[Callable[[StoreHealth], None]] = []
        self._mends = 0
        self._mending: Deferred[None] | None = None
        self._commits_before = 0
        self._summing = DeferredLock()
        self._lock = DirectoryLock(path.with_name(path.name + ".lock"))
        try:
            make_ready(path, self._report)
            self._open()
        except BaseException:
            self._lock.release()
            raise
        self._closing: list[Deferred[None]] | None = None
        self._closed = False

    def _open(self) -> None:
        """Two connections, and a thread for each."""
        writer = connect(self._path, cache_kib=WRITER_CACHE_KIB, synchronous=self._synchronous)
        reader = connect(self._path, cache_kib=READER_CACHE_KIB, synchronous=self._synchronous)
        self._writes = Writes(
            writer,
            max_bytes=self._max_bytes,
            min_free_bytes=self._min_free_bytes,
            space=partial(disk_space, self._path),
            quotas=self._quotas,
            when_health_changes=partial(self._reactor.callFromThread, self._hear),
        )
        for connection in (writer, reader):
            connection.set_trace_callback(self._trace)
        serving = Reads(reader, partial(self._reactor.callFromThread, self._hear_damage))
        self._writer: Turns[Write | Learn] = Turns(
            "store writer",
            self._reactor,
            self._writes.take_turn,
            afterwards=self._writes.afterwards,
            look_round=self._writes.look_round,
            look_round_seconds=self._look_round_seconds,
            finish=self._writes.close,
            most_waiting=MAX_OBJECTS_WAITING,
            most_a_turn=MAX_OBJECTS_A_COMMIT,
        )
        self._reader: Turns[Read] = Turns(
            "store reader",
            self._reactor,
            serving.take_turn,
            afterwards=lambda idle: None,
            finish=serving.close,
            most_waiting=MAX_READS_WAITING,
            most_a_turn=MAX_READS_A_TURN,
        )

    @property
    def commits(self) -> int:
        """How many commits there were since the start."""
        return self._commits_before + self._writes.commits

    def _change(
        self, run: Callable[[Writes], object], weight: int = 1, when_full: object = None
    ) -> Deferred[Any]:
        return self._writer.ask(Change(run, when_full), weight)

    # -- health ----------------------------------------------------------------------------------

    @property
    def health(self) -> StoreHealth:
        return self._health

    def when_health_changes(self, listener: Callable[[StoreHealth], None]) -> None:
        self._listeners.append(listener)
        listener(self._health)

    def _hear(self, health: StoreHealth) -> None:
        """The writer has found it so."""
        if health.state is StoreState.DAMAGED:
            self._hear_damage(health.detail)
        elif self._mending is None:
            self._become(health)

    def _become(self, health: StoreHealth) -> None:
        if health == self._health:
            return
        self._health = health
        match health.state:
            case StoreState.OK:
                self._log.info("the store takes messages again")
            case StoreState.FULL:
                self._log.warn(
                    "the store is full, new messages are refused: {detail}", detail=health.detail
                )
            case StoreState.FAILING:
                self._log.error(
                    "the disk fails, nothing is stored until it can be written to: {detail}",
                    detail=health.detail,
                )
            case StoreState.DAMAGED:
                self._log.critical("{path}: {detail}", path=str(self._path), detail=health.detail)
        for listener in self._listeners:
            listener(health)

    def _hear_damage(self, detail: str) -> None:
        """Either thread has met something that is not as it was written."""
        self._report.met()
        if self._mending is not None or self._closing is not None:
            return
        if self._mends >= MAX_MENDS:
            self._become(
                StoreHealth(StoreState.DAMAGED, f"{detail}; mended {MAX_MENDS} times, now left so")
            )
            return
        self._mends += 1
        self._become(StoreHealth(StoreState.DAMAGED, f"{detail}; it is being mended"))
        self._mending = background("mend the store", self._mend())

    async def _mend(self) -> None:
        """What is asked meanwhile fails: nobody is told that there is nothing."""
        reading = self._reader.stop(_MENDING)
        await self._writer.stop(_MENDING)
        await reading
        self._commits_before += self._writes.commits
        mender: Turns[Path] = Turns(
            "store mender",
            self._reactor,
            lambda paths: [_mended(path) for path in paths],
            afterwards=lambda idle: None,
            finish=lambda: None,
            most_waiting=1,
            most_a_turn=1,
        )
        try:
            self._report.mended(await mender.ask(self._path))
            health = StoreHealth(StoreState.OK)
        except StoreError as error:
            # What can be read of it is served as it is; the operator has to do something.
            health = StoreHealth(StoreState.DAMAGED, f"damaged, and {error}")
        await mender.stop()
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            health = StoreHealth(StoreState.FAILING, f"cannot be opened again: {error}; restart")
        self._mending = None
        self._become(health)

    # -- puts ------------------------------------------------------------------------------------

    def put_envelopes(self, envelopes: Sequence[Envelope], now: float) -> Deferred[list[Put]]:
        return self._writer.ask(PutEnvelopes(envelopes, now), len(envelopes))

    def put_tombstones(self, tombstones: Sequence[Tombstone], now: float) -> Deferred[list[Put]]:
        return self._writer.ask(PutTombstones(tombstones, now), len(tombstones))

    def put_removals(self, removals: Sequence[Removal], now: float) -> Deferred[list[Put]]:
        return self._change(
            lambda writes: [writes.put_removal(removal, now) for removal in removals],
            sum(len(removal.items) for removal in removals),
            [FULL for _ in removals],
        )

    def put_records(self, records: Sequence[UserRecord], now: float) -> Deferred[list[Put]]:
        return self._change(
            lambda writes: [writes.put_record(record, now) for record in records],
            len(records),
            [FULL for _ in records],
        )

    def put_blobs(self, blobs: Sequence[Blob], now: float) -> Deferred[list[Put]]:
        return self._change(
            lambda writes: [writes.put_blob(blob, now) for blob in blobs],
            len(blobs) * PAGES_A_BLOB,
            [FULL for _ in blobs],
        )

    # -- reads -----------------------------------------------------------------------------------

    def list_mailbox(
        self, mailbox: MailboxId, after: int, limit: int, now: float
    ) -> Deferred[list[Waiting]]:
        return self._reader.ask(reads.list_mailbox(mailbox, after, limit, now))

    def get_envelopes(
        self, mailbox: MailboxId, ids: Sequence[MessageId], now: float
    ) -> Deferred[list[Envelope]]:
        return self._reader.ask(reads.get_envelopes(mailbox, ids, now))

    def get_record(self, key: bytes, now: float) -> Deferred[UserRecord | None]:
        return self._reader.ask(reads.get_record(key, now))

    def get_blob(self, name: bytes, now: float) -> Deferred[Blob | None]:
        return self._reader.ask(blob_reads.get_blob(name, now))

    def list_blobs(
        self, arc: Arc, *, after: bytes, limit: int, now: float
    ) -> Deferred[list[BlobName]]:
        return self._reader.ask(blob_reads.list_blobs(arc, after=after, limit=limit, now=now))

    def list_items(
        self, arc: Arc, *, records: bool, after: Item | None, limit: int, now: float
    ) -> Deferred[list[Item]]:
        return self._reader.ask(
            reads.list_items(arc, records=records, after=after, limit=limit, now=now)
        )

    def sum_items(
        self, lower: bytes, upper: bytes, *, parts: int, now: float
    ) -> Deferred[list[RangeSum]]:
        """One at a time, each in small turns: live reads and writes come in between."""
        return self._summing.run(
            lambda: Deferred.fromCoroutine(self._sum_items(lower, upper, parts, now))
        )

    async def _sum_items(
        self, lower: bytes, upper: bytes, parts: int, now: float
    ) -> list[RangeSum]:
        while True:
            found: list[RangeSum] | None = await self._reader.ask(
                range_reads.sum_items(self._writes.sums, lower, upper, parts=parts, now=now)
            )
            if found is not None:
                return found
            await self._writer.ask(Learn(lower, upper, hour_of(now)), STRETCH_ITEMS)

    def list_range(
        self, lower: bytes, upper: bytes, *, limit: int, now: float
    ) -> Deferred[list[Item]]:
        return self._reader.ask(range_reads.list_range(lower, upper, limit=limit, now=now))

    def held_items(self, items: Sequence[Item]) -> Deferred[list[Item]]:
        return self._reader.ask(range_reads.held_items(items))

    def get_items(self, items: Sequence[Item], now: float) -> Deferred[Found]:
        return self._reader.ask(reads.get_items(items, now))

    def totals(self) -> Deferred[Totals]:
        return self._reader.ask(reads.totals(self._path))

    # -- the end of things -----------------------------------------------------------------------

    def drop_items(self, items: Sequence[Item]) -> Deferred[None]:
        return self._change(lambda writes: writes.drop_items(items), len(items))

    def expire(self, now: float) -> Deferred[int]:
        """In many small turns, so that no put waits for more than one of them."""
        return Deferred.fromCoroutine(self._expire(now))

    async def _expire(self, now: float) -> int:
        gone, more = 0, True
        while more:
            some, more = await self._change(
                lambda writes: writes.expire_some(now), weight=EXPIRED_A_TURN
            )
            gone += some
        return gone

    # -- hints -----------------------------------------------------------------------------------

    def put_hints(self, member: NodeId, items: Sequence[Item], now: float) -> Deferred[bool]:
        return self._change(
            lambda writes: writes.put_hints(member, items, now), len(items), when_full=False
        )

    def hinted_members(self) -> Deferred[list[NodeId]]:
        return self._reader.ask(hint_reads.hinted_members)

    def list_hints(self, member: NodeId, limit: int) -> Deferred[list[Item]]:
        return self._reader.ask(hint_reads.list_hints(member, limit))

    def drop_hints(self, member: NodeId, items: Sequence[Item]) -> Deferred[None]:
        return self._change(lambda writes: writes.drop_hints(member, items), len(items))

    def expire_hints(self, now: float) -> Deferred[int]:
        return self._change(lambda writes: writes.expire_hints(now))

    # -- peers and boots -------------------------------------------------------------------------

    def save_peers(self, peers: Sequence[KnownPeer]) -> Deferred[None]:
        return self._change(lambda writes: writes.save_peers(peers), len(peers))

    def load_peers(self) -> Deferred[list[KnownPeer]]:
        return self._reader.ask(reads.load_peers)

    def forget_peers(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        return self._change(lambda writes: writes.forget_peers(nodes), len(nodes))

    def save_anchors(self, anchors: Sequence[KnownPeer]) -> Deferred[None]:
        return self._change(lambda writes: writes.save_anchors(anchors), len(anchors))

    def load_anchors(self) -> Deferred[list[KnownPeer]]:
        return self._reader.ask(reads.load_anchors)

    def save_seeds(self, seeds: Sequence[KnownSeed]) -> Deferred[None]:
        return self._change(lambda writes: writes.save_seeds(seeds), len(seeds))

    def load_seeds(self) -> Deferred[list[KnownSeed]]:
        return self._reader.ask(reads.load_seeds)

    def save_dead(self, dead: Sequence[KnownDead]) -> Deferred[None]:
        return self._change(lambda writes: writes.save_dead(dead), len(dead))

    def load_dead(self) -> Deferred[list[KnownDead]]:
        return self._reader.ask(reads.load_dead)

    def forget_dead(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        return self._change(lambda writes: writes.forget_dead(nodes), len(nodes))

    def next_boot(self, now: float) -> Deferred[int]:
        return self._change(lambda writes: writes.next_boot(now))

    def close(self) -> Deferred[None]:
        """Finish what was asked, then close; asked again, it answers when that is done."""
        closed: Deferred[None] = Deferred()
        if self._closed:
            closed.callback(None)
        elif self._closing is not None:
            self._closing.append(closed)
        else:
            self._closing = [closed]
            Deferred.fromCoroutine(self._close())
        return closed

    async def _close(self) -> None:
        if self._mending is not None:
            await self._mending
        # The writer is the last to let go of the file: SQLite then clears the log away.
        await self._reader.stop()
        await self._writer.stop()
        self._lock.release()
        self._closed = True
        assert self._closing is not None
        for waiting in self._closing:
            waiting.callback(None)


def _mended(path: Path) -> Mended | StoreError:
    """As an answer of a turn."""
    try:
        return mend(path, packaged_steps())
    except StoreError as error:
        return error
