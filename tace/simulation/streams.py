"""A simulated connection between two hosts: bytes in order, late, and sometimes not at all.

It behaves as TCP does. What cannot get through is sent again when the way is open, so that a cut
stalls a connection and does not end it. Whoever sends to an end that is gone is told so by a reset,
if its host is there to say it. TLS costs its round trips and does nothing else: the frames of the
links cross as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tace.simulation.process import Process

WINDOW_BYTES = 1024 * 1024
"""What may be on its way at one time: beyond it a producer is paused, as when a socket is full."""


class Kind(IntEnum):
    """What a packet is."""

    DATA = 0
    CLIENT_HELLO = 1
    SERVER_FINISHED = 2
    CLIENT_FINISHED = 3
    FIN = 4
    RESET = 5


class Ways(Protocol):
    """What a connection asks of its network."""

    def seconds(self) -> float:
        """The time of the world."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something happen in the network after a while."""

    def is_open(self, source: str, destination: str) -> bool:
        """Do packets get through now, to a host that is there?"""

    def delay_seconds(self, source: str, destination: str) -> float:
        """How long the next packet takes."""

    def count(self, source: str, data_bytes: int) -> None:
        """So much was sent."""

    def stalled(self, end: StreamEnd) -> None:
        """It has something to send that does not get through: call its ``resend`` when it may."""


class SessionKeys:
    """What the two ends of a TLS session know, as an OpenSSL connection would tell it."""

    def __init__(self, connection: int) -> None:
        self._connection = connection

    def get_alpn_proto_negotiated(self) -> bytes:
        return b"tace/1"

    def export_keying_material(self, label: bytes, length: int, context: bytes = b"") -> bytes:
        """The same at both ends, and in no other session."""
        return sha256(b"session %d " % self._connection + label + context).digest()[:length]


class _Packet:
    """``data`` grows until the turn in which the packet was written is over."""

    __slots__ = ("data", "kind", "sent_at")

    def __init__(self, kind: Kind, sent_at: float) -> None:
        self.kind = kind
        self.sent_at = sent_at
        self.data: list[bytes] = []


