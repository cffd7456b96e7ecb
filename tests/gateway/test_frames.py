"""Client messages in bodies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ProtocolError
from tace.gateway.frames import MAX_BODY_BYTES, MAX_FRAMES, join_frames, split_frames
from tace.wire.client import HEAD_BYTES, MAX_CLIENT_MESSAGE_BYTES


class FrameTests(SynchronousTestCase):
    """What is a body, and what is not."""

    def assert_refused(self, body: bytes) -> None:
        self.assertRaises(ProtocolError, split_frames, body)

    def test_layout(self) -> None:
        """A length of four bytes, then the message."""
        self.assertEqual(join_frames([b"123456", b"1234567"]).hex(" ", -4)[:8], "00000006")
        self.assertEqual(split_frames(b"\0\0\0\x06abcdef"), [b"abcdef"])

    @given(st.lists(st.binary(min_size=HEAD_BYTES, max_size=200), min_size=1, max_size=MAX_FRAMES))
    def test_there_and_back(self, messages: list[bytes]) -> None:
        """What is joined splits into the same."""
        self.assertEqual(split_frames(join_frames(messages)), messages)

    @given(st.binary(max_size=400))
    def test_any_bytes(self, body: bytes) -> None:
        """They split into what joins to them, or they are refused by name."""
        try:
            messages = split_frames(body)
        except ProtocolError:
            return
        self.assertEqual(join_frames(messages), body)

    def test_bounds(self) -> None:
        """Messages in a body, bytes of a message, bytes of the body: the most, and one more."""
        small = bytes(HEAD_BYTES)
        self.assertEqual(len(split_frames(join_frames([small] * MAX_FRAMES))), MAX_FRAMES)
        self.assert_refused(join_frames([small] * (MAX_FRAMES + 1)))
        large = bytes(MAX_CLIENT_MESSAGE_BYTES)
        self.assertEqual(split_frames(join_frames([large])), [large])
        self.assert_refused(join_frames([large + b"x"]))
        self.assert_refused(join_frames([small[:-1]]))
        rest = bytes(MAX_BODY_BYTES - len(large) - 8)
        self.assertEqual(split_frames(join_frames([large, rest])), [large, rest])
        self.assert_refused(join_frames([large, rest + b"x"]))

    def test_cut_short(self) -> None:
        """At every byte; and nothing at all."""
        body = join_frames([bytes(HEAD_BYTES)])
        for length in range(len(body)):
            self.assert_refused(body[:length])
