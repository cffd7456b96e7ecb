"""What changes the table of user records."""

from __future__ import annotations

from tace.identity.user_record import UserRecord
from tace.seams import ItemState, Put
from tace.storage.reads.sqlite import Database
from tace.storage.rules import DUPLICATE, EXPIRED, FULL, STALE, STORED, hour_of
from tace.storage.writes.room import Room
from tace.storage.writes.sums import Sums

PAGES_A_RECORD = 3
"""At most; and a part of some index pages."""
# As of tombstones: a bound that costs nothing.
_NUMBERED = "SELECT (SELECT max(seq) FROM record) - (SELECT min(seq) FROM record) + 1"


def put_record(database: Database, room: Room, sums: Sums, record: UserRecord, now: float) -> Put:
    """A new one needs room; one that replaces another always goes through."""
    if record.expires_hours <= hour_of(now):
        return EXPIRED
    key = record.key
    sequence, name = record.order
    row = database.execute(
        "SELECT sequence, name, encoded IS NOT NULL, expires FROM record WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        (numbered,) = database.execute(_NUMBERED).fetchone()
        if not room.for_record(numbered or 0):
            return FULL
    elif (row[0], row[1]) > (sequence, name):
        return STALE
    elif (row[0], row[1]) == (sequence, name) and row[2]:
        return DUPLICATE
    room.spend(PAGES_A_RECORD)
    database.execute(
        """
        INSERT INTO record (key, name, sequence, expires, encoded) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET name = excluded.name, sequence = excluded.sequence,
            expires = excluded.expires, encoded = excluded.encoded
        """,
        (key, name, sequence, record.expires_hours, record.encoded),
    )
    if row is not None and row[2]:
        sums.remove(key, row[1], ItemState.RECORD, row[3])
    sums.add(key, name, ItemState.RECORD, record.expires_hours)
    return STORED
