"""ECDH keys on P-256, and where randomness comes from.

Public keys travel as 33-byte compressed points, the shared secret is the x coordinate (32 bytes,
SEC 1, 3.3.1), as in WebCrypto's ``deriveBits`` for ECDH. ECDSA keys are
:class:`tace.identity.keys.SigningKey`; one key is never used for both.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)

from tace.identity.keys import SEED_BYTES, compress, parse_public_key, scalar_from_seed

SCALAR_BYTES = 32
SHARED_BYTES = 32

RandomBytes = Callable[[int], bytes]
"""Gives that many unpredictable bytes: ``secrets.token_bytes``, seeded only in tests."""


class AgreementKey:
    """An ECDH P-256 private key."""

    __slots__ = ("key", "public", "scalar")

    def __init__(self, scalar: bytes) -> None:
        """:raises ValueError: not a scalar of 1 to n - 1 in 32 bytes."""
        if len(scalar) != SCALAR_BYTES:
            raise ValueError(f"a private scalar has {SCALAR_BYTES} bytes, not {len(scalar)}")
        self.scalar = scalar
        self.key: EllipticCurvePrivateKey = derive_private_key(int.from_bytes(scalar), SECP256R1())
        self.public = compress(self.key.public_key())

    @classmethod
    def from_seed(cls, seed: bytes) -> AgreementKey:
        """From 48 uniform bytes (FIPS 186-5, A.2.1)."""
        return cls(scalar_from_seed(seed).to_bytes(SCALAR_BYTES))

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> AgreementKey:
        return cls.from_seed(random_bytes(SEED_BYTES))

    def agree(self, public: bytes) -> bytes:
        """The 32-byte shared secret with a 33-byte public key.

        :raises ValueError: not a compressed point on the curve.
        """
        return self.key.exchange(ECDH(), parse_public_key(public))

    def __repr__(self) -> str:
        return "<AgreementKey>"
