"""What changes the database: everything one turn asked for in one transaction.

Puts of one kind go through one statement together, whoever asked for them; see
:mod:`tace.storage.reads.sqlite` for why. The answers are those of some order in which the puts of
one turn could have come: envelopes first, then tombstones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from tace.errors import StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import MailboxId, NodeId
from tace.seams import Item, ItemState, KnownPeer, Put
from tace.storage.reads.sqlite import Key, look_up, run_for
from tace.storage.rules import (
    CLOSED_TO_BLOBS,
    DUPLICATE,
    EXPIRED,
    FULL,
    MAX_PEERS,
    QUOTA,
    RECORD_MEMORY_HOURS,
    STALE,
    STORED,
    Quotas,
    acked,
    hour_of,
    tombstone_hour_of,
)
from tace.storage.schema.sqlite import PAGE_BYTES
from tace.storage.writes.blobs import PAGES_A_BLOB, expire_blobs, put_blob
from tace.wire.objects import Blob, Envelope, Tombstone

MAX_COUNTED_MAILBOXES = 16_384
"""Mailboxes whose number of messages is kept in memory; about 3 MB."""
EXPIRED_A_TURN = 256
"""So many rows of each kind go in one turn of expiry; live writes come in between."""
MAX_LOG_BYTES = 64 * 1024 * 1024
"""What the write-ahead log may take of ``max_bytes``."""
_UNLIMITED_PAGES = 1 << 30
_PAGES_A_WRITE = 3
_DISK_FAILED = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    }
)
"""No single write is to blame for these, so the whole commit fails."""

# NULLs that fill a group up (see run_for) match nothing; only an INSERT must leave them out.
_COUNT_MAILBOXES = """
    SELECT mailbox, count(*) FROM envelope INDEXED BY envelope_place
    WHERE mailbox IN (VALUES {rows}) GROUP BY mailbox
    """
_INSERT_ENVELOPES = """
    INSERT INTO envelope (mailbox, id, expires, body)
    SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
    """
_INSERT_TOMBSTONES = """
    INSERT INTO tombstone (mailbox, id, expires, secret, blob_hash, removal)
    SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
    """
_DELETE_ENVELOPES = "DELETE FROM envelope WHERE seq IN (VALUES {rows})"
_DELETE_TOMBSTONES = "DELETE FROM tombstone WHERE seq IN (VALUES {rows})"
_DELETE_RECORDS = "DELETE FROM record WHERE seq IN (VALUES {rows})"


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


Write = PutEnvelopes | PutTombstones | Change


class Writes:
    """Serves the writer's turns.

    :param max_bytes: the budget for the files; 0 for none. A sixteenth of it is closed to new
        envelopes and records, so that tombstones and small updates still fit; the last half of that
        is closed to tombstones without an envelope. A quarter is closed to blobs. What replaces
        something always goes through.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        max_bytes: int,
        quotas: Quotas,
    ) -> None:
        self._database = database
        self._quotas = quotas
        self._waiting: dict[MailboxId, int] = {}
        self._since_checkpoint = 0
        self.commits = 0
        log_bytes = min(MAX_LOG_BYTES, max_bytes // 4) if max_bytes else MAX_LOG_BYTES
        self._max_pages = (max_bytes - log_bytes) // PAGE_BYTES if max_bytes else _UNLIMITED_PAGES
        self._reserve = min(4096, self._max_pages // 16)
        self._checkpoint_every = log_bytes // PAGE_BYTES // 2 // _PAGES_A_WRITE
        # A checkpoint belongs between commits (see afterwards), not before an answer.
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute(f"PRAGMA journal_size_limit = {log_bytes}")
        if max_bytes:
            # Where the budget was lowered under what is there, the boot must still fit.
            (pages,) = database.execute("PRAGMA page_count").fetchone()
            most = max(self._max_pages, pages + self._reserve)
            database.execute(f"PRAGMA max_page_count = {most}").fetchone()

    # -- turns -----------------------------------------------------------------------------------

    def take_turn(self, writes: Sequence[Write]) -> list[object]:
        """Every write's answer, once all are durable.

        Where a write fails nothing is kept, and each is tried again in a commit of its own, so that
        only the guilty one fails.
        """
        try:
            return self._commit(writes)
        except Exception as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DISK_FAILED:
                return [StoreError(f"cannot write: {error}") for _ in writes]
            if len(writes) > 1:
                return [answer for write in writes for answer in self.take_turn([write])]
            if code == sqlite3.SQLITE_FULL:
                return [_answer_when_full(writes[0])]
            return [StoreError(f"cannot write: {type(error).__name__}: {error}")]

    def afterwards(self, idle: bool) -> None:
        """Move the log into the database now and then: early while nobody waits for the writer."""
        due = self._checkpoint_every // 8 if idle else self._checkpoint_every
        if self._since_checkpoint >= due:
            self._since_checkpoint = 0
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        self._database.close()

    def _commit(self, writes: Sequence[Write]) -> list[object]:
        changes = self._database.total_changes
        try:
            self._database.execute("BEGIN IMMEDIATE")
            answers = self._apply(writes)
            self._database.execute("COMMIT")
        except BaseException:
            self._waiting.clear()
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        self.commits += 1
        self._since_checkpoint += self._database.total_changes - changes
        return answers

    def _apply(self, writes: Sequence[Write]) -> list[object]:
        """In the order of ``writes``, but for puts between two other changes: they are merged."""
        answers: dict[int, object] = {}
        envelopes: list[tuple[int, PutEnvelopes]] = []
        tombstones: list[tuple[int, PutTombstones]] = []

        def put_merged() -> None:
            arrived = [(e, hour_of(put.now)) for _, put in envelopes for e in put.envelopes]
            results = iter(self._put_envelopes(arrived))
            for n, put in envelopes:
                answers[n] = [next(results) for _ in put.envelopes]
            buried = [
                (t, tombstone_hour_of(put.now)) for _, put in tombstones for t in put.tombstones
            ]
            results = iter(self._put_tombstones(buried))
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

    # -- room and quotas -------------------------------------------------------------------------

    def _free_pages(self) -> int:
        if self._max_pages == _UNLIMITED_PAGES:
            return _UNLIMITED_PAGES
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
        return self._max_pages - int(pages) + int(free)

    def _room_for_more(self) -> int:
        """How many envelopes may come; each takes a page and a part of some index pages."""
        return (self._free_pages() - self._reserve) * 4 // 5

    def _room_for_tombstones(self) -> int:
        return self._free_pages() - self._reserve // 2

    def _room_for_blobs(self) -> int:
        """How many pages new blobs may take."""
        if self._max_pages == _UNLIMITED_PAGES:
            return _UNLIMITED_PAGES
        return self._free_pages() - self._max_pages // CLOSED_TO_BLOBS

    def _count_mailboxes(self, mailboxes: Iterable[MailboxId]) -> None:
        """Have the number of messages in these mailboxes at hand."""
        if len(self._waiting) > MAX_COUNTED_MAILBOXES:
            self._waiting.clear()
        unknown = [m for m in dict.fromkeys(mailboxes) if m not in self._waiting]
        self._waiting.update(dict.fromkeys(unknown, 0))
        counts = run_for(self._database, _COUNT_MAILBOXES, [(mailbox,) for mailbox in unknown], 1)
        self._waiting.update(counts)

    # -- envelopes -------------------------------------------------------------------------------

    def _put_envelopes(self, dated: Sequence[tuple[Envelope, int]]) -> list[Put]:
        """``dated`` pairs each with the hour of its put."""
        if not dated:
            return []
        fresh = {e.id: e for e, hour in dated if e.expires_hours > hour}
        first = self._put_distinct_envelopes(list(fresh.values()))
        answers: list[Put] = []
        for envelope, hour in dated:
            if envelope.expires_hours <= hour:
                answers.append(EXPIRED)
            else:
                answers.append(first[envelope.id])
                if first[envelope.id] is STORED:
                    first[envelope.id] = DUPLICATE
        return answers

    def _put_distinct_envelopes(self, envelopes: Sequence[Envelope]) -> dict[bytes, Put]:
        answers: dict[bytes, Put] = {}
        for n, buried, secret in look_up(
            self._database,
            """
            SELECT n, 1, secret FROM asked CROSS JOIN tombstone WHERE mailbox = key AND id = name
            UNION ALL
            SELECT n, 0, NULL FROM asked CROSS JOIN envelope WHERE mailbox = key AND id = name
            """,
            [(e.mailbox, e.id) for e in envelopes],
        ):
            answers[envelopes[n].id] = acked(secret) if buried else DUPLICATE
        new = [e for e in envelopes if e.id not in answers]
        self._count_mailboxes(e.mailbox for e in new)
        room = self._room_for_more()
        rows: list[tuple[bytes, bytes, int, bytes]] = []
        for envelope in new:
            mailbox = envelope.mailbox
            if self._waiting[mailbox] >= self._quotas.of(mailbox):
                answers[envelope.id] = QUOTA
            elif len(rows) >= room:
                answers[envelope.id] = FULL
            else:
                answers[envelope.id] = STORED
                self._waiting[mailbox] += 1
                rows.append((mailbox, envelope.id, envelope.expires_hours, envelope.encoded))
        run_for(self._database, _INSERT_ENVELOPES, rows, 4)
        return answers

    def _numbers_of_envelopes(self, keys: Sequence[Key]) -> dict[int, int]:
        """Position in ``keys`` -> seq of the envelope, for those that are here."""
        numbers: dict[int, int] = {}
        for first, text in look_up(
            self._database,
            """
            SELECT 0, group_concat(n || ' ' || seq, ' ')
            FROM asked CROSS JOIN envelope WHERE mailbox = key AND id = name
            """,
            keys,
        ):
            words = iter((text or "").split())
            numbers.update((first + int(n), int(seq)) for n, seq in zip(words, words, strict=True))
        return numbers

    def _delete_envelopes(self, keys: Sequence[Key], numbers: dict[int, int]) -> None:
        self._delete(_DELETE_ENVELOPES, numbers.values())
        for n in numbers:
            self._left(keys[n][0])

    def _left(self, mailbox: MailboxId) -> None:
        if mailbox in self._waiting:
            self._waiting[mailbox] -= 1

    def _delete(self, template: str, numbers: Iterable[int]) -> None:
        run_for(self._database, template, [(number,) for number in sorted(numbers)], 1)

    # -- tombstones ------------------------------------------------------------------------------

    def _put_tombstones(self, dated: Sequence[tuple[Tombstone, int]]) -> list[Put]:
        """``dated`` pairs each with the hour that ends it."""
        if not dated:
            return []
        fresh = {t.id: t for t, hour in dated if t.expires_hours > hour}
        first = self._put_distinct_tombstones(list(fresh.values()))
        answers: list[Put] = []
        for tombstone, hour in dated:
            if tombstone.expires_hours <= hour:
                answers.append(EXPIRED)
            else:
                answers.append(first[tombstone.id])
                if first[tombstone.id] is STORED:
                    first[tombstone.id] = DUPLICATE
        return answers

    def _put_distinct_tombstones(self, tombstones: Sequence[Tombstone]) -> dict[bytes, Put]:
        keys = [(t.mailbox, t.id) for t in tombstones]
        numbers = self._numbers_of_envelopes(keys)
        known = self._known_tombstones(keys, but=numbers)
        room = self._room_for_tombstones()
        answers: dict[bytes, Put] = {}
        rows: list[tuple[object, ...]] = []
        replaced: list[int] = []
        for n, tombstone in enumerate(tombstones):
            if n in known and known[n].proven:
                answers[tombstone.id] = DUPLICATE
            elif n not in known and n not in numbers and room <= 0:
                answers[tombstone.id] = FULL
            else:
                answers[tombstone.id] = STORED
                if n in known:
                    replaced.append(known[n].number)
                elif n not in numbers:
                    room -= 1
                rows.append(
                    (*keys[n], tombstone.expires_hours, tombstone.secret, tombstone.blob_hash, None)
                )
        self._delete_envelopes(keys, numbers)
        self._delete(_DELETE_TOMBSTONES, replaced)
        run_for(self._database, _INSERT_TOMBSTONES, rows, 6)
        return answers

    def put_removal(self, removal: Removal, now: float) -> Put:
        hour = tombstone_hour_of(now)
        mailbox = removal.mailbox
        latest: dict[bytes, int] = {}
        for message, expires in removal.items:
            if expires > hour:
                latest[message] = max(expires, latest.get(message, 0))
        if not latest:
            return EXPIRED
        keys = [(mailbox, message) for message in latest]
        numbers = self._numbers_of_envelopes(keys)
        known = self._known_tombstones(keys, but=numbers)
        replaced: list[int] = []
        fresh: list[tuple[bytes, int]] = []
        for n, (message, expires) in enumerate(latest.items()):
            if n not in known:
                fresh.append((message, expires))
            elif not known[n].proven and known[n].expires < expires:
                fresh.append((message, expires))
                replaced.append(known[n].number)
        if not fresh:
            return DUPLICATE
        if len(numbers) + len(replaced) < len(fresh) and self._room_for_tombstones() < len(fresh):
            return FULL
        self._delete_envelopes(keys, numbers)
        self._delete(_DELETE_TOMBSTONES, replaced)
        number = self._number_of_removal(removal)
        rows = [(mailbox, message, expires, None, None, number) for message, expires in fresh]
        run_for(self._database, _INSERT_TOMBSTONES, rows, 6)
        return STORED

    def _number_of_removal(self, removal: Removal) -> int:
        """Its bytes are kept once, however often it comes."""
        name = sha256(removal.encoded).digest()
        row = self._database.execute("SELECT seq FROM removal WHERE hash = ?", (name,)).fetchone()
        if row is not None:
            return int(row[0])
        (number,) = self._database.execute(
            "INSERT INTO removal (hash, encoded) VALUES (?, ?) RETURNING seq",
            (name, removal.encoded),
        ).fetchone()
        return int(number)

    def _known_tombstones(
        self, keys: Sequence[Key], *, but: Container[int] = ()
    ) -> dict[int, _KnownTombstone]:
        """Position in ``keys`` -> the tombstone there, for those that have one.

        ``but``: positions of envelopes that are here, so that no tombstone can be.
        """
        asked = [n for n in range(len(keys)) if n not in but]
        found = look_up(
            self._database,
            """
            SELECT n, seq, secret IS NOT NULL, expires
            FROM asked CROSS JOIN tombstone WHERE mailbox = key AND id = name
            """,
            [keys[n] for n in asked],
        )
        return {
            asked[n]: _KnownTombstone(number, proven, expires)
            for n, number, proven, expires in found
        }

    # -- records ---------------------------------------------------------------------------------

    def put_record(self, record: UserRecord, now: float) -> Put:
        if record.expires_hours <= hour_of(now):
            return EXPIRED
        key = record.key
        sequence, name = record.order
        row = self._database.execute(
            "SELECT sequence, name, encoded IS NOT NULL FROM record WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            if self._room_for_more() <= 0:
                return FULL
        elif (row[0], row[1]) > (sequence, name):
            return STALE
        elif (row[0], row[1]) == (sequence, name) and row[2]:
            return DUPLICATE
        self._database.execute(
            """
            INSERT INTO record (key, name, sequence, expires, encoded) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET name = excluded.name, sequence = excluded.sequence,
                expires = excluded.expires, encoded = excluded.encoded
            """,
            (key, name, sequence, record.expires_hours, record.encoded),
        )
        return STORED

    # -- blobs -----------------------------------------------------------------------------------

    def put_blob(self, blob: Blob, now: float) -> Put:
        put = put_blob(self._database, blob, hour_of(now), self._room_for_blobs)
        if put is STORED:
            # One row, but as much of the log as many.
            self._since_checkpoint += PAGES_A_BLOB // _PAGES_A_WRITE
        return put

    # -- the end of things -----------------------------------------------------------------------

    def drop_items(self, items: Sequence[Item]) -> None:
        keys: dict[ItemState, list[Key]] = {state: [] for state in ItemState}
        for item in dict.fromkeys(items):
            keys[item.state].append((item.key, item.name))
        envelopes = keys[ItemState.ENVELOPE]
        self._delete_envelopes(envelopes, self._numbers_of_envelopes(envelopes))
        tombstones = self._known_tombstones(keys[ItemState.TOMBSTONE])
        self._delete(_DELETE_TOMBSTONES, [known.number for known in tombstones.values()])
        records = look_up(
            self._database,
            """
            SELECT n, seq FROM asked CROSS JOIN record
            WHERE record.key = asked.key AND record.name = asked.name
            """,
            keys[ItemState.RECORD],
        )
        self._delete(_DELETE_RECORDS, [number for _, number in records])

    def expire_some(self, now: float) -> tuple[int, bool]:
        """How many went, and whether more may be left."""
        hour = hour_of(now)
        mailboxes = self._database.execute(
            "DELETE FROM envelope WHERE seq IN "
            "(SELECT seq FROM envelope WHERE expires <= ? LIMIT ?) RETURNING mailbox",
            (hour, EXPIRED_A_TURN),
        ).fetchall()
        for (mailbox,) in mailboxes:
            self._left(mailbox)
        tombstones = self._database.execute(
            "DELETE FROM tombstone WHERE seq IN "
            "(SELECT seq FROM tombstone WHERE expires <= ? LIMIT ?)",
            (tombstone_hour_of(now), EXPIRED_A_TURN),
        ).rowcount
        records = self._database.execute(
            "UPDATE record SET encoded = NULL WHERE seq IN "
            "(SELECT seq FROM record WHERE expires <= ? AND encoded IS NOT NULL LIMIT ?)",
            (hour, EXPIRED_A_TURN),
        ).rowcount
        forgotten = self._database.execute(
            "DELETE FROM record WHERE seq IN "
            "(SELECT seq FROM record WHERE expires <= ? AND encoded IS NULL LIMIT ?)",
            (hour - RECORD_MEMORY_HOURS, EXPIRED_A_TURN),
        ).rowcount
        blobs, more_blobs = expire_blobs(self._database, hour)
        gone = (len(mailboxes), tombstones, records)
        return sum(gone) + blobs, more_blobs or max(*gone, forgotten) >= EXPIRED_A_TURN

    # -- peers and boots -------------------------------------------------------------------------

    def save_peers(self, peers: Sequence[KnownPeer]) -> None:
        self._database.executemany(
            """
            INSERT INTO peer (node, record, last_heard) VALUES (?, ?, ?)
            ON CONFLICT (node) DO UPDATE
            SET record = excluded.record, last_heard = excluded.last_heard
            """,
            [(peer.node, peer.record, peer.last_heard_seconds) for peer in peers],
        )
        self._database.execute(
            "DELETE FROM peer WHERE seq IN "
            "(SELECT seq FROM peer ORDER BY last_heard DESC, node LIMIT -1 OFFSET ?)",
            (MAX_PEERS,),
        )

    def forget_peers(self, nodes: Sequence[NodeId]) -> None:
        self._database.executemany("DELETE FROM peer WHERE node = ?", [(node,) for node in nodes])

    def next_boot(self, now: float) -> int:
        (boot,) = self._database.execute(
            """
            INSERT INTO meta (name, value) VALUES ('boot', ?)
            ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value)
            RETURNING value
            """,
            (int(now),),
        ).fetchone()
        return int(boot)


@dataclass(frozen=True, slots=True)
class _KnownTombstone:
    number: int
    proven: bool
    """By the secret, not by a removal."""
    expires: int


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
