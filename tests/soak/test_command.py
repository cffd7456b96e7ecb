"""``tace soak`` before it begins."""

from __future__ import annotations

import resource
import socket
from pathlib import Path
from random import Random

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.main import main
from tace.errors import StartError
from tace.lab.ports import LOWEST_EPHEMERAL_PORT, free_ports


class Refusals(SynchronousTestCase):
    """What it does not start with."""

    def test_a_directory_with_something_in_it(self) -> None:
        """Old logs would be read as this run's."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "node.log").write_text("Traceback (most recent call last)")
        ended = CliRunner().invoke(main, ["soak", "--dir", str(directory)])
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("is not empty", ended.output)

    def test_more_connections_than_files(self) -> None:
        """Said before anything is started."""
        self.patch(resource, "getrlimit", lambda _: (1024, 4096))
        where = ["--dir", self.mktemp(), "--silent-connections", "9000"]
        ended = CliRunner().invoke(main, ["soak", *where])
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("10000 open files are needed", ended.output)

    def test_an_abuse_that_is_none(self) -> None:
        """Wrong usage."""
        ended = CliRunner().invoke(main, ["soak", "--only", "kindness"])
        self.assertEqual(ended.exit_code, 2)


class Ports(SynchronousTestCase):
    """Where the nodes stand."""

    def test_they_are_free_and_below_those_of_outgoing_connections(self) -> None:
        """All of them can be had."""
        first = free_ports(Random(1), 10)
        self.assertLessEqual(first + 10, LOWEST_EPHEMERAL_PORT)
        for port in range(first, first + 10):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))

    def test_taken_ones_are_passed_over(self) -> None:
        """With the same chance, others are found."""
        first = free_ports(Random(1), 10)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", first + 5))
            other = free_ports(Random(1), 10)
        self.assertNotIn(first + 5, range(other, other + 10))

    def test_none(self) -> None:
        """It does not look for ever."""

        class Stubborn(Random):
            def randrange(self, *_: object) -> int:
                return taken.getsockname()[1] - 1  # type: ignore[no-any-return]

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.assertRaises(StartError, free_ports, Stubborn(), 2)
