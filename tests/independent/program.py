"""A `tace` command that a test starts."""

import contextlib
import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

ROOT = Path(__file__).parents[2]


class Program(ProcessProtocol):
    """A `tace` command, whose output and end can be waited for."""

    def __init__(self, *arguments: str) -> None:
        self.received, self.wanted = b"", "\0"
        self.code: int | None = None
        self.heard: Deferred[None] = Deferred()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "tace.cli.main", *arguments]
        self.process = reactor.spawnProcess(self, sys.executable, command, environment)

    @property
    def output(self) -> str:
        return self.received.decode(errors="replace")

    def outReceived(self, data: bytes) -> None:
        self.received += data
        self.look()

    def errReceived(self, data: bytes) -> None:
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:
        self.code = getattr(reason.value, "exitCode", None)
        self.code = -1 if self.code is None else self.code
        self.look()

    def look(self) -> None:
        found = self.wanted in self.output or self.code is not None
        if found and not self.heard.called:
            self.heard.callback(None)

    async def says(self, wanted: str, seconds: float) -> None:
        """Wait until that stands in the output, or the program ended."""
        self.wanted, self.heard = wanted, Deferred()
        self.look()
        await self.heard.addTimeout(seconds, reactor, lambda *_: None)
        if wanted != "\0" and wanted not in self.output:
            raise AssertionError(f"{wanted!r} did not come; the output was:\n{self.output}")

    async def ends(self, seconds: float) -> None:
        await self.says("\0", seconds)

    async def stop(self) -> None:
        for word in "TERM", "KILL":
            if self.code is None:
                with contextlib.suppress(ProcessExitedAlready):
                    self.process.signalProcess(word)
                await self.ends(12)
