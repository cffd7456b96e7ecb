"""The cases a network must stand, each with its bar and what was measured. Pure.

The bars are those of the promise (docs/simulation.md): a row is played with one or several seeds
and judged over all of them. What falls short is printed with its figure, like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from math import ceil

from tace.simulation.report import Report
from tace.simulation.scenarios.catalogue import SCENARIOS
from tace.simulation.scenarios.churn import DELIVERED_SHARE
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.restarts import MOVED_SHARE
from tace.simulation.scenarios.slow_nodes import FALSE_DEATHS_SHARE

LOST_SHARE = 0.007
"""In the mean of all seeds: 2^-8 of what waits, and something for chance."""
IDEAL_SECONDS = 10.0
COPIES_SECONDS = 60.0
MOST_BYTES = 2000.0
MOST_HOPS = 4.0
QUICK_NODES = 12
QUICK_SECONDS = 20.0
QUICK_LETTERS = 24
OPTIONS = {"per_second": "--rate", "median_minutes": "--median-minutes"}
"""How the command line calls a parameter where it is not by its name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure over all seeds of a row.

    :ivar text: with its unit, as it stands in the table.
    :ivar held: is it within its bar?
    """

    text: str
    held: bool


Judge = Callable[[Sequence[Report]], Finding]


@dataclass(frozen=True, slots=True)
class Row:
    """One case of the table.

    :ivar case: what happens, for people.
    :ivar must: the bars, for people, in the order of ``judges``.
    :ivar seeds: how many, from 1 on.
    """

    case: str
    must: str
    scenario: str
    judges: tuple[Judge, ...]
    parameters: Parameters
    seeds: int = 1

    @property
    def command(self) -> str:
        """What plays it again, for its first seed."""
        scenario = SCENARIOS[self.scenario]
        words = ["tace simulate", self.scenario]
        for field in fields(Parameters):
            value = getattr(self.parameters, field.name)
            looked_at = field.name == "nodes" or field.name in scenario.takes
            if looked_at and value != getattr(scenario.defaults, field.name):
                words.append(f"{OPTIONS.get(field.name, f'--{field.name}')} {value:g}")
        return " ".join(words)

    @property
    def weight(self) -> float:
        """Virtual seconds of all nodes of one run: what it costs goes by that, roughly."""
        return self.parameters.nodes * self.parameters.seconds

    def quick(self) -> Row:
        """The same on a small network, for less time, from one seed."""
        p = self.parameters
        small = replace(
            p,
            nodes=min(p.nodes, QUICK_NODES),
            seconds=min(p.seconds, QUICK_SECONDS),
            letters=min(p.letters, QUICK_LETTERS),
            people=min(p.people, 6),
            median_minutes=min(p.median_minutes, 0.5),
        )
        return replace(self, parameters=small, seeds=1)


# -- judges --------------------------------------------------------------------------------------


def lost(most: int = 0) -> Judge:
    """Messages that were called stored and are gone, though some sender may have them still."""

    def judge(reports: Sequence[Report]) -> Finding:
        worst = max(r.outcome.lost for r in reports)
        stored = sum(r.outcome.stored for r in reports)
        total = sum(r.outcome.lost for r in reports)
        return Finding(f"{total} of {stored} lost", worst <= most)

    return judge


def mean_lost_share(reports: Sequence[Report]) -> Finding:
    """Of what was stored, without the senders' outboxes, in the mean of all seeds."""
    shares = [r.outcome.lost / max(r.outcome.stored, 1) for r in reports]
    mean = sum(shares) / len(shares)
    return Finding(f"{100 * mean:.2f} % lost in the mean", mean <= LOST_SHARE)


def measured_lost(reports: Sequence[Report]) -> Finding:
    """How much was lost, whatever it is."""
    total = sum(r.outcome.lost for r in reports)
    stored = sum(r.outcome.stored for r in reports)
    return Finding(f"{total} of {stored} lost", True)


def lost_for_good(reports: Sequence[Report]) -> Finding:
    """With the senders' outboxes nothing is lost, ever, and all that was sent arrives."""
    missing = sum(r.outcome.sent - r.outcome.delivered_after_resend for r in reports)
    return Finding(f"{missing} missing once senders returned", missing == 0)


def never_twice(reports: Sequence[Report]) -> Finding:
    """What a reader gets twice where it must not."""
    twice = sum(r.outcome.duplicated for r in reports)
    return Finding(f"{twice} twice", twice == 0)


