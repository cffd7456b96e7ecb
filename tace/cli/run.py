"""Runs one coroutine in the reactor and ends the program with what it gives."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from tace.client.address import NodeAddress
from tace.client.events import UserEvents
from tace.client.home import Home
from tace.client.user import User
from tace.client.websocket import WebSocketDialer

T = TypeVar("T")


def run(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """What ``work(reactor)`` returns, or raises.

    Ctrl-C and SIGTERM cancel it and wait until it has cleaned up.

    :raises click.Abort: it was cancelled and did not take that as its proper end.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    outcome: list[T | Failure] = []

    def start() -> None:
        running = Deferred.fromCoroutine(work(loop))
        ended: Deferred[None] = Deferred()

        def finish(result: T | Failure) -> None:
            outcome.append(result)
            ended.callback(None)
            if loop.running:
                loop.callLater(0, _stop, loop)

        def interrupt() -> Deferred[None]:
            running.cancel()
            return ended

        loop.addSystemEventTrigger("before", "shutdown", interrupt)
        running.addBoth(finish)

    loop.callWhenRunning(start)
    loop.run()
    result = outcome[0]
    if isinstance(result, Failure):
        if result.check(CancelledError):
            raise click.Abort
        result.raiseException()
    return result


def _stop(loop: Any) -> None:
    # A signal may have stopped it already.
    if loop.running and not loop._stopped:
        loop.stop()


def user_of(
    home: Home, reactor: Any, nodes: Sequence[NodeAddress], events: UserEvents | None = None
) -> User:
    """A user over real connections, real time and real randomness."""
    return User(
        home,
        WebSocketDialer(reactor),
        reactor,
        random_source=random.Random(secrets.randbits(64)),
        random_bytes=secrets.token_bytes,
        in_thread=lambda work: deferToThreadPool(reactor, reactor.getThreadPool(), work),
        given=nodes,
        events=events,
    )
