"""People who are away: their letters wait in the network until they come at the end.

The letters are left over real client connections, by senders who repeat until a node says
``stored`` and then are gone for good: nothing but the network keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tace.background import background
from tace.client.address import NodeAddress
from tace.client.connection import Connection, NoEvents
from tace.errors import TaceError
from tace.identity.keys import SigningKey
from tace.lab.bench.clients import WatchedMailbox
from tace.lab.bench.letters import Letter, Mailbox, lock_in
from tace.lab.chaos.copies import Item
from tace.lab.people.ledger import Ledger
from tace.wire.client import Ack, Send
from tace.wire.objects import Envelope

EXPIRES_HOURS = 24
AGAIN_SECONDS = (0.3, 1.5)
"""Between two attempts to leave a letter, at random."""
SENDER = "a sender who went away"
SEED_BYTES = 48


class Absent:
    """One of them.

    :param dial: how a node is reached as a client.
    :param addresses: every node.
    """

    def __init__(
        self,
        reactor: Any,
        random: Random,
        name: str,
        dial: Callable[[NodeAddress], Deferred[Connection]],
        addresses: list[NodeAddress],
        ledger: Ledger,
    ) -> None:
        self.name = name
        self._reactor = reactor
        self._random = random
        self._dial = dial
        self._addresses = addresses
        self._ledger = ledger
        self._mailbox = Mailbox(SigningKey.from_seed(random.randbytes(SEED_BYTES)))
        self._letters: dict[bytes, Letter] = {}
        self._texts: dict[bytes, str] = {}
        self._stored: list[Item] = []
        self._shown: set[bytes] = set()

    @property
    def stored(self) -> list[Item]:
        """What is acknowledged and waits."""
        return list(self._stored)

    async def leave(self, text: str, until: Callable[[], bool]) -> None:
        """Have a letter stored for them, at one node after the other.

        :param until: true when there is no point in trying any more.
        """
        hour = int(self._reactor.seconds() // 3600)
        letter = self._mailbox.letter(hour + EXPIRES_HOURS, self._random.randbytes)
        self._letters[letter.lock] = letter
        self._texts[letter.lock] = text
        self._ledger.wrote(SENDER, self.name, text, self._reactor.seconds())
        while not until():
            if await self._is_stored(letter):
                self._ledger.acknowledged(text, self._reactor.seconds())
                self._stored.append((self._mailbox.id, Envelope.parse(letter.envelope).id))
                return
            await deferLater(self._reactor, self._random.uniform(*AGAIN_SECONDS), lambda: None)

    async def collect(self, until: Callable[[], bool]) -> None:
        """Come back, and see what waits: at one node after the other, until all of it is seen.

        :param until: true when it has been waited long enough.
        """
        while len(self._shown) < len(self._letters) and not until():
            try:
                await self._collect_once(until)
            except TaceError:
                await deferLater(self._reactor, AGAIN_SECONDS[0], lambda: None)

    async def _is_stored(self, letter: Letter) -> bool:
        connection = None
        try:
            connection = await self._dial(self._random.choice(self._addresses))
            await connection.opened()
            answer = await connection.request(Send((letter.envelope,)))
        except TaceError:
            return False
        finally:
            if connection is not None:
                connection.close()
        return answer.results[0].state == "stored"

    async def _collect_once(self, until: Callable[[], bool]) -> None:
        connection = await self._dial(self._random.choice(self._addresses))
        watched = WatchedMailbox(self._mailbox, connection, self._reactor)
        try:
            await connection.opened()
            connection.events = _Opening(connection, self._open)
            await watched.start()
            while len(self._shown) < len(self._letters) and not until() and not connection.lost:
                await deferLater(self._reactor, 0.1, lambda: None)
        finally:
            watched.close()

    def _open(self, connection: Connection, envelope: bytes) -> None:
        letter = self._letters.get(lock_in(envelope))
        now = self._reactor.seconds()
        if letter is None or letter.envelope != envelope:
            self._ledger.showed(SENDER, self.name, f"no letter to {self.name}", now)
            return
        if letter.lock not in self._shown:
            # As with every program: what it has shown once it does not show again.
            self._shown.add(letter.lock)
            self._ledger.showed(SENDER, self.name, self._texts[letter.lock], now)
        background("ack", _let_go(connection, letter))


class _Opening(NoEvents):
    """Hands over what is pushed."""

    def __init__(self, connection: Connection, opened: Callable[[Connection, bytes], None]) -> None:
        self._connection = connection
        self._opened = opened

    def pushed(self, envelope: bytes) -> None:
        self._opened(self._connection, envelope)


async def _let_go(connection: Connection, letter: Letter) -> None:
    try:
        await connection.request(Ack((letter.tombstone,)))
    except TaceError:
        # It will be pushed again, and acked then.
        return
