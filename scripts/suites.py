"""Runs every check and test suite and counts: the last line is ``N passed, M failed``.

Started by scripts/test, from the checkout, with the Python of .venv. A lint, type or contract check
counts as one test, and so does a script in tests/smoke. A suite that ran nothing has failed.

tests.ring            trial
src/e2ee, build       vitest: the web client's unit tests below these paths of tace/web
build/whole.check     vitest: the web client as it is built
browser, browser/talk vitest: in a real browser, against real nodes
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
WEB = ROOT / "tace" / "web"
LIMIT_SECONDS = 45 * 60
"""For one suite; what hangs longer is killed and has failed."""

TRIAL = (sys.executable, "-W", "error::RuntimeWarning", "-m", "twisted.trial")
CHECKS = (
    ("ruff check", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("mypy", ("mypy",)),
    ("layer contracts", ("lint-imports", "--no-cache")),
)
PROGRAMS = "node_modules/.bin"
WEB_CHECKS = (
    ("biome", (f"{PROGRAMS}/biome", "check", "--error-on-warnings", ".")),
    ("tsc", (f"{PROGRAMS}/tsc", "--noEmit")),
)
VITEST = (f"{PROGRAMS}/vitest", "run", "--reporter=default", "--reporter=json")
WEB_SUITES = (
    # What names it in --only, the name it is shown by, its arguments for vitest.
    ("src", "web client", ()),
    ("build/whole.check", "web client as built", ("--config", "build/vitest.config.ts")),
    ("browser", "web client in a browser", ("--config", "browser/vitest.config.ts")),
)
SCRIPTS = TESTS / "smoke"
"""Each of its programs is a test: exit status 0 is a pass."""
SIMULATIONS = TESTS / "simulation"
SIMULATED = ("tace.ring", "tace.mailbox", "tace.delivery")
"""What simulations must reach by themselves: they run production code, or they prove nothing."""
LEAST_REACHED_PERCENT = 85
APART = ("independent", "simulation", "smoke")
"""Directories of tests/ that are suites of their own."""


@dataclass(frozen=True, slots=True)
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.failures + other.failures,
        )


def run(name: str, command: Sequence[str], directory: Path = ROOT) -> tuple[int, list[str]]:
    """Shows the command's output as it comes; returns its exit status and that output."""
    print(f"\n== {name}", flush=True)
    process = subprocess.Popen(
        command,
        cwd=directory,
        # The checkout is what is tested, in the processes that tests start as well.
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TACE_PYTHON": sys.executable,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    limit = threading.Timer(LIMIT_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    lines = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
        return process.wait(), lines
    finally:
        limit.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def check(name: str, command: Sequence[str], directory: Path = ROOT) -> Outcome:
    """Passed when it exits with 0."""
    # A tool of .venv by its name; a program by its path stands for itself.
    program = Path(sys.executable).parent / command[0]
    full = [str(program), *command[1:]] if program.exists() else command
    status, _ = run(name, full, directory)
    return Outcome(failed=1, failures=(name,)) if status else Outcome(passed=1)


def trial(name: str, targets: Sequence[str], program: Sequence[str] = TRIAL) -> Outcome:
    """Trial says PASSED and exits with 0 when it found no test at all, so its counts are read."""
    scratch = Path(tempfile.mkdtemp(prefix="tace-trial-"))
    status, lines = run(name, [*program, f"--temp-directory={scratch / 'trial'}", *targets])
    outcome = trial_outcome(name, status, lines)
    if outcome.failed:
        print(f"what the tests left is in {scratch}")
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return outcome


def simulations(targets: Sequence[str]) -> Iterator[Outcome]:
    """Their tests, and how many lines of the rooms that they are about these alone have reached."""
    with tempfile.TemporaryDirectory(prefix="tace-coverage-") as scratch:
        # Without the settings in setup.cfg: lines are counted, not branches.
        measure = ("coverage", "{}", "--rcfile=/dev/null", f"--data-file={scratch}/reached")
        start, report = ([word.format(verb) for word in measure] for verb in ("run", "report"))
        program = [*TRIAL[:-1], *start, f"--source={','.join(SIMULATED)}", *TRIAL[-2:]]
        yield trial("tests/simulation", targets, program)
        name = f"lines that simulations reach, of {', '.join(SIMULATED)}"
        yield check(name, [*report, f"--fail-under={LEAST_REACHED_PERCENT}"])


def trial_outcome(name: str, status: int, lines: Sequence[str]) -> Outcome:
    """What trial's closing lines say: ``Ran 5 tests in 0.1s`` and ``FAILED (failures=1, ...)``."""
    ran = [int(match[1]) for line in lines if (match := re.match(r"Ran (\d+) tests? in ", line))]
    closing = [line for line in lines if re.match(r"(PASSED|FAILED)( \(|$)", line)]
    if not ran or not closing:
        return Outcome(failed=1, failures=(f"{name}: broke off",))
    if ran[-1] == 0:
        return Outcome(failed=1, failures=(f"{name}: ran no test",))
    counts = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", closing[-1])}
    failed = sum(counts.get(word, 0) for word in ("failures", "errors", "unexpectedSuccesses"))
    failures = tuple(dict.fromkeys(failed_tests(lines)))
    if status and not failed:
        failed, failures = 1, (f"{name}: exit status {status}",)
    return Outcome(
        passed=counts.get("successes", 0) + counts.get("expectedFailures", 0),
        failed=failed,
        skipped=counts.get("skips", 0),
        failures=failures,
    )


def failed_tests(lines: Sequence[str]) -> Iterator[str]:
    """The names that stand at the end of each ``[FAIL]`` or ``[ERROR]`` block of trial's report."""
    failing = False
    for line in lines:
        if re.fullmatch(r"\[[A-Z!?]+\]", line):
            failing = line in ("[FAIL]", "[ERROR]", "[SUCCESS!?!]")
        elif failing and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", line):
            yield line


def vitest(name: str, arguments: Sequence[str]) -> Outcome:
    """The counts are read from vitest's own report, not from what it shows."""
    with tempfile.TemporaryDirectory(prefix="tace-vitest-") as scratch:
        report = Path(scratch) / "report.json"
        status, _ = run(name, [*VITEST, f"--outputFile.json={report}", *arguments], WEB)
        return vitest_outcome(name, status, report.read_bytes() if report.exists() else b"")


def vitest_outcome(name: str, status: int, report: bytes) -> Outcome:
    """What vitest's JSON report says. A file whose tests could not be collected is one failure."""
    try:
        files = json.loads(report)["testResults"]
        tests = [(file["name"], test) for file in files for test in file["assertionResults"]]
    except (ValueError, KeyError, TypeError):
        return Outcome(failed=1, failures=(f"{name}: broke off",))
    states = [test["status"] for _, test in tests]
    failures = [
        f"{os.path.relpath(path, WEB)}: {test['fullName']}"
        for path, test in tests
        if test["status"] == "failed"
    ]
    failures += [
        f"{os.path.relpath(file['name'], WEB)}: {file.get('message') or 'failed'}".splitlines()[0]
        for file in files
        if file["status"] == "failed"
        and all(test["status"] != "failed" for test in file["assertionResults"])
    ]
    passed = states.count("passed")
    if status and not failures:
        failures = [f"{name}: exit status {status}"]
    if not passed and not failures:
        failures = [f"{name}: ran no test"]
    return Outcome(
        passed, len(failures), len(states) - passed - states.count("failed"), tuple(failures)
    )


def test_targets(directory: Path, package: str) -> list[str]:
    """What trial is to load: the modules and packages of ``directory`` that may hold tests."""
    return [
        f"{package}.{path.stem}"
        for path in sorted(directory.iterdir())
        if (path.is_dir() and path.name not in APART and any(path.rglob("test_*.py")))
        or path.match("test_*.py")
    ]


def outcomes() -> Iterator[Outcome]:
    for name, command in CHECKS:
        yield check(name, command)
    for name, command in WEB_CHECKS:
        yield check(name, command, WEB)
    for _, name, arguments in WEB_SUITES:
        yield vitest(name, arguments)
    yield trial("tests", test_targets(TESTS, "tests"))
    for name in APART:
        directory = TESTS / name
        if not directory.is_dir():
            continue
        parts: list[Outcome] = []
        if targets := test_targets(directory, f"tests.{name}"):
            if directory == SIMULATIONS:
                parts += simulations(targets)
            else:
                parts.append(trial(f"tests/{name}", targets))
        if directory == SCRIPTS:
            parts += [
                check(f"tests/smoke/{path.name}", (sys.executable, str(path)))
                for path in sorted(directory.glob("*.py"))
                if not path.name.startswith(("_", "test_"))
            ]
        yield from parts or [Outcome(failed=1, failures=(f"tests/{name}: ran no test",))]


def chosen(targets: Sequence[str]) -> Iterator[Outcome]:
    """The suites that these are of, narrowed to them."""
    by_suite: dict[str, list[str]] = {}
    for target in targets:
        suite = next((key for key, *_ in WEB_SUITES[1:] if target.startswith(key)), None)
        python = target == "tests" or target.startswith("tests.")
        by_suite.setdefault(suite or ("trial" if python else "src"), []).append(target)
    for suite, of_it in by_suite.items():
        if suite == "trial":
            yield trial("tests", of_it)
        for key, name, arguments in WEB_SUITES:
            if key == suite:
                yield vitest(name, (*arguments, *of_it))


def main() -> int:
    arguments = argparse.ArgumentParser(
        prog="scripts/test",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--only", nargs="+", metavar="TESTS", help="run only these, see above")
    only = arguments.parse_args().only
    total = Outcome()
    for outcome in chosen(only) if only else outcomes():
        total += outcome
    print()
    for failure in total.failures:
        print(f"failed: {failure}")
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    print(f"{total.passed} passed, {total.failed} failed{skipped}")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
