"""People and their devices: where to write to, and the sessions with them."""

# What is put into statements by name is a list of columns from this file.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tace.client.rows import Introduction, Listing, Peer, PeerDevice, Standing
from tace.client.tables.sqlite import Tables

_PEER = "identity, name, device_list, looked_up_seconds, next_counter, alias, standing, verified"
_DEVICE = (
    "record, inbox_key, contacts_mailbox, introduction, next_shown, reset_seconds, sealed_pair,"
    " listing"
)


class People(Tables):
    """Those written to, and those who wrote."""

    def peer(self, identity: bytes) -> Peer | None:
        row = self._one(f"SELECT {_PEER} FROM peer WHERE identity = ?", identity)
        return None if row is None else _peer(row)

    def peers(self) -> list[Peer]:
        return [_peer(row) for row in self._all(f"SELECT {_PEER} FROM peer ORDER BY identity")]

    def peers_named(self, name: str) -> list[Peer]:
        """All who go by that name: the one the user gave them, else the one they gave."""
        rows = self._all(
            f"SELECT {_PEER} FROM peer WHERE alias = ? OR (alias = '' AND name = ?)"
            " ORDER BY identity",
            name,
            name,
        )
        return [_peer(row) for row in rows]

    def count_peers(self, standing: Standing) -> int:
        return int(self._one("SELECT count(*) FROM peer WHERE standing = ?", standing)[0])

    def set_peer(self, peer: Peer) -> None:
        self._run(
            f"INSERT OR REPLACE INTO peer ({_PEER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            peer.identity,
            peer.name,
            peer.device_list,
            peer.looked_up_seconds,
            peer.next_counter,
            peer.alias,
            peer.standing,
            peer.verified,
        )

    def device(self, identity: bytes, device: bytes) -> PeerDevice | None:
        row = self._one(
            f"SELECT {_DEVICE} FROM device WHERE identity = ? AND device = ?",
            identity,
            device,
        )
        if row is None:
            return None
        record, inbox_key, mailbox, introduced, next_shown, reset, sealed, listing = row
        pair = None if sealed is None else self._unseal("device", identity + device, sealed)
        return PeerDevice(
            identity,
            device,
            record,
            inbox_key,
            mailbox,
            Introduction(introduced),
            next_shown,
            reset,
            pair,
            Listing(listing),
        )

    def devices(self, identity: bytes) -> list[PeerDevice]:
        """Every device of theirs that was ever met."""
        rows = self._all("SELECT device FROM device WHERE identity = ? ORDER BY device", identity)
        found = [self.device(identity, device) for (device,) in rows]
        return [device for device in found if device is not None]

    def set_device(self, device: PeerDevice) -> None:
        sealed = device.pair and self._seal("device", device.identity + device.device, device.pair)
        self._run(
            f"INSERT OR REPLACE INTO device (identity, device, {_DEVICE})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            device.identity,
            device.device,
            device.record,
            device.inbox_key,
            device.contacts_mailbox,
            device.introduction,
            device.next_shown,
            device.reset_seconds,
            sealed,
            device.listing,
        )

    def unchecked_devices(self) -> list[tuple[bytes, bytes]]:
        """(person, device) of those whose owner's list is to be looked up."""
        return self._all(
            "SELECT identity, device FROM device WHERE listing = ? ORDER BY identity, device",
            Listing.UNCHECKED,
        )

    def set_listing(self, identity: bytes, device: bytes, listing: Listing) -> None:
        self._run(
            "UPDATE device SET listing = ? WHERE identity = ? AND device = ?",
            listing,
            identity,
            device,
        )

    def introduce_again(self) -> None:
        """No device knows our name and our mailbox any more."""
        self._run("UPDATE device SET introduction = ?", Introduction.NOT_SENT)

    def has_session(self, identity: bytes, device: bytes) -> bool:
        """Is something shared with that device?"""
        row = self._one(
            "SELECT 1 FROM device WHERE identity = ? AND device = ? AND sealed_pair IS NOT NULL",
            identity,
            device,
        )
        return row is not None

    def keep_devices(self, identity: bytes, devices: Collection[bytes]) -> None:
        """Forget all others of theirs."""
        with self.transaction():
            for known in self._all("SELECT device FROM device WHERE identity = ?", identity):
                if known[0] not in devices:
                    self._run(
                        "DELETE FROM device WHERE identity = ? AND device = ?", identity, known[0]
                    )

    def count_sessions(self, identity: bytes) -> int:
        """With how many devices of theirs something is shared."""
        row = self._one(
            "SELECT count(*) FROM device WHERE identity = ? AND sealed_pair IS NOT NULL", identity
        )
        return int(row[0])


def _peer(row: Any) -> Peer:
    identity, name, device_list, looked_up, next_counter, alias, standing, verified = row
    known = (device_list, looked_up, next_counter, alias)
    return Peer(identity, name, *known, Standing(standing), bool(verified))
