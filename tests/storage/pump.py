"""A reactor's thread in miniature: tests wait for a store without a reactor."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")
PATIENCE_SECONDS = 30


@implementer(IReactorFromThreads)
class Pump:
    """Keeps what other threads ask for until :meth:`result` runs it in the test's own."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        self._calls.put(lambda: callable(*args, **kwargs))

    def result(self, deferred: Deferred[T]) -> T:
        """What ``deferred`` comes to; its exception is raised."""
        outcomes: list[Any] = []
        deferred.addBoth(outcomes.append)
        while not outcomes:
            self._calls.get(timeout=PATIENCE_SECONDS)()
        if isinstance(outcomes[0], Failure):
            outcomes[0].raiseException()
        found: T = outcomes[0]
        return found
