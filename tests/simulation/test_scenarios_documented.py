"""docs/simulation.md names every scenario, option, figure and command."""

from __future__ import annotations

import re

import click
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.simulate import command
from tace.simulation.scenarios.catalogue import SCENARIOS
from tace.simulation.scenarios.script import VERBS
from tests.processes import ROOT
from tests.simulation.test_scenarios_built_in import small


class Documented(SynchronousTestCase):
    """Nothing is there that a reader is not told of."""

    def test_all_of_it(self) -> None:
        """Scenarios with their options, figures, commands."""
        text = (ROOT / "docs" / "simulation.md").read_text().replace("```", "")
        named = set(re.findall(r"[a-z_-]+", " ".join(re.findall(r"`([^`]+)`", text))))
        self.assertLessEqual(set(SCENARIOS), named)
        self.assertLessEqual(set(VERBS), named)
        options = {p.opts[0] for p in command.params if isinstance(p, click.Option)}
        self.assertLessEqual(options - {"--seed", "--json", "--plot"}, named)
        told = set(small("idle").as_json())
        same_for_all = {"scenario", "parameters", "nodes", "seed", "virtual_seconds"}
        self.assertLessEqual(told - same_for_all, named)
        options_of = {"median_minutes": "--median-minutes", "heavy_tailed": "--heavy-tailed"}
        for name, scenario in SCENARIOS.items():
            (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}`")]
            for parameter in scenario.takes - {"people", "per_second"}:
                self.assertIn(options_of.get(parameter, f"--{parameter}"), row)
