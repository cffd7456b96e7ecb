"""What a replica takes in: expiry, stamp and responsibility. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tace.ids import KIND_REQUESTS
from tace.wire.objects import SECONDS_PER_HOUR, Blob, Envelope

CLOCK_SLACK_SECONDS = 3600
"""Clocks may differ by this much before an expiry counts as too far ahead."""
USER_RECORD_MAX_DAYS = 30
ASKERS_PER_REPLICA = 2
"""Who is within the first 2N of a key may ask what is kept under it; copies farther away are
displaced."""


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """The network's limits on what is stored.

    :param max_lifetime_days: how far ahead an envelope or a blob may expire.
    :param requests_stamp_bits: what the stamp of an envelope to a requests mailbox, or of a blob,
        must show.
    """

    max_lifetime_days: int
    requests_stamp_bits: int

    def refusal(self, envelope: Envelope, now: float) -> str | None:
        """The word for why this envelope is not taken; None when it is."""
        word = self._expiry_refusal(envelope.expires_hours, now, self.max_lifetime_days)
        if word is not None:
            return word
        if envelope.kind == KIND_REQUESTS and not envelope.stamped_for(self.requests_stamp_bits):
            return "stamp-required"
        return None

    def tombstone_refusal(self, expires_hours: int, now: float) -> str | None:
        """The same for a tombstone, whose message has that expiry."""
        return self._expiry_refusal(expires_hours, now, self.max_lifetime_days)

    def record_refusal(self, expires_hours: int, now: float) -> str | None:
        """The same for a user record."""
        return self._expiry_refusal(expires_hours, now, USER_RECORD_MAX_DAYS)

    def blob_refusal(self, blob: Blob, now: float) -> str | None:
        """The same for a blob. Without the stamp a disk would be anybody's, for nothing."""
        word = self._expiry_refusal(blob.expires_hours, now, self.max_lifetime_days)
        if word is None and not blob.stamped_for(self.requests_stamp_bits):
            return "stamp-required"
        return word

    @staticmethod
    def _expiry_refusal(expires_hours: int, now: float, max_days: int) -> str | None:
        expires = expires_hours * SECONDS_PER_HOUR
        if expires <= now:
            return "expired"
        # Expiries are whole hours, rounded up by whoever chose them.
        if expires > now + max_days * 86_400 + CLOCK_SLACK_SECONDS + SECONDS_PER_HOUR:
            return "too-far-ahead"
        return None
