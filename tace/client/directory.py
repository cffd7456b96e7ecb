"""Finding out where somebody can be written to: their device list and their devices' records."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from tace.client.connection import Connection
from tace.client.errors import NeverOnline
from tace.client.rows import Peer, PeerDevice
from tace.client.sqlite import HomeDatabase
from tace.e2ee.records import DeviceList, DeviceRecord, newest
from tace.errors import BadRecord, Expired, StaleSequence
from tace.identity.user_record import (
    KIND_DEVICE,
    KIND_DEVICE_LIST,
    UserRecord,
    user_record_key,
)
from tace.wire.client import ClientRecord, FindRecord
from tace.wire.objects import SECONDS_PER_HOUR


@lru_cache(maxsize=512)
def device_list(encoded: bytes) -> DeviceList:
    """The list in a record that was verified before; kept, because verifying again costs 60 us."""
    return DeviceList.parse(encoded)


@lru_cache(maxsize=512)
def device_record(encoded: bytes) -> DeviceRecord:
    """Likewise for a device's record."""
    return DeviceRecord.parse(encoded)


class Directory:
    """Looks people up, and remembers what was found.

    A record older than the one that is known, of somebody else, or unsigned is never taken.
    """

    def __init__(self, database: HomeDatabase) -> None:
        self._database = database

    def devices(self, identity: bytes, now: float) -> list[PeerDevice]:
        """The devices to write to, by what is known here.

        Those their list names, as far as their records are known and hold; without a list, those
        that wrote to us and said where they take an answer.
        """
        peer = self._database.peer(identity)
        devices = self._database.devices(identity)
        if peer is None or peer.device_list is None:
            return [d for d in devices if d.pair and d.inbox_key and d.contacts_mailbox]
        listed = device_list(peer.device_list)
        return [d for d in devices if d.device in listed and _reachable(d, now)]

    async def look_up(self, connection: Connection, identity: bytes, now: float) -> None:
        """Ask a node for somebody's records.

        :raises NeverOnline: nobody has any, and none that holds is known here.
        :raises TaceError: the node did not say.
        """
        known = self._database.peer(identity) or Peer(identity)
        found = await self._newest(
            connection,
            user_record_key(KIND_DEVICE_LIST, identity),
            None if known.device_list is None else device_list(known.device_list).record,
            now,
        )
        listed = None if found is None or found.identity != identity else _list_of(found)
        if listed is None:
            with self._database.transaction():
                peer = self._database.peer(identity)
                if peer is not None:
                    self._database.set_peer(replace(peer, looked_up_seconds=now))
            if self.devices(identity, now):
                return
            raise NeverOnline("has never been online")
        # One after the other: people have one device, seldom more.
        records = [
            await self._device(connection, identity, each.device, now) for each in listed.devices
        ]
        with self._database.transaction():
            # Read again: another process may have changed the row while we asked.
            peer = self._database.peer(identity) or Peer(identity)
            self._database.set_peer(
                replace(peer, device_list=listed.record.encoded, looked_up_seconds=now)
            )
            for record in records:
                if record is not None:
                    self._remember(record)

    async def _device(
        self, connection: Connection, identity: bytes, device: bytes, now: float
    ) -> DeviceRecord | None:
        known = self._database.device(identity, device)
        encoded = known.record if known is not None else None
        found = await self._newest(
            connection,
            user_record_key(KIND_DEVICE, identity, device),
            None if encoded is None else device_record(encoded).record,
            now,
        )
        if found is None or (found.identity, found.device) != (identity, device):
            return None
        try:
            return DeviceRecord.of(found)
        except BadRecord:
            # Signed by its owner and still not usable: a newer version, for instance.
            return None

    def _remember(self, record: DeviceRecord) -> None:
        known = self._database.device(record.identity, record.device)
        device = known or PeerDevice(record.identity, record.device)
        self._database.set_device(
            replace(device, record=record.record.encoded, inbox_key=record.inbox_key)
        )

    async def _newest(
        self, connection: Connection, key: bytes, known: UserRecord | None, now: float
    ) -> UserRecord | None:
        answer: ClientRecord = await connection.request(FindRecord(key))
        if known is not None and known.expires_hours * SECONDS_PER_HOUR <= now:
            # It still tells an old record from a newer one, but is of no use itself.
            usable = None
        else:
            usable = known
        if not answer.record:
            return usable
        try:
            found = UserRecord.parse(answer.record)
            if found.key != key or newest(known, found, now) is known:
                return usable
            return found
        except (BadRecord, Expired, StaleSequence):
            return usable


def _list_of(record: UserRecord) -> DeviceList | None:
    """None for what its owner signed and is still not usable: a newer version, for instance."""
    try:
        return DeviceList.of(record)
    except BadRecord:
        return None


def _reachable(device: PeerDevice, now: float) -> bool:
    """Is there a record that holds, or another way to answer it?"""
    if device.inbox_key and device.contacts_mailbox and device.pair:
        return True
    if device.record is None:
        return False
    return device_record(device.record).record.expires_hours * SECONDS_PER_HOUR > now