def no_violation(reports: Sequence[Report]) -> Finding:
    """What the oracle found."""
    found = sum(len(r.violations) for r in reports)
    return Finding(f"{found} violations", found == 0)


def ideal(within: float = IDEAL_SECONDS) -> Judge:
    """The slowest seed, from the last fault."""
    return lambda reports: _slowest("ideal", [r.ideal_after_seconds for r in reports], within)


def replicated(within: float = COPIES_SECONDS) -> Judge:
    """The slowest seed, from the last fault."""
    return lambda reports: _slowest(
        "all copies", [r.replicated_after_seconds for r in reports], within
    )


def _slowest(what: str, seconds: Sequence[float | None], within: float) -> Finding:
    known = [value for value in seconds if value is not None]
    if len(known) < len(seconds):
        return Finding(f"{what}: never in {len(seconds) - len(known)} of {len(seconds)}", False)
    median = sorted(known)[len(known) // 2]
    spread = f" (median {median:.1f})" if len(known) > 1 else ""
    return Finding(f"{what} after {max(known):.1f} s{spread}", max(known) <= within)


def delivered_share(reports: Sequence[Report]) -> Finding:
    """Without any sender returning, of all that was sent in all runs."""
    sent = sum(r.outcome.sent for r in reports)
    share = sum(r.outcome.delivered for r in reports) / max(sent, 1)
    return Finding(f"{100 * share:.3f} % delivered without outbox", share >= DELIVERED_SHARE)


def measure(name: str, text: str, most: float) -> Judge:
    """Something that the scenario measured; the worst seed.

    :param text: has one place for the figure.
    """

    def judge(reports: Sequence[Report]) -> Finding:
        figures = [r.measured.get(name) for r in reports]
        known = [figure for figure in figures if figure is not None]
        if len(known) < len(figures):
            return Finding(f"{name} was not measured", False)
        return Finding(text.format(max(known)), max(known) <= most)

    return judge


def few_false_deaths(reports: Sequence[Report]) -> Finding:
    """Of all living nodes, those that any other called dead."""
    shares = [(r.measured.get("falsely_dead_nodes") or 0) / r.nodes for r in reports]
    worst = max(shares)
    return Finding(f"{100 * worst:.1f} % falsely dead", worst <= FALSE_DEATHS_SHARE)


def bytes_a_second(reports: Sequence[Report]) -> Finding:
    """Frames in and out of one node, without TLS."""
    figures = [r.bytes_per_node_second for r in reports]
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures):
        return Finding("bytes were not counted", False)
    return Finding(f"{ceil(max(known))} bytes/s a node", max(known) <= MOST_BYTES)


def hops(reports: Sequence[Report]) -> Finding:
    """Of a lookup, in the mean."""
    figures = [r.mean_hops for r in reports]
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures):
        return Finding("hops were not counted", False)
    return Finding(f"{max(known):.2f} hops in the mean", max(known) <= MOST_HOPS)


def no_lookup_failed(reports: Sequence[Report]) -> Finding:
    """Each one found who really keeps its key."""
    failed = sum(r.measured.get("failed") or 0 for r in reports)
    return Finding(f"{failed:g} lookups failed", not failed)


# -- the table -----------------------------------------------------------------------------------

_ALWAYS: tuple[Judge, ...] = (lost_for_good, never_twice, no_violation)


def _row(
    case: str,
    must: str,
    scenario: str,
    *judges: Judge,
    seeds: int = 1,
    **parameters: object,
) -> Row:
    defaults = SCENARIOS[scenario].defaults
    chosen = replace(defaults, **parameters)  # type: ignore[arg-type]
    return Row(case, must, scenario, (*judges, *_ALWAYS), chosen, seeds)


