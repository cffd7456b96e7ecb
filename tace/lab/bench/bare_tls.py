"""Requests and answers of fixed sizes over Twisted's TLS, with nothing else around them."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from tace.errors import LinkLost
from tace.lab.layout import LOOPBACK

_LENGTH = Struct(">I")


class _Frames(Protocol):
    """Frames with a length of four bytes before them; one write for all of a read."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        at, count, size = 0, 0, len(self._buffer)
        while size - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._buffer, at)[0]
            if end > size:
                break
            # As whoever takes a frame would have to.
            bytes(memoryview(self._buffer)[at + _LENGTH.size : end])
            at, count = end, count + 1
        del self._buffer[:at]
        if count:
            self.arrived(count)

    def arrived(self, count: int) -> None:
        """So many whole frames have come."""


class _Answers(_Frames):
    """Answers each frame with one of ``answer_bytes``."""

    def __init__(self, answer_bytes: int) -> None:
        super().__init__()
        self._answer = _LENGTH.pack(answer_bytes) + bytes(answer_bytes)

    def arrived(self, count: int) -> None:
        assert self.transport is not None
        self.transport.write(self._answer * count)


class BareRequests(_Frames):
    """Keeps requests of ``request_bytes`` in flight until so many are answered."""

    def __init__(self, request_bytes: int) -> None:
        super().__init__()
        self._request = _LENGTH.pack(request_bytes) + bytes(request_bytes)
        self._unsent = 0
        self._unanswered = 0
        self._through: Deferred[None] | None = None

    def exchange(self, count: int, depth: int) -> Deferred[None]:
        """Fires when ``count`` are answered; ``depth`` of them are under way at a time."""
        self._through = Deferred()
        self._unanswered = count
        first = min(depth, count)
        self._unsent = count - first
        assert self.transport is not None
        self.transport.write(self._request * first)
        return self._through

    def arrived(self, count: int) -> None:
        self._unanswered -= count
        more = min(count, self._unsent)
        self._unsent -= more
        assert self.transport is not None
        if more:
            self.transport.write(self._request * more)
        if not self._unanswered and self._through is not None:
            through, self._through = self._through, None
            through.callback(None)

    def connectionLost(self, reason: Any = None) -> None:
        through, self._through = self._through, None
        if through is not None:
            through.errback(LinkLost("the bare connection broke"))


class BareTls:
    """Both ends, in this process, over loopback.

    :param tls: makes OpenSSL's connections for either side, as Twisted wants it.
    """

    def __init__(self, reactor: Any, tls: Any, request_bytes: int, answer_bytes: int) -> None:
        self._reactor = reactor
        self._tls = tls
        self._request_bytes = request_bytes
        self._answer_bytes = answer_bytes

    async def open(self) -> BareRequests:
        """:raises Exception: Twisted's, where there is no listening or connecting."""
        serving = _factory(lambda: _Answers(self._answer_bytes))
        self._port = await TCP4ServerEndpoint(self._reactor, 0, interface=LOOPBACK).listen(
            TLSMemoryBIOFactory(self._tls, False, serving, self._reactor)
        )
        outer: Any = await TCP4ClientEndpoint(
            self._reactor, LOOPBACK, self._port.getHost().port
        ).connect(
            TLSMemoryBIOFactory(
                self._tls, True, _factory(lambda: BareRequests(self._request_bytes)), self._reactor
            )
        )
        self._outer = outer
        requests = outer.wrappedProtocol
        assert isinstance(requests, BareRequests)
        return requests

    async def close(self) -> None:
        self._outer.abortConnection()
        await self._port.stopListening()


def _factory(make: Callable[[], Protocol]) -> Factory:
    return Factory.forProtocol(make)
