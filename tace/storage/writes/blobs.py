"""What changes the table of blobs."""

from __future__ import annotations

from tace.seams import Put
from tace.storage.reads.blobs import STAMP
from tace.storage.reads.sqlite import Database
from tace.storage.rules import DUPLICATE, EXPIRED, FULL, STORED
from tace.storage.writes.room import Room
from tace.wire.objects import Blob

PAGES_A_BLOB = 18
"""Sixteen of data, one for the row, and a part of some index pages."""
EXPIRED_A_TURN = 16
"""About 1 MB: so much is let go of between two live writes."""


def put_blob(database: Database, blob: Blob, hour: int, room: Room) -> Put:
    if blob.expires_hours <= hour:
        return EXPIRED
    stamp = STAMP.pack(blob.stamp_target, blob.stamp_nonce)
    row = database.execute(
        "SELECT seq, expires FROM blob INDEXED BY blob_place WHERE hash = ?", (blob.hash,)
    ).fetchone()
    if row is not None:
        number, expires = row
        if expires >= blob.expires_hours:
            return DUPLICATE
        database.execute(
            "UPDATE blob SET expires = ?, stamp = ? WHERE seq = ?",
            (blob.expires_hours, stamp, number),
        )
        return STORED
    if not room.for_blob(PAGES_A_BLOB):
        return FULL
    room.spend(PAGES_A_BLOB)
    database.execute(
        "INSERT INTO blob (hash, expires, stamp, data) VALUES (?, ?, ?, ?)",
        (blob.hash, blob.expires_hours, stamp, blob.data),
    )
    return STORED


def expire_blobs(database: Database, hour: int) -> tuple[int, bool]:
    """How many went, and whether more may be left."""
    gone = database.execute(
        "DELETE FROM blob WHERE seq IN (SELECT seq FROM blob WHERE expires <= ? LIMIT ?)",
        (hour, EXPIRED_A_TURN),
    ).rowcount
    return gone, gone >= EXPIRED_A_TURN
