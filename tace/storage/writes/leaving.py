"""What leaves the store: what is over, and what this node is no longer a replica for."""

from __future__ import annotations

from collections.abc import Sequence

from tace.seams import Item, ItemState
from tace.storage.reads.sqlite import Database, Key, look_up
from tace.storage.rules import RECORD_MEMORY_HOURS, hour_of, tombstone_hour_of
from tace.storage.writes.blobs import expire_blobs
from tace.storage.writes.envelopes import Envelopes, delete_rows
from tace.storage.writes.sums import Sums
from tace.storage.writes.tombstones import Tombstones

EXPIRED_A_TURN = 256
"""So many rows of each kind go in one turn of expiry; live writes come in between."""
_DELETE_RECORDS = "DELETE FROM record WHERE seq IN (VALUES {rows})"


class Leaving:
    """Of one connection, inside its transactions."""

    def __init__(
        self, database: Database, envelopes: Envelopes, tombstones: Tombstones, sums: Sums
    ) -> None:
        self._database = database
        self._sums = sums
        self._envelopes = envelopes
        self._tombstones = tombstones

    def drop_items(self, items: Sequence[Item]) -> None:
        keys: dict[ItemState, list[Key]] = {state: [] for state in ItemState}
        for item in dict.fromkeys(items):
            keys[item.state].append((item.key, item.name))
        envelopes = keys[ItemState.ENVELOPE]
        self._envelopes.delete(envelopes, self._envelopes.numbers(envelopes))
        buried = keys[ItemState.TOMBSTONE]
        tombstones = self._tombstones.known(buried)
        self._tombstones.delete([(buried[n], known) for n, known in tombstones.items()])
        self._tombstones.forget_counts()
        published = keys[ItemState.RECORD]
        records = look_up(
            self._database,
            """
            SELECT n, seq, expires, encoded IS NOT NULL FROM asked CROSS JOIN record
            WHERE record.key = asked.key AND record.name = asked.name
            """,
            published,
        )
        numbers = []
        for n, number, expires, is_there in records:
            numbers.append(number)
            if is_there:
                key, name = published[n]
                self._sums.remove(key, name, ItemState.RECORD, expires)
        delete_rows(self._database, _DELETE_RECORDS, numbers)

    def expire_some(self, now: float) -> tuple[int, bool]:
        """How many went, and whether more may be left."""
        hour = hour_of(now)
        self._sums.expire(hour)
        mailboxes = self._database.execute(
            "DELETE FROM envelope WHERE seq IN "
            "(SELECT seq FROM envelope WHERE expires <= ? LIMIT ?) RETURNING mailbox",
            (hour, EXPIRED_A_TURN),
        ).fetchall()
        for (mailbox,) in mailboxes:
            self._envelopes.left(mailbox)
        tombstones = self._database.execute(
            "DELETE FROM tombstone WHERE seq IN "
            "(SELECT seq FROM tombstone WHERE expires <= ? LIMIT ?)",
            (tombstone_hour_of(now), EXPIRED_A_TURN),
        ).rowcount
        if tombstones:
            self._tombstones.forget_counts()
        records = self._database.execute(
            "UPDATE record SET encoded = NULL WHERE seq IN "
            "(SELECT seq FROM record WHERE expires <= ? AND encoded IS NOT NULL LIMIT ?)",
            (hour, EXPIRED_A_TURN),
        ).rowcount
        forgotten = self._database.execute(
            "DELETE FROM record WHERE seq IN "
            "(SELECT seq FROM record WHERE expires <= ? AND encoded IS NULL LIMIT ?)",
            (hour - RECORD_MEMORY_HOURS, EXPIRED_A_TURN),
        ).rowcount
        blobs, more_blobs = expire_blobs(self._database, hour)
        gone = (len(mailboxes), tombstones, records)
        return sum(gone) + blobs, more_blobs or max(*gone, forgotten) >= EXPIRED_A_TURN
