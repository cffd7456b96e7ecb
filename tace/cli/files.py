"""Files that a command reads whole or makes: private ones, and never over another by mistake."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


def read_file(file: Path, max_bytes: int) -> bytes:
    """What is in it; ``-`` is standard input.

    :raises ClickException: it cannot be read, or holds more.
    """
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with file.open("rb") as reading:
                data = reading.read(max_bytes + 1)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise click.ClickException(f"{file} is too large")
    return data


def write_file(file: Path, data: bytes, *, force: bool) -> None:
    """Make it, for its owner alone (0600), whole or not at all; ``-`` is standard output.

    :param force: take the place of one that is there.
    :raises ClickException: it cannot be written, or is there already.
    """
    if str(file) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if file.exists() and not force:
        raise click.ClickException(f"{file} is there already: --force writes over it")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as w:
                w.write(data)
                w.flush()
                os.fsync(w.fileno())
            if force:
                beside.replace(file)
            else:
                # Fails where another program was faster.
                os.link(beside, file)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
