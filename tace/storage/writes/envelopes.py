"""What changes the table of envelopes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tace.ids import MailboxId
from tace.seams import ItemState, Put
from tace.storage.reads.sqlite import Database, Key, look_up, run_for
from tace.storage.rules import DUPLICATE, EXPIRED, FULL, QUOTA, STORED, Quotas, acked
from tace.storage.writes.room import Room
from tace.storage.writes.sums import Sums
from tace.wire.objects import Envelope

MAX_COUNTED_MAILBOXES = 16_384
"""Mailboxes whose number of messages is kept in memory; about 3 MB."""

# NULLs that fill a group up (see run_for) match nothing; only an INSERT must leave them out.
_COUNT_MAILBOXES = """
    SELECT mailbox, count(*) FROM envelope INDEXED BY envelope_place
    WHERE mailbox IN (VALUES {rows}) GROUP BY mailbox
    """
_INSERT = """
    INSERT INTO envelope (mailbox, id, expires, body)
    SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
    """
_DELETE = "DELETE FROM envelope WHERE seq IN (VALUES {rows})"


class Envelopes:
    """Of one connection, inside its transactions."""

    def __init__(self, database: Database, room: Room, quotas: Quotas, sums: Sums) -> None:
        self._database = database
        self._room = room
        self._quotas = quotas
        self._sums = sums
        self._waiting: dict[MailboxId, int] = {}

    def put(self, dated: Sequence[tuple[Envelope, int]]) -> list[Put]:
        """``dated`` pairs each with the hour of its put."""
        if not dated:
            return []
        fresh = {e.id: e for e, hour in dated if e.expires_hours > hour}
        first = self._put_distinct(list(fresh.values()))
        answers: list[Put] = []
        for envelope, hour in dated:
            if envelope.expires_hours <= hour:
                answers.append(EXPIRED)
            else:
                answers.append(first[envelope.id])
                if first[envelope.id] is STORED:
                    first[envelope.id] = DUPLICATE
        return answers

    def _put_distinct(self, envelopes: Sequence[Envelope]) -> dict[bytes, Put]:
        answers: dict[bytes, Put] = {}
        for n, buried, secret in look_up(
            self._database,
            """
            SELECT n, 1, secret FROM asked CROSS JOIN tombstone WHERE mailbox = key AND id = name
            UNION ALL
            SELECT n, 0, NULL FROM asked CROSS JOIN envelope WHERE mailbox = key AND id = name
            """,
            [(e.mailbox, e.id) for e in envelopes],
        ):
            answers[envelopes[n].id] = acked(secret) if buried else DUPLICATE
        new = [e for e in envelopes if e.id not in answers]
        self._count_mailboxes(e.mailbox for e in new)
        room = self._room.for_envelopes()
        rows: list[tuple[bytes, bytes, int, bytes]] = []
        for envelope in new:
            mailbox = envelope.mailbox
            if self._waiting[mailbox] >= self._quotas.of(mailbox):
                answers[envelope.id] = QUOTA
            elif len(rows) >= room:
                answers[envelope.id] = FULL
                self._room.refuse()
            else:
                answers[envelope.id] = STORED
                self._waiting[mailbox] += 1
                rows.append((mailbox, envelope.id, envelope.expires_hours, envelope.encoded))
        self._room.spend(len(rows) * 5 // 4)
        run_for(self._database, _INSERT, rows, 4)
        for mailbox, message, expires, _ in rows:
            self._sums.add(mailbox, message, ItemState.ENVELOPE, expires)
        return answers

    def numbers(self, keys: Sequence[Key]) -> dict[int, tuple[int, int]]:
        """Position in ``keys`` -> (seq, expiry) of the envelope, for those that are here."""
        numbers: dict[int, tuple[int, int]] = {}
        for first, text in look_up(
            self._database,
            """
            SELECT 0, group_concat(n || ' ' || seq || ' ' || expires, ' ')
            FROM asked CROSS JOIN envelope WHERE mailbox = key AND id = name
            """,
            keys,
        ):
            words = iter((text or "").split())
            numbers.update(
                (first + int(n), (int(seq), int(expires)))
                for n, seq, expires in zip(words, words, words, strict=True)
            )
        return numbers

    def delete(self, keys: Sequence[Key], numbers: Mapping[int, tuple[int, int]]) -> None:
        """Those of ``keys`` that have a number."""
        delete_rows(self._database, _DELETE, (number for number, _ in numbers.values()))
        for n, (_, expires) in numbers.items():
            self.left(keys[n][0])
            self._sums.remove(*keys[n], ItemState.ENVELOPE, expires)

    # -- how many wait ---------------------------------------------------------------------------

    def left(self, mailbox: MailboxId) -> None:
        """One has gone from there."""
        if mailbox in self._waiting:
            self._waiting[mailbox] -= 1

    def forget_counts(self) -> None:
        """They may be wrong: what was counted was rolled back."""
        self._waiting.clear()

    def _count_mailboxes(self, mailboxes: Iterable[MailboxId]) -> None:
        """Have the number of messages in these mailboxes at hand."""
        if len(self._waiting) > MAX_COUNTED_MAILBOXES:
            self._waiting.clear()
        unknown = [m for m in dict.fromkeys(mailboxes) if m not in self._waiting]
        self._waiting.update(dict.fromkeys(unknown, 0))
        counts = run_for(self._database, _COUNT_MAILBOXES, [(mailbox,) for mailbox in unknown], 1)
        self._waiting.update(counts)


def delete_rows(database: Database, template: str, numbers: Iterable[int]) -> None:
    """``template`` is a DELETE that names the rows as ``VALUES {rows}``."""
    run_for(database, template, [(number,) for number in sorted(numbers)], 1)
