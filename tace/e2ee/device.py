"""A device: its four long-term keys, and the certificate that ties them to an identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from tace.e2ee.agreement import AgreementKey, RandomBytes
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.symmetric import hkdf
from tace.errors import Malformed
from tace.identity.keys import (
    PUBLIC_KEY_BYTES,
    SEED_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    parse_public_key,
    verify,
)
from tace.identity.user_record import MAX_LIFETIME_DAYS
from tace.ids import KIND_CONTACTS, KIND_REQUESTS, MailboxId, digest, mailbox_id

DEVICE_ID_BYTES = 32
DEVICE_SEED_BYTES = 32
CERTIFICATE_BYTES = 3 * PUBLIC_KEY_BYTES + 4 + SIGNATURE_BYTES
MESSAGE_LIFE_DAYS = 30
"""The longest that any envelope lives."""
_CERTIFIED = Struct(">33s33s33sI")
_DAY_SECONDS = 24 * 3600
_CLOCKS_SECONDS = _DAY_SECONDS
"""How far two clocks may differ before a certificate looks too long-lived."""


def device_id(device_key: bytes) -> bytes:
    """H("tace device 1" || device key 33): 32 bytes."""
    return digest(E2eeLabel.DEVICE, device_key)


@dataclass(frozen=True, slots=True, repr=False)
class DeviceKeys:
    """The private keys of this device, made once and kept for its life.

    They come from one 32-byte seed here: HKDF with info "tace device seed 1" gives 4 x 48 bytes in
    the order of the fields. That is a local matter; nobody else can tell.
    """

    agreement: AgreementKey
    """DK, the ECDH key in every session start."""
    inbox: AgreementKey
    """The HPKE key that envelopes to this device are sealed to."""
    requests: SigningKey
    """Opens the mailbox that anyone can find."""
    contacts: SigningKey
    """Opens the mailbox that contacts are told of."""

    @classmethod
    def from_seed(cls, seed: bytes) -> DeviceKeys:
        """:param seed: 32 secret uniform bytes, kept by the client."""
        if len(seed) != DEVICE_SEED_BYTES:
            raise ValueError(f"a device seed has {DEVICE_SEED_BYTES} bytes, not {len(seed)}")
        expanded = hkdf(seed, salt=b"", info=E2eeLabel.DEVICE_SEED, length=4 * SEED_BYTES)
        parts = [expanded[at : at + SEED_BYTES] for at in range(0, len(expanded), SEED_BYTES)]
        return cls(
            AgreementKey.from_seed(parts[0]),
            AgreementKey.from_seed(parts[1]),
            SigningKey.from_seed(parts[2]),
            SigningKey.from_seed(parts[3]),
        )

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> DeviceKeys:
        return cls.from_seed(random_bytes(DEVICE_SEED_BYTES))

    @property
    def id(self) -> bytes:
        return device_id(self.agreement.public)

    @property
    def requests_mailbox(self) -> MailboxId:
        return mailbox_id(self.requests.public, KIND_REQUESTS)

    @property
    def contacts_mailbox(self) -> MailboxId:
        return mailbox_id(self.contacts.public, KIND_CONTACTS)

    def __repr__(self) -> str:
        return f"<DeviceKeys {self.id.hex()[:8]}>"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The identity's word that a device is its own; it rides in the handshake.

    ``identity 33 | device key 33 | inbox key 33 | expires u32 (hours) | signature 64``: 167 bytes,
    signed by the identity over "tace device certificate 1" || everything before the signature.
    With it the responder needs no look-up to know who writes, and where to seal an answer to.
    Made only by :meth:`sign` and :meth:`parse`.
    """

    identity: bytes
    device_key: bytes
    inbox_key: bytes
    expires_hours: int
    encoded: bytes = field(repr=False)

    @classmethod
    def sign(cls, identity: SigningKey, keys: DeviceKeys, expires_hours: int) -> Certificate:
        signed = _CERTIFIED.pack(
            identity.public, keys.agreement.public, keys.inbox.public, expires_hours
        )
        return cls.parse(signed + identity.sign(E2eeLabel.CERTIFICATE, signed))

    @classmethod
    def parse(cls, encoded: bytes) -> Certificate:
        """:raises Malformed: wrong length, no points, or not signed by the identity it names."""
        if len(encoded) != CERTIFICATE_BYTES:
            raise Malformed(f"a certificate has {CERTIFICATE_BYTES} bytes, not {len(encoded)}")
        signed, signature = encoded[: _CERTIFIED.size], encoded[_CERTIFIED.size :]
        identity, device_key, inbox_key, expires_hours = _CERTIFIED.unpack(signed)
        if not verify(identity, signature, E2eeLabel.CERTIFICATE, signed):
            raise Malformed("the certificate is not signed by the identity it names")
        if len({identity, device_key, inbox_key}) != 3:
            raise Malformed("one key stands for two purposes in the certificate")
        try:
            parse_public_key(device_key)
            parse_public_key(inbox_key)
        except ValueError:
            raise Malformed("a key in the certificate is not a P-256 point") from None
        return cls(identity, device_key, inbox_key, expires_hours, encoded)

    @property
    def device(self) -> bytes:
        return device_id(self.device_key)

    def holds(self, now: float) -> bool:
        """May a session start on it at ``now`` (unix seconds)?

        It may be over by the life of a message, because the message that carries it may have
        waited that long. One that claims to live longer than a record may is refused, so that a
        device somebody stole does not stay certified for ever.
        """
        left_seconds = self.expires_hours * 3600 - now
        return (
            -MESSAGE_LIFE_DAYS * _DAY_SECONDS
            <= left_seconds
            <= MAX_LIFETIME_DAYS * _DAY_SECONDS + _CLOCKS_SECONDS
        )
