"""Hosts and the ways between them: latency, cuts, silence, and sockets for the production links.

A :class:`Host` is what :class:`~tace.links.service.PeerLinks` takes for its reactor: it listens and
dials as the real one does. Everything above the socket is the production code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectError, TCPTimedOutError
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint
from zope.interface import implementer

from tace.simulation.clock import VirtualClock
from tace.simulation.process import Process
from tace.simulation.streams import SessionKeys, StreamEnd

Latency = Callable[[Random, str, str], float]
"""Seconds that the next packet from one host to another one takes."""


def uniform_latency(least_seconds: float, most_seconds: float) -> Latency:
    """Anything between the two, for every pair of hosts alike."""

    def latency(random: Random, source: str, destination: str) -> float:
        return random.uniform(least_seconds, most_seconds)

    return latency


NEARBY = uniform_latency(0.005, 0.025)
"""Within one continent."""


class Network:
    """All hosts, and what gets from one to another.

    :param random: for latencies only, so that they do not change with what nodes draw.
    """

    def __init__(self, clock: VirtualClock, random: Random, latency: Latency = NEARBY) -> None:
        self._clock = clock
        self._random = random
        self.latency = latency
        self._down: dict[str, None] = {}
        self._cut: dict[tuple[str, str], None] = {}
        self._stalled: dict[StreamEnd, None] = {}
        self._ends: dict[str, dict[StreamEnd, None]] = {}
        self._listening: dict[tuple[str, int], tuple[Process, Any]] = {}
        self.connections = 0
        """How many have been made so far."""
        self.bytes_sent: dict[str, int] = {}
        """By host: frames, without TLS and TCP."""

    # -- what a scenario does --------------------------------------------------------------------

    @property
    def is_cut(self) -> bool:
        """Is any way between two hosts closed?"""
        return bool(self._cut)

    def cut(self, source: str, destination: str) -> None:
        """Nothing gets from one host to the other any more; the way back is another one."""
        self._cut[source, destination] = None

    def partition(self, *groups: Collection[str]) -> None:
        """Cut all ways between hosts of different groups."""
        for one in groups:
            for other in groups:
                if one is not other:
                    for source in one:
                        for destination in other:
                            self.cut(source, destination)

    def heal(self) -> None:
        """Open every way again."""
        self._cut.clear()
        self._try_again()

    def power_off(self, host: str) -> None:
        """It is gone without a word: nothing gets in or out, what it still had to send is lost."""
        self._down[host] = None
        for place in [place for place in self._listening if place[0] == host]:
            del self._listening[place]
        for end in self._ends.pop(host, {}):
            end.lose_power()
            self._stalled.pop(end, None)

    def power_on(self, host: str) -> None:
        """It is there again, with no connections; who still sends on one of the old is told."""
        del self._down[host]
        self._try_again()

    def end_process(self, host: str) -> None:
        """The program on a host was killed: the host closes what it had open."""
        for place in [place for place in self._listening if place[0] == host]:
            del self._listening[place]
        for end in self._ends.pop(host, {}):
            end.process_ended()

    def reset_connections(self, host: str) -> None:
        """Every connection of a host breaks at both ends, as when a router on the way restarts."""
        for end in list(self._ends.get(host, {})):
            for one in (end, end.other):
                one.process.turn(one.abortConnection)

    # -- hosts -----------------------------------------------------------------------------------

    def host(self, name: str, process: Process) -> Host:
        """The sockets of a host, for one program that runs there."""
        return Host(self, name, process)

    def listen(self, process: Process, host: str, port: int, factory: Any) -> None:
        """:raises CannotListenError: somebody listens there already."""
        if (host, port) in self._listening:
            raise CannotListenError(host, port, OSError(98, "Address already in use"))
        self._listening[host, port] = (process, factory)

    def stop_listening(self, host: str, port: int) -> None:
        self._listening.pop((host, port), None)

    def connect(
        self,
        process: Process,
        source: str,
        place: tuple[str, int],
        connected: Callable[[StreamEnd], None],
        refused: Callable[[], None],
    ) -> None:
        """Dial; where the way is not open nothing is heard of it.

        :param connected: called with this side's end of the connection.
        """
        destination = place[0]

        def ask() -> None:
            if not self.is_open(source, destination):
                return
            listening = self._listening.get(place)
            if listening is None or not listening[0].alive:
                self.later(self.delay_seconds(destination, source), refused)
                return
            self.connections += 1
            keys = SessionKeys(self.connections)
            near = StreamEnd(self, process, source, keys)
            far = StreamEnd(self, listening[0], destination, keys)
            near.other, far.other = far, near
            listening[0].turn(self._accept, far, listening[1])
            self.later(self.delay_seconds(destination, source), lambda: answered(near))

        def answered(near: StreamEnd) -> None:
            if self.is_open(destination, source) and process.alive:
                self._note(near)
                connected(near)

        self.later(self.delay_seconds(source, destination), ask)

    def _accept(self, end: StreamEnd, factory: Any) -> None:
        wrapper = factory.buildProtocol(end.getPeer())
        if wrapper is not None:
            self._note(end)
            # The link itself: TLS would stand between.
            end.start(wrapper.wrappedProtocol, dialled=False)

    def _note(self, end: StreamEnd) -> None:
        ends = self._ends.setdefault(end.host, {})
        if len(ends) >= 64 and len(ends) % 64 == 0:
            for over in [e for e in ends if not e.connected]:
                del ends[over]
        ends[end] = None

    # -- Ways ------------------------------------------------------------------------------------

    def seconds(self) -> float:
        return self._clock.seconds()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._clock.callLater(seconds, call)

    def is_open(self, source: str, destination: str) -> bool:
        return (source, destination) not in self._cut and destination not in self._down

    def delay_seconds(self, source: str, destination: str) -> float:
        return self.latency(self._random, source, destination)

    def count(self, source: str, data_bytes: int) -> None:
        self.bytes_sent[source] = self.bytes_sent.get(source, 0) + data_bytes

    def stalled(self, end: StreamEnd) -> None:
        self._stalled[end] = None

    def _try_again(self) -> None:
        for end in [e for e in self._stalled if self.is_open(e.host, e.other.host)]:
            del self._stalled[end]
            end.resend()


class Host:
    """The sockets of one host, as a reactor has them."""

    def __init__(self, network: Network, name: str, process: Process) -> None:
        self._network = network
        self._name = name
        self._process = process

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Port:
        self._network.listen(self._process, self._name, port, factory)
        return Port(self._network, self._name, port)

    def endpoint(self, timeout_seconds: float) -> Callable[[str, int], IStreamClientEndpoint]:
        """Endpoints that dial from this host."""

        def endpoint(host: str, port: int) -> IStreamClientEndpoint:
            return Endpoint(self._network, self._name, self._process, (host, port), timeout_seconds)

        return endpoint


@implementer(IListeningPort)
class Port:
    """What ``listenTCP`` gives."""

    def __init__(self, network: Network, host: str, port: int) -> None:
        self._network = network
        self._place = (host, port)

    def startListening(self) -> None:
        """It listens from the beginning."""

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", *self._place)

    def stopListening(self) -> None:
        self._network.stop_listening(*self._place)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Somewhere to dial."""

    def __init__(
        self,
        network: Network,
        source: str,
        process: Process,
        place: tuple[str, int],
        timeout_seconds: float,
    ) -> None:
        self._network = network
        self._source = source
        self._process = process
        self._place = place
        self._timeout_seconds = timeout_seconds

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """A link; fails as a TCP endpoint does."""
        connecting: Deferred[Any] = Deferred(lambda _: timer.cancel())
        timer = self._process.callLater(
            self._timeout_seconds, lambda: connecting.errback(TCPTimedOutError())
        )

        def connected(end: StreamEnd) -> None:
            self._process.turn(begin, end)

        def begin(end: StreamEnd) -> None:
            if connecting.called:
                end.refuse()
                return
            timer.cancel()
            link = protocolFactory.buildProtocol(end.getPeer()).wrappedProtocol
            end.start(link, dialled=True)
            connecting.callback(link)

        def refuse() -> None:
            if not connecting.called:
                timer.cancel()
                connecting.errback(ConnectError())

        self._network.connect(
            self._process,
            self._source,
            self._place,
            connected,
            lambda: self._process.turn(refuse),
        )
        return connecting
