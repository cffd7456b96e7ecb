"""Ranges of stored items and their fingerprints (docs/protocol/peer.md, section 8.6).

Items stand in one order, by *place*: key || name, 64 bytes. A range is ``[lower, upper)``; its
bounds are byte strings of up to 64 bytes that compare as such, so a few bytes are enough where
neighbours differ early. What a range holds is told by its *fingerprint*: a hash of the count and of
the sum of all elements, an element being a hash of place and state. A sum, unlike an exclusive or,
does not cancel what stands in it twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from tace.ids import ID_BYTES, RING_SIZE, Arc, Label

PLACE_BYTES = 2 * ID_BYTES
"""A place, and the longest bound."""
END = b"\xff" * (PLACE_BYTES + 1)
"""The upper bound behind every place; on the wire it is the empty string."""
FINGERPRINT_BYTES = 16
SHORT_BYTES = 8
"""Of an element's short name, in a list of what the asker holds."""
MAX_PARTS = 16
"""Parts into which a range is split at once."""
MAX_RANGES = 32
"""Ranges that are compared in one request."""
LEAF_ITEMS = 32
"""A range of no more items is not split but listed."""
STATE_BYTES = tuple(bytes([state]) for state in range(4))
_COUNT_BYTES = 8


def element(place: bytes, state: int) -> int:
    """The number that stands for one item in a sum: 256 bits, from its place and state."""
    return int.from_bytes(sha256(Label.ITEM + place + STATE_BYTES[state]).digest())


def short_name(place: bytes, state: int) -> bytes:
    """The first 8 bytes of the element."""
    return sha256(Label.ITEM + place + STATE_BYTES[state]).digest()[:SHORT_BYTES]


def fingerprint(count: int, total: int) -> bytes:
    """Of ``count`` items whose elements come to ``total`` (mod 2^256): 16 bytes."""
    encoded = (total % RING_SIZE).to_bytes(ID_BYTES) + count.to_bytes(_COUNT_BYTES)
    return sha256(Label.FINGERPRINT + encoded).digest()[:FINGERPRINT_BYTES]


NOTHING = fingerprint(0, 0)
"""The fingerprint of a range that holds nothing."""


@dataclass(frozen=True, slots=True)
class RangeSum:
    """What is held from the end of the part before up to, not including, ``upper``.

    ``total`` is the sum of the elements, mod 2^256.
    """

    upper: bytes
    count: int
    total: int

    @property
    def fingerprint(self) -> bytes:
        return fingerprint(self.count, self.total)


def joined(parts: list[RangeSum]) -> RangeSum:
    """Neighbouring parts (one at least) as one."""
    return RangeSum(
        parts[-1].upper,
        sum(part.count for part in parts),
        sum(part.total for part in parts) % RING_SIZE,
    )


def separator(before: bytes, after: bytes) -> bytes:
    """The shortest bound between two places: greater than ``before``, not than ``after``."""
    for length in range(1, len(after) + 1):
        if after[:length] > before:
            return after[:length]
    raise ValueError("the places are not in order")


def ranges_of(arc: Arc) -> list[tuple[bytes, bytes]]:
    """The arc as ranges of places, lowest first: one, or two where it wraps."""
    return [(_after(start) if start else b"", _after(through)) for start, through in arc.segments()]


def arc_of(lower: bytes, upper: bytes) -> Arc | None:
    """The smallest arc with every key that has places in the range; None where there is none."""
    first = int.from_bytes(lower[:ID_BYTES].ljust(ID_BYTES, b"\0"))
    last = int.from_bytes(upper[:ID_BYTES].ljust(ID_BYTES, b"\0"))
    if len(upper) <= ID_BYTES:
        # No place there has the key ``upper`` itself.
        last -= 1
    if lower >= upper or last < first:
        return None
    return Arc(((first - 1) % RING_SIZE).to_bytes(ID_BYTES), last.to_bytes(ID_BYTES))


def _after(key: bytes) -> bytes:
    """The bound behind every place of a key."""
    number = int.from_bytes(key) + 1
    return END if number == RING_SIZE else number.to_bytes(ID_BYTES)
