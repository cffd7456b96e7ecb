"""Making stamps."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.stamp import stamp_search, with_stamp
from tace.ids import KIND_REQUESTS
from tace.wire.objects import BLOB_BYTES, Envelope, stamp_bits

ENVELOPE = Envelope.make(
    mailbox=b"m" * 31 + bytes([KIND_REQUESTS]),
    expires_hours=500_000,
    lock=b"l" * 32,
    blob=bytes(BLOB_BYTES),
)


class StampTests(SynchronousTestCase):
    def test_found_stamp_is_accepted(self) -> None:
        """By the side that checks; the id stays, and a higher target is not met."""
        steps = list(stamp_search(ENVELOPE.id, 12, step=256))
        nonce = steps[-1]
        assert nonce is not None
        stamped = with_stamp(ENVELOPE, 12, nonce)
        self.assertEqual(ENVELOPE.id, stamped.id)
        self.assertTrue(stamped.stamped_for(12))
        self.assertTrue(stamped.stamped_for(5))
        self.assertFalse(stamped.stamped_for(13))
        self.assertFalse(ENVELOPE.stamped_for(1))

    def test_in_steps(self) -> None:
        """Control comes back after every step, so a search can be given up."""
        search = stamp_search(ENVELOPE.id, 200, step=10)
        self.assertEqual([None] * 5, [next(search) for _ in range(5)])
        search.close()

    def test_every_nonce_is_tried_in_turn(self) -> None:
        """The first nonce that does is the one that is found, whatever the step."""
        first = next(n for n in range(10_000) if stamp_bits(ENVELOPE.id, 8, n) >= 8)
        for step in (1, 7, 4096):
            self.assertEqual(first, list(stamp_search(ENVELOPE.id, 8, step=step))[-1])
        later = list(stamp_search(ENVELOPE.id, 8, start=first + 1))[-1]
        self.assertGreater(later or 0, first)

    def test_no_work(self) -> None:
        """A target of 0 is met by the first nonce; targets beyond a byte cannot be."""
        self.assertEqual([0], list(stamp_search(ENVELOPE.id, 0)))
        self.assertRaises(ValueError, next, stamp_search(ENVELOPE.id, 256))

    def test_nonces_run_out(self) -> None:
        """At the end of the numbers the search ends."""
        self.assertEqual([None], list(stamp_search(ENVELOPE.id, 255, start=(1 << 64) - 3)))
