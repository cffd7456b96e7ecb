"""``tace simulate --all``: the whole table of cases, in several processes, and its page."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tace import __version__
from tace.cli.kept_runs import KeptRun, KeptRuns, program_digest, program_name
from tace.cli.measuring import ProgressScreen
from tace.simulation.measurements import ROWS, Measured, Row, page
from tace.simulation.report import Report
from tace.simulation.scenarios.catalogue import SCENARIOS
from tace.simulation.scenarios.play import play_scenario

PAGE = Path("docs") / "measurements.md"


@dataclass(frozen=True, slots=True)
class Task:
    """One run of one row, as it is given to another process."""

    row: int
    seed: int
    quick: bool


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    task: Task
    report: Report
    cpu_seconds: float
    program: str


def row_of(number: int, *, quick: bool) -> Row:
    """A row of the table, small where it is to be quick."""
    return ROWS[number].quick() if quick else ROWS[number]


def play_task(task: Task) -> Played:
    """Play one run to its end, in this process."""
    row = row_of(task.row, quick=task.quick)
    program = program_name(program_digest())
    before = time.process_time()
    report = play_scenario(row.scenario, SCENARIOS[row.scenario], row.parameters, task.seed)
    return Played(task, report, time.process_time() - before, program)


def tasks(numbers: Sequence[int], *, quick: bool) -> Iterator[Task]:
    """Every run of these rows."""
    for number in numbers:
        for seed in range(1, row_of(number, quick=quick).seeds + 1):
            yield Task(number, seed, quick)


def spare_the_collector() -> None:
    """What was imported stays, and a world is made of millions of objects that live long: looking
    through all of them again and again takes a fifth of the time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _begin_worker() -> None:
    spare_the_collector()
    # Ctrl-C reaches every process of the terminal; a worker has nothing to put in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def simulate_all(
    page_file: Path,
    *,
    quick: bool,
    jobs: int,
    only: Sequence[str] = (),
    kept: KeptRuns | None = None,
    play: bool = True,
) -> bool:
    """Play the table and write its page; True when every row held.

    :param jobs: runs at a time, each in a process of its own.
    :param only: scenarios whose rows are played; all where there are none.
    :param kept: where runs that have ended are kept; those that are there are not played.
    :param play: False: nothing is played; the page is of what is kept, also by older programs.
    :raises click.ClickException: the page, or a run, cannot be written.
    :raises KeyboardInterrupt: by SIGINT; no page is written.
    """
    numbers = [n for n, row in enumerate(ROWS) if not only or row.scenario in only]
    todo = list(tasks(numbers, quick=quick))
    found: dict[int, list[Played]] = defaultdict(list)
    measured: dict[int, Measured] = {}
    screen = ProgressScreen()
    try:
        screen.step(f"{len(todo)} runs of {len(numbers)} cases", float(len(todo)))
        for done, played in enumerate(_all_played(todo, jobs, kept, play=play), start=1):
            screen.progress(float(done))
            number = played.task.row
            found[number].append(played)
            row = row_of(number, quick=quick)
            if len(found[number]) == row.seeds:
                measured[number] = _measured(row, found[number])
                screen.say(_told(measured[number]))
    finally:
        screen.end()
    for number in numbers:
        if number not in measured:
            measured[number] = _measured(row_of(number, quick=quick), found[number])
    rows = [measured[number] for number in numbers]
    text = "\n".join(page(rows, version=__version__, quick=quick)) + "\n"
    try:
        page_file.write_text(text)
    except OSError as error:
        raise click.ClickException(f"{page_file}: {error.strerror}") from error
    held = sum(row.held for row in rows)
    click.echo(f"{held} of {len(rows)} cases held; the table is in {page_file}")
    return held == len(rows)


def _all_played(
    todo: Sequence[Task], jobs: int, kept: KeptRuns | None, *, play: bool
) -> Iterator[Played]:
    """Each run, as it ends: those that are kept first."""
    left: list[Task] = []
    for task in todo:
        run = None
        if kept is not None:
            row = row_of(task.row, quick=task.quick)
            run = kept.get(row, task.seed) if play else kept.latest(row, task.seed)
        if run is None:
            left.append(task)
        else:
            yield Played(task, run.report, run.cpu_seconds, run.program)
    if not left or not play:
        return
    # The longest begin first: else the last one has a core for itself and the others are idle.
    left.sort(key=lambda task: -row_of(task.row, quick=task.quick).weight)
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(jobs, len(left)), initializer=_begin_worker, maxtasksperchild=1) as pool:
        for played in pool.imap_unordered(play_task, left):
            if kept is not None:
                task = played.task
                run = KeptRun(played.report, played.cpu_seconds, played.program)
                kept.put(row_of(task.row, quick=task.quick), task.seed, run)
            yield played


def _measured(row: Row, runs: list[Played]) -> Measured:
    # They come in the order in which they ended; the page is to be the same each time.
    runs.sort(key=lambda played: played.task.seed)
    return Measured(
        row,
        tuple(p.report for p in runs),
        sum(p.cpu_seconds for p in runs),
        tuple(sorted({p.program for p in runs})),
    )


def _told(measured: Measured) -> str:
    verdict = "held" if measured.held else f"NOT held: {', '.join(measured.short())}"
    return f"{measured.row.case}: {verdict} ({measured.cpu_seconds:.0f} s of CPU)"


def usual_jobs() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0))
