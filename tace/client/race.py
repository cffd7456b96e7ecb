"""Tries several ways to one end, each a little after the other, and takes the first that works.

The idea of RFC 8305 (Happy Eyeballs): a dead address must not cost its whole timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


def first_of(
    clock: IReactorTime, attempts: Sequence[Callable[[], Deferred[T]]], stagger_seconds: float
) -> Deferred[T]:
    """The first good result; the attempts still under way are then cancelled.

    The next attempt starts when the one before has failed, or after ``stagger_seconds``.
    When all failed, so does this, as the first one did.
    """
    if not attempts:
        return fail(ValueError("nothing to attempt"))
    return _Race(clock, attempts, stagger_seconds).result


class _Race(Generic[T]):
    def __init__(
        self, clock: IReactorTime, attempts: Sequence[Callable[[], Deferred[T]]], stagger: float
    ) -> None:
        self.result: Deferred[T] = Deferred(lambda _: self._stop())
        self._clock = clock
        self._attempts = list(attempts)
        self._stagger = stagger
        self._running: list[Deferred[T]] = []
        self._first_failure: Failure | None = None
        self._timer: IDelayedCall | None = None
        self._over = False
        self._start_next()

    def _start_next(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        attempt = self._attempts.pop(0)()
        self._running.append(attempt)
        attempt.addCallbacks(
            self._succeeded, self._failed, callbackArgs=(attempt,), errbackArgs=(attempt,)
        )
        if self._attempts and not self._over and self._timer is None:
            self._timer = self._clock.callLater(self._stagger, self._start_next)

    def _succeeded(self, value: T, attempt: Deferred[T]) -> None:
        self._running.remove(attempt)
        if not self._over:
            self._stop()
            self.result.callback(value)

    def _failed(self, failure: Failure, attempt: Deferred[T]) -> None:
        self._running.remove(attempt)
        if self._over:
            return
        self._first_failure = self._first_failure or failure
        if self._attempts:
            self._start_next()
        elif not self._running:
            self._over = True
            self.result.errback(self._first_failure)

    def _stop(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        for attempt in list(self._running):
            attempt.cancel()
