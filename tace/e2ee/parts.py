"""Bodies that fit no message: split into parts, joined again in whatever order they come."""

from __future__ import annotations

from dataclasses import dataclass

from tace.e2ee.agreement import RandomBytes
from tace.e2ee.content import (
    MAX_BODY_BYTES,
    MAX_PARTS,
    Body,
    Part,
    decode_body,
    encode_body,
    kind_of,
)
from tace.errors import Malformed, TooLarge

PART_OVERHEAD_BYTES = 96
"""What a content with one part takes at most besides the piece, alone in its message."""
MAX_JOINING = 16
"""How many bodies one sender may have in the making here: 1 MiB."""
_WHOLE_BYTES = 16


def split(body: Body, room: int, random_bytes: RandomBytes) -> list[Part]:
    """The parts of a body for messages with that much room, each alone in its message.

    :param room: the least :attr:`tace.e2ee.session.Pair.room` of all devices it goes to.
    :raises TooLarge: more than 64 KiB.
    """
    encoded = encode_body(body)
    piece_bytes = room - PART_OVERHEAD_BYTES
    count = -(-len(encoded) // piece_bytes)
    if len(encoded) > MAX_BODY_BYTES or count > MAX_PARTS:
        raise TooLarge(f"{len(encoded)} bytes; at most {MAX_BODY_BYTES} can be sent in parts")
    whole = random_bytes(_WHOLE_BYTES)
    return [
        Part(
            whole,
            kind_of(body),
            index,
            count,
            encoded[index * piece_bytes : (index + 1) * piece_bytes],
        )
        for index in range(count)
    ]


@dataclass(slots=True)
class _Making:
    kind: int
    count: int
    pieces: dict[int, bytes]


class Joining:
    """The bodies of one sender that are in the making.

    Holds at most 16, each of at most 64 KiB; when a seventeenth begins, the one that began first
    is given up. The client keeps the parts it acked in its own store and gives them again after a
    restart.
    """

    def __init__(self) -> None:
        self._making: dict[bytes, _Making] = {}

    def __len__(self) -> int:
        return len(self._making)

    def add(self, part: Part) -> Body | None:
        """The body, when this was the last part missing. A part that is there already is ignored.

        :raises Malformed: it contradicts the other parts, or the body is too large or broken;
            all its parts are given up.
        """
        making = self._making.setdefault(part.whole, _Making(part.kind, part.count, {}))
        if len(self._making) > MAX_JOINING:
            del self._making[next(iter(self._making))]
        known = making.pieces.get(part.index, part.piece)
        if (making.kind, making.count, known) != (part.kind, part.count, part.piece):
            del self._making[part.whole]
            raise Malformed("parts of one body contradict each other")
        making.pieces[part.index] = part.piece
        if sum(map(len, making.pieces.values())) > MAX_BODY_BYTES:
            del self._making[part.whole]
            raise Malformed(f"a body in parts has at most {MAX_BODY_BYTES} bytes")
        if len(making.pieces) < making.count:
            return None
        del self._making[part.whole]
        return decode_body(part.kind, b"".join(making.pieces[at] for at in range(part.count)))
