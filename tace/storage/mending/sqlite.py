"""Carries what can be read of a damaged database over into a new file.

The whole is copied, not mended in place: ``REINDEX`` walks the pages of the index it replaces, and
fails on garbage there like every other statement. Rows are found through the table alone, past the
pages that cannot be read; each must prove that it is what was stored; indexes are made anew. What
replicas of this node still have comes back by repair.

The damaged file is kept as ``NAME.damaged-N``; deleting it is the operator's.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tace.errors import StartError, StoreError
from tace.storage.mending.first_page import distrust_size, restore_first_page
from tace.storage.mending.log import frames_present
from tace.storage.mending.verify import is_sound
from tace.storage.schema.sqlite import (
    APPLICATION_ID,
    DAMAGE,
    PAGE_BYTES,
    WRITER_CACHE_KIB,
    connect,
    prepare,
    sync_directory,
)

_ROWS_A_COMMIT = 256
_UNKNOWN_END = 1_000_000
"""So many numbers are tried at most where nothing but far rows tells of a last one."""
_BLIND = 4096
"""And so many where nothing at all does."""
_PARTS = ("", "-wal")
_MARK_AT = 68
"""Where the application id stands in a database (https://sqlite.org/fileformat.html, 1.3)."""


@dataclass(frozen=True, slots=True)
class Mended:
    """How it went.

    ``kept`` and ``lost`` are rows by table. ``lost`` counts what was read and is not what was
    stored, and what an index names and the table does not have; where the indexes are damaged too
    there may be more.
    """

    kept: Mapping[str, int]
    lost: Mapping[str, int]
    aside: Path
    readable: bool = True
    """False: nothing of it could be read, and the new file is empty."""

    def __str__(self) -> str:
        if not self.readable:
            return f"nothing of it can be read; it is kept as {self.aside.name}"
        lost = ", ".join(f"{count} of {table}" for table, count in self.lost.items() if count)
        return (
            f"{sum(self.kept.values())} rows could be read, {lost or 'none'} were lost;"
            f" it is kept as {self.aside.name}"
        )


def mend(path: Path, steps: Sequence[str]) -> Mended:
    """Replace the database by what can be read of it. Nobody may have it open.

    Cut off at any instant, the next :func:`finish` or :func:`mend` completes it.

    :param steps: the schema, as in :func:`~tace.storage.schema.sqlite.prepare`.
    :raises StoreError: the disk has no room for the copy, or refuses; the old file stands.
    """
    aside = _free_name(path)
    unfinished = path.with_name(path.name + ".mending")
    try:
        _remove(unfinished)
        kept, lost, readable = _copied(path, unfinished, steps)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(_complete(path))
        sync_directory(path)
        finish(path, aside)
    except (sqlite3.Error, OSError, StartError) as error:
        with suppress(OSError):
            _remove(unfinished)
        raise StoreError(f"cannot be mended: {error}") from error
    return Mended(kept, lost, aside, readable)


def finish(path: Path, aside: Path | None = None) -> None:
    """Put a complete new file in the place of the damaged one, if there is one."""
    complete = _complete(path)
    if not complete.exists():
        return
    aside = aside or _free_name(path)
    for part in _PARTS:
        # A log must never meet a file that it does not belong to, so it goes before the new one
        # comes; until then the name of the complete file says what is to be done.
        old = path.with_name(path.name + part)
        if old.exists():
            old.replace(aside.with_name(aside.name + part))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    complete.replace(path)
    sync_directory(path)


def _complete(path: Path) -> Path:
    return path.with_name(path.name + ".mended")


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def _remove(path: Path) -> None:
    for part in (*_PARTS, "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)


# -- copying -------------------------------------------------------------------------------------


def _copied(
    path: Path, target: Path, steps: Sequence[str]
) -> tuple[Counter[str], Counter[str], bool]:
    """Rows kept, rows lost, and whether anything could be read."""
    kept: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    distrust_size(path)
    version = _readable_version(path)
    if not version and restore_first_page(path):
        version = _readable_version(path)
    with closing(_reading(path)) as source:
        prepare(target, steps[:version] or steps)
        with closing(connect(target, cache_kib=WRITER_CACHE_KIB, synchronous="off")) as copy:
            copy.execute("PRAGMA wal_autocheckpoint = 1000")
            for table in _tables(copy):
                if version:
                    kept[table], lost[table] = _copy_table(source, copy, table)
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return kept, lost, bool(version)


def _reading(path: Path) -> sqlite3.Connection:
    source = sqlite3.connect(path, isolation_level=None)
    # Else a file that is shorter than it says would not be read at all.
    source.execute("PRAGMA writable_schema = ON")
    return source


def _readable_version(path: Path) -> int:
    """Of the schema; 0 where it cannot be read."""
    with closing(_reading(path)) as source:
        try:
            (mark,) = source.execute("PRAGMA application_id").fetchone()
            (version,) = source.execute("PRAGMA user_version").fetchone()
            found = {name for (name,) in source.execute("SELECT name FROM sqlite_schema")}
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            return 0
    return int(version) if mark == APPLICATION_ID and "envelope" in found else 0


def _tables(database: sqlite3.Connection) -> list[str]:
    """``removal`` before ``tombstone``: what refers to something comes after it."""
    names = database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " ORDER BY name"
    )
    return [name for (name,) in names.fetchall()]


def _copy_table(
    source: sqlite3.Connection, copy: sqlite3.Connection, table: str
) -> tuple[int, int]:
    columns = [row[1] for row in copy.execute(f"PRAGMA table_info({table})")]
    insert = (
        f"INSERT OR IGNORE INTO {table} ({', '.join(columns)})"  # noqa: S608
        f" VALUES ({', '.join('?' * len(columns))})"
    )
    kept = lost = waiting = 0
    copy.execute("BEGIN")
    for row in _rows(source, table, columns):
        if not is_sound(table, dict(zip(columns, row, strict=True))):
            lost += 1
            continue
        try:
            kept += copy.execute(insert, row).rowcount
        except sqlite3.IntegrityError:
            lost += 1
        waiting += 1
        if waiting % _ROWS_A_COMMIT == 0:
            copy.execute("COMMIT")
            copy.execute("BEGIN")
    _carry_sequence(source, copy, table)
    copy.execute("COMMIT")
    return kept, max(lost, _named(source, table) - kept)


def _rows(
    source: sqlite3.Connection, table: str, columns: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    """Every row that can be reached, in the order of its number."""
    select = (
        f"SELECT rowid, {', '.join(columns)} FROM {table} NOT INDEXED"  # noqa: S608
        " WHERE rowid >= ? ORDER BY rowid"
    )
    wanted, last = 1, None
    while True:
        try:
            for number, *row in source.execute(select, (wanted,)):
                wanted = number + 1
                yield tuple(row)
            return
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        if last is None or wanted > last:
            last = _last(source, table, select, wanted)
        found = _next_readable(source, select, wanted, last)
        if found is None:
            return
        # It is yielded here, so that every round gets on.
        wanted = found[0] + 1
        yield tuple(found[1:])


def _next_readable(
    source: sqlite3.Connection, select: str, wanted: int, last: int
) -> tuple[int, ...] | None:
    """The first row from ``wanted`` on that can be read; None where there is no other."""
    for number in range(wanted, last + 1):
        with suppress(sqlite3.DatabaseError):
            row: tuple[int, ...] | None = source.execute(f"{select} LIMIT 1", (number,)).fetchone()
            return row
    return None


def _last(source: sqlite3.Connection, table: str, rows: str, wanted: int) -> int:
    """The highest number, as far as anything tells.

    Where all that can be read says that there is no row, that is so: a small table whose only page
    is garbage has empty indexes beside it, and looking for rows in it takes seconds.
    """
    is_empty = False
    for select in (
        f"SELECT max(rowid) FROM {table}",  # noqa: S608
        *(f"SELECT max(+rowid) FROM {table} INDEXED BY {i}" for i in _indexes(source, table)),  # noqa: S608
    ):
        with suppress(sqlite3.DatabaseError):
            (last,) = source.execute(select).fetchone()
            if last is not None:
                return int(last)
            is_empty = True
    if is_empty:
        return 0
    # It says nothing of tables whose numbers are not counted there.
    counted = f"SELECT max(seq) FROM sqlite_sequence WHERE name = '{table}'"  # noqa: S608
    with suppress(sqlite3.DatabaseError):
        (last,) = source.execute(counted).fetchone()
        if last is not None:
            return int(last)
    return _reached(source, rows, wanted)


def _reached(source: sqlite3.Connection, rows: str, wanted: int) -> int:
    """Up to where to look when neither the table nor an index says it: where some row behind what
    cannot be read was reached."""
    for power in range(_UNKNOWN_END.bit_length() - 1, 0, -1):
        with suppress(sqlite3.DatabaseError):
            found = source.execute(f"{rows} LIMIT 1", (wanted + (1 << power),)).fetchone()
            if found is not None:
                return min(int(found[0]), wanted + _UNKNOWN_END)
    return wanted + _BLIND


def _named(source: sqlite3.Connection, table: str) -> int:
    """How many rows the best index that can be read names."""
    counts = [0]
    for index in _indexes(source, table):
        with suppress(sqlite3.DatabaseError):
            select = f"SELECT count(*) FROM {table} INDEXED BY {index}"  # noqa: S608
            counts += source.execute(select).fetchone()
    return max(counts)


def _indexes(source: sqlite3.Connection, table: str) -> list[str]:
    """The whole ones: a partial index does not name every row."""
    with suppress(sqlite3.DatabaseError):
        found = source.execute(f"PRAGMA index_list({table})").fetchall()
        return [name for _, name, _, _, partial in found if not partial]
    return []


def _carry_sequence(source: sqlite3.Connection, copy: sqlite3.Connection, table: str) -> None:
    """A number that was given out is not given out again, though its row is lost."""
    with suppress(sqlite3.DatabaseError):
        row = source.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        if row is not None:
            copy.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            copy.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, row[0]))


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in DAMAGE


def unread_frames(path: Path) -> int:
    """Pages in the database's log behind the last commit of it that SQLite reads.

    Nobody may have the database open. What is read of the log moves into the database.

    :raises OSError: the log cannot be read.
    """
    present = frames_present(path.with_name(path.name + "-wal"), PAGE_BYTES)
    if not present:
        return 0
    try:
        with closing(connect(path, cache_kib=WRITER_CACHE_KIB, synchronous="full")) as database:
            _, read, _ = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:
        # Whatever that is, opening it meets it again.
        return 0
    return present - max(0, int(read))


def looks_like_ours(path: Path) -> bool:
    """Of a file that SQLite cannot read: has it our mark, or else whole pages, as all of ours?"""
    with path.open("rb") as file:
        head = file.read(_MARK_AT + 4)
    size = path.stat().st_size
    whole = size >= 2 * PAGE_BYTES and size % PAGE_BYTES == 0
    return whole or int.from_bytes(head[_MARK_AT:]) == APPLICATION_ID
