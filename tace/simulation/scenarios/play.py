"""Plays a scenario or a script from one seed, and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from tace.ids import RING_SIZE
from tace.simulation.network import NEARBY, Latency
from tace.simulation.report import Dot, Report
from tace.simulation.scenarios.catalogue import Scenario
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.script import Script
from tace.simulation.scenarios.stage import Screen, Stage
from tace.simulation.world import simulated_world

Interrupt = Callable[[], bool]


def never() -> bool:
    """Nobody interrupts."""
    return False


def play(
    name: str,
    act: Callable[[Stage], None],
    seed: int,
    *,
    settings: Mapping[str, object] | None = None,
    parameters: Mapping[str, object] | None = None,
    latency: Latency = NEARBY,
    screen: Screen | None = None,
    interrupted: Interrupt = never,
) -> Report:
    """Have something happen to a new world, and judge what came of it.

    :param act: what happens.
    :param settings: of every node.
    :param parameters: what was chosen, for the report.
    :raises Interrupted: ``interrupted`` said so.
    """
    with simulated_world(seed, settings, latency=latency) as world:
        stage = Stage(world, screen, interrupted)
        act(stage)
        outcome = stage.end()
        return Report(
            scenario=name,
            parameters=dict(parameters or {}),
            nodes=len(world.nodes) + stage.without_people,
            seed=seed,
            virtual_seconds=world.since(),
            outcome=outcome,
            violations=[str(violation) for violation in world.oracle.violations],
            duplicated=world.ledger.doubled,
            broken=stage.broken,
            ideal_after_seconds=stage.watch.ideal_after_seconds,
            replicated_after_seconds=stage.watch.replicated_after_seconds,
            mean_hops=stage.mean_hops,
            bytes_per_node_second=stage.watch.bytes_per_node_second,
            measured=stage.measured,
            digest=world.history.digest,
            notes=stage.notes,
            samples=stage.watch.samples,
            positions=[
                Dot(int.from_bytes(position) / RING_SIZE, node.name, node.alive)
                for node in world.nodes
                for position, _ in node.core.membership.current.places
            ],
        )


def play_script(
    name: str,
    script: Script,
    seed: int | None = None,
    *,
    screen: Screen | None = None,
    interrupted: Interrupt = never,
) -> Report:
    """A script, from its own seed where no other is given; as :func:`play`."""

    def act(stage: Stage) -> None:
        for command in script.commands:
            command.play(stage)

    return play(
        name,
        act,
        script.seed if seed is None else seed,
        settings=script.settings,
        latency=script.latency,
        screen=screen,
        interrupted=interrupted,
    )


def play_scenario(
    name: str,
    scenario: Scenario,
    parameters: Parameters,
    seed: int,
    *,
    screen: Screen | None = None,
    interrupted: Interrupt = never,
) -> Report:
    """One that is built in; as :func:`play`."""
    chosen = asdict(parameters)
    return play(
        name,
        lambda stage: scenario.play(stage, parameters),
        seed,
        parameters={key: chosen[key] for key in sorted(scenario.takes)},
        latency=scenario.latency,
        screen=screen,
        interrupted=interrupted,
    )
