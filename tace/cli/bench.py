"""``tace bench``: measures, and says what it measured."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tace.cli.measuring import ProgressScreen, ReactorRun, environment, print_report
from tace.lab.bench.certificate import TRUST_VARIABLE, LoopbackCertificate
from tace.lab.bench.gateway import GatewayBench, GatewayReport
from tace.lab.bench.link import LinkReport, run_link_bench
from tace.lab.bench.network import NetworkBench, Wish
from tace.lab.bench.reference import measure
from tace.lab.bench.report import NetworkReport
from tace.lab.bench.restart import RestartBench, RestartReport
from tace.lab.bench.store import StoreReport, run_store_bench
from tace.lab.bench.table import (
    gateway_rows,
    link_rows,
    network_rows,
    restart_rows,
    store_rows,
)

MAX_NODES = 100
INTERRUPTED = 130


@click.group("bench")
def group() -> None:
    """Measure how fast it is on this machine.

    How each figure is measured, and what to compare it with: docs/performance.md.
    """


@group.command("network")
@click.option(
    "--nodes", type=click.IntRange(1, MAX_NODES), default=5, show_default=True, metavar="N"
)
@click.option(
    "--copies",
    type=click.IntRange(1, 32),
    metavar="C",
    help="Copies of each message (ring.replicas); as many as there are nodes at most.",
)
@click.option(
    "--clients",
    type=click.IntRange(1, 10_000),
    metavar="K",
    help="Clients that each receive and send, each to the next one.",
)
@click.option(
    "--pairs",
    type=click.IntRange(1, 5_000),
    metavar="P",
    help="Pairs of a sender and a receiver, instead of --clients.  [default: 10]",
)
@click.option(
    "--depth",
    type=click.IntRange(1, 64),
    metavar="D",
    help="With --rate 0: messages that each sender keeps in flight.  [default: 8]",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 100_000),
    default=0.0,
    show_default=True,
    metavar="R",
    help="Messages a second in all, sent at fixed times. 0: as fast as they are delivered.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long the load lasts.",
)
@click.option(
    "--idle-clients",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    metavar="I",
    help="Connections that watch a mailbox and say nothing.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="W",
    help="Processes that make the load.  [default: half of the cores]",
)
@click.option("--tls", is_flag=True, help="Clients connect over TLS.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def network(
    ctx: click.Context,
    nodes: int,
    copies: int | None,
    clients: int | None,
    pairs: int | None,
    depth: int | None,
    rate: float,
    seconds: float,
    idle_clients: int,
    workers: int | None,
    tls: bool,
    as_json: bool,
) -> None:
    """Real nodes, real client connections, sealed messages: how many, how fast, at what cost.

    The nodes and what makes the load are processes of their own; everything is on loopback and
    gone afterwards. Exit status: 1 when a message was lost, came twice, or something failed.
    """
    if clients is not None and pairs is not None:
        raise click.UsageError("--clients and --pairs exclude each other")
    if rate and depth is not None:
        raise click.UsageError("--depth needs --rate 0: messages leave at fixed times otherwise")
    screen = ProgressScreen()
    with TemporaryDirectory(prefix="tace-bench-") as base:
        certificate = LoopbackCertificate.make(Path(base), datetime.now(UTC)) if tls else None
        if certificate is not None:
            # For this process, which asks the nodes how they are, and for those that it starts.
            os.environ[TRUST_VARIABLE] = str(certificate.certificate)
        wish = Wish(
            nodes=nodes,
            copies=copies or 0,
            clients=clients or 0,
            pairs=pairs or 10,
            depth=depth or 8,
            rate=rate,
            seconds=seconds,
            idle_clients=idle_clients,
            workers=min(workers or default_workers(os.cpu_count() or 1), clients or pairs or 10),
            certificate=certificate,
        )
        try:
            report = _measured(wish, Path(base), screen)
        finally:
            screen.end()
    if report is None:
        ctx.exit(INTERRUPTED)
    print_report(report, network_rows(report), as_json)
    ctx.exit(1 if report.lost or report.duplicated or report.strange else 0)


@group.command("store")
@click.option("--mailboxes", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@click.option(
    "--rows",
    type=click.IntRange(1, 100_000),
    default=36_000,
    show_default=True,
    help="Envelopes and acks that are written.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def store(ctx: click.Context, mailboxes: int, rows: int, as_json: bool) -> None:
    """The store of a node: writes, reads, acks and expiry, beside the same in bare sqlite3."""
    with TemporaryDirectory(prefix="tace-bench-") as base:
        from twisted.internet import reactor

        report: StoreReport | None = ReactorRun(
            reactor,
            lambda: run_store_bench(Path(base), mailboxes, rows, os.urandom, reactor),
        ).run()
    if report is None:
        ctx.exit(INTERRUPTED)
    print_report(report, store_rows(report), as_json)


@group.command("link")
@click.option(
    "--requests",
    type=click.IntRange(100, 1_000_000),
    default=20_000,
    show_default=True,
    help="Of each kind; measured several times.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def link(ctx: click.Context, requests: int, as_json: bool) -> None:
    """Requests over a link between two nodes, beside bare Twisted TLS."""
    from twisted.internet import reactor

    report: LinkReport | None = ReactorRun(
        reactor, lambda: run_link_bench(reactor, requests, os.urandom)
    ).run()
    if report is None:
        ctx.exit(INTERRUPTED)
    print_report(report, link_rows(report), as_json)


@group.command("gateway")
@click.option("--connections", type=click.IntRange(1, 5000), default=100, show_default=True)
@click.option(
    "--echoes",
    type=click.IntRange(100, 10_000_000),
    default=30_000,
    show_default=True,
    help="Over all connections; measured several times.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def gateway(ctx: click.Context, connections: int, echoes: int, as_json: bool) -> None:
    """How a node answers many clients' pings, beside a bare Autobahn server."""
    with TemporaryDirectory(prefix="tace-bench-") as base:
        from twisted.internet import reactor

        bench = GatewayBench(
            reactor, Path(base), environment(), connections=connections, echoes=echoes
        )
        report: GatewayReport | None = ReactorRun(reactor, bench.run, bench.stop).run()
    if report is None:
        ctx.exit(INTERRUPTED)
    print_report(report, gateway_rows(report), as_json)


