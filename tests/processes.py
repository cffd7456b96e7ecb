"""Programs that tests start: with the checkout on their path, whatever else is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tace.lab.process import twistd_command

ROOT = Path(__file__).resolve().parent.parent


def environment(**more: str) -> dict[str, str]:
    """This process's, without settings of nodes, and with the checkout first on Python's path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TACE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


class Ended(NamedTuple):
    """How a program ended: its exit status (negative: the signal), and what it printed."""

    status: int
    output: str
    errors: str


class Program(ProcessProtocol):
    """A program under way."""

    def __init__(self, reactor: Any, arguments: Sequence[str], cwd: str, env: Mapping[str, str]):
        self._output = bytearray()
        self._errors = bytearray()
        self._awaited: list[tuple[str, Deferred[None]]] = []
        self._gone: list[Deferred[None]] = []
        self._over = False
        self.ended: Deferred[Ended] = Deferred()
        self.pid: int = reactor.spawnProcess(
            self, arguments[0], list(arguments), env=dict(env), path=cwd
        ).pid

    def says(self, text: str) -> Deferred[None]:
        """Fires once ``text`` stands in what it prints; fails when it ends without."""
        awaited: Deferred[None] = Deferred()
        self._awaited.append((text, awaited))
        self._look()
        return awaited

    def signal(self, name: str) -> None:
        if not self._over:
            assert self.transport is not None
            self.transport.signalProcess(name)

    def end(self, signal: str = "KILL") -> Deferred[None]:
        """Ends it, if it still runs; for the cleanup of tests."""
        gone: Deferred[None] = Deferred()
        if self._over:
            gone.callback(None)
        else:
            self._gone.append(gone)
            self.signal(signal)
        return gone

    def outReceived(self, data: bytes) -> None:
        self._output += data
        self._look()

    def errReceived(self, data: bytes) -> None:
        self._errors += data
        self._look()

    def processEnded(self, reason: Failure) -> None:
        self._over = True
        error: Any = reason.value
        status = error.exitCode if error.signal is None else -error.signal
        ended = Ended(status, self._output.decode(), self._errors.decode())
        waiting, self._awaited = self._awaited, []
        for text, awaited in waiting:
            awaited.errback(AssertionError(f"ended without saying {text!r}: {ended}"))
        self.ended.callback(ended)
        for gone in self._gone:
            gone.callback(None)

    @property
    def printed(self) -> str:
        """What it printed so far; standard errors last."""
        return (self._output + self._errors).decode(errors="replace")

    def _look(self) -> None:
        printed = self.printed
        waiting, self._awaited = self._awaited, []
        for text, awaited in waiting:
            if text in printed:
                awaited.callback(None)
            else:
                self._awaited.append((text, awaited))


def twistd(reactor: Any, cwd: str, *arguments: str, **environ: str) -> Program:
    """``twistd -n --pidfile= tace ...`` in the directory ``cwd``."""
    command = [*twistd_command(), "-n", "--pidfile=", "tace", *arguments]
    return Program(reactor, command, cwd, environment(**environ))


def tace(reactor: Any, cwd: str, *arguments: str, **environ: str) -> Program:
    """``tace ...`` in the directory ``cwd``."""
    command = [sys.executable, "-m", "tace.cli.main", *arguments]
    return Program(reactor, command, cwd, environment(**environ))
