"""What is asked of the database about blobs."""

from __future__ import annotations

from struct import Struct

from tace.errors import Malformed
from tace.ids import ID_BYTES, Arc
from tace.storage.reads.sqlite import Database, Read
from tace.storage.rules import hour_of
from tace.wire.fields import BlobName
from tace.wire.objects import Blob

STAMP = Struct(">BQ")
"""How the target and nonce of a stamp lie in their column."""
_EXPIRES_BYTES = 4
_NAME_BYTES = ID_BYTES + _EXPIRES_BYTES
_LIST_BLOBS = """
    SELECT group_concat(hex(hash) || printf('%08x', expires), '') FROM (
        SELECT hash, expires FROM blob INDEXED BY blob_place
        WHERE hash > ? AND hash <= ? AND expires > ? ORDER BY hash LIMIT ?)
    """


def get_blob(name: bytes, now: float) -> Read:
    def read(database: Database) -> Blob | None:
        row = database.execute(
            "SELECT expires, stamp, data FROM blob WHERE hash = ? AND expires > ?",
            (name, hour_of(now)),
        ).fetchone()
        if row is None:
            return None
        expires, stamp, data = row
        target, nonce = STAMP.unpack(stamp)
        blob = Blob.make(data, expires_hours=expires, stamp_target=target, stamp_nonce=nonce)
        if blob.hash != name:
            raise Malformed("a blob that is not what its hash says")
        return blob

    return read


def list_blobs(arc: Arc, *, after: bytes, limit: int, now: float) -> Read:
    segments = arc.segments()

    def read(database: Database) -> list[BlobName]:
        names: list[BlobName] = []
        for start, through in segments:
            (text,) = database.execute(
                _LIST_BLOBS, (max(start, after), through, hour_of(now), limit - len(names))
            ).fetchone()
            listed = bytes.fromhex(text or "")
            for at in range(0, len(listed), _NAME_BYTES):
                expires = int.from_bytes(listed[at + ID_BYTES : at + _NAME_BYTES])
                names.append(BlobName(listed[at : at + ID_BYTES], expires))
        return names

    return read
