"""What honest people wrote, what they were promised, and what was shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """One text from one person to another; all times in seconds of one clock.

    :ivar acknowledged: when its sender's program first said that it is stored or delivered.
    :ivar shown: each time it was shown to its recipient.
    """

    sender: str
    recipient: str
    text: str
    written: float
    acknowledged: float | None = None
    shown: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Who else saw it, or saw it from somebody else."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some durations, in seconds; all 0 where there were none."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, durations: Iterable[float]) -> Spread:
        ordered = sorted(durations)
        if not ordered:
            return cls(0, 0.0, 0.0, 0.0)
        return cls(len(ordered), quantile(ordered, 0.5), quantile(ordered, 0.99), ordered[-1])


def quantile(ordered: Sequence[float], part: float) -> float:
    """The smallest value with at least that part of all at or below it (nearest rank)."""
    rank = -int(-part * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A stretch of time in which something was broken on purpose."""

    what: str
    start: float
    end: float


class Ledger:
    """Every text of a run, by what it says: no two are alike."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self.strays: list[str] = []
        """Texts that were shown and never written."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    # -- what happens ----------------------------------------------------------------------------

    def wrote(self, sender: str, recipient: str, text: str, now: float) -> None:
        if text in self._entries:
            raise ValueError(f"{text!r} was written before")
        self._entries[text] = Entry(sender, recipient, text, now)

    def acknowledged(self, text: str, now: float) -> None:
        entry = self._entries.get(text)
        if entry is not None and entry.acknowledged is None:
            entry.acknowledged = now

    def showed(self, sender: str, recipient: str, text: str, now: float) -> None:
        entry = self._entries.get(text)
        if entry is None:
            self.strays.append(text)
        elif (entry.sender, entry.recipient) != (sender, recipient):
            entry.wrong.append(f"{sender} to {recipient}")
        else:
            entry.shown.append(now)

    # -- what came of it -------------------------------------------------------------------------

    def missing(self) -> list[Entry]:
        """Written and not shown, promised or not."""
        return [entry for entry in self if not entry.shown]

    def lost(self) -> list[Entry]:
        """Acknowledged to the sender and not shown to the recipient."""
        return [entry for entry in self.missing() if entry.acknowledged is not None]

    def doubled(self) -> list[Entry]:
        """Shown more than once."""
        return [entry for entry in self if len(entry.shown) > 1]

    def misdirected(self) -> list[Entry]:
        return [entry for entry in self if entry.wrong]

    def out_of_order(self) -> int:
        """How many were shown before one that the same person had written to them earlier."""
        last: dict[tuple[str, str], float] = {}
        count = 0
        for entry in self:
            if not entry.shown:
                continue
            pair = (entry.sender, entry.recipient)
            count += entry.shown[0] < last.get(pair, 0.0)
            last[pair] = max(last.get(pair, 0.0), entry.shown[0])
        return count

    def waits(self, during: Sequence[Disturbance] | None = None) -> Spread:
        """From written to shown; with ``during``, of those under way in one of these stretches."""
        return Spread.of(
            entry.shown[0] - entry.written
            for entry in self
            if entry.shown
            and (
                during is None
                or any(
                    entry.written <= disturbance.end and entry.shown[0] >= disturbance.start
                    for disturbance in during
                )
            )
        )
