"""The history: every message once, in both directions, and whether it was shown."""

# What is put into statements by name is a list of columns from this file.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tace.client.rows import HistoryMessage, MessageState
from tace.client.tables.sqlite import Tables

_MESSAGE = (
    "seq, peer, id, outgoing, state, copies, replicas, sender_device, counter, sent_ms,"
    " received_ms, sealed_text"
)


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

    def unshown(self, peer: bytes | None = None, *, after: int = 0) -> list[HistoryMessage]:
        """Received messages that no program has shown, in the order they came.

        :param after: only those whose number is greater; a later one always has a greater number.
        """
        wanted = "shown = 0 AND seq > ?" + ("" if peer is None else " AND peer = ?")
        values = (after,) if peer is None else (after, peer)
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
