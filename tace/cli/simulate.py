"""``tace simulate``: a whole network in virtual time, and whether it keeps its promise."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

import click

from tace.cli.kept_runs import KeptRuns, program_digest
from tace.cli.measuring import ProgressScreen
from tace.cli.simulate_all import PAGE, simulate_all, spare_the_collector, usual_jobs
from tace.simulation.plot import plot
from tace.simulation.report import Report
from tace.simulation.scenarios.catalogue import SCENARIOS
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.play import play_scenario, play_script
from tace.simulation.scenarios.recorded import results, with_results
from tace.simulation.scenarios.script import Script, ScriptError, parse
from tace.simulation.scenarios.stage import Interrupted

BROKEN_STATUS = 1
INTERRUPTED_STATUS = 130
"""As a shell has it for a program that SIGINT has ended; not a verdict."""
Play = Callable[[ProgressScreen, Callable[[], bool]], Report]


def _list_of_scenarios() -> str:
    return "\n".join(f"  {name:16} {scenario.help}" for name, scenario in SCENARIOS.items())


@click.command(
    "simulate",
    epilog=f"\b\nScenarios:\n{_list_of_scenarios()}",
)
@click.argument("scenario", metavar="SCENARIO|FILE", required=False)
@click.option("--nodes", type=click.IntRange(2, 10_000), help="How many; each has its own default.")
@click.option("--seed", type=click.IntRange(0), help="All chance follows from it; 1 by default.")
@click.option("--people", type=click.IntRange(2, 10_000), help="Who write to each other.")
@click.option(
    "--letters", type=click.IntRange(1, 100_000), help="Written beforehand to people who are away."
)
@click.option("--rate", "per_second", type=click.FloatRange(0), help="Messages a second meanwhile.")
@click.option("--seconds", type=click.FloatRange(1), help="How long it goes on, in virtual time.")
@click.option("--ways", type=click.IntRange(2, 10), help="Into how many parts a network is split.")
@click.option(
    "--median-minutes", type=click.FloatRange(0.1), help="Half of all sessions are shorter."
)
@click.option(
    "--heavy-tailed",
    is_flag=True,
    default=None,
    help="Many short sessions and a few very long ones, instead of Poisson departures.",
)
@click.option(
    "--capacity", type=click.IntRange(384, 20_000), help="Nodes that a routing table holds."
)
@click.option("--lookups", type=click.IntRange(1, 100_000), help="Keys that are looked for.")
@click.option("--dead", type=click.FloatRange(0, 90), help="Of 100 nodes so many do not answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one object, for programs.")
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw the ring and the timeline, as SVG.",
)
@click.option("--record", is_flag=True, help="Write what came of it below the script FILE.")
@click.option(
    "--all",
    "whole_table",
    is_flag=True,
    help="Play every case that a network must stand, and write the table. It takes hours.",
)
@click.option("--quick", is_flag=True, help="With --all: small networks, one seed, minutes.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="With --all: runs at a time; one for each core."
)
@click.option(
    "--page",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help=f"With --all: where the table goes; {PAGE} by default.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --all: where runs that have ended are kept; the same command goes on from there.",
)
@click.option(
    "--only",
    type=click.Choice(sorted(SCENARIOS)),
    multiple=True,
    help="With --all: the rows of this scenario alone; may be repeated.",
)
@click.option(
    "--so-far",
    is_flag=True,
    help="With --all and --keep: play nothing, write the table of the runs that are kept, each with"
    " the program that played it.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    scenario: str | None,
    seed: int | None,
    as_json: bool,
    plot_file: Path | None,
    record: bool,
    whole_table: bool,
    quick: bool,
    jobs: int | None,
    page: Path | None,
    keep: Path | None,
    only: tuple[str, ...],
    so_far: bool,
    **chosen: Any,
) -> None:
    """Run nodes, people and what happens to them in virtual time, under the eyes of an oracle.

    SCENARIO is one that is built in, FILE a script. The same seed gives the same result.

    Exit status: 0 the promise held, 1 it did not, 2 wrong usage, 130 interrupted.
    """
    if plot_file is not None and not plot_file.parent.is_dir():
        raise click.UsageError(f"{plot_file.parent} is no directory")
    named = {name: value for name, value in chosen.items() if value is not None}
    if whole_table:
        if scenario or named or seed is not None or as_json or plot_file or record:
            raise click.UsageError(
                "--all takes --quick, --jobs, --page, --keep, --only and --so-far, and nothing else"
            )
        if so_far and keep is None:
            raise click.UsageError("--so-far is for what --keep has kept: say where")
        ctx.exit(
            _all(
                page or PAGE,
                quick=quick,
                jobs=jobs or usual_jobs(),
                keep=keep,
                only=only,
                play=not so_far,
            )
        )
    if scenario is None:
        raise click.UsageError("which scenario? One of those below, a script, or --all")
    if quick or jobs or page or keep or only or so_far:
        raise click.UsageError("--quick, --jobs, --page, --keep, --only and --so-far are for --all")
    script: Script | None = None
    if scenario in SCENARIOS:
        if record:
            raise click.UsageError("--record is for the script in a FILE")
        play = _built_in(scenario, named, 1 if seed is None else seed)
    else:
        path = Path(scenario)
        if named:
            option = _option(ctx, next(iter(named)))
            raise click.UsageError(f"{option} is for scenarios that are built in")
        if record and seed is not None:
            raise click.UsageError("what is recorded is that of the script's own seed")
        text = _read(path)
        try:
            script = parse(text)
        except ScriptError as error:
            raise click.UsageError(f"{path}, {error}") from error
        play = _scripted(path.name, script, seed)
    spare_the_collector()
    try:
        report = _watched(play)
    except Interrupted:
        click.echo("tace: interrupted", err=True)
        ctx.exit(INTERRUPTED_STATUS)
    if plot_file is not None:
        _write(plot_file, plot(report))
    if record:
        _write(path, with_results(text, report))
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        for line in report.lines():
            click.echo(line)
    # Another seed gives other figures.
    to_compare = None if record or seed is not None else script
    as_recorded = to_compare is None or _is_as_recorded(to_compare, report)
    ctx.exit(0 if report.held and as_recorded else BROKEN_STATUS)


def _all(
    page: Path, *, quick: bool, jobs: int, keep: Path | None, only: Sequence[str], play: bool
) -> int:
    """The exit status. :raises click.UsageError: there is no place for the page."""
    if not page.parent.is_dir():
        raise click.UsageError(f"{page.parent} is no directory: --page says where the table goes")
    kept = None if keep is None else KeptRuns(keep, program_digest())
    try:
        held = simulate_all(page, quick=quick, jobs=jobs, only=only, kept=kept, play=play)
    except KeyboardInterrupt:
        click.echo("tace: interrupted", err=True)
        return INTERRUPTED_STATUS
    return 0 if held else BROKEN_STATUS


def _built_in(name: str, named: dict[str, Any], seed: int) -> Play:
    """:raises click.UsageError: an option that this scenario does not look at."""
    scenario = SCENARIOS[name]
    ctx = click.get_current_context()
    for option in named:
        if option != "nodes" and option not in scenario.takes:
            raise click.UsageError(f"{_option(ctx, option)} means nothing to {name}")
    parameters: Parameters = replace(scenario.defaults, **named)
    return lambda screen, interrupted: play_scenario(
        name, scenario, parameters, seed, screen=screen, interrupted=interrupted
    )


def _scripted(name: str, script: Script, seed: int | None) -> Play:
    return lambda screen, interrupted: play_script(
        name, script, seed, screen=screen, interrupted=interrupted
    )


def _option(ctx: click.Context, name: str) -> str:
    return next(param.opts[0] for param in ctx.command.params if param.name == name)


def _watched(play: Play) -> Report:
    """:raises Interrupted: by SIGINT."""
    screen = ProgressScreen()
    try:
        with _interrupts() as interrupted:
            return play(screen, interrupted)
    finally:
        screen.end()


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Has the first SIGINT end the simulation in good order, and the second one at once.

    A KeyboardInterrupt would be caught by whatever Deferred is just running.
    """
    came = Event()
    before = signal.getsignal(signal.SIGINT)

    def noticed(number: int, frame: FrameType | None) -> None:
        came.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGINT, noticed)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _read(path: Path) -> str:
    """:raises click.UsageError: it cannot be read, or there is nothing of that name."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise click.UsageError(
            f"{path} is no scenario ({', '.join(SCENARIOS)}), and no script: {why}"
        ) from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error


def _is_as_recorded(script: Script, report: Report) -> bool:
    """Where something else is recorded below the script, it is said on standard error."""
    found = tuple(results(report))
    if not script.recorded or found == script.recorded:
        return True
    click.echo("tace: this is not what was recorded; recorded and found:", err=True)
    for line in script.recorded:
        click.echo(f"  - {line}", err=True)
    for line in found:
        click.echo(f"  + {line}", err=True)
    return False
