"""The scripts of tests/rings: each still comes to the result that is recorded below it.

With TACE_RECORD_RINGS=1 in the environment the results are recorded anew; look at the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.scenarios.play import play_script
from tace.simulation.scenarios.recorded import results, with_results
from tace.simulation.scenarios.script import parse

RINGS = sorted((Path(__file__).resolve().parent.parent / "rings").glob("*.txt"))
RECORD = os.environ.get("TACE_RECORD_RINGS") == "1"


class Recorded(SynchronousTestCase):
    """One test for each script."""

    def play(self, path: Path) -> None:
        """The promise holds, and the figures are the recorded ones."""
        text = path.read_text()
        script = parse(text)
        report = play_script(path.name, script)
        if RECORD:
            path.write_text(with_results(text, report))
        else:
            self.assertEqual(script.recorded, tuple(results(report)))
        self.assertEqual(list(report.faults()), [])

    def test_there_are_some(self) -> None:
        """A directory that was moved would pass."""
        self.assertGreaterEqual(len(RINGS), 10)


def _test_of(path: Path) -> Callable[[Recorded], None]:
    def test(case: Recorded) -> None:
        case.play(path)

    test.__doc__ = path.read_text().splitlines()[0].lstrip("# ")
    return test


for _path in RINGS:
    setattr(Recorded, f"test_{_path.stem}", _test_of(_path))
