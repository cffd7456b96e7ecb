"""Honest people: the real client with its outbox, and what its window shows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool

from tace.background import background
from tace.client.address import NodeAddress
from tace.client.events import NoUserEvents
from tace.client.home import Home
from tace.client.rows import HistoryMessage, MessageState
from tace.client.user import User
from tace.client.websocket import WebSocketDialer
from tace.e2ee.recovery import RecoveryCode
from tace.lab.people.ledger import Ledger

ACKNOWLEDGED = (MessageState.STORED, MessageState.DELIVERED)


class Person(NoUserEvents):
    """Somebody who writes, and whose program follows.

    :param nodes: the nodes that were named to them.
    """

    def __init__(
        self, reactor: Any, random: Random, name: str, nodes: Sequence[NodeAddress], ledger: Ledger
    ) -> None:
        self.name = name
        self._reactor = reactor
        self._ledger = ledger
        self._names: dict[bytes, str] = {}
        self._changed: list[Deferred[None]] = []
        code = RecoveryCode.generate(random.randbytes)
        self.identity = code.identity().public
        self.unreadables = 0
        self.disconnections = 0
        self.failure = ""
        """Why the program stopped following; empty while it follows."""
        home = Home.in_memory(code, name=name, random_bytes=random.randbytes)
        self._user = User(
            home,
            WebSocketDialer(reactor),
            reactor,
            random_source=random,
            random_bytes=random.randbytes,
            in_thread=lambda work: deferToThreadPool(reactor, reactor.getThreadPool(), work),
            given=nodes,
            events=self,
        )

    async def start(self) -> None:
        """Publish who this is, and follow."""
        await self._user.flush()
        self._user.follow().addErrback(self._stopped)

    async def meet(self, other: Person) -> None:
        """Look somebody up, to write to them."""
        self._names[other.identity] = other.name
        other._names[self.identity] = self.name
        await self._user.look_up(other.identity)

    def write(self, other: Person, text: str) -> None:
        """Put a text into the outbox, as a window does."""
        self._ledger.wrote(self.name, other.name, text, self._reactor.seconds())
        self._user.write(other.identity, text)

    async def close(self) -> None:
        """The home is in memory and goes with this object: a receipt may still be on its way."""
        await self._user.close()

    def moved(self) -> Deferred[None]:
        """Fires when something is shown here next."""
        waiting: Deferred[None] = Deferred(self._changed.remove)
        self._changed.append(waiting)
        return waiting

    # -- UserEvents ------------------------------------------------------------------------------

    def show(self, message: HistoryMessage) -> None:
        sender = self._names.get(message.peer, message.peer.hex()[:8])
        self._ledger.showed(sender, self.name, message.text, self._reactor.seconds())
        waiting, self._changed = self._changed, []
        for each in waiting:
            each.callback(None)

    def changed(self, message: HistoryMessage) -> None:
        if message.outgoing and message.state in ACKNOWLEDGED:
            self._ledger.acknowledged(message.text, self._reactor.seconds())

    def unreadable(self, identity: bytes) -> None:
        self.unreadables += 1

    def disconnected(self, reason: str) -> None:
        self.disconnections += 1

    def _stopped(self, failure: Any) -> None:
        self.failure = failure.getErrorMessage()


async def introduce(people: Sequence[Person], pairs: Sequence[tuple[int, int]]) -> None:
    """Start everybody, and have each pair know each other."""
    for person in people:
        await person.start()
    for one, other in pairs:
        await people[one].meet(people[other])
        await people[other].meet(people[one])


def leave(people: Sequence[Person]) -> Deferred[list[None]]:
    """Close every program."""
    return gatherResults([background("close", person.close()) for person in people])
