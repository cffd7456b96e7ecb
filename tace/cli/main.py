"""The ``tace`` command: one group; a command's module is imported when that command is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import click

from tace import __version__
from tace.errors import TaceError


class Entry(NamedTuple):
    """Where a command is, and what the group's help says of it."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "identity": Entry("tace.cli.identity", "group", "Make, restore, show or move an identity."),
    "contact": Entry("tace.cli.contact", "group", "Add, verify, accept and block people."),
    "send": Entry("tace.cli.send", "command", "Send a message."),
    "receive": Entry("tace.cli.receive", "command", "Print what is new."),
    "chat": Entry("tace.cli.chat", "command", "Talk with somebody."),
    "history": Entry("tace.cli.history", "command", "Show what was said with somebody."),
    "status": Entry("tace.cli.status", "command", "Show what a node says of itself."),
    "leave": Entry(
        "tace.cli.leave", "command", "Have a node of yours hand over what it holds and go."
    ),
    "verify-web": Entry(
        "tace.cli.verify_web", "command", "Compare the web client that a node serves with yours."
    ),
    "network": Entry("tace.cli.network", "command", "Run a network of nodes on this machine."),
    "soak": Entry("tace.cli.soak", "command", "Abuse a network and see whether it keeps its word."),
    "simulate": Entry(
        "tace.cli.simulate", "command", "Run a whole network in virtual time and judge it."
    ),
    "chaos": Entry("tace.cli.chaos", "command", "Kill, pause and wipe nodes while people talk."),
    "bench": Entry("tace.cli.bench", "group", "Measure how fast it is on this machine."),
}


class LazyGroup(click.Group):
    """Help and start-up touch no command's module; an expected failure is one line and exit 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TaceError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tace %(version)s")
def main() -> None:
    """End-to-end encrypted messages without a central server.

    \b
    Begin with
      tace identity new --home alice --name Alice
      tace send --home alice --node http://127.0.0.1:8080 LINK "hello"
      tace receive --home alice --follow

    Exit status: 0 done, 1 failed, 2 wrong usage, 3 partly done or waiting in the outbox, 4 stored
    and not delivered in the time that was given.
    """


if __name__ == "__main__":
    main()
