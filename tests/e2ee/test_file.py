"""Chunks of files."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.content import PIECE_BYTES
from tace.e2ee.file import CHUNK_BYTES, open_chunk, seal_chunk
from tace.errors import Malformed

KEY = b"k" * 32


class FileTests(SynchronousTestCase):
    def test_one_size(self) -> None:
        """An empty piece and a full one make chunks of 63,488 bytes."""
        for piece in (b"", b"x", b"x" * PIECE_BYTES):
            chunk = seal_chunk(KEY, 0, 1, piece)
            self.assertEqual((63_488, CHUNK_BYTES), (len(chunk), len(chunk)))
            self.assertEqual(piece, open_chunk(KEY, 0, 1, chunk)[: len(piece)])

    def test_in_its_place_only(self) -> None:
        """Another key, number, count, length, or one bit, and it does not open."""
        chunk = seal_chunk(KEY, 1, 3, b"piece")
        changed = chunk[:-1] + bytes([chunk[-1] ^ 1])
        for key, index, count, given in (
            (b"o" * 32, 1, 3, chunk),
            (KEY, 0, 3, chunk),
            (KEY, 1, 2, chunk),
            (KEY, 1, 3, changed),
            (KEY, 1, 3, chunk[:-1]),
            (KEY, 1, 3, b""),
        ):
            self.assertRaises(Malformed, open_chunk, key, index, count, given)
        self.assertEqual(b"piece", open_chunk(KEY, 1, 3, chunk).rstrip(b"\0"))

    def test_no_such_piece(self) -> None:
        """Too long, or beyond the count: the caller's fault."""
        self.assertRaises(ValueError, seal_chunk, KEY, 0, 1, bytes(PIECE_BYTES + 1))
        self.assertRaises(ValueError, seal_chunk, KEY, 1, 1, b"")
