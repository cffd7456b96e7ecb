"""``slow-nodes``: a fifth of the loops lag, and packets are lost."""

from __future__ import annotations

from tace.simulation.latency import lossy, reordered
from tace.simulation.node import SimulatedNode
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

SLOW_SHARE = 0.2
LOSS_SHARE = 0.05
REORDERED_SHARE = 0.02
BEHIND_SECONDS = 0.05
STALL_SECONDS = (0.2, 2.0)
BETWEEN_SECONDS = (0.5, 4.0)
FALSE_DEATHS_SHARE = 0.01
COPIES_SECONDS = 60.0


def slow_nodes(stage: Stage, parameters: Parameters) -> None:
    """They live, and hardly any of them may be called dead."""
    stage.stand(parameters.nodes)
    stage.load.add(parameters.people, away=parameters.people // 2)
    stage.load.begin(parameters.per_second)
    network = stage.world.network
    slow = stage.choose(max(1, round(parameters.nodes * SLOW_SHARE)))
    stage.step(f"{len(slow)} nodes are slow", parameters.seconds)
    network.latency = lossy(
        reordered(stage.usual_latency, REORDERED_SHARE, BEHIND_SECONDS), LOSS_SHARE
    )
    end = stage.world.since() + parameters.seconds
    for node in slow:
        _stall_again(stage, node, end)
    while stage.world.since() < end:
        stage.run_for(1.0)
        stage.watch.look_for_false_deaths()
    network.latency = stage.usual_latency
    dead = len(stage.watch.falsely_dead)
    stage.measured["falsely_dead_nodes"] = dead
    stage.promise(
        dead <= FALSE_DEATHS_SHARE * parameters.nodes,
        f"{dead} living nodes were called dead: {' '.join(sorted(stage.watch.falsely_dead)[:8])}",
    )
    stage.copies_within(stage.world.since() - stage.world.last_fault + COPIES_SECONDS)


def _stall_again(stage: Stage, node: SimulatedNode, end: float) -> None:
    def stall() -> None:
        if stage.world.since() < end:
            seconds = stage.random.uniform(*STALL_SECONDS)
            stage.world.history.note(node.name, f"stands still for {seconds:.3f} s")
            node.process.stall(seconds)
            _stall_again(stage, node, end)

    stage.world.clock.callLater(stage.random.uniform(*BETWEEN_SECONDS), stall)
