"""``tace bench gateway``: a node answering its clients, beside a bare Autobahn server."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tace.client.address import SOCKET_PATH
from tace.client.websocket import WebSocketDialer
from tace.errors import StartError
from tace.lab.bench.machine import cpu_seconds, ensure_descriptors
from tace.lab.bench.rates import rates_off
from tace.lab.bench.websocket import EchoClients
from tace.lab.layout import lay_out
from tace.lab.network import LocalNetwork
from tace.lab.process import NodeProcess
from tace.lab.tied import tied
from tace.wire.client import ClientPing, ClientPong, encode_client_message

REPEATS = 3
_SPARE_DESCRIPTORS = 128


class EchoFigures(msgspec.Struct, frozen=True):
    """Of one server process; the rate is by the clock, with a client that shares the machine."""

    echoes_per_second: float
    cpu_us_per_echo: float


class GatewayReport(msgspec.Struct, frozen=True):
    """``tace bench gateway --json``."""

    connections: int
    echoes: int
    question_bytes: int
    answer_bytes: int
    node: EchoFigures
    bare_autobahn: EchoFigures
    ratio: float
    """Bare Autobahn's CPU an echo by the node's: the ratio of the rates that a core could do."""


class BareServer(ProcessProtocol):
    """The bare server's process (:mod:`tace.lab.bench.websocket`)."""

    def __init__(self) -> None:
        self.pid = 0
        self.port: Deferred[int] = Deferred()
        self._said = b""
        self._gone: list[Deferred[None]] = []
        self._ended = False

    def start(self, reactor: Any, environ: Mapping[str, str], answer_bytes: int) -> None:
        """:raises StartError: no process can be made."""
        command = tied([sys.executable, "-m", "tace.lab.bench.websocket", str(answer_bytes)])
        try:
            self.pid = reactor.spawnProcess(self, command[0], command, env=dict(environ)).pid
        except OSError as error:
            raise StartError(f"bare server: {error.strerror or error}") from None

    def end(self) -> Deferred[None]:
        """Its input is closed; fires when it is gone."""
        gone: Deferred[None] = Deferred()
        if self._ended or self.transport is None:
            gone.callback(None)
        else:
            self._gone.append(gone)
            self.transport.closeStdin()
        return gone

    def outReceived(self, data: bytes) -> None:
        self._said += data
        if b"\n" in self._said and not self.port.called:
            self.port.callback(int(self._said))

    def processEnded(self, reason: Failure) -> None:
        self._ended = True
        if not self.port.called:
            self.port.errback(StartError("the bare server ended before it had a port"))
        gone, self._gone = self._gone, []
        for each in gone:
            each.callback(None)


class GatewayBench:
    """Starts a node and a bare server, and asks both of them, in turns.

    :param base_dir: the node's directory goes there; it is the caller's to remove.
    """

    def __init__(
        self,
        reactor: Any,
        base_dir: Path,
        environ: Mapping[str, str],
        *,
        connections: int,
        echoes: int,
    ) -> None:
        self._reactor = reactor
        self._base_dir = base_dir
        self._environ = environ
        self._connections = connections
        self._each = max(1, echoes // connections)
        self._bare = BareServer()
        self._network: LocalNetwork | None = None

    async def run(self) -> GatewayReport:
        """:raises StartError: one line. What has been started is still there: call :meth:`stop`."""
        # What the node says back is as long as this; the bare server's answers are, too.
        question = encode_client_message(ClientPing(), 1)
        answer = encode_client_message(ClientPong(int(self._reactor.seconds() * 1000)), 1)
        ensure_descriptors(2 * self._connections + _SPARE_DESCRIPTORS, "the bench")
        self._bare.start(self._reactor, self._environ, len(answer))
        bare_port = await self._bare.port
        node = await self._start_node()
        asks = (
            EchoClients(self._reactor, node.plan.client_port, SOCKET_PATH, greeted=True),
            EchoClients(self._reactor, bare_port, "/", greeted=False),
        )
        try:
            for clients in asks:
                await clients.connect(self._connections)
                await clients.ask(question, 10)
            runs: tuple[list[EchoFigures], list[EchoFigures]] = ([], [])
            for _ in range(REPEATS):
                for clients, pid, figures in zip(
                    asks, (node.pid, self._bare.pid), runs, strict=True
                ):
                    figures.append(await self._measured(clients, question, pid))
        finally:
            for clients in asks:
                clients.close()
        own, bare = (min(figures, key=lambda f: f.cpu_us_per_echo) for figures in runs)
        return GatewayReport(
            connections=self._connections,
            echoes=self._each * self._connections,
            question_bytes=len(question),
            answer_bytes=len(answer),
            node=own,
            bare_autobahn=bare,
            ratio=round(bare.cpu_us_per_echo / own.cpu_us_per_echo, 2),
        )

    async def stop(self) -> None:
        """Ends both processes."""
        await self._bare.end()
        if self._network is not None:
            await self._network.stop()

    # -- watcher of the network ------------------------------------------------------------------

    def progress(self, answering: int, text: str) -> None:
        """One node is quick to start."""

    def died(self, node: NodeProcess) -> None:
        """Its connections end with it, and that is told."""

    # -- inside ----------------------------------------------------------------------------------

    async def _start_node(self) -> NodeProcess:
        settings = {"node.log_level": "warn", **rates_off()}
        self._network = LocalNetwork(
            self._reactor,
            self._base_dir,
            lay_out(self._base_dir, 1, 0, settings),
            dial=WebSocketDialer(self._reactor),
            watcher=self,
            environ=self._environ,
        )
        await self._network.start()
        return self._network.processes[0]

    async def _measured(self, clients: EchoClients, question: bytes, pid: int) -> EchoFigures:
        began, used = time.perf_counter(), cpu_seconds(pid)
        await clients.ask(question, self._each)
        seconds, cpu = time.perf_counter() - began, cpu_seconds(pid) - used
        echoes = self._each * self._connections
        return EchoFigures(round(echoes / seconds, 1), round(cpu / echoes * 1e6, 2))
