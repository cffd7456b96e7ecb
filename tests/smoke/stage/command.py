"""The ``tace`` command as people run it, one process a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.processes import Ended, Program, tace

COMMAND_SECONDS = 30.0


async def run_command(test: TestCase, *arguments: str) -> Ended:
    """How it ended."""
    program = tace(reactor, ".", *arguments)
    test.addCleanup(program.end)
    ended: Ended = await program.ended.addTimeout(COMMAND_SECONDS, reactor)
    return ended


class Person:
    """An identity in a home of its own."""

    def __init__(
        self, test: TestCase, home: Path, public_key: str, recovery_code: str = ""
    ) -> None:
        self._test = test
        self.home = home
        self.public_key = public_key
        self.recovery_code = recovery_code

    @classmethod
    async def new(cls, test: TestCase, home: Path, name: str) -> Person:
        ended = await run_command(
            test, "identity", "new", "--home", str(home), "--name", name, "--json"
        )
        test.assertEqual(ended.status, 0, ended)
        made = json.loads(ended.output)
        return cls(test, home, made["public_key"], made["recovery_code"])

    async def receive(self, node: str) -> list[dict[str, Any]]:
        """What ``tace receive --json`` prints."""
        ended = await run_command(
            self._test, "receive", "--home", str(self.home), "--node", node, "--json"
        )
        self._test.assertEqual(ended.status, 0, ended)
        return lines_of(ended.output)

    async def send(self, node: str, to: str, text: str) -> dict[str, Any]:
        """What ``tace send --json`` prints."""
        ended = await run_command(
            self._test, "send", "--home", str(self.home), "--node", node, "--json", to, text
        )
        self._test.assertEqual(ended.status, 0, ended)
        result: dict[str, Any] = json.loads(ended.output)
        return result

    def follow(self, *nodes: str) -> Program:
        """``tace receive --follow --json``, under way."""
        given = [argument for node in nodes for argument in ("--node", node)]
        program = tace(
            reactor, ".", "receive", "--home", str(self.home), *given, "--follow", "--json"
        )
        self._test.addCleanup(program.end)
        return program


def lines_of(output: str) -> list[dict[str, Any]]:
    """One object a line."""
    return [json.loads(line) for line in output.splitlines()]
