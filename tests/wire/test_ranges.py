"""Elements and fingerprints, as docs/protocol/peer.md writes them down."""

from __future__ import annotations

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from tace.wire.ranges import NOTHING, RangeSum, element, fingerprint, joined, short_name

PLACE = bytes(range(64))


class FingerprintTests(SynchronousTestCase):
    """Section 8.6, computed beside the program."""

    def test_an_element(self) -> None:
        """H("tace item 1" || place || state) as a number; its first 8 bytes are its short name."""
        for state in (1, 2, 3):
            digest = sha256(b"tace item 1" + PLACE + bytes([state])).digest()
            self.assertEqual(element(PLACE, state), int.from_bytes(digest, "big"))
            self.assertEqual(short_name(PLACE, state), digest[:8])

    def test_a_fingerprint(self) -> None:
        """Of the sum mod 2^256 and the count."""
        elements = [element(PLACE, state) for state in (1, 2, 3)]
        total = (sum(elements) % 2**256).to_bytes(32, "big")
        expected = sha256(b"tace fingerprint 1" + total + bytes(7) + b"\x03").digest()[:16]
        self.assertEqual(fingerprint(3, sum(elements)), expected)
        self.assertEqual(fingerprint(0, 0), sha256(b"tace fingerprint 1" + bytes(40)).digest()[:16])
        self.assertEqual(NOTHING, fingerprint(0, 0))

    def test_golden_bytes(self) -> None:
        """These never change."""
        self.assertEqual(short_name(PLACE, 1).hex(), "d9c285b21d0389b9")
        self.assertEqual(
            fingerprint(1, element(PLACE, 1)).hex(), "53b385349fb3c2be7016bba380778564"
        )
        self.assertEqual(NOTHING.hex(), "91611f10228e8ced0ff6dcc54a7b8f9b")

    def test_parts_join(self) -> None:
        """Counts and sums add up; the end is the last one's."""
        parts = [RangeSum(b"a", 1, 2**256 - 1), RangeSum(b"b", 2, 5)]
        self.assertEqual(joined(parts), RangeSum(b"b", 3, 4))
