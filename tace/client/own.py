"""The identity and the device of this home: made once, kept in the home, restored from the code."""

from __future__ import annotations

from dataclasses import dataclass

from tace.client.errors import HomeError
from tace.client.sqlite import HomeDatabase
from tace.client.vault import RandomBytes
from tace.e2ee.device import DEVICE_SEED_BYTES, Certificate, DeviceKeys
from tace.e2ee.pqxdh import OwnDevice
from tace.e2ee.records import record_expiry_hours
from tace.e2ee.recovery import RecoveryCode
from tace.identity.keys import SigningKey

_CODE = "recovery_code"
_DEVICE = "device_seed"
_NAME = "name"
MAX_NAME = 64
CERTIFICATE_RENEWED_AFTER_SECONDS = 24 * 3600


@dataclass(slots=True)
class OwnIdentity:
    """Who this home is, and with which device."""

    identity: SigningKey
    keys: DeviceKeys
    name: str
    _certified: OwnDevice | None = None
    _certified_at: float = 0.0

    @property
    def public(self) -> bytes:
        """The identity: 33 bytes."""
        return self.identity.public

    def device(self, now: float) -> OwnDevice:
        """This device as a party to sessions, with a certificate of today."""
        age = now - self._certified_at
        if self._certified is None or not 0 <= age < CERTIFICATE_RENEWED_AFTER_SECONDS:
            expires_hours = record_expiry_hours(now)
            certificate = Certificate.sign(self.identity, self.keys, expires_hours)
            self._certified = OwnDevice(self.keys, certificate)
            self._certified_at = now
        return self._certified

    def __repr__(self) -> str:
        return f"<OwnIdentity {self.public.hex()[:8]}>"


def establish(
    database: HomeDatabase, code: RecoveryCode, name: str, random_bytes: RandomBytes
) -> OwnIdentity:
    """Put an identity, with a new device, into an empty home."""
    with database.transaction():
        database.set_secret(_CODE, code.secret)
        database.set_secret(_DEVICE, random_bytes(DEVICE_SEED_BYTES))
        database.set_setting(_NAME, name.encode())
    return load(database)


def rename(database: HomeDatabase, name: str) -> None:
    """Another name; every device that knows the former one is told with what is sent next.

    :raises HomeError: it is no name.
    """
    if len(name) > MAX_NAME or not name.isprintable():
        raise HomeError(f"a name is one line of at most {MAX_NAME} characters")
    with database.transaction():
        database.set_setting(_NAME, name.strip().encode())
        database.introduce_again()


def recovery_code(database: HomeDatabase) -> RecoveryCode:
    """What the home's identity follows from.

    :raises HomeError: no identity was ever put there.
    """
    code = database.secret(_CODE)
    if code is None:
        raise HomeError("the home holds no identity")
    return RecoveryCode(code)


def load(database: HomeDatabase) -> OwnIdentity:
    """:raises HomeError: no identity was ever put there."""
    code, seed = database.secret(_CODE), database.secret(_DEVICE)
    if code is None or seed is None:
        raise HomeError("the home holds no identity")
    name = database.setting(_NAME) or b""
    return OwnIdentity(RecoveryCode(code).identity(), DeviceKeys.from_seed(seed), name.decode())
