"""Works that go on side by side, and events that wait for their moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import deferLater


class Event(Protocol):
    """:ivar at: seconds since the run began."""

    @property
    def at(self) -> float: ...


E = TypeVar("E", bound=Event)


async def in_time(reactor: Any, now: Callable[[], float], events: Iterable[E]) -> AsyncIterator[E]:
    """Each event when its moment has come.

    :param now: seconds since the run began.
    """
    for event in events:
        delay = event.at - now()
        if delay > 0:
            await deferLater(reactor, delay, lambda: None)
        yield event


async def all_of(works: Iterable[Deferred[None]]) -> None:
    """When all of them have ended; the first that fails ends it at once, as itself."""
    try:
        await gatherResults(list(works), consumeErrors=True)
    except FirstError as error:
        if error.subFailure.check(CancelledError, ConnectingCancelledError, FirstError):
            raise CancelledError from None
        error.subFailure.raiseException()
