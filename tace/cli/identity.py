"""``tace identity``: make one, get one back, show one, take one elsewhere."""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

import click

from tace.cli.files import read_file, write_file
from tace.cli.options import (
    PASSPHRASE_VARIABLE,
    NodeUrl,
    home_option,
    json_option,
    open_home,
)
from tace.cli.output import print_json, time_text
from tace.client.address import NodeAddress
from tace.client.exporting import Taking, export_home, read_export
from tace.client.home import Fill, Home
from tace.client.naming import key_text
from tace.client.own import MAX_NAME, rename
from tace.e2ee.export import MAX_EXPORT_BYTES
from tace.e2ee.link import ContactLink
from tace.e2ee.recovery import BadRecoveryCode, RecoveryCode

CODE_VARIABLE = "TACE_RECOVERY_CODE"
MAX_EXPORT_FILE_BYTES = MAX_EXPORT_BYTES
"""What unpacks to so much is never larger than that by itself."""

name_option = click.option(
    "--name", default="", metavar="NICK", help="What people you write to see as your name."
)
passphrase_option = click.option(
    "--passphrase",
    "ask_for_passphrase",
    is_flag=True,
    help="Ask for a passphrase that seals the home; TACE_PASSPHRASE sets one without asking.",
)


@click.group("identity")
def group() -> None:
    """Make, restore, show, export or import an identity.

    An identity is a key: nobody hands it out and nobody can take it away. Its recovery code, 30
    characters, is all that is needed to get it back on another machine.
    """


@group.command("new")
@home_option
@name_option
@passphrase_option
@json_option("One JSON object with public_key, link, name and recovery_code.")
def new(home: Path, name: str, ask_for_passphrase: bool, as_json: bool) -> None:
    """Make a new identity in an empty home.

    The recovery code is printed this once and never again: write it down. Give the link to people
    who want to write to you.
    """
    code = RecoveryCode.generate(secrets.token_bytes)
    _make(home, code, name, ask_for_passphrase)
    if as_json:
        print_json({**_shown(code.identity().public, name), "recovery_code": code.text})
        return
    click.echo(f"recovery code  {code.text}")
    click.echo(f"link           {ContactLink(code.identity().public).text}")
    click.echo(f"public key     {key_text(code.identity().public)}")
    click.echo(
        "\nWrite the recovery code down and keep it secret. It is not shown again, and without it"
        "\nthe identity is lost with this directory."
    )


@group.command("restore")
@home_option
@name_option
@passphrase_option
@json_option("One JSON object with public_key, link and name.")
@click.argument("code", required=False)
def restore(
    home: Path, name: str, ask_for_passphrase: bool, as_json: bool, code: str | None
) -> None:
    """Get an identity back from its recovery code, in an empty home.

    CODE is asked for on a terminal and read from standard input otherwise; given as an argument
    it can be seen by other users of the machine. TACE_RECOVERY_CODE works too.

    This home becomes the identity's device: one that still has it elsewhere receives nothing any
    more. Messages from before are not restored; contacts' next messages arrive here.
    """
    parsed = _parsed(_code(code))
    _make(home, parsed, name, ask_for_passphrase)
    identity = parsed.identity().public
    if as_json:
        print_json(_shown(identity, name))
        return
    click.echo(f"restored       {key_text(identity)}")
    click.echo(f"link           {ContactLink(identity).text}")
    click.echo("\nRun `tace receive` once: from then on messages come to this home.")


@group.command("show")
@home_option
@click.option(
    "--node",
    type=NodeUrl(),
    metavar="URL",
    help="Make the link open at this node's page.",
)
@click.option("--qr", is_flag=True, help="Show the link as a QR code as well.")
@json_option("One JSON object with public_key, link and name.")
def show(home: Path, node: NodeAddress | None, qr: bool, as_json: bool) -> None:
    """Show name, public key and link of a home's identity."""
    opened = open_home(home)
    try:
        shown = _shown(opened.own.public, opened.own.name, node)
    finally:
        opened.close()
    if as_json:
        print_json(shown)
        return
    if shown["name"]:
        click.echo(f"name           {shown['name']}")
    click.echo(f"public key     {shown['public_key']}")
    click.echo(f"link           {shown['link']}")
    if qr:
        # Only here: not every command pays for it.
        from tace.cli.qr import qr_text

        click.echo(qr_text(shown["link"], colours=sys.stdout.isatty()))


