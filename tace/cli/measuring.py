"""What every ``tace bench`` command needs around its bench: a screen, the reactor, a table."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from tace.lab.bench.table import Row

T = TypeVar("T")
WIDTH = 120
"""Of a table that goes to no terminal."""


class ProgressScreen:
    """Shows how it goes on standard error: a bar on a terminal, else a line for each step."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()

    def step(self, text: str, total: float | None = None) -> None:
        if self._bar is None:
            self.say(text)
        else:
            self._bar.reset(self._task, description=text, total=total)

    def progress(self, done: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=done)

    def say(self, text: str) -> None:
        # Plain: a path must not be broken over lines or read as markup.
        click.echo(f"tace: {text}", err=True)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()


class ReactorRun:
    """Runs one coroutine from the reactor's start to its stop; what it started is always ended.

    :param main: gives the result.
    :param stop: ends what ``main`` has started, whether it is through or not.
    """

    def __init__(
        self,
        reactor: Any,
        main: Callable[[], Coroutine[Any, Any, T]],
        stop: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._reactor = reactor
        self._main = main
        self._stop = stop
        self._result: Any = None
        self._failure: Failure | None = None
        self._through = False

    def run(self) -> Any:
        """The result; None when it was interrupted.

        :raises Exception: what ``main`` raised.
        """
        self._reactor.callWhenRunning(self._start)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(
                signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._reactor.stop)
            )
        self._reactor.addSystemEventTrigger("before", "shutdown", self._end)
        self._reactor.run()
        if self._failure is not None:
            self._failure.raiseException()
        return self._result

    def _start(self) -> None:
        self._running = Deferred.fromCoroutine(self._main())
        self._running.addCallbacks(self._done, self._failed)

    def _done(self, result: Any) -> None:
        self._through = True
        self._result = result
        self._reactor.stop()

    def _failed(self, failure: Failure) -> None:
        # What fails because everything was ended is no news.
        if not self._through:
            self._through = True
            self._failure = failure
            self._reactor.stop()

    def _end(self) -> Deferred[None]:
        self._through = True
        return Deferred.fromCoroutine(self._stop()) if self._stop else succeed(None)


def print_report(report: msgspec.Struct, lines: Iterable[Row], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("beside it, from the same run")
    for line in lines:
        table.add_row(*line)
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        # There is no edge to break lines at.
        console.width = WIDTH
    console.print(table)


def environment() -> dict[str, str]:
    """Without settings of nodes: they would make figures that nobody can repeat."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TACE_")}
