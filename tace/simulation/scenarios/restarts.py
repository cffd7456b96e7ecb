"""``restart-all``, ``rolling-restart``: every node is started again, with its disk."""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

DOWN_SECONDS = 5.0
ORDER_SECONDS = 60.0
STOP_SECONDS = 15.0
UP_SECONDS = 30.0
COPIES_SECONDS = 60.0
MOVED_SHARE = 0.01
MOVED = "repaired_items_total"


def restart_all(stage: Stage, parameters: Parameters) -> None:
    """All are killed in one instant, and start again in one instant."""
    stage.stand(parameters.nodes)
    stage.fill(parameters.people, parameters.letters, parameters.per_second)
    stage.run_for(5.0)
    stage.world.oracle.expect_disorder(DOWN_SECONDS + ORDER_SECONDS)
    stage.kill(stage.world.living, power=True)
    stage.run_for(DOWN_SECONDS)
    stage.start(stage.down)
    stage.ideal_within(ORDER_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    stage.promise_no_loss()


def rolling_restart(stage: Stage, parameters: Parameters) -> None:
    """One after the other is stopped in good order and started, under load; no data moves."""
    stage.stand(parameters.nodes)
    stage.fill(parameters.people, parameters.letters, parameters.per_second)
    stage.copies_within(COPIES_SECONDS)
    before = moved(stage)
    stage.step("one after the other is restarted")
    for node in list(stage.world.nodes):
        stage.world.stop(node)
        stage.promise(
            stage.run_until(lambda node=node: not node.alive, STOP_SECONDS),  # type: ignore[misc]
            f"{node.name} does not stop",
        )
        if not node.alive:
            stage.world.start(node)
        stage.promise(
            stage.run_until(lambda node=node: node.is_member, UP_SECONDS),  # type: ignore[misc]
            f"{node.name} is no member {UP_SECONDS:g} s after its start",
        )
    stage.ideal_within(ORDER_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    brought = moved(stage) - before
    kept = sum(stage.kept_items(node) for node in stage.world.nodes)
    share = brought / kept if kept else 0.0
    stage.measured["moved_share"] = share
    stage.promise(share < MOVED_SHARE, f"{100 * share:.1f} % of the stored items moved")
    stage.promise_no_loss()


def moved(stage: Stage) -> int:
    """Items that nodes have pulled from others to repair their own; all lives of them together."""
    return sum(node.counters.sums.get(MOVED, 0) for node in stage.world.nodes)
