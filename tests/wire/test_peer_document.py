"""docs/protocol/peer.md says of every message what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.config.sections import TABLE
from tace.delivery.blobs import CALL_TIMEOUT_SECONDS
from tace.errors import Refusal, refusal_from_wire
from tace.links.connection import CLOSING_SECONDS
from tace.links.entrance import ACCEPT_BURST_SECONDS
from tace.links.handshake import MAX_HANDSHAKE_BYTES
from tace.links.pool import MAX_DIALS, MAX_SPARE_PER_NODE, RETIRE_SECONDS
from tace.links.rates import (
    BURST_SECONDS,
    FORGERIES_PER_SECOND,
    MAX_FORGERIES,
    MAX_REMEMBERED,
    REFUSALS_SECONDS,
)
from tace.links.reading import MAX_ANSWERS_WAITING_BYTES, STALLED_SECONDS
from tace.mailbox.blob_repair import FETCH_TIMEOUT_SECONDS
from tace.mailbox.blobs import BUSY_MS, MAX_UNDER_WAY
from tace.mailbox.replica import (
    MAX_HELD,
    MAX_WATCHES,
    MAX_WATCHES_OF_NODE,
    WATCHES_RETRY_MS,
)
from tace.ring.membership import MAX_POSITIONS_ASKED
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
LIMIT_ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
SECTION = re.compile(r"\(section \d+\)")
NUMBER = re.compile(r"\d[\d,.]*(?: (?:MiB|KiB|ms|s)\b)?")
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


def _setting(name: str) -> float:
    """The default of one in [links]."""
    value = TABLE[f"links.{name}"].default
    assert isinstance(value, int | float)
    return value


def _number(value: float) -> str:
    """As the page writes it: with commas, and no more of a fraction than there is."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def _marked(value: object) -> str:
    """What a setting is when nobody has set it."""
    assert isinstance(value, int | float)
    return f"{_number(value)} *"


def _kib(size: float) -> str:
    return f"{_number(size / 1024)} KiB"


def _mib(size: float) -> str:
    return f"{_number(size / 1024**2)} MiB"


def _limits() -> dict[str, str]:
    """For each row of section 4.1 its limit, as the settings and constants have it."""
    words = {2.0: "two", 8.0: "eight"}
    hello = f"{_number(_setting('hello_timeout_seconds'))} s *"
    accepts, asked = (
        f"{_number(_setting(name))} a second; at once, {words[burst]} seconds' worth *"
        for name, burst in (
            ("accepts_per_second", ACCEPT_BURST_SECONDS),
            ("max_requests_per_second", BURST_SECONDS),
        )
    )
    size = _setting("max_request_bytes_per_second")
    return {
        "time until a dialled address answers TCP": hello,
        "bytes before the TLS handshake is over": _kib(MAX_HANDSHAKE_BYTES),
        "time from TCP until the hello is verified": hello,
        "body before the hello": _number(MAX_BODY_BYTES_BEFORE_HELLO),
        "body after the hello": _number(MAX_BODY_BYTES),
        "connections that prove nothing, in all": _marked(_setting("max_unproved")),
        "new connections from one address": accepts,
        "links that came in from one address": _marked(_setting("max_links_per_address")),
        "links": _marked(_setting("max_links")),
        "connections in all": "links + connections that prove nothing *",
        "links between two nodes": _number(1 + MAX_SPARE_PER_NODE),
        "requests under way on a link, each way": _marked(_setting("max_requests_in_flight")),
        "one-way messages at work, of a link": _marked(_setting("max_requests_in_flight")),
        "requests and one-way messages of one node": asked,
        "bytes of their bodies": f"{_mib(size)} a second, {_mib(size * BURST_SECONDS)} at once *",
        "refusals of one link": "as many a second as requests; at once, "
        f"{_number(REFUSALS_SECONDS * 1000)} ms' worth",
        "answers that wait for a reader": _kib(MAX_ANSWERS_WAITING_BYTES),
        "the same, without the reader taking anything": f"{_number(STALLED_SECONDS)} s",
        "bytes that wait to be sent": f"{_mib(_setting('max_unsent_bytes'))} *",
        "time for an answer": f"{_number(_setting('call_timeout_seconds'))} s *; for a blob "
        f"{_number(CALL_TIMEOUT_SECONDS)} s, in repair {_number(FETCH_TIMEOUT_SECONDS)} s",
        "time to close in good order": f"{_number(CLOSING_SECONDS)} s",
        "mailboxes watched by all nodes, and by one": f"{_number(MAX_WATCHES)}, "
        f"{_number(MAX_WATCHES_OF_NODE)}",
        "news for a watching node whose link takes no more": f"{_number(MAX_HELD)} ids",
        "blobs on their way in or out": _number(MAX_UNDER_WAY),
        "positions of nodes in the arc of one `ListItems` or `ListBlobs`": _number(
            MAX_POSITIONS_ASKED
        ),
        "what is kept for others": "8.4, 8.5",
        "nodes that are dialled at one time": _number(MAX_DIALS),
        "nodes that are remembered": _marked(TABLE["ring.table_capacity"].default),
        "nodes whose rate is remembered without a link": _number(MAX_REMEMBERED),
    }


def _beyond() -> dict[str, list[str]]:
    """The numbers in what happens beyond a limit, where there are any."""
    return {
        "links between two nodes": [f"{_number(RETIRE_SECONDS)} s"],
        "refusals of one link": [f"{_number(REFUSALS_SECONDS * 1000)} ms"],
        "mailboxes watched by all nodes, and by one": [_number(WATCHES_RETRY_MS)],
        "blobs on their way in or out": [_number(BUSY_MS)],
    }


class LimitsTests(SynchronousTestCase):
    """Section 4.1, row by row; the numbers of 4.2."""

    def setUp(self) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        _, _, rest = text.partition("\n### 4.1 ")
        table, _, rest = rest.partition("\n### 4.2 ")
        self.rows = LIMIT_ROW.findall(table)[1:]
        self.noted, _, _ = rest.partition("\n## 5 ")

    maxDiff = None

    def test_every_row(self) -> None:
        """Is known here, once, and says the program's number."""
        self.assertEqual({what: limit for what, limit, _ in self.rows}, _limits())
        self.assertEqual(len(self.rows), len(_limits()))

    def test_every_number_beyond(self) -> None:
        """A wait, or a time after which, is the program's too."""
        numbers = {what: NUMBER.findall(SECTION.sub("", beyond)) for what, _, beyond in self.rows}
        self.assertEqual({what: found for what, found in numbers.items() if found}, _beyond())

    def test_forgeries(self) -> None:
        """So many at once, and so many a second."""
        self.assertEqual(FORGERIES_PER_SECOND, 1)
        self.assertIn(
            f"{MAX_FORGERIES} that do not hold are borne at once and one a\nsecond after that",
            self.noted,
        )
