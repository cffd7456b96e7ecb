"""``tace leave``: a node of yours leaves the network for good."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tace.cli.output import print_json
from tace.cli.run import run
from tace.config import load_settings
from tace.errors import TaceError
from tace.mailbox.leave import Stage
from tace.observe.control import socket_path

STILL_LEAVING_STATUS = 3
CONNECT_SECONDS = 5.0
MAX_LINE_BYTES = 65_536


class LeaveError(TaceError):
    """It does not leave, or is not heard of any more; the text is for the operator."""

    code = "leave"


@implementer(IAgentEndpointFactory)
class _ControlSocket:
    """Every URI leads to the one socket."""

    def __init__(self, reactor: Any, path: Path) -> None:
        self._endpoint = UNIXClientEndpoint(reactor, os.fspath(path), timeout=CONNECT_SECONDS)

    def endpointForURI(self, uri: Any) -> UNIXClientEndpoint:
        return self._endpoint


class _Lines(LineOnlyReceiver):
    """Hands on each line of the stream; the Deferred fires when it ends."""

    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE_BYTES

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self._take = take
        self.ended: Deferred[None] = Deferred()

    def lineReceived(self, line: bytes) -> None:
        self._take(json.loads(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.ended.called:
            self.ended.callback(None)


class Screen:
    """What people see: a bar of arcs, and what there is to wait for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("arcs, {task.fields[left]}"),
            console=console,
        )
        self._task = self._progress.add_task("leaving", total=None, left="")
        self._waiting = ""
        self._progress.start()

    def show(self, told: dict[str, Any]) -> None:
        """:param told: a line of the stream."""
        arcs = told["arcs"]
        self._progress.update(
            self._task,
            description=told["stage"],
            total=arcs or None,
            completed=arcs - told["arcs_left"],
            left=f"{told['items_left']} copies ({told['bytes_left']:,} bytes) to go",
        )
        waiting = told["waiting"]
        if waiting != self._waiting:
            self._waiting = waiting
            if waiting:
                self._progress.console.print(f"waiting: {waiting}", highlight=False, markup=False)

    def end(self) -> None:
        self._progress.stop()


@click.command("leave")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory of the node, which must run.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Its settings file instead; without either, the defaults and the environment say where.",
)
@click.option("--force", is_flag=True, help="Also where fewer copies remain than there should be.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as it goes on.")
@click.pass_context
def command(
    ctx: click.Context, data_dir: Path | None, config: Path | None, force: bool, as_json: bool
) -> None:
    """Have a node of yours leave the network for good.

    It hands over everything that it holds to the nodes that keep it from now on, waits until each
    of them has confirmed that, says goodbye and stops. Until then it serves as before. Ctrl-C ends
    the watching only; the same command watches again.
    """
    if data_dir is not None and config is not None:
        raise click.UsageError("give --data-dir or --config, not both")
    if data_dir is None:
        data_dir = load_settings(config, os.environ).node.data_dir
    path = socket_path(data_dir)
    screen = None if as_json else Screen(Console(stderr=True))
    show = print_json if screen is None else screen.show
    try:
        stage = run(lambda reactor: leave(path, reactor, show, force=force))
    finally:
        if screen is not None:
            screen.end()
    if stage is Stage.LEFT:
        if not as_json:
            click.echo("The node has left the network and stops. Its data directory is marked.")
        return
    click.echo("The leaving goes on. The same command shows how far it is.", err=True)
    ctx.exit(STILL_LEAVING_STATUS)


async def leave(
    path: Path, reactor: Any, show: Callable[[dict[str, Any]], None], *, force: bool
) -> Stage:
    """Have the node at that socket leave, and watch: ``left``, or ``leaving`` when interrupted.

    :param show: called with each line of the stream.
    :raises LeaveError: there is no such node, it does not begin, or it stopped on the way.
    """
    last: dict[str, Any] = {}

    def take(told: dict[str, Any]) -> None:
        last.update(told)
        show(told)

    try:
        answer = await _ask(path, reactor, force=force)
        if answer.code != 200:
            raise LeaveError(await _reason(answer))
        lines = _Lines(take)
        answer.deliverBody(lines)
        await lines.ended
    except CancelledError:
        if not last:
            raise
        return Stage.LEAVING
    if last.get("stage") != Stage.LEFT:
        raise LeaveError(
            "the node stopped before it had left: nothing is lost; when it starts it is a member"
            " again, and can be told to leave again"
        )
    return Stage.LEFT


async def _ask(path: Path, reactor: Any, *, force: bool) -> Any:
    """:raises LeaveError: nobody is to be reached there."""
    if not path.parent.is_dir():
        raise LeaveError(f"there is no data directory {path.parent}")
    agent = Agent.usingEndpointFactory(reactor, _ControlSocket(reactor, path))
    body = FileBodyProducer(BytesIO(json.dumps({"consent": force}).encode()))
    headers = Headers({b"content-type": [b"application/json"]})
    try:
        return await agent.request(b"POST", b"http://node/leave", headers, body)
    except ConnectError as error:
        raise LeaveError(f"no node that runs can be reached at {path}: {_why(error)}") from error


def _why(error: ConnectError) -> str:
    number = error.osError
    if isinstance(number, int):
        return os.strerror(number)
    return str(error)


async def _reason(answer: Any) -> str:
    body = await readBody(answer)
    try:
        told = json.loads(body)
        detail = str(told["detail"])
        consent = told.get("consent") is True
    except (ValueError, TypeError, KeyError):
        return f"the node answers {answer.code}"
    return detail + (" (--force leaves all the same)" if consent else "")
