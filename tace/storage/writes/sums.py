"""Keeps the sums of ranges: by the writer, who alone knows that nothing changes meanwhile."""

from __future__ import annotations

from tace.seams import ItemState
from tace.storage.reads.ranges import ending, entries
from tace.storage.reads.sqlite import Database
from tace.storage.sums import RangeSums, SumsByHour

MAX_MOVED = 4096
"""Items that end with an hour and are taken out of the sums one by one; some milliseconds."""


class Sums:
    """Of one connection, inside its transactions.

    What is added in a transaction that is rolled back stays in the sums until :meth:`forget`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.by_hour = SumsByHour()

    def add(self, key: bytes, name: bytes, state: ItemState, expires_hours: int) -> None:
        """A row has come."""
        self.by_hour.add(key + name, state, expires_hours)

    def remove(self, key: bytes, name: bytes, state: ItemState, expires_hours: int) -> None:
        """A row has gone."""
        self.by_hour.remove(key + name, state, expires_hours)

    def forget(self) -> None:
        """What was added was rolled back."""
        self.by_hour.forget()

    def learn_some(self, lower: bytes, upper: bytes, hour: int) -> None:
        """One step towards the sums of that range as of that hour."""
        sums = self._at(hour)
        unknown = sums.unknown(lower, upper)
        if unknown is not None:
            sums.learn(
                *unknown, lambda low, high, limit: entries(self._database, low, high, limit, hour)
            )

    def expire(self, hour: int) -> None:
        """What is over by then is about to go: afterwards nothing tells which sums it was in."""
        nearest = self.by_hour.nearest(hour)
        if nearest is not None and nearest.hour < hour:
            self._at(hour)
        self.by_hour.forget(before=hour)

    def _at(self, hour: int) -> RangeSums:
        """The sums as of that hour: from those of another, where that takes little."""
        sums = self.by_hour.at(hour)
        if sums is not None:
            return sums
        nearest = self.by_hour.nearest(hour)
        if nearest is not None:
            hours = sorted((nearest.hour, hour))
            between = ending(self._database, hours[0], hours[1], MAX_MOVED + 1)
            if len(between) <= MAX_MOVED:
                return self.by_hour.keep(nearest.moved(hour, between))
        return self.by_hour.keep(RangeSums(hour))
