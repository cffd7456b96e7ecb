"""Showing what one device says in the order it was said, without waiting long for what is missing.

The sender counts (:attr:`tace.e2ee.content.Content.counter`). What comes before its turn is held
until the gap closes, for 2 seconds, or until the mailbox is known to be empty, whichever is first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

HOLD_SECONDS = 2.0
MAX_HELD = 256
"""More than a gateway's window of messages that are not acked."""

T = TypeVar("T")


class HoldBack(Generic[T]):
    """One sender device's side of one conversation.

    Every method returns what may be shown now, in order.

    :param next_counter: the counter after the last one shown, from the client's store; None when
        nothing was seen yet, because a device that is new here may come in at any count.
    """

    def __init__(self, next_counter: int | None = None) -> None:
        self.next_counter = next_counter
        self._held: dict[int, tuple[float, list[T]]] = {}

    def __len__(self) -> int:
        return sum(len(items) for _, items in self._held.values())

    def offer(self, counter: int, item: T, now: float) -> list[T]:
        """Something arrived at ``now`` (seconds of any steady clock).

        What has no place (counter 0) or comes after its turn was given up is shown at once; the
        client puts it where its counter says.
        """
        if self.next_counter is None and counter == 1:
            self.next_counter = 1
        if counter == 0 or (self.next_counter is not None and counter < self.next_counter):
            return [item]
        # A sender that was set back may give a place twice: both are shown there.
        self._held.setdefault(counter, (now, []))[1].append(item)
        if len(self) > MAX_HELD:
            return self._release_through(min(self._held))
        return self._release_while(lambda held: held == self.next_counter)

    def due(self, now: float) -> list[T]:
        """What has waited 2 seconds, and all that stands before it."""
        waited = [
            counter for counter, (came, _) in self._held.items() if now >= came + HOLD_SECONDS
        ]
        return self._release_through(max(waited)) if waited else []

    def caught_up(self) -> list[T]:
        """Everything that is held: nothing else lies in the mailbox."""
        return self._release_through(max(self._held)) if self._held else []

    def deadline(self) -> float | None:
        """When :meth:`due` has something to give, on the clock of :meth:`offer`."""
        if not self._held:
            return None
        return min(came for came, _ in self._held.values()) + HOLD_SECONDS

    def _release_through(self, last: int) -> list[T]:
        """All held up to ``last``, and what follows it without a gap."""
        return self._release_while(lambda held: held <= last or held == self.next_counter)

    def _release_while(self, may_go: Callable[[int], bool]) -> list[T]:
        released: list[T] = []
        for counter in sorted(self._held):
            if not may_go(counter):
                break
            _, items = self._held.pop(counter)
            released += items
            self.next_counter = counter + 1
        return released
