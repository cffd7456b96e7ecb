"""What changes the database: everything one turn asked for in one transaction.

Puts of one kind go through one statement together, whoever asked for them; see
:mod:`tace.storage.reads.sqlite` for why. The answers are those of some order in which the puts of
one turn could have come: envelopes first, then tombstones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tace.errors import StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import NodeId
from tace.seams import Item, KnownDead, KnownPeer, KnownSeed, Put, StoreHealth, StoreState
from tace.storage.rules import FULL, STORED, Quotas, hour_of, tombstone_hour_of
from tace.storage.schema.sqlite import DAMAGE, PAGE_BYTES
from tace.storage.writes import hints, peers
from tace.storage.writes.blobs import PAGES_A_BLOB, put_blob
from tace.storage.writes.envelopes import Envelopes
from tace.storage.writes.leaving import Leaving
from tace.storage.writes.records import put_record
from tace.storage.writes.room import ENDLESS, DiskSpace, Room
from tace.storage.writes.sums import Sums
from tace.storage.writes.tombstones import Tombstones
from tace.wire.objects import Blob, Envelope, Tombstone

_PAGES_A_WRITE = 3
_DISK_FAILED = DAMAGE | {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
}
"""No single write is to blame for these, so the whole commit fails."""
_PROBE = """
    INSERT INTO meta (name, value) VALUES ('probe', 1)
    ON CONFLICT (name) DO UPDATE SET value = value + 1
    """


@dataclass(frozen=True, slots=True)
class PutEnvelopes:
    envelopes: Sequence[Envelope]
    now: float


@dataclass(frozen=True, slots=True)
class PutTombstones:
    tombstones: Sequence[Tombstone]
    now: float


@dataclass(frozen=True, slots=True)
class Change:
    """Any other write; it shares the commit, not the statement.

    ``when_full`` is its answer where the disk has no room; None: it fails.
    """

    run: Callable[[Writes], object]
    when_full: object = None


@dataclass(frozen=True, slots=True)
class Learn:
    """A step towards the sums of a range as of an hour; see :mod:`tace.storage.sums`.

    It only reads, so a disk that refuses writes does not keep it from being done.
    """

    lower: bytes
    upper: bytes
    hour: int


Write = PutEnvelopes | PutTombstones | Change


class Writes:
    """Serves the writer's turns.

    :param max_bytes: the budget for the files; 0 for as much as the disk has.
    :param min_free_bytes: so much of the disk stays free.
    :param space: how the disk stands.
    :param when_health_changes: told in the thread of the turns.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        max_bytes: int,
        quotas: Quotas,
        min_free_bytes: int = 0,
        space: Callable[[], DiskSpace] = lambda: ENDLESS,
        when_health_changes: Callable[[StoreHealth], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._room = Room(database, space, max_bytes=max_bytes, min_free_bytes=min_free_bytes)
        self._sums = Sums(database)
        self.sums = self._sums.by_hour
        self._envelopes = Envelopes(database, self._room, quotas, self._sums)
        self._tombstones = Tombstones(database, self._room, quotas, self._envelopes, self._sums)
        self._leaving = Leaving(database, self._envelopes, self._tombstones, self._sums)
        self._since_checkpoint = 0
        self.commits = 0
        self._tell = when_health_changes
        self._health = StoreHealth(StoreState.OK)
        log_bytes = self._room.log_bytes
        self._checkpoint_every = log_bytes // PAGE_BYTES // 2 // _PAGES_A_WRITE
        # A checkpoint belongs between commits (see afterwards), not before an answer.
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute(f"PRAGMA journal_size_limit = {log_bytes}")
        self._weigh_room()

    # -- turns -----------------------------------------------------------------------------------

    def take_turn(self, requests: Sequence[Write | Learn]) -> list[object]:
        """Every write's answer, once all are durable; after that what is to be learned."""
        writes = [request for request in requests if not isinstance(request, Learn)]
        answers = iter(self._write(writes) if writes else [])
        return [
            self._learn(request) if isinstance(request, Learn) else next(answers)
            for request in requests
        ]

    def _write(self, writes: Sequence[Write]) -> list[object]:
        """Every write's answer, once all are durable.

        Where a write fails nothing is kept, and each is tried again in a commit of its own, so that
        only the guilty one fails.
        """
        try:
            answers = self._commit(writes)
        except Exception as error:
            code = _code(error)
            if code in _DISK_FAILED:
                self._failed(error)
                return [StoreError(f"cannot write: {error}") for _ in writes]
            if code == sqlite3.SQLITE_FULL:
                # What is in the log finds its place in the database; then the log begins anew.
                self._checkpoint()
                self._room.look()
            if len(writes) > 1:
                return [answer for write in writes for answer in self._write([write])]
            if code == sqlite3.SQLITE_FULL:
                self._weigh_room()
                return [_answer_when_full(writes[0])]
            return [StoreError(f"cannot write: {type(error).__name__}: {error}")]
        self._weigh_room()
        return answers

    def _learn(self, lesson: Learn) -> object:
        """Between two commits: nothing changes meanwhile."""
        try:
            self._database.execute("BEGIN")
            try:
                self._sums.learn_some(lesson.lower, lesson.upper, lesson.hour)
            finally:
                self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if _code(error) in DAMAGE:
                self._failed(error)
            return StoreError(f"cannot read: {error}")
        return None

    def afterwards(self, idle: bool) -> None:
        """Move the log into the database now and then: early while nobody waits for the writer,
        and at once on a full disk, where the log can only begin anew when all of it was moved.
        """
        due = self._checkpoint_every // 8 if idle else self._checkpoint_every
        if self._since_checkpoint >= due or (self._room.full and self._since_checkpoint):
            self._checkpoint()

    def look_round(self) -> None:
        """Nobody wants anything: see whether there is room, and whether a failing disk works."""
        if self._health.state is StoreState.FAILING:
            try:
                self._commit([Change(lambda it: it.probe())])
            except sqlite3.Error as error:
                self._failed(error)
                return
        self._room.look()
        self._weigh_room()

    def close(self) -> None:
        self._database.close()

    def _checkpoint(self) -> None:
        self._since_checkpoint = 0
        try:
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            # What was committed stays in the log; the next checkpoint takes it.
            if _code(error) in _DISK_FAILED:
                self._failed(error)

    def _commit(self, writes: Sequence[Write]) -> list[object]:
        changes = self._database.total_changes
        try:
            self._database.execute("BEGIN IMMEDIATE")
            answers = self._apply(writes)
            self._database.execute("COMMIT")
        except BaseException:
            self._envelopes.forget_counts()
            self._tombstones.forget_counts()
            self._sums.forget()
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        self.commits += 1
        changed = self._database.total_changes - changes
        self._since_checkpoint += changed
        if changed and self._health.state is StoreState.FAILING:
            # It can be written to again; only what has really been written proves that.
            self._become(StoreHealth(StoreState.OK))
        return answers

    def _apply(self, writes: Sequence[Write]) -> list[object]:
        """In the order of ``writes``, but for puts between two other changes: they are merged."""
        answers: dict[int, object] = {}
        envelopes: list[tuple[int, PutEnvelopes]] = []
        tombstones: list[tuple[int, PutTombstones]] = []

        def put_merged() -> None:
            arrived = [(e, hour_of(put.now)) for _, put in envelopes for e in put.envelopes]
            results = iter(self._envelopes.put(arrived))
            for n, put in envelopes:
                answers[n] = [next(results) for _ in put.envelopes]
            buried = [
                (t, tombstone_hour_of(put.now)) for _, put in tombstones for t in put.tombstones
            ]
            results = iter(self._tombstones.put(buried))
            for n, bury in tombstones:
                answers[n] = [next(results) for _ in bury.tombstones]
            envelopes.clear()
            tombstones.clear()

        for n, write in enumerate(writes):
            match write:
                case PutEnvelopes():
                    envelopes.append((n, write))
                case PutTombstones():
                    tombstones.append((n, write))
                case Change():
                    put_merged()
                    answers[n] = write.run(self)
        put_merged()
        return [answers[n] for n in range(len(writes))]

    # -- health ----------------------------------------------------------------------------------

    def _weigh_room(self) -> None:
        """Full, or not: where the disk works at all."""
        if self._room.full and self._health.state is StoreState.OK:
            self._become(StoreHealth(StoreState.FULL, self._room.why_full))
        elif not self._room.full and self._health.state is StoreState.FULL:
            self._become(StoreHealth(StoreState.OK))

    def _failed(self, error: Exception) -> None:
        damaged = _code(error) in DAMAGE
        self._become(StoreHealth(StoreState.DAMAGED if damaged else StoreState.FAILING, str(error)))

    def _become(self, health: StoreHealth) -> None:
        if health.state is not self._health.state:
            self._health = health
            self._tell(health)

    # -- what a Change may do --------------------------------------------------------------------

    def put_removal(self, removal: Removal, now: float) -> Put:
        return self._tombstones.put_removal(removal, now)

    def put_record(self, record: UserRecord, now: float) -> Put:
        return put_record(self._database, self._room, self._sums, record, now)

    def put_blob(self, blob: Blob, now: float) -> Put:
        put = put_blob(self._database, blob, hour_of(now), self._room)
        if put is STORED:
            # One row, but as much of the log as many.
            self._since_checkpoint += PAGES_A_BLOB // _PAGES_A_WRITE
        return put

    def drop_items(self, items: Sequence[Item]) -> None:
        self._leaving.drop_items(items)

    def expire_some(self, now: float) -> tuple[int, bool]:
        """How many went, and whether more may be left."""
        return self._leaving.expire_some(now)

    def put_hints(self, member: NodeId, items: Sequence[Item], now: float) -> bool:
        return hints.put_hints(self._database, member, items, now)

    def drop_hints(self, member: NodeId, items: Sequence[Item]) -> None:
        hints.drop_hints(self._database, member, items)

    def expire_hints(self, now: float) -> int:
        return hints.expire_hints(self._database, now)

    def save_peers(self, known: Sequence[KnownPeer]) -> None:
        peers.save_peers(self._database, known)

    def forget_peers(self, nodes: Sequence[NodeId]) -> None:
        peers.forget_peers(self._database, nodes)

    def save_anchors(self, anchors: Sequence[KnownPeer]) -> None:
        peers.save_anchors(self._database, anchors)

    def save_seeds(self, seeds: Sequence[KnownSeed]) -> None:
        peers.save_seeds(self._database, seeds)

    def save_dead(self, dead: Sequence[KnownDead]) -> None:
        peers.save_dead(self._database, dead)

    def forget_dead(self, nodes: Sequence[NodeId]) -> None:
        peers.forget_dead(self._database, nodes)

    def next_boot(self, now: float) -> int:
        return peers.next_boot(self._database, now)

    def probe(self) -> None:
        """Something has to be written for the disk to be asked."""
        self._database.execute(_PROBE)


def _code(error: Exception) -> int:
    """SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _answer_when_full(write: Write) -> object:
    match write:
        case PutEnvelopes(envelopes):
            return [FULL for _ in envelopes]
        case PutTombstones(tombstones):
            return [FULL for _ in tombstones]
        case Change(_, None):
            return StoreError("cannot write: the disk is full")
        case Change(_, answer):
            return answer
