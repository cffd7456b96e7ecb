"""``tace soak``: does a network keep its word while it is abused and its nodes die?"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from random import SystemRandom

import click

from tace.cli.run import run
from tace.client.websocket import WebSocketDialer
from tace.config import setting_from_text
from tace.errors import StartError
from tace.lab.attack.catalogue import ATTACKS
from tace.lab.layout import LOOPBACK, lay_out
from tace.lab.network import LocalNetwork, Watcher
from tace.lab.ports import free_ports
from tace.lab.soak.plan import SoakSettings
from tace.lab.soak.report import Report
from tace.lab.soak.run import Soak

OVERRIDES = {"limits.requests_stamp_bits": "8", "gateway.web": "false"}
"""Stamps that a real network asks for would keep this one process busy."""
BACKLOG = 4096
FURTHER_FILES = 1000
"""Open files beside those of the silent connections."""


@click.command("soak")
@click.option("--nodes", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--people", type=click.IntRange(2, 100), default=10, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=120.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="All chance follows from it.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Texts a second, of all people together.",
)
@click.option(
    "--silent-connections",
    type=click.IntRange(1, 15_000),
    default=300,
    show_default=True,
    help="Of each attack that opens connections and says nothing. Each takes one of the open files "
    "that `ulimit -n` allows, here and at the node.",
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(sorted(ATTACKS)),
    metavar="ABUSE",
    help="Only this entry of the hostile list. May be given several times.",
)
@click.option(
    "--dir",
    "base_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the nodes keep their data and logs; must be empty or absent. Without it a "
    "directory is made, and stays only where something went wrong.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object, for programs.")
@click.pass_context
def command(
    ctx: click.Context,
    nodes: int,
    people: int,
    seconds: float,
    seed: int,
    rate: float,
    silent_connections: int,
    only: tuple[str, ...],
    base_dir: Path | None,
    as_json: bool,
) -> None:
    """Let people talk while a local network is abused and its nodes die.

    Every few seconds something from the hostile list happens to a node; every 20 s a node is
    killed, or told to stop, and started again. Nothing that was acknowledged may be lost, nothing
    shown twice, no node may grow, and 99 of 100 texts must be there within a second.

    Exit status: 0 the promise held, 1 it did not.
    """
    settings = SoakSettings(
        nodes=nodes,
        people=people,
        seconds=seconds,
        seed=seed,
        letters_per_second=rate,
        silent_connections=silent_connections,
        only=only,
    )
    if base_dir is not None and base_dir.exists() and any(base_dir.iterdir()):
        raise StartError(f"{base_dir} is not empty: what earlier runs left would be counted")
    base = base_dir or Path(tempfile.mkdtemp(prefix="tace-soak-"))
    overrides = {name: setting_from_text(name, text) for name, text in OVERRIDES.items()}
    report = _soak(settings, base.absolute(), overrides)
    broken = any(report.broken())
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        for line in report.lines():
            click.echo(line)
    if broken:
        click.echo(f"the nodes' logs are in {base}", err=True)
    elif base_dir is None:
        shutil.rmtree(base, ignore_errors=True)
    sys.stdout.flush()
    ctx.exit(1 if broken else 0)


def _soak(settings: SoakSettings, base: Path, overrides: dict[str, object]) -> Report:
    base.mkdir(parents=True, exist_ok=True)
    _allow_open_files(settings.silent_connections + FURTHER_FILES)
    first_port = free_ports(SystemRandom(), 2 * settings.nodes)
    ports = [first_port + 2 * index for index in range(settings.nodes)]
    # What comes in a burst is to reach the node, and not to be left half open by the kernel.
    listen = f"tcp:%d:interface={LOOPBACK}:backlog={BACKLOG}"
    own = [{"gateway.listen": listen % port, "links.listen": listen % (port + 1)} for port in ports]
    plans = lay_out(base, settings.nodes, first_port, overrides, own=own)

    async def soak(reactor: object) -> Report:
        def make_network(watcher: Watcher) -> LocalNetwork:
            return LocalNetwork(
                reactor,
                base,
                plans,
                dial=WebSocketDialer(reactor),
                watcher=watcher,
                environ=os.environ,
            )

        return await Soak(reactor, make_network, settings, partial(click.echo, err=True)).run()

    return run(soak)


def _allow_open_files(count: int) -> None:
    """For this process and the nodes, which inherit it.

    :raises StartError: the system does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise StartError(f"{count} open files are needed and `ulimit -Hn` allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
