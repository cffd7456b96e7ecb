"""What changes the tables of tombstones and removals."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tace.identity.mailbox_proof import Removal
from tace.ids import MailboxId
from tace.seams import ItemState, Put
from tace.storage.reads.sqlite import Database, Key, look_up, run_for
from tace.storage.rules import (
    DUPLICATE,
    EXPIRED,
    FULL,
    QUOTA,
    STORED,
    Quotas,
    tombstone_hour_of,
)
from tace.storage.writes.envelopes import MAX_COUNTED_MAILBOXES, Envelopes, delete_rows
from tace.storage.writes.room import Room
from tace.storage.writes.sums import Sums
from tace.wire.objects import Tombstone

_INSERT = """
    INSERT INTO tombstone (mailbox, id, expires, secret, blob_hash, removal)
    SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
    """
_DELETE = "DELETE FROM tombstone WHERE seq IN (VALUES {rows})"
_COUNT = """
    SELECT count(*) FROM (SELECT 1 FROM tombstone INDEXED BY tombstone_place
        WHERE mailbox = ? LIMIT ?)
    """
# Numbers rise with time and expiry takes them from below, so this is a good bound, and costs
# nothing however many there are.
_NUMBERED = """
    SELECT (SELECT max(seq) FROM tombstone) - (SELECT min(seq) FROM tombstone) + 1
    """


@dataclass(frozen=True, slots=True)
class Known:
    """A tombstone that is here."""

    number: int
    proven: bool
    """By the secret, not by a removal."""
    expires: int


class Tombstones:
    """Of one connection, inside its transactions.

    One that buries an envelope which is here is always taken: it makes room. One for a message that
    is not here may be anybody's invention, so these are bounded, in each mailbox and in all.
    """

    def __init__(
        self,
        database: Database,
        room: Room,
        quotas: Quotas,
        envelopes: Envelopes,
        sums: Sums,
    ) -> None:
        self._database = database
        self._room = room
        self._quotas = quotas
        self._envelopes = envelopes
        self._sums = sums
        self._buried: dict[MailboxId, int] = {}

    def put(self, dated: Sequence[tuple[Tombstone, int]]) -> list[Put]:
        """``dated`` pairs each with the hour that ends it."""
        if not dated:
            return []
        fresh = {t.id: t for t, hour in dated if t.expires_hours > hour}
        first = self._put_distinct(list(fresh.values()))
        answers: list[Put] = []
        for tombstone, hour in dated:
            if tombstone.expires_hours <= hour:
                answers.append(EXPIRED)
            else:
                answers.append(first[tombstone.id])
                if first[tombstone.id] is STORED:
                    first[tombstone.id] = DUPLICATE
        return answers

    def _put_distinct(self, tombstones: Sequence[Tombstone]) -> dict[bytes, Put]:
        keys = [(t.mailbox, t.id) for t in tombstones]
        numbers = self._envelopes.numbers(keys)
        known = self.known(keys, but=numbers)
        room = self._room_for_strangers(len(keys) - len(numbers) - len(known))
        answers: dict[bytes, Put] = {}
        rows: list[tuple[Any, ...]] = []
        replaced: list[tuple[Key, Known]] = []
        for n, tombstone in enumerate(tombstones):
            if n in known and known[n].proven:
                answers[tombstone.id] = DUPLICATE
                continue
            if n in known:
                replaced.append((keys[n], known[n]))
            elif n not in numbers:
                if room <= 0:
                    answers[tombstone.id] = FULL
                    continue
                if not self._takes_stranger(tombstone.mailbox):
                    answers[tombstone.id] = QUOTA
                    continue
                room -= 1
            answers[tombstone.id] = STORED
            rows.append(
                (*keys[n], tombstone.expires_hours, tombstone.secret, tombstone.blob_hash, None)
            )
        self._envelopes.delete(keys, numbers)
        self.delete(replaced)
        self._insert(rows)
        return answers

    def put_removal(self, removal: Removal, now: float) -> Put:
        hour = tombstone_hour_of(now)
        mailbox = removal.mailbox
        latest: dict[bytes, int] = {}
        for message, expires in removal.items:
            if expires > hour:
                latest[message] = max(expires, latest.get(message, 0))
        if not latest:
            return EXPIRED
        keys = [(mailbox, message) for message in latest]
        numbers = self._envelopes.numbers(keys)
        known = self.known(keys, but=numbers)
        replaced: list[tuple[Key, Known]] = []
        fresh: list[tuple[bytes, int]] = []
        for n, (message, expires) in enumerate(latest.items()):
            if n not in known:
                fresh.append((message, expires))
            elif not known[n].proven and known[n].expires < expires:
                fresh.append((message, expires))
                replaced.append((keys[n], known[n]))
        if not fresh:
            return DUPLICATE
        strangers = len(fresh) - len(numbers) - len(replaced)
        if self._room_for_strangers(strangers) < strangers:
            return FULL
        if strangers and not self._takes_stranger(mailbox, strangers):
            return QUOTA
        self._envelopes.delete(keys, numbers)
        self.delete(replaced)
        number = self._number_of_removal(removal)
        self._insert(
            [(mailbox, message, expires, None, None, number) for message, expires in fresh]
        )
        return STORED

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._room.spend(1 + len(rows) // 8)
        run_for(self._database, _INSERT, rows, 6)
        for mailbox, message, expires, *_ in rows:
            self._sums.add(mailbox, message, ItemState.TOMBSTONE, expires)

    def _number_of_removal(self, removal: Removal) -> int:
        """Its bytes are kept once, however often it comes."""
        name = sha256(removal.encoded).digest()
        row = self._database.execute("SELECT seq FROM removal WHERE hash = ?", (name,)).fetchone()
        if row is not None:
            return int(row[0])
        (number,) = self._database.execute(
            "INSERT INTO removal (hash, encoded) VALUES (?, ?) RETURNING seq",
            (name, removal.encoded),
        ).fetchone()
        return int(number)

    # -- room for inventions ---------------------------------------------------------------------

    def _room_for_strangers(self, count: int) -> int:
        """How many of ``count`` that bury nothing may come, as far as the whole store goes."""
        if count <= 0:
            return 0
        (numbered,) = self._database.execute(_NUMBERED).fetchone()
        return self._room.for_tombstones(numbered or 0)

    def _takes_stranger(self, mailbox: MailboxId, count: int = 1) -> bool:
        """Are there few enough in the mailbox? Then so many more are counted."""
        most = self._quotas.tombstones_of(mailbox)
        if mailbox not in self._buried:
            if len(self._buried) >= MAX_COUNTED_MAILBOXES:
                self._buried.clear()
            (self._buried[mailbox],) = self._database.execute(_COUNT, (mailbox, most)).fetchone()
        if self._buried[mailbox] + count > most:
            return False
        self._buried[mailbox] += count
        return True

    def forget_counts(self) -> None:
        """They may be wrong: what was counted was rolled back, or has expired."""
        self._buried.clear()

    # -- those that are here ---------------------------------------------------------------------

    def known(self, keys: Sequence[Key], *, but: Container[int] = ()) -> dict[int, Known]:
        """Position in ``keys`` -> the tombstone there, for those that have one.

        ``but``: positions of envelopes that are here, so that no tombstone can be.
        """
        asked = [n for n in range(len(keys)) if n not in but]
        found = look_up(
            self._database,
            """
            SELECT n, seq, secret IS NOT NULL, expires
            FROM asked CROSS JOIN tombstone WHERE mailbox = key AND id = name
            """,
            [keys[n] for n in asked],
        )
        return {asked[n]: Known(number, proven, expires) for n, number, proven, expires in found}

    def delete(self, those: Sequence[tuple[Key, Known]]) -> None:
        delete_rows(self._database, _DELETE, (known.number for _, known in those))
        for key, known in those:
            self._sums.remove(*key, ItemState.TOMBSTONE, known.expires)
