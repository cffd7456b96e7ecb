"""``churn``: nodes come and go all the time, and half of those that go lose their disk."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from random import Random

from tace.simulation.node import SimulatedNode
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

AWAY_MEDIAN_SECONDS = 60.0
WIPED_SHARE = 0.5
HEAVY_SHAPE = 0.5
"""Of the Weibull distribution; measured sessions of peers have 0.34 to 0.59 (Stutzbach and Rejaie,
2006)."""
LEAST_LIVING_SHARE = 0.5
DELIVERED_SHARE = 0.999
IDEAL_SECONDS = 30.0
COPIES_SECONDS = 120.0
LOOK_SECONDS = 5.0


def churn(stage: Stage, parameters: Parameters) -> None:
    """Sessions around a median, for so long; then the ring must come to rest."""
    stage.stand(parameters.nodes)
    stage.load.add(parameters.people, away=parameters.people // 2)
    stage.load.begin(parameters.per_second)
    kind = "heavy-tailed" if parameters.heavy_tailed else "Poisson"
    stage.step(
        f"{kind} sessions with a median of {parameters.median_minutes:g} min", parameters.seconds
    )
    draw = session_lengths(60 * parameters.median_minutes, heavy_tailed=parameters.heavy_tailed)
    end = stage.world.since() + parameters.seconds
    least = max(1, int(parameters.nodes * LEAST_LIVING_SHARE))
    departures = _Departures(stage, draw, end, least)
    for node in stage.world.living:
        departures.goes_later(node)
    stage.run_for(parameters.seconds)
    stage.start(stage.down)
    stage.measured["departures"] = departures.count
    stage.ideal_within(IDEAL_SECONDS)
    stage.copies_within(COPIES_SECONDS)
    stage.promise_delivered_share(DELIVERED_SHARE)


def session_lengths(median_seconds: float, *, heavy_tailed: bool) -> Callable[[Random], float]:
    """Draws how long a node stays: exponential, or with many short stays and few very long ones."""
    shape = HEAVY_SHAPE if heavy_tailed else 1.0
    scale = median_seconds / log(2) ** (1 / shape)
    return lambda random: random.weibullvariate(scale, shape)


class _Departures:
    """Has nodes go and return."""

    def __init__(
        self, stage: Stage, draw: Callable[[Random], float], end: float, least_living: int
    ) -> None:
        self._stage = stage
        self._draw = draw
        self._end = end
        self._least = least_living
        self._stay_away = session_lengths(AWAY_MEDIAN_SECONDS, heavy_tailed=False)
        self.count = 0

    def goes_later(self, node: SimulatedNode) -> None:
        """After one session."""
        self._later(self._draw(self._stage.random), node, self._go)

    def _later(
        self, seconds: float, node: SimulatedNode, what: Callable[[SimulatedNode], None]
    ) -> None:
        def when_due() -> None:
            if self._stage.world.since() < self._end:
                what(node)

        self._stage.world.clock.callLater(seconds, when_due)

    def _go(self, node: SimulatedNode) -> None:
        world, random = self._stage.world, self._stage.random
        if len(world.living) <= self._least:
            # Anything may be lost below half of the nodes: nobody promised otherwise.
            self.goes_later(node)
            return
        self.count += 1
        world.kill(node, power=random.random() < 0.5, wipe=random.random() < WIPED_SHARE)
        self._later(self._stay_away(random), node, self._return)

    def _return(self, node: SimulatedNode) -> None:
        self._stage.world.start(node)
        self.goes_later(node)
