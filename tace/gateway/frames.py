"""Client messages one after the other in the body of an HTTP request or answer.

A frame is ``length u32 | client message``, big-endian (docs/protocol/client.md, section 12). Values
in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from tace.errors import ProtocolError
from tace.wire.client import HEAD_BYTES, MAX_CLIENT_MESSAGE_BYTES

MAX_BODY_BYTES = 128 * 1024
"""Of one exchange over HTTP."""
MAX_FRAMES = 64
"""Messages in one exchange over HTTP."""
_LENGTH = Struct(">I")


def join_frames(messages: Iterable[bytes]) -> bytes:
    """The body that holds these client messages, in order."""
    return b"".join(_LENGTH.pack(len(message)) + message for message in messages)


def split_frames(body: bytes) -> list[bytes]:
    """The 1 to 64 client messages of a body.

    :raises ProtocolError: too long, none or too many, or lengths that do not fit the body.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ProtocolError(f"a body of {len(body)} bytes")
    messages: list[bytes] = []
    start = 0
    while start < len(body):
        if len(messages) == MAX_FRAMES:
            raise ProtocolError(f"more than {MAX_FRAMES} messages in one body")
        if start + _LENGTH.size > len(body):
            raise ProtocolError("a body that ends inside a length")
        (length,) = _LENGTH.unpack_from(body, start)
        start += _LENGTH.size
        if not HEAD_BYTES <= length <= MAX_CLIENT_MESSAGE_BYTES:
            raise ProtocolError(f"a client message of {length} bytes")
        if start + length > len(body):
            raise ProtocolError("a body that ends inside a message")
        messages.append(body[start : start + length])
        start += length
    if not messages:
        raise ProtocolError("a body without a message")
    return messages
