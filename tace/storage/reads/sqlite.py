"""What is asked of the database: listings, bodies, records.

A lone thread that runs SQL gives the interpreter's lock away and waits for it again at every row
that SQLite returns; beside a busy reactor each time costs up to milliseconds. So nothing here asks
once per key, and listings come as one row of text: hexadecimal, fixed widths.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tace.errors import Malformed, Refusal, StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import ID_BYTES, Arc, MailboxId, MessageId
from tace.seams import (
    MAX_ANCHORS,
    MAX_KNOWN_DEAD,
    MAX_KNOWN_SEEDS,
    Item,
    ItemState,
    KnownDead,
    KnownPeer,
    KnownSeed,
    Totals,
    Waiting,
)
from tace.storage.rules import MAX_PEERS, hour_of, tombstone_hour_of
from tace.storage.schema.sqlite import DAMAGE
from tace.wire.objects import Envelope, Tombstone

Key = tuple[bytes, bytes]
"""(mailbox, message id), or (record key, name)."""
Found = tuple[list[Envelope], list[Tombstone], list[Removal], list[UserRecord]]
Database = sqlite3.Connection
Read = Callable[[Database], object]

_GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_ITEM_BYTES = 2 * ID_BYTES + 1
_STATES = {int(state): state for state in ItemState}
_PAST_ANY_NAME = b"\xff" * (ID_BYTES + 1)


# -- many at once --------------------------------------------------------------------------------


@cache
def values(rows: int, columns: int) -> str:
    """``(?,?),(?,?)``: the text of so many rows of parameters."""
    return ",".join(["(" + ",".join("?" * columns) + ")"] * rows)


@cache
def _numbered(rows: int) -> str:
    return ",".join(f"({n},?,?)" for n in range(rows))


def in_groups(
    rows: Sequence[Sequence[object]], columns: int
) -> Iterator[tuple[int, int, list[object]]]:
    """(first row, size of the group, parameters).

    Groups come in few sizes, so that few statements are ever prepared; NULLs fill them up.
    """
    for first in range(0, len(rows), _GROUP_SIZES[-1]):
        group = rows[first : first + _GROUP_SIZES[-1]]
        size = next(size for size in _GROUP_SIZES if size >= len(group))
        parameters = [column for row in group for column in row]
        parameters += [None] * (size * columns - len(parameters))
        yield first, size, parameters


def run_for(
    database: sqlite3.Connection, template: str, rows: Sequence[Sequence[object]], columns: int
) -> list[tuple[Any, ...]]:
    """Run a statement for all the rows, which it names as ``VALUES {rows}``; what it returns."""
    return [
        found
        for _, size, parameters in in_groups(rows, columns)
        for found in database.execute(
            template.format(rows=values(size, columns)), parameters
        ).fetchall()
    ]


def look_up(
    database: sqlite3.Connection, select: str, keys: Sequence[Key]
) -> Iterator[tuple[Any, ...]]:
    """Rows of a SELECT over ``asked(n, key, name)``; ``n``, its first column, counts the keys."""
    for first, size, parameters in in_groups(keys, 2):
        text = f"WITH asked(n, key, name) AS (VALUES {_numbered(size)}) {select}"
        for n, *columns in database.execute(text, parameters).fetchall():
            yield (first + n, *columns)


# -- the reader's turns --------------------------------------------------------------------------


class Reads:
    """Serves the reader's turns: each request sees one snapshot, and fails alone."""

    def __init__(
        self,
        database: sqlite3.Connection,
        when_damaged: Callable[[str], None] = lambda _: None,
    ) -> None:
        """:param when_damaged: told, in this thread, of what is not as it was stored."""
        self._database = database
        self._when_damaged = when_damaged

    def take_turn(self, requests: Sequence[Read]) -> list[object]:
        return [self._serve(request) for request in requests]

    def close(self) -> None:
        self._database.close()

    def _serve(self, request: Read) -> object:
        try:
            self._database.execute("BEGIN")
            try:
                return request(self._database)
            finally:
                self._database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
                self._when_damaged(str(error))
            return StoreError(f"cannot read: {error}")
        except Refusal as error:
            self._when_damaged(str(error))
            return StoreError(f"damaged: {error}")


