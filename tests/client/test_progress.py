"""How far messages have come."""

from __future__ import annotations

import random
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tace.client.backoff import offer_again_after, retry_after
from tace.client.progress import offered, progress
from tace.client.rows import MessageState, Parcel, ParcelState
from tace.ids import KIND_CONTACTS, mailbox_id
from tace.wire.client import SendResult
from tace.wire.objects import BLOB_BYTES, Envelope, lock_of

SECRET = bytes(range(16))
NOW = 1_800_000_000.0
ENVELOPE = Envelope.make(
    mailbox=mailbox_id(b"\x02" + bytes(32), KIND_CONTACTS),
    expires_hours=500_000,
    lock=lock_of(SECRET),
    blob=bytes(BLOB_BYTES),
)
WAITING = Parcel(
    1, 1, bytes(32), ENVELOPE.id, ENVELOPE.encoded, False, ParcelState.WAITING, 0, 0, 0, 0.0
)
STORED = replace(WAITING, state=ParcelState.STORED, copies=3, replicas=3, attempts=1)
ACKED = replace(STORED, state=ParcelState.ACKED)
PARTIAL = replace(WAITING, copies=1, replicas=3, attempts=1)


class Offering(SynchronousTestCase):
    """What an answer makes of a parcel."""

    def after(self, parcel: Parcel, *result: object) -> Parcel:
        answer = SendResult(*result)  # type: ignore[arg-type]
        return offered(parcel, ENVELOPE, answer, NOW, random.Random(1))

    def test_stored(self) -> None:
        """It is offered again after a minute, then ever more seldom."""
        after = self.after(WAITING, "stored", 5, 8)
        self.assertEqual((after.state, after.copies, after.replicas), (ParcelState.STORED, 5, 8))
        waits = []
        for _ in range(12):
            waits.append(after.next_seconds - NOW)
            after = self.after(after, "stored", 5, 8)
        self.assertTrue(45 <= waits[0] <= 75)
        self.assertTrue(all(wait <= 6 * 3600 * 1.25 for wait in waits))
        self.assertGreater(waits[-1], 4 * 3600)

    def test_not_stored(self) -> None:
        """A quarter of a second, then slower; never sooner than the node said."""
        after = self.after(WAITING, "partial", 1, 3)
        self.assertEqual((after.state, after.copies, after.replicas), (ParcelState.WAITING, 1, 3))
        self.assertEqual(after.next_seconds, NOW + 0.25)
        self.assertEqual(self.after(WAITING, "quota", 0, 0, b"", 30_000).next_seconds, NOW + 30)
        self.assertGreater(self.after(after, "partial", 1, 3).next_seconds, NOW + 0.7)

    def test_no_word_ends_it(self) -> None:
        """What one node will not have is offered to another."""
        for word in ("malformed", "expired", "too-far-ahead", "too-large", "rate-limited", "new"):
            after = self.after(WAITING, word)
            self.assertEqual((after.state, after.next_seconds), (ParcelState.WAITING, NOW + 0.25))

    def test_a_wish_for_a_pause(self) -> None:
        """Granted up to a minute, and only where no other node can be asked."""
        wish = SendResult("rate-limited", retry_after_ms=2**32 - 1)
        after = offered(WAITING, ENVELOPE, wish, NOW, random.Random(1))
        self.assertEqual(after.next_seconds, NOW + 60.0)
        after = offered(WAITING, ENVELOPE, wish, NOW, random.Random(1), elsewhere=True)
        self.assertEqual(after.next_seconds, NOW + 0.25)

    def test_a_stored_one_that_fails(self) -> None:
        """What a majority had does not fall back; it is looked after in a minute."""
        after = self.after(STORED, "not-stored")
        self.assertEqual((after.state, after.copies), (ParcelState.STORED, 3))
        self.assertTrue(45 <= after.next_seconds - NOW <= 75)

    def test_the_proof(self) -> None:
        """Only the secret behind the lock."""
        self.assertEqual(self.after(STORED, "acked", 3, 3, SECRET).state, ParcelState.ACKED)
        for lie in (b"", bytes(16), SECRET[:15]):
            self.assertEqual(self.after(STORED, "acked", 3, 3, lie).state, ParcelState.STORED)
            self.assertEqual(self.after(WAITING, "acked", 3, 3, lie).state, ParcelState.WAITING)

    def test_pauses(self) -> None:
        """Whatever the count, within their bounds."""
        source = random.Random(2)
        for count in (0, 1, 2, 10, 1000, 10**6):
            self.assertTrue(0.25 <= retry_after(count, source) <= 75.0)
            self.assertTrue(45.0 <= offer_again_after(count, source) <= 6 * 3600 * 1.25)


class Messages(SynchronousTestCase):
    """What the parcels of a message say of it."""

    def test_the_least_of_its_contents(self) -> None:
        """A text in parts is stored when all of them are."""
        for parcels, state, copies in (
            ([[STORED]], MessageState.STORED, 3),
            ([[STORED], [replace(STORED, copies=2)]], MessageState.STORED, 2),
            ([[STORED], [PARTIAL]], MessageState.PARTIAL, 1),
            ([[STORED], [WAITING]], MessageState.QUEUED, 0),
            ([[STORED], []], MessageState.QUEUED, 0),
            ([[ACKED], [STORED]], MessageState.STORED, 3),
            ([[ACKED], [ACKED]], MessageState.DELIVERED, 3),
        ):
            found = progress(parcels)
            self.assertEqual((found[0], found[1]), (state, copies), parcels)

    def test_the_best_of_the_devices(self) -> None:
        """One of the recipient's devices is enough."""
        self.assertEqual(progress([[WAITING, ACKED]])[0], MessageState.DELIVERED)
        self.assertEqual(progress([[STORED, PARTIAL]])[0], MessageState.STORED)
