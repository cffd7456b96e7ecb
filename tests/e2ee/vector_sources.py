"""What vector files are made from: bytes from seeds, and values that were drawn once.

ECDSA signatures, ML-KEM ciphertexts and HPKE blobs hold randomness of the library. They are kept
in ``recorded.json`` and taken from there for as long as they hold, so that making the files again
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.device import Certificate, DeviceKeys
from tace.e2ee.pqxdh import OwnDevice, encapsulate
from tace.e2ee.prekeys import Prekey
from tace.e2ee.records import DeviceRecord
from tace.e2ee.recovery import RecoveryCode
from tace.e2ee.symmetric import hkdf
from tace.errors import TaceError
from tace.identity.keys import SIGNATURE_BYTES, SigningKey
from tace.identity.user_record import UserRecord

NOW = 1_800_000_000
EXPIRES_HOURS = NOW // 3600 + 720
NETWORK = bytes(range(32))
Json = dict[str, Any]


def seed(name: str, count: int) -> bytes:
    """Bytes that stand for random ones, the same every time."""
    return hkdf(b"tace vectors", salt=b"", info=name.encode(), length=count)


@dataclass
class Feed:
    """A random source that remembers what it gave."""

    name: str
    given: list[bytes] = field(default_factory=list)
    count: int = 0

    def __call__(self, count: int) -> bytes:
        self.count += 1
        given = seed(f"{self.name} {self.count}", count)
        self.given.append(given)
        return given

    def taken(self) -> list[str]:
        """What was given since the last time, in order."""
        given, self.given = self.given, []
        return [each.hex() for each in given]


class Recorded:
    """What was drawn once: by name, in hexadecimal.

    :param values: the recorded ones; new ones are added.
    :param may_draw: False where every value must be there and must hold.
    """

    def __init__(self, values: dict[str, str], *, may_draw: bool) -> None:
        self.values = values
        self._may_draw = may_draw

    def take(self, name: str, draw: Callable[[], bytes], holds: Callable[[bytes], bool]) -> bytes:
        known = self.values.get(name)
        if known is not None:
            try:
                if holds(bytes.fromhex(known)):
                    return bytes.fromhex(known)
            except (TaceError, ValueError):
                pass
        if not self._may_draw:
            raise LookupError(f"{name}: what is recorded does not hold any more")
        drawn = draw()
        self.values[name] = drawn.hex()
        return drawn


def agreement(key: AgreementKey) -> Json:
    pkcs8 = key.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"scalar": key.scalar.hex(), "public": key.public.hex(), "pkcs8": pkcs8.hex()}


def signing(key: SigningKey) -> Json:
    loaded = load_pem_private_key(key.to_pem(), None)
    pkcs8 = loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"public": key.public.hex(), "pkcs8": pkcs8.hex()}


def same(one: UserRecord, other: UserRecord) -> bool:
    """But for the signature."""
    return one.encoded[:-SIGNATURE_BYTES] == other.encoded[:-SIGNATURE_BYTES]


class Actor:
    """A person with one device, from seeds and records."""

    def __init__(self, name: str, recorded: Recorded) -> None:
        self.name = name
        self.code = RecoveryCode(seed(f"{name} code", 16))
        self.identity = self.code.identity()
        self.device_seed = seed(f"{name} device", 32)
        self.keys = DeviceKeys.from_seed(self.device_seed)
        self.prekey_seeds = Feed(f"{name} prekey")
        self.prekey = Prekey.generate(
            self.prekey_seeds, prekey_id=7, now=NOW, listed_until_hours=EXPIRES_HOURS
        )
        keys, identity = self.keys, self.identity

        def is_own_certificate(encoded: bytes) -> bool:
            found = Certificate.parse(encoded)
            named = (found.identity, found.device, found.inbox_key, found.expires_hours)
            return named == (identity.public, keys.id, keys.inbox.public, EXPIRES_HOURS)

        self.certificate = Certificate.parse(
            recorded.take(
                f"{name} certificate",
                lambda: Certificate.sign(identity, keys, EXPIRES_HOURS).encoded,
                is_own_certificate,
            )
        )
        self.own = OwnDevice(keys, self.certificate)

        def record() -> DeviceRecord:
            return DeviceRecord.sign(
                identity, keys, self.prekey, sequence=NOW, expires_hours=EXPIRES_HOURS
            )

        self.record = DeviceRecord.parse(
            recorded.take(
                f"{name} device record",
                lambda: record().record.encoded,
                lambda encoded: same(DeviceRecord.parse(encoded).record, record().record),
            )
        )

    def secrets(self) -> Json:
        kem_seed = self.prekey_seeds.given[1]
        return {
            "device_key": agreement(self.keys.agreement),
            "inbox_key": agreement(self.keys.inbox),
            "certificate": self.certificate.encoded.hex(),
            "prekey": {
                "id": self.prekey.id,
                "ec": agreement(self.prekey.agreement),
                "kem_seed": kem_seed.hex(),
                "kem_public": self.prekey.kem_public.hex(),
            },
            "device_record": self.record.record.encoded.hex(),
        }


def encapsulation(recorded: Recorded, name: str, to: Actor) -> tuple[bytes, bytes]:
    """(shared secret, ciphertext), drawn once."""
    ciphertext = recorded.take(
        name,
        lambda: encapsulate(to.prekey.kem_public)[1],
        # ML-KEM opens anything to something; what ties it to the key is the record beside it.
        lambda known: (
            len(known) == 1088
            and recorded.values.get(f"{name} for") == to.prekey.kem_public[:32].hex()
        ),
    )
    recorded.values[f"{name} for"] = to.prekey.kem_public[:32].hex()
    return to.prekey.kem.decapsulate(ciphertext), ciphertext
