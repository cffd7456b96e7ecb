"""The store in memory keeps the contract, at once."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.storage.memory import MemoryStore
from tests.storage.blob_contract import BlobContract
from tests.storage.objects import NOW, letter
from tests.storage.pump import Pump
from tests.storage.range_contract import RangeContract

T = TypeVar("T")


class MemoryStoreTests(RangeContract, BlobContract, SynchronousTestCase):
    """The contract, and what only memory promises."""

    def make_store(self, **settings: int) -> MemoryStore:
        """Nothing to close."""
        return MemoryStore(**settings)

    def result(self, deferred: Deferred[T]) -> T:
        """It has fired already, so nothing is pumped."""
        return Pump().result(deferred)

    def test_answers_are_there_at_once(self) -> None:
        """The simulator's virtual time must not pass in the store."""
        self.assertTrue(self.store.put_envelopes([letter(1).envelope], NOW).called)
