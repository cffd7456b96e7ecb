"""``tace history``: what was said with somebody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tace.cli.options import home_option, json_option, node_option, open_home
from tace.cli.output import (
    TICKS,
    date_text,
    print_json,
    printable,
    reactions_text,
    said_text,
    short_name,
    time_text,
)
from tace.client.address import NodeAddress
from tace.client.errors import UnknownRecipient
from tace.client.home import Home
from tace.client.naming import identity_of, key_text
from tace.client.rows import HistoryMessage
from tace.client.search import contains, fold
from tace.client.sqlite import HomeDatabase

DEFAULT_LIMIT = 100


@click.command("history")
@home_option
@click.option("--search", metavar="WORD", help="Only what contains WORD, whatever its case.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="The newest so many; 0 for all.",
)
@json_option(
    "One JSON object a line with id, kind, mine, from, name, sent, received, state, edited,"
    " reactions and what the kind has."
)
@click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Fetch the files that they sent, into DIR, while the nodes have them.",
)
@node_option
@click.argument("contact")
def command(
    home: Path,
    search: str | None,
    limit: int,
    as_json: bool,
    files: Path | None,
    nodes: Sequence[NodeAddress],
    contact: str,
) -> None:
    """Show what was said with CONTACT, oldest first, as it reads after edits and deletions.

    What has not been shown by `tace receive` or `tace chat` yet is not in it. No node is asked but
    for --files. Exit status 3: a file could not be fetched.
    """
    opened = open_home(home)
    try:
        try:
            peer = identity_of(opened.database, contact)
        except UnknownRecipient as error:
            raise click.BadParameter(str(error), param_hint="CONTACT") from None
        found = _found(opened.database, peer, search, limit)
        for message in found:
            if as_json:
                own = key_text(opened.own.public)
                print_json(_json(opened.database, message, own))
            else:
                click.echo(_line(opened.database, message))
        if files is not None:
            _fetch(opened, nodes, found, files)
    finally:
        opened.close()


def _fetch(
    home: Home, nodes: Sequence[NodeAddress], messages: Sequence[HistoryMessage], into: Path
) -> None:
    # Only here: the history itself needs no reactor.
    from tace.cli.downloads import Downloads
    from tace.cli.run import run, user_of

    downloads = Downloads(into)
    for message in messages:
        if not message.outgoing:
            downloads.want(message)

    async def work(reactor: Any) -> None:
        user = user_of(home, reactor, nodes)
        try:
            await downloads.fetch(user)
        finally:
            await user.close()

    run(work)
    if downloads.failed:
        raise SystemExit(3)


def _found(
    database: HomeDatabase, peer: bytes, search: str | None, limit: int
) -> list[HistoryMessage]:
    most = limit or -1
    if search is None:
        return database.conversation(peer, most, shown=True)
    wanted = fold(search.strip())
    everything = database.conversation(peer, shown=True)
    found = [message for message in everything if contains(message.text, wanted)]
    return found[-limit:] if limit else found


def _line(database: HomeDatabase, message: HistoryMessage) -> str:
    who = "me" if message.outgoing else printable(short_name(database, message.peer))
    said = said_text(database, message, who)
    edited = " (edited)" if _is_edited(database, message) else ""
    tick = f" {TICKS[message.state]}" if message.outgoing else ""
    line = f"{date_text(message.sent_ms)} {said}{edited}{reactions_text(database, message)}{tick}"
    return line.replace("\n", "\n    ")


def _is_edited(database: HomeDatabase, message: HistoryMessage) -> bool:
    return bool(database.edit_counter(message)) and not database.is_deleted(message)


def _json(database: HomeDatabase, message: HistoryMessage, own: str) -> dict[str, Any]:
    deleted = database.is_deleted(message)
    told: dict[str, Any] = {
        "id": message.id.hex(),
        "kind": "deleted" if deleted else "text" if message.file is None else "file",
        "mine": message.outgoing,
        "from": own if message.outgoing else key_text(message.peer),
        "name": "" if message.outgoing else short_name(database, message.peer),
        "sent": time_text(message.sent_ms),
        "received": time_text(message.received_ms),
        "state": message.state.value,
        "edited": _is_edited(database, message),
        "reactions": [
            {"emoji": emoji, "mine": mine} for mine, emoji in database.reactions(message)
        ],
    }
    if deleted:
        return told
    if message.file is None:
        return told | {"text": message.text}
    return told | {"file": message.text, "type": message.file.type, "bytes": message.file.size}
