"""docs/cli.md names every command of this client with every option."""

from __future__ import annotations

from collections.abc import Iterator

import click
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.main import COMMANDS, main
from tests.processes import ROOT

NOT_A_CLIENTS = frozenset({"bench", "chaos", "simulate", "soak"})
"""What measures and tries is documented with what it is for."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    context = click.Context(main)
    for name in COMMANDS.keys() - NOT_A_CLIENTS:
        command = main.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for inner, each in command.commands.items():
                yield f"tace {name} {inner}", each
        else:
            yield f"tace {name}", command


class Documented(SynchronousTestCase):
    def test_every_command_and_option(self) -> None:
        """On the line that shows how it is called."""
        lines = (ROOT / "docs" / "cli.md").read_text().splitlines()
        for words, command in commands():
            usages = [line for line in lines if line.strip("`").startswith(f"{words} ")]
            self.assertTrue(usages, f"docs/cli.md does not say how to call {words}")
            for parameter in command.params:
                if not isinstance(parameter, click.Option):
                    continue
                name = parameter.opts[0]
                documented = any(name in usage for usage in usages)
                self.assertTrue(documented, f"docs/cli.md has no {name} of {words}")
