"""What a soak found, and whether the promise held. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tace.lab.people.ledger import Disturbance, Ledger, Spread
from tace.lab.soak.memory import Sample, course, growth, is_flat
from tace.lab.soak.plan import WITNESS

P99_SECONDS = 1.0
"""What 99 of 100 honest texts take at most, from written to shown."""
NAMED = 5
"""So many examples of what went wrong are named."""


@dataclass(slots=True)
class AbuseNotes:
    """What became of one kind of abuse."""

    runs: int = 0
    interrupted: int = 0
    """The node was ended meanwhile, so that its answers say nothing."""
    skipped: int = 0
    """Too much abuse was under way already."""
    words: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that an unharmed node does not give, and attacks that broke off."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was seen.

    :ivar began: the clock's time to which those of the ledger and the absences are relative.
    :ivar driver_lag: how late the loop of this program was; its own part in every wait.
    :ivar failures: people whose program stopped, nodes that ended badly, errors in nodes' logs.
    """

    seconds: float
    seed: int
    began: float
    ledger: Ledger
    absences: Sequence[Disturbance]
    abuses: Mapping[str, AbuseNotes]
    memory: Mapping[int, Sequence[Sample]]
    driver_lag: Spread
    failures: Sequence[str]

    def broken(self) -> Iterator[str]:
        """What was promised and did not hold, a line each; nothing where all of it held."""
        ledger = self.ledger
        for what, entries in (
            ("acknowledged and never shown", ledger.lost()),
            ("written and never shown", [e for e in ledger.missing() if e.acknowledged is None]),
            ("shown more than once", ledger.doubled()),
            ("shown to somebody else", ledger.misdirected()),
        ):
            if entries:
                named = ", ".join(repr(entry.text) for entry in entries[:NAMED])
                yield f"{len(entries)} {what}: {named}"
        if ledger.strays:
            yield f"{len(ledger.strays)} shown and never written: {ledger.strays[0]!r}"
        if not len(ledger):
            yield "nothing was written"
        waits = ledger.waits()
        if waits.p99 >= P99_SECONDS:
            yield f"p99 from written to shown is {waits.p99:.2f} s, and should be under a second"
        watched = self.memory.get(WITNESS, ())
        if not is_flat(watched):
            before, after = growth(watched)
            yield f"node {WITNESS} grew from {_mib(before)} to {_mib(after)}"
        for name, notes in self.abuses.items():
            for wrong in notes.wrong[:NAMED]:
                yield f"abuse {name}: {wrong}"
        yield from self.failures

    def as_json(self) -> dict[str, Any]:
        """For programs; times in milliseconds, sizes in bytes."""
        ledger = self.ledger
        entries = list(ledger)
        return {
            "seconds": self.seconds,
            "seed": self.seed,
            "sent": len(ledger),
            "acknowledged": sum(entry.acknowledged is not None for entry in entries),
            "shown": sum(bool(entry.shown) for entry in entries),
            "lost": len(ledger.lost()),
            "missing": len(ledger.missing()),
            "doubled": len(ledger.doubled()),
            "out_of_order": ledger.out_of_order(),
            "shown_ms": _milliseconds(ledger.waits()),
            "shown_while_a_node_was_away_ms": _milliseconds(ledger.waits(self.absences)),
            "driver_lag_ms": _milliseconds(self.driver_lag),
            "endings": [
                {
                    "what": absence.what,
                    "at": absence.start - self.began,
                    "back": absence.end - self.began,
                }
                for absence in self.absences
            ],
            "memory": {str(node): _course(samples) for node, samples in self.memory.items()},
            "abuses": {
                name: {
                    "runs": notes.runs,
                    "interrupted": notes.interrupted,
                    "skipped": notes.skipped,
                    "words": dict(sorted(notes.words.items())),
                    "wrong": notes.wrong,
                }
                for name, notes in sorted(self.abuses.items())
            },
            "refusals": dict(
                sorted(sum((notes.words for notes in self.abuses.values()), Counter()).items())
            ),
            "broken": list(self.broken()),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        told = self.as_json()
        yield (
            f"{told['sent']} texts: {told['acknowledged']} acknowledged, {told['shown']} shown, "
            f"{told['lost']} lost, {told['missing']} missing, {told['doubled']} doubled, "
            f"{told['out_of_order']} out of order"
        )
        for what, key in (
            ("from written to shown", "shown_ms"),
            ("  while a node was away", "shown_while_a_node_was_away_ms"),
            ("lag of this program itself", "driver_lag_ms"),
        ):
            wait = told[key]
            yield (
                f"{what}: {wait['count']}, p50 {wait['p50']:.0f} ms, "
                f"p99 {wait['p99']:.0f} ms, at most {wait['max']:.0f} ms"
            )
        for node, kept in told["memory"].items():
            if kept is not None:
                yield (
                    f"node {node}: {_mib(kept['begin'])} at first, {_mib(kept['middle'])} in the "
                    f"middle, {_mib(kept['end'])} at the end, at most {_mib(kept['highest'])}; "
                    f"{kept['slope_bytes_per_hour'] / 1024 / 1024:+.1f} MiB an hour; "
                    f"{kept['files_begin']} files, then {kept['files_end']}"
                )
        yield f"nodes ended: {', '.join(a.what for a in self.absences) or 'none'}"
        for name, notes in told["abuses"].items():
            words = ", ".join(f"{word} {count}" for word, count in notes["words"].items())
            runs = f"{notes['runs']} times"
            runs += f", {notes['interrupted']} interrupted" if notes["interrupted"] else ""
            runs += f", {notes['skipped']} left out" if notes["skipped"] else ""
            yield f"{name} ({runs}): {words or 'no answers'}"
        broken = told["broken"]
        yield "the promise held" if not broken else "BROKEN:"
        yield from (f"  {line}" for line in broken)


def _milliseconds(spread: Spread) -> dict[str, float]:
    return {
        "count": spread.count,
        "p50": 1000 * spread.p50,
        "p99": 1000 * spread.p99,
        "max": 1000 * spread.max,
    }


def _course(samples: Sequence[Sample]) -> dict[str, float] | None:
    went = course(samples)
    if went is None:
        return None
    return {name: getattr(went, name) for name in type(went).__slots__}


def _mib(count: float) -> str:
    return f"{count / 1024 / 1024:.1f} MiB"
