"""A peer that is bound by nothing: real TLS, a genuine hello where it wants one, then any bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tace.errors import LinkLost, TaceError
from tace.identity.keys import SigningKey
from tace.identity.link_proof import Role
from tace.identity.node_record import NodeRecord
from tace.lab.attack.ground import CUT, Ground, Once
from tace.links.introduction import CLOCK_UNFIT_SECONDS, Introduction
from tace.links.tls import LinkTls, exporter_value
from tace.wire.framing import MAX_BODY_BYTES, FrameBuffer, encode_frame
from tace.wire.message import Message, encode
from tace.wire.peer import PEER_MESSAGES, Goodbye, Hello

NOBODY = "127.0.0.1:9"
"""Where records of strangers say that they are: a port of this machine that nobody listens on."""
RECORD_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A :class:`~tace.seams.OwnRecord` that never changes."""

    current: NodeRecord


def hostile_record(
    ground: Ground, key: SigningKey, *, address: str = NOBODY, sequence: int = 1
) -> NodeRecord:
    """A record like any other, valid for an hour."""
    now = int(ground.now())
    return NodeRecord.sign(
        key,
        ground.target.network_id,
        peer_addresses=(address,),
        client_urls=(),
        boot=now,
        sequence=sequence,
        position_mask=1,
        expires_seconds=now + RECORD_SECONDS,
    )


@implementer(IHandshakeListener)
class Stranger(Protocol):
    """One connection to the target's peer port.

    :ivar ended: happens with the word of the node's goodbye, or ``cut``.
    :ivar greeted: happens with the node's hello.
    """

    transport: Any

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._frames = FrameBuffer(MAX_BODY_BYTES)
        self._answers: dict[int, Deferred[Message]] = {}
        self._farewell = CUT
        self.handshaken: Once[None] = Once()
        self.greeted: Once[Hello] = Once()
        self.ended: Once[str] = Once()

    # -- what an attack does ---------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if not self.ended.happened:
            self.transport.write(data)

    def say(self, message: Message, request_id: int = 0) -> None:
        self.write(encode_frame(message.NUMBER, request_id, encode(message)))

    def ask(self, message: Message, request_id: int) -> Deferred[Message]:
        """The answer, whatever it is.

        :raises LinkLost: the connection ended before it.
        """
        answer: Deferred[Message] = Deferred(lambda _: self._forget(request_id))
        if self.ended.happened:
            answer.errback(LinkLost("it has ended"))
        else:
            self._answers[request_id] = answer
            self.say(message, request_id)
        return answer

    def proper_hello(self, key: SigningKey, *, over: Stranger | None = None) -> Hello:
        """A hello that holds; with ``over``, one that was signed on that other connection.

        It tells a time that is off by more than an hour, so that the node keeps nothing there.
        """
        record = OwnRecord(hostile_record(self._ground, key))
        signed_on = over or self
        introduction = Introduction(
            key, self._ground.target.network_id, record, self._ground.reactor
        )
        hello = introduction.hello(Role.DIALLED, exporter_value(signed_on.transport))
        wrong_ms = hello.clock_ms - int(2 * CLOCK_UNFIT_SECONDS * 1000)
        return msgspec.structs.replace(hello, clock_ms=wrong_ms)

    async def introduce(self, key: SigningKey) -> None:
        """Pass the hello: from here on the node takes this for a node.

        :raises LinkLost: it does not.
        """
        self.say(self.proper_hello(key))
        if not await self._ground.happens(self.greeted, unless=self.ended):
            self.abort()
            raise LinkLost("the node did not greet")

    def _forget(self, request_id: int) -> None:
        self._answers.pop(request_id, None)

    def abort(self) -> None:
        if not self.ended.happened:
            self.transport.abortConnection()

    # -- Twisted's side --------------------------------------------------------------------------

    def handshakeCompleted(self) -> None:
        self.handshaken.happen(None)

    def dataReceived(self, data: bytes) -> None:
        self._frames.add(data)
        while (frame := self._frames.next_frame()) is not None:
            number, request_id, body = frame
            try:
                message = PEER_MESSAGES.decode(number, body)
            except TaceError:
                continue
            if isinstance(message, Hello):
                self.greeted.happen(message)
            elif isinstance(message, Goodbye):
                self._farewell = message.code
            else:
                # A request of the node has an id of its own; the attack asks with large ones.
                answer = self._answers.pop(request_id, None)
                if answer is not None:
                    answer.callback(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer.errback(LinkLost(self._farewell))
        self.ended.happen(self._farewell)


FIRST_REQUEST_ID = 1 << 31
"""Requests of attacks are counted from here, those of a node from 1."""


async def dial(ground: Ground) -> Stranger:
    """A stranger with whom the TLS handshake is over.

    :raises LinkLost: the node does not take the connection, or hangs up during the handshake.
    """
    stranger = Stranger(ground)
    tls = TLSMemoryBIOFactory(LinkTls(ground.now()), True, _Factory(stranger), ground.reactor)
    target = ground.target
    endpoint = TCP4ClientEndpoint(ground.reactor, target.peer_host, target.peer_port)
    try:
        await endpoint.connect(tls)
    except ConnectError as error:
        raise LinkLost(str(error)) from None
    if not await ground.happens(stranger.handshaken, unless=stranger.ended):
        stranger.abort()
        raise LinkLost("no TLS handshake")
    return stranger


async def introduced(ground: Ground, number: int = 0) -> Stranger:
    """A stranger that has passed the hello.

    :raises LinkLost: it could not.
    """
    stranger = await dial(ground)
    await stranger.introduce(ground.key(number))
    return stranger


class _Factory(Factory):
    noisy = False

    def __init__(self, stranger: Stranger) -> None:
        self._stranger = stranger

    def buildProtocol(self, addr: object) -> Stranger:
        return self._stranger
