"""Bare sqlite3: what the disk and the library give when nothing stands around them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tace.lab.bench.store_work import (
    LISTED,
    READS_A_COMMIT,
    ROWS_A_CYCLE,
    Cycle,
    Figures,
    StopWatch,
)
from tace.wire.objects import TOMBSTONE_GRACE_HOURS, Envelope, Tombstone

_SCHEMA = """
CREATE TABLE envelope (seq INTEGER PRIMARY KEY, mailbox BLOB, id BLOB, expires INT, body BLOB);
CREATE UNIQUE INDEX envelope_place ON envelope (mailbox, id, expires);
CREATE INDEX envelope_expires ON envelope (expires);
CREATE TABLE tombstone (
    seq INTEGER PRIMARY KEY, mailbox BLOB, id BLOB, expires INT, secret BLOB, blob_hash BLOB
);
CREATE UNIQUE INDEX tombstone_place ON tombstone (mailbox, id, expires);
CREATE INDEX tombstone_expires ON tombstone (expires);
"""


@contextmanager
def committing(directory: Path, body: bytes, rows: int) -> Iterator[Callable[[], None]]:
    """Each call commits so many rows to a table with one index; FULL, in WAL mode."""
    with closing(sqlite3.connect(directory / "rows.db")) as database:
        _durable(database)
        database.execute("CREATE TABLE row (box BLOB, id BLOB, body BLOB)")
        database.execute("CREATE INDEX row_box ON row (box, id)")

        def commit() -> None:
            with database:
                database.executemany(
                    "INSERT INTO row VALUES (?, ?, ?)",
                    [(os.urandom(32), os.urandom(32), body) for _ in range(rows)],
                )

        yield commit


def measure_bare(work: Sequence[Cycle], directory: Path) -> Figures:
    """The work of :func:`~tace.lab.bench.store.measure_store` on one connection in one thread.

    The tables and indexes are those that the store has, and whole batches go to ``executemany``;
    there are no quotas, no checks whether something is there, no threads.
    """
    with closing(sqlite3.connect(directory / "bare.db")) as database:
        _durable(database)
        database.executescript(_SCHEMA)
        watch, commits, read, expired = StopWatch(), 0, 0, 0
        for cycle in work:
            for objects in cycle.commits():
                # The store's reader, too, sees what was there when it was asked.
                for each in objects[:READS_A_COMMIT]:
                    read += _read(database, each.mailbox, cycle.hour)
                with database:
                    _write(database, objects)
                commits += 1
            with database:
                expired += _expire(database, cycle.hour)
            commits += 1
        return watch.figures(len(work) * ROWS_A_CYCLE, commits, read, expired)


def _durable(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")


def _write(database: sqlite3.Connection, objects: Sequence[Envelope] | Sequence[Tombstone]) -> None:
    envelopes = [e for e in objects if isinstance(e, Envelope)]
    database.executemany(
        "INSERT INTO envelope (mailbox, id, expires, body) VALUES (?, ?, ?, ?)",
        [(e.mailbox, e.id, e.expires_hours, e.encoded) for e in envelopes],
    )
    tombstones = [t for t in objects if isinstance(t, Tombstone)]
    database.executemany(
        "INSERT INTO tombstone (mailbox, id, expires, secret, blob_hash) VALUES (?, ?, ?, ?, ?)",
        [(t.mailbox, t.id, t.expires_hours, t.secret, t.blob_hash) for t in tombstones],
    )
    database.executemany(
        "DELETE FROM envelope WHERE mailbox = ? AND id = ? AND expires = ?",
        [(t.mailbox, t.id, t.expires_hours) for t in tombstones],
    )


def _read(database: sqlite3.Connection, mailbox: bytes, hour: int) -> int:
    listed = database.execute(
        "SELECT seq FROM envelope WHERE mailbox = ? AND expires > ? ORDER BY seq LIMIT ?",
        (mailbox, hour, LISTED),
    ).fetchall()
    for row in listed:
        database.execute("SELECT body FROM envelope WHERE seq = ?", row).fetchone()
    return len(listed)


def _expire(database: sqlite3.Connection, hour: int) -> int:
    envelopes = database.execute("DELETE FROM envelope WHERE expires <= ?", (hour,)).rowcount
    tombstones = database.execute(
        "DELETE FROM tombstone WHERE expires <= ?", (hour - TOMBSTONE_GRACE_HOURS,)
    ).rowcount
    return envelopes + tombstones