ROWS: tuple[Row, ...] = (
    _row(
        "half of 100 crash, disks intact, all start again",
        "0 lost",
        "half-crash",
        lost(),
    ),
    _row(
        "half of 100 are wiped at once, 20 seeds",
        "at most 0.7 % lost in the mean, 0 where the sender returns; ideal in 10 s, copies in 60 s",
        "half-wiped",
        mean_lost_share,
        ideal(),
        replicated(),
        seeds=20,
    ),
    _row("half are wiped over 20 repair times", "0 lost", "rolling-half", lost()),
    _row("a quarter is wiped, twice", "0 lost", "two-bursts", lost()),
    _row(
        "an adjacent half is wiped",
        "measured; 0 lost where the sender returns",
        "adjacent-half",
        measured_lost,
    ),
    *(
        _row(
            f"split in {ways} for 10 min, then healed",
            "ideal in 10 s, mailboxes identical in 60 s, 0 lost",
            "split",
            lost(),
            ideal(),
            replicated(),
            ways=ways,
            seconds=600.0,
        )
        for ways in (2, 3)
    ),
    _row(
        "rolling restart, one after another, under load",
        "0 lost, less than 1 % of stored bytes moved",
        "rolling-restart",
        lost(),
        measure("moved_share", "{:.4f} of it moved", MOVED_SHARE),
    ),
    _row("all lose power at once and start again", "0 lost", "restart-all", lost()),
    _row(
        "churn: 200 nodes, 15 min median sessions, half of the departures wiped, six hours",
        "at least 99.9 % delivered without the outbox, all with it",
        "churn",
        delivered_share,
        # Each of them is more than an hour of CPU: they are played side by side, and kept singly.
        seconds=3600.0,
        seeds=6,
    ),
    _row("idle, 1,000 nodes", "at most 2 kB/s a node (goal 500 bytes/s)", "idle", bytes_a_second),
    _row(
        "a fifth of the nodes slow, 5 % of all packets lost",
        "no more than 1 % falsely dead, all delivered with the outbox",
        "slow-nodes",
        few_false_deaths,
    ),
    _row(
        "routing, 10,000 nodes, tables of 512",
        "at most 4 hops in the mean, no lookup fails",
        "routing",
        hops,
        no_lookup_failed,
    ),
    _row("ways between nodes close and open", "0 lost", "flapping-link", lost()),
    _row("almost all join in one instant", "0 lost", "join-storm", lost()),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A row that was played, or part of it.

    :ivar reports: of the runs that have ended.
    :ivar cpu_seconds: what these cost together.
    :ivar programs: which have played them.
    """

    row: Row
    reports: tuple[Report, ...]
    cpu_seconds: float
    programs: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """A figure for each judge; nothing where nothing was played."""
        return [judge(self.reports) for judge in self.row.judges] if self.reports else []

    @property
    def finished(self) -> bool:
        """Have all runs of the row ended?"""
        return len(self.reports) == self.row.seeds

    @property
    def held(self) -> bool:
        """Were all runs played, and are all figures within their bars?

        A scenario promises a little more than its row asks of a single seed (a share lost in each
        run, where the row asks for the mean); only what the row asks is judged here.
        """
        return self.finished and not self.short()

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.short():
            return "**not held**"
        return "held" if self.finished else "**not finished**"

    def short(self) -> list[str]:
        """The figures that are not within their bars."""
        return [finding.text for finding in self.findings if not finding.held]


def page(rows: Sequence[Measured], *, version: str, quick: bool) -> Iterator[str]:
    """docs/measurements.md, a line each."""
    yield "# What simulations have measured"
    yield ""
    size = " on small networks" if quick else ""
    yield f"Written by `tace simulate --all`{size}, tace {version}. Seeds count from 1; the same"
    yield "seed gives the same figures anywhere, and only the CPU seconds are this machine's."
    yield ""
    yield "| case | must | measured | |"
    yield "|---|---|---|---|"
    for measured in rows:
        texts = ", ".join(
            finding.text if finding.held else f"**{finding.text}**" for finding in measured.findings
        )
        yield f"| {measured.row.case} | {measured.row.must} | {texts} | {measured.verdict} |"
    yield ""
    yield "A program is named by its digest: with every line that is changed it is another one."
    yield ""
    yield "| case | nodes | seeds | virtual time | CPU | program | command |"
    yield "|---|---|---|---|---|---|---|"
    for measured in rows:
        row = measured.row
        virtual = sum(report.virtual_seconds for report in measured.reports)
        seeds = f"{row.seeds}" if measured.finished else f"{len(measured.reports)} of {row.seeds}"
        yield (
            f"| {row.case} | {row.parameters.nodes:,} | {seeds} | {virtual:,.0f} s |"
            f" {measured.cpu_seconds:,.0f} s | {' '.join(measured.programs)} | `{row.command}` |"
        )
