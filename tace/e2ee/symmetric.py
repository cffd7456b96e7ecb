"""The symmetric pieces: HKDF-SHA-256 (RFC 5869), HMAC-SHA-256 and AES-256-GCM (SP 800-38D).

All of them exist in WebCrypto under the same names, with the same inputs and outputs.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class WrongKeyOrData(Exception):
    """The tag does not fit: another key, or bytes that somebody changed."""


def hkdf(key_material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256; an empty salt stands for 32 zero bytes, as in the RFC."""
    return HKDF(SHA256(), length, salt, info).derive(key_material)


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256, 32 bytes."""
    return hmac.digest(key, data, "sha256")


def aead_seal(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """AES-256-GCM: ciphertext || tag 16."""
    return AESGCM(key).encrypt(nonce, plaintext, associated_data)


def aead_open(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    """:raises WrongKeyOrData: the tag does not fit, or there is no room for one."""
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, associated_data)
    except InvalidTag:
        raise WrongKeyOrData from None
