"""What stands in a node's store, read from its file beside the node that runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tace.lab.chaos.copies import Item

BUSY_SECONDS = 5.0


def items_in(database: Path) -> set[Item]:
    """All that waits there, as of the last commit; in WAL mode a reader holds up no writer.

    :raises OSError: it cannot be read.
    """
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
            return set(connection.execute("SELECT mailbox, id FROM envelope"))
    except sqlite3.Error as error:
        raise OSError(f"{database}: {error}") from error