# -- what can be asked ---------------------------------------------------------------------------


def list_mailbox(mailbox: MailboxId, after: int, limit: int, now: float) -> Read:
    def read(database: sqlite3.Connection) -> list[Waiting]:
        # Left alone, the planner may walk the whole table in the order of seq.
        (text,) = database.execute(
            """
            SELECT group_concat(seq || ' ' || hex(id) || ' ' || expires, ' ') FROM (
                SELECT seq, id, expires FROM envelope INDEXED BY envelope_place
                WHERE mailbox = ? AND seq > ? AND expires > ? ORDER BY seq LIMIT ?)
            """,
            (mailbox, after, hour_of(now), limit),
        ).fetchone()
        words = iter((text or "").split())
        return [
            Waiting(int(sequence), bytes.fromhex(message), int(expires))
            for sequence, message, expires in zip(words, words, words, strict=True)
        ]

    return read


def get_envelopes(mailbox: MailboxId, ids: Sequence[MessageId], now: float) -> Read:
    keys = [(mailbox, message) for message in dict.fromkeys(ids)]
    return lambda database: _envelopes(database, keys, hour_of(now))


def _envelopes(database: sqlite3.Connection, keys: Sequence[Key], hour: int) -> list[Envelope]:
    found = look_up(
        database,
        """
        SELECT n, id, expires, body FROM asked CROSS JOIN envelope
        WHERE mailbox = key AND id = name
        """,
        keys,
    )
    envelopes = []
    for _, message, expires, body in found:
        if expires > hour:
            # Its recipient would take a changed one for junk and remove it everywhere.
            envelope = Envelope.parse(body)
            if envelope.id != message:
                raise Malformed("an envelope that is not what its id says")
            envelopes.append(envelope)
    return envelopes


def get_record(key: bytes, now: float) -> Read:
    def read(database: sqlite3.Connection) -> UserRecord | None:
        row = database.execute(
            "SELECT encoded FROM record WHERE key = ? AND expires > ? AND encoded IS NOT NULL",
            (key, hour_of(now)),
        ).fetchone()
        return None if row is None else UserRecord.parse(row[0])

    return read


_LIST_MESSAGES = """
    SELECT group_concat(hex(mailbox) || hex(id) || state, '') FROM (
        SELECT mailbox, id, '01' AS state FROM envelope INDEXED BY envelope_place
        WHERE (mailbox, id) > (:key, :name) AND mailbox <= :through AND expires > :hour
        UNION ALL
        SELECT mailbox, id, '02' AS state FROM tombstone INDEXED BY tombstone_place
        WHERE (mailbox, id) > (:key, :name) AND mailbox <= :through AND expires > :tombstone_hour
        ORDER BY mailbox, id LIMIT :limit)
    """
_LIST_RECORDS = """
    SELECT group_concat(hex(key) || hex(name) || '03', '') FROM (
        SELECT key, name FROM record
        WHERE (key > :key OR key = :key AND name > :name) AND key <= :through
            AND expires > :hour AND encoded IS NOT NULL
        ORDER BY key LIMIT :limit)
    """


def list_items(arc: Arc, *, records: bool, after: Item | None, limit: int, now: float) -> Read:
    segments = arc.segments()
    done = (b"", b"") if after is None else (after.key, after.name)

    def read(database: sqlite3.Connection) -> list[Item]:
        items: list[Item] = []
        for start, through in segments:
            # A segment leaves out its start, with every name there.
            key, name = max((start, _PAST_ANY_NAME), done)
            (text,) = database.execute(
                _LIST_RECORDS if records else _LIST_MESSAGES,
                {
                    "key": key,
                    "name": name,
                    "through": through,
                    "hour": hour_of(now),
                    "tombstone_hour": tombstone_hour_of(now),
                    "limit": limit - len(items),
                },
            ).fetchone()
            items += _items(text or "")
        return items

    return read


