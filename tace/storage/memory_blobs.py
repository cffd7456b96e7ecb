"""The blobs of the store in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable

from tace.ids import Arc
from tace.seams import Put
from tace.storage.rules import DUPLICATE, EXPIRED, FULL, STORED
from tace.wire.fields import BlobName
from tace.wire.objects import CHUNK_BYTES, Blob

BLOB_COST_BYTES = CHUNK_BYTES + 1024


class MemoryBlobs:
    """Blobs by hash.

    :param has_room: whether so many bytes more may be held.
    """

    def __init__(self, has_room: Callable[[int], bool]) -> None:
        self._has_room = has_room
        self._blobs: dict[bytes, Blob] = {}
        self._sorted: list[bytes] = []

    def __len__(self) -> int:
        return len(self._blobs)

    @property
    def cost_bytes(self) -> int:
        return len(self._blobs) * BLOB_COST_BYTES

    def put(self, blob: Blob, hour: int) -> Put:
        if blob.expires_hours <= hour:
            return EXPIRED
        known = self._blobs.get(blob.hash)
        if known is not None:
            if known.expires_hours >= blob.expires_hours:
                return DUPLICATE
        elif not self._has_room(BLOB_COST_BYTES):
            return FULL
        else:
            insort(self._sorted, blob.hash)
        self._blobs[blob.hash] = blob
        return STORED

    def get(self, name: bytes, hour: int) -> Blob | None:
        blob = self._blobs.get(name)
        return blob if blob is not None and blob.expires_hours > hour else None

    def listed(self, arc: Arc, after: bytes, limit: int, hour: int) -> list[BlobName]:
        names: list[BlobName] = []
        for start, through in arc.segments():
            first = bisect_right(self._sorted, max(start, after))
            for name in self._sorted[first : bisect_right(self._sorted, through)]:
                if len(names) == limit:
                    return names
                if self._blobs[name].expires_hours > hour:
                    names.append(BlobName(name, self._blobs[name].expires_hours))
        return names

    def expire(self, hour: int) -> int:
        """Forget what is over; how many."""
        over = [name for name, blob in self._blobs.items() if blob.expires_hours <= hour]
        for name in over:
            del self._blobs[name]
            del self._sorted[bisect_left(self._sorted, name)]
        return len(over)
