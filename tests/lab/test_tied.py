"""A process that ends with the one that started it, whatever ended that one."""

from __future__ import annotations

import os
import sys

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tace.lab.tied import tied
from tests.processes import Program, environment

SLEEPER = "print('asleep', flush=True); import time; time.sleep(600)"
PARENT = f"""
import subprocess, sys
from tace.lab.tied import tied
subprocess.run(tied([sys.executable, "-c", {SLEEPER!r}]))
"""


class Tied(TestCase):
    """Real processes; the kernel does it."""

    timeout = 30

    def python(self, *arguments: str) -> Program:
        program = Program(reactor, [sys.executable, *arguments], ".", environment())
        self.addCleanup(program.end)
        return program

    async def test_ends_with_its_parent(self) -> None:
        """Even where that is killed and can do nothing about it.

        The child has the parent's standard output: that ends only when both have.
        """
        parent = self.python("-c", PARENT)
        await parent.says("asleep")
        parent.signal("KILL")
        self.assertEqual((await parent.ended).status, -9)

    async def test_parent_gone_before(self) -> None:
        """Who was started by somebody else than it is tied to does not run at all."""
        command = tied([sys.executable, "-c", "print('runs')"])
        self.assertEqual(command[4], str(os.getpid()))
        command[4] = "1"
        ended = await self.python(*command[1:]).ended
        self.assertEqual((ended.status, ended.output), (1, ""))
        self.assertIn("has ended", ended.errors)

    async def test_becomes_the_command(self) -> None:
        """With its arguments, environment and exit status."""
        script = "import os, sys; print(sys.argv[1:], os.environ['PYTHONPATH']); sys.exit(7)"
        command = tied([sys.executable, "-c", script, "a b", ""])
        ended = await self.python(*command[1:]).ended
        self.assertEqual(ended.status, 7)
        self.assertEqual(ended.output, f"['a b', ''] {environment()['PYTHONPATH']}\n")
