"""``tace network``: real nodes, from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.cli.main import main
from tests.processes import Program, tace, twistd


class Usage(SynchronousTestCase):
    """Wrong usage is exit status 2, before anything is written."""

    def test_options(self) -> None:
        """Each with its reason."""
        base = self.mktemp()
        for arguments, reason in (
            (["--nodes", "0"], "0 is not in the range"),
            (["--nodes", "1", "--first-port", "70000"], "70000 is not in the range"),
            (["--nodes", "1", "--set", "ring.replicas"], "is not section.key=value"),
            (["--nodes", "1", "--set", "ring.copies=1"], "no such setting"),
            (["--nodes", "1", "--set", "ring.replicas=many"], "'many' is not allowed"),
            ([], "Missing option '--nodes'"),
        ):
            result = CliRunner().invoke(main, ["network", "--base-dir", base, *arguments])
            self.assertEqual(result.exit_code, 2, arguments)
            self.assertIn(reason, " ".join(result.stderr.split()))
            self.assertFalse(Path(base).exists())


class Running(TestCase):
    """Two nodes, each a process of its own."""

    timeout = 120

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()

    def network(self, *options: str) -> Program:
        arguments = ["network", "--nodes", "2", "--base-dir", str(self.base), *options]
        program = tace(reactor, ".", *arguments)
        self.addCleanup(program.end, "TERM")
        return program

    def described(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = json.loads((self.base / "network.json").read_text())["nodes"]
        return nodes

    async def test_life(self) -> None:
        """A ring, its status, a death that is told, a node brought back, stop, and start again."""
        network = self.network("--first-port", "0", "--set", "limits.requests_stamp_bits=0")
        await network.says("2 nodes form one ring.")
        nodes = self.described()
        asked = [
            json.loads((await tace(reactor, ".", "status", node["url"], "--json").ended).output)
            for node in nodes
        ]
        self.assertEqual([status["node_id"] for status in asked], [n["node_id"] for n in nodes])
        self.assertEqual([status["members"] for status in asked], [2, 2])
        self.assertEqual([status["state"] for status in asked], ["member", "member"])

        os.kill(nodes[1]["pid"], signal.SIGKILL)
        await network.says(f"node 1 (pid {nodes[1]['pid']}) died: killed by signal 9")
        config = f"--config={self.base}/node-1/node.toml"
        revived = twistd(reactor, ".", config)
        self.addCleanup(revived.end)
        await revived.says("the node is up")
        revived.signal("TERM")
        self.assertEqual((await revived.ended).status, 0)

        network.signal("TERM")
        ended = await network.ended
        self.assertEqual(ended.status, 0, ended)
        self.assertFalse((self.base / "network.json").exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(nodes[0]["pid"], 0)

        again = self.network("--first-port", "0")
        await again.says("2 nodes form one ring.")
        kept = ("url", "peer_port", "data_dir", "node_id")
        self.assertEqual(
            [{key: node[key] for key in kept} for node in self.described()],
            [{key: node[key] for key in kept} for node in nodes],
        )
        again.signal("INT")
        self.assertEqual((await again.ended).status, 0)

    async def test_taken_port(self) -> None:
        """One line that names the port, the option and the setting; nothing keeps running."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            ended = await self.network("--first-port", str(port)).ended
        self.assertEqual(ended.status, 1)
        self.assertIn(f"port {port} cannot be had for node 0", ended.errors)
        self.assertIn("--first-port", ended.errors)
        self.assertIn("[gateway] listen", ended.errors)
