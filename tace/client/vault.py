"""What keeps a home's secrets: one random home key, itself sealed when there is a passphrase.

Every secret in the home's database is sealed with the home key (AES-256-GCM, the row's place as
associated data). The key's own form in the database:

``version u8 = 1 | form u8`` and then, form 0 (no passphrase): ``key 32``; form 1:
``salt 16 | memory KiB u32 | passes u32 | lanes u8 | nonce 12 | sealed key 48``, sealed under
Argon2id (RFC 9106) of the passphrase. So a passphrase can be changed without touching the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct, error

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tace.client.errors import HomeError, HomeSealed

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = 1
_OPEN = 0
_SEALED = 1
_HEAD = Struct(">BB")
_SEALED_KEY = Struct(">16sIIB12s48s")
_KEY_CONTEXT = b"tace home key 1"
_MAX_MEMORY_KIB = 4 * 1024 * 1024

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class PassphraseCost:
    """What one guess costs; RFC 9106's second choice for machines with little memory."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


DEFAULT_COST = PassphraseCost()


class Vault:
    """Seals and opens the secrets of one home."""

    __slots__ = ("_aead", "_key", "_random_bytes")

    def __init__(self, key: bytes, random_bytes: RandomBytes) -> None:
        self._key = key
        self._aead = AESGCM(key)
        self._random_bytes = random_bytes

    @classmethod
    def make(cls, random_bytes: RandomBytes) -> Vault:
        return cls(random_bytes(KEY_BYTES), random_bytes)

    def seal(self, context: bytes, secret: bytes) -> bytes:
        """``nonce 12 | ciphertext | tag 16``; opens only with the same context."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, context)

    def open(self, context: bytes, sealed: bytes) -> bytes:
        """:raises HomeError: the bytes are damaged, or stand in the wrong place."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise HomeError("the home is damaged: a secret in it does not open") from None

    def key_form(self, passphrase: str, cost: PassphraseCost = DEFAULT_COST) -> bytes:
        """How the home key is to be stored; an empty passphrase leaves it in the open."""
        if not passphrase:
            return _HEAD.pack(_VERSION, _OPEN) + self._key
        salt = self._random_bytes(16)
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = AESGCM(_stretch(passphrase, salt, cost)).encrypt(nonce, self._key, _KEY_CONTEXT)
        return _HEAD.pack(_VERSION, _SEALED) + _SEALED_KEY.pack(
            salt, cost.memory_kib, cost.passes, cost.lanes, nonce, sealed
        )

    def __repr__(self) -> str:
        return "<Vault>"


def needs_passphrase(key_form: bytes) -> bool:
    """:raises HomeError: a newer form of the key."""
    if len(key_form) < _HEAD.size or key_form[0] != _VERSION or key_form[1] not in (_OPEN, _SEALED):
        raise HomeError("the home was made by a newer version of tace")
    return key_form[1] == _SEALED


def open_vault(key_form: bytes, passphrase: str, random_bytes: RandomBytes) -> Vault:
    """The vault behind the stored form of the key.

    :raises HomeSealed: a passphrase is needed and this one is wrong.
    :raises HomeError: the form is damaged or newer.
    """
    body = key_form[_HEAD.size :]
    if not needs_passphrase(key_form):
        if len(body) != KEY_BYTES:
            raise HomeError("the home is damaged: its key has the wrong length")
        return Vault(body, random_bytes)
    if not passphrase:
        raise HomeSealed("the home is sealed: set TACE_PASSPHRASE")
    try:
        salt, memory_kib, passes, lanes, nonce, sealed = _SEALED_KEY.unpack(body)
    except error:
        raise HomeError("the home is damaged: its sealed key has the wrong length") from None
    if memory_kib > _MAX_MEMORY_KIB:
        raise HomeError("the home is damaged: its key asks for too much memory")
    stretched = _stretch(passphrase, salt, PassphraseCost(memory_kib, passes, lanes))
    try:
        return Vault(AESGCM(stretched).decrypt(nonce, sealed, _KEY_CONTEXT), random_bytes)
    except InvalidTag:
        raise HomeSealed("wrong passphrase") from None


def _stretch(passphrase: str, salt: bytes, cost: PassphraseCost) -> bytes:
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive(passphrase.encode())
