"""Files that others sent, into a directory: under a harmless name, and never over another."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import click

from tace.background import background
from tace.cli.output import printable
from tace.client.rows import HistoryMessage
from tace.client.user import User
from tace.errors import TaceError

MAX_WAITING = 1000
_MAX_NAME_BYTES = 180
_FALLBACK = "file"


class Downloads:
    """Fetches one file after the other; what fails is said, and the others go on.

    :ivar failed: how many could not be fetched.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waiting: deque[HistoryMessage] = deque()
        self._running = False
        self.failed = 0

    def want(self, message: HistoryMessage) -> None:
        """Nothing happens where it is no file, or was deleted."""
        if message.file is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.failed += 1
            click.echo("too many files wait: see `tace history --files`", err=True)
            return
        self._waiting.append(message)

    def soon(self, user: User) -> None:
        """Fetch beside whatever else happens."""
        if not self._running and self._waiting:
            self._running = True
            background("downloads", self._run(user))

    async def _run(self, user: User) -> None:
        try:
            await self.fetch(user)
        finally:
            self._running = False

    async def fetch(self, user: User) -> None:
        """All that were wanted."""
        while self._waiting:
            message = self._waiting.popleft()
            try:
                path = await self._fetch(user, message)
            except TaceError as error:
                self.failed += 1
                click.echo(f"{printable(message.text)} was not fetched: {error}", err=True)
            except OSError as error:
                self.failed += 1
                click.echo(f"{printable(message.text)} was not saved: {error.strerror}", err=True)
            else:
                click.echo(f"saved {path}", err=True)

    async def _fetch(self, user: User, message: HistoryMessage) -> Path:
        assert message.file is not None
        self._directory.mkdir(parents=True, exist_ok=True)
        partial = self._directory / f".{message.id.hex()}.{os.getpid()}.part"
        try:
            descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                await user.fetch_file(message.file, target, lambda done, count: None)
            return self._name(partial, safe_name(message.file.name))
        finally:
            partial.unlink(missing_ok=True)

    def _name(self, partial: Path, name: str) -> Path:
        stem, dot, suffix = name.rpartition(".")
        if not stem:
            stem, dot, suffix = name, "", ""
        number = 0
        while True:
            path = self._directory / (f"{stem}-{number}{dot}{suffix}" if number else name)
            try:
                # Fails where something of that name is there, whatever it is.
                os.link(partial, path)
            except FileExistsError:
                number += 1
            else:
                return path


def safe_name(name: str) -> str:
    """A name in a directory, from what a sender calls it: no path, nothing hidden, nothing that
    steers a terminal."""
    plain = "".join(c for c in name if c.isprintable() and c not in "/\\:").strip().lstrip(".-~ ")
    while len(plain.encode(errors="replace")) > _MAX_NAME_BYTES:
        # The end says what kind it is.
        plain = plain[: len(plain) // 2 - 1] + plain[len(plain) // 2 :]
    return plain or _FALLBACK
