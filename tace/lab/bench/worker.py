"""A load generator: real client connections, in a process of its own.

Run as ``python -m tace.lab.bench.worker``: orders come on standard input and answers go to standard
output (:mod:`tace.lab.bench.orders`). It ends when its input does.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from tace.background import background
from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.client.websocket import WebSocketDialer
from tace.errors import Failure as LinkFailure
from tace.errors import TaceError
from tace.lab.bench.account import Account
from tace.lab.bench.clients import Receiver, Sender, WatchedMailbox
from tace.lab.bench.flow import Flow
from tace.lab.bench.latency import Latencies
from tace.lab.bench.letters import Letter, Mailbox
from tace.lab.bench.orders import (
    Answer,
    ConnectIdle,
    Done,
    Failed,
    FlowPlan,
    Go,
    Load,
    Outcome,
    Prepare,
    Progress,
    decode_order,
    encode,
)
from tace.observe.lag import LoopLag

DIAL_AT_ONCE = 32
DIALS = 3
"""Attempts at one connection."""
WARM_LETTERS = 8
"""Sent by each flow before the clock starts: links, caches and files are warm then."""
WARM_IN_ALL = 512
"""With many flows each sends fewer."""
WARM_AT_ONCE = 32
"""Flows that send theirs at the same time."""
LIFETIME_HOURS = 24
LOOK_EVERY_SECONDS = 0.02
"""How often it is looked whether everything has arrived; only after the load."""
PROGRESS_EVERY_SECONDS = 0.5
LAG_EVERY_SECONDS = 0.02
MAX_LINE_BYTES = 8 * 1024 * 1024


class _Lags:
    """Takes what :class:`~tace.observe.lag.LoopLag` counts."""

    def __init__(self) -> None:
        self.seen = Latencies()

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Lags are durations."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Lags are durations."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        self.seen.add(seconds)


class _Lane:
    """One flow with its two connections."""

    def __init__(
        self,
        mailbox: Mailbox,
        letters: Sequence[Letter],
        sending: Connection,
        receiving: Connection,
        generator: Generator,
    ) -> None:
        self.watch = WatchedMailbox(mailbox, receiving, generator.clock)
        self.sender = Sender(sending, generator.account, generator.now, self._answered)
        expected = {letter.lock: letter for letter in letters}
        self.receiver = Receiver(
            receiving, expected, generator.account, generator.clock, generator.now, self._freed
        )
        receiving.events = self.receiver
        self.flow = Flow(letters, self.sender, generator.clock, generator.now)

    def _answered(self, over: bool) -> None:
        self.flow.answered(over)

    def _freed(self) -> None:
        self.flow.freed()

    def count_in(self, account: Account) -> None:
        self.sender.account = self.receiver.account = account


class Generator:
    """Carries out orders.

    :param dial: opens a connection.
    :param now: seconds of the machine's monotonic clock, which all generators share.
    :param say: takes what is said before an order's answer.
    """

    def __init__(
        self,
        clock: Any,
        dial: Callable[[NodeAddress], Deferred[Connection]],
        now: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        say: Callable[[Answer], None],
    ) -> None:
        self.clock = clock
        self.now = now
        self.account = Account()
        self._dial = dial
        self._random_bytes = random_bytes
        self._say = say
        self._idle: list[WatchedMailbox] = []
        self._lanes: list[tuple[FlowPlan, _Lane]] = []
        self._load: Load | None = None

    async def carry_out(self, order: ConnectIdle | Prepare | Go) -> Answer:
        """:raises TaceError: a node does not do its part."""
        match order:
            case ConnectIdle():
                await self._connect_idle(order.counts)
            case Prepare():
                await self._prepare(order)
            case Go():
                return await self._go(order.start)
        return Done()

    # -- connections that say nothing ------------------------------------------------------------

    async def _connect_idle(self, counts: dict[str, int]) -> None:
        urls = [url for url, count in counts.items() for _ in range(count)]
        await self._some_at_once(self._one_idle(url) for url in urls)

    async def _one_idle(self, url: str) -> None:
        watch = WatchedMailbox(Mailbox(), await self._open(url), self.clock)
        await watch.start()
        self._idle.append(watch)
        if len(self._idle) % 50 == 0:
            self._say(Progress(len(self._idle)))

    async def _open(self, url: str) -> Connection:
        """A node that is busy taking thousands in may let one wait too long: asked again."""
        for _ in range(DIALS - 1):
            try:
                return await self._open_once(url)
            except LinkFailure:
                continue
        return await self._open_once(url)

    async def _open_once(self, url: str) -> Connection:
        connection = await self._dial(NodeAddress.parse(url))
        await connection.opened()
        return connection

    async def _some_at_once(self, coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
        at_once = DeferredSemaphore(DIAL_AT_ONCE)
        try:
            await gatherResults(
                [at_once.run(Deferred.fromCoroutine, each) for each in coroutines],
                consumeErrors=True,
            )
        except FirstError as error:
            error.subFailure.raiseException()

    # -- the load --------------------------------------------------------------------------------

    async def _prepare(self, order: Prepare) -> None:
        self._load = order.load
        sealed = []
        for plan in order.flows:
            sealed.append((plan, *self._seal(order.load.letters_per_flow + WARM_LETTERS)))
            # The connections that are there already want their answers.
            await deferLater(self.clock, 0)
        # All this stays: the collector is not to look through it again and again.
        gc.collect()
        gc.freeze()
        await self._some_at_once(self._connect(*each) for each in sealed)
        few = min(WARM_LETTERS, max(1, WARM_IN_ALL // order.load.flows))
        for at in range(0, len(self._lanes), WARM_AT_ONCE):
            for _, lane in self._lanes[at : at + WARM_AT_ONCE]:
                lane.flow.send_few(few)
            await self._settled(order.load.drain_seconds)
        if self.account.delivered != self.account.sent:
            raise TaceError(
                f"of {self.account.sent} messages sent for a start {self.account.delivered} "
                f"arrived {dict(self.account.refused) or ''}"
            )

    def _seal(self, count: int) -> tuple[Mailbox, list[Letter]]:
        mailbox = Mailbox()
        expires = int(self.clock.seconds() // 3600) + LIFETIME_HOURS
        return mailbox, [mailbox.letter(expires, self._random_bytes) for _ in range(count)]

    async def _connect(self, plan: FlowPlan, mailbox: Mailbox, letters: list[Letter]) -> None:
        receiving = await self._open(plan.receiver_url)
        sending = await self._open(plan.sender_url)
        lane = _Lane(mailbox, letters, sending, receiving, self)
        await lane.watch.start()
        self._lanes.append((plan, lane))

    async def _go(self, start: float) -> Outcome:
        assert self._load is not None
        load, account = self._load, Account()
        for _, lane in self._lanes:
            lane.count_in(account)
        self.account = account
        lags = _Lags()
        lag = LoopLag(self.clock, lags, every_seconds=LAG_EVERY_SECONDS)
        await deferLater(self.clock, max(0.0, start - self.now()))
        used = _own_cpu_seconds()
        lag.start()
        end = start + load.seconds
        for plan, lane in self._lanes:
            if load.rate:
                count = len(range(plan.number, round(load.rate * load.seconds), load.flows))
                first = start + plan.number / load.rate
                lane.flow.send_every(load.flows / load.rate, first, count)
            else:
                lane.flow.keep_in_flight(load.depth, end)
        while (left := end - self.now()) > 0:
            await deferLater(self.clock, min(left, PROGRESS_EVERY_SECONDS))
            self._say(Progress(account.delivered))
        lag.stop()
        await self._settled(load.drain_seconds)
        return self._outcome(lags.seen, _own_cpu_seconds() - used)

    async def _settled(self, within_seconds: float) -> None:
        """Until all that was sent is over and all acks are answered, or the time is."""
        end = self.now() + within_seconds
        while self.now() < end:
            if (
                not self.account.open
                and not any(lane.flow.unsent for _, lane in self._lanes)
                and all(lane.receiver.idle for _, lane in self._lanes)
            ):
                return
            await deferLater(self.clock, LOOK_EVERY_SECONDS)

    def _outcome(self, lag: Latencies, cpu_seconds: float) -> Outcome:
        account = self.account
        return Outcome(
            sent=account.sent,
            stored=account.stored,
            delivered=account.delivered,
            lost=account.lost,
            duplicated=account.duplicated,
            strange=account.strange,
            unsent=sum(lane.flow.unsent for _, lane in self._lanes),
            exhausted=any(lane.flow.exhausted for _, lane in self._lanes),
            refused=dict(account.refused),
            acks=dict(account.acks),
            last_delivery=account.last_delivery,
            settled_at=self.now(),
            cpu_seconds=cpu_seconds,
            store=account.store.buckets,
            store_longest=account.store.longest,
            receive=account.receive.buckets,
            receive_longest=account.receive.longest,
            lag=lag.buckets,
            lag_longest=lag.longest,
        )


def _own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class OrderLines(LineOnlyReceiver):
    """Standard input and output of a generator: an order, its answer, the next order."""

    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE_BYTES

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._generator = Generator(
            reactor, WebSocketDialer(reactor), time.monotonic, os.urandom, self._say
        )

    def lineReceived(self, line: bytes) -> None:
        background("order", self._carry_out(line))

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._reactor.running:
            self._reactor.stop()

    async def _carry_out(self, line: bytes) -> None:
        try:
            answer = await self._generator.carry_out(decode_order(line))
        except (TaceError, msgspec.DecodeError) as error:
            answer = Failed(str(error) or type(error).__name__)
        except Exception:
            answer = Failed(Failure().getTraceback())
        self._say(answer)

    def _say(self, answer: Answer) -> None:
        assert self.transport is not None
        self.transport.write(encode(answer) + self.delimiter)


def main() -> None:
    from twisted.internet import reactor

    # Ctrl-C is for the bench, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    StandardIO(OrderLines(reactor), reactor=reactor)
    reactor.run()


if __name__ == "__main__":
    main()
