"""What an attack is, what it is given, and what it finds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from tace.client.address import NodeAddress
from tace.client.websocket import WebSocketDialer
from tace.errors import StartError
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.links.dialling import parse_address
from tace.wire.client import GetNetwork

T = TypeVar("T")

Words = Counter[str]
"""How often each thing was answered or done: refusals' words, and these three."""
CUT = "cut"
"""The node hung up without a word."""
KEPT = "kept"
"""The node still held the connection when the attack's patience was over."""
SERVED = "served"
"""The node did what it was asked."""


class Once(Generic[T]):
    """Something that happens at most once; whoever waits, before or after, learns of it."""

    def __init__(self) -> None:
        self._value: list[T] = []
        self._waiting: list[Deferred[T]] = []

    @property
    def happened(self) -> bool:
        return bool(self._value)

    def happen(self, value: T) -> None:
        """The first time counts."""
        if not self._value:
            self._value.append(value)
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(value)

    def wait(self) -> Deferred[T]:
        waiter: Deferred[T] = Deferred(self._waiting.remove)
        if self._value:
            waiter.callback(self._value[0])
        else:
            self._waiting.append(waiter)
        return waiter


@dataclass(frozen=True, slots=True)
class Target:
    """One node, as anybody who knows its address can find it out."""

    client: NodeAddress
    peer_host: str
    peer_port: int
    network_id: bytes
    node_id: NodeId
    stamp_bits: int
    max_lifetime_hours: int


async def scout(reactor: Any, address: NodeAddress) -> Target:
    """Ask a node what it tells everybody.

    :raises Failure: it does not answer.
    :raises StartError: it names no address for other nodes.
    """
    connection = await WebSocketDialer(reactor)(address)
    try:
        challenge = await connection.opened()
        network = await connection.request(GetNetwork())
    finally:
        connection.close()
    own = NodeRecord.parse(network.records[0], challenge.network_id)
    if not own.peer_addresses:
        raise StartError(f"{address} names no address for other nodes")
    host, port, _ = parse_address(own.peer_addresses[0])
    return Target(
        address,
        host,
        port,
        challenge.network_id,
        challenge.node_id,
        challenge.requests_stamp_bits,
        challenge.max_lifetime_hours,
    )


@dataclass(frozen=True, slots=True)
class Ground:
    """Where one attack takes place, and how large it is.

    :ivar size: how many connections, frames or objects.
    :ivar patience_seconds: how long the node may take to end a connection that it should not keep.
    :ivar victim: the public key of somebody honest, for what is aimed at people.
    """

    reactor: Any
    target: Target
    random: Random
    size: int
    patience_seconds: float = 20.0
    victim: bytes | None = None

    def key(self, number: int = 0) -> SigningKey:
        """A hostile identity: the same few in every attack on one network.

        Whoever passes a hello takes places in the ring, so that fresh keys each time would be
        another attack than the one that is meant.
        """
        return SigningKey.from_seed(b"hostile node %035d" % number)

    def now(self) -> float:
        seconds: float = self.reactor.seconds()
        return seconds

    async def within_patience(self, awaited: Deferred[T], otherwise: T) -> T:
        """What it brings; ``otherwise`` when that takes longer than the patience."""
        try:
            return await awaited.addTimeout(self.patience_seconds, self.reactor)
        except (DeferredTimeout, CancelledError):
            return otherwise

    async def happens(self, event: Once[Any], unless: Once[Any]) -> bool:
        """Waits for either, within the patience; did the first of them happen?"""
        either: Once[None] = Once()
        for each in (event, unless):
            each.wait().addCallback(lambda _: either.happen(None))
        await self.within_patience(either.wait(), None)
        return event.happened and not unless.happened


@dataclass(frozen=True, slots=True)
class Attack:
    """One entry of the hostile list.

    :ivar does: what it does, for a table.
    :ivar answers: every word that an unharmed node may answer it with.
    :ivar size: what :attr:`Ground.size` is meant to be where nothing is said.
    """

    name: str
    does: str
    answers: frozenset[str]
    run: Callable[[Ground], Awaitable[Words]]
    size: int = 8

    def failed(self, words: Words) -> str:
        """Why these answers are not those of an unharmed node; empty where they are."""
        if not words:
            return "no answer at all"
        strange = sorted(words.keys() - self.answers)
        return f"answered {', '.join(strange)}" if strange else ""


class NoCounts:
    """:class:`~tace.seams.Counters` of a hostile node: nobody reads them."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Not kept."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Not kept."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Not kept."""
