"""What a power cut may leave of files that were written and not yet synced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

SECTOR_BYTES = 512
"""What a disk writes as a whole, or not at all, or (worst) as garbage. Bytes of a sector that were
not written keep what they had, as SQLite assumes (SQLITE_IOCAP_POWERSAFE_OVERWRITE).
"""


LOG_HEADER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Image:
    """A database and its log."""

    database: bytes
    log: bytes

    @classmethod
    def of(cls, path: Path) -> Image:
        log = path.with_name(path.name + "-wal")
        return cls(path.read_bytes(), log.read_bytes() if log.exists() else b"")

    def write(self, path: Path) -> None:
        """As the files at ``path``."""
        path.parent.mkdir(parents=True)
        path.write_bytes(self.database)
        path.with_name(path.name + "-wal").write_bytes(self.log)


def after_a_cut(synced: Image, written: Image, random: Random) -> Image:
    """One of the states a disk may be in: of what differs, any sectors have arrived, some of them
    spoilt; a file that grew may have any length in between, to the byte.
    """
    style = random.choice((_any_sectors, _first_bytes, _flipped))
    log = synced.log
    if synced.log[:LOG_HEADER_BYTES] != written.log[:LOG_HEADER_BYTES]:
        # A log that begins anew has its header synced before anything follows: without that, old
        # frames behind new ones would count again (https://sqlite.org/src/info/ff5be73dee).
        if random.randrange(4) == 0:
            return synced
        log = written.log[:LOG_HEADER_BYTES] + log[LOG_HEADER_BYTES:]
    return Image(style(synced.database, written.database, random), style(log, written.log, random))


def _any_sectors(old: bytes, new: bytes, random: Random) -> bytes:
    """In no order: each arrived or not, or is garbage."""
    result = bytearray(_grown(old, new, random))
    for start, end in list(_differing(result, new)):
        there = result[start:end]
        match random.randrange(8):
            case 0 | 1 | 2 | 3:
                result[start:end] = new[start:end][: len(there)]
            case 4:
                result[start:end] = random.randbytes(len(there))
            case _:
                pass
    return bytes(result)


def _first_bytes(old: bytes, new: bytes, random: Random) -> bytes:
    """In order, up to some byte."""
    changed = list(_differing(old, new))
    if not changed:
        return old
    cut = random.randrange(changed[0][0], changed[-1][1] + 1)
    return new[:cut] + old[cut:]


def _flipped(old: bytes, new: bytes, random: Random) -> bytes:
    """All of it, with some bits wrong in what is new."""
    changed = list(_differing(old, new))
    result = bytearray(new)
    for _ in range(random.randrange(3) if changed else 0):
        start, end = random.choice(changed)
        result[random.randrange(start, end)] ^= 1 << random.randrange(8)
    return bytes(result)


def _grown(old: bytes, new: bytes, random: Random) -> bytes:
    """``old`` at some length between the two; a file system may have made room with zeros."""
    if len(new) <= len(old):
        return old
    return old + bytes(random.randrange(len(new) - len(old) + 1))


def _differing(old: bytes | bytearray, new: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of what was written, sector by sector."""
    for at in range(0, len(new), SECTOR_BYTES):
        before, after = old[at : at + SECTOR_BYTES], new[at : at + SECTOR_BYTES]
        if before != after:
            pairs = enumerate(zip(before, after, strict=False))
            first = next((n for n, (a, b) in pairs if a != b), len(before))
            yield at + first, at + len(after)
