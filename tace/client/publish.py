"""Our own records: the device list and this device, signed anew in time and kept on the network."""

from __future__ import annotations

from contextlib import suppress

from tace.client.connection import Connection
from tace.client.errors import ReplacedIdentity
from tace.client.own import OwnIdentity
from tace.client.sqlite import HomeDatabase
from tace.client.vault import RandomBytes
from tace.e2ee.prekeys import Prekey, Rotation, kept, rotation
from tace.e2ee.records import (
    DeviceList,
    DeviceRecord,
    ListedDevice,
    next_sequence,
    record_expiry_hours,
)
from tace.errors import BadRecord, StaleSequence, refusal_from_wire
from tace.identity.user_record import (
    KIND_DEVICE,
    KIND_DEVICE_LIST,
    MAX_LIFETIME_DAYS,
    UserRecord,
    user_record_key,
)
from tace.wire.client import FindRecord, PublishRecord
from tace.wire.objects import SECONDS_PER_HOUR

PUBLISHED_FOR_SECONDS = 6 * 3600.0
"""Replicas come and go; a record is handed to them again this often."""
SIGNED_FOR_SECONDS = 7 * 24 * 3600.0
"""A record lives 30 days and is signed anew after a week, so that a holiday does not end it."""


class Publisher:
    """Keeps this home's records on the network. One device is the whole list."""

    def __init__(self, database: HomeDatabase, own: OwnIdentity, random_bytes: RandomBytes) -> None:
        self._database = database
        self._own = own
        self._random_bytes = random_bytes
        self._list_key = user_record_key(KIND_DEVICE_LIST, own.public)
        self._device_key = user_record_key(KIND_DEVICE, own.public, own.keys.id)

    def due(self, now: float) -> bool:
        """Is there something to sign or to publish?"""
        if rotation(self._prekey(), now) is not Rotation.NOT_YET:
            return True
        for key in (self._device_key, self._list_key):
            known = self._database.own_record(key)
            if known is None or known[1] is None:
                return True
            if not 0 <= now - known[1] < PUBLISHED_FOR_SECONDS:
                return True
        return False

    async def publish(self, outbox: Connection, now: float) -> bool:
        """Sign what is due and hand it to a node; True when a majority of replicas has it.

        The device goes first, so that nobody finds it listed and not there.

        :param outbox: a connection without a lease; the list that is published is looked up on it.
        :raises ReplacedIdentity: the identity was restored elsewhere.
        :raises TaceError: the node did not take it.
        """
        found = await self.check(outbox)
        with self._database.transaction():
            device = self._device_record(now)
            devices = self._list_record(now, found)
        everywhere = True
        for signed in (device, devices):
            record = signed
            try:
                stored = await _hand_over(outbox, record)
            except StaleSequence:
                # Somebody with our code was faster, or this home was set back.
                await self.check(outbox)
                record = await self._signed_above(outbox, UserRecord.parse(record), now)
                stored = await _hand_over(outbox, record)
            if stored:
                self._database.own_record_published(record, now)
            else:
                everywhere = False
        return everywhere

    async def _signed_above(self, outbox: Connection, refused: UserRecord, now: float) -> bytes:
        """The same kind of record, signed anew to outdo the one that is published."""
        answer = await outbox.request(FindRecord(refused.key))
        sequence = refused.sequence
        with suppress(BadRecord):
            found = UserRecord.parse(answer.record)
            if found.key == refused.key:
                sequence = max(sequence, found.sequence)
        with self._database.transaction():
            if refused.kind == KIND_DEVICE:
                return self._device_record(now, above=sequence)
            return self._sign_list(sequence, now)

    async def check(self, outbox: Connection) -> UserRecord | None:
        """The device list that is published, if any.

        :raises ReplacedIdentity: it is newer than ours, and this device is not on it.
        """
        answer = await outbox.request(FindRecord(self._list_key))
        if not answer.record:
            return None
        try:
            found = UserRecord.parse(answer.record)
            listed = DeviceList.of(found)
        except BadRecord:
            return None
        if found.identity != self._own.public:
            return None
        known = self._database.own_record(self._list_key)
        if known is None:
            return found
        if found.order > UserRecord.parse(known[0]).order and self._own.keys.id not in listed:
            raise ReplacedIdentity(
                "this identity was restored on another device; this one receives nothing any more"
            )
        return found

    def prekeys(self) -> dict[int, Prekey]:
        """Those whose private halves still exist, by id."""
        found = (Prekey.from_bytes(stored) for stored in self._database.prekeys())
        return {prekey.id: prekey for prekey in found}

    def _prekey(self) -> Prekey | None:
        stored = self._database.prekeys()
        return Prekey.from_bytes(stored[0]) if stored else None

    def _device_record(self, now: float, *, above: int | None = None) -> bytes:
        """:param above: sign anew, with a sequence above this one."""
        prekeys = sorted(self.prekeys().values(), key=lambda prekey: prekey.id, reverse=True)
        current = prekeys[0] if prekeys else None
        known = self._database.own_record(self._device_key)
        due = rotation(current, now) is not Rotation.NOT_YET
        if above is None and known is not None and not due and _signed_lately(known[0], now):
            return known[0]
        expires_hours = record_expiry_hours(now)
        if current is None or due:
            current = Prekey.generate(
                self._random_bytes,
                prekey_id=current.id + 1 if current is not None else 1,
                now=now,
                listed_until_hours=expires_hours,
            )
            prekeys.insert(0, current)
        else:
            current = prekeys[0] = current.listed_until(expires_hours)
        record = DeviceRecord.sign(
            self._own.identity,
            self._own.keys,
            current,
            sequence=next_sequence(max(_sequence(known), above or 0), now),
            expires_hours=expires_hours,
        )
        self._database.set_prekeys([(p.id, p.to_bytes()) for p in kept(prekeys, now)])
        self._database.set_own_record(self._device_key, record.record.encoded)
        return record.record.encoded

    def _list_record(self, now: float, found: UserRecord | None) -> bytes:
        known = self._database.own_record(self._list_key)
        if known is not None and found is not None and found.sequence > _sequence(known):
            # Newer than ours, and check() saw that this device is on it.
            self._database.set_own_record(self._list_key, found.encoded)
            known = (found.encoded, None)
        if known is not None and _signed_lately(known[0], now):
            return known[0]
        return self._sign_list(
            max(_sequence(known), found.sequence if found is not None else 0), now
        )

    def _sign_list(self, above: int, now: float) -> bytes:
        record = DeviceList.sign(
            self._own.identity,
            [ListedDevice(self._own.keys.id, int(now) // SECONDS_PER_HOUR)],
            sequence=next_sequence(above, now),
            expires_hours=record_expiry_hours(now),
        )
        self._database.set_own_record(self._list_key, record.record.encoded)
        return record.record.encoded


async def _hand_over(outbox: Connection, record: bytes) -> bool:
    """Publish it; True when a majority of replicas has it, False when fewer have.

    :raises Refusal: by the word that the node answered with.
    """
    answer = await outbox.request(PublishRecord(record))
    if answer.state not in ("stored", "partial"):
        raise refusal_from_wire(answer.state, "", 0)
    return answer.state == "stored"


def _sequence(known: tuple[bytes, float | None] | None) -> int:
    return UserRecord.parse(known[0]).sequence if known is not None else 0


def _signed_lately(encoded: bytes, now: float) -> bool:
    left = UserRecord.parse(encoded).expires_hours * SECONDS_PER_HOUR - now
    life = MAX_LIFETIME_DAYS * 24 * 3600
    return life - SIGNED_FOR_SECONDS < left <= life
