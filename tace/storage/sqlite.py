"""The store on disk: one SQLite file in WAL mode, a thread that writes and a thread that reads.

The writer owns the only connection that writes; what arrives while it waits for the disk shares the
next commit and its one fsync. The reader sees every commit that was answered. Results come back to
the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from tace.errors import StartError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import Arc, MailboxId, MessageId, NodeId
from tace.seams import Item, KnownPeer, Put, Totals, Waiting
from tace.storage.reads import blobs as blob_reads
from tace.storage.reads import sqlite as reads
from tace.storage.reads.sqlite import Found, Read, Reads
from tace.storage.rules import FULL, Quotas
from tace.storage.schema.sqlite import (
    READER_CACHE_KIB,
    WRITER_CACHE_KIB,
    DirectoryLock,
    connect,
    packaged_steps,
    prepare,
)
from tace.storage.turns import Turns
from tace.storage.writes.blobs import PAGES_A_BLOB
from tace.storage.writes.sqlite import (
    EXPIRED_A_TURN,
    Change,
    PutEnvelopes,
    PutTombstones,
    Write,
    Writes,
)
from tace.wire.fields import BlobName
from tace.wire.objects import Blob, Envelope, Tombstone

MIN_MAX_BYTES = 1024 * 1024
MAX_OBJECTS_A_COMMIT = 512
"""About 2 MB of envelopes: a few milliseconds of writing. A blob weighs what its pages do."""
MAX_OBJECTS_WAITING = 16_384
"""About 64 MB of envelopes. Whoever puts must slow down long before."""
MAX_READS_A_TURN = 64
MAX_READS_WAITING = 16_384


class SqliteStore:
    """A :class:`~tace.seams.Store` in ``path`` and its neighbours (``-wal``, ``-shm``, ``.lock``).

    Opens, and where needed upgrades, the file at once, on the calling thread; every method is then
    called from the reactor's. A process that ends without :meth:`close` takes a second longer.

    :param max_bytes: the most the files may take, at least 1 MiB; 0 for no limit. Below 80 MiB the
        log of one large commit may pass it for a moment.
    :param synchronous: ``full``, or ``off`` for tests, which loses commits in a power cut.
    :param trace: told of every statement, in the thread that runs it.
    :raises StartError: one line why not: another node has it, damaged, of a newer tace ...
    """

    def __init__(
        self,
        path: Path,
        reactor: IReactorFromThreads,
        *,
        max_bytes: int = 0,
        mailbox_max_items: int = 4096,
        requests_mailbox_max_items: int = 256,
        synchronous: str = "full",
        trace: Callable[[str], object] | None = None,
    ) -> None:
        if 0 < max_bytes < MIN_MAX_BYTES:
            raise StartError(f"{path}: max_bytes must be 0 or at least {MIN_MAX_BYTES}")
        self._path = path
        self._lock = DirectoryLock(path.with_name(path.name + ".lock"))
        try:
            prepare(path, packaged_steps())
            writer = connect(path, cache_kib=WRITER_CACHE_KIB, synchronous=synchronous)
            reader = connect(path, cache_kib=READER_CACHE_KIB, synchronous=synchronous)
            self._writes = Writes(
                writer,
                max_bytes=max_bytes,
                quotas=Quotas(mailbox_max_items, requests_mailbox_max_items),
            )
        except BaseException:
            self._lock.release()
            raise
        for connection in (writer, reader):
            connection.set_trace_callback(trace)
        serving = Reads(reader)
        self._writer: Turns[Write] = Turns(
            "store writer",
            reactor,
            self._writes.take_turn,
            afterwards=self._writes.afterwards,
            finish=self._writes.close,
            most_waiting=MAX_OBJECTS_WAITING,
            most_a_turn=MAX_OBJECTS_A_COMMIT,
        )
        self._reader: Turns[Read] = Turns(
            "store reader",
            reactor,
            serving.take_turn,
            afterwards=lambda idle: None,
            finish=serving.close,
            most_waiting=MAX_READS_WAITING,
            most_a_turn=MAX_READS_A_TURN,
        )
        self._closing: list[Deferred[None]] | None = None
        self._closed = False

    @property
    def commits(self) -> int:
        """How many commits there were since the start."""
        return self._writes.commits

    def _change(
        self, run: Callable[[Writes], object], weight: int = 1, when_full: object = None
    ) -> Deferred[Any]:
        return self._writer.ask(Change(run, when_full), weight)

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

    # -- peers and boots -------------------------------------------------------------------------

    def save_peers(self, peers: Sequence[KnownPeer]) -> Deferred[None]:
        return self._change(lambda writes: writes.save_peers(peers), len(peers))

    def load_peers(self) -> Deferred[list[KnownPeer]]:
        return self._reader.ask(reads.load_peers)

    def forget_peers(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        return self._change(lambda writes: writes.forget_peers(nodes), len(nodes))

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
        # The writer is the last to let go of the file: SQLite then clears the log away.
        await self._reader.stop()
        await self._writer.stop()
        self._lock.release()
        self._closed = True
        assert self._closing is not None
        for waiting in self._closing:
            waiting.callback(None)
