"""Echoes over WebSockets: what asks for them, and the bare Autobahn server that they compare with.

Run as ``python -m tace.lab.bench.websocket ANSWER-BYTES`` it is that server: it prints its port,
answers each message with one of so many bytes, and ends when its standard input does.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO

from tace.errors import LinkLost
from tace.lab.layout import LOOPBACK
from tace.wire.client import SUBPROTOCOL


class _Asker(WebSocketClientProtocol):
    """One connection: one message under way at a time."""

    def __init__(self, greeted: bool) -> None:
        super().__init__()
        self.ready: Deferred[None] = Deferred()
        self._greeted = greeted
        self._question = b""
        self._left = 0
        self._through: Deferred[None] | None = None

    def onOpen(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        if not self._greeted:
            self._become_ready()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if not self.ready.called:
            self._become_ready()
            return
        self._left -= 1
        if self._left > 0:
            self.sendMessage(self._question, isBinary=True)
        elif self._through is not None:
            through, self._through = self._through, None
            through.callback(None)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        for waiting in (self._through, self.ready):
            if waiting is not None and not waiting.called:
                waiting.errback(LinkLost(f"an echo's connection ended: {reason}"))

    def ask(self, question: bytes, times: int) -> Deferred[None]:
        """Fires when so many answers have come, each to the question after the one before."""
        self._question, self._left = question, times
        self._through = Deferred()
        self.sendMessage(question, isBinary=True)
        return self._through

    def _become_ready(self) -> None:
        self.ready.callback(None)


class EchoClients:
    """Many connections to one server, each with one message under way.

    :param greeted: the server speaks first, as a node does.
    """

    def __init__(self, reactor: Any, port: int, path: str, *, greeted: bool) -> None:
        self._reactor = reactor
        self._port = port
        self._url = f"ws://{LOOPBACK}:{port}{path}"
        self._greeted = greeted
        self._askers: list[_Asker] = []

    async def connect(self, count: int) -> None:
        """:raises LinkLost: the server does not let them in."""
        factory = WebSocketClientFactory(self._url, protocols=[SUBPROTOCOL], reactor=self._reactor)
        factory.setProtocolOptions(openHandshakeTimeout=10, failByDrop=True)
        # Autobahn declares a class here; all it does is call it.
        factory.protocol = partial(_Asker, self._greeted)  # type: ignore[assignment]
        endpoint = TCP4ClientEndpoint(self._reactor, LOOPBACK, self._port)
        for _ in range(count):
            asker: Any = await endpoint.connect(factory)
            await asker.ready
            self._askers.append(asker)

    async def ask(self, question: bytes, times_each: int) -> None:
        """All of them at once; returns when all have all their answers."""
        await gatherResults([asker.ask(question, times_each) for asker in self._askers])

    def close(self) -> None:
        for asker in self._askers:
            asker.dropConnection(abort=True)


class _Echo(WebSocketServerProtocol):
    """Answers; of the message it reads nothing."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def onConnect(self, request: Any) -> str:
        return SUBPROTOCOL

    def onOpen(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(self._answer, isBinary=True)


class _EndWithInput(Protocol):
    """Stops the program when nobody is there any more."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: Any = None) -> None:
        if self._reactor.running:
            self._reactor.stop()


def main() -> None:
    from twisted.internet import reactor

    factory = WebSocketServerFactory(protocols=[SUBPROTOCOL], reactor=reactor)
    factory.protocol = partial(_Echo, bytes(int(sys.argv[1])))  # type: ignore[assignment]
    port: Any = reactor.listenTCP(0, factory, interface=LOOPBACK)
    sys.stdout.write(f"{port.getHost().port}\n")
    sys.stdout.flush()
    # Ctrl-C is for the bench, which then closes the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    StandardIO(_EndWithInput(reactor), reactor=reactor)
    reactor.run()


if __name__ == "__main__":
    main()
