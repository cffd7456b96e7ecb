"""What stands in the nodes' files; to be exact, the nodes must not run."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tace.wire.objects import Envelope


def waiting_in(database: Path) -> list[Envelope]:
    """Every envelope in a node's file."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT body FROM envelope").fetchall()
    return [Envelope.parse(body) for (body,) in rows]


def copies(databases: Iterable[Path]) -> Counter[tuple[bytes, bytes]]:
    """(mailbox, message id) -> how many of the files hold that envelope."""
    return Counter(
        (envelope.mailbox, envelope.id)
        for database in databases
        for envelope in waiting_in(database)
    )