@implementer(ITransport)
class StreamEnd:
    """One end of a connection: the transport of a link, where TLS would be.

    :param process: whose end it is.
    :param host: where that runs.
    """

    disconnecting = False

    def __init__(self, ways: Ways, process: Process, host: str, keys: SessionKeys) -> None:
        self._ways = ways
        self.process = process
        self.host = host
        self.other: StreamEnd
        self._keys = keys
        self._protocol: Any = None
        self.connected = False
        self._line: deque[_Packet] = deque()
        """What is on its way, and behind the first that did not get through all the others."""
        self._last_arrival = 0.0
        self._missed = 0
        """Packets that should have arrived and have not."""
        self._unread: deque[_Packet] = deque()
        self._reading = True
        self._producer: Any = None
        self._producer_paused = False
        self._window_bytes = 0

    def start(self, protocol: Any, *, dialled: bool) -> None:
        """The connection stands at this end; the side that dialled begins the handshake."""
        self._protocol = protocol
        self.connected = True
        protocol.makeConnection(self)
        if dialled and self.connected:
            self._put(Kind.CLIENT_HELLO)

    def refuse(self) -> None:
        """Nobody wants this connection any more; it was not started."""
        self._put(Kind.RESET)

    # -- what goes out ---------------------------------------------------------------------------

    def _put(self, kind: Kind, data: bytes = b"") -> None:
        now = self._ways.seconds()
        last = self._line[-1] if self._line else None
        if last is not None and kind is Kind.DATA and last.kind is kind and last.sent_at == now:
            last.data.append(data)
            return
        packet = _Packet(kind, now)
        packet.data.append(data)
        self._line.append(packet)
        if self._missed:
            self._missed += 1
        else:
            self._set_out(now)

    def _set_out(self, now: float) -> None:
        """One more packet will arrive: after its delay, and never before what is ahead of it."""
        arrival = now + self._ways.delay_seconds(self.host, self.other.host)
        self._last_arrival = max(self._last_arrival, arrival)
        self._ways.later(self._last_arrival - now, self._arrive)

    def _arrive(self) -> None:
        if not self._line:
            return
        if self._missed or not self._ways.is_open(self.host, self.other.host):
            self._missed += 1
            if self._missed == 1:
                self._ways.stalled(self)
            return
        packet = self._line.popleft()
        other = self.other
        if other.connected and other.process.alive:
            other.process.turn(other.receive, packet)
        elif other.process.alive and other.process.stalled and not other.begun:
            # The host has accepted the connection, and keeps what comes until the program looks.
            other.process.turn(self._arrived_late, packet)
        elif packet.kind not in (Kind.RESET, Kind.FIN):
            # Nobody is there any more; the host says so.
            other._put(Kind.RESET)

    def _arrived_late(self, packet: _Packet) -> None:
        if self.other.connected:
            self.other.receive(packet)
        elif packet.kind not in (Kind.RESET, Kind.FIN):
            self.other._put(Kind.RESET)

    @property
    def begun(self) -> bool:
        """Has a program taken this end, now or before?"""
        return self._protocol is not None

    def resend(self) -> None:
        """The way may be open again."""
        missed, self._missed = self._missed, 0
        now = self._ways.seconds()
        for _ in range(missed):
            self._set_out(now)

    def lose_power(self) -> None:
        """What has not left this host never will."""
        self._line.clear()
        self._missed = 0
        self.connected = False

    def process_ended(self) -> None:
        """Its process was killed: the host finishes sending, and ends the connection."""
        if self.connected:
            self.connected = False
            self._put(Kind.RESET)

    def taken(self, data_bytes: int) -> None:
        """So much was read at the other end."""
        self._window_bytes -= data_bytes
        if self._producer_paused and self._window_bytes <= WINDOW_BYTES // 2:
            self._producer_paused = False
            self.process.turn(self._producer.resumeProducing)

    # -- what comes in ---------------------------------------------------------------------------

    def receive(self, packet: _Packet) -> None:
        """A packet has come to this end."""
        if self._unread or not (self._reading or packet.kind is Kind.RESET):
            self._unread.append(packet)
            return
        match packet.kind:
            case Kind.DATA:
                data = b"".join(packet.data)
                self._protocol.dataReceived(data)
                self.other.taken(len(data))
            case Kind.CLIENT_HELLO:
                self._put(Kind.SERVER_FINISHED)
            case Kind.SERVER_FINISHED:
                self._put(Kind.CLIENT_FINISHED)
                self._protocol.handshakeCompleted()
            case Kind.CLIENT_FINISHED:
                self._protocol.handshakeCompleted()
            case Kind.FIN:
                if not self.disconnecting:
                    self._put(Kind.FIN)
                self._lose(ConnectionDone())
            case Kind.RESET:
                self._lose(ConnectionLost())

    def _lose(self, reason: Exception) -> None:
        if not self.connected:
            return
        self.connected = False
        self._unread.clear()
        if self._producer is not None:
            self._producer.stopProducing()
        self._protocol.connectionLost(Failure(reason))

    # -- what a protocol asks --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if not self.connected or self.disconnecting or not data:
            return
        self._put(Kind.DATA, data)
        self._ways.count(self.host, len(data))
        self._window_bytes += len(data)
        paused = self._producer is None or self._producer_paused
        if self._window_bytes > WINDOW_BYTES and not paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._put(Kind.FIN)

    def abortConnection(self) -> None:
        if self.connected:
            self.disconnecting = True
            self._put(Kind.RESET)
            # Never told within the call.
            self._ways.later(0.0, lambda: self.process.turn(self._lose, ConnectionAborted()))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producer_paused = False

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        if not self._reading:
            self._reading = True
            self._ways.later(0.0, lambda: self.process.turn(self._read_on))

    def _read_on(self) -> None:
        while self._unread and self._reading and self.connected:
            waiting, self._unread = self._unread, deque()
            self.receive(waiting.popleft())
            self._unread.extendleft(reversed(waiting))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits for company here in any case."""

    def getHandle(self) -> SessionKeys:
        return self._keys

    def getHost(self) -> IAddress:
        return IPv4Address("TCP", self.host, 0)

    def getPeer(self) -> IAddress:
        return IPv4Address("TCP", self.other.host, 0)
