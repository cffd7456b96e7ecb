"""What a simulation found, and whether the promise held. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tace.simulation.scenarios.stage import Outcome
from tace.simulation.scenarios.watch import Sample

SHOWN = 5
"""So many of what went wrong are shown to people; the object has all."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A position of a node on the ring.

    :ivar turn: where it stands, 0 to below 1, clockwise from the top.
    :ivar living: does its node run?
    """

    turn: float
    name: str
    living: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Everything but the real time it took, so that the same seed gives the same report.

    :ivar nodes: machines there were in the end, whether they ran or not.
    :ivar virtual_seconds: how long the world lasted.
    :ivar violations: what the oracle found, each with what happened before.
    :ivar duplicated: what came twice, a line each.
    :ivar broken: what was promised and did not hold, a line each.
    :ivar ideal_after_seconds: from the last fault; None where it never was ideal again.
    :ivar replicated_after_seconds: until every item had all its copies; None where it never had.
    :ivar mean_hops: of lookups; None where none was measured.
    :ivar bytes_per_node_second: in and out, without TLS.
    :ivar measured: what the scenario measured beside.
    :ivar digest: of all that happened, in hex.
    :ivar notes: what was done, with the seconds since the world began.
    :ivar positions: the ring in the end, with the nodes that are down.
    """

    scenario: str
    parameters: Mapping[str, object]
    nodes: int
    seed: int
    virtual_seconds: float
    outcome: Outcome
    violations: Sequence[str]
    duplicated: Sequence[str]
    broken: Sequence[str]
    ideal_after_seconds: float | None
    replicated_after_seconds: float | None
    mean_hops: float | None
    bytes_per_node_second: float | None
    measured: Mapping[str, float | int | None]
    digest: str
    notes: Sequence[tuple[float, str]]
    samples: Sequence[Sample]
    positions: Sequence[Dot]

    def faults(self) -> Iterator[str]:
        """All that is wrong, a line each, the oracle's first; nothing where the promise held."""
        yield from (f"violation {violation}" for violation in self.violations)
        yield from self.broken
        yield from self.duplicated
        outcome = self.outcome
        if outcome.lost_after_resend:
            yield f"{outcome.lost_after_resend} messages are lost though their senders returned"
        never = outcome.sent - outcome.delivered_after_resend - outcome.lost_after_resend
        if never:
            yield f"{never} messages were neither called stored nor delivered"

    @property
    def held(self) -> bool:
        """Did the promise hold?"""
        return not any(self.faults())

    def as_json(self) -> dict[str, Any]:
        """For programs; the same bytes for the same seed."""
        outcome = self.outcome
        return {
            "scenario": self.scenario,
            "parameters": dict(self.parameters),
            "nodes": self.nodes,
            "seed": self.seed,
            "virtual_seconds": round(self.virtual_seconds, 3),
            "sent": outcome.sent,
            "stored": outcome.stored,
            "delivered": outcome.delivered,
            "lost": outcome.lost,
            "waiting": outcome.waiting,
            "delivered_after_resend": outcome.delivered_after_resend,
            "lost_after_resend": outcome.lost_after_resend,
            "duplicated": outcome.duplicated,
            "violations": len(self.violations),
            "ideal_after_seconds": _rounded(self.ideal_after_seconds),
            "replicated_after_seconds": _rounded(self.replicated_after_seconds),
            "mean_hops": _rounded(self.mean_hops),
            "bytes_per_node_second": _rounded(self.bytes_per_node_second),
            "measured": {name: _rounded(value) for name, value in sorted(self.measured.items())},
            "held": self.held,
            "faults": list(self.faults()),
            "digest": self.digest,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        outcome = self.outcome
        yield (
            f"{self.scenario}: {self.nodes} nodes, seed {self.seed},"
            f" {self.virtual_seconds:.0f} s of virtual time"
        )
        yield (
            f"messages: {outcome.sent} sent, {outcome.stored} stored, {outcome.delivered}"
            f" delivered, {outcome.lost} lost, {outcome.duplicated} duplicated"
        )
        if outcome.lost or outcome.waiting:
            yield (
                f"after their senders returned: {outcome.delivered_after_resend} delivered,"
                f" {outcome.lost_after_resend} lost"
            )
        if outcome.waiting:
            yield f"on some disk, and not delivered until then: {outcome.waiting}"
        yield f"ring ideal {_after(self.ideal_after_seconds)}"
        yield f"all copies there {_after(self.replicated_after_seconds)}"
        hops = "not measured" if self.mean_hops is None else f"{self.mean_hops:.2f}"
        yield f"mean hops of a lookup: {hops}"
        if self.bytes_per_node_second is not None:
            yield f"{self.bytes_per_node_second:.0f} bytes/s a node, in and out, without TLS"
        for name, value in sorted(self.measured.items()):
            yield f"{name.replace('_', ' ')}: {'none' if value is None else f'{value:g}'}"
        yield f"history {self.digest[:16]}"
        faults = list(self.faults())
        if not faults:
            yield "the promise held"
            return
        yield "BROKEN:"
        # The first violation with all that led there; of the rest it is enough to know.
        for number, fault in enumerate(faults[:SHOWN]):
            yield f"  {fault if number == 0 else fault.splitlines()[0]}"
        if len(faults) > SHOWN:
            yield f"  and {len(faults) - SHOWN} more"


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 4) if isinstance(value, float) else value


def _after(seconds: float | None) -> str:
    return "never again" if seconds is None else f"{seconds:.2f} s after the last fault"
