"""``rolling-half``, ``two-bursts``: half of the nodes, with time in between for repair."""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

IDEAL_SECONDS = 60.0
COPIES_SECONDS = 60.0
ROLLING_REPAIRS = 20
"""The half goes away over so many repair times."""


def rolling_half(stage: Stage, parameters: Parameters) -> None:
    """Half of them are wiped, in twenty groups; all copies are there again before the next."""
    stage.stand(parameters.nodes)
    stage.fill(parameters.people, parameters.letters, parameters.per_second)
    stage.copies_within(COPIES_SECONDS)
    half = parameters.nodes // 2
    groups = min(ROLLING_REPAIRS, half)
    for number in range(groups):
        size = half * (number + 1) // groups - half * number // groups
        stage.kill(stage.choose(size), power=True, wipe=True)
        stage.copies_within(COPIES_SECONDS)
    stage.ideal_within(IDEAL_SECONDS)
    stage.promise_no_loss()


def two_bursts(stage: Stage, parameters: Parameters) -> None:
    """A quarter is wiped, and as many again when the first should be repaired."""
    stage.stand(parameters.nodes)
    stage.fill(parameters.people, parameters.letters, parameters.per_second)
    stage.copies_within(COPIES_SECONDS)
    for _ in range(2):
        stage.kill(stage.choose(parameters.nodes // 4), power=True, wipe=True)
        stage.ideal_within(IDEAL_SECONDS)
        stage.copies_within(COPIES_SECONDS)
    stage.promise_no_loss()
