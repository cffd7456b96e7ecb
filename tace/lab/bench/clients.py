"""The two ends of a message: an outbox connection that sends, an inbox connection that acks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.client.connection import Connection
from tace.errors import TaceError
from tace.identity.mailbox_proof import LEASE_SECONDS
from tace.lab.bench.account import Account
from tace.lab.bench.letters import Letter, Mailbox, lock_in
from tace.wire.client import Ack, Send, StartWatch
from tace.wire.fields import TombstoneField

RENEW_SECONDS = LEASE_SECONDS * 2 / 3
MAX_ACKED_AT_ONCE = 60
"""Tombstones in one ``Ack``."""


class WatchedMailbox:
    """An inbox connection: a lease that is renewed, a watch, and nothing said besides."""

    def __init__(self, mailbox: Mailbox, connection: Connection, clock: IReactorTime) -> None:
        self.mailbox = mailbox
        self._connection = connection
        self._clock = clock
        self._renewal: IDelayedCall | None = None

    async def start(self) -> None:
        """:raises TaceError: the node does not let us."""
        await self._lease()
        await self._connection.request(StartWatch((self.mailbox.id,)))

    async def _lease(self) -> None:
        await self._connection.request(self.mailbox.lease(self._connection))
        self._renewal = self._clock.callLater(
            RENEW_SECONDS, lambda: background("lease renewal", self._renew())
        )

    async def _renew(self) -> None:
        try:
            await self._lease()
        except TaceError:
            # Without a lease nothing comes; what is missing then is counted as lost.
            self._connection.close()

    def close(self) -> None:
        if self._renewal is not None and self._renewal.active():
            self._renewal.cancel()
        self._connection.close()


class Receiver:
    """Takes what is pushed and lets go of it, as a person's program does.

    What arrives while an ack is under way goes with the next one.

    :param expected: the messages that may come, by their locks.
    :param now: seconds of the clock that the sender's side uses.
    :param freed: called with each push of a message whose sending was answered before.
    """

    def __init__(
        self,
        connection: Connection,
        expected: dict[bytes, Letter],
        account: Account,
        clock: IReactorTime,
        now: Callable[[], float],
        freed: Callable[[], None],
    ) -> None:
        self.account = account
        self.acking = False
        self._connection = connection
        self._expected = expected
        self._clock = clock
        self._now = now
        self._freed = freed
        self._seen: set[bytes] = set()
        self._queue: deque[Letter] = deque()

    @property
    def idle(self) -> bool:
        """Nothing to ack, and no ack without an answer."""
        return not self.acking and not self._queue

    # -- ConnectionEvents ------------------------------------------------------------------------

    def pushed(self, envelope: bytes) -> None:
        lock = lock_in(envelope)
        letter = self._expected.get(lock)
        if letter is None or letter.envelope != envelope:
            self.account.strange += 1
            return
        if lock in self._seen:
            self.account.duplicated += 1
        self._seen.add(lock)
        self._queue.append(letter)
        freed = self.account.pushed(lock, self._now())
        if not self.acking:
            self.acking = True
            # What arrives in one turn of the reactor is acked together.
            self._clock.callLater(0, lambda: background("acks", self._let_go()))
        if freed:
            self._freed()

    def caught_up(self, mailbox: bytes, complete: bool) -> None:
        """The mailbox was empty: nothing to do."""

    def connection_lost(self, reason: TaceError) -> None:
        """What is not acked by now stays open in the account."""

    # -- inside ----------------------------------------------------------------------------------

    async def _let_go(self) -> None:
        try:
            while self._queue:
                count = min(MAX_ACKED_AT_ONCE, len(self._queue))
                batch = [self._queue.popleft() for _ in range(count)]
                await self._ack(batch)
        finally:
            self.acking = False

    async def _ack(self, batch: list[Letter]) -> None:
        tombstones: tuple[TombstoneField, ...] = tuple(letter.tombstone for letter in batch)
        answer = self._connection.request(Ack(tombstones))
        if not self._connection.lost:
            now = self._now()
            for letter in batch:
                self.account.acked(letter.lock, now)
        try:
            results = (await answer).results
        except TaceError as error:
            self.account.acks[error.code] += len(batch)
        else:
            self.account.acks.update(result.code for result in results)


class Sender:
    """Sends one message a request, as many at once as it is told to.

    :param answered: called with each answer, and whether that message is over for its sender:
        refused, or pushed before.
    """

    def __init__(
        self,
        connection: Connection,
        account: Account,
        now: Callable[[], float],
        answered: Callable[[bool], None],
    ) -> None:
        self.account = account
        self.unanswered = 0
        self._connection = connection
        self._now = now
        self._answered = answered

    @property
    def room(self) -> int:
        """How many requests the node takes now."""
        return self._connection.challenge.requests_in_flight - self.unanswered

    @property
    def lost(self) -> bool:
        return self._connection.lost

    def send(self, letter: Letter, intended: float) -> None:
        self.account.sending(letter.lock, intended)
        self.unanswered += 1
        background("send", self._send(letter))

    async def _send(self, letter: Letter) -> None:
        try:
            answer = await self._connection.request(Send((letter.envelope,)))
            state = answer.results[0].state
        except TaceError as error:
            state = error.code
        self.unanswered -= 1
        self._answered(self.account.answered(letter.lock, state, self._now()))

    def close(self) -> None:
        self._connection.close()
