"""What lies in a range of places (:mod:`tace.wire.ranges`), across the kinds of items."""

from __future__ import annotations

from collections.abc import Sequence

from tace.ids import ID_BYTES
from tace.seams import Item, ItemState
from tace.storage.reads.sqlite import Database, Read, look_up
from tace.storage.rules import hour_of
from tace.storage.sums import Entry, SumsByHour, partition
from tace.wire.objects import TOMBSTONE_GRACE_HOURS
from tace.wire.ranges import PLACE_BYTES

_ENTRY_BYTES = PLACE_BYTES + 1
_LIST = """
    SELECT group_concat(hex(mailbox) || hex(id) || state, '') FROM (
        SELECT mailbox, id, '01' AS state FROM envelope INDEXED BY envelope_place
        WHERE (mailbox, id) >= (:key, :name) AND (mailbox, id) < (:last_key, :last_name)
            AND expires > :hour
        UNION ALL
        SELECT mailbox, id, '02' AS state FROM tombstone INDEXED BY tombstone_place
        WHERE (mailbox, id) >= (:key, :name) AND (mailbox, id) < (:last_key, :last_name)
            AND expires > :tombstone_hour
        UNION ALL
        SELECT key AS mailbox, name AS id, '03' AS state FROM record
        WHERE (key, name) >= (:key, :name) AND (key, name) < (:last_key, :last_name)
            AND expires > :hour AND encoded IS NOT NULL
        ORDER BY mailbox, id LIMIT :limit)
    """
_LIST_ENDING = """
    SELECT group_concat(hex(mailbox) || hex(id) || state, '') FROM (
        SELECT mailbox, id, '01' AS state FROM envelope WHERE expires > :hour AND expires <= :to
        UNION ALL
        SELECT mailbox, id, '02' AS state FROM tombstone
        WHERE expires > :tombstone_hour AND expires <= :tombstone_to
        UNION ALL
        SELECT key AS mailbox, name AS id, '03' AS state FROM record
        WHERE expires > :hour AND expires <= :to AND encoded IS NOT NULL
        LIMIT :limit)
    """
_HELD = """
    SELECT n, 1 FROM asked CROSS JOIN envelope WHERE mailbox = asked.key AND id = asked.name
    UNION ALL
    SELECT n, 2 FROM asked CROSS JOIN tombstone WHERE mailbox = asked.key AND id = asked.name
    UNION ALL
    SELECT n, 3 FROM asked CROSS JOIN record
    WHERE record.key = asked.key AND record.name = asked.name AND encoded IS NOT NULL
    """


def entries(
    database: Database, lower: bytes, upper: bytes, limit: int, hour: int
) -> Sequence[Entry]:
    """The first items of a range that are not over at that hour."""
    (text,) = database.execute(
        _LIST,
        {
            "key": lower[:ID_BYTES],
            "name": lower[ID_BYTES:],
            "last_key": upper[:ID_BYTES],
            "last_name": upper[ID_BYTES:],
            "hour": hour,
            "tombstone_hour": hour - TOMBSTONE_GRACE_HOURS,
            "limit": limit,
        },
    ).fetchone()
    return _entries(text)


def ending(database: Database, after: int, through: int, limit: int) -> Sequence[Entry]:
    """Items that are over at the hour ``through`` and were not at the hour ``after``."""
    (text,) = database.execute(
        _LIST_ENDING,
        {
            "hour": after,
            "to": through,
            "tombstone_hour": after - TOMBSTONE_GRACE_HOURS,
            "tombstone_to": through - TOMBSTONE_GRACE_HOURS,
            "limit": limit,
        },
    ).fetchone()
    return _entries(text)


def _entries(text: str | None) -> Sequence[Entry]:
    """``text`` is key 32, name 32, state u8 of each item, in hexadecimal."""
    listed = bytes.fromhex(text or "")
    return [
        (listed[at : at + PLACE_BYTES], listed[at + PLACE_BYTES])
        for at in range(0, len(listed), _ENTRY_BYTES)
    ]


def sum_items(by_hour: SumsByHour, lower: bytes, upper: bytes, *, parts: int, now: float) -> Read:
    """A list of sums; None where some of the range has to be learned first."""
    hour = hour_of(now)

    def read(database: Database) -> object:
        # The edges are read after the leaves were looked at, so a write in between counts once,
        # twice or not at all. The next comparison sees it as it is.
        sums = by_hour.at(hour)
        cover = sums.cover(lower, upper) if sums is not None else None
        if cover is None:
            return None
        return partition(
            lower,
            upper,
            parts,
            cover,
            lambda low, high, limit: entries(database, low, high, limit, hour),
        )

    return read


def list_range(lower: bytes, upper: bytes, *, limit: int, now: float) -> Read:
    def read(database: Database) -> list[Item]:
        return [
            Item(place[:ID_BYTES], place[ID_BYTES:], ItemState(state))
            for place, state in entries(database, lower, upper, limit, hour_of(now))
        ]

    return read


def held_items(items: Sequence[Item]) -> Read:
    keys = list(dict.fromkeys((item.key, item.name) for item in items))

    def read(database: Database) -> list[Item]:
        found = look_up(database, _HELD, keys)
        return [Item(keys[n][0], keys[n][1], ItemState(state)) for n, state in found]

    return read
