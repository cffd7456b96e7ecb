"""What a replica takes in, at the borders."""

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import KIND_REQUESTS
from tace.mailbox.rules import CLOCK_SLACK_SECONDS, USER_RECORD_MAX_DAYS, AdmissionRules
from tace.wire.objects import SECONDS_PER_HOUR, Envelope
from tests.delivery.nodes import stamped_blob
from tests.letters import Box

HOUR = 500_000
NOW = float(HOUR * SECONDS_PER_HOUR)
RULES = AdmissionRules(max_lifetime_days=30, requests_stamp_bits=6)


def envelope(hours: int, *, kind: int = 2, target: int = 0, nonce: int = 0) -> Envelope:
    plain = Box("rules", kind).envelope(1, NOW, hours=hours)
    return Envelope.make(
        mailbox=plain.mailbox,
        expires_hours=plain.expires_hours,
        lock=plain.lock,
        blob=plain.blob,
        stamp_target=target,
        stamp_nonce=nonce,
    )


class ExpiryTests(SynchronousTestCase):
    """Whole hours against a clock with seconds."""

    def test_the_last_second(self) -> None:
        """It is taken until its hour has come, not a second longer."""
        letter = envelope(1)
        end = NOW + SECONDS_PER_HOUR
        self.assertIsNone(RULES.refusal(letter, end - 0.001))
        self.assertEqual(RULES.refusal(letter, end), "expired")
        self.assertEqual(RULES.refusal(envelope(0), NOW), "expired")

    def test_the_furthest_ahead(self) -> None:
        """The lifetime, rounded up to an hour, and what clocks may differ by; then no more."""
        furthest = 30 * 24 + 2
        self.assertIsNone(RULES.refusal(envelope(furthest), NOW))
        self.assertEqual(RULES.refusal(envelope(furthest), NOW - 1), "too-far-ahead")
        self.assertEqual(RULES.refusal(envelope(furthest + 1), NOW), "too-far-ahead")
        self.assertEqual(CLOCK_SLACK_SECONDS, SECONDS_PER_HOUR)

    def test_tombstones_and_records_have_the_same_borders(self) -> None:
        """Theirs is the message's expiry, or 30 days for a record."""
        for refusal in (RULES.tombstone_refusal, RULES.record_refusal):
            self.assertEqual(refusal(HOUR, NOW), "expired")
            self.assertIsNone(refusal(HOUR + 1, NOW))
            self.assertIsNone(refusal(HOUR + 30 * 24 + 2, NOW))
            self.assertEqual(refusal(HOUR + 30 * 24 + 3, NOW), "too-far-ahead")
            self.assertEqual(refusal(0xFFFF_FFFF, NOW), "too-far-ahead")
        short = AdmissionRules(max_lifetime_days=1, requests_stamp_bits=0)
        self.assertEqual(short.tombstone_refusal(HOUR + 27, NOW), "too-far-ahead")
        self.assertIsNone(short.record_refusal(HOUR + USER_RECORD_MAX_DAYS * 24, NOW))


class StampTests(SynchronousTestCase):
    """Only for the mailbox that anyone can find."""

    def good_nonce(self, target: int) -> int:
        return next(
            n
            for n in range(100_000)
            if envelope(1, kind=KIND_REQUESTS, target=target, nonce=n).stamped_for(target)
        )

    def test_requests_need_one_and_contacts_do_not(self) -> None:
        """A stamp that promises enough and keeps its word."""
        nonce = self.good_nonce(6)
        for letter, word in (
            (envelope(1), None),
            (envelope(1, kind=KIND_REQUESTS), "stamp-required"),
            (envelope(1, kind=KIND_REQUESTS, target=6, nonce=nonce), None),
            (envelope(1, kind=KIND_REQUESTS, target=255, nonce=nonce), "stamp-required"),
            (envelope(1, kind=KIND_REQUESTS, target=5, nonce=self.good_nonce(5)), "stamp-required"),
        ):
            self.assertEqual(RULES.refusal(letter, NOW), word)

    def test_every_blob_needs_one(self) -> None:
        """And an expiry like an envelope's, which is looked at first."""
        for hours, bits, word in (
            (1, 6, None),
            (1, 7, None),
            (1, 5, "stamp-required"),
            (0, 0, "expired"),
            (30 * 24 + 2, 6, None),
            (30 * 24 + 3, 6, "too-far-ahead"),
        ):
            blob = stamped_blob(1, NOW, hours=hours, bits=bits)
            self.assertEqual(RULES.blob_refusal(blob, NOW), word)
        free = AdmissionRules(max_lifetime_days=30, requests_stamp_bits=0)
        self.assertIsNone(free.blob_refusal(stamped_blob(1, NOW, bits=0), NOW))

    def test_a_network_without_stamps(self) -> None:
        """Zero bits: nobody needs one."""
        free = AdmissionRules(max_lifetime_days=30, requests_stamp_bits=0)
        self.assertIsNone(free.refusal(envelope(1, kind=KIND_REQUESTS), NOW))

    def test_the_expiry_comes_first(self) -> None:
        """No work is done for what is over."""
        self.assertEqual(RULES.refusal(envelope(0, kind=KIND_REQUESTS), NOW), "expired")
