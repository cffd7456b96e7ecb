"""Who could not be reached of late, and why, in lines for an operator. Pure."""

from __future__ import annotations

from tace.ring.contacts import Source

MAX_TOLD = 8
"""Contacts whose latest failure is told to whoever asks how this node is."""
MAX_LINE = 200
"""Characters about one of them."""
_ORDER = (Source.SEED, Source.NAME, Source.ANCHOR, Source.REMEMBERED)
"""What the operator has set comes first."""


class LatestFailures:
    """The latest failure of each contact, for the eight latest of each source."""

    def __init__(self) -> None:
        self._why: dict[Source, dict[str, str]] = {source: {} for source in Source}

    def failed(self, source: Source, shown: str, why: str) -> None:
        """Note it as the latest."""
        failures = self._why[source]
        failures.pop(shown, None)
        failures[shown] = why
        if len(failures) > MAX_TOLD:
            del failures[next(iter(failures))]

    def answered(self, source: Source, shown: str) -> None:
        """What was wrong is over."""
        self._why[source].pop(shown, None)

    def lines(self) -> tuple[str, ...]:
        """One line each, at most eight; seeds first, then names, and of each the latest."""
        told = [
            _line(f"{shown}: {why}")
            for source in _ORDER
            for shown, why in reversed(self._why[source].items())
        ]
        return tuple(told[:MAX_TOLD])


def _line(text: str) -> str:
    """For a terminal: part of it may be somebody else's words."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_LINE])
