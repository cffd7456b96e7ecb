"""What has happened in a simulated world, and a hash by which two runs can be compared."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from tace.simulation.clock import VirtualClock

MAX_EVENTS = 50_000
"""So many of the latest are kept; the hash covers all."""


@dataclass(frozen=True, slots=True)
class Event:
    """``after_seconds``: since the world began. ``who``: a node or a person."""

    after_seconds: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.after_seconds:10.4f}  {self.who}  {self.what}"


class History:
    """Events in the order they happened."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._began = clock.seconds()
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._hash = sha256()
        self.count = 0
        """How many events there were so far."""

    def note(self, who: str, what: str) -> None:
        """Something has happened now."""
        event = Event(self._clock.seconds() - self._began, who, what)
        self._events.append(event)
        # repr tells every bit of the time.
        self._hash.update(f"{event.after_seconds!r} {who} {what}\n".encode())
        self.count += 1

    @property
    def digest(self) -> str:
        """The hash over all events, in hex: the same for the same seed and scenario."""
        return self._hash.hexdigest()

    def latest(self, count: int, about: Collection[str] = ()) -> tuple[Event, ...]:
        """The last events, at most so many; of those named in ``about`` only, if any are."""
        if not about:
            return tuple(self._events)[-count:]
        found: list[Event] = []
        for event in reversed(self._events):
            if event.who in about:
                found.append(event)
                if len(found) == count:
                    break
        return tuple(reversed(found))
