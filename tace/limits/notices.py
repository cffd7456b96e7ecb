"""When a log line about somebody's misbehaviour is due, so that nobody can fill a log."""

from __future__ import annotations

from dataclasses import dataclass

from tace.limits.buckets import TokenBucket

LINE_SECONDS = 10.0
"""Between two lines in the log about one address."""
MAX_GROUPS = 1024
"""Addresses of which it is remembered when the last line about them was."""
LINES_PER_SECOND = 1.0
"""Lines about misbehaviour in all, over the long run: some 20 MB a day at most."""
LINES_BURST = 20.0
"""Lines about misbehaviour at one time."""


@dataclass(slots=True)
class _Group:
    next_line: float
    unsaid: int = 0


class Notices:
    """One line for each group in so many seconds, and so many lines in all.

    What is left out is counted into the group's next line. A total that must not be missed belongs
    into a counter beside the log: the last few of a group that falls silent get no line any more.

    :param interval_seconds: between two lines about one group.
    :param max_groups: groups that are remembered, at least 1; the one that was new longest ago
        is forgotten first.
    :param lines_per_second: in all, over the long run.
    :param burst: lines in all at one time.
    """

    def __init__(
        self,
        interval_seconds: float = LINE_SECONDS,
        max_groups: int = MAX_GROUPS,
        *,
        lines_per_second: float = LINES_PER_SECOND,
        burst: float = LINES_BURST,
    ) -> None:
        if max_groups < 1:
            raise ValueError("there must be room for one group at least")
        self._interval = interval_seconds
        self._max_groups = max_groups
        self._lines = TokenBucket(lines_per_second, burst)
        self._groups: dict[str, _Group] = {}

    def note(self, group: str, now: float) -> int:
        """Something has happened.

        :return: 0 for no line now; else how many there were since the last line about this group,
            this one included.
        """
        known = self._groups.get(group)
        if known is None:
            while len(self._groups) >= self._max_groups:
                del self._groups[next(iter(self._groups))]
            known = self._groups[group] = _Group(now)
        known.unsaid += 1
        if now < known.next_line or self._lines.take(now) > 0.0:
            return 0
        count, known.unsaid = known.unsaid, 0
        known.next_line = now + self._interval
        return count
