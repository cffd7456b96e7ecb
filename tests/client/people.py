"""People for tests: homes on disk, in fake time, with seeded randomness."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tace.client.address import NodeAddress
from tace.client.backoff import Repeats
from tace.client.home import Home
from tace.client.rows import HistoryMessage
from tace.client.user import User
from tace.e2ee.recovery import RecoveryCode
from tests.client.fakes import FakeNetwork, run

T = TypeVar("T")


def at_once(work: Callable[[], T]) -> Deferred[T]:
    """An :class:`~tace.client.stamping.InThread` without a thread."""
    try:
        return succeed(work())
    except Exception as error:
        return fail(error)


class Screen:
    """What a program told its user."""

    def __init__(self) -> None:
        self.shown: list[HistoryMessage] = []
        self.changes: list[HistoryMessage] = []
        self.unreadables: list[bytes] = []
        self.unlisted_people: list[bytes] = []
        self.said: list[str] = []
        """Texts, and "unlisted", in the order in which they were told."""
        self.requests: list[bytes] = []
        self.full = 0
        self.connections: list[str] = []

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.shown]

    def show(self, message: HistoryMessage) -> None:
        self.shown.append(message)
        self.said.append(message.text)

    def changed(self, message: HistoryMessage) -> None:
        self.changes.append(message)

    def unreadable(self, identity: bytes) -> None:
        self.unreadables.append(identity)

    def unlisted(self, identity: bytes) -> None:
        self.unlisted_people.append(identity)
        self.said.append("unlisted")

    def requested(self, identity: bytes) -> None:
        self.requests.append(identity)

    def no_room(self) -> None:
        self.full += 1

    def connected(self, address: NodeAddress) -> None:
        self.connections.append(address.origin)

    def disconnected(self, reason: str) -> None:
        self.connections.append("-")


class Person:
    """An identity with a home; each command is a program of its own, as on a command line."""

    def __init__(
        self,
        network: FakeNetwork,
        directory: Path,
        name: str,
        *,
        code: RecoveryCode | None = None,
        nodes: Sequence[int] = (0,),
    ) -> None:
        self.network = network
        self.clock: Clock = network.clock
        self.directory = directory
        self.name = name
        self.random = random.Random(f"{name} {directory.name}")
        self.code = code or RecoveryCode.generate(self.random.randbytes)
        self.given = [network.nodes[index].address for index in nodes]
        self.repeats: Repeats | None = None
        Home.create(directory, self.code, name=name, random_bytes=self.random.randbytes).close()
        self.screen = Screen()

    @property
    def identity(self) -> bytes:
        return self.code.identity().public

    def program(self, *, screen: Screen | None = None) -> User:
        """A new program on this home."""
        home = Home.open(
            self.directory, ask_passphrase=lambda: "", random_bytes=self.random.randbytes
        )
        return User(
            home,
            self.network.dial,
            self.clock,
            random_source=self.random,
            random_bytes=self.random.randbytes,
            in_thread=at_once,
            given=self.given,
            events=screen if screen is not None else self.screen,
            repeats=self.repeats,
        )

    def send(self, to: Person, text: str) -> HistoryMessage:
        """``tace send``"""
        sent: HistoryMessage = self._do(lambda user: user.send(to.identity, text))
        return sent

    def receive(self) -> list[str]:
        """``tace receive``: the texts that it shows."""
        before = len(self.screen.shown)
        self._do(lambda user: user.collect())
        return self.screen.texts[before:]

    def flush(self) -> None:
        """What every command does with what waits in the outbox."""
        self._do(lambda user: user.flush())

    def _do(self, command: Callable[[User], Any]) -> Any:
        user = self.program()

        async def all_of_it() -> Any:
            try:
                return await command(user)
            finally:
                await user.close()

        try:
            return run(self.clock, Deferred.fromCoroutine(all_of_it()))
        finally:
            user.home.close()

    def state_of(self, message: HistoryMessage) -> str:
        """How far a sent message has come."""
        home = Home.open(
            self.directory, ask_passphrase=lambda: "", random_bytes=self.random.randbytes
        )
        try:
            found = home.database.message(message.peer, message.id, outgoing=True)
            assert found is not None
            return found.state.value
        finally:
            home.close()
