"""Has a sound database of the newest schema ready, whatever state its files were left in."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from tace.errors import StartError, StoreError
from tace.seams import Counters
from tace.storage.mending.first_page import keep_first_page, repair_header
from tace.storage.mending.sqlite import Mended, finish, looks_like_ours, mend, unread_frames
from tace.storage.schema.sqlite import DamagedError, packaged_steps, prepare, why


class DamageReport:
    """Tells the log, and the counters, of every damage that is met.

    ``store_damage_total`` counts rows lost by table, ``log`` pages of the log that are not read,
    ``header`` repairs of the header, ``met`` requests that ran into damage.
    """

    _log = Logger()

    def __init__(self, path: Path, counters: Counters | None) -> None:
        self._path = path
        self._counters = counters

    def met(self) -> None:
        self._count("met", 1)

    def header(self) -> None:
        self._count("header", 1)
        self._log.critical("{path}: its header was damaged", path=str(self._path))

    def unread(self, frames: int) -> None:
        self._count("log", frames)
        self._log.warn(
            "{path}: {frames} pages at the end of its log cannot be read. After a power cut"
            " these are commits that nobody was told of; else some may be missing here",
            path=str(self._path),
            frames=frames,
        )

    def mending(self, damage: DamagedError) -> None:
        self._log.critical("{damage}; it is being mended", damage=str(damage))

    def mended(self, mended: Mended) -> None:
        for table, lost in mended.lost.items():
            self._count(table, lost)
        self._log.critical("{path} was damaged: {how}", path=str(self._path), how=str(mended))

    def _count(self, what: str, amount: int) -> None:
        if self._counters is not None and amount:
            self._counters.count("store_damage_total", amount, what=what)


def make_ready(path: Path, report: DamageReport) -> None:
    """Nobody has the files open yet.

    :raises StartError: not ours, of a newer tace, or the disk says no.
    """
    try:
        finish(path)
        if repair_header(path):
            report.header()
        frames = unread_frames(path)
        if frames:
            report.unread(frames)
        _bring_up(path)
    except DamagedError as damage:
        if not looks_like_ours(path):
            raise
        report.mending(damage)
        try:
            report.mended(mend(path, packaged_steps()))
            _bring_up(path)
        except StoreError as error:
            raise StartError(f"{damage}; it {error}") from None
    except OSError as error:
        raise StartError(f"{path}: {why(error, path)}") from None


def _bring_up(path: Path) -> None:
    prepare(path, packaged_steps())
    try:
        keep_first_page(path)
    except OSError as error:
        raise StartError(f"{path}: {why(error, path)}") from None
