"""P-256 signing keys: compressed points, raw r || s signatures, labelled messages.

Every signature is ECDSA with SHA-256 over label || fields (FIPS 186-5); it travels as 64 bytes,
r || s, each 32 bytes big-endian. Public keys travel as 33-byte compressed points (SEC 1, 2.3.3).
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tace.ids import Label, NodeId, digest

CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SEED_BYTES = 48
PUBLIC_KEY_BYTES = 33
SIGNATURE_BYTES = 64
_ALGORITHM = ECDSA(SHA256())


def scalar_from_seed(seed: bytes) -> int:
    """A private scalar from 48 uniform bytes: seed mod (n - 1) + 1 (FIPS 186-5, A.2.1)."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return int.from_bytes(seed) % (CURVE_ORDER - 1) + 1


class SigningKey:
    """An ECDSA P-256 private key."""

    __slots__ = ("_key", "public")

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = compress(key.public_key())

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        return cls(derive_private_key(scalar_from_seed(seed), SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """:raises ValueError: not an unencrypted PEM file with a P-256 key."""
        try:
            key = load_pem_private_key(pem, None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(str(error)) from None
        if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("not a P-256 key")
        return cls(key)

    def to_pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, label: bytes, *fields: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(b"".join((label, *fields)), _ALGORITHM))
        return r.to_bytes(32) + s.to_bytes(32)

    def __repr__(self) -> str:
        return "<SigningKey>"


def compress(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


@lru_cache(maxsize=4096)
def parse_public_key(public: bytes) -> EllipticCurvePublicKey:
    """The key object of a 33-byte point; kept, because parsing costs 16 us.

    :raises ValueError: not a compressed point on the curve.
    """
    if len(public) != PUBLIC_KEY_BYTES or public[0] not in (2, 3):
        raise ValueError("a public key is a compressed point of 33 bytes")
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public)


def verify(public: bytes, signature: bytes, label: bytes, *fields: bytes) -> bool:
    """Is this 64-byte signature over label || fields by that key? Never raises."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    try:
        parse_public_key(public).verify(der, b"".join((label, *fields)), _ALGORITHM)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=4096)
def node_id(public: bytes) -> NodeId:
    """H("tace node 1" || SPKI): the DER SubjectPublicKeyInfo with the uncompressed point.

    :raises ValueError: not a compressed point on the curve.
    """
    spki = parse_public_key(public).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return digest(Label.NODE, spki)
