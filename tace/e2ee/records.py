"""What the payload of a user record holds: the device list (kind 1) and one device (kind 2).

Payloads are MessagePack arrays; unknown trailing fields are ignored. The identity signs the whole
record (:mod:`tace.identity.user_record`), so every key in it is signed by the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

from tace.e2ee.device import DeviceKeys, device_id
from tace.e2ee.prekeys import KEM_PUBLIC_BYTES, MAX_PREKEY_ID, Prekey
from tace.errors import BadRecord, Expired, StaleSequence
from tace.identity.keys import SigningKey, parse_public_key
from tace.identity.user_record import (
    KIND_DEVICE,
    KIND_DEVICE_LIST,
    MAX_LIFETIME_DAYS,
    NO_DEVICE,
    UserRecord,
)
from tace.ids import KIND_REQUESTS, MailboxId, mailbox_id
from tace.wire.message import Bytes32, PublicKey, UInt32
from tace.wire.objects import SECONDS_PER_HOUR

PAYLOAD_VERSION = 1
MAX_DEVICES = 8


class ListedDevice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``[device id 32, added u32 (hours)]``"""

    device: Bytes32
    added_hours: UInt32


class _ListPayload(msgspec.Struct, frozen=True, array_like=True, gc=False):
    version: Annotated[int, msgspec.Meta(ge=1, le=255)]
    devices: Annotated[tuple[ListedDevice, ...], msgspec.Meta(max_length=MAX_DEVICES)]


class _DevicePayload(msgspec.Struct, frozen=True, array_like=True, gc=False):
    version: Annotated[int, msgspec.Meta(ge=1, le=255)]
    device_key: PublicKey
    inbox_key: PublicKey
    requests_key: PublicKey
    prekey_id: Annotated[int, msgspec.Meta(ge=1, le=MAX_PREKEY_ID)]
    prekey: PublicKey
    kem_prekey: Annotated[
        bytes, msgspec.Meta(min_length=KEM_PUBLIC_BYTES, max_length=KEM_PUBLIC_BYTES)
    ]


_encoder = msgspec.msgpack.Encoder()
_list_decoder = msgspec.msgpack.Decoder(_ListPayload)
_device_decoder = msgspec.msgpack.Decoder(_DevicePayload)
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


def record_expiry_hours(now: float) -> int:
    """When a record that is signed now ends: 30 days on, in whole hours since 1970."""
    return int(now) // SECONDS_PER_HOUR + MAX_LIFETIME_DAYS * 24


def next_sequence(known: int, now: float) -> int:
    """The sequence for a new record: above the last one known, and above all earlier seconds.

    Counting in seconds lets an identity that was restored from its code, and remembers nothing,
    still outdo the records it once signed.
    """
    return max(known + 1, int(now))


def newest(known: UserRecord | None, found: UserRecord, now: float) -> UserRecord:
    """Which of the two a client goes by: the one it has, or the one that just arrived.

    :raises Expired: the one that arrived is over.
    :raises StaleSequence: it is older than what is known: a replica is behind, or lies.
    """
    if found.expires_hours * SECONDS_PER_HOUR <= now:
        raise Expired("the record is over")
    if known is None or found.order > known.order:
        return found
    if found.sequence < known.sequence:
        raise StaleSequence("an older record than the one that is known")
    return known


