"""``tace send``: one message, and how far it came."""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tace.cli.options import home_option, json_option, node_option, open_home
from tace.cli.output import print_json, printable, state_text
from tace.cli.run import run, user_of
from tace.client.address import NodeAddress
from tace.client.addressing import parts_of
from tace.client.errors import NeverOnline, UnknownRecipient
from tace.client.home import Home
from tace.client.naming import identity_of
from tace.client.rows import HistoryMessage, MessageState
from tace.client.user import User

MAX_TEXT_BYTES = 64 * 1024
MAX_NAME_CHARACTERS = 255
MAX_WAIT_SECONDS = 7 * 24 * 3600.0
_DONE = frozenset({MessageState.STORED, MessageState.DELIVERED})


@click.command("send")
@home_option
@node_option
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0.0, max=MAX_WAIT_SECONDS),
    metavar="SECONDS",
    help="Stay until the recipient's device has it, so long at most. Exit status 0 then means"
    " delivered, 4 stored and not delivered yet.",
)
@json_option("One JSON object with id, state (stored, partial, queued, delivered), copies and of.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Send a file instead of a text, up to 62 MiB: sealed, in chunks, to the nodes first.",
)
@click.argument("to")
@click.argument("text", required=False)
def command(
    home: Path,
    nodes: Sequence[NodeAddress],
    wait_seconds: float | None,
    as_json: bool,
    file: Path | None,
    to: str,
    text: str | None,
) -> None:
    """Send TEXT (or - for standard input) to TO: a link, a public key, or the name of somebody
    known here.

    \b
    The message is encrypted here, kept in the outbox, and handed to a node.
      stored     on the disks of most of the nodes that are to keep it
      partial    on fewer; it stays in the outbox
      queued     no node could be reached; it stays in the outbox
      delivered  the recipient's device has it already

    The outbox is tried again by every later command. Exit status 3 means partial or queued. A
    text that is too long for one message goes in parts, up to 64 KiB; how many is said before.
    """
    if (file is None) == (text is None):
        raise click.UsageError("give a text, or --file PATH")
    said = None if text is None else _text(text)
    parts = 1 if said is None else parts_of(said)
    opened = open_home(home)
    try:
        if parts > 1:
            click.echo(f"the text is long: it goes in {parts} parts", err=True)
        what = said if file is None else file
        assert what is not None
        message = _send(opened, nodes, to, what, wait_seconds, quiet=as_json)
    finally:
        opened.close()
    if as_json:
        told = {
            "id": message.id.hex(),
            "state": message.state.value,
            "copies": message.copies,
            "of": message.replicas,
        }
        print_json(told | {"parts": parts} if parts > 1 else told)
    else:
        click.echo(state_text(message))
    if message.state is MessageState.FAILED:
        raise SystemExit(1)
    if message.state not in _DONE:
        raise SystemExit(3)
    if wait_seconds is not None and message.state is not MessageState.DELIVERED:
        raise SystemExit(4)


def _send(
    home: Home,
    nodes: Sequence[NodeAddress],
    to: str,
    what: str | Path,
    wait_seconds: float | None,
    *,
    quiet: bool,
) -> HistoryMessage:
    try:
        identity = identity_of(home.database, to)
    except UnknownRecipient as error:
        raise click.BadParameter(str(error), param_hint="TO") from None

    async def work(reactor: Any) -> HistoryMessage:
        user = user_of(home, reactor, nodes)
        try:
            if isinstance(what, str):
                message = await user.send(identity, what)
            else:
                message = await _send_file(user, identity, what, quiet=quiet)
            if wait_seconds is not None:
                message = await user.wait_for(message, wait_seconds)
            return message
        finally:
            await user.close()

    console = Console(stderr=True)
    busy = console.status("sending") if console.is_terminal and not quiet else nullcontext()
    with busy:
        try:
            return run(work)
        except NeverOnline:
            raise NeverOnline(f"{to} has never been online: nobody can write to them yet") from None
        except UnknownRecipient as error:
            raise click.BadParameter(str(error), param_hint="TO") from None


async def _send_file(user: User, identity: bytes, file: Path, *, quiet: bool) -> HistoryMessage:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"

    def progress(done: int, count: int) -> None:
        if not quiet and sys.stderr.isatty():
            click.echo(f"\r{done} of {count} chunks", nl=done == count, err=True)

    try:
        with file.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            name = printable(file.name)[:MAX_NAME_CHARACTERS]
            return await user.send_file(identity, source, size, name, media_type, progress)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None


def _text(argument: str) -> str:
    text = argument if argument != "-" else _standard_input()
    if not text:
        raise click.BadParameter("there is nothing to send", param_hint="TEXT")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise click.BadParameter("the text is not UTF-8", param_hint="TEXT") from None
    if size > MAX_TEXT_BYTES - 16:
        raise click.BadParameter("at most 64 KiB can be sent as a text", param_hint="TEXT")
    return text


def _standard_input() -> str:
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise click.BadParameter("standard input is not UTF-8", param_hint="TEXT") from None
