"""``join-storm``: almost all of the network starts in one instant."""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

FIRST = 3
ORDER_SECONDS = 60.0


def join_storm(stage: Stage, parameters: Parameters) -> None:
    """A few nodes with people, and all the others join them at once."""
    stage.form(min(FIRST, parameters.nodes))
    stage.load.add(parameters.people, away=parameters.people // 2)
    stage.load.begin(parameters.per_second)
    stage.run_for(5.0)
    joining = parameters.nodes - len(stage.world.nodes)
    stage.step(f"{joining} nodes join at once")
    stage.world.storm(joining)
    stage.run_until(lambda: stage.watch.ideal_after_seconds is not None, parameters.seconds)
    stage.ideal_within(ORDER_SECONDS)
    stage.copies_within(2 * ORDER_SECONDS)
    members = len(stage.world.oracle.members)
    stage.promise(
        members == parameters.nodes, f"{members} members where there must be {parameters.nodes}"
    )
