"""``tace bench restart``: how soon a node with much in its store answers again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tace.client.address import NodeAddress
from tace.client.connection import Connection, NoEvents
from tace.client.websocket import WebSocketDialer
from tace.errors import Failure, Refusal, StartError, StoreError
from tace.lab.bench.clients import WatchedMailbox
from tace.lab.bench.letters import Mailbox
from tace.lab.bench.machine import resident_bytes
from tace.lab.bench.network import Screen
from tace.lab.bench.rates import rates_off
from tace.lab.inquiry import Inquiry
from tace.lab.layout import NodePlan, lay_out
from tace.lab.process import NodeProcess
from tace.lab.ring_shape import READY_ALONE
from tace.storage.sqlite import SqliteStore

A_MAILBOX = 1000
"""Messages in one mailbox; the bound is 4,096."""
A_WRITE = 500
LIFETIME_HOURS = 14 * 24
ASK_EVERY_SECONDS = 0.02
GIVE_UP_SECONDS = 120.0
DATABASE = "node.db"


class Restart(msgspec.Struct, frozen=True):
    """Seconds from the start of the process; the file system's cache is warm."""

    answered_seconds: float
    """To the first answer to a client."""
    ready_seconds: float
    """Until the node says that it serves."""
    first_push_seconds: float | None
    """Until a client that leased a full mailbox had its first message; None of an empty store."""
    rss_bytes: int


class RestartReport(msgspec.Struct, frozen=True):
    """``tace bench restart --json``."""

    messages: int
    mailboxes: int
    database_bytes: int
    filled: Restart
    empty: Restart
    """The same node before anything was stored: what Python and its imports take."""


class _FirstPush(NoEvents):
    """Waits for it."""

    def __init__(self) -> None:
        self.came: Deferred[None] = Deferred()

    def pushed(self, envelope: bytes) -> None:
        if not self.came.called:
            self.came.callback(None)


class RestartBench:
    """Starts one node empty, fills its store, starts it again.

    :param messages: how many to store, in whole mailboxes of a thousand where there are more.
    """

    def __init__(
        self,
        reactor: Any,
        base_dir: Path,
        environ: Mapping[str, str],
        screen: Screen,
        *,
        messages: int,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._reactor = reactor
        self._base_dir = base_dir
        self._environ = environ
        self._screen = screen
        self._messages = messages
        self._random_bytes = random_bytes
        self._process: NodeProcess | None = None

    async def run(self) -> RestartReport:
        """:raises TaceError: one line. A node that still runs is ended by :meth:`stop`."""
        settings = {"node.log_level": "warn", **rates_off()}
        (plan,) = lay_out(self._base_dir, 1, 0, settings)
        self._screen.step("starting the node with an empty store")
        # The first start makes a key and a database; the second one does what every other does.
        await self._restart(plan, None)
        empty = await self._restart(plan, None)
        self._screen.step(f"storing {self._messages:,} messages", self._messages)
        mailboxes, full = await self._fill(plan.directory / DATABASE)
        size = (plan.directory / DATABASE).stat().st_size
        self._screen.step("starting the node again")
        filled = await self._restart(plan, full)
        return RestartReport(
            messages=self._messages,
            mailboxes=mailboxes,
            database_bytes=size,
            filled=filled,
            empty=empty,
        )

    async def stop(self) -> None:
        """Ends the node, if it runs."""
        if self._process is not None and self._process.pid:
            self._process.signal("KILL")
            await self._process.when_ended()

    async def _fill(self, path: Path) -> tuple[int, Mailbox]:
        """How many mailboxes, and the last one, which is as full as any."""
        store = SqliteStore(path, self._reactor)
        expires = int(self._reactor.seconds() // 3600) + LIFETIME_HOURS
        mailbox, mailboxes, in_it = Mailbox(), 1, 0
        try:
            for stored in range(0, self._messages, A_WRITE):
                if in_it >= A_MAILBOX:
                    mailbox, mailboxes, in_it = Mailbox(), mailboxes + 1, 0
                count = min(A_WRITE, self._messages - stored)
                in_it += count
                envelopes = [mailbox.envelope(expires, self._random_bytes) for _ in range(count)]
                put = await store.put_envelopes(envelopes, self._reactor.seconds())
                if any(each.code != "stored" for each in put):
                    raise StoreError(f"not stored: {put[0].code}")
                self._screen.progress(stored + count)
        finally:
            await store.close()
        return mailboxes, mailbox

    async def _restart(self, plan: NodePlan, mailbox: Mailbox | None) -> Restart:
        dial = WebSocketDialer(self._reactor)
        address = NodeAddress.parse(plan.url)
        process = self._process = NodeProcess(plan)
        began = time.perf_counter()
        process.start(self._reactor, self._environ)
        inquiry = Inquiry(address, dial)
        await self._until_state(process, inquiry, None)
        answered = time.perf_counter() - began
        await self._until_state(process, inquiry, READY_ALONE)
        ready = time.perf_counter() - began
        pushed = None
        if mailbox is not None:
            await self._first_push(await dial(address), mailbox)
            pushed = round(time.perf_counter() - began, 3)
        inquiry.close()
        memory = resident_bytes(process.pid)
        process.signal("TERM")
        await process.when_ended()
        return Restart(round(answered, 3), round(ready, 3), pushed, memory)

    async def _until_state(
        self, process: NodeProcess, inquiry: Inquiry, wanted: tuple[str, ...] | None
    ) -> None:
        """Until it answers, or says one of these states."""
        deadline = self._reactor.seconds() + GIVE_UP_SECONDS
        while True:
            try:
                status = await inquiry.status()
                if wanted is None or status.state in wanted:
                    return
            except (Failure, Refusal) as error:
                if process.end or self._reactor.seconds() > deadline:
                    why = process.last_line or process.end or error
                    raise StartError(f"the node does not answer: {why}") from None
            await deferLater(self._reactor, ASK_EVERY_SECONDS)

    async def _first_push(self, connection: Connection, mailbox: Mailbox) -> None:
        await connection.opened()
        first = _FirstPush()
        connection.events = first
        watch = WatchedMailbox(mailbox, connection, self._reactor)
        await watch.start()
        await first.came.addTimeout(GIVE_UP_SECONDS, self._reactor)
        watch.close()
