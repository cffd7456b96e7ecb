"""A report as rows for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tace.lab.bench.gateway import GatewayReport
from tace.lab.bench.latency import Quantiles
from tace.lab.bench.link import LinkReport
from tace.lab.bench.report import NetworkReport
from tace.lab.bench.restart import RestartReport
from tace.lab.bench.store import StoreReport

Row = tuple[str, str, str]
"""What, the figure, what stands beside it."""
BUSY = 0.85
"""A load generator that takes more of a core than this may be what is slow."""


def network_rows(report: NetworkReport) -> Iterator[Row]:
    """Of ``tace bench network``."""
    reference, generators = report.reference, report.generators
    if report.rate:
        load = f"{report.rate:g} messages/s for {report.seconds:g} s"
    else:
        load = f"{report.depth} in flight for each sender, {report.seconds:g} s"
    yield "nodes, copies, clients", f"{report.nodes}, {report.copies}, {report.clients}", load
    yield "sent, stored", f"{report.sent:,}, {report.stored:,}", _words(report.refused)
    yield (
        "delivered, lost, duplicated",
        f"{report.delivered:,}, {report.lost:,}, {report.duplicated:,}",
        "",
    )
    if report.nodes_died:
        yield "nodes that died", f"{report.nodes_died}", "their CPU time is gone with them"
    if report.unsent or report.ran_out:
        why = "the nodes took too long" if report.unsent else "all that was sealed was sent"
        yield "not sent in time", f"{report.unsent:,}", why
    yield (
        "delivered",
        f"{report.delivered_per_second:,.0f} /s",
        f"bare sqlite3 takes {reference.sqlite_rows_per_second:,} rows/s, {100} a commit",
    )
    yield "sent to stored", *_quantiles(report.store_ms)
    yield "sent to received", *_quantiles(report.receive_ms)
    if report.cpu_us_per_message is not None and report.cpu_us_per_copy is not None:
        yield (
            "CPU of all nodes, a message",
            f"{report.cpu_us_per_message:,.0f} us",
            f"{report.cpu_us_per_message / reference.p256_verify_us:.1f} bare P-256 verifies "
            f"of {reference.p256_verify_us:.0f} us",
        )
        yield (
            "CPU of all nodes, a copy",
            f"{report.cpu_us_per_copy:,.0f} us",
            f"a bare sqlite3 row {reference.sqlite_row_us:.0f} us, SHA-256 of an envelope "
            f"{reference.sha256_envelope_us:.1f} us",
        )
    if report.cpu_cores is not None:
        yield "cores that the nodes took", f"{report.cpu_cores:.2f}", ""
    yield "memory of a node", f"{report.rss_bytes_per_node / 2**20:,.0f} MiB", ""
    if report.rss_bytes_per_connection is not None:
        yield (
            "memory of an idle connection",
            f"{report.rss_bytes_per_connection / 1024:,.1f} KiB",
            f"{report.idle_clients:,} of them{', over TLS' if report.tls else ''}",
        )
    lag = report.loop_lag_ms
    yield "event loop late, p99, max", f"{lag.p99:.1f}, {lag.max:.1f} ms", "of all nodes"
    busy = generators.busiest_core_share
    yield (
        "load generators",
        f"{generators.processes}",
        f"busiest {busy:.0%} of a core{': IT MAY BE THE LIMIT' if busy > BUSY else ''}, late p99 "
        f"{generators.loop_lag_ms.p99:.1f} ms; {generators.cpu_us_per_message:.0f} us a message",
    )
    yield "load average before", f"{report.load_average:.2f}", ""


def store_rows(report: StoreReport) -> Iterator[Row]:
    """Of ``tace bench store``."""
    own, bare = report.store, report.bare_sqlite3
    yield "rows, mailboxes", f"{report.rows:,}, {report.mailboxes:,}", "envelopes and acks"
    yield (
        "written",
        f"{own.rows_per_second:,.0f} rows/s",
        f"{report.ratio:.2f} of bare sqlite3's {bare.rows_per_second:,.0f} rows/s",
    )
    yield (
        "CPU a row, all threads",
        f"{own.cpu_us_per_row:.1f} us",
        f"bare sqlite3 {bare.cpu_us_per_row:.1f} us",
    )
    yield "rows a commit", f"{own.rows_per_commit:.0f}", f"bare sqlite3 {bare.rows_per_commit:.0f}"
    yield (
        "read, expired meanwhile",
        f"{own.envelopes_read:,}, {own.rows_expired:,}",
        f"bare sqlite3 {bare.envelopes_read:,}, {bare.rows_expired:,}",
    )


def link_rows(report: LinkReport) -> Iterator[Row]:
    """Of ``tace bench link``."""
    yield "requests, in flight", f"{report.requests:,}, {report.in_flight}", "both ends, one thread"
    for what, figures in (("one envelope to store", report.put), ("ping", report.ping)):
        yield (
            f"{what}, {figures.request_bytes:,} bytes",
            f"{figures.requests_per_second:,.0f} /s",
            f"bare TLS {figures.bare_requests_per_second:,.0f} /s",
        )
        yield (
            "CPU of both ends",
            f"{figures.cpu_us_per_request:.1f} us",
            f"bare TLS {figures.bare_cpu_us_per_request:.1f} us: {figures.ratio:.2f} of its speed",
        )


def gateway_rows(report: GatewayReport) -> Iterator[Row]:
    """Of ``tace bench gateway``."""
    own, bare = report.node, report.bare_autobahn
    yield (
        "echoes, connections",
        f"{report.echoes:,}, {report.connections:,}",
        f"{report.question_bytes} bytes there, {report.answer_bytes} back, one under way on each",
    )
    yield (
        "CPU an echo",
        f"{own.cpu_us_per_echo:.1f} us",
        f"bare Autobahn {bare.cpu_us_per_echo:.1f} us: {report.ratio:.2f} of its speed",
    )
    yield (
        "echoes",
        f"{own.echoes_per_second:,.0f} /s",
        f"bare Autobahn {bare.echoes_per_second:,.0f} /s; the client has its part in both",
    )


def restart_rows(report: RestartReport) -> Iterator[Row]:
    """Of ``tace bench restart``."""
    filled, empty = report.filled, report.empty
    yield (
        "messages, mailboxes",
        f"{report.messages:,}, {report.mailboxes:,}",
        f"{report.database_bytes / 2**20:,.0f} MiB on disk",
    )
    yield (
        "first answer to a client",
        f"{filled.answered_seconds:.2f} s",
        f"with an empty store {empty.answered_seconds:.2f} s",
    )
    yield "serves", f"{filled.ready_seconds:.2f} s", f"empty {empty.ready_seconds:.2f} s"
    if filled.first_push_seconds is not None:
        yield "first message pushed", f"{filled.first_push_seconds:.2f} s", ""
    yield (
        "memory",
        f"{filled.rss_bytes / 2**20:,.0f} MiB",
        f"empty {empty.rss_bytes / 2**20:,.0f} MiB",
    )


def _quantiles(figures: Quantiles) -> tuple[str, str]:
    return (
        f"p50 {figures.p50:.1f} ms",
        f"p95 {figures.p95:.1f}, p99 {figures.p99:.1f}, max {figures.max:.1f} ms",
    )


def _words(refused: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in sorted(refused.items()))
