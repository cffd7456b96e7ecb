"""Receiving for as long as a program runs: connects, and connects again when that ends."""

from __future__ import annotations

import random
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.client.backoff import retry_after
from tace.client.connection import Connection
from tace.client.inbox import Inbox
from tace.errors import TaceError

STEADY_SECONDS = 10.0
"""A connection that lasted so long says that all was well."""


class FollowingEvents(Protocol):
    """Who wants to know how it goes."""

    def inbox_opened(self, connection: Connection) -> None:
        """Messages are pushed from there now."""

    def inbox_ended(self, reason: TaceError) -> None:
        """Nothing is pushed any more; it is tried again."""

    def inbox_tried_again(self) -> None:
        """Right before the next attempt."""


class Following:
    """Keeps one inbox connected until :meth:`stop`."""

    def __init__(
        self,
        inbox: Inbox,
        clock: IReactorTime,
        random_source: random.Random,
        events: FollowingEvents,
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._random = random_source
        self._events = events
        self._lost: Deferred[TaceError] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Connect no more; whoever calls this closes the inbox."""
        self._stopped = True

    def lost(self, reason: TaceError) -> None:
        """The inbox says that its connection is gone."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost.callback(reason)

    async def run(self) -> None:
        """Until it is stopped; what fails with an error of ours is tried again."""
        failures = 0
        while self._goes_on():
            self._lost = lost = Deferred[TaceError]()
            try:
                connection = await self._inbox.open()
                opened = self._clock.seconds()
                if self._goes_on():
                    self._events.inbox_opened(connection)
                reason = await lost
                # One that breaks as soon as it is there is not dialled again without a pause.
                if self._clock.seconds() - opened >= STEADY_SECONDS:
                    failures = 0
            except TaceError as error:
                reason = error
            if not self._goes_on():
                return
            failures += 1
            self._events.inbox_ended(reason)
            # A connection that broke is replaced at once.
            if failures > 1:
                await deferLater(self._clock, retry_after(failures - 1, self._random))
            self._events.inbox_tried_again()

    def _goes_on(self) -> bool:
        return not self._stopped