@group.command("export")
@home_option
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def export(home: Path, force: bool, file: Path) -> None:
    """Write everything but the device's keys and sessions to FILE (- for standard output).

    Contacts, history, names and nodes, sealed under the recovery code: `tace identity import`
    and the web client's import open it with that code. The file holds no code: keep both.
    """
    opened = open_home(home)
    try:
        sealed = export_home(opened, time.time(), secrets.token_bytes)
    finally:
        opened.close()
    write_file(file, sealed, force=force)
    click.echo("exported; it opens with the recovery code alone", err=True)


@group.command("import")
@home_option
@passphrase_option
@json_option("One JSON object with public_key, link, name, contacts, messages and made.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_(home: Path, ask_for_passphrase: bool, as_json: bool, file: Path) -> None:
    """Make an empty home out of an export FILE, of this program or of the web client.

    The recovery code is asked for on a terminal, else taken from TACE_RECOVERY_CODE or read from
    standard input. The file's history and contacts are back; sessions start anew. This home
    becomes the identity's device: one that still has it elsewhere receives nothing any more.
    """
    sealed = read_file(file, MAX_EXPORT_FILE_BYTES)
    code = _parsed(_code(None))
    exported = read_export(sealed, code)
    taking = Taking(exported, time.time(), secrets.token_bytes)
    _make(home, code, exported.name[:MAX_NAME], ask_for_passphrase, taking.fill)
    identity = code.identity().public
    contacts = sum(person.standing == "contact" for person in exported.people)
    if as_json:
        made = {"made": time_text(int(exported.made_ms))}
        counted = {"contacts": contacts, "messages": len(exported.messages)}
        print_json(_shown(identity, exported.name) | counted | made)
        return
    click.echo(f"imported       {key_text(identity)}")
    click.echo(f"link           {ContactLink(identity).text}")
    click.echo(f"contacts       {contacts}")
    click.echo(f"messages       {len(exported.messages)}")
    click.echo("\nRun `tace receive` once: from then on messages come to this home.")


@group.command("name")
@home_option
@click.argument("name")
def name_(home: Path, name: str) -> None:
    """Be called NAME from now on; people learn it with the next message to them."""
    opened = open_home(home)
    try:
        rename(opened.database, name)
    finally:
        opened.close()


def _shown(identity: bytes, name: str, node: NodeAddress | None = None) -> dict[str, str]:
    origin = node.origin if node is not None else ""
    return {
        "public_key": key_text(identity),
        "link": ContactLink(identity, origin).text,
        "name": name,
    }


def _parsed(text: str) -> RecoveryCode:
    try:
        return RecoveryCode.parse(text)
    except BadRecoveryCode as error:
        raise click.BadParameter(str(error), param_hint="CODE") from None


def _make(
    home: Path,
    code: RecoveryCode,
    name: str,
    ask_for_passphrase: bool,
    fill: Fill | None = None,
) -> None:
    passphrase = os.environ.get(PASSPHRASE_VARIABLE, "")
    if ask_for_passphrase and not passphrase:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"there is no terminal to ask for a passphrase on: set {PASSPHRASE_VARIABLE}"
            )
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    Home.create(
        home,
        code,
        name=name,
        passphrase=passphrase,
        random_bytes=secrets.token_bytes,
        fill=fill,
    ).close()


def _code(argument: str | None) -> str:
    if argument is not None and argument != "-":
        return argument
    given = os.environ.get(CODE_VARIABLE, "")
    if given and argument is None:
        return given
    if argument is None and sys.stdin.isatty():
        asked: str = click.prompt("Recovery code", hide_input=True, err=True)
        return asked
    return sys.stdin.readline()
