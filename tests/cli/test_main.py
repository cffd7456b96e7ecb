"""The group of commands."""

from __future__ import annotations

import subprocess
import sys

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tace.cli import main as main_module
from tace.cli.main import COMMANDS, Entry, main
from tace.errors import TimedOut
from tests.processes import environment


@click.command()
def failing() -> None:
    """Fails as a network does."""
    raise TimedOut("no node answered in time")


class Group(SynchronousTestCase):
    """Help, errors, exit status."""

    def test_help_imports_no_command(self) -> None:
        """Help is there at once: nothing of Twisted or of the commands is loaded for it."""
        program = (
            "import sys; from tace.cli.main import main; main(['--help'], standalone_mode=False);"
            "print(sorted(name for name in sys.modules if name.split('.')[0] == 'twisted' "
            "or name.startswith('tace.cli.')))"
        )
        printed = subprocess.run(
            [sys.executable, "-c", program],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        self.assertEqual(printed.splitlines()[-1], "['tace.cli.main']")
        for name, entry in COMMANDS.items():
            self.assertRegex(printed, rf"(?m)^  {name} +{entry.help}$")

    def test_expected_failure(self) -> None:
        """One line on stderr, exit status 1."""
        entry = Entry("tests.cli.test_main", "failing", "")
        self.patch(main_module, "COMMANDS", {"failing": entry})
        result = CliRunner().invoke(main, ["failing"])
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stderr, "Error: no node answered in time\n")
        self.assertEqual(result.stdout, "")

    def test_wrong_usage(self) -> None:
        """Exit status 2, for a command that is not there and for a wrong option."""
        self.assertEqual(CliRunner().invoke(main, ["frobnicate"]).exit_code, 2)
        self.assertEqual(CliRunner().invoke(main, ["status"]).exit_code, 2)

    def test_version(self) -> None:
        """--version names the program."""
        self.assertRegex(CliRunner().invoke(main, ["--version"]).stdout, r"^tace \d+\.\d+")
