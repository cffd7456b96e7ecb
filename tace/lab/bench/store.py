"""``tace bench store``: a node's store, and the same work in bare sqlite3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, gatherResults

from tace.errors import StoreError
from tace.ids import MailboxId
from tace.lab.bench.sqlite import measure_bare
from tace.lab.bench.store_work import (
    LISTED,
    READS_A_COMMIT,
    ROWS_A_CYCLE,
    Cycle,
    Figures,
    StopWatch,
    cycles,
)
from tace.seams import Put, Store
from tace.storage.sqlite import SqliteStore
from tace.wire.objects import Envelope, Tombstone

FIRST_HOUR = 500_000
"""Where the time that the store is told begins: a day of 2027."""
REPEATS = 3


class StoreReport(msgspec.Struct, frozen=True):
    """``tace bench store --json``."""

    mailboxes: int
    rows: int
    store: Figures
    bare_sqlite3: Figures
    ratio: float
    """Rows a second, by bare sqlite3's."""


async def run_store_bench(
    directory: Path, mailboxes: int, rows: int, random_bytes: Callable[[int], bytes], reactor: Any
) -> StoreReport:
    """Both in turns, several times; the best of each counts, for what disturbs only slows.

    :param rows: at least so many are written, in whole cycles.
    :raises StoreError: something was not stored.
    """
    work = cycles(ceil(rows / ROWS_A_CYCLE), mailboxes, FIRST_HOUR, random_bytes)
    bare, own = [], []
    for number in range(REPEATS):
        place = directory / str(number)
        place.mkdir()
        bare.append(measure_bare(work, place))
        own.append(await measure_store(work, place, reactor))
    best, reference = (max(each, key=lambda f: f.rows_per_second) for each in (own, bare))
    return StoreReport(
        mailboxes=mailboxes,
        rows=len(work) * ROWS_A_CYCLE,
        store=best,
        bare_sqlite3=reference,
        ratio=round(best.rows_per_second / reference.rows_per_second, 2),
    )


async def measure_store(work: Sequence[Cycle], directory: Path, reactor: Any) -> Figures:
    """The node's own store, asked as a node asks it: each call is one commit, with reads beside.

    :raises StoreError: something was not stored.
    """
    store = SqliteStore(directory / "node.db", reactor)
    try:
        watch, commits, read, expired = StopWatch(), store.commits, 0, 0
        for cycle in work:
            for objects in cycle.commits():
                putting = _put(store, objects, cycle.now)
                found = await gatherResults(
                    [
                        Deferred.fromCoroutine(_read(store, each.mailbox, cycle.now))
                        for each in objects[:READS_A_COMMIT]
                    ]
                )
                read += sum(found)
                for put in await putting:
                    if put.code != "stored":
                        raise StoreError(f"not stored: {put.code}")
            expired += await store.expire(cycle.now)
        return watch.figures(len(work) * ROWS_A_CYCLE, store.commits - commits, read, expired)
    finally:
        await store.close()


def _put(
    store: Store, objects: Sequence[Envelope] | Sequence[Tombstone], now: float
) -> Deferred[list[Put]]:
    envelopes = [each for each in objects if isinstance(each, Envelope)]
    if envelopes:
        return store.put_envelopes(envelopes, now)
    return store.put_tombstones([e for e in objects if isinstance(e, Tombstone)], now)


async def _read(store: Store, mailbox: MailboxId, now: float) -> int:
    """List a mailbox, and read what is found."""
    waiting = await store.list_mailbox(mailbox, 0, LISTED, now)
    if not waiting:
        return 0
    return len(await store.get_envelopes(mailbox, [each.id for each in waiting], now))
