"""A bare TCP connection: any bytes, at any pace, or none."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tace.lab.attack.ground import CUT, KEPT, Ground, Once, Words

MAX_HEARD_BYTES = 64 * 1024
AT_ONCE = 32
"""Connections that are being opened at one time. What a node does not accept as fast waits in the
backlog of its listening socket (Twisted's is 50); beyond that the kernel leaves connections half
open, so that they look kept and no node has ever heard of them."""


class Raw(Protocol):
    """Keeps the beginning of what it hears.

    :ivar ended: happens when the connection is gone.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.ended: Once[None] = Once()
        self.answered: Once[None] = Once()

    def write(self, data: bytes) -> None:
        if not self.ended.happened:
            self.transport.write(data)

    def abort(self) -> None:
        if not self.ended.happened:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard = (self.heard + data)[:MAX_HEARD_BYTES]
        self.answered.happen(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.happen(None)


class _Factory(Factory):
    noisy = False
    protocol = Raw


async def connect(ground: Ground, host: str, port: int) -> Raw | None:
    """A connection; None where the node does not take it."""
    try:
        made = await TCP4ClientEndpoint(ground.reactor, host, port).connect(_Factory())
    except ConnectError:
        return None
    assert isinstance(made, Raw)
    return made


async def connect_many(ground: Ground, host: str, port: int, count: int) -> list[Raw]:
    """So many at one time, a few being opened at once; those that were refused are left out."""
    made: list[Raw] = []

    async def lane(share: int) -> None:
        for _ in range(share):
            raw = await connect(ground, host, port)
            if raw is not None:
                made.append(raw)

    lanes = min(count, AT_ONCE)
    shares = [count // lanes + (lane_number < count % lanes) for lane_number in range(lanes)]
    await gatherResults(
        [Deferred.fromCoroutine(lane(share)) for share in shares], consumeErrors=True
    )
    return made


async def end_of(ground: Ground, raw: Raw) -> str:
    """``cut`` when the node has hung up, ``kept`` when it does not within the patience."""
    ended: Deferred[str] = raw.ended.wait().addCallback(lambda _: CUT)
    return await ground.within_patience(ended, KEPT)


async def ends_of(ground: Ground, raws: list[Raw]) -> Words:
    """How each of them ended; those that are kept are let go of."""
    words = await gatherResults(
        [Deferred.fromCoroutine(end_of(ground, raw)) for raw in raws], consumeErrors=True
    )
    for raw in raws:
        raw.abort()
    return Words(words)


async def trickle(ground: Ground, raw: Raw, data: bytes, every_seconds: float) -> str:
    """One byte after the other until the node has enough of it; ``cut`` or ``kept``.

    ``kept`` also where all of the bytes went through: too few were given for that patience.
    """
    until = ground.now() + ground.patience_seconds
    for index in range(len(data)):
        if raw.ended.happened:
            return CUT
        if ground.now() > until:
            break
        raw.write(data[index : index + 1])
        await deferLater(ground.reactor, every_seconds)
    word = CUT if raw.ended.happened else KEPT
    raw.abort()
    return word
