"""``tace send``: one message, and how far it came."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tace.cli.options import home_option, json_option, node_option, open_home
from tace.cli.output import print_json, state_text
from tace.cli.run import run, user_of
from tace.client.address import NodeAddress
from tace.client.errors import NeverOnline, UnknownRecipient
from tace.client.home import Home
from tace.client.naming import identity_of
from tace.client.rows import HistoryMessage, MessageState

MAX_TEXT_BYTES = 64 * 1024
_DONE = frozenset({MessageState.STORED, MessageState.DELIVERED})


@click.command("send")
@home_option
@node_option
@json_option("One JSON object with id, state (stored, partial, queued, delivered), copies and of.")
@click.argument("to")
@click.argument("text")
def command(home: Path, nodes: Sequence[NodeAddress], as_json: bool, to: str, text: str) -> None:
    """Send TEXT (or - for standard input) to TO: a link, a public key, or the name of somebody who
    wrote to you.

    \b
    The message is encrypted here, kept in the outbox, and handed to a node.
      stored     on the disks of most of the nodes that are to keep it
      partial    on fewer; it stays in the outbox
      queued     no node could be reached; it stays in the outbox
      delivered  the recipient's device has it already

    The outbox is tried again by every later command. Exit status 3 means partial or queued.
    """
    opened = open_home(home)
    try:
        message = _send(opened, nodes, to, _text(text), quiet=as_json)
    finally:
        opened.close()
    if as_json:
        print_json(
            {
                "id": message.id.hex(),
                "state": message.state.value,
                "copies": message.copies,
                "of": message.replicas,
            }
        )
    else:
        click.echo(state_text(message))
    if message.state is MessageState.FAILED:
        raise SystemExit(1)
    if message.state not in _DONE:
        raise SystemExit(3)


def _send(
    home: Home, nodes: Sequence[NodeAddress], to: str, text: str, *, quiet: bool
) -> HistoryMessage:
    try:
        identity = identity_of(home.database, to)
    except UnknownRecipient as error:
        raise click.BadParameter(str(error), param_hint="TO") from None

    async def work(reactor: Any) -> HistoryMessage:
        user = user_of(home, reactor, nodes)
        try:
            return await user.send(identity, text)
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
