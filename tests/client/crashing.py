"""Programs that die at a chosen moment, as by ``kill -9``: they have no effect after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.client.home import DATABASE, Home
from tace.client.own import load
from tace.client.rows import HistoryMessage
from tace.client.showing import FileLock
from tace.client.sqlite import HomeDatabase
from tace.client.user import User
from tace.client.vault import open_vault
from tests.client.people import Person, Screen, at_once


class Crashed(BaseException):
    """The program is dead; not an ``Exception``, so nothing in it survives this."""


class Fuse:
    """Burns one step with everything that another program or a node could notice."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def burnt(self) -> bool:
        return self.left < 0

    def step(self) -> None:
        self.left -= 1
        self.check()

    def check(self) -> None:
        if self.left < 0:
            raise Crashed


class CrashingDatabase(HomeDatabase):
    """Dies before or after a commit."""

    fuse: Fuse = Fuse(1_000_000_000)

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        self.fuse.check()
        writes = sql.startswith(("INSERT", "UPDATE", "DELETE")) and not self._open()
        if sql != "COMMIT" and not writes:
            return super()._execute(sql, values)
        self.fuse.step()
        result = super()._execute(sql, values)
        self.fuse.step()
        return result


class _CrashingCarrier:
    def __init__(self, carrier: Any, fuse: Fuse) -> None:
        self._carrier = carrier
        self._fuse = fuse

    def send(self, data: bytes) -> None:
        self._fuse.step()
        self._carrier.send(data)

    def close(self) -> None:
        self._carrier.close()


class _CrashingScreen(Screen):
    """Shows on somebody's screen for as long as its program lives."""

    def __init__(self, screen: Screen, fuse: Fuse) -> None:
        super().__init__()
        self._screen = screen
        self._fuse = fuse

    def show(self, message: HistoryMessage) -> None:
        self._fuse.step()
        self._screen.show(message)


def crashing_program(person: Person, fuse: Fuse) -> User:
    """A program of that person that dies when the fuse has burnt."""
    database = CrashingDatabase.open(person.directory / DATABASE)
    assert isinstance(database, CrashingDatabase)
    form = database.setting("home_key")
    assert form is not None
    database.unlock(open_vault(form, "", person.random.randbytes))
    home = Home(database, load(database), FileLock(person.directory / "showing.lock"))

    def dial(address: NodeAddress) -> Deferred[Connection]:
        fuse.check()
        dialled = person.network.dial(address)

        def through_fuse(connection: Connection) -> Connection:
            connection._carrier = _CrashingCarrier(connection._carrier, fuse)
            return connection

        return dialled.addCallback(through_fuse)

    database.fuse = fuse
    return User(
        home,
        dial,
        person.clock,
        random_source=person.random,
        random_bytes=person.random.randbytes,
        in_thread=at_once,
        given=person.given,
        events=_CrashingScreen(person.screen, fuse),
    )
