"""Clients that speak ``tace.client.1``; nothing is sealed in their letters but a number."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.client.websocket import WebSocketDialer
from tace.errors import TaceError
from tace.wire.client import Ack, Defer, OpenLease, Send, SendResult, StartWatch
from tace.wire.objects import Envelope
from tests.letters import Box

DIAL_SECONDS = 5.0


async def connect(test: TestCase, address: NodeAddress) -> Connection:
    """A connection on which the node has spoken; closed when the test ends."""
    dialled: Deferred[Connection] = WebSocketDialer(reactor)(address)
    connection: Connection = await dialled.addTimeout(DIAL_SECONDS, reactor)
    test.addCleanup(connection.close)
    await connection.opened()
    return connection


class Sender:
    """An outbox connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    async def at(cls, test: TestCase, address: NodeAddress) -> Sender:
        return cls(await connect(test, address))

    async def send(self, *envelopes: Envelope) -> list[SendResult]:
        answer = await self.connection.request(Send(tuple(e.encoded for e in envelopes)))
        return list(answer.results)

    async def send_one(self, envelope: Envelope) -> SendResult:
        (result,) = await self.send(envelope)
        return result


class Recipient:
    """An inbox connection that watches one mailbox and notes what is pushed, and when.

    :param acks: release each letter with its secret; else it is deferred, and stays.
    """

    def __init__(self, connection: Connection, box: Box, *, acks: bool) -> None:
        self.connection = connection
        self.box = box
        self.acks = acks
        self.arrived: dict[int, float] = {}
        """Letter number -> reactor seconds of its first push."""
        self.pushes = 0
        self.losses = 0
        self.complete: Deferred[bool] = Deferred()
        self._awaited: dict[int, Deferred[float]] = {}
        connection.events = self

    @classmethod
    async def at(
        cls, test: TestCase, address: NodeAddress, box: Box, *, acks: bool = True
    ) -> Recipient:
        """One that watches."""
        recipient = cls(await connect(test, address), box, acks=acks)
        await recipient.open_lease()
        await recipient.connection.request(StartWatch((box.id,)))
        return recipient

    async def open_lease(self) -> None:
        connection = self.connection
        lease = self.box.lease(
            network_id=connection.challenge.network_id,
            node=connection.challenge.node_id,
            origin=connection.address.origin,
            challenge=connection.challenge.challenge,
            now=connection.node_seconds,
        )
        await connection.request(OpenLease(lease))

    def gets(self, number: int) -> Deferred[float]:
        """Fires with the time at which that letter was pushed first."""
        awaited: Deferred[float] = Deferred()
        if number in self.arrived:
            awaited.callback(self.arrived[number])
        else:
            self._awaited[number] = awaited
        return awaited

    async def ack(self, letters: Sequence[tuple[int, Envelope]]) -> list[str]:
        fields = tuple(self.box.tombstone(envelope, number) for number, envelope in letters)
        answer = await self.connection.request(Ack(fields))
        return [result.code for result in answer.results]

    # -- ConnectionEvents ------------------------------------------------------------------------

    def pushed(self, envelope: bytes) -> None:
        self.pushes += 1
        letter = Envelope.parse(envelope)
        number = number_of(letter)
        if number in self.arrived:
            return
        self.arrived[number] = reactor.seconds()
        awaited = self._awaited.pop(number, None)
        if self.acks:
            acked = self.connection.request(Ack((self.box.tombstone(letter, number),)))
            # A node that stops meanwhile does not answer; then the letter is pushed again.
            acked.addErrback(lambda failure: failure.trap(TaceError) and None)
        else:
            self.connection.tell(Defer((letter.id,)))
        if awaited is not None:
            awaited.callback(self.arrived[number])

    def caught_up(self, mailbox: bytes, complete: bool) -> None:
        self.complete.callback(complete)

    def connection_lost(self, reason: TaceError) -> None:
        self.losses += 1


def number_of(envelope: Envelope) -> int:
    """Which letter of :meth:`tests.letters.Box.envelope` that is."""
    return int(envelope.blob[:8])
