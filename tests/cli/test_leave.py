"""``tace leave`` with real nodes: what is printed, what ends how, and who may say it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from pathlib import Path
from random import SystemRandom

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.cli.main import main
from tace.errors import StartError
from tace.lab.ports import free_ports
from tace.observe.control import MAX_PATH_BYTES, clear_stale, socket_path
from tace.storage.sqlite import SqliteStore
from tests.gateway.running import reactor
from tests.letters import Box
from tests.network import NoCounters
from tests.processes import Ended, Program, tace, twistd

LOOPBACK = "127.0.0.1"


class WithNodes(TestCase):
    """Nodes as processes of their own."""

    timeout = 120

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        first = free_ports(SystemRandom(), 3)
        self.ports = [first, first + 1, first + 2]

    async def node(self, number: int) -> Program:
        """Told of the first one; it is up."""
        started = self.start(number)
        await started.says("the node is up")
        await started.says("nodes known")
        return started

    def start(self, number: int) -> Program:
        port = self.ports[number]
        program = twistd(
            reactor,
            str(self.directory),
            TACE_NODE_DATA_DIR=f"n{number}",
            TACE_NODE_LOG_LEVEL="info",
            TACE_LINKS_LISTEN=f"tcp:{port}:interface={LOOPBACK}",
            TACE_LINKS_SEEDS=f"{LOOPBACK}:{self.ports[0]}",
            TACE_LINKS_ADVERTISE=f"{LOOPBACK}:{port}",
            TACE_GATEWAY_LISTEN=f"tcp:0:interface={LOOPBACK}",
            TACE_GATEWAY_WEB="false",
            TACE_RING_REPLICAS="2",
        )
        self.addCleanup(program.end)
        return program

    def leave(self, *arguments: str) -> Program:
        program = tace(reactor, str(self.directory), "leave", *arguments)
        self.addCleanup(program.end)
        return program

    async def keep_a_letter(self, name: str) -> None:
        """There is one on the disk of that node when it starts."""
        (self.directory / name).mkdir(mode=0o700)
        now = float(reactor.seconds())
        store = SqliteStore(self.directory / name / "node.db", reactor, counters=NoCounters())
        await store.put_envelopes([Box().envelope(1, now)], now)
        await store.close()

    def assert_failed(self, ended: Ended, text: str) -> None:
        """Status 1 and one line."""
        self.assertEqual(ended.status, 1, ended)
        self.assertIn(text, ended.errors)
        self.assertNotIn("Traceback", ended.errors)


class Leaving(WithNodes):
    """From the command to the marked directory."""

    async def test_it_leaves_and_stays_away(self) -> None:
        """Lines of JSON, exit status 0 of both, and a directory that says what it is."""
        for number in (0, 1):
            await self.node(number)
        leaver = await self.node(2)
        control = self.directory / "n2" / "control"
        mode = control.stat().st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(stat.S_IMODE(control.parent.stat().st_mode), 0o700)
        ended = await self.leave("--data-dir", "n2", "--json").ended
        self.assertEqual((ended.status, ended.errors), (0, ""))
        lines = [json.loads(line) for line in ended.output.splitlines()]
        self.assertEqual(lines[0]["stage"], "leaving")
        self.assertEqual(lines[-1]["stage"], "left")
        self.assertEqual((lines[-1]["arcs_left"], lines[-1]["items_left"]), (0, 0))
        self.assertEqual((await leaver.ended).status, 0)
        self.assertFalse(control.exists())
        again = await self.start(2).ended
        self.assertEqual(again.status, 1)
        self.assertIn("left the network for good", again.output + again.errors)
        self.assertIn(f"delete {Path('n2') / 'left'}", again.output + again.errors)
        (self.directory / "n2" / "left").unlink()
        await self.node(2)

    async def test_too_few_nodes(self) -> None:
        """It says so and stays; with --force it leaves."""
        await self.node(0)
        leaver = await self.node(1)
        refused = await self.leave("--data-dir", "n1").ended
        self.assert_failed(refused, "there are 1 other nodes, for 2 copies")
        self.assertIn("--force", refused.errors)
        ended = await self.leave("--data-dir", "n1", "--force").ended
        self.assertEqual(ended.status, 0, ended)
        self.assertIn("has left", ended.output)
        self.assertEqual((await leaver.ended).status, 0)

    async def test_watching_ends_and_the_leaving_goes_on(self) -> None:
        """Ctrl-C is not for the node. The same command watches again, and hears of its end."""
        other = await self.node(0)
        await self.keep_a_letter("n1")
        leaver = await self.node(1)
        # Whoever does not answer confirms nothing.
        other.signal("STOP")
        watching = self.leave("--data-dir", "n1", "--force", "--json")
        await watching.says('"leaving"')
        watching.signal("INT")
        ended = await watching.ended
        self.assertEqual(ended.status, 3, ended)
        self.assertIn("The leaving goes on", ended.errors)
        again = self.leave("--data-dir", "n1", "--json")
        await again.says('"leaving"')
        leaver.signal("KILL")
        self.assert_failed(await again.ended, "stopped before it had left")
        os.kill(other.pid, signal.SIGCONT)
        # What it left behind is no obstacle.
        self.assertTrue((self.directory / "n1" / "control").exists())
        await self.node(1)

    async def test_nobody_there(self) -> None:
        """No directory, no node in it, and a node that was killed."""
        absent = await self.leave("--data-dir", "nowhere").ended
        self.assert_failed(absent, "there is no data directory nowhere")
        (self.directory / "empty").mkdir()
        empty = await self.leave("--data-dir", "empty").ended
        self.assert_failed(empty, "no node that runs can be reached")

    async def test_one_directory_one_node(self) -> None:
        """A second node in the same directory does not start."""
        await self.node(0)
        self.ports[0] = self.ports[1]
        second = await self.start(0).ended
        self.assertEqual(second.status, 1)
        self.assertIn("works in this directory", second.output + second.errors)


class Socket(SynchronousTestCase):
    """The name and the remains of a socket."""

    def test_a_long_name(self) -> None:
        """Said before anything is tried; one byte less is good."""
        longest = MAX_PATH_BYTES - len("/control")
        self.assertEqual(len(os.fsencode(socket_path(Path("d" * longest)))), MAX_PATH_BYTES)
        with self.assertRaisesRegex(StartError, "use a shorter"):
            socket_path(Path("d" * (longest + 1)))

    def test_what_was_left_behind(self) -> None:
        """A dead socket goes; a living one and a file stay."""
        directory = Path(os.path.relpath(self.mktemp()))
        directory.mkdir(parents=True)
        path = directory / "control"
        clear_stale(path)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(os.fspath(path))
        dead.close()
        clear_stale(path)
        self.assertFalse(path.exists())
        path.write_text("a file")
        with self.assertRaisesRegex(StartError, "no socket"):
            clear_stale(path)
        self.assertTrue(path.exists())

    def test_usage(self) -> None:
        """A directory or a settings file."""
        result = CliRunner().invoke(main, ["leave", "--data-dir", "a", "--config", "b"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("not both", result.stderr)
