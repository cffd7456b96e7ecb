"""Prekeys: the halves that strangers start sessions with, and when they change.

A device publishes one pair at a time (an ECDH P-256 key and an ML-KEM-768 key under one id), and
keeps the private halves of former ones for as long as a message made with them may arrive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

from tace.e2ee.agreement import SCALAR_BYTES, AgreementKey, RandomBytes
from tace.e2ee.device import MESSAGE_LIFE_DAYS
from tace.errors import Malformed
from tace.identity.keys import SEED_BYTES
from tace.wire.objects import SECONDS_PER_HOUR

KEM_SEED_BYTES = 64
"""d || z of FIPS 203, from which the ML-KEM key pair follows."""
KEM_PUBLIC_BYTES = 1184
KEM_CIPHERTEXT_BYTES = 1088
MAX_PREKEY_ID = 0xFFFF_FFFF
ROTATE_AFTER_SECONDS = 24 * 3600
OVERDUE_AFTER_SECONDS = 7 * 24 * 3600
KEPT_PREKEYS = 128
"""Daily rotation and 60 days make 61; the rest is room for days that end early."""


class Rotation(Enum):
    """What to do about the published prekeys."""

    NOT_YET = "not yet"
    DUE = "due"
    """Publish new ones while connected; nothing waits for it."""
    OVERDUE = "overdue"
    """Publish new ones before anything else."""


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    id: Annotated[int, msgspec.Meta(ge=1, le=MAX_PREKEY_ID)]
    scalar: Annotated[bytes, msgspec.Meta(min_length=SCALAR_BYTES, max_length=SCALAR_BYTES)]
    kem_seed: Annotated[bytes, msgspec.Meta(min_length=KEM_SEED_BYTES, max_length=KEM_SEED_BYTES)]
    made_seconds: int
    listed_until_hours: int


_decoder = msgspec.msgpack.Decoder(_Stored)


@dataclass(frozen=True, slots=True)
class Prekey:
    """One pair of prekeys with its private halves.

    :ivar listed_until_hours: the latest expiry of a record that named it.
    """

    id: int
    agreement: AgreementKey = field(repr=False)
    kem: MLKEM768PrivateKey = field(repr=False)
    kem_public: bytes = field(repr=False)
    made_seconds: int
    listed_until_hours: int

    @classmethod
    def generate(
        cls, random_bytes: RandomBytes, *, prekey_id: int, now: float, listed_until_hours: int
    ) -> Prekey:
        """New halves from 48 + 64 random bytes."""
        seed, kem_seed = random_bytes(SEED_BYTES), random_bytes(KEM_SEED_BYTES)
        return cls._of(
            prekey_id, AgreementKey.from_seed(seed), kem_seed, int(now), listed_until_hours
        )

    @classmethod
    def _of(
        cls, prekey_id: int, agreement: AgreementKey, kem_seed: bytes, made: int, until: int
    ) -> Prekey:
        kem = MLKEM768PrivateKey.from_seed_bytes(kem_seed)
        return cls(prekey_id, agreement, kem, kem.public_key().public_bytes_raw(), made, until)

    def listed_until(self, expires_hours: int) -> Prekey:
        """The same, named by a record that lives until then as well."""
        until = max(self.listed_until_hours, expires_hours)
        return Prekey(self.id, self.agreement, self.kem, self.kem_public, self.made_seconds, until)

    def to_bytes(self) -> bytes:
        """For the device's own disk."""
        stored = _Stored(
            1,
            self.id,
            self.agreement.scalar,
            self.kem.private_bytes_raw(),
            self.made_seconds,
            self.listed_until_hours,
        )
        return msgspec.msgpack.encode(stored)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Prekey:
        """:raises Malformed: not what :meth:`to_bytes` wrote."""
        try:
            found = _decoder.decode(stored)
            agreement = AgreementKey(found.scalar)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Malformed("not a stored prekey") from None
        return cls._of(
            found.id, agreement, found.kem_seed, found.made_seconds, found.listed_until_hours
        )

    def outlived(self, now: float) -> bool:
        """Can no message made with it arrive any more? Then its private halves must go.

        Somebody may start with it until the record ends, and that message may wait another 30
        days. Only from here on do first messages have forward secrecy.
        """
        last_hours = self.listed_until_hours + MESSAGE_LIFE_DAYS * 24
        return now >= last_hours * SECONDS_PER_HOUR


def rotation(current: Prekey | None, now: float) -> Rotation:
    """What to do about the published prekeys at ``now``: daily while online, at least weekly."""
    if current is None:
        return Rotation.OVERDUE
    age = now - current.made_seconds
    if age >= OVERDUE_AFTER_SECONDS:
        return Rotation.OVERDUE
    # A clock that was set back must not keep one prekey in use for years.
    if age >= ROTATE_AFTER_SECONDS or age < -ROTATE_AFTER_SECONDS:
        return Rotation.DUE
    return Rotation.NOT_YET


def kept(prekeys: Iterable[Prekey], now: float) -> list[Prekey]:
    """The prekeys whose private halves stay, newest id first; at most 128."""
    alive = [prekey for prekey in prekeys if not prekey.outlived(now)]
    return sorted(alive, key=lambda prekey: prekey.id, reverse=True)[:KEPT_PREKEYS]
