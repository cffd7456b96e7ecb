"""People and their devices: where to write to, and the sessions with them."""

# What is put into statements by name is a list of columns from this file.
# ruff: noqa: S608

from __future__ import annotations

from tace.client.rows import Introduction, Peer, PeerDevice
from tace.client.tables.sqlite import Tables

_PEER = "identity, name, device_list, looked_up_seconds, next_counter"
_DEVICE = (
    "record, inbox_key, contacts_mailbox, introduction, next_shown, reset_seconds, sealed_pair"
)


class People(Tables):
    """Those written to, and those who wrote."""

    def peer(self, identity: bytes) -> Peer | None:
        row = self._one(f"SELECT {_PEER} FROM peer WHERE identity = ?", identity)
        return None if row is None else Peer(*row)

    def peers(self) -> list[Peer]:
        return [Peer(*row) for row in self._all(f"SELECT {_PEER} FROM peer ORDER BY identity")]

    def peers_named(self, name: str) -> list[Peer]:
        rows = self._all(f"SELECT {_PEER} FROM peer WHERE name = ? ORDER BY identity", name)
        return [Peer(*row) for row in rows]

    def set_peer(self, peer: Peer) -> None:
        self._run(
            f"INSERT OR REPLACE INTO peer ({_PEER}) VALUES (?, ?, ?, ?, ?)",
            peer.identity,
            peer.name,
            peer.device_list,
            peer.looked_up_seconds,
            peer.next_counter,
        )

    def device(self, identity: bytes, device: bytes) -> PeerDevice | None:
        row = self._one(
            f"SELECT {_DEVICE} FROM device WHERE identity = ? AND device = ?",
            identity,
            device,
        )
        if row is None:
            return None
        record, inbox_key, mailbox, introduced, next_shown, reset, sealed = row
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
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            device.identity,
            device.device,
            device.record,
            device.inbox_key,
            device.contacts_mailbox,
            device.introduction,
            device.next_shown,
            device.reset_seconds,
            sealed,
        )
