"""``tace network``: nodes on this machine, in the foreground."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tace.client.websocket import WebSocketDialer
from tace.config import setting_from_text
from tace.errors import SettingsError, StartError
from tace.lab.layout import lay_out
from tace.lab.network import LocalNetwork
from tace.lab.process import NodeProcess

MAX_NODES = 200


class Screen:
    """Shows how it goes on standard error: a bar on a terminal, else a line for each step."""

    def __init__(self, nodes: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._said = ""
        self._bar: Progress | None = None
        if self._console.is_terminal:
            columns = (
                SpinnerColumn(),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=nodes)
            self._bar.start()

    def progress(self, answering: int, text: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=answering, description=text)
        else:
            self.say(text)

    def died(self, node: NodeProcess) -> None:
        plan = node.plan
        self.say(
            f"node {plan.index} (pid {node.pid}) died: {node.end}. It is not started again; "
            f"this brings it back: twistd -n --pidfile= tace --config {plan.config}"
        )

    def say(self, text: str) -> None:
        self.end_progress()
        # Plain: a path must not be broken over lines or read as markup.
        click.echo(f"tace: {text}", err=True)

    def end_progress(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _overrides(copies: int | None, settings: tuple[str, ...]) -> dict[str, object]:
    overrides: dict[str, object] = {}
    for text in settings:
        dotted, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not section.key=value", param_hint="--set")
        try:
            overrides[dotted.strip()] = setting_from_text(dotted.strip(), value.strip())
        except SettingsError as error:
            raise click.BadParameter(str(error), param_hint="--set") from None
    if copies is not None:
        overrides["ring.replicas"] = copies
    return overrides


@click.command("network")
@click.option(
    "--nodes", type=click.IntRange(1, MAX_NODES), required=True, metavar="N", help="How many nodes."
)
@click.option(
    "--base-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Where they keep their data: DIR/node-0, DIR/node-1, ...",
)
@click.option(
    "--first-port",
    type=click.IntRange(0, 65534),
    metavar="P",
    help="Node i listens for clients at port P + 2i and for other nodes at P + 2i + 1. 0: any free "
    "ports. Without it the nodes keep the ports they have; new ones count from 8080.",
)
@click.option(
    "--copies",
    type=click.IntRange(1, 32),
    metavar="C",
    help="Copies of each message (ring.replicas).",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="A setting for every node's node.toml. May be given several times.",
)
@click.pass_context
def command(
    ctx: click.Context,
    nodes: int,
    base_dir: Path,
    first_port: int | None,
    copies: int | None,
    settings: tuple[str, ...],
) -> None:
    """Run a network of N nodes on this machine, until Ctrl-C.

    Each node is a process of its own (twistd). When all have formed one ring, DIR/network.json
    lists them. The data is kept: the next start goes on with it. A node that dies is reported and
    not started again.
    """
    plans = lay_out(base_dir, nodes, first_port, _overrides(copies, settings))
    from twisted.internet import reactor

    screen = Screen(nodes)
    network = LocalNetwork(
        reactor,
        base_dir.absolute(),
        plans,
        dial=WebSocketDialer(reactor),
        watcher=screen,
        environ=os.environ,
    )
    status = _Run(reactor, network, screen).run()
    screen.end_progress()
    ctx.exit(status)


class _Run:
    """From the reactor's start to its stop; SIGINT and SIGTERM end in the latter."""

    def __init__(self, reactor: Any, network: LocalNetwork, screen: Screen) -> None:
        self._reactor = reactor
        self._network = network
        self._screen = screen
        self._status = 0
        self._starting: Deferred[None] | None = None

    def run(self) -> int:
        """The exit status."""
        self._reactor.callWhenRunning(self._start)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            # The terminal is gone: the nodes are not to stay behind.
            signal.signal(
                signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._reactor.stop)
            )
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()
        return self._status

    def _start(self) -> None:
        self._starting = Deferred.fromCoroutine(self._network.start())
        self._starting.addCallbacks(self._started, self._not_started)

    def _started(self, _: None) -> None:
        self._screen.end_progress()
        count = len(self._network.processes)
        click.echo(f"{count} nodes form one ring." if count > 1 else "The node is ready.")
        for process in self._network.processes:
            plan = process.plan
            click.echo(f"  node {plan.index}  {plan.url}  pid {process.pid}  {plan.directory}")
        url = self._network.processes[0].plan.url
        tace = _command_name()
        click.echo(f"The messenger: open {url} in a browser.")
        click.echo("Or, in another terminal:")
        click.echo(f"  {tace} identity new --home alice --name Alice")
        click.echo(f"  {tace} chat --home alice --node {url} CONTACT")
        click.echo(f"  {tace} status {url}")
        click.echo("Ctrl-C stops it; the next start goes on with the same data.")
        sys.stdout.flush()

    def _not_started(self, failure: Failure) -> None:
        if self._reactor.running and not self._network.stopping:
            self._status = 1
            if failure.check(StartError):
                self._screen.say(failure.getErrorMessage())
            else:
                self._screen.say(f"failed:\n{failure.getTraceback()}")
            self._reactor.stop()

    async def _stopped(self) -> None:
        if any(process.pid and not process.end for process in self._network.processes):
            self._screen.say("stopping the nodes")
        for process in await self._network.stop():
            self._screen.say(f"node {process.plan.index} did not end in time and was killed")
            self._status = 1

    def _stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stopped())


def _command_name() -> str:
    """How the person calls this very program."""
    beside = Path(sys.executable).with_name("tace")
    in_path = any(
        Path(folder, "tace") == beside for folder in os.environ.get("PATH", "").split(os.pathsep)
    )
    if in_path or not beside.exists():
        return "tace"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
