"""What the user's commands have in common: where the home is, which nodes to talk to."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tace.client.address import NodeAddress
from tace.client.home import Home

F = TypeVar("F", bound=Callable[..., Any])
PASSPHRASE_VARIABLE = "TACE_PASSPHRASE"  # noqa: S105 - the name of it


class NodeUrl(click.ParamType[NodeAddress]):
    """``http://127.0.0.1:8080`` and the like."""

    name = "url"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> NodeAddress:
        if isinstance(value, NodeAddress):
            return value
        try:
            return NodeAddress.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def home_option(command: F) -> F:
    return click.option(
        "--home",
        required=True,
        envvar="TACE_HOME",
        show_envvar=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="The directory with your identity, your outbox and your history.",
    )(command)


def node_option(command: F) -> F:
    return click.option(
        "--node",
        "nodes",
        multiple=True,
        type=NodeUrl(),
        metavar="URL",
        help="A node to talk to; may be given several times. Nodes that were met are remembered,"
        " so it can be left out later.",
    )(command)


def json_option(text: str) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        return click.option("--json", "as_json", is_flag=True, help=text)(command)

    return decorate


def open_home(directory: Path) -> Home:
    """The home, unsealed with ``TACE_PASSPHRASE`` or, on a terminal, by asking.

    :raises HomeError: there is none, or it does not open.
    """
    return Home.open(directory, ask_passphrase=ask_passphrase, random_bytes=secrets.token_bytes)


def ask_passphrase() -> str:
    """From the environment; else from the person at the terminal; else empty."""
    given = os.environ.get(PASSPHRASE_VARIABLE, "")
    if given or not sys.stdin.isatty():
        return given
    answer: str = click.prompt("Passphrase", hide_input=True, err=True)
    return answer
