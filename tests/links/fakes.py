"""A network in memory: reactors whose TCP connections are lists of bytes, all on one fake clock.

Nothing happens until :meth:`MemoryNetwork.settle` or :meth:`MemoryNetwork.advance`; then everything
happens in a fixed order. Real TLS runs over it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from errno import EMFILE
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    CannotListenError,
    ConnectBindError,
    ConnectError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    TCPTimedOutError,
)
from twisted.internet.interfaces import IReactorTCP, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

BUFFER_BYTES = 64 * 1024
"""As Twisted's: beyond it a producer is paused."""


@implementer(ITCPTransport)
class MemoryTransport:
    """One end of a connection.

    :param fragment: how many bytes are delivered at a time; 0 for all there are.
    """

    disconnecting = False

    def __init__(self, network: MemoryNetwork, host: str, fragment: int) -> None:
        self.network = network
        self.host = host
        self.fragment = fragment
        self.other: MemoryTransport
        self.protocol: Any = None
        self.no_delay = False
        self.sent_bytes = 0
        self.connected = True
        self._out = bytearray()
        self._producer: Any = None
        self._paused = False
        self.reading = True

    def connect(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    # -- what the network does

    def deliver(self) -> bool:
        """Carry some bytes over, or close where that is due; False where there is nothing to do."""
        if not self.connected or self.network.is_frozen(self.host, self.other.host):
            return False
        if self._out and self.other.connected and not self.other.reading:
            return False
        if self._out:
            take = self.fragment or len(self._out)
            data, self._out = bytes(self._out[:take]), self._out[take:]
            if self.other.connected:
                self.other.protocol.dataReceived(data)
            if not self._out and self._paused and self._producer is not None:
                self._paused = False
                self._producer.resumeProducing()
            return True
        if self.disconnecting and self._producer is None:
            self.lose(ConnectionDone())
            self.other.lose(ConnectionDone())
            return True
        return False

    def lose(self, reason: Exception) -> None:
        if not self.connected:
            return
        self.connected = False
        if self._producer is not None:
            self._producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))

    # -- what a protocol asks

    def write(self, data: bytes) -> None:
        if not self.connected or self.disconnecting:
            return
        self._out += data
        self.sent_bytes += len(data)
        if len(self._out) > BUFFER_BYTES and self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.network.clock.callLater(0, self._abort)

    def _abort(self) -> None:
        self._out.clear()
        self.lose(ConnectionAborted())
        if not self.network.is_frozen(self.host, self.other.host):
            self.other.lose(ConnectionLost())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        raise NotImplementedError

    def getTcpKeepAlive(self) -> bool:
        raise NotImplementedError

    def loseWriteConnection(self) -> None:
        raise NotImplementedError

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 0)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.other.host, 0)


class MemoryPort:
    """What ``listenTCP`` gives."""

    def __init__(self, network: MemoryNetwork, host: str, port: int) -> None:
        self._network = network
        self._place = (host, port)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", *self._place)

    def stopListening(self) -> None:
        self._network.listening.pop(self._place, None)


class Connector:
    """A connection attempt."""

    def __init__(
        self, network: MemoryNetwork, host: str, place: tuple[str, int], factory: Any
    ) -> None:
        self.host = host
        self._place = place
        self._factory = factory
        self._timer = network.clock.callLater(0, network.connect, self)

    def start(self, clock: Clock, timeout: float) -> None:
        self._factory.startedConnecting(self)
        self._timeout = clock.callLater(timeout, self.failed, TCPTimedOutError())

    def connected(self, addr: IPv4Address) -> Any:
        self._timeout.cancel()
        return self._factory.buildProtocol(addr)

    def failed(self, reason: Exception) -> None:
        if self._timeout.active():
            self._timeout.cancel()
        self._factory.clientConnectionFailed(self, Failure(reason))

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", *self._place)

    def stopConnecting(self) -> None:
        for timer in (self._timer, self._timeout):
            if timer.active():
                timer.cancel()

    def disconnect(self) -> None:
        self.stopConnecting()


@implementer(IReactorTCP)
class MemoryReactor:
    """One host's reactor: sockets of the memory network, time of its clock."""

    def __init__(self, network: MemoryNetwork, host: str) -> None:
        self._network = network
        self._host = host

    def seconds(self) -> float:
        return self._network.clock.seconds()

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        return self._network.clock.callLater(delay, call, *args, **kw)

    def getDelayedCalls(self) -> Any:
        return self._network.clock.getDelayedCalls()

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        place = (self._host, port)
        if place in self._network.listening:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        self._network.listening[place] = factory
        return MemoryPort(self._network, *place)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: object = None,
    ) -> Any:
        connector = Connector(self._network, self._host, (host, port), factory)
        connector.start(self._network.clock, timeout)
        return connector


