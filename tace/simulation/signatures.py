"""Keys from a seed, and signatures that are made and checked the same way every time.

The production signatures draw a random number each; these are the deterministic ones of RFC 6979,
so that a run repeats to the byte. A signature that was checked once is remembered: a node record
is checked by every node of the network, and the answer is always the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tace.identity import keys, link_proof, mailbox_proof, node_record, user_record
from tace.identity.keys import SigningKey, scalar_from_seed

MAX_REMEMBERED = 200_000
_DETERMINISTIC = ECDSA(SHA256(), deterministic_signing=True)
_CHECKING = (link_proof, mailbox_proof, node_record, user_record)
_NAME = "verify"
"""What each of these modules calls the function that checks signatures."""


class SeededKey(SigningKey):
    """A signing key made from a text; the same text, the same key and the same signatures."""

    __slots__ = ("_private",)

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        super().__init__(key)
        self._private = key

    @classmethod
    def named(cls, seed: int, name: str) -> SeededKey:
        """The key of ``name`` in the world that grows from ``seed``."""
        text = f"{seed}/{name}".encode()
        material = sha256(b"1" + text).digest() + sha256(b"2" + text).digest()[:16]
        return cls(derive_private_key(scalar_from_seed(material), SECP256R1()))

    def sign(self, label: bytes, *fields: bytes) -> bytes:
        r, s = decode_dss_signature(self._private.sign(b"".join((label, *fields)), _DETERMINISTIC))
        return r.to_bytes(32) + s.to_bytes(32)


@contextmanager
def remembered_signatures() -> Iterator[None]:
    """While it lasts, each signature is checked once; what is asked again is remembered.

    Checking has no effects and depends on its arguments alone, so nothing can tell the difference
    but the time it takes: 60 us for the first check of each.
    """
    remembering = lru_cache(maxsize=MAX_REMEMBERED)(keys.verify)
    before = [getattr(module, _NAME) for module in _CHECKING]
    for module in _CHECKING:
        setattr(module, _NAME, remembering)
    try:
        yield
    finally:
        for module, verify in zip(_CHECKING, before, strict=True):
            setattr(module, _NAME, verify)
