"""Whatever the bytes: a decoder returns a value or raises one of two errors."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import Malformed, ProtocolError
from tace.identity.mailbox_proof import Removal
from tace.identity.node_record import NodeRecord
from tace.identity.user_record import UserRecord
from tace.wire.client import CLIENT_MESSAGES, split_client_message
from tace.wire.message import encode
from tace.wire.objects import (
    ENVELOPE_BYTES,
    TOMBSTONE_BYTES,
    Blob,
    Envelope,
    Tombstone,
)
from tace.wire.peer import PEER_MESSAGES
from tests.wire.samples import CLIENT_SAMPLES, PEER_SAMPLES
from tests.wire.vectors import FROZEN, load

TABLES = (PEER_MESSAGES, CLIENT_MESSAGES)
NUMBERS = tuple((table, number) for table in TABLES for number in table.classes)
BODIES = tuple(
    (table, sample.NUMBER, encode(sample))
    for table, samples in ((PEER_MESSAGES, PEER_SAMPLES), (CLIENT_MESSAGES, CLIENT_SAMPLES))
    for sample in samples
)
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=70)
    | st.text(max_size=10)
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """``original`` with a few bytes changed, cut out or put in."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(("set", "insert", "delete", "cut"))):
            case "set":
                data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del data[place : place + draw(st.integers(1, 8))]
            case _:
                del data[place:]
    return bytes(data)


class MessageTests(SynchronousTestCase):
    """Every message class, fed with what it does not expect."""

    @given(st.sampled_from(NUMBERS), st.binary(max_size=200))
    @settings(derandomize=True, max_examples=400, deadline=None)
    def test_garbage(self, which: tuple[object, int], body: bytes) -> None:
        """Random bytes."""
        self.decode(which, body)

    @given(st.sampled_from(NUMBERS), st.lists(_values, max_size=8))
    @settings(derandomize=True, max_examples=400, deadline=None)
    def test_other_fields(self, which: tuple[object, int], fields: list[object]) -> None:
        """Good MessagePack with the wrong things in it."""
        self.decode(which, msgspec.msgpack.encode(fields))

    @given(st.data())
    @settings(derandomize=True, max_examples=400, deadline=None)
    def test_mutated(self, data: st.DataObject) -> None:
        """Almost right bytes."""
        table, number, body = data.draw(st.sampled_from(BODIES))
        self.decode((table, number), data.draw(mutated(body)))

    def test_deep_nesting(self) -> None:
        """A thousand arrays in each other exhaust the recursion, not the process."""
        for which in NUMBERS:
            self.decode(which, b"\x91" * 100_000)

    def test_bad_utf8(self) -> None:
        """Text that is none."""
        for which in NUMBERS:
            self.decode(which, b"\x91\xa2\xff\xfe")

    @given(st.binary(max_size=40))
    @settings(derandomize=True)
    def test_client_header(self, data: bytes) -> None:
        """The header of a client message."""
        try:
            number, request_id, body = split_client_message(data)
        except ProtocolError:
            self.assertLess(len(data), 6)
        else:
            self.assertEqual(number.to_bytes(2) + request_id.to_bytes(4) + body, data)

    def decode(self, which: tuple[object, int], body: bytes) -> None:
        table, number = which
        assert table in TABLES
        try:
            message = table.decode(number, body)
        except ProtocolError:
            return
        # What was accepted keeps its declared bounds: it can be sent on.
        table.decode(number, encode(message))


def _network() -> bytes:
    return bytes.fromhex(load(FROZEN)["network_id"])


PARSERS: tuple[tuple[str, Callable[[bytes], object]], ...] = (
    ("blob", Blob.parse),
    ("envelope", Envelope.parse),
    ("tombstone", lambda data: Tombstone.parse(bytes(31) + b"\x01", data)),
    ("removal", Removal.parse),
    ("node_record", lambda data: NodeRecord.parse(data, _network())),
    ("user_record", UserRecord.parse),
)


class ObjectTests(SynchronousTestCase):
    """Every stored or signed object."""

    @given(st.sampled_from(PARSERS), st.binary(max_size=300))
    @settings(derandomize=True, max_examples=300, deadline=None)
    def test_garbage(self, which: tuple[str, Callable[[bytes], object]], data: bytes) -> None:
        """Random bytes are never any object."""
        self.assertRefused(which[1], data)

    @given(st.data())
    @settings(derandomize=True, max_examples=200, deadline=None)
    def test_mutated_signed_objects(self, data: st.DataObject) -> None:
        """One changed byte anywhere, and a signed object is refused."""
        name, parse = data.draw(st.sampled_from(PARSERS[3:]))
        original = bytes.fromhex(load(FROZEN)[name]["hex"])
        changed = data.draw(mutated(original))
        if changed != original:
            self.assertRefused(parse, changed)

    @given(st.data())
    @settings(derandomize=True, max_examples=200, deadline=None)
    def test_mutated_tombstone(self, data: st.DataObject) -> None:
        """A tombstone proves itself by hashing, so no byte of it can be another."""
        frozen = load(FROZEN)["tombstone"]
        original = bytes.fromhex(frozen["hex"])
        changed = data.draw(mutated(original))
        if changed != original:
            mailbox = bytes.fromhex(frozen["mailbox"])
            self.assertRefused(lambda encoded: Tombstone.parse(mailbox, encoded), changed)

    @given(st.binary(min_size=ENVELOPE_BYTES - 1, max_size=ENVELOPE_BYTES + 1))
    @settings(derandomize=True, max_examples=50, deadline=None)
    def test_envelopes_of_about_the_right_length(self, data: bytes) -> None:
        """Only the exact length, a known version and a known mailbox kind pass."""
        try:
            envelope = Envelope.parse(data)
        except Malformed:
            return
        self.assertEqual(envelope.encoded, data)
        self.assertEqual(len(data), ENVELOPE_BYTES)

    @given(st.binary(min_size=TOMBSTONE_BYTES, max_size=TOMBSTONE_BYTES))
    @settings(derandomize=True, max_examples=50)
    def test_tombstones_of_the_right_length(self, data: bytes) -> None:
        """Nobody guesses a secret."""
        self.assertRefused(lambda encoded: Tombstone.parse(bytes(32), encoded), data)

    def assertRefused(self, parse: Callable[[bytes], object], data: bytes) -> None:
        with self.assertRaises((ProtocolError, Malformed)):
            parse(data)