@dataclass(frozen=True, slots=True)
class DeviceList:
    """A verified record of kind 1: ``[version, [[device id 32, added u32], ...]]``, 8 at most.

    Made only by :meth:`sign` and :meth:`parse`.
    """

    record: UserRecord
    devices: tuple[ListedDevice, ...]

    @classmethod
    def sign(
        cls,
        identity: SigningKey,
        devices: Sequence[ListedDevice],
        *,
        sequence: int,
        expires_hours: int,
    ) -> DeviceList:
        """:raises BadRecord: more than 8 devices, or one of them twice."""
        record = UserRecord.sign(
            identity,
            kind=KIND_DEVICE_LIST,
            device=NO_DEVICE,
            sequence=sequence,
            expires_hours=expires_hours,
            payload=_encoder.encode(_ListPayload(PAYLOAD_VERSION, tuple(devices))),
        )
        return cls.of(record)

    @classmethod
    def parse(cls, encoded: bytes) -> DeviceList:
        """:raises BadRecord: not a device list signed by the identity it names."""
        return cls.of(UserRecord.parse(encoded))

    @classmethod
    def of(cls, record: UserRecord) -> DeviceList:
        if record.kind != KIND_DEVICE_LIST:
            raise BadRecord("not a device list")
        try:
            payload = _list_decoder.decode(record.payload)
        except _NOT_DECODED as error:
            raise BadRecord(f"device list: {str(error)[:120]}") from None
        if payload.version != PAYLOAD_VERSION:
            raise BadRecord(f"device list version {payload.version} is not known here")
        if len({listed.device for listed in payload.devices}) != len(payload.devices):
            raise BadRecord("a device is listed twice")
        return cls(record, payload.devices)

    @property
    def identity(self) -> bytes:
        return self.record.identity

    def __contains__(self, device: object) -> bool:
        return any(listed.device == device for listed in self.devices)


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A verified record of kind 2: everything needed to write to one device.

    ``[version, device key 33, inbox key 33, requests mailbox key 33, prekey id u32, EC prekey 33,
    ML-KEM-768 prekey 1184]``. Made only by :meth:`sign` and :meth:`parse`.
    """

    record: UserRecord
    device_key: bytes
    inbox_key: bytes
    requests_key: bytes
    prekey_id: int
    prekey: bytes
    kem_prekey: bytes

    @classmethod
    def sign(
        cls,
        identity: SigningKey,
        keys: DeviceKeys,
        prekey: Prekey,
        *,
        sequence: int,
        expires_hours: int,
    ) -> DeviceRecord:
        payload = _DevicePayload(
            PAYLOAD_VERSION,
            keys.agreement.public,
            keys.inbox.public,
            keys.requests.public,
            prekey.id,
            prekey.agreement.public,
            prekey.kem_public,
        )
        record = UserRecord.sign(
            identity,
            kind=KIND_DEVICE,
            device=keys.id,
            sequence=sequence,
            expires_hours=expires_hours,
            payload=_encoder.encode(payload),
        )
        return cls.of(record)

    @classmethod
    def parse(cls, encoded: bytes) -> DeviceRecord:
        """:raises BadRecord: not a device record signed by the identity it names."""
        return cls.of(UserRecord.parse(encoded))

    @classmethod
    def of(cls, record: UserRecord) -> DeviceRecord:
        if record.kind != KIND_DEVICE:
            raise BadRecord("not a device record")
        try:
            payload = _device_decoder.decode(record.payload)
            keys = (payload.device_key, payload.inbox_key, payload.requests_key, payload.prekey)
            for key in keys:
                parse_public_key(key)
            MLKEM768PublicKey.from_public_bytes(payload.kem_prekey)
        except _NOT_DECODED as error:
            raise BadRecord(f"device record: {str(error)[:120]}") from None
        if payload.version != PAYLOAD_VERSION:
            raise BadRecord(f"device record version {payload.version} is not known here")
        if len({record.identity, *keys}) != len(keys) + 1:
            raise BadRecord("one key stands for two purposes in the device record")
        if record.device != device_id(payload.device_key):
            raise BadRecord("the device id is not the hash of the device key")
        return cls(record, *keys[:3], payload.prekey_id, payload.prekey, payload.kem_prekey)

    @property
    def identity(self) -> bytes:
        return self.record.identity

    @property
    def device(self) -> bytes:
        return self.record.device

    @property
    def requests_mailbox(self) -> MailboxId:
        return mailbox_id(self.requests_key, KIND_REQUESTS)
