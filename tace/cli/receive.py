"""``tace receive``: print what is new."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import CancelledError

from tace.cli.downloads import Downloads
from tace.cli.options import home_option, json_option, node_option, open_home
from tace.cli.output import (
    clock_text,
    print_json,
    printable,
    received_json,
    said_text,
    short_name,
)
from tace.cli.run import run, user_of
from tace.client.address import NodeAddress
from tace.client.rows import HistoryMessage
from tace.client.sqlite import HomeDatabase
from tace.client.user import User


class Printing:
    """Prints what arrives; what is wrong with the network goes to standard error."""

    def __init__(
        self, database: HomeDatabase, *, as_json: bool, downloads: Downloads | None
    ) -> None:
        self._database = database
        self._as_json = as_json
        self._downloads = downloads
        self.user: User | None = None
        self._connected = True
        self._requested: set[bytes] = set()

    def show(self, message: HistoryMessage) -> None:
        if self._downloads is not None and not self._database.is_deleted(message):
            self._downloads.want(message)
            if self.user is not None:
                self._downloads.soon(self.user)
        if self._as_json:
            print_json(received_json(self._database, message))
            return
        name = printable(short_name(self._database, message.peer))
        said = said_text(self._database, message, name).replace("\n", "\n    ")
        click.echo(f"{clock_text(message.sent_ms)} {said}")

    def changed(self, message: HistoryMessage) -> None:
        """Not this command's matter."""

    def unreadable(self, identity: bytes) -> None:
        name = printable(short_name(self._database, identity))
        click.echo(
            f"a message that claims to be from {name} could not be read; it is asked for again",
            err=True,
        )

    def unlisted(self, identity: bytes) -> None:
        name = printable(short_name(self._database, identity))
        click.echo(f"{name} wrote from a device that is not on their list of devices", err=True)

    def requested(self, identity: bytes) -> None:
        if identity in self._requested:
            return
        self._requested.add(identity)
        name = printable(short_name(self._database, identity))
        click.echo(f"{name} is a stranger and wrote: see `tace contact requests`", err=True)

    def no_room(self) -> None:
        click.echo(
            "some messages of strangers were left in the mailbox: too many of them wait here;"
            " see `tace contact requests`",
            err=True,
        )

    def connected(self, address: NodeAddress) -> None:
        if not self._connected:
            click.echo(f"connected to {address}", err=True)
        self._connected = True

    def disconnected(self, reason: str) -> None:
        if self._connected:
            click.echo(f"{reason}; trying again", err=True)
        self._connected = False


@click.command("receive")
@home_option
@node_option
@click.option("--follow", is_flag=True, help="Stay, and print what arrives, until interrupted.")
@click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Fetch the files that come, into DIR. A failed one can be fetched with `tace history`.",
)
@json_option(
    "One JSON object a line with id, kind, from, name, sent, received and what the kind has."
)
def command(
    home: Path, nodes: Sequence[NodeAddress], follow: bool, files: Path | None, as_json: bool
) -> None:
    """Print what is new, oldest first, and confirm it to the senders.

    Each message is printed once, by whichever program on this home comes first. Without --follow
    it ends when everything that waits has been printed; exit status 3 means that not enough nodes
    could be asked to be sure of that.
    """
    opened = open_home(home)
    downloads = None if files is None else Downloads(files)
    printing = Printing(opened.database, as_json=as_json, downloads=downloads)

    async def work(reactor: Any) -> bool:
        user = user_of(opened, reactor, nodes, printing)
        try:
            if not follow:
                complete = await user.collect()
                if downloads is not None:
                    await downloads.fetch(user)
                return complete
            printing.user = user
            # Interrupted: the proper end of it.
            with suppress(CancelledError):
                await user.follow()
            return True
        finally:
            await user.close()

    try:
        complete = run(work)
    finally:
        opened.close()
        sys.stdout.flush()
    if not complete:
        click.echo("not all nodes could be asked: there may be more", err=True)
        raise SystemExit(3)
    if downloads is not None and downloads.failed:
        raise SystemExit(3)
