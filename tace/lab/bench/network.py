"""One run of ``tace bench network``: nodes and load generators, from their start to the figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults

from tace.client.websocket import WebSocketDialer
from tace.config.sections import TABLE
from tace.errors import StartError
from tace.lab.bench.certificate import LoopbackCertificate
from tace.lab.bench.crew import Crew
from tace.lab.bench.machine import cpu_seconds, ensure_descriptors, resident_bytes
from tace.lab.bench.orders import ConnectIdle, FlowPlan, Go, Load, Outcome, Prepare
from tace.lab.bench.rates import rates_off
from tace.lab.bench.reference import Reference
from tace.lab.bench.report import NetworkReport, Totals
from tace.lab.bench.scrape import LagCounts, scrape
from tace.lab.layout import NodePlan, lay_out
from tace.lab.network import LocalNetwork
from tace.lab.process import NodeProcess

DRAIN_SECONDS = 10.0
LEAD_SECONDS = 0.3
"""From the last look at the nodes to the first message."""
MAX_LETTERS = 400_000
"""Messages that are sealed ahead: 3.7 kB of memory each."""
MOST_PER_SECOND = 10_000
"""As many are sealed for each second of a closed loop."""
MAX_SOCKET_PATH_BYTES = 100
METRICS_SOCKET = "metrics.sock"
_SPARE_DESCRIPTORS = 128


class Screen(Protocol):
    """Shows how it goes."""

    def step(self, text: str, total: float | None = None) -> None:
        """A new step begins; ``total``: where its progress will end."""

    def progress(self, done: float) -> None:
        """Of the step under way so much is done."""

    def say(self, text: str) -> None:
        """One line for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be measured.

    :param clients: so many, each with an inbox and an outbox, each writing to the next one; 0:
        ``pairs`` of a sender and a receiver.
    :param rate: messages a second; 0: ``depth`` in flight for each pair or client.
    :param copies: ``ring.replicas``; 0: the nodes' default.
    :param certificate: clients come over TLS, and have been told to trust this one.
    """

    nodes: int
    copies: int
    clients: int
    pairs: int
    depth: int
    rate: float
    seconds: float
    idle_clients: int
    workers: int
    certificate: LoopbackCertificate | None = None

    @property
    def flows(self) -> int:
        return self.clients or self.pairs

    @property
    def letters_per_flow(self) -> int:
        """:raises StartError: more than may be sealed ahead."""
        total = (self.rate or MOST_PER_SECOND) * self.seconds
        if total > MAX_LETTERS and self.rate:
            raise StartError(
                f"{total:,.0f} messages would be sealed ahead, and at most {MAX_LETTERS:,} are: "
                "a lower --rate, or fewer --seconds"
            )
        return int(min(total, MAX_LETTERS) / self.flows) + 2


def flow_plans(flows: int, urls: list[str]) -> list[FlowPlan]:
    """Spreads senders and receivers over the nodes; the two of a flow at different ones."""
    count = len(urls)
    return [
        FlowPlan(
            number,
            urls[number % count],
            # The distance grows, so that all pairs of nodes get their turn.
            urls[(number + 1 + number // count % max(1, count - 1)) % count],
        )
        for number in range(flows)
    ]


def shared_out(total: int, shares: int) -> list[int]:
    """``total`` in parts that differ by one at most."""
    return [total // shares + (index < total % shares) for index in range(shares)]


class NetworkBench:
    """Starts everything, measures once, ends everything.

    :param base_dir: the nodes' directories go there; it is the caller's to remove.
    :param environ: what all processes inherit.
    :param now: seconds of the machine's monotonic clock.
    """

    def __init__(
        self,
        reactor: Any,
        wish: Wish,
        base_dir: Path,
        reference: Reference,
        screen: Screen,
        *,
        environ: Mapping[str, str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._wish = wish
        self._base_dir = base_dir
        self._reference = reference
        self._screen = screen
        self._environ = environ
        self._now = now
        self._died = 0
        self._network: LocalNetwork | None = None
        self._crew: Crew | None = None

    async def run(self) -> NetworkReport:
        """:raises StartError: one line. What has been started is still there: call :meth:`stop`."""
        wish = self._wish
        load = Load(
            flows=wish.flows,
            letters_per_flow=wish.letters_per_flow,
            rate=wish.rate,
            depth=wish.depth,
            seconds=wish.seconds,
            drain_seconds=DRAIN_SECONDS,
        )
        load_average = round(os.getloadavg()[0], 2)
        self._ensure_descriptors()
        await self._start_network()
        await self._start_crew()
        per_connection = await self._connect_idle()
        plans = flow_plans(wish.flows, self._urls)
        self._screen.step("sealing the messages, connecting, warming up")
        await self._crew_does(
            [Prepare(load, plans[worker :: wish.workers]) for worker in range(wish.workers)]
        )
        self._screen.step("measuring", None if not wish.rate else wish.rate * wish.seconds)
        lag_before = await self._lags()
        cpu_before = self._cpu()
        start = self._now() + LEAD_SECONDS
        answers = await self._crew_does([Go(start)] * wish.workers)
        # What a node had used is gone with it, so then there is no sum.
        cpu = None if self._died else self._cpu() - cpu_before
        took = self._now() - start
        memory = [resident_bytes(process.pid) for process in self._alive]
        lags = [
            after.since(before)
            for before, after in zip(lag_before, await self._lags(), strict=True)
        ]
        totals = Totals([answer for answer in answers if isinstance(answer, Outcome)])
        copies = min(wish.copies or int(TABLE["ring.replicas"].default), wish.nodes)
        each = cpu / totals.delivered * 1e6 if cpu is not None and totals.delivered else None
        return NetworkReport(
            nodes=wish.nodes,
            copies=copies,
            clients=wish.clients or 2 * wish.pairs,
            idle_clients=wish.idle_clients,
            tls=wish.certificate is not None,
            pairs=0 if wish.clients else wish.pairs,
            depth=0 if wish.rate else wish.depth,
            rate=wish.rate,
            seconds=wish.seconds,
            sent=totals.sent,
            stored=totals.stored,
            delivered=totals.delivered,
            lost=totals.lost,
            duplicated=totals.duplicated,
            strange=totals.strange,
            unsent=totals.unsent,
            ran_out=totals.exhausted and not wish.rate,
            refused=dict(totals.refused),
            acks=dict(totals.acks),
            delivered_per_second=totals.delivered_per_second(start),
            store_ms=totals.store.quantiles(),
            receive_ms=totals.receive.quantiles(),
            cpu_us_per_message=None if each is None else round(each, 1),
            cpu_us_per_copy=None if each is None else round(each / copies, 1),
            cpu_cores=None if cpu is None else round(cpu / took, 2),
            rss_bytes_per_node=sum(memory) // len(memory) if memory else 0,
            rss_bytes_per_connection=per_connection,
            loop_lag_ms=LagCounts.together(lags).figures(),
            nodes_died=self._died,
            load_average=load_average,
            generators=totals.generators(start),
            reference=self._reference,
        )

    async def stop(self) -> None:
        """Ends all processes."""
        if self._crew is not None:
            await self._crew.end()
        if self._network is not None:
            for process in await self._network.stop():
                self._screen.say(f"node {process.plan.index} did not end in time and was killed")

    # -- watcher of the network ------------------------------------------------------------------

    def progress(self, answering: int, text: str) -> None:
        """How the nodes' start goes."""
        self._screen.progress(answering)

    def died(self, node: NodeProcess) -> None:
        """A node has ended in the middle of it."""
        self._died += 1
        self._screen.say(f"node {node.plan.index} died: {node.end}")

    # -- steps -----------------------------------------------------------------------------------

    async def _start_network(self) -> None:
        wish = self._wish
        self._screen.step(f"starting {wish.nodes} nodes", wish.nodes)
        sockets = [self._metrics_socket(index) for index in range(wish.nodes)]
        plans = lay_out(
            self._base_dir,
            wish.nodes,
            0,
            self._settings(),
            own=[{"observe.metrics_listen": f"unix:{socket}"} for socket in sockets],
        )
        self._network = LocalNetwork(
            self._reactor,
            self._base_dir,
            plans,
            dial=WebSocketDialer(self._reactor),
            watcher=self,
            environ=self._environ,
        )
        self._plans: list[NodePlan] = plans
        await self._network.start()

    def _metrics_socket(self, index: int) -> Path:
        path = self._base_dir / f"node-{index}" / METRICS_SOCKET
        if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            raise StartError(f"{self._base_dir}: too long a path for a socket in it; set TMPDIR")
        return path

    def _settings(self) -> dict[str, object]:
        wish = self._wish
        settings: dict[str, object] = {
            "gateway.max_connections": max(20_000, wish.idle_clients + 2 * wish.flows + 100),
            "node.log_level": "warn",
            **rates_off(),
        }
        if wish.certificate is not None:
            settings["gateway.certificate_file"] = str(wish.certificate.certificate)
            settings["gateway.private_key_file"] = str(wish.certificate.private_key)
        if wish.copies:
            settings["ring.replicas"] = wish.copies
        return settings

    async def _start_crew(self) -> None:
        self._crew = Crew(self._wish.workers, self._screen.progress)
        self._crew.start(self._reactor, self._environ)

    async def _connect_idle(self) -> int | None:
        """Resident bytes of the nodes for each idle connection."""
        wish = self._wish
        if not wish.idle_clients:
            return None
        self._screen.step(f"connecting {wish.idle_clients} idle clients", wish.idle_clients)
        before = sum(resident_bytes(process.pid) for process in self._alive)
        per_node = shared_out(wish.idle_clients, wish.nodes)
        each = [shared_out(count, wish.workers) for count in per_node]
        await self._crew_does(
            [
                ConnectIdle({url: each[i][worker] for i, url in enumerate(self._urls)})
                for worker in range(wish.workers)
            ]
        )
        after = sum(resident_bytes(process.pid) for process in self._alive)
        return (after - before) // wish.idle_clients

    async def _crew_does(self, orders: Any) -> Any:
        assert self._crew is not None
        return await self._crew.orders(orders)

    async def _lags(self) -> list[LagCounts]:
        async def one(process: NodeProcess) -> LagCounts:
            if process.end:
                return LagCounts()
            return await scrape(self._reactor, process.plan.directory / METRICS_SOCKET)

        assert self._network is not None
        each = [Deferred.fromCoroutine(one(process)) for process in self._network.processes]
        return list(await gatherResults(each, consumeErrors=True))

    # -- the nodes' processes --------------------------------------------------------------------

    @property
    def _urls(self) -> list[str]:
        return [plan.url for plan in self._plans]

    @property
    def _alive(self) -> list[NodeProcess]:
        assert self._network is not None
        return [process for process in self._network.processes if not process.end]

    def _cpu(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self._alive)

    def _ensure_descriptors(self) -> None:
        wish = self._wish
        per_node = (wish.idle_clients + 2 * wish.flows) // wish.nodes + 3 * wish.nodes
        ensure_descriptors(per_node + _SPARE_DESCRIPTORS, "a node")
        per_worker = (wish.idle_clients + 2 * wish.flows) // wish.workers
        ensure_descriptors(per_worker + _SPARE_DESCRIPTORS, "a load generator")
        own = 8 * wish.nodes + 4 * wish.workers
        ensure_descriptors(own + _SPARE_DESCRIPTORS, "the bench itself")
