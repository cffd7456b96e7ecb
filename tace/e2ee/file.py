"""Files: cut into pieces, each sealed into a chunk that nodes keep under its hash.

A chunk is AES-256-GCM (SP 800-38D) of one piece, filled up with zeros, under a key that is drawn
for this file and stands in its content (:class:`tace.e2ee.content.File`). All chunks are of one
size, so a node sees how many there are at most, never how long a file is.
"""

from __future__ import annotations

import hashlib

from tace.e2ee.content import PIECE_BYTES
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.symmetric import NONCE_BYTES, TAG_BYTES, WrongKeyOrData, aead_open, aead_seal
from tace.errors import Malformed

CHUNK_BYTES = PIECE_BYTES + TAG_BYTES
"""A chunk as nodes keep it: 63,488 bytes."""


def seal_chunk(key: bytes, index: int, count: int, piece: bytes) -> bytes:
    """One chunk, 63,488 bytes.

    :param key: 32 random bytes, used for this file alone: the nonce is the chunk's number.
    :raises ValueError: the piece is longer than 63,472 bytes, or that chunk cannot be.
    """
    if len(piece) > PIECE_BYTES or not 0 <= index < count:
        raise ValueError(f"no piece {index} of {count} with {len(piece)} bytes")
    return aead_seal(key, _nonce(index), piece.ljust(PIECE_BYTES, b"\0"), _bound_to(count))


def open_chunk(key: bytes, index: int, count: int, chunk: bytes) -> bytes:
    """The piece with its filling, 63,472 bytes.

    :raises Malformed: it is not that chunk of that file.
    """
    if len(chunk) != CHUNK_BYTES:
        raise Malformed(f"a chunk has {CHUNK_BYTES} bytes, not {len(chunk)}")
    try:
        return aead_open(key, _nonce(index), chunk, _bound_to(count))
    except WrongKeyOrData:
        raise Malformed("the chunk does not open") from None


def chunk_hash(chunk: bytes) -> bytes:
    """What nodes keep it under: its plain SHA-256, 32 bytes."""
    return hashlib.sha256(chunk).digest()


def _nonce(index: int) -> bytes:
    return index.to_bytes(NONCE_BYTES)


def _bound_to(count: int) -> bytes:
    # The number of chunks, so that nobody can cut a file short.
    return E2eeLabel.FILE + count.to_bytes(4)
