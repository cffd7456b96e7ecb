"""Stores in a directory of the test's, with their health and what they count."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.seams import StoreHealth, StoreState
from tace.storage.sqlite import SqliteStore
from tests.storage.pump import Pump

T = TypeVar("T")
LOOK_ROUND_SECONDS = 0.02


class Tally:
    """Counters that remember, with their labels."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        self._counts[name, frozenset(labels.items())] += amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        return None

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        return None

    def of(self, name: str, **labels: str) -> int:
        return self._counts[name, frozenset(labels.items())]


class StoreFiles(SynchronousTestCase):
    """Nothing is open at first; what a test opens is closed after it."""

    def setUp(self) -> None:
        self.pump = Pump()
        self.path = Path(self.mktemp()) / "node.db"
        self.path.parent.mkdir()

    def result(self, deferred: Deferred[T]) -> T:
        """What the Deferred comes to."""
        return self.pump.result(deferred)

    def open(self, **settings: object) -> SqliteStore:
        """The store in the directory."""
        given = {"synchronous": "off", "look_round_seconds": LOOK_ROUND_SECONDS, **settings}
        store = SqliteStore(self.path, self.pump, **given)  # type: ignore[arg-type]
        self.addCleanup(lambda: self.result(store.close()))
        return store

    def becomes(self, store: SqliteStore, state: StoreState, detail: str = "") -> StoreHealth:
        """Wait until the store is in that state, with that in its detail."""
        reached: Deferred[StoreHealth] = Deferred()

        def look(health: StoreHealth) -> None:
            if health.state is state and detail in health.detail and not reached.called:
                reached.callback(health)

        store.when_health_changes(look)
        return self.result(reached)
