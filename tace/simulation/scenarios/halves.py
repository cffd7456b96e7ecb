"""``half-crash``, ``half-wiped``, ``adjacent-half``: half of the nodes in one instant."""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

IDEAL_SECONDS = 10.0
COPIES_SECONDS = 60.0
DOWN_SECONDS = 20.0
ORDER_SECONDS = 60.0
"""Where a whole neighbourhood is gone at once, lists are empty until they are made anew."""
LOST_SHARE = 0.01
"""Of what waits, in one run: eight copies are all in the half that is wiped once in 256 times, and
one run of some hundred messages may be less lucky than the mean of twenty."""


def _fill(stage: Stage, parameters: Parameters) -> None:
    stage.stand(parameters.nodes)
    stage.fill(parameters.people, parameters.letters, parameters.per_second)
    stage.run_for(5.0)
    stage.copies_within(COPIES_SECONDS)


def half_crash(stage: Stage, parameters: Parameters) -> None:
    """Half of them are killed, their disks intact, and all come back."""
    _fill(stage, parameters)
    stage.kill(stage.choose(parameters.nodes // 2))
    stage.run_for(DOWN_SECONDS)
    stage.start(stage.down)
    stage.ideal_within(IDEAL_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    stage.promise_no_loss()


def half_wiped(stage: Stage, parameters: Parameters) -> None:
    """Half of them lose power and their disks, and never come back."""
    _fill(stage, parameters)
    stage.kill(stage.choose(parameters.nodes // 2), power=True, wipe=True)
    stage.ideal_within(IDEAL_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    stage.promise_lost_share(LOST_SHARE)


def adjacent_half(stage: Stage, parameters: Parameters) -> None:
    """The worst case: the half that is wiped owns one whole arc of the ring.

    All copies of what lies there are gone, and only senders who return can mend it; how much was
    lost is measured and not judged.
    """
    _fill(stage, parameters)
    stage.world.oracle.expect_disorder(ORDER_SECONDS)
    stage.kill(stage.neighbours(parameters.nodes // 2), power=True, wipe=True)
    stage.ideal_within(ORDER_SECONDS)
    stage.copies_within(2 * COPIES_SECONDS)
