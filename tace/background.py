"""The one way to start work nobody waits for: its failure is logged and counted, never lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()
failures: dict[str, int] = {}
"""How often background work failed, by name. Read by the metrics."""


def background(name: str, coroutine: Coroutine[Any, Any, Any]) -> Deferred[None]:
    """Start ``coroutine`` now; the Deferred that comes back always succeeds, when it has ended."""
    running = Deferred.fromCoroutine(coroutine)

    def failed(failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        failures[name] = failures.get(name, 0) + 1
        _log.failure("background work failed: {name}", failure, name=name)

    def ended(_: object) -> None:
        return None

    observed: Deferred[None] = running.addCallbacks(ended, failed)
    return observed


class Periodic:
    """Runs a coroutine function again and again, ``interval()`` seconds after the last run ended.

    A round that fails is logged and counted, and the next one comes all the same. Rounds never
    overlap.

    :param interval: seconds until the next round, asked anew each time.
    """

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        interval: Callable[[], float],
        round_: Callable[[], Awaitable[object]],
    ) -> None:
        self._name = name
        self._clock = clock
        self._interval = interval
        self._round = round_
        self._timer: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._cancel: Callable[[], None] = lambda: None
        self._wanted = False
        self._ended = False
        self._soon = False

    def start(self, *, delay: float | None = None) -> None:
        """The first round comes after ``delay`` (default: the interval). Not after a stop."""
        if self._ended:
            return
        self._wanted = True
        self._schedule(self._interval() if delay is None else delay)

    def soon(self, delay: float = 0.0) -> None:
        """Have the next round within ``delay`` seconds, or right after the one that is running."""
        if not self._wanted:
            return
        if self._running is not None:
            self._soon = True
        elif self._timer is None or self._timer.getTime() > self._clock.seconds() + delay:
            self._schedule(delay)

    def stop(self) -> Deferred[None]:
        """No further round, ever; fires when the running one, which is cancelled, has ended."""
        self._wanted = False
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        done: Deferred[None] = Deferred()
        if self._running is None:
            done.callback(None)
        else:
            self._running.addBoth(lambda _: done.callback(None))
            cancel, self._cancel = self._cancel, lambda: None
            cancel()
        return done

    def _schedule(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # Set before the round begins: what it does at once may call soon() or stop().
        ended: Deferred[None] = Deferred()
        self._running = ended
        self._cancel = lambda: None
        work = Deferred.fromCoroutine(self._once())
        self._cancel = work.cancel

        def finish(result: object) -> None:
            self._running = None
            if isinstance(result, Failure) and not result.check(CancelledError):
                failures[self._name] = failures.get(self._name, 0) + 1
                _log.failure("background work failed: {name}", result, name=self._name)
            ended.callback(None)
            if self._wanted:
                self._schedule(0.0 if self._soon else self._interval())
            self._soon = False

        work.addBoth(finish)
        if self._ended:
            work.cancel()

    async def _once(self) -> None:
        await self._round()
