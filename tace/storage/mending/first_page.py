"""The first page of the database, kept a second time: without it nothing of the file can be read.

It has the header and the schema, so it changes when the schema does; the rest of its header, such
as the list of free pages, is of no use to who only reads. Where the schema does not fit on it, the
other pages of the schema are kept behind it, each after its number (4 bytes). See
https://sqlite.org/fileformat.html, sections 1.3 and 1.6, for the offsets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tace.storage.schema.sqlite import APPLICATION_ID, PAGE_BYTES, sync_directory

_FIXED = ((0, 24), (44, 48), (56, 60), (68, 72))
"""Mark, page size, format of the file and the schema, encoding, application: of all our files."""
_SCHEMA = ((40, 44), (60, 64))
"""The schema's counter and its number: an upgrade changes both, so one alone is damage."""
_VALID_FOR = slice(92, 96)
"""The size in the header counts where this equals the change counter; else that of the file."""
_MARK = slice(68, 72)
_NUMBER_BYTES = 4
_HEADER_BYTES = 100
"""Of the file, before the first page's own."""
_INTERIOR = 5
"""The type of a page of a table that names other pages."""
_MAX_SCHEMA_PAGES = 64


def _kept_at(path: Path) -> Path:
    return path.with_name(path.name + ".first-page")


def _kept(path: Path) -> bytes | None:
    """The first page, and whatever stands behind it."""
    try:
        pages = _kept_at(path).read_bytes()
    except FileNotFoundError:
        return None
    whole = len(pages) % (_NUMBER_BYTES + PAGE_BYTES) == PAGE_BYTES
    return pages if whole and _is_ours(pages) else None


def _others(pages: bytes) -> Iterator[tuple[int, bytes]]:
    """The pages behind the first one, each with its number."""
    for at in range(PAGE_BYTES, len(pages), _NUMBER_BYTES + PAGE_BYTES):
        body = at + _NUMBER_BYTES
        yield int.from_bytes(pages[at:body]), pages[body : body + PAGE_BYTES]


def _schema_pages(file: BinaryIO) -> bytes:
    """All pages of the schema, as they are kept; fewer than a page where there is none."""
    first = file.read(PAGE_BYTES)
    kept = bytearray(first)
    below = _children(first, _HEADER_BYTES)
    while below and len(kept) < _MAX_SCHEMA_PAGES * PAGE_BYTES:
        number = below.pop(0)
        file.seek((number - 1) * PAGE_BYTES)
        page = file.read(PAGE_BYTES)
        kept += number.to_bytes(_NUMBER_BYTES) + page
        below += _children(page, 0)
    return bytes(kept)


def _children(page: bytes, header: int) -> list[int]:
    """The pages that a page of a table names."""
    if len(page) < PAGE_BYTES or page[header] != _INTERIOR:
        return []
    cells = int.from_bytes(page[header + 3 : header + 5])
    found = []
    for n in range(cells):
        at = int.from_bytes(page[header + 12 + 2 * n : header + 14 + 2 * n])
        found.append(int.from_bytes(page[at : at + 4]))
    return [*found, int.from_bytes(page[header + 8 : header + 12])]


def _is_ours(page: bytes) -> bool:
    return int.from_bytes(page[_MARK]) == APPLICATION_ID


def keep_first_page(path: Path) -> None:
    """A copy of it and of the rest of the schema, on disk when this returns; of a sound database
    that nobody has open.

    :raises OSError: the disk refuses.
    """
    with path.open("rb") as file:
        page = _schema_pages(file)
    if _kept(path) == page or len(page) < PAGE_BYTES:
        return
    new = _kept_at(path).with_name(_kept_at(path).name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(page)
        file.flush()
        os.fsync(file.fileno())
    new.replace(_kept_at(path))
    sync_directory(path)


def repair_header(path: Path) -> bool:
    """Put right what is the same in all our files; True where something was wrong.

    SQLite takes a file with some of these bits wrong for one without a log, and passes over what
    the log has.

    :raises OSError: the disk refuses.
    """
    kept = _kept(path)
    if kept is None or not path.exists():
        return False
    wrong = False
    with path.open("r+b") as file:
        head = file.read(max(end for _, end in _FIXED))
        if not head:
            return False
        upgraded = all(head[start:end] != kept[start:end] for start, end in _SCHEMA)
        for start, end in _FIXED if upgraded else (*_FIXED, *_SCHEMA):
            if head[start:end] != kept[start:end]:
                wrong = True
                file.seek(start)
                file.write(kept[start:end])
        if wrong:
            file.flush()
            os.fsync(file.fileno())
    return wrong


def restore_first_page(path: Path) -> bool:
    """Put the copies in their places, for reading alone; False where there are none.

    What stood in the place of the first is kept as ``NAME.first-page.damaged``.

    :raises OSError: the disk refuses.
    """
    kept = _kept(path)
    if kept is None:
        return False
    with path.open("r+b") as file:
        _kept_at(path).with_name(_kept_at(path).name + ".damaged").write_bytes(
            file.read(PAGE_BYTES)
        )
        file.seek(0)
        page = bytearray(kept[:PAGE_BYTES])
        page[_VALID_FOR] = bytes(4)
        file.write(page)
        for number, other in _others(kept):
            file.seek((number - 1) * PAGE_BYTES)
            file.write(other)
        file.flush()
        os.fsync(file.fileno())
    return True


def distrust_size(path: Path) -> None:
    """Have SQLite go by the size of the file, not by what its header says.

    :raises OSError: the disk refuses.
    """
    with path.open("r+b") as file:
        file.seek(_VALID_FOR.start)
        file.write(bytes(4))
