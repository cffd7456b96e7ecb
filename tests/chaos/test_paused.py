"""A paused process does not outlive the one that paused it."""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.processes import Program, environment

STOPPED = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
PARENT = f"""
import os, signal, subprocess, sys, time
from tace.lab.tied import tied
child = subprocess.Popen(tied([sys.executable, "-c", {STOPPED!r}], signal.SIGKILL))
os.waitpid(child.pid, os.WUNTRACED)
print("paused", flush=True)
time.sleep(600)
"""


class Paused(TestCase):
    """A real process; the kernel does it."""

    timeout = 30

    async def test_it_ends_with_its_parent(self) -> None:
        """It has the parent's standard output: that ends only when both have."""
        parent = Program(reactor, [sys.executable, "-c", PARENT], ".", environment())
        self.addCleanup(parent.end)
        await parent.says("paused")
        parent.signal("KILL")
        self.assertEqual((await parent.ended).status, -9)
