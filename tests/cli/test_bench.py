"""``tace bench``, from outside: small real runs, and wrong usage."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec
from click.testing import CliRunner
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.cli.main import main
from tace.lab.bench.gateway import GatewayReport
from tace.lab.bench.link import LinkReport
from tace.lab.bench.report import NetworkReport
from tace.lab.bench.restart import RestartReport
from tace.lab.bench.store import StoreReport
from tests.processes import Program, tace

R = TypeVar("R")


class Usage(SynchronousTestCase):
    """Wrong usage is exit status 2, before anything is started."""

    def test_options(self) -> None:
        """Each with its reason."""
        for arguments, reason in (
            (["--nodes", "0"], "0 is not in the range"),
            (["--nodes", "101"], "101 is not in the range"),
            (["--clients", "4", "--pairs", "2"], "exclude each other"),
            (["--rate", "5", "--depth", "2"], "--depth needs --rate 0"),
            (["--depth", "65"], "65 is not in the range"),
        ):
            result = CliRunner().invoke(main, ["bench", "network", *arguments])
            self.assertEqual(result.exit_code, 2, arguments)
            self.assertIn(reason, " ".join(result.stderr.split()))


class Running(TestCase):
    """One node or two, about a second of load."""

    timeout = 120

    def setUp(self) -> None:
        # Not trial's, which is too long a path for a socket.
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    def bench(self, *arguments: str) -> Program:
        program = tace(reactor, ".", "bench", "network", *arguments, TMPDIR=str(self.scratch))
        self.addCleanup(program.end, "TERM")
        return program

    async def test_closed_loop(self) -> None:
        """The object has every figure, they fit together, and nothing is left behind."""
        ended = await self.bench(
            *("--nodes", "2", "--pairs", "2", "--depth", "2", "--seconds", "1"),
            *("--idle-clients", "3", "--json"),
        ).ended
        self.assertEqual(ended.status, 0, ended)
        report = msgspec.json.decode(ended.output, type=NetworkReport)
        self.assertEqual(
            (report.nodes, report.copies, report.clients, report.idle_clients), (2, 2, 4, 3)
        )
        self.assertGreater(report.sent, 4)
        self.assertEqual((report.stored, report.delivered), (report.sent, report.sent))
        self.assertEqual((report.lost, report.duplicated, report.strange), (0, 0, 0))
        self.assertEqual(report.acks, {"stored": report.sent})
        for figures in (report.store_ms, report.receive_ms):
            self.assertTrue(0 < figures.p50 <= figures.p95 <= figures.p99 <= figures.max, figures)
        assert report.cpu_us_per_message is not None
        assert report.cpu_us_per_copy is not None
        self.assertGreater(report.cpu_us_per_copy, 0)
        self.assertApproximates(report.cpu_us_per_message / 2, report.cpu_us_per_copy, 0.1)
        self.assertGreater(report.delivered_per_second, 0)
        self.assertGreater(report.rss_bytes_per_node, 10_000_000)
        self.assertIsNotNone(report.rss_bytes_per_connection)
        self.assertGreater(report.loop_lag_ms.max, 0)
        self.assertGreater(report.reference.p256_verify_us, 1)
        self.assertEqual(list(self.scratch.iterdir()), [])

    async def test_open_loop_for_people(self) -> None:
        """At a rate and over TLS: all that was intended is sent; the table has its reference."""
        ended = await self.bench(
            "--nodes", "1", "--clients", "3", "--rate", "40", "--seconds", "1"
        ).ended
        self.assertEqual(ended.status, 0, ended)
        words = " ".join(ended.output.split())
        self.assertIn("40 messages/s for 1 s", words)
        self.assertIn("40, 40", words)
        self.assertIn("bare P-256 verifies", words)

    async def test_interrupt(self) -> None:
        """Ctrl-C in the middle ends all of it."""
        bench = self.bench("--nodes", "1", "--rate", "20", "--seconds", "60")
        await bench.says("tace: measuring\n")
        bench.signal("INT")
        ended = await bench.ended
        self.assertEqual(ended.status, 130, ended)
        self.assertEqual(list(self.scratch.iterdir()), [])
        self.assertEqual(_running_in(self.scratch), [])

    async def test_killed(self) -> None:
        """Even then no process stays: all of them have its standard error, which ends."""
        bench = self.bench("--nodes", "1", "--rate", "20", "--seconds", "60")
        await bench.says("tace: measuring\n")
        bench.signal("KILL")
        self.assertEqual((await bench.ended).status, -9)


def _running_in(directory: Path) -> list[str]:
    """Command lines of processes that name something in this directory."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(directory) in line:
                found.append(line)
    return found


class Others(TestCase):
    """The other benches, with as little work as they take."""

    timeout = 120

    def setUp(self) -> None:
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    async def report(self, kind: type[R], *arguments: str) -> R:
        program = tace(reactor, ".", "bench", *arguments, "--json", TMPDIR=str(self.scratch))
        self.addCleanup(program.end, "TERM")
        ended = await program.ended
        self.assertEqual(ended.status, 0, ended)
        self.assertEqual(list(self.scratch.iterdir()), [])
        return msgspec.json.decode(ended.output, type=kind)

    async def test_store(self) -> None:
        """Beside bare sqlite3."""
        report = await self.report(StoreReport, "store", "--rows", "900", "--mailboxes", "10")
        self.assertEqual((report.rows, report.mailboxes), (900, 10))

    async def test_link(self) -> None:
        """Beside bare TLS."""
        report = await self.report(LinkReport, "link", "--requests", "100")
        self.assertGreater(report.put.ratio, 0)

    async def test_gateway(self) -> None:
        """Both servers answer what they are asked, the same number of bytes."""
        report = await self.report(
            GatewayReport, "gateway", "--connections", "5", "--echoes", "2000"
        )
        self.assertEqual((report.connections, report.echoes), (5, 2000))
        self.assertGreater(report.node.cpu_us_per_echo, 0)
        self.assertGreater(report.bare_autobahn.cpu_us_per_echo, 0)

    async def test_restart(self) -> None:
        """What was stored is there: a client gets the first of it."""
        report = await self.report(RestartReport, "restart", "--messages", "1200")
        self.assertEqual((report.messages, report.mailboxes), (1200, 2))
        filled = report.filled
        assert filled.first_push_seconds is not None
        self.assertTrue(
            0 < filled.answered_seconds <= filled.ready_seconds <= filled.first_push_seconds
        )
        self.assertIsNone(report.empty.first_push_seconds)
