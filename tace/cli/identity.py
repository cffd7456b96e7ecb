"""``tace identity``: make one, get one back, show one."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import click

from tace.cli.options import (
    PASSPHRASE_VARIABLE,
    NodeUrl,
    home_option,
    json_option,
    open_home,
)
from tace.cli.output import print_json
from tace.client.address import NodeAddress
from tace.client.home import Home
from tace.client.naming import key_text
from tace.e2ee.link import ContactLink
from tace.e2ee.recovery import BadRecoveryCode, RecoveryCode

CODE_VARIABLE = "TACE_RECOVERY_CODE"

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
    """Make, restore or show an identity.

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
    try:
        parsed = RecoveryCode.parse(_code(code))
    except BadRecoveryCode as error:
        raise click.BadParameter(str(error), param_hint="CODE") from None
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
@json_option("One JSON object with public_key, link and name.")
def show(home: Path, node: NodeAddress | None, as_json: bool) -> None:
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


def _shown(identity: bytes, name: str, node: NodeAddress | None = None) -> dict[str, str]:
    origin = node.origin if node is not None else ""
    return {
        "public_key": key_text(identity),
        "link": ContactLink(identity, origin).text,
        "name": name,
    }


def _make(home: Path, code: RecoveryCode, name: str, ask_for_passphrase: bool) -> None:
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
