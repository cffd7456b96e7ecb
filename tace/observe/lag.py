"""How late the event loop is: the first sign that a node has more to do than it can."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.seams import Counters


class LoopLag:
    """Asks for a call again and again and looks how late it comes.

    ``loop_lag_seconds`` is the histogram of that.

    :param every_seconds: between two calls.
    """

    def __init__(
        self, clock: IReactorTime, counters: Counters, *, every_seconds: float = 0.1
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._every = every_seconds
        self._longest = 0.0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        self._due = self._clock.seconds() + self._every
        self._call = self._clock.callLater(self._every, self._called)

    def stop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def longest(self) -> float:
        """The longest since this was asked last, in seconds; 0.0 when there was none."""
        longest, self._longest = self._longest, 0.0
        return longest

    def _called(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        self._longest = max(self._longest, late)
        self._counters.observe("loop_lag_seconds", late)
        self.start()
