"""People with a device each, all their keys from a seed, for the tests of this folder."""

from __future__ import annotations

from random import Random

from tace.e2ee.agreement import RandomBytes
from tace.e2ee.device import Certificate, DeviceKeys
from tace.e2ee.inner import Inner
from tace.e2ee.pqxdh import OwnDevice
from tace.e2ee.prekeys import Prekey
from tace.e2ee.records import DeviceRecord, record_expiry_hours
from tace.e2ee.recovery import RecoveryCode
from tace.e2ee.session import Outcome, Pair, receive, send, start

NOW = 1_800_000_000.0


class Person:
    """One identity with one device, and its sessions with other devices by device id."""

    def __init__(self, name: str, *, now: float = NOW) -> None:
        random = Random(name)
        self.random_bytes: RandomBytes = random.randbytes
        self.now = now
        self.identity = RecoveryCode.generate(self.random_bytes).identity()
        self.keys = DeviceKeys.generate(self.random_bytes)
        self.pairs: dict[bytes, Pair] = {}
        self.prekeys: dict[int, Prekey] = {}
        self.rotate()

    def rotate(self) -> None:
        """New prekeys, a new record and a new certificate, at ``now``."""
        until = record_expiry_hours(self.now)
        prekey = Prekey.generate(
            self.random_bytes,
            prekey_id=len(self.prekeys) + 1,
            now=self.now,
            listed_until_hours=until,
        )
        self.prekeys[prekey.id] = prekey
        self.record = DeviceRecord.sign(
            self.identity, self.keys, prekey, sequence=int(self.now), expires_hours=until
        )
        self.own = OwnDevice(self.keys, Certificate.sign(self.identity, self.keys, until))

    @property
    def prekey(self) -> Prekey:
        """The one that is published."""
        return self.prekeys[len(self.prekeys)]

    def pair(self, other: Person) -> Pair:
        found = self.pairs.get(other.own.id)
        return found or Pair.with_device(other.own.identity, other.own.id)

    def start(self, other: Person, *, fresh: bool = False) -> None:
        self.pairs[other.own.id] = start(
            self.pair(other),
            self.own,
            other.record,
            self.random_bytes,
            now=self.now,
            fresh=fresh,
        )

    def send(self, other: Person, content: bytes) -> bytes:
        """An inner message to the other's device."""
        pair, inner = send(self.pair(other), self.own, content, self.random_bytes)
        self.pairs[other.own.id] = pair
        return inner

    def receive(self, other: Person, inner: bytes) -> Outcome:
        """Open it; the next state is kept."""
        outcome = receive(
            self.pair(other),
            self.own,
            self.prekeys,
            Inner.parse(inner),
            self.random_bytes,
            now=self.now,
        )
        if hasattr(outcome, "pair"):
            self.pairs[other.own.id] = outcome.pair
        return outcome
