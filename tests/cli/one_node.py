"""A real node in the test's own process, and people who use it from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tace.cli.main import main
from tace.config import default_settings
from tace.node import Node, make_node
from tests.client.timers import drop_batched_timers
from tests.processes import Ended, Program, tace


class OneNode(TestCase):
    """One node on ports of its own; two identities."""

    timeout = 120

    def setUp(self) -> None:
        self.addCleanup(drop_batched_timers, reactor)
        self.directory = Path(self.mktemp()).absolute()
        self.node = self.start_node()
        self.url = self.node.client_url
        self.links = {}
        for name in ("alice", "bob"):
            self.links[name] = self.new_identity(name)["link"]

    def new_identity(self, home: str) -> dict[str, str]:
        """``tace identity new``, which needs no reactor, in this process."""
        where = ["--home", str(self.directory / home), "--name", home.title(), "--json"]
        made = CliRunner().invoke(main, ["identity", "new", *where])
        told: dict[str, str] = json.loads(made.stdout)
        return told

    def start_node(self, listen: str = "tcp:0:interface=127.0.0.1") -> Node:
        settings = default_settings(
            **{
                "node.data_dir": self.directory / "node",
                "links.listen": "tcp:0:interface=127.0.0.1",
                "gateway.listen": listen,
                "limits.requests_stamp_bits": 4,
            }
        )
        node = make_node(settings, reactor)
        node.privilegedStartService()
        node.startService()
        self.addCleanup(self.stop_node, node)
        return node

    async def stop_node(self, node: Node) -> None:
        if node.running:
            node.running = 0
            await node.stopService()

    def command(self, command: str, *arguments: str, home: str, **environ: str) -> Program:
        """Start ``tace COMMAND --home HOME ARGUMENTS``; for a group, its command comes first."""
        group = [command]
        rest = list(arguments)
        if command in ("identity", "contact"):
            group.append(rest.pop(0))
        where = ["--home", str(self.directory / home)]
        program = tace(reactor, ".", *group, *where, *rest, **environ)
        self.addCleanup(program.end)
        return program

    async def tace(self, command: str, *arguments: str, home: str, **environ: str) -> Ended:
        """The same, to its end."""
        program = self.command(command, *arguments, home=home, **environ)
        if program.transport is not None:
            program.transport.closeStdin()
        return await program.ended

    async def received(self, home: str, *arguments: str) -> list[dict[str, Any]]:
        """What ``tace receive --json`` prints."""
        ended = await self.tace("receive", "--node", self.url, "--json", *arguments, home=home)
        self.assertEqual((ended.status, ended.errors), (0, ""))
        return [json.loads(line) for line in ended.output.splitlines()]