@group.command("restart")
@click.option(
    "--messages",
    type=click.IntRange(1, 10_000_000),
    default=1_000_000,
    show_default=True,
    help="Stored messages; a million take 4 GB of disk and some minutes to store.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def restart(ctx: click.Context, messages: int, as_json: bool) -> None:
    """How soon a node with many stored messages answers again, beside an empty one."""
    screen = ProgressScreen()
    with TemporaryDirectory(prefix="tace-bench-") as base:
        from twisted.internet import reactor

        bench = RestartBench(
            reactor,
            Path(base),
            environment(),
            screen,
            messages=messages,
            random_bytes=os.urandom,
        )
        try:
            report: RestartReport | None = ReactorRun(reactor, bench.run, bench.stop).run()
        finally:
            screen.end()
    if report is None:
        ctx.exit(INTERRUPTED)
    print_report(report, restart_rows(report), as_json)


def _measured(wish: Wish, base: Path, screen: ProgressScreen) -> NetworkReport | None:
    """None when it was interrupted."""
    from twisted.internet import reactor

    screen.step("measuring this machine without tace")
    reference = measure(base)
    bench = NetworkBench(reactor, wish, base, reference, screen, environ=environment())
    report: NetworkReport | None = ReactorRun(reactor, bench.run, bench.stop).run()
    return report


def default_workers(cores: int) -> int:
    """So many that the load is not what is slow, and no more, for they take the nodes' cores."""
    return max(1, cores // 2)
