"""How much more the store may take: of its budget, of the disk, and what is kept for small things.

What is added in bulk is refused first: blobs, then envelopes and new records, then tombstones for
messages that are not here. What makes room (an ack of a message that is here) or replaces something
always goes through, as long as the disk itself has a page left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tace.storage.reads.sqlite import Database
from tace.storage.rules import CLOSED_TO_BLOBS
from tace.storage.schema.sqlite import PAGE_BYTES

MAX_LOG_BYTES = 64 * 1024 * 1024
"""What the write-ahead log may take; a quarter of the budget where that is less."""
MAX_RESERVE_PAGES = 4096
"""Kept free for what makes room (acks, removals) when no more messages are taken: 16 MB."""
UNLIMITED_PAGES = 1 << 30
_PART_IN_RESERVE = 16
_PART_FOR_STRANGERS = 4
_TOMBSTONES_A_PAGE = 12
_PAGES_A_RECORD = 3
_MAX_UNSEEN_PAGES = 1024
"""About 4 MB: so much is written at most before the disk is looked at again."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Bytes: the whole disk, free on it for this user, taken by the database and by its log."""

    total_bytes: int
    free_bytes: int
    database_bytes: int = 0
    log_bytes: int = 0


ENDLESS = DiskSpace(1 << 60, 1 << 60)


def disk_space(path: Path) -> DiskSpace:
    """Of the disk that the database ``path`` lies on; endless where the system does not say."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ENDLESS
    if not disk.f_blocks:
        return ENDLESS
    return DiskSpace(
        disk.f_blocks * disk.f_frsize,
        disk.f_bavail * disk.f_frsize,
        _size(path),
        _size(path.with_name(path.name + "-wal")),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Room:
    """Counts in pages; freed pages count as room, because SQLite uses them again.

    :param space: how the disk stands; asked again after at most 4 MB of writing.
    :param max_bytes: the most the files may take; 0 for as much as the disk has.
    :param min_free_bytes: so much of the disk stays free of them.
    """

    def __init__(
        self,
        database: Database,
        space: Callable[[], DiskSpace],
        *,
        max_bytes: int,
        min_free_bytes: int,
    ) -> None:
        self._database = database
        self._space = space
        self._min_free_bytes = min_free_bytes
        budget = min(max_bytes or ENDLESS.total_bytes, space().total_bytes)
        self.log_bytes = min(MAX_LOG_BYTES, budget // 4)
        pages = (budget - self.log_bytes) // PAGE_BYTES
        self._max_pages = pages if max_bytes else UNLIMITED_PAGES
        self.reserve_pages = min(MAX_RESERVE_PAGES, pages // _PART_IN_RESERVE)
        self.full = False
        """Envelopes are refused. True at no room, false again once there is some to speak of."""
        self._why = ""
        self._limit_pages = 0
        self._free_pages = 0
        self._spent_pages = 0
        self._unseen_pages = 0
        self.look()
        if max_bytes:
            # The hard stop. Where the budget was lowered under what is there, the boot still fits.
            most = max(self._max_pages, self._pragma("page_count") + self.reserve_pages)
            database.execute(f"PRAGMA max_page_count = {most}").fetchone()

    def look(self) -> None:
        """See how things stand, on the disk and in the file."""
        pages, unused = self._pragma("page_count"), self._pragma("freelist_count")
        disk = self._space()
        # Pages that are only in the log yet, and what the log itself may still grow by.
        promised = max(0, pages * PAGE_BYTES - disk.database_bytes)
        promised += max(0, self.log_bytes - disk.log_bytes)
        more = (disk.free_bytes - self._min_free_bytes - promised) // PAGE_BYTES
        growth = min(self._max_pages - pages, max(more, 0))
        self._limit_pages = min(pages + growth, UNLIMITED_PAGES)
        self._free_pages = growth + unused
        self._spent_pages = 0
        beyond_reserve = self._free_pages - self.reserve_pages
        self._unseen_pages = max(0, min(_MAX_UNSEEN_PAGES, beyond_reserve // 8))
        self._why = (
            "max_bytes is reached"
            if self._max_pages - pages <= more
            else f"{disk.free_bytes >> 20} MiB of the disk are free,"
            f" {self._min_free_bytes >> 20} MiB are to stay free"
        )
        if beyond_reserve <= 0:
            self.full = True
        elif beyond_reserve > self.reserve_pages:
            self.full = False

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])

    @property
    def why_full(self) -> str:
        """For the operator: what there is least of."""
        return self._why

    def refuse(self) -> None:
        """Something was just turned away for want of room."""
        self.full = True
        self._unseen_pages = 0

    def spend(self, pages: int) -> None:
        """So many are about to be written."""
        self._spent_pages += pages

    def _free(self) -> int:
        if self._spent_pages >= self._unseen_pages:
            self.look()
        return self._free_pages - self._spent_pages

    # -- what may come ---------------------------------------------------------------------------

    def for_envelopes(self) -> int:
        """How many may come; each takes a page and a part of some index pages."""
        free = self._free()
        return 0 if self.full else (free - self.reserve_pages) * 4 // 5

    def for_blob(self, pages: int) -> bool:
        """May a new one come that takes so many? A part of all is closed to them."""
        if self._free() - self._limit_pages // CLOSED_TO_BLOBS < pages:
            # Some may have gone since, and the disk is only looked at often near its own end.
            self.look()
        return self._free() - self._limit_pages // CLOSED_TO_BLOBS >= pages

    def for_record(self, numbered: int) -> bool:
        """May a new one come?

        :param numbered: how many there may be, by their numbers.
        """
        most = self._limit_pages // _PART_FOR_STRANGERS // _PAGES_A_RECORD
        if self.for_envelopes() <= 0:
            self.refuse()
            return False
        return numbered < most

    def for_tombstones(self, numbered: int) -> int:
        """How many may come that bury nothing: a part of what there is, and no page of the last.

        :param numbered: how many tombstones there may be, by their numbers.
        """
        most = self._limit_pages // _PART_FOR_STRANGERS * _TOMBSTONES_A_PAGE
        beyond = (self._free() - self.reserve_pages // 2) * _TOMBSTONES_A_PAGE
        return min(most - numbered, beyond)
