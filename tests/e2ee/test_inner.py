"""The inner message and the budget of bytes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee import inner
from tace.e2ee.device import CERTIFICATE_BYTES
from tace.e2ee.inner import Inner, pad, unpad
from tace.e2ee.pqxdh import HANDSHAKE_BYTES
from tace.errors import Malformed
from tace.wire.objects import BLOB_BYTES, ENVELOPE_BYTES, HEADER_BYTES
from tests.e2ee.people import Person


class BudgetTests(SynchronousTestCase):
    def test_envelope_adds_up(self) -> None:
        """Header and blob; in the blob the seal, the secret, the inner message."""
        self.assertEqual(ENVELOPE_BYTES, HEADER_BYTES + BLOB_BYTES)
        self.assertEqual((3630, 78, 3552), (ENVELOPE_BYTES, HEADER_BYTES, BLOB_BYTES))
        enc, tag, secret = 65, 16, 16
        self.assertEqual(BLOB_BYTES, enc + secret + inner.INNER_BYTES + tag)

    def test_inner_messages_add_up(self) -> None:
        """Both types are 3,455 bytes, each with the room the document promises."""
        salt, header, tag, length = 16, 33 + 4 + 4 + 16, 16, 2
        identity, device = 33, 32
        in_session = 1 + identity + device + salt + header + length + 3298 + tag
        handshake = 1 + (33 + 33 + 33 + 4 + 64) + 33 + 4 + 1088
        with_handshake = 1 + handshake + salt + header + length + 2070 + tag
        self.assertEqual((3455, 3455), (in_session, with_handshake))
        self.assertEqual(inner.INNER_BYTES, in_session)
        self.assertEqual((3298, 2070), (inner.ROOM_IN_SESSION, inner.ROOM_WITH_HANDSHAKE))
        self.assertEqual((167, 1293), (CERTIFICATE_BYTES, HANDSHAKE_BYTES))

    def test_room_the_design_asks_for(self) -> None:
        """About 3,320 bytes in a session, at least 1,960 with the handshake."""
        self.assertGreaterEqual(inner.ROOM_IN_SESSION, 3290)
        self.assertGreaterEqual(inner.ROOM_WITH_HANDSHAKE, 1960)


class PaddingTests(SynchronousTestCase):
    def test_length_tells_nothing(self) -> None:
        """Whatever the content, as long as the room."""
        for content in (b"", b"x", b"x" * 99, bytes(100)):
            padded = pad(content, 100)
            self.assertEqual(102, len(padded))
            self.assertEqual(content, unpad(padded))

    def test_too_much(self) -> None:
        """Content that does not fit is refused before anything is encrypted."""
        self.assertRaises(ValueError, pad, bytes(101), 100)

    def test_only_one_padding(self) -> None:
        """A length past the end, or anything but zeros behind the content, is refused."""
        for wrong in (b"", b"\0", b"\0\5abc", b"\0\1a\0\1"):
            self.assertRaises(Malformed, unpad, wrong)


class InnerTests(SynchronousTestCase):
    def test_claims(self) -> None:
        """Both types name identity and device of the sender."""
        ann, ben = Person("ann"), Person("ben")
        ann.start(ben)
        first = ann.send(ben, b"first")
        ben.receive(ann, first)
        ann.receive(ben, ben.send(ann, b"answer"))
        second = ann.send(ben, b"second")
        self.assertEqual((2, 1), (first[0], second[0]))
        for encoded in (first, second):
            found = Inner.parse(encoded)
            self.assertEqual((ann.own.identity, ann.own.id), (found.identity, found.device))
            self.assertEqual(encoded, found.prefix + found.message)
        self.assertEqual(HANDSHAKE_BYTES, len(Inner.parse(first).handshake))
        self.assertEqual(b"", Inner.parse(second).handshake)

    def test_refused(self) -> None:
        """Other lengths, and types that are not known."""
        for wrong in (b"", bytes(3455), b"\3" + bytes(3454), b"\1" * 3454, b"\1" * 3456):
            self.assertRaises(Malformed, Inner.parse, wrong)
