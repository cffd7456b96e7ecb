"""The outbox: contents nobody has confirmed, and their encrypted copies for devices."""

# What is put into statements by name is a list of columns from this file.
# ruff: noqa: S608

from __future__ import annotations

from typing import Any

from tace.client.rows import Outgoing, Parcel, ParcelState
from tace.client.tables.sqlite import Tables
from tace.ids import KIND_REQUESTS
from tace.wire.objects import Envelope

_OUTGOING = "seq, id, peer, device, message, sealed_content, expires_hours, addressed"
_PARCEL = (
    "parcel.seq, parcel.outgoing, parcel.device, parcel.envelope_id, parcel.envelope,"
    " parcel.stamped, parcel.state, parcel.copies, parcel.replicas, parcel.attempts,"
    " parcel.next_seconds, parcel.introduces, parcel.asked"
)


class Post(Tables):
    """What is to be sent until somebody confirms it."""

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

    def waiting_peers(self, before_ms: int) -> list[tuple[bytes, int]]:
        """Everybody who has not confirmed something that was written before then, and when the
        last of that was (ms since 1970)."""
        return self._all(
            "SELECT outgoing.peer, max(message.sent_ms) FROM outgoing JOIN message ON message.peer"
            " = outgoing.peer AND message.outgoing = 1 AND message.id = outgoing.message"
            " WHERE message.sent_ms < ? GROUP BY outgoing.peer ORDER BY outgoing.peer",
            before_ms,
        )

    def count_session_requests(self) -> int:
        """Contents that are for one device only: nothing else is."""
        return int(self._one("SELECT count(*) FROM outgoing WHERE device IS NOT NULL")[0])

    def count_outgoing(self) -> int:
        """How many contents wait until somebody confirms them."""
        return int(self._one("SELECT count(*) FROM outgoing")[0])

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
        envelope: Envelope,
        *,
        next_seconds: float,
        introduces: bool,
    ) -> None:
        self._run(
            "INSERT INTO parcel (outgoing, device, envelope_id, envelope, stamped, next_seconds,"
            " introduces) VALUES (?, ?, ?, ?, ?, ?, ?)",
            outgoing,
            device,
            envelope.id,
            envelope.encoded,
            envelope.kind == KIND_REQUESTS,
            next_seconds,
            introduces,
        )

    def parcel(self, seq: int) -> Parcel | None:
        row = self._one(f"SELECT {_PARCEL} FROM parcel WHERE seq = ?", seq)
        return None if row is None else _parcel(row)

    def due_parcels(self, now: float, limit: int) -> list[Parcel]:
        """Those whose time has come, in the order in which they were encrypted.

        What no node has comes before what is offered once more, and what needs no stamp before the
        rest: it does not wait for the work that the others need.
        """
        # The numbers alone are sorted, not the envelopes.
        rows = self._all(
            f"SELECT {_PARCEL} FROM parcel WHERE seq IN (SELECT seq FROM parcel"
            " WHERE state IN ('waiting', 'stored') AND next_seconds <= ?"
            " ORDER BY state = 'stored', stamped, seq LIMIT ?)"
            " ORDER BY state = 'stored', stamped, seq",
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

    def make_stored_due(self) -> None:
        """Offer once more, now, what nodes took and nobody confirmed."""
        self._run("UPDATE parcel SET next_seconds = 0 WHERE state = 'stored'")

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
            "UPDATE parcel SET state = ?, copies = ?, replicas = ?, attempts = ?, next_seconds = ?,"
            " asked = ? WHERE seq = ? AND envelope_id = ?",
            parcel.state,
            parcel.copies,
            parcel.replicas,
            parcel.attempts,
            parcel.next_seconds,
            parcel.asked,
            parcel.seq,
            parcel.envelope_id,
        )

    def set_parcel_envelope(self, seq: int, envelope: Envelope) -> None:
        """The same envelope with another stamp."""
        self._run(
            "UPDATE parcel SET envelope = ? WHERE seq = ? AND envelope_id = ?",
            envelope.encoded,
            seq,
            envelope.id,
        )

    def _outgoing(self, row: Any) -> Outgoing:
        seq, content_id, peer, device, message, sealed, expires_hours, addressed = row
        content = self._unseal("outgoing", peer + content_id, sealed)
        return Outgoing(
            seq, content_id, peer, device, message, content, expires_hours, bool(addressed)
        )


def _parcel(row: Any) -> Parcel:
    seq, outgoing, device, envelope_id, envelope, stamped, state, *rest, introduces, asked = row
    known = (bool(stamped), ParcelState(state), *rest, bool(introduces), asked)
    return Parcel(seq, outgoing, device, envelope_id, envelope, *known)
