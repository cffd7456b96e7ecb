"""The recovery code: 128 bits that a person keeps, and all that derives from them.

The code alone restores the identity: HKDF-SHA-256(code, salt empty, info "tace identity seed 1")
gives 48 bytes, and those the ECDSA P-256 key. It is uniformly random, so nothing is stretched.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tace.e2ee.agreement import RandomBytes
from tace.e2ee.base32 import CheckedBase32
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.symmetric import hkdf
from tace.errors import TaceError
from tace.identity.keys import SEED_BYTES, SigningKey

CODE_BYTES = 16
CODE_CHARACTERS = 30
"""128 bits and a checksum of 22, in characters of five bits."""
_GROUP = 5
_TEXT = CheckedBase32(E2eeLabel.RECOVERY_CHECK, CODE_BYTES, CODE_CHARACTERS)


class BadRecoveryCode(TaceError):
    """What was typed is no recovery code; the text says why, for the person who typed it."""

    code = "bad-recovery-code"


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """16 secret bytes; as text six groups of five characters, ``XXXXX-XXXXX-...``."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != CODE_BYTES:
            raise ValueError(f"a recovery code has {CODE_BYTES} bytes, not {len(self.secret)}")

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> RecoveryCode:
        return cls(random_bytes(CODE_BYTES))

    @classmethod
    def parse(cls, text: str) -> RecoveryCode:
        """:raises BadRecoveryCode: says what is wrong with it."""
        try:
            return cls(_TEXT.decode(text))
        except ValueError as error:
            raise BadRecoveryCode(f"this is not a recovery code: {error}") from None

    @property
    def text(self) -> str:
        characters = _TEXT.encode(self.secret)
        return "-".join(characters[at : at + _GROUP] for at in range(0, CODE_CHARACTERS, _GROUP))

    def identity(self) -> SigningKey:
        """The identity key IK (ECDSA P-256)."""
        return SigningKey.from_seed(
            hkdf(self.secret, salt=b"", info=E2eeLabel.IDENTITY_SEED, length=SEED_BYTES)
        )
