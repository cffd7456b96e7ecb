"""``tace chaos``: does a network keep its word while its nodes die, hang and lose their disks?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

import click

from tace.cli.measuring import ProgressScreen
from tace.cli.run import run
from tace.client.websocket import WebSocketDialer
from tace.errors import StartError
from tace.lab.chaos.plan import ChaosSettings
from tace.lab.chaos.report import Report
from tace.lab.chaos.run import Chaos
from tace.lab.layout import lay_out
from tace.lab.network import LocalNetwork, Watcher
from tace.lab.ports import free_ports

STAMP_BITS = 8
"""Stamps that a real network asks for would keep this one process busy."""


@click.command("chaos")
@click.option("--nodes", type=click.IntRange(3, 50), default=20, show_default=True)
@click.option("--people", type=click.IntRange(2, 100), default=10, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=300.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="All chance follows from it.")
@click.option(
    "--copies",
    type=click.IntRange(3, 32),
    default=8,
    show_default=True,
    help="Of each message; as many as there are nodes at most.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    default=4.0,
    show_default=True,
    help="Texts a second, of all people together; half as many again are left for absent people.",
)
@click.option(
    "--wiped-at-once",
    type=click.IntRange(min=0),
    metavar="W",
    help="So many disks may be wiped before the copies are back. More than half of the copies goes "
    "beyond what can be survived, on purpose.  [default: half of the copies]",
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
    copies: int,
    rate: float,
    wiped_at_once: int | None,
    base_dir: Path | None,
    as_json: bool,
) -> None:
    """Let people talk while nodes are killed, paused, restarted and wiped at random.

    Each node has such a time about once a minute; a majority of the nodes that keep a message is
    always there, and no more than half of the disks are wiped before their copies are back. Nothing
    that was acknowledged may be lost then, and nothing shown twice. At the end all nodes are up,
    must stand in one ring, and each must hold what it should.

    Exit status: 0 the promise held, 1 it did not.
    """
    settings = ChaosSettings(
        nodes=nodes,
        copies=copies,
        people=people,
        seconds=seconds,
        seed=seed,
        letters_per_second=rate,
        absent_letters_per_second=rate / 2,
        wiped_at_once=wiped_at_once,
    )
    if base_dir is not None and base_dir.exists() and any(base_dir.iterdir()):
        raise StartError(f"{base_dir} is not empty: what earlier runs left would be counted")
    base = base_dir or Path(tempfile.mkdtemp(prefix="tace-chaos-"))
    through = False
    try:
        report = _chaos(settings, base.absolute())
        through = True
    finally:
        if not through and base_dir is None:
            shutil.rmtree(base, ignore_errors=True)
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


def _chaos(settings: ChaosSettings, base: Path) -> Report:
    base.mkdir(parents=True, exist_ok=True)
    overrides: dict[str, object] = {
        "limits.requests_stamp_bits": STAMP_BITS,
        "gateway.web": False,
        "ring.replicas": settings.copies,
    }
    plans = lay_out(base, settings.nodes, free_ports(SystemRandom(), 2 * settings.nodes), overrides)
    screen = ProgressScreen()

    async def chaos(reactor: object) -> Report:
        dial = WebSocketDialer(reactor)

        def make_network(watcher: Watcher) -> LocalNetwork:
            return LocalNetwork(
                reactor,
                base,
                plans,
                dial=dial,
                watcher=watcher,
                environ=os.environ,
                # A paused node would not hear of less.
                farewell=signal.SIGKILL,
            )

        return await Chaos(reactor, make_network, dial, settings, screen).run()

    try:
        return run(chaos)
    finally:
        screen.end()
