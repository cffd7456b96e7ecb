"""What is asked of the database about hints."""

from __future__ import annotations

from tace.ids import NodeId
from tace.seams import Item, ItemState
from tace.storage.reads.sqlite import Database, Read


def hinted_members(database: Database) -> list[NodeId]:
    rows = database.execute("SELECT DISTINCT member FROM hint ORDER BY member").fetchall()
    return [member for (member,) in rows]


def list_hints(member: NodeId, limit: int) -> Read:
    def read(database: Database) -> list[Item]:
        rows = database.execute(
            "SELECT key, name, state FROM hint WHERE member = ? ORDER BY seq LIMIT ?",
            (member, limit),
        ).fetchall()
        return [Item(key, name, ItemState(state)) for key, name, state in rows]

    return read
