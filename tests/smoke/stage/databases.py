"""What stands in the files of nodes that do not run."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def waiting_in(database: Path) -> set[tuple[bytes, bytes]]:
    """(mailbox, message id) of every envelope in a node's file."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT mailbox, id FROM envelope").fetchall()
    connection.close()
    return set(rows)


def copies(databases: Iterable[Path]) -> Counter[tuple[bytes, bytes]]:
    """How many of the files hold each envelope."""
    return Counter(envelope for database in databases for envelope in waiting_in(database))
