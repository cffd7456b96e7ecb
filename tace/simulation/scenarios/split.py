"""``split``: the network falls into parts, each goes on, and then it is whole again."""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

IDEAL_SECONDS = 10.0
COPIES_SECONDS = 60.0


def split(stage: Stage, parameters: Parameters) -> None:
    """In so many parts for so long, under load; nothing that any part called stored is lost."""
    stage.stand(parameters.nodes)
    stage.load.add(parameters.people, away=parameters.people // 2)
    stage.load.begin(parameters.per_second)
    stage.run_for(5.0)
    stage.split(parameters.ways)
    stage.run_for(parameters.seconds)
    stage.heal()
    stage.ideal_within(IDEAL_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    stage.promise_no_loss()
