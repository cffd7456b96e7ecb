"""Frames out of a byte stream, however it is cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ProtocolError
from tace.wire.framing import (
    HEAD_BYTES,
    MAX_BODY_BYTES,
    MAX_BODY_BYTES_BEFORE_HELLO,
    Frame,
    FrameBuffer,
    encode_frame,
)

frames = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), st.binary(max_size=200))


def drain(buffer: FrameBuffer) -> list[Frame]:
    found = []
    while (frame := buffer.next_frame()) is not None:
        found.append(frame)
    return found


class FrameBufferTests(SynchronousTestCase):
    """What goes in as frames comes out as frames."""

    def test_layout(self) -> None:
        """``length u32 | type u16 | request id u32 | body``; the length counts what follows it."""
        self.assertEqual(
            encode_frame(0x0102, 0x03040506, b"xyz"), bytes.fromhex("0000000901020304050678797a")
        )

    @given(st.lists(frames, max_size=8), st.data())
    @settings(derandomize=True, deadline=None)
    def test_any_fragmentation(self, sent: list[Frame], data: st.DataObject) -> None:
        """The same frames come out in the same order wherever the stream is cut."""
        stream = b"".join(encode_frame(*frame) for frame in sent)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
        buffer = FrameBuffer(MAX_BODY_BYTES)
        received = []
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            buffer.add(stream[start:end])
            received += drain(buffer)
        self.assertEqual(received, sent)

    @given(st.binary(max_size=64))
    @settings(derandomize=True)
    def test_garbage(self, garbage: bytes) -> None:
        """Nothing but a protocol error ever leaves the buffer."""
        buffer = FrameBuffer(32)
        buffer.add(garbage)
        try:
            drain(buffer)
        except ProtocolError:
            return

    def test_one_byte_at_a_time(self) -> None:
        """The slowest sender of all."""
        buffer = FrameBuffer(MAX_BODY_BYTES)
        received = []
        for byte in encode_frame(7, 9, b"hello") * 2:
            buffer.add(bytes([byte]))
            received += drain(buffer)
        self.assertEqual(received, [(7, 9, b"hello")] * 2)

    def test_too_long_is_refused_by_its_length_alone(self) -> None:
        """Four bytes are enough to know; nothing of the body is waited for."""
        for allowed in (MAX_BODY_BYTES_BEFORE_HELLO, MAX_BODY_BYTES):
            buffer = FrameBuffer(allowed)
            buffer.add((allowed + HEAD_BYTES - 4 + 1).to_bytes(4))
            self.assertRaises(ProtocolError, buffer.next_frame)

    def test_the_longest_is_taken(self) -> None:
        """The limit itself is allowed."""
        buffer = FrameBuffer()
        body = bytes(MAX_BODY_BYTES_BEFORE_HELLO)
        buffer.add(encode_frame(1, 0, body))
        self.assertEqual(buffer.next_frame(), (1, 0, body))

    def test_too_short_is_refused(self) -> None:
        """A length that does not even cover type and request id."""
        for length in range(HEAD_BYTES - 4):
            buffer = FrameBuffer()
            buffer.add(length.to_bytes(4) + bytes(6))
            self.assertRaises(ProtocolError, buffer.next_frame)

    def test_a_new_limit_holds_from_the_next_frame(self) -> None:
        """What came in one read with the hello is cut after the limit was raised."""
        large = encode_frame(2, 1, bytes(MAX_BODY_BYTES))
        buffer = FrameBuffer()
        buffer.add(encode_frame(1, 0, b"hello") + large)
        self.assertEqual(buffer.next_frame(), (1, 0, b"hello"))
        buffer.allow(MAX_BODY_BYTES)
        self.assertEqual(buffer.next_frame(), (2, 1, bytes(MAX_BODY_BYTES)))
