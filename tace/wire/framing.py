"""Length-prefixed frames between nodes (docs/protocol/peer.md, "Frames").

``length u32 | type u16 | request id u32 | body``, big-endian; ``length`` counts what follows it.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from tace.errors import ProtocolError

_HEAD = Struct(">IHI")
HEAD_BYTES = _HEAD.size
_TYPE_AND_ID_BYTES = HEAD_BYTES - 4

MAX_BODY_BYTES = 64 * 1024
"""The largest body: sixteen envelopes, or one blob chunk with its field lengths."""
MAX_BODY_BYTES_BEFORE_HELLO = 4 * 1024


class Frame(NamedTuple):
    number: int
    request_id: int
    body: bytes


def encode_frame(number: int, request_id: int, body: bytes) -> bytes:
    return _HEAD.pack(_TYPE_AND_ID_BYTES + len(body), number, request_id) + body


class FrameBuffer:
    """Cuts a byte stream into frames.

    The declared length is tested as soon as its four bytes are there, before anything of the body
    is kept: the buffer never holds more than one frame and one read.

    :param max_body_bytes: raised with :meth:`allow` once the hello is verified.
    """

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES_BEFORE_HELLO) -> None:
        self._max_length = max_body_bytes + _TYPE_AND_ID_BYTES
        self._buffer = bytearray()

    def allow(self, max_body_bytes: int) -> None:
        self._max_length = max_body_bytes + _TYPE_AND_ID_BYTES

    def add(self, data: bytes) -> None:
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None until more bytes come.

        Called one at a time so that :meth:`allow` takes effect between two frames of one read.

        :raises ProtocolError: the length is too small or over the limit.
        """
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        length = int.from_bytes(buffer[:4])
        if length < _TYPE_AND_ID_BYTES:
            raise ProtocolError("a frame shorter than its header")
        if length > self._max_length:
            raise ProtocolError(f"a frame of {length} bytes where {self._max_length} are allowed")
        end = 4 + length
        if len(buffer) < end:
            return None
        _, number, request_id = _HEAD.unpack_from(buffer)
        body = bytes(buffer[HEAD_BYTES:end])
        del buffer[:end]
        return Frame(number, request_id, body)
