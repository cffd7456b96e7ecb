"""A peer that does what a test tells it: raw frames over TLS, on the memory network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tace.identity.keys import SigningKey
from tace.identity.link_proof import Role, sign_link_proof
from tace.identity.node_record import NodeRecord
from tace.links.tls import exporter_value
from tace.wire.framing import MAX_BODY_BYTES, FrameBuffer, encode_frame
from tace.wire.message import Message, encode
from tace.wire.peer import PEER_MESSAGES, Hello
from tests.links.fakes import MemoryNetwork
from tests.links.nodes import NETWORK_ID, PORT, key_of, signed_record

HOST = "10.6.6.6"


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class Tls:
    """Connections of any context; clients offer to resume ``session``."""

    def __init__(self, context: SSL.Context, session: Any = None) -> None:
        self._context = context
        self._session = session

    def clientConnectionForTLS(self, _: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._session is not None:
            connection.set_session(self._session)
        return connection

    def serverConnectionForTLS(self, _: object) -> SSL.Connection:
        return SSL.Connection(self._context, None)


@implementer(IHandshakeListener)
class Stranger(Protocol):
    """Writes down what it gets; says only what the test says."""

    transport: Any

    def __init__(self) -> None:
        self.handshaken = False
        self.got: list[tuple[int, Message]] = []
        """(request id, message) of every frame that came."""
        self.lost: Failure | None = None
        self._frames = FrameBuffer(MAX_BODY_BYTES)

    def handshakeCompleted(self) -> None:
        self.handshaken = True

    def dataReceived(self, data: bytes) -> None:
        self._frames.add(data)
        while (frame := self._frames.next_frame()) is not None:
            number, request_id, body = frame
            self.got.append((request_id, PEER_MESSAGES.decode(number, body)))

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = reason

    @property
    def messages(self) -> list[Message]:
        return [message for _, message in self.got]

    def say(self, message: Message, request_id: int = 0) -> None:
        self.transport.write(encode_frame(message.NUMBER, request_id, encode(message)))

    def hello(
        self,
        *,
        key: SigningKey | None = None,
        record: NodeRecord | None = None,
        network_id: bytes = NETWORK_ID,
        versions: tuple[int, ...] = (1,),
        role: Role = Role.DIALLED,
        clock_seconds: float = 1_700_000_000,
    ) -> Hello:
        """The hello of node 66, unless something else is asked."""
        key = key or key_of(66)
        record = record or signed_record(key)
        proof = sign_link_proof(key, network_id, role, exporter_value(self.transport))
        return Hello(versions, network_id, record.encoded, int(clock_seconds * 1000), proof)


def dial(
    network: MemoryNetwork, host: str, context: SSL.Context, *, session: Any = None
) -> Stranger:
    """A stranger that dials; let the network settle before it is used."""
    stranger = Stranger()
    factory = TLSMemoryBIOFactory(
        Tls(context, session), True, _factory(lambda: stranger), network.clock
    )
    TCP4ClientEndpoint(network.reactor(HOST), host, PORT).connect(factory)
    return stranger


def listen(
    network: MemoryNetwork, context: SSL.Context, then: Callable[[Stranger], None], port: int = PORT
) -> None:
    """Strangers that are dialled, at ``HOST``; ``then`` is told of each."""

    def make() -> Stranger:
        stranger = Stranger()
        then(stranger)
        return stranger

    factory = TLSMemoryBIOFactory(Tls(context), False, _factory(make), network.clock)
    TCP4ServerEndpoint(network.reactor(HOST), port).listen(factory)


def _factory(make: Callable[[], Stranger]) -> Factory:
    class Made(Factory):
        noisy = False

        def buildProtocol(self, addr: object) -> Stranger:
            return make()

    return Made()