def _items(text: str) -> Iterator[Item]:
    """``text`` is key 32, name 32, state u8 of each item, in hexadecimal."""
    listed = bytes.fromhex(text)
    for at in range(0, len(listed), _ITEM_BYTES):
        key, name = listed[at : at + ID_BYTES], listed[at + ID_BYTES : at + 2 * ID_BYTES]
        yield Item(key, name, _STATES[listed[at + 2 * ID_BYTES]])


def get_items(items: Sequence[Item], now: float) -> Read:
    keys: dict[ItemState, list[Key]] = {state: [] for state in ItemState}
    for item in dict.fromkeys(items):
        keys[item.state].append((item.key, item.name))

    def read(database: sqlite3.Connection) -> Found:
        tombstones, removals = _tombstones(
            database, keys[ItemState.TOMBSTONE], tombstone_hour_of(now)
        )
        return (
            _envelopes(database, keys[ItemState.ENVELOPE], hour_of(now)),
            tombstones,
            removals,
            _records(database, keys[ItemState.RECORD], hour_of(now)),
        )

    return read


def _tombstones(
    database: sqlite3.Connection, keys: Sequence[Key], hour: int
) -> tuple[list[Tombstone], list[Removal]]:
    tombstones: list[Tombstone] = []
    removals: dict[int, Removal] = {}
    for _, mailbox, message, expires, secret, blob_hash, number, removal in look_up(
        database,
        """
        SELECT n, mailbox, id, expires, secret, blob_hash, removal.seq, encoded
        FROM asked CROSS JOIN tombstone LEFT JOIN removal ON removal.seq = removal
        WHERE mailbox = key AND id = name
        """,
        keys,
    ):
        if expires <= hour:
            continue
        if secret is not None:
            tombstones.append(Tombstone(mailbox, message, expires, secret, blob_hash))
        elif number not in removals:
            removals[number] = Removal.parse(removal)
    return tombstones, list(removals.values())


def _records(database: sqlite3.Connection, keys: Sequence[Key], hour: int) -> list[UserRecord]:
    found = look_up(
        database,
        """
        SELECT n, expires, encoded FROM asked CROSS JOIN record
        WHERE record.key = asked.key AND record.name = asked.name AND encoded IS NOT NULL
        """,
        keys,
    )
    return [UserRecord.parse(encoded) for _, expires, encoded in found if expires > hour]


def totals(path: Path) -> Read:
    """``path`` is the database's; its write-ahead log counts too."""

    def read(database: sqlite3.Connection) -> Totals:
        envelopes, tombstones, records, blobs = database.execute(
            """
            SELECT (SELECT count(*) FROM envelope), (SELECT count(*) FROM tombstone),
                (SELECT count(*) FROM record WHERE encoded IS NOT NULL),
                (SELECT count(*) FROM blob)
            """
        ).fetchone()
        log = path.with_name(path.name + "-wal")
        size = os.stat(path).st_size + os.stat(log).st_size
        return Totals(envelopes, tombstones, records, size, blobs)

    return read


def load_peers(database: sqlite3.Connection) -> list[KnownPeer]:
    rows = database.execute(
        "SELECT node, record, last_heard FROM peer ORDER BY last_heard DESC, node LIMIT ?",
        (MAX_PEERS,),
    )
    return [KnownPeer(*row) for row in rows.fetchall()]


def load_anchors(database: sqlite3.Connection) -> list[KnownPeer]:
    rows = database.execute(
        "SELECT node, record, last_heard FROM anchor ORDER BY rank LIMIT ?", (MAX_ANCHORS,)
    )
    return [KnownPeer(*row) for row in rows.fetchall()]


def load_seeds(database: sqlite3.Connection) -> list[KnownSeed]:
    rows = database.execute(
        "SELECT address, node, since FROM seed ORDER BY since DESC, address LIMIT ?",
        (MAX_KNOWN_SEEDS,),
    )
    return [KnownSeed(*row) for row in rows.fetchall()]


def load_dead(database: sqlite3.Connection) -> list[KnownDead]:
    rows = database.execute(
        "SELECT node, record, died, in_burst FROM dead ORDER BY died DESC, node LIMIT ?",
        (MAX_KNOWN_DEAD,),
    )
    return [KnownDead(node, record, died, bool(burst)) for node, record, died, burst in rows]
