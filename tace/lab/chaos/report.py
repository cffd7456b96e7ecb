"""What a chaos run found, and whether the promise held. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tace.lab.chaos.plan import ChaosSettings
from tace.lab.people.ledger import Disturbance, Entry, Ledger

NAMED = 5
"""So many examples of what went wrong are named."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was seen.

    :ivar people: what people who were there wrote to each other.
    :ivar absent: what was left for people who came at the end.
    :ivar faults: what happened, by the kind of the fault; times of the ledgers' clock.
    :ivar skipped: faults that were planned and would have gone beyond the fault model.
    :ivar ideal_after_seconds: from the moment when all nodes answered again until each stood in
        its place of the true ring, by its own word. None: not in the time that was given.
    :ivar replicated_after_seconds: from the same moment until all that was acknowledged and not
        delivered lay in the stores of all its replicas.
    :ivar failures: people whose program stopped, nodes that ended badly, errors in nodes' logs.
    """

    settings: ChaosSettings
    began: float
    people: Ledger
    absent: Ledger
    faults: Sequence[Disturbance]
    skipped: int
    ideal_after_seconds: float | None
    replicated_after_seconds: float | None
    failures: Sequence[str]

    def broken(self) -> Iterator[str]:
        """What was promised and did not hold, a line each; nothing where all of it held."""
        missing = [*self.people.missing(), *self.absent.missing()]
        for what, entries in (
            ("acknowledged and never delivered", self._lost()),
            ("written and never delivered", [e for e in missing if e.acknowledged is None]),
            ("shown more than once", self._doubled()),
            (
                "shown to somebody else",
                [*self.people.misdirected(), *self.absent.misdirected()],
            ),
        ):
            if entries:
                named = ", ".join(repr(entry.text) for entry in entries[:NAMED])
                yield f"{len(entries)} {what}: {named}"
        strays = [*self.people.strays, *self.absent.strays]
        if strays:
            yield f"{len(strays)} shown and never written: {strays[0]!r}"
        if not len(self.people):
            yield "nothing was written"
        if self.ideal_after_seconds is None:
            yield "the nodes did not come to stand in one ideal ring"
        if self.replicated_after_seconds is None:
            yield "what waits did not come to lie on all of its replicas"
        yield from self.failures

    def as_json(self) -> dict[str, Any]:
        """For programs; durations in seconds."""
        settings = self.settings
        entries = [*self.people, *self.absent]
        kinds = Counter(fault.what.split()[0] for fault in self.faults)
        return {
            "nodes": settings.nodes,
            "copies": settings.set_size,
            "seed": settings.seed,
            "seconds": settings.seconds,
            "sent": len(entries),
            "stored": sum(entry.acknowledged is not None for entry in entries),
            "delivered": sum(bool(entry.shown) for entry in entries),
            "lost": len(self._lost()),
            "duplicated": len(self._doubled()),
            "longest_delivery_seconds": self.people.waits().max,
            "p99_delivery_seconds": self.people.waits().p99,
            "ideal_after_seconds": self.ideal_after_seconds,
            "replicated_after_seconds": self.replicated_after_seconds,
            "for_absent": len(self.absent),
            "wiped_at_once_at_most": settings.max_wiped,
            "survivable_wipes": settings.survivable_wipes,
            "faults": dict(sorted(kinds.items())),
            "faults_skipped": self.skipped,
            "course": [
                {"what": f.what, "at": f.start - self.began, "back": f.end - self.began}
                for f in self.faults
            ],
            "broken": list(self.broken()),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        told = self.as_json()
        yield (
            f"{told['sent']} messages: {told['stored']} stored, {told['delivered']} delivered, "
            f"{told['lost']} lost, {told['duplicated']} duplicated; {told['for_absent']} of them "
            "waited for somebody who came at the end"
        )
        yield (
            f"from written to shown: p99 {told['p99_delivery_seconds']:.1f} s, "
            f"at most {told['longest_delivery_seconds']:.1f} s"
        )
        done = ", ".join(f"{kind} {count}" for kind, count in told["faults"].items())
        yield f"done to {told['nodes']} nodes: {done or 'nothing'}"
        for what, key in (
            ("one ideal ring", "ideal_after_seconds"),
            (f"all {told['copies']} copies of what waits", "replicated_after_seconds"),
        ):
            after = told[key]
            when = "never" if after is None else f"{after:.1f} s after the last node was back"
            yield f"{what}: {when}"
        if self.settings.max_wiped > self.settings.survivable_wipes:
            yield (
                f"up to {self.settings.max_wiped} disks were wiped at once, on purpose: beyond "
                f"{self.settings.survivable_wipes} a message may lose all its copies"
            )
        broken = told["broken"]
        yield "the promise held" if not broken else "BROKEN:"
        yield from (f"  {line}" for line in broken)

    def _lost(self) -> list[Entry]:
        return [*self.people.lost(), *self.absent.lost()]

    def _doubled(self) -> list[Entry]:
        return [*self.people.doubled(), *self.absent.doubled()]
