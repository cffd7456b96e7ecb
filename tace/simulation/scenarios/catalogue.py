"""The scenarios that are built in, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tace.simulation.latency import lognormal_latency
from tace.simulation.network import Latency
from tace.simulation.scenarios.bursts import rolling_half, two_bursts
from tace.simulation.scenarios.churn import churn
from tace.simulation.scenarios.flapping_link import flapping_link
from tace.simulation.scenarios.halves import adjacent_half, half_crash, half_wiped
from tace.simulation.scenarios.idle import idle
from tace.simulation.scenarios.join_storm import join_storm
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.restarts import restart_all, rolling_restart
from tace.simulation.scenarios.routing import routing
from tace.simulation.scenarios.slow_nodes import slow_nodes
from tace.simulation.scenarios.split import split
from tace.simulation.scenarios.stage import Stage

WIDE = lognormal_latency(0.015, 0.5)
"""One continent with a long tail."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One that is built in.

    :ivar play: what happens.
    :ivar defaults: what its table row asks for.
    :ivar takes: which parameters it looks at, beside those that all do (``nodes``).
    """

    help: str
    play: Callable[[Stage, Parameters], None]
    defaults: Parameters = Parameters()  # noqa: RUF009 - frozen
    takes: frozenset[str] = field(default=frozenset())
    latency: Latency = WIDE


_LOAD = frozenset({"people", "per_second"})
_FILLED = _LOAD | {"letters"}

SCENARIOS: dict[str, Scenario] = {
    "join-storm": Scenario("Almost all nodes join in one instant.", join_storm, takes=_LOAD),
    "churn": Scenario(
        "Nodes come and go all the time; half of those that go lose their disk.",
        churn,
        Parameters(nodes=200, seconds=3600.0),
        _LOAD | {"seconds", "median_minutes", "heavy_tailed"},
    ),
    "half-crash": Scenario(
        "Half are killed and return with their disks.", half_crash, takes=_FILLED
    ),
    "half-wiped": Scenario("Half vanish at once, disks and all.", half_wiped, takes=_FILLED),
    "rolling-half": Scenario(
        "Half are wiped in twenty groups, with time for repair.", rolling_half, takes=_FILLED
    ),
    "two-bursts": Scenario("A quarter is wiped, twice.", two_bursts, takes=_FILLED),
    "adjacent-half": Scenario(
        "The half that owns one whole arc of the ring is wiped.", adjacent_half, takes=_FILLED
    ),
    "split": Scenario(
        "The network falls into parts and is whole again.",
        split,
        Parameters(seconds=600.0),
        _LOAD | {"seconds", "ways"},
    ),
    "flapping-link": Scenario(
        "Ways between nodes close and open, one direction at a time.",
        flapping_link,
        takes=_LOAD | {"seconds"},
    ),
    "slow-nodes": Scenario(
        "A fifth of the nodes lag and 5 % of all packets are lost.",
        slow_nodes,
        Parameters(seconds=120.0),
        _LOAD | {"seconds"},
    ),
    "restart-all": Scenario("All lose power and start again.", restart_all, takes=_FILLED),
    "rolling-restart": Scenario(
        "One after the other is restarted in good order.", rolling_restart, takes=_FILLED
    ),
    "idle": Scenario(
        "Nothing happens; what is sent all the same?",
        idle,
        Parameters(nodes=1000, people=0, seconds=120.0),
        frozenset({"seconds"}),
    ),
    "routing": Scenario(
        "Lookups where tables hold a part of the nodes; no people, no virtual time.",
        routing,
        Parameters(nodes=10_000, people=0),
        frozenset({"capacity", "lookups", "dead"}),
    ),
}
