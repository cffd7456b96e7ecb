"""Waiting for something that no event announces: bounded, and it says what was waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet import reactor
from twisted.internet.task import deferLater

T = TypeVar("T")
LOOK_EVERY_SECONDS = 0.05


async def until(what: str, look: Callable[[], Awaitable[T]], within_seconds: float) -> T:
    """What ``look`` gives as soon as that is true.

    :raises AssertionError: it was not within that time; the text has ``what`` and the last look.
    """
    deadline = reactor.seconds() + within_seconds
    while True:
        found = await look()
        if found:
            return found
        if reactor.seconds() > deadline:
            raise AssertionError(f"not within {within_seconds} s: {what} (seen last: {found!r})")
        await deferLater(reactor, LOOK_EVERY_SECONDS)
