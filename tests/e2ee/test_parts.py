"""Splitting and joining."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.content import MAX_PARTS, Body, Content, Kind, Part, Text, encode_contents
from tace.e2ee.inner import ROOM_IN_SESSION, ROOM_WITH_HANDSHAKE
from tace.e2ee.parts import MAX_JOINING, PART_OVERHEAD_BYTES, Joining, split
from tace.errors import Malformed, TooLarge

ID = b"i" * 16


def _split(body: Body, room: int = ROOM_WITH_HANDSHAKE) -> list[Part]:
    return split(body, room, Random(1).randbytes)


def _part(whole: int, index: int, count: int, piece: bytes = b"x", kind: int = Kind.TEXT) -> Part:
    return Part(whole.to_bytes(16), kind, index, count, piece)


class PartsTests(SynchronousTestCase):
    @given(st.text(min_size=1, max_size=3000), st.integers(120, 400), st.randoms())
    def test_any_order_with_duplicates(self, text: str, room: int, random: Random) -> None:
        """However the parts come, the body comes out once, when the last has come."""
        if len(text.encode()) > (room - PART_OVERHEAD_BYTES) * (MAX_PARTS - 1):
            text = text[:300]
        parts = _split(Text(text), room)
        random.shuffle(parts)
        joining = Joining()
        for part in parts[:-1]:
            self.assertIsNone(joining.add(part))
            self.assertIsNone(joining.add(part))
        self.assertEqual(Text(text), joining.add(parts[-1]))
        self.assertEqual(0, len(joining))

    def test_every_part_fits_its_message(self) -> None:
        """All other fields at their longest, in both kinds of room, and little is left over."""
        for room in (ROOM_IN_SESSION, ROOM_WITH_HANDSHAKE):
            for part in _split(Text("\N{BICYCLE}" * 10_000), room)[:-1]:
                content = Content(ID, (1 << 53) - 1, (1 << 53) - 1, part, ID)
                size = len(encode_contents([content]))
                self.assertLessEqual(size, room)
                self.assertGreater(size, room - 20)

    def test_limit(self) -> None:
        """64 KiB go, with the handshake too; one byte more does not."""
        most = 64 * 1024 - 4
        self.assertLessEqual(len(_split(Text("x" * most))), MAX_PARTS)
        self.assertRaises(TooLarge, _split, Text("x" * (most + 1)))
        self.assertRaises(TooLarge, _split, Text("x" * 60_000), 200)

    def test_contradictions(self) -> None:
        """Another count, kind or piece under the same whole: all of it is given up."""
        for other in (
            _part(1, 1, 3),
            _part(1, 1, 2, kind=Kind.PROFILE),
            _part(1, 0, 2, b"y"),
        ):
            joining = Joining()
            joining.add(_part(1, 0, 2))
            self.assertRaises(Malformed, joining.add, other)
            self.assertEqual(0, len(joining))

    def test_too_large_when_joined(self) -> None:
        """More than 64 KiB are given up before they are complete."""
        joining = Joining()
        joining.add(_part(1, 0, 3, bytes(40_000)))
        self.assertRaises(Malformed, joining.add, _part(1, 1, 3, bytes(40_000)))
        self.assertEqual(0, len(joining))

    def test_broken_when_joined(self) -> None:
        """Pieces that make no body of their kind."""
        joining = Joining()
        joining.add(_part(1, 0, 2))
        self.assertRaises(Malformed, joining.add, _part(1, 1, 2))
        self.assertEqual(0, len(joining))

    def test_bounded(self) -> None:
        """Sixteen in the making; the one that began first goes for the seventeenth."""
        joining = Joining()
        parts = [_split(Text(str(n) * 3000)) for n in range(2)]
        joining.add(parts[0][0])
        for n in range(2, MAX_JOINING + 2):
            joining.add(_part(n, 0, 2))
        self.assertEqual(MAX_JOINING, len(joining))
        self.assertIsNone(joining.add(parts[0][1]))
        self.assertEqual(MAX_JOINING, len(joining))

    def test_alone(self) -> None:
        """A body of one part comes out at once."""
        (part,) = _split(Text("short"))
        self.assertEqual(Text("short"), Joining().add(part))
