"""docs/protocol/peer.md says of every message what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import Refusal, refusal_from_wire
from tace.wire.framing import MAX_BODY_BYTES, MAX_BODY_BYTES_BEFORE_HELLO
from tace.wire.message import Request
from tace.wire.objects import (
    CHUNK_BYTES,
    ENVELOPE_BYTES,
    STORED_BLOB_BYTES,
    TOMBSTONE_BYTES,
)
from tace.wire.peer import PEER_MESSAGES
from tace.wire.session import ONE_WAY

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol" / "peer.md"
ROW = re.compile(r"^\| (\d+) \| (\w+) \| ?(.*?) ?\| ?([\w-]*) ?\|$", re.MULTILINE)
REFUSAL_ROW = re.compile(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| [^|]+ \|$", re.MULTILINE)


class PeerDocumentTests(SynchronousTestCase):
    """The tables of section 5."""

    def setUp(self) -> None:
        self.text = DOCUMENT.read_text(encoding="utf-8")

    def test_every_message(self) -> None:
        """Number, name, fields in order with their defaults, answer."""
        described = {}
        for number, name, fields, answer in ROW.findall(self.text):
            names = tuple(
                (field.split()[0], " = " in field) for field in fields.split(", ") if field
            )
            described[int(number)] = (name, names, answer)
        declared = {}
        for number, cls in PEER_MESSAGES.classes.items():
            fields = tuple(
                (field.encode_name, not field.required) for field in msgspec.structs.fields(cls)
            )
            answer = ""
            if issubclass(cls, Request):
                answer = cls.ANSWER.__name__
            elif cls in ONE_WAY and cls.__name__ != "Records":
                answer = "one-way"
            declared[number] = (cls.__name__, fields, answer)
        self.assertEqual(described, declared)

    def test_refusals(self) -> None:
        """Every word in the tables is one this program knows."""
        words = [
            word
            for row in REFUSAL_ROW.findall(self.text[self.text.index("### 5.6") :])
            for word in re.findall(r"`([a-z-]+)`", row)
        ]
        self.assertGreater(len(words), 15)
        for word in words:
            self.assertIsNot(type(refusal_from_wire(word, "", 0)), Refusal)
            self.assertEqual(refusal_from_wire(word, "", 0).code, word)

    def test_sizes(self) -> None:
        """The sizes it names are the program's."""
        for size in (
            CHUNK_BYTES,
            ENVELOPE_BYTES,
            MAX_BODY_BYTES,
            MAX_BODY_BYTES_BEFORE_HELLO,
            STORED_BLOB_BYTES,
            TOMBSTONE_BYTES,
        ):
            self.assertRegex(self.text, rf"\b{size:,}\b")
