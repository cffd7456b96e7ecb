"""``tace simulate --all``: what is judged of each case, and the page that is written."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.kept_runs import KeptRuns, program_digest, program_name
from tace.cli.main import main
from tace.cli.simulate_all import play_task, row_of, simulate_all, tasks
from tace.simulation import measurements
from tace.simulation.measurements import ROWS, Finding, Measured, page
from tace.simulation.report import Report
from tace.simulation.scenarios.catalogue import SCENARIOS
from tests.simulation.test_scenarios_built_in import small


@cache
def a_report() -> Report:
    """Of a network that has kept all promises."""
    return small("join-storm")


class Judging(SynchronousTestCase):
    """Each figure against its bar, over all seeds."""

    def setUp(self) -> None:
        self.calm = a_report()

    def but(self, **outcome: int) -> Report:
        return replace(self.calm, outcome=replace(self.calm.outcome, **outcome))

    def test_lost(self) -> None:
        """One message of one seed is too much where none may be lost."""
        judge = measurements.lost()
        self.assertTrue(judge([self.calm, self.calm]).held)
        found = judge([self.calm, self.but(stored=50, lost=1)])
        stored = self.calm.outcome.stored + 50
        self.assertEqual(found, Finding(f"1 of {stored} lost", False))

    def test_the_mean(self) -> None:
        """One unlucky seed is no failure where the mean counts; two are."""
        lucky, unlucky = self.but(stored=100, lost=0), self.but(stored=100, lost=1)
        judge = measurements.mean_lost_share
        self.assertEqual(judge([lucky, unlucky]), Finding("0.50 % lost in the mean", True))
        self.assertEqual(judge([unlucky, unlucky]), Finding("1.00 % lost in the mean", False))
        self.assertTrue(measurements.measured_lost([unlucky]).held)

    def test_for_good(self) -> None:
        """What was sent and never came is missing, stored or not."""
        sent = self.calm.outcome.sent
        found = measurements.lost_for_good([self.but(delivered_after_resend=sent - 2)])
        self.assertEqual(found, Finding("2 missing once senders returned", False))
        self.assertTrue(measurements.lost_for_good([self.calm]).held)

    def test_times(self) -> None:
        """The slowest seed counts, and one that never came to rest is the worst of all."""
        reports = [replace(self.calm, ideal_after_seconds=s) for s in (2.0, 9.0, 3.0)]
        self.assertEqual(
            measurements.ideal()(reports), Finding("ideal after 9.0 s (median 3.0)", True)
        )
        self.assertFalse(measurements.ideal(8.9)(reports).held)
        never = replace(self.calm, replicated_after_seconds=None)
        self.assertEqual(
            measurements.replicated()([self.calm, never]),
            Finding("all copies: never in 1 of 2", False),
        )

    def test_figures(self) -> None:
        """Bytes, hops, shares; a figure that is missing holds nothing."""
        r = replace(self.calm, bytes_per_node_second=2000.1, mean_hops=4.1, nodes=100)
        self.assertEqual(measurements.bytes_a_second([r]), Finding("2001 bytes/s a node", False))
        self.assertEqual(measurements.hops([r]), Finding("4.10 hops in the mean", False))
        for judge in (measurements.bytes_a_second, measurements.hops):
            none = replace(r, bytes_per_node_second=None, mean_hops=None)
            self.assertFalse(judge([none]).held)
        moved = measurements.measure("moved_share", "{:.2f} moved", 0.01)
        self.assertEqual(
            [moved([replace(r, measured={"moved_share": s})]).held for s in (0.01, 0.02, None)],
            [True, False, False],
        )
        false = [replace(r, measured={"falsely_dead_nodes": n}) for n in (1, 2)]
        self.assertTrue(measurements.few_false_deaths(false[:1]).held)
        self.assertEqual(measurements.few_false_deaths(false), Finding("2.0 % falsely dead", False))
        late, soon = self.but(sent=1000, delivered=998), self.but(sent=1000, delivered=1000)
        judge = measurements.delivered_share
        self.assertEqual(judge([late, soon]), Finding("99.900 % delivered without outbox", True))
        self.assertEqual(judge([late]), Finding("99.800 % delivered without outbox", False))

    def test_always(self) -> None:
        """Of every case: nothing twice, and no violation."""
        twice = self.but(duplicated=1)
        broken = replace(self.calm, violations=["two rings"])
        for row in ROWS:
            for report in (twice, broken):
                self.assertFalse(Measured(row, (report,), 1.0).held, row.case)


class Table(SynchronousTestCase):
    """The cases, and what is written of them."""

    def test_every_scenario_is_there(self) -> None:
        """Nothing that is built in goes unmeasured, and each command plays its row."""
        self.assertEqual({row.scenario for row in ROWS}, set(SCENARIOS))
        commands = [row.command for row in ROWS]
        self.assertEqual(len(set(commands)), len(commands))
        self.assertIn("tace simulate split --ways 3", " ".join(commands))
        self.assertEqual(len(list(tasks(range(len(ROWS)), quick=True))), len(ROWS))
        runs = len(ROWS) + 19 + 5
        self.assertEqual(sum(1 for t in tasks(range(len(ROWS)), quick=False)), runs)

    def test_page(self) -> None:
        """What did not hold stands out; the rest of the row is there as well."""
        row = ROWS[0]
        report = replace(a_report(), measured={}, ideal_after_seconds=1.0, violations=["two rings"])
        text = "\n".join(page([Measured(row, (report,), 2.0)], version="1", quick=False))
        self.assertIn("**1 violations**", text)
        self.assertIn("| **not held** |", text)
        self.assertIn(f"| 100 | {row.seeds} |", text)
        self.assertIn(f"`{row.command}`", text)

    def test_not_finished(self) -> None:
        """What has been played is shown, and that it is not all; what did not hold already."""
        row = next(row for row in ROWS if row.scenario == "churn")
        good, bad = a_report(), replace(a_report(), violations=["two rings"])
        for reports, verdict, seeds in (
            ((), "**not finished**", f"0 of {row.seeds}"),
            ((good,), "**not finished**", f"1 of {row.seeds}"),
            ((good, bad), "**not held**", f"2 of {row.seeds}"),
            ((good,) * row.seeds, "held", f"{row.seeds}"),
        ):
            measured = Measured(row, reports, 1.0)
            self.assertEqual(measured.held, verdict == "held")
            text = "\n".join(page([measured], version="1", quick=False))
            self.assertIn(f"| {verdict} |", text)
            self.assertIn(f"| {row.parameters.nodes} | {seeds} |", text)

    def test_so_far(self) -> None:
        """Of what is kept a page is written at once; nothing is played."""
        directory, written = Path(self.mktemp()), Path(self.mktemp())
        kept = KeptRuns(directory, b"1")
        only = ("join-storm", "idle")
        self.assertTrue(simulate_all(written, quick=True, jobs=1, only=("join-storm",), kept=kept))
        self.assertFalse(
            simulate_all(written, quick=True, jobs=1, only=only, kept=kept, play=False)
        )
        self.assertEqual(len(list(directory.iterdir())), 1)
        mine = written.read_text()
        # So it is with a later program, which has played nothing: the older one is named.
        later = KeptRuns(directory, b"2")
        simulate_all(written, quick=True, jobs=1, only=only, kept=later, play=False)
        self.assertEqual(written.read_text(), mine)
        text = written.read_text()
        self.assertIn(f"| {program_name(program_digest())} | `tace simulate join-storm", text)
        self.assertEqual(text.count("| held |"), 1)
        self.assertEqual(text.count("| **not finished** |"), 1)

    def test_played_in_processes(self) -> None:
        """The page is the same whoever plays first, but for the CPU seconds."""
        written = Path(self.mktemp())
        self.assertTrue(simulate_all(written, quick=True, jobs=2, only=("join-storm", "idle")))
        text = written.read_text()
        (number,) = (n for n, row in enumerate(ROWS) if row.scenario == "join-storm")
        (task,) = tasks([number], quick=True)
        row = row_of(number, quick=True)
        here = Measured(row, (play_task(task).report,), 0.0)
        line = list(page([here], version="1", quick=True))[7]
        self.assertIn(line, text)
        self.assertEqual(text.count("| held |"), 2)

    def test_goes_on(self) -> None:
        """What has ended is not played again; another program's runs and damaged ones are."""
        directory, written = Path(self.mktemp()), Path(self.mktemp())

        def play(program: bytes) -> str:
            kept = KeptRuns(directory, program)
            simulate_all(written, quick=True, jobs=1, only=("join-storm",), kept=kept)
            return written.read_text()

        first = play(b"1")
        (file,) = directory.iterdir()
        # It says what it cost, which is another figure each time it is played.
        kept = file.read_bytes()
        self.assertEqual(play(b"1"), first)
        self.assertEqual(file.read_bytes(), kept)
        play(b"2")
        self.assertEqual(len(list(directory.iterdir())), 2)
        self.assertEqual(file.read_bytes(), kept)
        file.write_bytes(kept[:-10])
        play(b"1")
        self.assertNotEqual(file.read_bytes(), kept[:-10])
        self.assertIn("| held |", written.read_text())

    def test_program_digest(self) -> None:
        """Another line, or another file, is another program."""
        package = Path(self.mktemp())
        package.mkdir()
        (package / "a.py").write_text("1\n")
        seen = [program_digest(package)]
        (package / "a.py").write_text("2\n")
        seen.append(program_digest(package))
        (package / "b.py").write_text("")
        seen.append(program_digest(package))
        self.assertEqual(len(set(seen)), 3)
        self.assertEqual(program_digest(package), seen[-1])

    def test_cannot_be_kept(self) -> None:
        """Said before anything is simulated."""
        there = Path(self.mktemp())
        there.write_text("")
        with self.assertRaises(click.ClickException):
            KeptRuns(there / "runs", b"")

    def test_cannot_be_written(self) -> None:
        """A clear word, not a traceback."""
        there = Path(self.mktemp())
        there.mkdir()
        with self.assertRaises(click.ClickException) as caught:
            simulate_all(there, quick=True, jobs=1, only=("join-storm",))
        self.assertIn("Is a directory", str(caught.exception))

    def test_wrong_usage(self) -> None:
        """Exit status 2 before anything is simulated."""
        for arguments, why in (
            (("--all", "idle"), "and nothing else"),
            (("--all", "--seed", "2"), "and nothing else"),
            (("--all", "--page", "/no/such/place.md"), "/no/such is no directory"),
            (("--quick", "idle"), "are for --all"),
            (("--keep", "runs", "idle"), "are for --all"),
            (("idle", "--jobs", "2"), "are for --all"),
            (("idle", "--only", "idle"), "are for --all"),
            (("idle", "--so-far"), "are for --all"),
            (("--all", "--so-far"), "say where"),
            (("--all", "--only", "nosuch"), "is not one of"),
            ((), "which scenario?"),
        ):
            result = CliRunner().invoke(main, ["simulate", *arguments])
            self.assertEqual(result.exit_code, 2, arguments)
            self.assertIn(why, " ".join(result.stderr.split()))
