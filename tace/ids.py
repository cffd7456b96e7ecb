"""Identifiers on the ring: 32-byte values, the arcs between them, the labelled hash.

All identifiers are ``bytes`` of length 32. Compared as bytes they order as 256-bit big-endian
integers, so the ring needs integers only for distances.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

ID_BYTES = 32
RING_SIZE = 1 << (8 * ID_BYTES)
POSITIONS_PER_NODE = 8
"""How many positions a node may take (page 2.1): the position mask has this many bits."""
MAX_POSITIONS_REMEMBERED = 131_072
"""Positions that were computed and are remembered: they are compared all the time. About 20 MB."""

NodeId = bytes
"""H("tace node 1" || SPKI of the node's identity key)."""
Position = bytes
"""A point on the ring where a node takes part."""
MailboxId = bytes
MessageId = bytes


KIND_REQUESTS = 1
"""The mailbox anyone can find: small quota, stamped envelopes only."""
KIND_CONTACTS = 2
"""The mailbox a contact was given inside the first encrypted message."""
MAILBOX_KINDS = (KIND_REQUESTS, KIND_CONTACTS)


class Label:
    """Every domain label of the project, for hashes and for signatures.

    No label is a prefix of another one, so label || fields can never be read two ways (a test
    checks it).
    """

    NETWORK = b"tace network 1"
    NODE = b"tace node 1"
    POSITION = b"tace position 1"
    NODE_RECORD = b"tace node record 1"
    LINK = b"tace link 1"
    LEASE = b"tace lease 1"
    REMOVAL = b"tace removal 1"
    MAILBOX = b"tace mailbox 1"
    MESSAGE = b"tace message 1"
    LOCK = b"tace lock 1"
    STAMP = b"tace stamp 1"
    USER_RECORD_KEY = b"tace record 1"
    USER_RECORD = b"tace user record 1"
    ITEM = b"tace item 1"
    FINGERPRINT = b"tace fingerprint 1"


def digest(label: bytes, *fields: bytes) -> bytes:
    """SHA-256 over the label and the fields, which have a fixed length or carry their own."""
    return sha256(b"".join((label, *fields))).digest()


def mailbox_id(mailbox_key: bytes, kind: int) -> MailboxId:
    """The mailbox that the 33-byte public key opens; the last byte says what kind it is."""
    return digest(Label.MAILBOX, mailbox_key)[:31] + bytes([kind])


class Place(NamedTuple):
    """One position of one node: the pair that determines the point on the ring.

    A pointer on the wire is (node id, number); the position is computed, so nobody can claim a
    place of their choice.
    """

    node: NodeId
    number: int

    @property
    def position(self) -> Position:
        return position_of(self.node, self.number)


@lru_cache(maxsize=MAX_POSITIONS_REMEMBERED)
def position_of(node: NodeId, index: int) -> Position:
    """The point at which ``node`` stands with its position number ``index`` (0 to 7)."""
    if not 0 <= index < POSITIONS_PER_NODE:
        raise ValueError(f"a position number is 0 to {POSITIONS_PER_NODE - 1}, not {index}")
    return digest(Label.POSITION, node, bytes([index]))


def masked_indices(mask: int) -> Iterator[int]:
    """The position numbers a mask names, lowest first."""
    return (index for index in range(POSITIONS_PER_NODE) if mask >> index & 1)


def distance(start: bytes, end: bytes) -> int:
    """How far ``end`` lies clockwise from ``start``: 0 to 2**256 - 1."""
    return (int.from_bytes(end) - int.from_bytes(start)) % RING_SIZE


def between(start: bytes, x: bytes, end: bytes) -> bool:
    """Is ``x`` strictly inside the clockwise arc (start, end)?

    With ``start == end`` the arc is the whole ring but that point (Chord's convention for a ring
    of one).
    """
    if start < end:
        return start < x < end
    return x > start or x < end


class Arc(NamedTuple):
    """The half-open clockwise arc (start, end]: Chord's unit of responsibility.

    ``start == end`` is the whole ring.
    """

    start: bytes
    end: bytes

    def __contains__(self, x: object) -> bool:
        if not isinstance(x, bytes):
            return False
        if self.start < self.end:
            return self.start < x <= self.end
        return x > self.start or x <= self.end

    def covers(self, other: Arc) -> bool:
        """Does every point of the other one lie on this one?"""
        space = 1 << 8 * ID_BYTES
        start = int.from_bytes(self.start)
        length = (int.from_bytes(self.end) - start) % space or space
        skipped = (int.from_bytes(other.start) - start) % space
        covered = (int.from_bytes(other.end) - int.from_bytes(other.start)) % space or space
        return length == space or skipped + covered <= length

    def segments(self) -> tuple[tuple[bytes, bytes], ...]:
        """The arc as ranges (after, through] that do not wrap, in key order, for ordered storage.

        ``after`` is exclusive; the empty string stands for "from the very first key".
        """
        if self.start < self.end:
            return ((self.start, self.end),)
        low = (b"", self.end)
        if self.start == b"\xff" * ID_BYTES:
            return (low,)
        return (low, (self.start, b"\xff" * ID_BYTES))
