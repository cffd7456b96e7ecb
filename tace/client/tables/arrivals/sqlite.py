"""What came: envelopes that were opened or could not be read, parts of texts, receipts owed."""

from __future__ import annotations

from collections.abc import Sequence

from tace.client.rows import Standing, Unreadable, Waiting
from tace.client.tables.sqlite import Tables


class Arrivals(Tables):
    """What was received, as far as it is not in the history."""

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

    def bound_unreadable(self, peer: bytes, *, most_of_one: int, most: int) -> None:
        """Let go of the oldest beyond what is kept: of that person, then of all.

        Among all, those who claim to be somebody unknown go first.
        """
        with self.transaction():
            self._run(
                "DELETE FROM unreadable WHERE envelope_id IN (SELECT envelope_id FROM unreadable"
                " WHERE peer = ? ORDER BY kept_seconds DESC, envelope_id LIMIT -1 OFFSET ?)",
                peer,
                most_of_one,
            )
            if self._one("SELECT count(*) FROM unreadable")[0] > most:
                self._run(
                    "DELETE FROM unreadable WHERE envelope_id IN (SELECT envelope_id"
                    " FROM unreadable LEFT JOIN peer ON peer.identity = unreadable.peer"
                    " ORDER BY peer.identity IS NULL, kept_seconds DESC, envelope_id"
                    " LIMIT -1 OFFSET ?)",
                    most,
                )

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

    def owe_receipt(self, peer: bytes, content_id: bytes) -> None:
        self._run("INSERT OR IGNORE INTO receipt VALUES (?, ?)", peer, content_id)

    def waiting_of(self, peer: bytes) -> Waiting:
        """What is kept of that person and was not shown."""
        messages, size = self._one(
            # Few are not shown; of one person there may be any number.
            "SELECT count(*), coalesce(sum(length(sealed_text)), 0) FROM message"
            " INDEXED BY message_unshown WHERE shown = 0 AND peer = ?",
            peer,
        )
        (contents,) = self._one("SELECT count(*) FROM receipt WHERE peer = ?", peer)
        (parts,) = self._one(
            "SELECT coalesce(sum(length(sealed_body)), 0) FROM part WHERE peer = ?", peer
        )
        return Waiting(messages, contents, size + parts)

    def drop_waiting(self, peer: bytes) -> None:
        """Let go of what of that person was not shown, and of the receipts for it."""
        with self.transaction():
            self._run("DELETE FROM message WHERE peer = ? AND shown = 0", peer)
            for table in ("receipt", "part", "unreadable"):
                self._run(f"DELETE FROM {table} WHERE peer = ?", peer)  # noqa: S608

    def receipts_owed(self, *, ask: bool = False) -> dict[bytes, list[bytes]]:
        """The ids to confirm, by person.

        :param ask: not those of strangers.
        """
        owed: dict[bytes, list[bytes]] = {}
        rows = self._all(
            "SELECT receipt.peer, receipt.id FROM receipt LEFT JOIN peer"
            " ON peer.identity = receipt.peer WHERE NOT (? AND coalesce(peer.standing, '') = ?)"
            " ORDER BY receipt.peer, receipt.id",
            ask,
            Standing.REQUEST,
        )
        for peer, content_id in rows:
            owed.setdefault(peer, []).append(content_id)
        return owed

    def receipts_sent(self, peer: bytes, ids: Sequence[bytes]) -> None:
        with self.transaction():
            for content_id in ids:
                self._run("DELETE FROM receipt WHERE peer = ? AND id = ?", peer, content_id)
