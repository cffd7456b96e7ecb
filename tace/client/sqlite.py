"""The home's database: SQLite in WAL mode, every commit on disk before it returns.

Several processes may have one home open. Whoever reads what it is about to change does so inside
:meth:`HomeDatabase.transaction`, which begins with the write lock (``BEGIN IMMEDIATE``).
Everything here is synchronous: a transaction takes about a millisecond and never waits for a node.
"""

# What is put into statements by name are lists of columns from this file.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from tace.client.errors import HomeError
from tace.client.rows import (
    HistoryMessage,
    Introduction,
    MessageState,
    Outgoing,
    Parcel,
    ParcelState,
    Peer,
    PeerDevice,
    Unreadable,
)
from tace.client.vault import Vault

BUSY_SECONDS = 10.0
"""How long a process waits for another one's transaction."""
_SCHEMA = files("tace.client") / "schema"
_PEER = "identity, name, device_list, looked_up_seconds, next_counter"
_DEVICE = (
    "record, inbox_key, contacts_mailbox, introduction, next_shown, reset_seconds, sealed_pair"
)
_MESSAGE = (
    "seq, peer, id, outgoing, state, copies, replicas, sender_device, counter, sent_ms,"
    " received_ms, sealed_text"
)
_OUTGOING = "seq, id, peer, device, message, sealed_content, expires_hours, addressed"
_PARCEL = (
    "parcel.seq, parcel.outgoing, parcel.device, parcel.envelope, parcel.state, parcel.copies,"
    " parcel.replicas, parcel.attempts, parcel.next_seconds"
)


