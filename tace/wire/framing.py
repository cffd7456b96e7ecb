"""Length-prefixed frames between nodes (docs/protocol/peer.md, "Frames").

``length u32 | type u16 | request id u32 | body``, big-endian; ``length`` counts what follows it.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

from tace.errors import ProtocolError

_HEAD = Struct(">IHI")
HEAD_BYTES = _HEAD.size
_TYPE_AND_ID_BYTES = HEAD_BYTES - 4

MAX_BODY_BYTES = 64 * 1024
"""The largest body: sixteen envelopes, or one blob chunk with its field lengths."""
MAX_BODY_BYTES_BEFORE_HELLO = 4 * 1024
"""The largest body from a peer that has not proved itself."""


Frame: TypeAlias = tuple[int, int, bytes]
"""(number, request id, body)."""


def encode_frame(number: int, request_id: int, body: bytes) -> bytes:
    return _HEAD.pack(_TYPE_AND_ID_BYTES + len(body), number, request_id) + body


class FrameBuffer:
    """Cuts a byte stream into frames.

    The declared length is tested as soon as its four bytes are there, before anything of the body
    is kept: the buffer never holds more than one frame and one read.

    A read that holds whole frames is cut where it stands, without a copy; only what is left of one
    goes into a bytearray, so that a frame in many small pieces is not copied again for each piece.

    :param max_body_bytes: raised with :meth:`allow` once the hello is verified.
    """

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES_BEFORE_HELLO) -> None:
        self._max_length = max_body_bytes + _TYPE_AND_ID_BYTES
        self._buffer: bytes | bytearray = b""
        self._start = 0

    def allow(self, max_body_bytes: int) -> None:
        self._max_length = max_body_bytes + _TYPE_AND_ID_BYTES

    def add(self, data: bytes) -> None:
        if self._start == len(self._buffer):
            self._buffer = data
        elif isinstance(self._buffer, bytearray):
            del self._buffer[: self._start]
            self._buffer += data
        else:
            self._buffer = bytearray(memoryview(self._buffer)[self._start :])
            self._buffer += data
        self._start = 0

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None until more bytes come.

        Called one at a time so that :meth:`allow` takes effect between two frames of one read.

        :raises ProtocolError: the length is too small or over the limit.
        """
        buffer, start = self._buffer, self._start
        there = len(buffer) - start
        if there < HEAD_BYTES:
            if there >= 4:
                self._check(int.from_bytes(buffer[start : start + 4]))
            return None
        length, number, request_id = _HEAD.unpack_from(buffer, start)
        if not _TYPE_AND_ID_BYTES <= length <= self._max_length:
            self._check(length)
        end = start + 4 + length
        if there < 4 + length:
            return None
        self._start = end
        return number, request_id, bytes(buffer[start + HEAD_BYTES : end])

    def _check(self, length: int) -> None:
        if length < _TYPE_AND_ID_BYTES:
            raise ProtocolError("a frame shorter than its header")
        if length > self._max_length:
            raise ProtocolError(f"a frame of {length} bytes where {self._max_length} are allowed")
