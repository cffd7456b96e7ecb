"""Safety numbers: what two people compare to know that nobody sits between them.

The construction of Signal's numeric fingerprints: 5,200 rounds of SHA-512 per identity, 30 digits
each, the lower half first, so both see the same 60 digits. Only identity keys enter: a new device
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha512

from tace.e2ee.labels import E2eeLabel
from tace.errors import TaceError
from tace.identity.keys import PUBLIC_KEY_BYTES

ROUNDS = 5200
FINGERPRINT_BYTES = 32
_GROUP_BYTES = 5
_GROUPS = 6
_QR_HEAD = b"tace safety 1 "
QR_BYTES = len(_QR_HEAD) + 2 * FINGERPRINT_BYTES


class NotASafetyCode(TaceError):
    """What was scanned is something else."""

    code = "not-a-safety-code"


def fingerprint(identity: bytes) -> bytes:
    """h = SHA-512(label || identity), then 5,199 times h = SHA-512(h || identity): the first 32
    bytes of the last one."""
    if len(identity) != PUBLIC_KEY_BYTES:
        raise ValueError(f"an identity has {PUBLIC_KEY_BYTES} bytes, not {len(identity)}")
    state = sha512(E2eeLabel.SAFETY + identity).digest()
    for _ in range(ROUNDS - 1):
        state = sha512(state + identity).digest()
    return state[:FINGERPRINT_BYTES]


@dataclass(frozen=True, slots=True)
class SafetyNumber:
    """What two identities show: the same whichever of the two looks at it."""

    lower: bytes
    higher: bytes

    @classmethod
    def of(cls, one: bytes, other: bytes) -> SafetyNumber:
        """:param one: an identity key, 33 bytes; ``other`` likewise. Their order is all one."""
        lower, higher = sorted((fingerprint(one), fingerprint(other)))
        return cls(lower, higher)

    @property
    def digits(self) -> str:
        """60 digits in twelve groups of five."""
        return " ".join(
            f"{int.from_bytes(half[at : at + _GROUP_BYTES]) % 100_000:05}"
            for half in (self.lower, self.higher)
            for at in range(0, _GROUPS * _GROUP_BYTES, _GROUP_BYTES)
        )

    @property
    def qr(self) -> bytes:
        """What the QR code holds: ``"tace safety 1 " | lower 32 | higher 32``."""
        return _QR_HEAD + self.lower + self.higher

    def matches(self, scanned: bytes) -> bool:
        """Does the other person's screen show the same?

        :raises NotASafetyCode: that was no safety code at all, which says nothing about them.
        """
        if len(scanned) != QR_BYTES or not scanned.startswith(_QR_HEAD):
            raise NotASafetyCode("this QR code is not a safety number")
        return scanned == self.qr
