"""One node as a process of its own, under ``twistd``."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tace.errors import StartError
from tace.lab.layout import NodePlan
from tace.lab.tied import tied

MAX_TAIL_BYTES = 8192
PLANNED = (
    "TACE_NODE_DATA_DIR",
    "TACE_GATEWAY_LISTEN",
    "TACE_LINKS_LISTEN",
    "TACE_LINKS_ADVERTISE",
    "TACE_LINKS_SEEDS",
)
"""From the environment these would make every node the same."""


def twistd_command() -> list[str]:
    """How to start twistd with the Python that is running.

    :raises StartError: it is not installed.
    """
    beside = Path(sys.executable).parent
    twistd = shutil.which("twistd", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if twistd is None:
        raise StartError("twistd is not installed beside this Python, nor is it in PATH")
    return [sys.executable, twistd]


class NodeProcess(ProcessProtocol):
    """One run of one node, from its start to its end.

    Its log goes to ``node.log`` in its directory. Of what it prints besides, only the end is kept.

    :param farewell: the signal it gets when this process ends without having ended it.
    """

    def __init__(self, plan: NodePlan, farewell: int = signal.SIGTERM) -> None:
        self.plan = plan
        self._farewell = farewell
        self.pid = 0
        self.end = ""
        """How it ended, in words; empty while it runs."""
        self._tail = bytearray()
        self._waiting: list[Deferred[str]] = []

    def start(self, reactor: Any, environ: Mapping[str, str]) -> None:
        """:raises StartError: twistd is not there, or no process can be made."""
        # Whatever ends this process, a node that it started does not stay behind.
        arguments = tied(
            [
                *twistd_command(),
                "-n",
                "--pidfile=",
                f"--logfile={self.plan.directory / 'node.log'}",
                "tace",
                f"--config={self.plan.config}",
            ],
            self._farewell,
        )
        kept = {name: value for name, value in environ.items() if name not in PLANNED}
        try:
            transport = reactor.spawnProcess(self, arguments[0], arguments, env=kept)
        except OSError as error:
            raise StartError(f"node {self.plan.index}: {error.strerror or error}") from None
        self.pid = transport.pid
        transport.closeStdin()

    @property
    def last_line(self) -> str:
        """The last line it printed: where it cannot start, the reason."""
        lines = self._tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def when_ended(self) -> Deferred[str]:
        """Fires with the way it ended, when its process is gone."""
        waiting: Deferred[str] = Deferred(self._waiting.remove)
        if self.end:
            waiting.callback(self.end)
        else:
            self._waiting.append(waiting)
        return waiting

    def signal(self, name: str) -> None:
        """Send ``TERM``, ``KILL``, ``STOP``, ``CONT``, ...; nothing happens once it has ended."""
        try:
            if not self.end and self.transport is not None:
                # Twisted knows not all of them by name.
                self.transport.signalProcess(signal.SIGCONT if name == "CONT" else name)
        except ProcessExitedAlready:
            return

    # -- ProcessProtocol -------------------------------------------------------------------------

    def outReceived(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-MAX_TAIL_BYTES]

    def errReceived(self, data: bytes) -> None:
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:
        self.end = _end_in_words(reason)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(self.end)


def _end_in_words(reason: Failure) -> str:
    if reason.check(ProcessDone):
        return "exit status 0"
    error: Any = reason.value
    if error.signal is not None:
        return f"killed by signal {error.signal}"
    return f"exit status {error.exitCode}"