class HomeDatabase:
    """All that a home keeps. Made by :meth:`open`; secrets can be read once it is unlocked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self._vault: Vault | None = None

    @classmethod
    def open(cls, path: Path | str) -> HomeDatabase:
        """:param path: a file, made when missing, or ``":memory:"``.

        :raises HomeError: not a database of ours, of a newer version, or not writable.
        """
        try:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            database = cls(connection)
            database._upgrade()
        except sqlite3.Error as error:
            raise HomeError(f"the home's database cannot be used: {error}") from None
        return database

    def unlock(self, vault: Vault) -> None:
        """Give it what opens its secrets."""
        self._vault = vault

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk when it ends; no other process writes meanwhile.

        One inside another is part of the outer one.
        """
        if self._open():
            yield
            return
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself where the disk failed.
            if self._open():
                self._sql.execute("ROLLBACK")
            raise

    def _open(self) -> bool:
        return self._sql.in_transaction

    def _upgrade(self) -> None:
        """Apply the numbered steps that this file has not seen yet."""
        steps = sorted(step.name for step in _SCHEMA.iterdir() if step.name.endswith(".sql"))
        if self._one("PRAGMA user_version") == (len(steps),):
            return
        with self.transaction():
            # Another process may have been faster.
            (version,) = self._one("PRAGMA user_version")
            if version > len(steps):
                raise HomeError("the home was made by a newer version of tace")
            for number, name in enumerate(steps[version:], version + 1):
                for statement in (_SCHEMA / name).read_text().split(";\n"):
                    self._execute(statement)
                self._execute(f"PRAGMA user_version = {number}")

    def _seal(self, table: str, row: bytes, secret: bytes) -> bytes:
        assert self._vault is not None
        return self._vault.seal(table.encode() + b"\0" + row, secret)

    def _unseal(self, table: str, row: bytes, sealed: bytes) -> bytes:
        assert self._vault is not None
        return self._vault.open(table.encode() + b"\0" + row, sealed)

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._sql.execute(sql, values)
        except sqlite3.Error as error:
            raise HomeError(f"the home's database cannot be used: {error}") from None

    def _run(self, sql: str, *values: Any) -> int:
        return self._execute(sql, values).rowcount

    def _one(self, sql: str, *values: Any) -> Any:
        return self._execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self._execute(sql, values).fetchall()

    # -- settings --------------------------------------------------------------------------------

    def setting(self, name: str) -> bytes | None:
        row = self._one("SELECT value FROM setting WHERE name = ?", name)
        return None if row is None else row[0]

    def set_setting(self, name: str, value: bytes) -> None:
        self._run("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, value)

    def secret(self, name: str) -> bytes | None:
        """A setting that is sealed."""
        sealed = self.setting(name)
        return None if sealed is None else self._unseal("setting", name.encode(), sealed)

    def set_secret(self, name: str, value: bytes) -> None:
        self.set_setting(name, self._seal("setting", name.encode(), value))

    def pin_network(self, network_id: bytes) -> bool:
        """Is that the home's network? The first one asked about becomes it."""
        with self.transaction():
            pinned = self.setting("network_id")
            if pinned is None:
                self.set_setting("network_id", network_id)
        return pinned is None or pinned == network_id

    # -- nodes -----------------------------------------------------------------------------------

    def nodes(self) -> list[tuple[str, bytes]]:
        """(origin, node id) of all that are remembered, in a fixed order."""
        return self._all("SELECT origin, node FROM node ORDER BY origin")

    def remember_nodes(self, nodes: Sequence[tuple[str, bytes]], now: float, *, keep: int) -> None:
        """(origin, node id) each; only the ``keep`` met last are remembered."""
        with self.transaction():
            for origin, node in nodes:
                self._run("INSERT OR REPLACE INTO node VALUES (?, ?, ?)", origin, node, now)
            self._run(
                "DELETE FROM node WHERE origin NOT IN"
                " (SELECT origin FROM node ORDER BY met_seconds DESC, origin LIMIT ?)",
                keep,
            )

    # -- own prekeys and records -----------------------------------------------------------------

    def prekeys(self) -> list[bytes]:
        """As stored by :meth:`set_prekeys`, the newest id first."""
        rows = self._all("SELECT id, sealed FROM prekey ORDER BY id DESC")
        return [self._unseal("prekey", b"%d" % number, sealed) for number, sealed in rows]

    def set_prekeys(self, prekeys: Sequence[tuple[int, bytes]]) -> None:
        """Exactly these (id, private halves) are kept from now on."""
        with self.transaction():
            self._run("DELETE FROM prekey")
            for number, key in prekeys:
                sealed = self._seal("prekey", b"%d" % number, key)
                self._run("INSERT INTO prekey VALUES (?, ?)", number, sealed)

    def own_record(self, key: bytes) -> tuple[bytes, float | None] | None:
        """(the record as signed last, when a majority last had it)."""
        row = self._one("SELECT encoded, published_seconds FROM own_record WHERE key = ?", key)
        return None if row is None else (row[0], row[1])

    def set_own_record(self, key: bytes, encoded: bytes) -> None:
        """A newly signed one, published nowhere yet."""
        self._run("INSERT OR REPLACE INTO own_record VALUES (?, ?, NULL)", key, encoded)

    def own_record_published(self, encoded: bytes, now: float) -> None:
        self._run("UPDATE own_record SET published_seconds = ? WHERE encoded = ?", now, encoded)

    # -- people ----------------------------------------------------------------------------------

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

    # -- history ---------------------------------------------------------------------------------

    def add_message(
        self,
        *,
        peer: bytes,
        message_id: bytes,
        outgoing: bool,
        state: MessageState,
        counter: int,
        sent_ms: int,
        received_ms: int,
        text: str,
        sender_device: bytes = b"",
    ) -> bool:
        """False when that message is in the history already."""
        return bool(
            self._run(
                "INSERT OR IGNORE INTO message (peer, id, outgoing, state, sender_device, counter,"
                " sent_ms, received_ms, sealed_text, shown) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                peer,
                message_id,
                outgoing,
                state,
                sender_device,
                counter,
                sent_ms,
                received_ms,
                self._seal("message", peer + message_id, text.encode()),
                outgoing,
            )
        )

    def message(self, peer: bytes, message_id: bytes, *, outgoing: bool) -> HistoryMessage | None:
        row = self._one(
            f"SELECT {_MESSAGE} FROM message WHERE peer = ? AND outgoing = ? AND id = ?",
            peer,
            outgoing,
            message_id,
        )
        return None if row is None else self._message(row)

    def set_message_state(
        self,
        peer: bytes,
        message_id: bytes,
        state: MessageState,
        copies: int = 0,
        replicas: int = 0,
    ) -> None:
        """Of an outgoing message; what was delivered stays delivered."""
        self._run(
            "UPDATE message SET state = ?, copies = ?, replicas = ?"
            " WHERE peer = ? AND outgoing = 1 AND id = ? AND state != 'delivered'",
            state,
            copies,
            replicas,
            peer,
            message_id,
        )

    def unshown(self, peer: bytes | None = None) -> list[HistoryMessage]:
        """Received messages that no program has shown, in the order they came."""
        wanted = "shown = 0" if peer is None else "shown = 0 AND peer = ?"
        values = () if peer is None else (peer,)
        rows = self._all(f"SELECT {_MESSAGE} FROM message WHERE {wanted} ORDER BY seq", *values)
        return [self._message(row) for row in rows]

    def shown(self, seq: int) -> bool:
        return bool(self._one("SELECT shown FROM message WHERE seq = ?", seq)[0])

    def set_shown(self, messages: Sequence[HistoryMessage]) -> None:
        """Some program has shown them; what their devices send next is expected from there on."""
        with self.transaction():
            for message in messages:
                self._run("UPDATE message SET shown = 1 WHERE seq = ?", message.seq)
                self._run(
                    "UPDATE device SET next_shown = max(coalesce(next_shown, 0), ?)"
                    " WHERE identity = ? AND device = ?",
                    message.counter + 1,
                    message.peer,
                    message.sender_device,
                )

    def conversation(self, peer: bytes, limit: int) -> list[HistoryMessage]:
        """The newest ``limit`` messages with somebody, oldest first."""
        rows = self._all(
            f"SELECT {_MESSAGE} FROM message WHERE peer = ? ORDER BY seq DESC LIMIT ?", peer, limit
        )
        return [self._message(row) for row in reversed(rows)]

    def _message(self, row: Any) -> HistoryMessage:
        seq, peer, message_id, outgoing, state, *rest = row
        rest[-1] = self._unseal("message", peer + message_id, rest[-1]).decode()
        return HistoryMessage(seq, peer, message_id, bool(outgoing), MessageState(state), *rest)

    # -- outbox ----------------------------------------------------------------------------------

    def add_outgoing(
        self,
        *,
        content_id: bytes,
        peer: bytes,
        content: bytes,
        expires_hours: int,
        message: bytes | None = None,
        device: bytes | None = None,
    ) -> int:
        """Its number; contents are encrypted in the order of their numbers."""
        row = self._one(
            "INSERT INTO outgoing (id, peer, device, message, sealed_content, expires_hours)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING seq",
            content_id,
            peer,
            device,
            message,
            self._seal("outgoing", peer + content_id, content),
            expires_hours,
        )
        return int(row[0])

    def outgoing(self, seq: int) -> Outgoing | None:
        row = self._one(f"SELECT {_OUTGOING} FROM outgoing WHERE seq = ?", seq)
        return None if row is None else self._outgoing(row)

    def outgoing_of(self, peer: bytes) -> list[Outgoing]:
        rows = self._all(f"SELECT {_OUTGOING} FROM outgoing WHERE peer = ? ORDER BY seq", peer)
        return [self._outgoing(row) for row in rows]

    def unaddressed(self) -> list[Outgoing]:
        """What is not encrypted for any device yet, oldest first."""
        rows = self._all(f"SELECT {_OUTGOING} FROM outgoing WHERE addressed = 0 ORDER BY seq")
        return [self._outgoing(row) for row in rows]

    def waiting_peers(self, before_ms: int) -> list[bytes]:
        """Everybody who has not confirmed something that was written before then."""
        rows = self._all(
            "SELECT DISTINCT outgoing.peer FROM outgoing JOIN message ON message.peer ="
            " outgoing.peer AND message.outgoing = 1 AND message.id = outgoing.message"
            " WHERE message.sent_ms < ? ORDER BY outgoing.peer",
            before_ms,
        )
        return [peer for (peer,) in rows]

    def count_session_requests(self) -> int:
        """Contents that are for one device only: nothing else is."""
        return int(self._one("SELECT count(*) FROM outgoing WHERE device IS NOT NULL")[0])

    def set_addressed(self, seq: int, addressed: bool) -> None:
        """Not addressed any more: its parcels are dropped, and it is encrypted anew."""
        with self.transaction():
            self._run("UPDATE outgoing SET addressed = ? WHERE seq = ?", addressed, seq)
            if not addressed:
                self._run("DELETE FROM parcel WHERE outgoing = ?", seq)

    def remove_outgoing(self, seq: int) -> None:
        """Let go of it, and of its parcels."""
        self._run("DELETE FROM outgoing WHERE seq = ?", seq)

    def confirmed(self, peer: bytes, content_id: bytes) -> list[Outgoing]:
        """What a receipt from that person for that content lets go of."""
        rows = self._all(
            f"SELECT {_OUTGOING} FROM outgoing WHERE peer = ? AND id = ?", peer, content_id
        )
        return [self._outgoing(row) for row in rows]

    def overdue_outgoing(self, now_hours: int) -> list[Outgoing]:
        """What has expired without a confirmation."""
        rows = self._all(f"SELECT {_OUTGOING} FROM outgoing WHERE expires_hours <= ?", now_hours)
        return [self._outgoing(row) for row in rows]

    def add_parcel(
        self,
        outgoing: int,
        device: bytes,
        envelope_id: bytes,
        envelope: bytes,
        *,
        next_seconds: float,
    ) -> None:
        self._run(
            "INSERT INTO parcel (outgoing, device, envelope_id, envelope, next_seconds)"
            " VALUES (?, ?, ?, ?, ?)",
            outgoing,
            device,
            envelope_id,
            envelope,
            next_seconds,
        )

    def due_parcels(self, now: float, limit: int) -> list[Parcel]:
        """Those whose time has come, in the order in which they were encrypted."""
        rows = self._all(
            f"SELECT {_PARCEL} FROM parcel WHERE state IN ('waiting', 'stored')"
            " AND next_seconds <= ? ORDER BY seq LIMIT ?",
            now,
            limit,
        )
        return [_parcel(row) for row in rows]

    def make_waiting_due(self, peer: bytes | None = None) -> None:
        """Offer what waits now: everything, or all that is for one person."""
        if peer is None:
            self._run("UPDATE parcel SET next_seconds = 0 WHERE state = 'waiting'")
        else:
            self._run(
                "UPDATE parcel SET next_seconds = 0 WHERE state = 'waiting'"
                " AND outgoing IN (SELECT seq FROM outgoing WHERE peer = ?)",
                peer,
            )

    def next_due_seconds(self) -> float | None:
        """When the next parcel is to be offered (again); None where there is none."""
        (found,) = self._one(
            "SELECT min(next_seconds) FROM parcel WHERE state IN ('waiting', 'stored')"
        )
        return None if found is None else float(found)

    def parcels_of(self, outgoing: int) -> list[Parcel]:
        """The encrypted copies of one content."""
        rows = self._all(f"SELECT {_PARCEL} FROM parcel WHERE outgoing = ? ORDER BY seq", outgoing)
        return [_parcel(row) for row in rows]

    def parcels_of_message(self, peer: bytes, message: bytes) -> dict[int, list[Parcel]]:
        """What is still in the outbox of one message: the parcels of each of its contents."""
        rows = self._all(
            "SELECT seq FROM outgoing WHERE peer = ? AND message = ? ORDER BY seq", peer, message
        )
        return {seq: self.parcels_of(seq) for (seq,) in rows}

    def set_parcel(self, parcel: Parcel) -> None:
        """Everything but its envelope; one that is gone meanwhile stays gone."""
        self._run(
            "UPDATE parcel SET state = ?, copies = ?, replicas = ?, attempts = ?, next_seconds = ?"
            " WHERE seq = ?",
            parcel.state,
            parcel.copies,
            parcel.replicas,
            parcel.attempts,
            parcel.next_seconds,
            parcel.seq,
        )

    def set_parcel_envelope(self, seq: int, envelope: bytes) -> None:
        """The same envelope with another stamp."""
        self._run("UPDATE parcel SET envelope = ? WHERE seq = ?", envelope, seq)

    def _outgoing(self, row: Any) -> Outgoing:
        seq, content_id, peer, device, message, sealed, expires_hours, addressed = row
        content = self._unseal("outgoing", peer + content_id, sealed)
        return Outgoing(
            seq, content_id, peer, device, message, content, expires_hours, bool(addressed)
        )

    # -- what was received -----------------------------------------------------------------------

    def opened_secret(self, envelope_id: bytes) -> bytes | None:
        """The secret of an envelope that was opened before."""
        row = self._one("SELECT secret FROM opened WHERE envelope_id = ?", envelope_id)
        return None if row is None else row[0]

    def set_opened(self, envelope_id: bytes, secret: bytes, expires_hours: int) -> None:
        self._run(
            "INSERT OR IGNORE INTO opened VALUES (?, ?, ?)", envelope_id, secret, expires_hours
        )

    def keep_unreadable(
        self, envelope_id: bytes, envelope: bytes, peer: bytes, device: bytes, now: float
    ) -> None:
        self._run(
            "INSERT OR IGNORE INTO unreadable VALUES (?, ?, ?, ?, ?)",
            envelope_id,
            envelope,
            peer,
            device,
            now,
        )

    def unreadable_of(self, peer: bytes, device: bytes) -> list[Unreadable]:
        """What is kept of one device, oldest first."""
        rows = self._all(
            "SELECT envelope, peer, device, kept_seconds FROM unreadable"
            " WHERE peer = ? AND device = ? ORDER BY kept_seconds, envelope_id",
            peer,
            device,
        )
        return [Unreadable(*row) for row in rows]

    def count_unreadable(self) -> int:
        return int(self._one("SELECT count(*) FROM unreadable")[0])

    def forget_unreadable(self, envelope_id: bytes) -> None:
        self._run("DELETE FROM unreadable WHERE envelope_id = ?", envelope_id)

    def forget_old(self, *, opened_before_hours: int, kept_before_seconds: float) -> None:
        """What nobody asks for any more."""
        with self.transaction():
            self._run("DELETE FROM opened WHERE expires_hours < ?", opened_before_hours)
            self._run("DELETE FROM unreadable WHERE kept_seconds < ?", kept_before_seconds)

    def add_part(self, peer: bytes, whole: bytes, number: int, body: bytes, now: float) -> bool:
        """Keep one part of a long text; False when it is there already."""
        return bool(
            self._run(
                "INSERT OR IGNORE INTO part (peer, whole, number, sealed_body, kept_seconds)"
                " VALUES (?, ?, ?, ?, ?)",
                peer,
                whole,
                number,
                self._seal("part", peer + whole + b"%d" % number, body),
                now,
            )
        )

    def parts(self, peer: bytes, whole: bytes) -> list[bytes]:
        """The parts of one text that are there, by number."""
        rows = self._all(
            "SELECT number, sealed_body FROM part WHERE peer = ? AND whole = ? ORDER BY number",
            peer,
            whole,
        )
        return [self._unseal("part", peer + whole + b"%d" % n, sealed) for n, sealed in rows]

    def wholes_in_parts(self, peer: bytes) -> list[bytes]:
        """The texts of that person that are not complete, the oldest first."""
        rows = self._all(
            "SELECT whole FROM part WHERE peer = ? GROUP BY whole ORDER BY min(seq)", peer
        )
        return [whole for (whole,) in rows]

    def remove_parts(self, peer: bytes, whole: bytes) -> None:
        self._run("DELETE FROM part WHERE peer = ? AND whole = ?", peer, whole)

    # -- receipts --------------------------------------------------------------------------------

    def owe_receipt(self, peer: bytes, content_id: bytes) -> None:
        self._run("INSERT OR IGNORE INTO receipt VALUES (?, ?)", peer, content_id)

    def receipts_owed(self) -> dict[bytes, list[bytes]]:
        """The ids to confirm, by person."""
        owed: dict[bytes, list[bytes]] = {}
        for peer, content_id in self._all("SELECT peer, id FROM receipt ORDER BY peer, id"):
            owed.setdefault(peer, []).append(content_id)
        return owed

    def receipts_sent(self, peer: bytes, ids: Sequence[bytes]) -> None:
        with self.transaction():
            for content_id in ids:
                self._run("DELETE FROM receipt WHERE peer = ? AND id = ?", peer, content_id)


def _parcel(row: Any) -> Parcel:
    seq, outgoing, device, envelope, state, *rest = row
    return Parcel(seq, outgoing, device, envelope, ParcelState(state), *rest)
