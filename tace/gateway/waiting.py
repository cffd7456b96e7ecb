"""Requests of a polling client that wait for their answer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

Messages = list[bytes]
"""Client messages, whole."""


class WaitingExchange:
    """One batch of requests and the answers that have come."""

    def __init__(self, dropped: Callable[[WaitingExchange], None]) -> None:
        self.awaited: set[int] = set()
        self.answers: Messages = []
        self.bytes = 0
        self.timer: IDelayedCall | None = None
        self.deferred: Deferred[Messages] = Deferred(lambda _: dropped(self))

    @property
    def complete(self) -> bool:
        return not self.awaited

    def answer(self, request: int, data: bytes) -> None:
        self.awaited.discard(request)
        self.answers.append(data)
        self.bytes += len(data)

    def stop(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None


class WaitingPoll:
    """A poll that waits."""

    def __init__(self, dropped: Callable[[WaitingPoll], None]) -> None:
        self.timer: IDelayedCall | None = None
        self.soon: IDelayedCall | None = None
        self.deferred: Deferred[Messages] = Deferred(lambda _: dropped(self))

    def answer(self, messages: Messages) -> None:
        self.stop()
        self.deferred.callback(messages)

    def stop(self) -> None:
        for timer in (self.timer, self.soon):
            if timer is not None and timer.active():
                timer.cancel()
