"""How far messages have come."""

from __future__ import annotations

import random
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tace.client.backoff import REFUSED_SLOWEST_SECONDS, Repeats, retry_after
from tace.client.progress import offered, progress
from tace.client.rows import MessageState, Parcel, ParcelState
from tace.ids import KIND_CONTACTS, NodeId, mailbox_id
from tace.wire.client import SendResult
from tace.wire.objects import BLOB_BYTES, Envelope, lock_of

SECRET = bytes(range(16))
NOW = 1_800_000_000.0
NODE = NodeId(b"n" * 32)
REPEATS = Repeats()
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
        return offered(parcel, ENVELOPE, answer, NOW, random.Random(1), REPEATS, node=NODE)

    def test_stored(self) -> None:
        """It is offered again after a minute, then ever more seldom, and at last once a day."""
        after = self.after(WAITING, "stored", 5, 8)
        self.assertEqual(after.asked, NODE)
        self.assertEqual((after.state, after.copies, after.replicas), (ParcelState.STORED, 5, 8))
        waits = []
        for number in range(14):
            waits.append(after.next_seconds - NOW)
            about = min(60 * 2.0**number, 24 * 3600)
            self.assertTrue(0.75 * about <= waits[-1] <= 1.25 * about, number)
            after = self.after(after, "stored", 5, 8)
        self.assertEqual((after.state, after.attempts), (ParcelState.STORED, 15))

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
        for elsewhere, wait in ((False, 60.0), (True, 0.25)):
            source = random.Random(1)
            after = offered(
                WAITING, ENVELOPE, wish, NOW, source, REPEATS, node=NODE, elsewhere=elsewhere
            )
            self.assertEqual(after.next_seconds, NOW + wait)

    def test_a_stored_one_that_fails(self) -> None:
        """What a majority had does not fall back; it is looked after ever more seldom, but at
        least once an hour."""
        after = STORED
        for number in range(1, 12):
            after = self.after(after, "not-stored")
            self.assertEqual((after.state, after.copies), (ParcelState.STORED, 3))
            self.assertEqual((after.attempts, after.asked), (number + 1, NODE))
            about = min(60 * 2.0**number, REFUSED_SLOWEST_SECONDS)
            self.assertTrue(0.75 * about <= after.next_seconds - NOW <= 1.25 * about, number)

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
            self.assertTrue(45.0 <= REPEATS.after(count, source) <= 24 * 3600 * 1.25)

    def test_pauses_that_were_chosen(self) -> None:
        """Somebody may want them shorter or longer."""
        repeats = Repeats(first_seconds=600.0, slowest_seconds=3000.0)
        for offers, about in ((1, 600), (2, 1200), (3, 2400), (4, 3000), (40, 3000)):
            wait = repeats.after(offers, random.Random(offers))
            self.assertTrue(0.75 * about <= wait <= 1.25 * about, offers)


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

    def test_what_a_message_may_become(self) -> None:
        """It comes further or fails, and never goes back."""
        path = [
            MessageState.QUEUED,
            MessageState.PARTIAL,
            MessageState.STORED,
            MessageState.DELIVERED,
        ]
        for place, state in enumerate(path[:-1]):
            for other, later in enumerate(path):
                self.assertIs(state.leads_to(later), other >= place, f"{state} to {later}")
            self.assertTrue(state.leads_to(MessageState.FAILED))
        self.assertTrue(MessageState.FAILED.leads_to(MessageState.QUEUED))
        for final in (MessageState.DELIVERED, MessageState.RECEIVED):
            self.assertFalse(any(final.leads_to(each) for each in MessageState))
