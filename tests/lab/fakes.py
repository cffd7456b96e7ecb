"""Nodes that are no processes: a reactor that only pretends to start them, and their answers."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import LinkLost
from tace.ids import Place
from tace.wire.client import (
    Challenge,
    GetStatus,
    PositionStatus,
    StatusInfo,
    encode_client_message,
    split_client_message,
)
from tace.wire.message import Message


class FakeProcess:
    """A process transport. It ends when it is told to, unless it is stubborn, or stopped: then the
    signal waits until it goes on.
    """

    def __init__(self, protocol: ProcessProtocol, arguments: Sequence[str], env: Any, pid: int):
        self.protocol = protocol
        self.arguments = list(arguments)
        self.env = dict(env)
        self.pid = pid
        self.stubborn = False
        self.stopped = False
        self.signals: list[str | int] = []
        self.stdin_closed = False
        self.over = False

    def closeStdin(self) -> None:
        self.stdin_closed = True

    def signalProcess(self, name: str | int) -> None:
        if self.over:
            raise ProcessExitedAlready
        self.signals.append(name)
        if name == "KILL":
            self.end(signal=9)
        elif name in ("STOP", signal.SIGCONT):
            self.stopped = name == "STOP"
        if "TERM" in self.signals and not (self.over or self.stopped or self.stubborn):
            self.end()

    def end(self, status: int = 0, signal: int | None = None, last_words: bytes = b"") -> None:
        self.over = True
        if last_words:
            self.protocol.errReceived(last_words)
        reason: Exception = ProcessDone(0)
        if status or signal:
            reason = ProcessTerminated(status or None, signal)
        self.protocol.processEnded(Failure(reason))


class FakeReactor(Clock):
    """Time, and processes that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakeProcess] = []

    def spawnProcess(
        self, protocol: ProcessProtocol, executable: str, args: Sequence[str], env: Any
    ) -> FakeProcess:
        process = FakeProcess(protocol, args, env, 1000 + len(self.processes))
        self.processes.append(process)
        protocol.makeConnection(process)
        return process


class FakeGateway:
    """The client port of one node; answers ``status`` with whatever ``status`` is."""

    def __init__(self, status: StatusInfo, clock: Clock) -> None:
        self.status = status
        self.up = False
        self.closed = 0
        self._clock = clock
        self._connection: Connection | None = None

    def dial(self, address: NodeAddress) -> Deferred[Connection]:
        if not self.up:
            return fail(LinkLost(f"{address}: nobody there"))
        self._connection = Connection(address, self, self._clock)
        challenge = Challenge(
            challenge=bytes(32),
            clock_ms=int(self._clock.seconds() * 1000),
            network_id=self.status.network_id,
            node_id=self.status.node_id,
            names=(address.origin,),
            versions=(1,),
            software="",
            requests_stamp_bits=0,
            max_lifetime_hours=1,
            requests_in_flight=4,
        )
        self._say(challenge, 0)
        return succeed(self._connection)

    def send(self, data: bytes) -> None:
        number, request_id, _ = split_client_message(data)
        assert number == GetStatus.NUMBER
        # Nothing on a network is answered in the turn in which it is asked.
        self._clock.callLater(0, self._say, self.status, request_id)

    def close(self) -> None:
        self.closed += 1

    def _say(self, message: Message, request_id: int) -> None:
        assert self._connection is not None
        self._connection.received(encode_client_message(message, request_id))


def ring_statuses(nodes: int, positions: int = 4) -> list[StatusInfo]:
    """What the nodes of an ideal ring say."""
    ids = [bytes([index + 1]) * 32 for index in range(nodes)]
    places = [[Place(node, index).position for index in range(positions)] for node in ids]
    ring = sorted(position for own in places for position in own)
    return [
        StatusInfo(
            node_id=node,
            network_id=bytes(32),
            version="0.1.0",
            positions=tuple(
                PositionStatus(
                    position,
                    ring[ring.index(position) - 1],
                    tuple(ring[(ring.index(position) + step) % len(ring)] for step in (1, 2)),
                )
                for position in own
            ),
            members=nodes,
            items=0,
            bytes=0,
            state="member" if nodes > 1 else "alone",
        )
        for node, own in zip(ids, places, strict=True)
    ]