class TurnClock(Clock):
    """A fake clock that, like the reactor, runs in one turn only what was due when it began."""

    def advance(self, amount: float) -> None:
        self.rightNow += amount
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        for call in sorted(due, key=lambda call: call.getTime()):
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class MemoryNetwork:
    """Hosts, their listening ports and the connections between them.

    :param fragment: see :class:`MemoryTransport`.
    """

    def __init__(self, fragment: int = 0, start_seconds: float = 1_700_000_000.0) -> None:
        self.clock = TurnClock()
        self.clock.advance(start_seconds)
        self.fragment = fragment
        self.listening: dict[tuple[str, int], Any] = {}
        self.transports: list[MemoryTransport] = []
        self.connections = 0
        """How many were made so far."""
        self._frozen: set[str] = set()
        self.exhausted: set[str] = set()
        """Hosts whose processes have no file descriptors left: they can dial nobody."""

    def reactor(self, host: str) -> MemoryReactor:
        return MemoryReactor(self, host)

    def connect(self, connector: Connector) -> None:
        destination = connector.getDestination()
        near, far = connector.host, destination.host
        if near in self.exhausted:
            connector.failed(ConnectBindError(EMFILE, "Too many open files"))
            return
        if self.is_frozen(near, far):
            return
        listening = self.listening.get((far, destination.port))
        if listening is None:
            connector.failed(ConnectError())
            return
        self.connections += 1
        client = MemoryTransport(self, near, self.fragment)
        server = MemoryTransport(self, far, self.fragment)
        client.other, server.other = server, client
        self.transports += [client, server]
        server_protocol = listening.buildProtocol(server.getPeer())
        client_protocol = connector.connected(client.getPeer())
        if server_protocol is None:
            server.connected = False
            client.connect(client_protocol)
            client.lose(ConnectionLost())
            return
        server.connect(server_protocol)
        client.connect(client_protocol)

    def freeze(self, host: str) -> None:
        """From now on nothing gets in or out, and nobody is told."""
        self._frozen.add(host)

    def thaw(self, host: str) -> None:
        self._frozen.discard(host)

    def is_frozen(self, *hosts: str) -> bool:
        return any(host in self._frozen for host in hosts)

    def crash(self, host: str) -> None:
        """Nobody listens there any more, and every connection is reset."""
        for place in [place for place in self.listening if place[0] == host]:
            del self.listening[place]
        for transport in self.transports:
            if transport.host == host:
                transport.lose(ConnectionAborted())
                transport.other.lose(ConnectionLost())

    def settle(self) -> None:
        """Deliver bytes and run what is due until nothing is left to do now."""
        busy = True
        while busy:
            # A list, so that every transport gets its turn.
            delivered = [transport.deliver() for transport in list(self.transports)]
            busy = any(delivered)
            self.transports = [one for one in self.transports if one.connected]
            due = self._next_due()
            if due is not None and due <= self.clock.seconds():
                self.clock.advance(0)
                busy = True

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping wherever something is due."""
        end = self.clock.seconds() + seconds
        self.settle()
        while (due := self._next_due()) is not None and due <= end:
            self.clock.advance(due - self.clock.seconds())
            self.settle()
        self.clock.advance(max(0.0, end - self.clock.seconds()))
        self.settle()

    def _next_due(self) -> float | None:
        return min((call.getTime() for call in self.clock.getDelayedCalls()), default=None)


class Counts:
    """Counters that remember sums and values, by name and labels."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, ...], int] = {}
        self.values: dict[tuple[str, ...], float] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        key = (name, *labels.values())
        self.sums[key] = self.sums.get(key, 0) + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.values[name, *labels.values()] = value

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        self.gauge(name, seconds, **labels)


class Heard:
    """A :class:`~tace.seams.LinkEvents` that writes everything down."""

    def __init__(self) -> None:
        self.events: list[tuple[str, bytes]] = []

    def link_up(self, record: Any) -> None:
        self.events.append(("up", record.node_id))

    def link_lost(self, node: bytes) -> None:
        self.events.append(("lost", node))

    def unreachable(self, node: bytes) -> None:
        self.events.append(("unreachable", node))

    def names(self, of: Collection[bytes] | None = None) -> list[str]:
        return [name for name, node in self.events if of is None or node in of]
