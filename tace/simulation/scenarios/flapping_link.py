"""``flapping-link``: ways between pairs of nodes close and open, one direction at a time."""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

FLAPPING_PAIRS = 0.1
"""As a share of the nodes."""
CLOSED_SECONDS = (0.5, 5.0)
OPEN_SECONDS = (0.5, 5.0)
IDEAL_SECONDS = 30.0
COPIES_SECONDS = 120.0


def flapping_link(stage: Stage, parameters: Parameters) -> None:
    """A tenth as many ways as there are nodes flap; everybody lives, and nobody may be lost."""
    stage.stand(parameters.nodes)
    stage.load.add(parameters.people, away=parameters.people // 2)
    stage.load.begin(parameters.per_second)
    pairs = [stage.choose(2) for _ in range(max(1, int(parameters.nodes * FLAPPING_PAIRS)))]
    stage.step(f"{len(pairs)} links flap", parameters.seconds)
    # Each of the two sees another ring meanwhile.
    stage.world.oracle.expect_disorder(parameters.seconds)
    end = stage.world.since() + parameters.seconds
    while stage.world.since() < end:
        for one, other in pairs:
            stage.world.network.cut(one.host, other.host)
        stage.run_for(stage.random.uniform(*CLOSED_SECONDS))
        stage.world.network.heal()
        stage.run_for(stage.random.uniform(*OPEN_SECONDS))
        stage.watch.look_for_false_deaths()
    stage.heal()
    stage.measured["falsely_dead_nodes"] = len(stage.watch.falsely_dead)
    stage.ideal_within(IDEAL_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    stage.promise_no_loss()
