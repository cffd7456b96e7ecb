"""``tace simulate``: exit status, what is printed, and what is written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.main import main
from tests.processes import environment

CALM = "set ring.replicas 3\nring 4\npeople 4 away 2\nwrite 6\nexpect ideal within 60\n"
RESULTS = (
    "=> sent 6 stored 6 delivered 6 lost 0 lost_after_resend 0 duplicated 0\n"
    "=> nodes 4 violations 0\n"
)


def simulate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


class Simulate(SynchronousTestCase):
    """From outside, on small rings."""

    def setUp(self) -> None:
        self.script = Path(self.mktemp())
        self.script.write_text(CALM)

    def test_built_in(self) -> None:
        """For people and for programs; the picture beside it."""
        picture = Path(self.mktemp())
        small = ("join-storm", "--nodes", "5", "--people", "2", "--seed", "3")
        shown = simulate(*small, "--plot", picture)
        self.assertEqual(shown.exit_code, 0, shown.output)
        self.assertIn("join-storm: 5 nodes, seed 3", shown.stdout)
        self.assertIn("the promise held", shown.stdout)
        self.assertEqual(ElementTree.parse(picture).getroot().tag[-3:], "svg")
        first, second = simulate(*small, "--json"), simulate(*small, "--json")
        self.assertEqual(first.stdout_bytes, second.stdout_bytes)
        told = json.loads(first.stdout)
        self.assertEqual((told["nodes"], told["seed"], told["held"]), (5, 3, True))

    def test_promise_broken(self) -> None:
        """Exit status 1, and what was promised."""
        self.script.write_text("ring 4\nkill 1\nexpect ideal within 0\nexpect members 4\n")
        result = simulate(self.script)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("BROKEN:", result.stdout)
        self.assertIn("3 members, and not 4", result.stdout)
        told = json.loads(simulate(self.script, "--json").stdout)
        self.assertEqual((told["held"], len(told["faults"])), (False, 2))

    def test_record(self) -> None:
        """The results stand below the script, in the place of others."""
        self.script.write_text(CALM + "\n=> sent 7\n")
        self.assertEqual(simulate(self.script, "--record").exit_code, 0)
        self.assertEqual(self.script.read_text(), CALM + "\n" + RESULTS)
        self.assertEqual(simulate(self.script).exit_code, 0)

    def test_not_as_recorded(self) -> None:
        """It is said, and exit status 1; another seed is not compared."""
        self.script.write_text(CALM + RESULTS.replace("sent 6", "sent 7"))
        result = simulate(self.script)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("  - sent 7 stored 6", result.stderr)
        self.assertIn("  + sent 6 stored 6", result.stderr)
        self.assertEqual(simulate(self.script, "--seed", "2").exit_code, 0)

    def test_wrong_usage(self) -> None:
        """Exit status 2 before anything is simulated."""
        bad = Path(self.mktemp())
        bad.write_text("ring 4\nrun far\n")
        for arguments, why in (
            ((), "which scenario?"),
            (("no-such-thing",), "is no scenario"),
            ((bad,), "line 2: how long is a number"),
            (("idle", "--ways", "3"), "--ways means nothing to idle"),
            (("idle", "--rate", "3"), "--rate means nothing to idle"),
            (("split", "--ways", "1"), "1 is not in the range"),
            (("idle", "--record"), "--record is for the script"),
            ((self.script, "--nodes", "4"), "--nodes is for scenarios that are built in"),
            ((self.script, "--record", "--seed", "4"), "the script's own seed"),
            ((self.script, "--plot", "/no/such/place.svg"), "/no/such is no directory"),
        ):
            result = simulate(*arguments)
            self.assertEqual(result.exit_code, 2, arguments)
            self.assertIn(why, " ".join(result.stderr.split()))

    def test_whatever_the_hash_seed(self) -> None:
        """The object is the same to the byte: no order of a set decides anything."""
        arguments = ("adjacent-half", "--nodes", "5", "--people", "2", "--letters", "6", "--json")
        printed = {
            subprocess.run(
                [sys.executable, "-m", "tace.cli.main", "simulate", *arguments],
                env=environment(PYTHONHASHSEED=hash_seed),
                check=True,
                capture_output=True,
                timeout=120,
            ).stdout
            for hash_seed in ("0", "4711")
        }
        self.assertEqual(len(printed), 1)

    def test_interrupted(self) -> None:
        """SIGINT ends it, with a status that is no verdict and nothing on standard output."""
        self.script.write_text("ring 3\nrun 100000000\n")
        program = subprocess.Popen(
            [sys.executable, "-m", "tace.cli.main", "simulate", self.script],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        assert program.stderr is not None
        for line in program.stderr:
            if "time passes" in line:
                break
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
        self.assertEqual((program.returncode, out, err), (130, "", "tace: interrupted\n"))
