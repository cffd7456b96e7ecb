"""Runs of the whole table that have ended, kept on disk: a table that takes hours goes on later.

A run is known by its scenario, parameters and seed, and by the program: one line of the package
changed, and it is played anew. What an older program did can still be shown, under its name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import click
import msgspec

import tace
from tace.simulation.measurements import Row
from tace.simulation.report import Report

SOURCES = "*.py"


@dataclass(frozen=True, slots=True)
class KeptRun:
    """What one run came to, and what it cost.

    :ivar program: which program it was, in eight hex digits of its digest.
    """

    report: Report
    cpu_seconds: float
    program: str


def program_name(digest: bytes) -> str:
    """Of a program, for people."""
    return digest.hex()[:8]


def program_digest(package: Path | None = None) -> bytes:
    """32 bytes that change with any Python file of the package."""
    root = Path(tace.__file__).parent if package is None else package
    state = sha256()
    for path in sorted(root.rglob(SOURCES)):
        body = path.read_bytes()
        state.update(f"{path.relative_to(root)} {len(body)}\n".encode())
        state.update(body)
    return state.digest()


class KeptRuns:
    """A directory with a file for each run.

    :param directory: made where there is none.
    :raises click.ClickException: it cannot be made.
    """

    def __init__(self, directory: Path, program: bytes) -> None:
        self._directory = directory
        self._program = program
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.ClickException(f"{directory}: {error.strerror}") from error

    def get(self, row: Row, seed: int) -> KeptRun | None:
        """None where it was not played, or its file is not to be read."""
        return _read(self._file(row, seed))

    def latest(self, row: Row, seed: int) -> KeptRun | None:
        """That of this program, or of the program that played it last; None where none has."""
        found = self.get(row, seed)
        if found is not None:
            return found
        paths = self._directory.glob(f"{_name(row, seed)}-*.json")
        for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
            found = _read(path)
            if found is not None:
                return found
        return None

    def put(self, row: Row, seed: int, run: KeptRun) -> None:
        """Whole or not at all. :raises click.ClickException: it cannot be written."""
        path = self._file(row, seed)
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_bytes(msgspec.json.encode(run))
            os.replace(unfinished, path)
        except OSError as error:
            raise click.ClickException(f"{path}: {error.strerror}") from error

    def _file(self, row: Row, seed: int) -> Path:
        return self._directory / f"{_name(row, seed)}-{self._program.hex()[:16]}.json"


def _name(row: Row, seed: int) -> str:
    """Of all files of that run, whatever the program."""
    state = sha256(msgspec.json.encode((row.scenario, row.parameters, seed)))
    return f"{row.scenario}-{seed}-{state.hexdigest()[:8]}"


def _read(path: Path) -> KeptRun | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeptRun)
    except (OSError, msgspec.MsgspecError):
        return None
