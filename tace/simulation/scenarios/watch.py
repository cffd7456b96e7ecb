"""Looks at a world while something happens to it: what it is like, each second, for a timeline."""

from __future__ import annotations

from dataclasses import dataclass

from tace.simulation.scenarios.copies import Copies
from tace.simulation.world import World

LOOK_SECONDS = 0.25
MAX_SAMPLES = 4000
"""Beyond it every other one is dropped, and half as many are taken from then on."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The world at one moment.

    :ivar after_seconds: since the world began.
    :ivar waiting: messages that are stored and not delivered.
    :ivar least_copies: of any of these that is not lost, on its living replicas.
    :ivar lost: of these, as far as they were looked at, on no living disk.
    """

    after_seconds: float
    living: int
    members: int
    ideal: bool
    waiting: int
    least_copies: int | None
    mean_copies: float | None
    lost: int


class Watch:
    """Takes samples, and notes when the ring is ideal and all copies are there again."""

    def __init__(self, world: World, copies: Copies) -> None:
        self._world = world
        self._copies = copies
        self._last_fault = -1.0
        self._ideal_at: float | None = None
        self._replicated_at: float | None = None
        self._every_seconds = 1.0
        self._next_sample = 0.0
        self._looked_at = world.since()
        self._node_seconds = 0.0
        self._bytes_before = 0
        self.samples: list[Sample] = []
        self.falsely_dead: set[str] = set()
        """Living nodes that some other one has called dead."""
        self._look_again()

    # -- figures ---------------------------------------------------------------------------------

    @property
    def ideal_after_seconds(self) -> float | None:
        """From the last fault on, to the quarter of a second; None as long as it is not."""
        self._notice_faults()
        return None if self._ideal_at is None else self._ideal_at - self._last_fault

    @property
    def replicated_after_seconds(self) -> float | None:
        """Until every live item was on all its living replicas, once, after the last fault."""
        self._notice_faults()
        return None if self._replicated_at is None else self._replicated_at - self._last_fault

    def measure_from_now(self) -> None:
        """Bytes are counted from here on."""
        self._node_seconds = 0.0
        self._bytes_before = sum(self._world.network.bytes_sent.values())

    @property
    def bytes_per_node_second(self) -> float | None:
        """In and out, without TLS and TCP; None where no time has passed."""
        if not self._node_seconds:
            return None
        sent = sum(self._world.network.bytes_sent.values()) - self._bytes_before
        # Whatever was sent was received.
        return 2 * sent / self._node_seconds

    # -- looking ---------------------------------------------------------------------------------

    def _look_again(self) -> None:
        world = self._world
        now = world.since()
        self._node_seconds += (now - self._looked_at) * len(world.living)
        self._looked_at = now
        self._notice_faults()
        sampling = now >= self._next_sample
        ideal = (sampling or self._ideal_at is None) and self.ideal_fault() is None
        if ideal and self._ideal_at is None:
            self._ideal_at = now
        if self._replicated_at is None and not self._joining and self._copies.missing() is None:
            self._replicated_at = now
        if sampling:
            self._next_sample = now + self._every_seconds
            self._take(now, ideal)
        world.clock.callLater(LOOK_SECONDS, self._look_again)

    def ideal_fault(self) -> str | None:
        """Why the ring is not ideal now: a node that runs and is no member yet, or a pointer."""
        joining = self._joining
        return f"{joining} is no member yet" if joining else self._world.oracle.ideal_fault()

    @property
    def _joining(self) -> str:
        return next((node.name for node in self._world.living if not node.is_member), "")

    def _notice_faults(self) -> None:
        if self._world.last_fault != self._last_fault:
            self._last_fault = self._world.last_fault
            self._ideal_at = self._replicated_at = None

    def _take(self, now: float, ideal: bool) -> None:
        if len(self.samples) >= MAX_SAMPLES:
            self.samples = self.samples[::2]
            self._every_seconds *= 2
        count = self._copies.count()
        self.samples.append(
            Sample(
                round(now, 3),
                len(self._world.living),
                sum(node.is_member for node in self._world.nodes),
                ideal,
                count.waiting,
                count.least,
                count.mean,
                count.nowhere,
            )
        )

    def look_for_false_deaths(self) -> None:
        """Note every living node that another one has called dead."""
        living = {node.id: node.name for node in self._world.living}
        for node in self._world.living:
            for dead in node.core.membership.dead():
                if dead in living:
                    self.falsely_dead.add(living[dead])
