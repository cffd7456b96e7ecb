"""docs/limits.md is what the settings and the code say, and leaves nothing out."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.config.sections import TABLE

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


class LimitsTestCase(SynchronousTestCase):
    """The module that makes the page."""

    def setUp(self) -> None:
        self.patch(sys, "path", [str(SCRIPTS), *sys.path])
        self.limits: Any = import_module("limits_page")


class PageTests(LimitsTestCase):
    """What stands in docs."""

    def test_the_page_is_current(self) -> None:
        """It is what scripts/make-limits writes."""
        self.assertEqual(self.limits.PAGE.read_text(encoding="utf-8"), self.limits.page())

    def test_every_bound_is_on_it_once(self) -> None:
        """None is outside the groups."""
        rows = [line for line in self.limits.page().splitlines() if line.startswith("| `")]
        self.assertEqual(len(rows), len(self.limits.bounds()))
        self.assertEqual(len(set(rows)), len(rows))


class CompleteTests(LimitsTestCase):
    """That nothing is missing."""

    def test_every_number_among_the_settings(self) -> None:
        """Is a bound, or is said to be none."""
        numbers = {
            row.dotted
            for row in TABLE.values()
            if isinstance(row.default, int | float) and not isinstance(row.default, bool)
        }
        listed = {bound.name for bound in self.limits.bounds() if bound.is_setting}
        self.assertEqual(listed | self.limits.NO_BOUND, numbers)
        self.assertEqual(listed & self.limits.NO_BOUND, set())

    def test_settings_that_say_they_hold_something_back(self) -> None:
        """Are not among those that do not."""
        for name in self.limits.NO_BOUND:
            self.assertIsNone(re.search(r"max_|_per_|timeout", name), name)

    def test_every_bound_says_what_it_is(self) -> None:
        """By the setting's meaning, or by the string below the constant."""
        silent = [bound.name for bound in self.limits.bounds() if not bound.meaning]
        self.assertEqual(silent, [], "give each of these constants a string below it")

    def test_every_bound_has_its_answer(self) -> None:
        """And no answer is to something that is gone."""
        names = {bound.name for bound in self.limits.bounds()}
        self.assertEqual(names, set(self.limits.BEYOND), "see BEYOND in scripts/limits_page.py")
        self.assertEqual(self.limits.ALSO - names, set())

    def test_the_constants_of_a_file(self) -> None:
        """Each with the string right below it; a string further down is something else's."""
        path = Path(self.mktemp())
        path.write_text('A = 1\n"""What\nA is."""\nB = 2\nC = 3\n\n"""C."""\nD: int = 4\n')
        self.assertEqual(
            list(self.limits._named(path)), [("A", "What A is."), ("B", ""), ("C", "C.")]
        )
