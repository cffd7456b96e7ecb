"""When a silent link is pinged, and when it is given up (page 2.3)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.links.health import LocalHealth, RoundTrip

CEILING_FACTOR = 4.0
"""However long round trips were: silence is borne, and answers are waited for, at most so many
times as long as the settings say, before this node's doubts of itself."""


class SilenceWatch:
    """Watches one link while it is guarded or in doubt; any bytes count as a sign of life.

    A link that is silent for ``ping_after_seconds`` is pinged, and lost when it has been silent for
    ``lost_after_seconds``. The next look comes when the verdict would have come, so that an idle
    peer that answers is pinged every ``lost_after - ping_after`` seconds (2 by default), not every
    second, and a dead one is still found in time.

    A verdict never rests on the clock alone: a ping must have gone unanswered for the rest of the
    time, and one more reactor turn is given to bytes that already wait to be read. So neither a
    clock that jumps nor a stall of our own loop condemns a peer.

    A node whose own timers come late waits longer: all times are stretched by its ``health``, also
    while a ping is under way.

    :param round_trip: of the link: where answers take long, more silence is borne.
    :param ping: has the other side say something.
    :param lost: the verdict; called once.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        ping_after_seconds: float,
        lost_after_seconds: float,
        health: LocalHealth,
        round_trip: RoundTrip,
        ping: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._health = health
        self._round_trip = round_trip
        self._ping_after = ping_after_seconds
        self._lost_after = lost_after_seconds
        self._ping = ping
        self._lost = lost
        self._guarded = False
        self._doubted = False
        self._timer: IDelayedCall | None = None
        self._unanswered = False
        self.last_heard = clock.seconds()

    def heard(self) -> None:
        """Bytes have come."""
        self.last_heard = self._clock.seconds()
        self._unanswered = False
        self._doubted = False

    def guard(self, guarded: bool) -> None:
        """Watch from now on, or no longer."""
        self._guarded = guarded
        if guarded and self._timer is None:
            self._look()

    def doubt(self) -> None:
        """A request timed out: watch until the next sign of life."""
        self._doubted = True
        if self._timer is None:
            self._look()

    def stop(self) -> None:
        self._guarded = self._doubted = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if not (self._guarded or self._doubted):
            return
        silent = self._silent_seconds()
        if silent < self._ping_after:
            self._schedule(self._ping_after - silent, self._look)
            return
        self._unanswered = True
        self._schedule(max(self._borne_seconds() - silent, self._patience()), self._condemn)
        self._ping()

    def _silent_seconds(self) -> float:
        return max(0.0, self._clock.seconds() - self.last_heard)

    def _borne_seconds(self) -> float:
        """How much silence is borne now."""
        return self._patience(self._lost_after)

    def _patience(self, least: float | None = None) -> float:
        """How long a ping may go unanswered: never less than the measured round trips ask for."""
        floor = self._ping_after if least is None else least
        ceiling = CEILING_FACTOR * self._lost_after
        return self._health.stretch * self._round_trip.timeout_seconds(floor, ceiling)

    def _condemn(self) -> None:
        left = self._borne_seconds() - self._silent_seconds()
        if not self._unanswered:
            self._look()
        elif left > 0.001:
            # Something has made this node doubt itself meanwhile.
            self._schedule(left, self._condemn)
        else:
            self._schedule(0.0, self._verdict)

    def _verdict(self) -> None:
        self._timer = None
        if self._unanswered:
            self._lost()
        else:
            self._look()

    def _schedule(self, delay: float, then: Callable[[], None]) -> None:
        self._timer = self._clock.callLater(delay, self._due, self._clock.seconds() + delay, then)

    def _due(self, due_at: float, then: Callable[[], None]) -> None:
        now = self._clock.seconds()
        self._health.late(now - due_at, now)
        then()
