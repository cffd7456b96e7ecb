"""How long something usually takes, learned from how long it took. Pure."""

from __future__ import annotations


class DelayEstimate:
    """A time to wait that is seldom too short, smoothed as TCP does it (RFC 6298, section 2).

    :param least_seconds: what :attr:`seconds` is at first, and never below.
    :param most_seconds: never above.
    """

    __slots__ = ("_least", "_mean", "_most", "_variation")

    def __init__(self, *, least_seconds: float, most_seconds: float) -> None:
        self._least = least_seconds
        self._most = most_seconds
        self._mean: float | None = None
        self._variation = 0.0

    @property
    def seconds(self) -> float:
        """The mean so far and four times its variation, within the bounds."""
        if self._mean is None:
            return self._least
        return min(self._most, max(self._least, self._mean + 4 * self._variation))

    def observe(self, seconds: float) -> None:
        """It took so long this time."""
        if self._mean is None:
            self._mean, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(seconds - self._mean) - self._variation) / 4
            self._mean += (seconds - self._mean) / 8
