"""Contents and their kinds."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.content import (
    DELIVERED,
    MAX_BODY_BYTES,
    MAX_CONTENTS,
    MAX_RECEIPTS,
    MAX_UNREAD,
    PIECE_BYTES,
    Body,
    ContactsMailbox,
    Content,
    Delete,
    Edit,
    File,
    Kind,
    Part,
    Profile,
    Reaction,
    Receipt,
    SessionRequest,
    Text,
    Unknown,
    chunks_of,
    decode_contents,
    encode_body,
    encode_contents,
)
from tace.e2ee.inner import ROOM_WITH_HANDSHAKE
from tace.errors import Malformed
from tace.ids import KIND_CONTACTS, KIND_REQUESTS

ID = b"i" * 16
MAILBOX = b"m" * 31 + bytes([KIND_CONTACTS])

_ids = st.binary(min_size=16, max_size=16)
_safe = st.integers(0, (1 << 53) - 1)
_bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(Text, st.text(max_size=100)),
    st.builds(
        Part,
        _ids,
        st.integers(3, 255),
        st.integers(0, 31),
        st.integers(32, 64),
        st.binary(min_size=1, max_size=50),
    ),
    st.builds(Receipt, st.integers(0, 255), st.lists(_ids, min_size=1, max_size=5).map(tuple)),
    st.builds(SessionRequest, st.lists(st.just(bytes(32)), max_size=3).map(tuple)),
    st.builds(Profile, st.text(max_size=64)),
    st.just(ContactsMailbox(MAILBOX)),
    st.builds(Reaction, _ids, st.text(max_size=8)),
    st.builds(Edit, _ids, st.text(max_size=100)),
    st.builds(Delete, _ids),
    st.builds(
        lambda name, size, expires: File(
            name, "text/plain", size, bytes(32), expires, (bytes(32),) * chunks_of(size)
        ),
        st.text(max_size=255),
        st.integers(0, 5 * PIECE_BYTES),
        st.integers(0, (1 << 32) - 1),
    ),
    st.just(Unknown(200, b"\x93\x01\xa1x\xc0")),
)
_contents = st.builds(Content, _ids, _safe, _safe, _bodies, st.none() | _ids)


def _raw(kind: object, body: object, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "kind": kind,
        "id": ID,
        "counter": 1,
        "sent_ms": 2,
        "reply_to": None,
        "body": body,
    }
    return msgspec.msgpack.encode([list((fields | changes).values())])


class ContentTests(SynchronousTestCase):
    @given(st.lists(_contents, min_size=1, max_size=MAX_CONTENTS))
    def test_round_trip(self, contents: list[Content]) -> None:
        """Every content comes back as it was, several in a message too."""
        self.assertEqual(contents, decode_contents(encode_contents(contents)))

    @given(st.binary(max_size=200))
    def test_whatever_the_bytes(self, junk: bytes) -> None:
        """Nothing but contents or Malformed comes out."""
        try:
            found = decode_contents(junk)
        except Malformed:
            return
        self.assertTrue(found)

    def test_numbers_never_change(self) -> None:
        """The table of kinds, reserved ones included."""
        table = {name: number for name, number in vars(Kind).items() if name.isupper()}
        self.assertEqual(
            "TEXT PART RECEIPT SESSION_REQUEST PROFILE CONTACTS_MAILBOX REACTION EDIT DELETE "
            "FILE TIMER DUMMY OWN_COPY",
            " ".join(table),
        )
        self.assertEqual(list(range(1, 14)), list(table.values()))

    def test_exact_bytes(self) -> None:
        """``[[1, id, 7, 1000, nil, ["hi"]]]`` and no more."""
        encoded = encode_contents([Content(ID, 7, 1000, Text("hi"))])
        self.assertEqual(b"\x91\x96\x01\xc4\x10" + ID + b"\x07\xcd\x03\xe8\xc0\x91\xa2hi", encoded)

    def test_kinds_of_a_newer_version(self) -> None:
        """Reserved and unknown kinds come out as such, with their bytes."""
        for kind in (Kind.TIMER, 99, 255):
            (found,) = decode_contents(_raw(kind, [ID, "x"]))
            self.assertEqual(Unknown(kind, msgspec.msgpack.encode([ID, "x"])), found.body)

    def test_fields_of_a_newer_version(self) -> None:
        """Trailing fields are ignored, in the content and in its body."""
        encoded = _raw(Kind.TEXT, ["hi", "later"], more={"x": [1]})
        self.assertEqual([Content(ID, 1, 2, Text("hi"))], decode_contents(encoded))

    def test_refused(self) -> None:
        """Wrong types, lengths and places."""
        for encoded in (
            b"",
            b"\x90",
            msgspec.msgpack.encode([1]),
            b"\x91" * 2000,
            _raw(Kind.TEXT, ["hi"], id=b"short"),
            _raw(Kind.TEXT, ["hi"], reply_to=b"short"),
            _raw(Kind.TEXT, ["hi"], counter=-1),
            _raw(Kind.TEXT, ["hi"], counter=1 << 53),
            _raw(256, ["hi"]),
            _raw(Kind.TEXT, "hi"),
            _raw(Kind.TEXT, []),
            _raw(Kind.TEXT, [b"hi"]),
            _raw(Kind.TEXT, [1]),
            _raw(Kind.PART, [ID, 1, 1, 1, b"x"]),
            _raw(Kind.PART, [ID, Kind.PART, 0, 2, b"x"]),
            _raw(Kind.PART, [ID, 1, 0, 65, b"x"]),
            _raw(Kind.PART, [ID, 1, 0, 2, b""]),
            _raw(Kind.RECEIPT, [1, []]),
            _raw(Kind.RECEIPT, [1, [ID] * (MAX_RECEIPTS + 1)]),
            _raw(Kind.SESSION_REQUEST, [[bytes(32)] * (MAX_UNREAD + 1)]),
            _raw(Kind.PROFILE, ["x" * 65]),
            _raw(Kind.CONTACTS_MAILBOX, [bytes(31) + bytes([KIND_REQUESTS])]),
            _raw(Kind.REACTION, [ID, "👍" * 8 + "x"]),
            _raw(Kind.REACTION, [ID[:-1], ""]),
            _raw(Kind.EDIT, [ID]),
            _raw(Kind.DELETE, []),
            _raw(Kind.FILE, ["f", "", 0, bytes(32), 1, []]),
            _raw(Kind.FILE, ["f", "", 0, bytes(32), 1, [bytes(32)] * 2]),
            _raw(Kind.FILE, ["f", "", PIECE_BYTES, bytes(32), 1, [bytes(32)] * 2]),
            _raw(Kind.FILE, ["f", "", PIECE_BYTES + 1, bytes(32), 1, [bytes(32)]]),
            _raw(Kind.FILE, ["f", "", -1, bytes(32), 1, [bytes(32)]]),
            _raw(Kind.FILE, ["f" * 256, "", 1, bytes(32), 1, [bytes(32)]]),
            _raw(Kind.FILE, ["f", "t" * 128, 1, bytes(32), 1, [bytes(32)]]),
            _raw(Kind.FILE, ["f", "", 1024 * PIECE_BYTES + 1, bytes(32), 1, [bytes(32)] * 1025]),
            msgspec.msgpack.encode([[1, ID, 1, 2, None, ["hi"]]] * (MAX_CONTENTS + 1)),
        ):
            self.assertRaises(Malformed, decode_contents, encoded)

    def test_broken_utf8(self) -> None:
        """Text is UTF-8 or nothing."""
        encoded = encode_contents([Content(ID, 1, 2, Text("hi"))]).replace(b"hi", b"\xff\xfe")
        self.assertRaises(Malformed, decode_contents, encoded)

    def test_what_is_said_is_not_shown(self) -> None:
        """Contents print their kind, never what they hold."""
        bodies = (Text("secret"), Profile("secret"), Unknown(99, b"secret"))
        shown = repr([Content(ID, 1, 2, body) for body in bodies])
        self.assertNotIn("secret", shown)
        self.assertIn("<Text>", shown)

    def test_how_many(self) -> None:
        """One to eight."""
        content = Content(ID, 1, 2, Text("hi"))
        self.assertRaises(ValueError, encode_contents, [])
        self.assertRaises(ValueError, encode_contents, [content] * (MAX_CONTENTS + 1))

    def test_the_largest_file_fits_in_parts(self) -> None:
        """1,024 hashes and full names stay below the longest body."""
        body = File("🚲" * 255, "t" * 127, 1024 * PIECE_BYTES, bytes(32), 1, (bytes(32),) * 1024)
        self.assertLessEqual(len(encode_body(body)), MAX_BODY_BYTES)

    def test_full_lists_fit_beside_a_handshake(self) -> None:
        """A receipt and a session request of full length need no parts."""
        now_ms = 1 << 52
        for body in (
            Receipt(DELIVERED, (ID,) * MAX_RECEIPTS),
            SessionRequest((bytes(32),) * MAX_UNREAD),
        ):
            encoded = encode_contents([Content(ID, 0, now_ms, body, ID)])
            self.assertLessEqual(len(encoded), ROOM_WITH_HANDSHAKE)
