"""One SQLite file in WAL mode, every commit on disk before it returns; secrets in it are sealed.

Several processes may have one home open. Whoever reads what it is about to change does so inside
:meth:`Tables.transaction`, which begins with the write lock (``BEGIN IMMEDIATE``). Everything here
is synchronous: a transaction takes about a millisecond and never waits for a node.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from tace.client.errors import HomeError
from tace.client.vault import Vault

BUSY_SECONDS = 10.0
"""How long a process waits for another one's transaction."""
_OUTER = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_INNER = ("SAVEPOINT inner", "RELEASE inner", ("ROLLBACK TO inner", "RELEASE inner"))
_SCHEMA = files("tace.client") / "schema"


class Tables:
    """The file, and what every table needs of it. Secrets can be read once it is unlocked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self._vault: Vault | None = None

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """:param path: a file, made when missing, or ``":memory:"``.

        :raises HomeError: not a database of ours, of a newer version, or not writable.
        """
        try:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            database = cls(connection)
            database._upgrade()
        except sqlite3.Error as error:
            raise HomeError(f"the home's database cannot be used: {error}") from None
        return database

    def unlock(self, vault: Vault) -> None:
        """Give it what opens its secrets."""
        self._vault = vault

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk when it ends; no other process writes meanwhile.

        One inside another is all or nothing as well, and on disk with the outer one.
        """
        begin, end, undo = _INNER if self._open() else _OUTER
        self._execute(begin)
        try:
            yield
            self._execute(end)
        except BaseException:
            # SQLite has rolled back by itself where the disk failed.
            if self._open():
                for statement in undo:
                    self._sql.execute(statement)
            raise

    def _open(self) -> bool:
        return self._sql.in_transaction

    def _upgrade(self) -> None:
        """Apply the numbered steps that this file has not seen yet."""
        steps = sorted(step.name for step in _SCHEMA.iterdir() if step.name.endswith(".sql"))
        if self._one("PRAGMA user_version") == (len(steps),):
            return
        with self.transaction():
            # Another process may have been faster.
            (version,) = self._one("PRAGMA user_version")
            if version > len(steps):
                raise HomeError("the home was made by a newer version of tace")
            for number, name in enumerate(steps[version:], version + 1):
                for statement in (_SCHEMA / name).read_text().split(";\n"):
                    self._execute(statement)
                self._execute(f"PRAGMA user_version = {number}")

    def _seal(self, table: str, row: bytes, secret: bytes) -> bytes:
        assert self._vault is not None
        return self._vault.seal(table.encode() + b"\0" + row, secret)

    def _unseal(self, table: str, row: bytes, sealed: bytes) -> bytes:
        assert self._vault is not None
        return self._vault.open(table.encode() + b"\0" + row, sealed)

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._sql.execute(sql, values)
        except sqlite3.Error as error:
            raise HomeError(f"the home's database cannot be used: {error}") from None

    def _run(self, sql: str, *values: Any) -> int:
        return self._execute(sql, values).rowcount

    def _one(self, sql: str, *values: Any) -> Any:
        return self._execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self._execute(sql, values).fetchall()
