"""What a write-ahead log holds, by its own account. See https://sqlite.org/walformat.html.

SQLite reads a log up to the first frame whose checksum is wrong, and tells nobody of what stands
behind it. After a power cut that is what had not been synced, so nothing that was acknowledged;
after damage it is more. The frames that follow still say that they are there.
"""

from __future__ import annotations

from pathlib import Path
from struct import Struct, iter_unpack

_HEADER = Struct(">8I")
"""Magic, format, page size, checkpoint, two salts, two checksums."""
_SALTS = slice(4, 6)
_FRAME = Struct(">6I")
"""Page, size of the database after a commit, two salts, two checksums."""
_FRAME_SALTS = slice(2, 4)
_MAGIC = 0x377F0682
_BIG_ENDIAN = 1
"""Of the checksums; in the magic's last bit."""
_SUMMED_BYTES = _HEADER.size - 8
_MASK = 0xFFFF_FFFF


def frames_present(log: Path, page_bytes: int) -> int:
    """How many frames of its present generation the log has, whole or not.

    0 where there is no log. Reads the whole file, which is at most as long as its limit.

    :raises OSError: the file cannot be read.
    """
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return 0
    frame_bytes = _FRAME.size + page_bytes
    salts = [
        _FRAME.unpack_from(content, at)[_FRAME_SALTS]
        for at in range(_HEADER.size, len(content) - frame_bytes + 1, frame_bytes)
    ]
    if not salts:
        return 0
    # Frames of an earlier generation stay behind where the log began anew; the header tells them
    # apart. Where the header itself is damaged, the first frame is as good a witness.
    generation = _HEADER.unpack_from(content)[_SALTS] if _is_header(content) else salts[0]
    return salts.count(generation)


def _is_header(content: bytes) -> bool:
    magic, *_, first, second = _HEADER.unpack_from(content)
    order = ">" if magic & _BIG_ENDIAN else "<"
    s0 = s1 = 0
    for x0, x1 in iter_unpack(f"{order}2I", content[:_SUMMED_BYTES]):
        s0 = (s0 + x0 + s1) & _MASK
        s1 = (s1 + x1 + s0) & _MASK
    return magic & ~_BIG_ENDIAN == _MAGIC and (s0, s1) == (first, second)
