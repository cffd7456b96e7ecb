"""Every message against its golden bytes."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ProtocolError, UnknownMessage
from tace.wire.client import CLIENT_MESSAGES
from tace.wire.message import Message, MessageTable, encode
from tace.wire.peer import PEER_MESSAGES, Done, GetRing, Notify
from tests.wire.samples import CLIENT_SAMPLES, PEER_SAMPLES
from tests.wire.vectors import MESSAGES, load, plain, vector_of

PROTOCOLS: tuple[tuple[str, MessageTable, tuple[Message, ...]], ...] = (
    ("peer", PEER_MESSAGES, PEER_SAMPLES),
    ("client", CLIENT_MESSAGES, CLIENT_SAMPLES),
)


class GoldenBytesTests(SynchronousTestCase):
    """The committed vectors say what every message looks like on the wire."""

    def test_every_class_has_a_vector(self) -> None:
        """A message nobody wrote a vector for would be free to change."""
        for name, table, _ in PROTOCOLS:
            vectors = {(one["name"], one["number"]) for one in load(MESSAGES)[name]}
            declared = {(cls.__name__, number) for number, cls in table.classes.items()}
            self.assertEqual(declared, vectors)

    def test_samples_encode_to_the_vectors(self) -> None:
        """What is encoded today is what was encoded when the vectors were written."""
        for name, _, samples in PROTOCOLS:
            self.assertEqual([vector_of(one) for one in samples], load(MESSAGES)[name])

    def test_vectors_decode_to_their_fields(self) -> None:
        """Decoding gives back each field, and encoding that gives back the bytes."""
        for name, table, _ in PROTOCOLS:
            for vector in load(MESSAGES)[name]:
                body = bytes.fromhex(vector["hex"])
                message = table.decode(vector["number"], body)
                self.assertEqual(plain(message), vector["fields"])
                self.assertEqual(encode(message), body)

    def test_vectors_are_plain_messagepack(self) -> None:
        """A decoder that knows nothing of the declarations reads the same fields."""
        for name, _, _ in PROTOCOLS:
            for vector in load(MESSAGES)[name]:
                fields = msgspec.msgpack.decode(bytes.fromhex(vector["hex"]))
                self.assertEqual(plain(fields), vector["fields"])

    def test_numbers_are_in_their_ranges(self) -> None:
        """1 to 255 between nodes, from 256 up for clients: no number means two things."""
        self.assertTrue(all(1 <= number <= 255 for number in PEER_MESSAGES.classes))
        self.assertTrue(all(256 <= number <= 0xFFFF for number in CLIENT_MESSAGES.classes))


class EvolutionTests(SynchronousTestCase):
    """How messages of other versions are read."""

    def test_unknown_trailing_fields_are_ignored(self) -> None:
        """A newer version may have appended fields."""
        body = msgspec.msgpack.encode([1, 2, "new", [b"", {}]])
        self.assertEqual(PEER_MESSAGES.decode(Notify.NUMBER, body), Notify(1, 2))

    def test_missing_fields_take_their_defaults(self) -> None:
        """An older version knows fewer fields."""
        body = msgspec.msgpack.encode([4])
        self.assertEqual(PEER_MESSAGES.decode(GetRing.NUMBER, body), GetRing(4, b""))

    def test_missing_fields_without_default_are_an_error(self) -> None:
        """What a message cannot do without must be there."""
        with self.assertRaises(ProtocolError):
            PEER_MESSAGES.decode(Notify.NUMBER, msgspec.msgpack.encode([1]))

    def test_an_unknown_number_is_told_apart(self) -> None:
        """It is no protocol error: a newer version may have it."""
        with self.assertRaises(UnknownMessage):
            PEER_MESSAGES.decode(255, b"\x90")

    def test_no_number_is_given_twice(self) -> None:
        """A table with two classes for one number cannot be made."""

        class Twice(Message, frozen=True, array_like=True, gc=False):
            NUMBER = Done.NUMBER

        with self.assertRaises(ValueError):
            MessageTable((Done, Twice))
