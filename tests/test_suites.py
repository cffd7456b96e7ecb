"""scripts/suites.py: a test run is counted right, above all when something is wrong with it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent


def load() -> Any:
    """It is a program beside the package, not a part of it."""
    spec = importlib.util.spec_from_file_location("suites", ROOT / "scripts" / "suites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["suites"] = module
    spec.loader.exec_module(module)
    return module


suites = load()

RULE = "=" * 79
REPORT = f"""\
tests.test_a
  Case
    test_good ...                                                          [OK]

{RULE}
[SKIPPED]
no strace

tests.test_a.Case.test_skipped
{RULE}
[FAIL]
Traceback (most recent call last):
  File "test_a.py", line 3, in test_bad
twisted.trial.unittest.FailTest: 1 != 2

tests.test_a.Case.test_bad
{RULE}
[ERROR]
Traceback (most recent call last):
builtins.ZeroDivisionError: x

tests.test_a.Case.test_broken
tests.test_a.Case.test_broken_too
-------------------------------------------------------------------------------
Ran 9 tests in 0.010s

FAILED (skips=1, expectedFailures=1, failures=1, errors=2, successes=4)
"""


class Counting(SynchronousTestCase):
    """What trial printed, as numbers and names."""

    def test_mixed(self) -> None:
        """Each kind is counted, and only failures and errors are named."""
        self.assertEqual(
            suites.trial_outcome("tests", 1, REPORT.splitlines()),
            suites.Outcome(
                passed=5,
                failed=3,
                skipped=1,
                failures=(
                    "tests.test_a.Case.test_bad",
                    "tests.test_a.Case.test_broken",
                    "tests.test_a.Case.test_broken_too",
                ),
            ),
        )

    def test_all_good(self) -> None:
        """Nothing but successes."""
        lines = ["Ran 12 tests in 0.010s", "", "PASSED (successes=12)"]
        self.assertEqual(suites.trial_outcome("tests", 0, lines), suites.Outcome(passed=12))

    def test_no_tests(self) -> None:
        """Trial is content with none; this is a failure."""
        lines = ["Ran 0 tests in 0.000s", "", "PASSED"]
        outcome = suites.trial_outcome("tests", 0, lines)
        self.assertEqual((outcome.failed, outcome.failures), (1, ("tests: ran no test",)))

    def test_broke_off(self) -> None:
        """A run that ended without its closing lines."""
        outcome = suites.trial_outcome("tests", 0, ["tests.test_a"])
        self.assertEqual((outcome.failed, outcome.failures), (1, ("tests: broke off",)))

    def test_status_without_failure(self) -> None:
        """All passed, and still it ended badly."""
        lines = ["Ran 1 test in 0.010s", "", "PASSED (successes=1)"]
        outcome = suites.trial_outcome("tests", 7, lines)
        self.assertEqual((outcome.failed, outcome.failures), (1, ("tests: exit status 7",)))


def report(*tests: tuple[str, str], file_state: str = "passed", message: str = "") -> bytes:
    """What vitest writes about one file with these tests: name and state each."""
    file = {
        "name": str(suites.WEB / "src" / "a.test.ts"),
        "status": file_state,
        "message": message,
        "assertionResults": [{"fullName": name, "status": state} for name, state in tests],
    }
    return json.dumps({"testResults": [file]}).encode()


class CountingOfVitest(SynchronousTestCase):
    """What vitest's report says, as numbers and names."""

    def test_mixed(self) -> None:
        """Each kind is counted, and failures are named with their file."""
        tests = (("a b", "passed"), ("a c", "failed"), ("a d", "pending"), ("a e", "todo"))
        self.assertEqual(
            suites.vitest_outcome("web", 1, report(*tests, file_state="failed")),
            suites.Outcome(passed=1, failed=1, skipped=2, failures=("src/a.test.ts: a c",)),
        )

    def test_all_good(self) -> None:
        """Nothing but successes."""
        outcome = suites.vitest_outcome("web", 0, report(("a", "passed"), ("b", "passed")))
        self.assertEqual(outcome, suites.Outcome(passed=2))

    def test_not_collected(self) -> None:
        """A file that could not be loaded has no tests, and is a failure all the same."""
        broken = report(file_state="failed", message="SyntaxError: x\n  at y")
        outcome = suites.vitest_outcome("web", 1, broken)
        self.assertEqual(outcome.failures, ("src/a.test.ts: SyntaxError: x",))

    def test_no_tests(self) -> None:
        """None at all, and none that was run."""
        for written in (b'{"testResults": []}', report(), report(("a", "pending"))):
            outcome = suites.vitest_outcome("web", 0, written)
            self.assertEqual((outcome.failed, outcome.failures), (1, ("web: ran no test",)))

    def test_broke_off(self) -> None:
        """No report, half of one, or something else."""
        for written in (b"", report(("a", "passed"))[:-9], b"[]", b'{"testResults": [1]}'):
            outcome = suites.vitest_outcome("web", 0, written)
            self.assertEqual((outcome.failed, outcome.failures), (1, ("web: broke off",)))

    def test_status_without_failure(self) -> None:
        """All passed, and still it ended badly: an error outside of a test."""
        outcome = suites.vitest_outcome("web", 1, report(("a", "passed")))
        self.assertEqual((outcome.passed, outcome.failures), (1, ("web: exit status 1",)))


class Choosing(SynchronousTestCase):
    """What is run."""

    def test_only(self) -> None:
        """Each name goes to the suite it is of, and names of one suite go together."""
        started: list[tuple[str, tuple[str, ...]]] = []

        def note(name: str, arguments: tuple[str, ...]) -> Any:
            started.append((name, tuple(arguments)))
            return suites.Outcome(passed=1)

        self.patch(suites, "trial", note)
        self.patch(suites, "vitest", note)
        names = ["tests.ring", "src/e2ee", "browser/talk", "build", "tests.test_config"]
        self.assertEqual(len(list(suites.chosen(names))), 3)
        self.assertEqual(
            started,
            [
                ("tests", ("tests.ring", "tests.test_config")),
                ("web client", ("src/e2ee", "build")),
                (
                    "web client in a browser",
                    ("--config", "browser/vitest.config.ts", "browser/talk"),
                ),
            ],
        )

    def test_targets(self) -> None:
        """Modules and packages with tests; not those that are suites of their own."""
        directory = Path(self.mktemp())
        for name in ("ring/test_a.py", "fakes/a.py", "smoke/test_b.py", "test_c.py", "tools.py"):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text("")
        self.assertEqual(suites.test_targets(directory, "tests"), ["tests.ring", "tests.test_c"])

    def test_every_test_file_is_reached(self) -> None:
        """Each directory with tests is a package: trial would silently pass over others."""
        for path in (ROOT / "tests").rglob("test_*.py"):
            self.assertTrue((path.parent / "__init__.py").exists(), path)
