"""Both stores keep the contract about hints; on disk they outlive the process."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.storage.memory import MemoryStore
from tace.storage.sqlite import SqliteStore
from tests.storage.hint_contract import ONE, HintContract, hinted
from tests.storage.pump import Pump

T = TypeVar("T")


class MemoryHintTests(HintContract, SynchronousTestCase):
    """In memory."""

    def setUp(self) -> None:
        self.store = MemoryStore()

    def result(self, deferred: Deferred[T]) -> T:
        return Pump().result(deferred)


class SqliteHintTests(HintContract, SynchronousTestCase):
    """On disk."""

    def setUp(self) -> None:
        self.pump = Pump()
        self.path = Path(self.mktemp())
        self.store = self.open()

    def open(self) -> SqliteStore:
        store = SqliteStore(self.path, self.pump, synchronous="off")
        self.addCleanup(lambda: self.pump.result(store.close()))
        return store

    def result(self, deferred: Deferred[T]) -> T:
        return self.pump.result(deferred)

    def test_they_are_there_after_a_restart(self) -> None:
        """A hint is as durable as the copy."""
        self.hint(ONE, [hinted(1)])
        self.pump.result(self.store.close())
        self.store = self.open()
        self.assertEqual(self.hints(ONE), [hinted(1)])
