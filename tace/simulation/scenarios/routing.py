"""``routing``: lookups among thousands of nodes whose tables hold a few hundred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from math import log2
from random import Random

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tace.errors import NotStored, TaceError
from tace.ids import ID_BYTES
from tace.ring.lookup import Found, Lookup
from tace.simulation.routing import RoutingNetwork
from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

MOST_HOPS = 4.0
_Way = Callable[[Lookup, bytes], Awaitable[Found]]


class StillWaiting(TaceError):
    """A lookup waits for something, and nothing here takes time."""

    code = "still-waiting"


class _Hops:
    """What lookups of one kind have come to."""

    def __init__(self) -> None:
        self.lengths: Counter[int] = Counter()
        self.failed = 0
        self.asked = 0
        self.silent = 0

    @property
    def mean(self) -> float | None:
        count = self.lengths.total()
        return sum(n * times for n, times in self.lengths.items()) / count if count else None

    def note(self, found: Found) -> None:
        self.lengths[found.hops] += 1
        self.asked += found.asked
        self.silent += found.silent


def routing(stage: Stage, parameters: Parameters) -> None:
    """Random living nodes look for random keys, each in three ways; none may fail.

    One fails where it ends without an answer, or with other nodes than really follow the key.
    """
    dead = round(parameters.nodes * parameters.dead / 100)
    stage.step(f"{parameters.nodes} nodes get their keys")
    network = RoutingNetwork(
        stage.world.seed,
        parameters.nodes,
        parameters.capacity,
        dead,
        clock=stage.world.clock,
    )
    stage.without_people = parameters.nodes
    living = [machine.record.node_id for machine in network.machines if machine.alive]
    random = Random(f"{stage.world.seed}/lookups")
    ways: dict[str, tuple[_Way, _Hops]] = {
        "": (Lookup.find, _Hops()),
        "iterative_": (Lookup.iterative, _Hops()),
        "recursive_": (Lookup.recursive, _Hops()),
    }
    stage.step(f"{parameters.lookups} lookups", parameters.lookups)
    for number in range(parameters.lookups):
        stage.told(number)
        asker, key = random.choice(living), random.randbytes(ID_BYTES)
        expected = list(network.after(key))
        for name, (way, hops) in ways.items():
            found = _result(way(network.node(asker).lookup, key))
            if found is None or [r.node_id for r in found.records] != expected:
                hops.failed += 1
                if not name:
                    stage.promise(False, f"the lookup of {key.hex()[:16]} by {asker.hex()[:8]}")
            if found is not None:
                hops.note(found)
    usual = ways[""][1]
    stage.mean_hops = usual.mean
    stage.measured["half_log2_of_nodes"] = log2(parameters.nodes) / 2
    for name, (_, hops) in ways.items():
        stage.measured[f"{name}failed"] = hops.failed
        stage.measured[f"{name}questions_per_lookup"] = hops.asked / parameters.lookups
        if name:
            stage.measured[f"{name}mean_hops"] = hops.mean
    for length in range(1, max(usual.lengths, default=0) + 1):
        stage.measured[f"lookups_with_{length:02}_hops"] = usual.lengths[length]
    stage.measured["questions_without_answer"] = usual.silent
    mean = usual.mean
    stage.promise(
        mean is not None and mean <= MOST_HOPS, f"a lookup takes {mean or 0:.2f} hops in the mean"
    )


def _result(looking: Awaitable[Found]) -> Found | None:
    """What it has come to, which is so at once; None where that is nothing."""
    results: list[Found | Failure] = []

    async def look() -> Found:
        return await looking

    Deferred.fromCoroutine(look()).addBoth(results.append)
    if not results:
        raise StillWaiting("a lookup has not ended")
    result = results[0]
    if isinstance(result, Failure):
        result.trap(NotStored)
        return None
    return result
