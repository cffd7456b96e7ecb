"""``tace status``: what is printed. A live node is asked in test_network."""

from __future__ import annotations

import io
import json

import msgspec
from click.testing import CliRunner
from rich.console import Console
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.cli.main import main
from tace.cli.status import as_json, show
from tests.lab.fakes import ring_statuses
from tests.processes import tace


class Printing(SynchronousTestCase):
    """For programs and for people."""

    def test_json(self) -> None:
        """The fields that programs read; ids are hex."""
        status = ring_statuses(2, positions=1)[0]
        told = json.loads(json.dumps(as_json(status)))
        other = ring_statuses(2, positions=1)[1].positions[0].id.hex()
        own = status.positions[0].id.hex()
        self.assertEqual(
            told,
            {
                "node_id": "01" * 32,
                "network_id": "00" * 32,
                "version": "0.1.0",
                "positions": [{"id": own, "predecessor": other, "successors": [other, own]}],
                "members": 2,
                "items": 0,
                "bytes": 0,
                "state": "member",
                "tried": [],
                "silent": 0,
                "silent_since": None,
            },
        )

    def test_no_predecessor(self) -> None:
        """A position that has none says null."""
        status = ring_statuses(1)[0]
        lonely = msgspec.structs.replace(status.positions[0], predecessor=b"")
        status = msgspec.structs.replace(status, positions=(lonely,))
        self.assertIsNone(as_json(status)["positions"][0]["predecessor"])

    def test_people(self) -> None:
        """Short ids; more than four successors are only counted."""
        status = ring_statuses(2)[0]
        many = msgspec.structs.replace(status.positions[0], successors=(b"\xab" * 32,) * 7)
        status = msgspec.structs.replace(status, positions=(many,), items=3, bytes=12345)
        printed = io.StringIO()
        show(status, Console(file=printed, width=100))
        self.assertIn(f"node      {'01' * 32}\n", printed.getvalue())
        self.assertIn("3 items, 12,345 bytes", printed.getvalue())
        self.assertIn("abababab abababab abababab abababab and 3 more", printed.getvalue())

    def test_alone(self) -> None:
        """Whom it tried to reach, and why that failed; for people and for programs."""
        lines = ("seed a.example:6512: nobody there [bold]", "name net.example: no answer")
        status = msgspec.structs.replace(ring_statuses(1)[0], tried=lines)
        self.assertEqual(as_json(status)["tried"], list(lines))
        printed = io.StringIO()
        show(status, Console(file=printed, width=20))
        for line in lines:
            self.assertIn(f"tried     {line}\n", printed.getvalue())

    def test_a_partition(self) -> None:
        """How many are silent, since when, and what to do; nothing where there is none."""
        status = ring_statuses(2)[0]
        printed = io.StringIO()
        show(status, Console(file=printed, width=20))
        self.assertNotIn("silent", printed.getvalue())
        for silent, told in ((1, "1 node that"), (40, "40 nodes that")):
            parted = msgspec.structs.replace(status, silent=silent, silent_since=1_800_000_000)
            self.assertEqual(as_json(parted)["silent"], silent)
            self.assertEqual(as_json(parted)["silent_since"], 1_800_000_000)
            printed = io.StringIO()
            show(parted, Console(file=printed, width=20))
            line = f"silent    {told} went silent together at 2027-01-15 08:00 UTC: "
            self.assertIn(line, printed.getvalue())
            self.assertIn("become one by themselves", printed.getvalue())


class Failing(TestCase):
    """No node, or no address."""

    timeout = 60

    def test_not_an_address(self) -> None:
        """Wrong usage: exit status 2 and the reason."""
        result = CliRunner().invoke(main, ["status", "ftp://node"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("begins with http:// or https://", result.stderr)

    async def test_nobody_there(self) -> None:
        """Exit status 1 and one line. Port 1 of loopback: nobody listens there."""
        ended = await tace(reactor, ".", "status", "http://127.0.0.1:1").ended
        self.assertEqual(ended.status, 1)
        self.assertRegex(ended.errors, r"^Error: http://127.0.0.1:1: [^\n]*\n$")
        self.assertEqual(ended.output, "")
