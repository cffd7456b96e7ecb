"""The history: every message once, in both directions, and whether it was shown."""

# What is put into statements by name is a list of columns from this file.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tace.client.rows import HistoryMessage, Listing, MessageState, Standing
from tace.client.tables.sqlite import Tables
from tace.e2ee.content import File, Kind, decode_body, encode_body

_MESSAGE = (
    "seq, peer, id, outgoing, state, copies, replicas, sender_device, counter, sent_ms,"
    " received_ms, sealed_text, kind, target, sealed_body"
)
MAX_WAITING = 256
"""Reactions, edits and deletes of one person whose target has not come."""
WAITING_MS = 14 * 86_400 * 1000
"""How long they wait for it."""


class History(Tables):
    """The lines of all conversations."""

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
        kind: int = Kind.TEXT,
        target: bytes | None = None,
        file: File | None = None,
        shown: bool = False,
    ) -> bool:
        """Add what was said; what its sender has deleted already is added without its text.

        A delete takes the text of its target, and of the edits of that, off the disk.

        :returns: False when that message is in the history already.
        """
        row = peer + message_id
        with self.transaction():
            # An edit of what is deleted says nothing to anybody.
            late = kind == Kind.EDIT and self._deleted(peer, outgoing, target)
            if late or (target is None and self._deleted(peer, outgoing, message_id)):
                text, file = "", None
            new = self._run(
                "INSERT OR IGNORE INTO message (peer, id, outgoing, state, sender_device, counter,"
                " sent_ms, received_ms, sealed_text, shown, kind, target, sealed_body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                peer,
                message_id,
                outgoing,
                state,
                sender_device,
                counter,
                sent_ms,
                received_ms,
                self._seal("message", row, text.encode()),
                outgoing or late or shown,
                kind,
                target,
                None if file is None else self._seal("file", row, encode_body(file)),
            )
            if new and target is not None:
                if kind == Kind.DELETE:
                    self._take_back(peer, outgoing, target)
                self._bound_waiting(peer, outgoing, received_ms)
        return bool(new)

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
        """Of an outgoing message, which never goes back (:meth:`MessageState.leads_to`)."""
        before = [each for each in MessageState if each.leads_to(state)]
        self._run(
            "UPDATE message SET state = ?, copies = ?, replicas = ?"
            " WHERE peer = ? AND outgoing = 1 AND id = ?"
            f" AND state IN ({', '.join('?' * len(before))})",
            state,
            copies,
            replicas,
            peer,
            message_id,
            *before,
        )

    def unshown(self, peer: bytes | None = None, *, ask: bool = False) -> list[HistoryMessage]:
        """Received messages that may be shown and that no program has shown, in the order they
        came.

        Not what came from a device that is to be looked up first.

        :param ask: nor what strangers wrote.
        """
        rows = self._all(
            f"SELECT {_MESSAGE} FROM message WHERE shown = 0 AND (? IS NULL OR peer = ?)"
            " AND NOT EXISTS (SELECT 1 FROM device WHERE device.identity = message.peer"
            " AND device.device = message.sender_device AND device.listing = ?)"
            " AND NOT (? AND EXISTS (SELECT 1 FROM peer WHERE peer.identity = message.peer"
            " AND peer.standing = ?)) ORDER BY seq",
            peer,
            peer,
            Listing.UNCHECKED,
            ask,
            Standing.REQUEST,
        )
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

    def conversation(
        self, peer: bytes, limit: int = -1, *, shown: bool = False
    ) -> list[HistoryMessage]:
        """The newest ``limit`` texts and files with somebody, oldest first, as edited last; all
        of them without a limit.

        :param shown: only what was shown; all of ours was.
        """
        rows = self._all(
            f"SELECT {_MESSAGE} FROM message WHERE peer = ? AND kind IN (?, ?) AND shown >= ?"
            " ORDER BY seq DESC LIMIT ?",
            peer,
            Kind.TEXT,
            Kind.FILE,
            shown,
            limit,
        )
        return [self._as_edited(self._message(row)) for row in reversed(rows)]

    def target_of(self, message: HistoryMessage) -> HistoryMessage | None:
        """What a reaction, an edit or a delete is about; None where it is not here.

        A reaction may be to what either side said, the others to what their sender said.
        """
        if message.target is None:
            return None
        found = self.message(message.peer, message.target, outgoing=message.outgoing)
        if found is None and message.kind == Kind.REACTION:
            found = self.message(message.peer, message.target, outgoing=not message.outgoing)
        return None if found is None or found.target is not None else self._as_edited(found)

    def is_deleted(self, message: HistoryMessage) -> bool:
        """Has its sender taken it back?"""
        said = message.target is None
        return said and self._deleted(message.peer, message.outgoing, message.id)

    def reactions(self, message: HistoryMessage) -> list[tuple[bool, str]]:
        """(is it ours, emoji) of each who reacts to it, theirs first."""
        found: list[tuple[bool, str]] = []
        for outgoing in (False, True):
            last = self._last_about(message.peer, message.id, Kind.REACTION, outgoing=outgoing)
            if last is not None and last.text:
                found.append((outgoing, last.text))
        return [] if self.is_deleted(message) else found

    def edit_counter(self, message: HistoryMessage) -> int:
        """The counter of the edit that made its text; 0 when it was never edited."""
        edit = self._last_about(message.peer, message.id, Kind.EDIT, outgoing=message.outgoing)
        return edit.counter if edit is not None else 0

    def last_reaction(self, message: HistoryMessage, *, ours: bool) -> HistoryMessage | None:
        """The one that holds: that with the highest counter, also where it takes one back."""
        return self._last_about(message.peer, message.id, Kind.REACTION, outgoing=ours)

    def _as_edited(self, message: HistoryMessage) -> HistoryMessage:
        if message.kind != Kind.TEXT or self.is_deleted(message):
            return message
        edit = self._last_about(message.peer, message.id, Kind.EDIT, outgoing=message.outgoing)
        return message if edit is None else replace(message, text=edit.text)

    def _last_about(
        self, peer: bytes, target: bytes, kind: int, *, outgoing: bool
    ) -> HistoryMessage | None:
        """Of one person's, that with the highest counter; of one counter that which came first."""
        row = self._one(
            f"SELECT {_MESSAGE} FROM message WHERE peer = ? AND target = ? AND kind = ?"
            " AND outgoing = ? ORDER BY counter DESC, seq LIMIT 1",
            peer,
            target,
            kind,
            outgoing,
        )
        return None if row is None else self._message(row)

    def _deleted(self, peer: bytes, outgoing: bool, message_id: bytes | None) -> bool:
        row = self._one(
            "SELECT 1 FROM message WHERE peer = ? AND target = ? AND kind = ? AND outgoing = ?",
            peer,
            message_id,
            Kind.DELETE,
            outgoing,
        )
        return row is not None

    def _take_back(self, peer: bytes, outgoing: bool, target: bytes) -> None:
        texts = self._all(
            "SELECT id FROM message WHERE peer = ? AND outgoing = ? AND kind IN (?, ?) AND id = ?"
            " UNION SELECT id FROM message WHERE peer = ? AND outgoing = ? AND kind = ?"
            " AND target = ?",
            peer,
            outgoing,
            Kind.TEXT,
            Kind.FILE,
            target,
            peer,
            outgoing,
            Kind.EDIT,
            target,
        )
        for (message_id,) in texts:
            self._run(
                "UPDATE message SET sealed_text = ?, sealed_body = NULL, shown = shown OR kind = ?"
                " WHERE peer = ? AND outgoing = ? AND id = ?",
                self._seal("message", peer + message_id, b""),
                Kind.EDIT,
                peer,
                outgoing,
                message_id,
            )

    def _bound_waiting(self, peer: bytes, outgoing: bool, now_ms: int) -> None:
        """Forget what has waited for its target for too long, and the oldest of too many."""
        waiting = (
            "SELECT seq FROM message AS about WHERE peer = ? AND outgoing = ? AND shown = 1"
            " AND target IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message AS said"
            " WHERE said.peer = about.peer AND said.id = about.target AND said.target IS NULL)"
        )
        self._run(
            f"DELETE FROM message WHERE received_ms < ? AND seq IN ({waiting})",
            now_ms - WAITING_MS,
            peer,
            outgoing,
        )
        self._run(
            "DELETE FROM message WHERE seq IN"
            f" ({waiting} ORDER BY seq DESC LIMIT -1 OFFSET {MAX_WAITING})",
            peer,
            outgoing,
        )

    def _message(self, row: Any) -> HistoryMessage:
        seq, peer, message_id, outgoing, state, *plain = row[:11]
        sealed_text, kind, target, sealed_body = row[11:]
        text = self._unseal("message", peer + message_id, sealed_text).decode()
        file = None
        if sealed_body is not None:
            body = decode_body(Kind.FILE, self._unseal("file", peer + message_id, sealed_body))
            assert isinstance(body, File)
            file = body
        known = (bool(outgoing), MessageState(state), *plain, text, kind, target, file)
        return HistoryMessage(seq, peer, message_id, *known)
