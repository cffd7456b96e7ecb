"""What changes the table of hints."""

from __future__ import annotations

from collections.abc import Sequence

from tace.ids import NodeId
from tace.seams import HINT_SECONDS, MAX_HINTS, Item
from tace.storage.reads.sqlite import Database

EXPIRED_A_TURN = 1024


def put_hints(database: Database, member: NodeId, items: Sequence[Item], now: float) -> bool:
    """A hint that is there keeps its age. The oldest of all go where there are too many."""
    database.executemany(
        "INSERT OR IGNORE INTO hint (member, state, key, name, made) VALUES (?, ?, ?, ?, ?)",
        [(member, int(item.state), item.key, item.name, int(now)) for item in items],
    )
    database.execute(
        "DELETE FROM hint WHERE seq <= (SELECT max(seq) FROM hint) - ?",
        (MAX_HINTS,),
    )
    return True


def drop_hints(database: Database, member: NodeId, items: Sequence[Item]) -> None:
    database.executemany(
        "DELETE FROM hint WHERE member = ? AND state = ? AND key = ? AND name = ?",
        [(member, int(item.state), item.key, item.name) for item in items],
    )


def expire_hints(database: Database, now: float) -> int:
    """How many went; not more than fit a turn."""
    return database.execute(
        "DELETE FROM hint WHERE seq IN (SELECT seq FROM hint WHERE made <= ? LIMIT ?)",
        (int(now - HINT_SECONDS), EXPIRED_A_TURN),
    ).rowcount
