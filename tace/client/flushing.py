"""Offering what waits, for as long as a program runs."""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic
from tace.client.backoff import SLOWEST_SECONDS, retry_after
from tace.client.errors import NoNode, ReplacedIdentity
from tace.client.outbox import Outbox
from tace.client.sqlite import HomeDatabase

LOOK_EVERY_SECONDS = 5.0
"""Another program on this home may have put something into the outbox, or have received what it
does not show."""


class Flushing:
    """Flushes the outbox when something is due; after failures ever more seldom, and not before
    the only node there is wants to be asked again.

    :param replaced: told that the identity was restored elsewhere.
    """

    def __init__(
        self,
        outbox: Outbox,
        database: HomeDatabase,
        clock: IReactorTime,
        random_source: random.Random,
        replaced: Callable[[Exception], None],
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._clock = clock
        self._random = random_source
        self._replaced = replaced
        self._periodic = Periodic("outbox", clock, self._until_due, self._flush)
        self._failures = 0
        self._pause_seconds = 0.0

    def start(self) -> None:
        """The first flush comes at once."""
        self._periodic.start(delay=0)

    def soon(self) -> None:
        """Something was put into the outbox, or is to be offered again."""
        self._periodic.soon()

    def stop(self) -> Deferred[None]:
        """Fires when the flush that runs, which is cancelled, has ended."""
        return self._periodic.stop()

    async def _flush(self) -> None:
        try:
            await self._outbox.flush()
        except NoNode as error:
            self._failures += 1
            self._pause_seconds = min(SLOWEST_SECONDS, error.pause_seconds)
        except ReplacedIdentity as error:
            self._replaced(error)
        else:
            self._failures = 0

    def _until_due(self) -> float:
        if self._failures:
            return max(self._pause_seconds, retry_after(self._failures, self._random))
        due = self._database.next_due_seconds()
        if due is None:
            return LOOK_EVERY_SECONDS
        return min(LOOK_EVERY_SECONDS, max(0.0, due - self._clock.seconds()))
