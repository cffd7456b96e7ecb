"""What became of each message: the books of one load generator. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tace.lab.bench.latency import Latencies

STORED = "stored"


@dataclass(slots=True)
class _Journey:
    """One message under way. Mutable: it lives from its sending to its last event."""

    intended: float
    state: str = ""
    pushed: bool = False
    acked: bool = False


class Account:
    """Counts messages from the moment each was *meant* to leave.

    A message that had to wait because the generator or the node was behind is as late as it is for
    somebody who had pressed the button then (no coordinated omission). It is over once its sending
    was answered and the ack of its push was sent. All times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.stored = 0
        self.delivered = 0
        self.duplicated = 0
        self.strange = 0
        """Pushes of what nobody sent, or not with these bytes."""
        self.refused: Counter[str] = Counter()
        """Sends that were answered with another word than ``stored``, or not at all."""
        self.acks: Counter[str] = Counter()
        """What the nodes said to the acks."""
        self.store = Latencies()
        self.receive = Latencies()
        self.last_delivery = 0.0
        self._under_way: dict[bytes, _Journey] = {}

    @property
    def lost(self) -> int:
        """Stored and not delivered. Meant for the end, when what can come has come."""
        return sum(j.state == STORED and not j.acked for j in self._under_way.values())

    @property
    def open(self) -> int:
        """Messages that something may still happen to: neither over nor refused."""
        return sum(j.state in ("", STORED) for j in self._under_way.values())

    def sending(self, lock: bytes, intended: float) -> None:
        self.sent += 1
        self._under_way[lock] = _Journey(intended)

    def answered(self, lock: bytes, state: str, now: float) -> bool:
        """The node's word on a sending, or the reason why there is none.

        Returns whether the sender is done with it: it was pushed before, or never will be.
        """
        journey = self._under_way.get(lock)
        if journey is None or journey.state:
            return False
        journey.state = state
        if state == STORED:
            self.stored += 1
            self.store.add(now - journey.intended)
        else:
            self.refused[state] += 1
        self._forget(lock, journey)
        return journey.pushed or state != STORED

    def pushed(self, lock: bytes, now: float) -> bool:
        """The first push of a message; returns whether the sender is done with it.

        One that was refused and is pushed all the same was given up by its sender before.
        """
        journey = self._under_way.get(lock)
        if journey is None or journey.pushed:
            return False
        journey.pushed = True
        self.receive.add(now - journey.intended)
        return journey.state == STORED

    def acked(self, lock: bytes, now: float) -> None:
        """The ack of a push leaves: now it is delivered. Of a second push nothing is counted."""
        journey = self._under_way.get(lock)
        if journey is None or journey.acked:
            return
        journey.acked = True
        self.delivered += 1
        self.last_delivery = max(self.last_delivery, now)
        self._forget(lock, journey)

    def _forget(self, lock: bytes, journey: _Journey) -> None:
        if journey.state and journey.acked:
            del self._under_way[lock]
