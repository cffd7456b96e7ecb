"""The database file: one process at a time, opened with its pragmas, at the newest schema."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path

from tace.errors import StartError

APPLICATION_ID = int.from_bytes(b"tace")
"""Stands in the header of every database of ours (``file`` and SQLite show it)."""
PAGE_BYTES = 4096
"""One envelope fills one page to nine tenths; deleting it frees the page."""
BUSY_TIMEOUT_MS = 10_000
"""Nobody else writes to the file, but a person with the sqlite3 shell may hold it for a moment."""
WRITER_CACHE_KIB = 16 * 1024
READER_CACHE_KIB = 8 * 1024
CACHED_STATEMENTS = 256
_LEAST_FREE_BYTES = 256 * 1024
"""With less SQLite cannot make the files it needs beside the database."""
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite says of a file that is not as it was written."""


class DamagedError(StartError):
    """The file is not as it was written."""


def packaged_steps() -> list[str]:
    """The schema, step by step: 0001.sql and its successors."""
    steps = [file for file in files(__package__).iterdir() if file.name.endswith(".sql")]
    return [file.read_text("utf-8") for file in sorted(steps, key=lambda file: file.name)]


class DirectoryLock:
    """The directory is one node's, as long as the process lives: the kernel forgets it with us."""

    def __init__(self, path: Path) -> None:
        """:raises StartError: another node works here, or the place cannot be written to."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(f"{path}: {why(error, path)}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StartError(
                f"{path.parent}: another node (process {holder}) works in this directory"
            ) from None
        # The number is for people; a full disk may have no room for it.
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        os.close(self._file)


def sync_directory(path: Path) -> None:
    """Have the names beside ``path`` on disk: a file that was renamed keeps its new one."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def connect(path: Path, *, cache_kib: int, synchronous: str) -> sqlite3.Connection:
    """A connection for one thread, made in another one.

    ``synchronous``: ``full`` waits for the disk at each commit, ``off`` never does.
    """
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA synchronous = " + {"full": "FULL", "off": "OFF"}[synchronous])
    # A statement of many rows keeps what would undo it; in memory, not in a file made each time.
    connection.execute("PRAGMA temp_store = MEMORY")
    # What is deleted is zeroed where the page is written anyway.
    connection.execute("PRAGMA secure_delete = FAST")
    return connection


def prepare(path: Path, steps: Sequence[str]) -> None:
    """Make the file, or bring it to the newest schema; a copy of it is kept before an upgrade.

    The copy is ``NAME.schema-N``, N the schema it has. It is the operator's to delete.

    :raises StartError: not ours, damaged, of a newer tace, or the disk says no.
    """
    try:
        # SQLite gives its WAL and index the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(connect(path, cache_kib=WRITER_CACHE_KIB, synchronous="full")) as connection:
            version = _version(connection, path)
            if version > len(steps):
                raise StartError(
                    f"{path}: made by a newer tace (schema {version}; this one knows {len(steps)})"
                )
            if version == 0:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                # Freed pages are used again. To give them back would take a page moved, and logged,
                # for each, on a disk that is short of room, and a mailbox that was full once is
                # full again.
                connection.execute("PRAGMA auto_vacuum = NONE")
            elif version < len(steps):
                _back_up(connection, path.with_name(f"{path.name}.schema-{version}"))
            connection.execute("PRAGMA journal_mode = WAL")
            for number, step in enumerate(steps[version:], version + 1):
                _take(connection, step, number)
            connection.execute("SELECT count(*) FROM meta").fetchone()
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
            raise DamagedError(f"{path}: {error}") from None
        raise StartError(f"{path}: {why(error, path)}") from None


def why(error: OSError | sqlite3.Error, path: Path) -> str:
    """One line: what is wrong, and what to do where that is known."""
    text = getattr(error, "strerror", None) or str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    with suppress(OSError):
        disk = os.statvfs(path.parent)
        if disk.f_flag & os.ST_RDONLY:
            return f"{text}: the disk is read-only; make it writable, or set another data_dir"
        if code == sqlite3.SQLITE_FULL or disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES:
            return f"{text}: make room on the disk of {path.parent}"
    return text


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StartError(f"{path}: not a database of tace")
    return int(version)


def _take(connection: sqlite3.Connection, step: str, number: int) -> None:
    """One step in one transaction: all of it, or nothing."""
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{step}\n;PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {number};COMMIT;"
        )
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    """A whole copy or none: it gets its name when it is complete and on disk."""
    unfinished = copy.with_name(copy.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(unfinished)) as target:
        connection.backup(target)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(copy)
