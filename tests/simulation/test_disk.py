"""The simulated store keeps the contract, and keeps its word when its program is killed."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tace.seams import StoreHealth, StoreState
from tace.simulation.clock import VirtualClock
from tace.simulation.disk import Disk, SimulatedStore
from tace.simulation.process import Process
from tace.storage.memory import MemoryStore
from tests.storage.blob_contract import BlobContract
from tests.storage.contract import LITTLE_BYTES
from tests.storage.objects import NOW, letter
from tests.storage.range_contract import RangeContract

T = TypeVar("T")
COMMIT = 0.004


class SimulatedStoreTests(RangeContract, BlobContract, SynchronousTestCase):
    """The contract, in virtual time."""

    def setUp(self) -> None:
        self.clock = VirtualClock()
        super().setUp()

    def make_store(self, **settings: int) -> SimulatedStore:
        return SimulatedStore(Disk(lambda: MemoryStore(**settings)), self.clock)

    def result(self, deferred: Deferred[T]) -> T:
        self.clock.run_for(1.0)
        outcomes: list[Any] = []
        deferred.addBoth(outcomes.append)
        if isinstance(outcomes[0], Failure):
            outcomes[0].raiseException()
        found: T = outcomes[0]
        return found


class CommitTests(SynchronousTestCase):
    """When things are on the disk."""

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.disk = Disk()
        self.start()

    def start(self) -> None:
        self.process = Process(self.clock)
        self.store = SimulatedStore(self.disk, self.process, commit_seconds=COMMIT)

    def kill(self) -> None:
        self.process.kill()
        self.disk.unmount()

    def held(self) -> int:
        return self.successResultOf(self.disk.content.totals()).envelopes

    def test_nothing_is_answered_before_it_is_committed(self) -> None:
        """Nor is it on the disk."""
        put = self.store.put_envelopes([letter(1).envelope], NOW)
        self.clock.run_for(COMMIT * 0.9)
        self.assertNoResult(put)
        self.assertEqual(self.held(), 0)
        self.clock.run_for(COMMIT * 0.2)
        self.assertEqual([p.code for p in self.successResultOf(put)], ["stored"])
        self.assertEqual(self.held(), 1)

    def test_what_comes_together_shares_a_commit(self) -> None:
        """What comes while one runs is in the next, all of it."""
        puts = [self.store.put_envelopes([letter(0).envelope], NOW)]
        self.clock.run_for(COMMIT / 2)
        puts += [self.store.put_envelopes([letter(n).envelope], NOW) for n in range(1, 5)]
        self.clock.run_for(COMMIT / 2)
        self.successResultOf(puts[0])
        for put in puts[1:]:
            self.assertNoResult(put)
        self.clock.run_for(COMMIT)
        for put in puts[1:]:
            self.successResultOf(put)
        self.assertEqual(self.store.commits, 2)

    def test_killed_before_the_commit(self) -> None:
        """It is lost, and nobody was told otherwise."""
        put = self.store.put_envelopes([letter(1).envelope], NOW)
        self.clock.run_for(COMMIT / 2)
        self.kill()
        self.clock.run_for(1.0)
        self.assertNoResult(put)
        self.assertEqual(self.held(), 0)

    def test_killed_after_the_commit(self) -> None:
        """The next program finds it, and a boot that is higher."""
        boot = self.store.next_boot(NOW)
        self.store.put_envelopes([letter(1).envelope], NOW)
        self.clock.run_for(COMMIT)
        self.kill()
        self.start()
        again = self.store.put_envelopes([letter(1).envelope], NOW)
        next_boot = self.store.next_boot(NOW)
        self.clock.run_for(COMMIT)
        self.assertEqual([p.code for p in self.successResultOf(again)], ["duplicate"])
        self.assertEqual(self.successResultOf(next_boot), self.successResultOf(boot) + 1)

    def test_wiped(self) -> None:
        """Nothing is left, not even the boot."""
        self.store.next_boot(NOW + 1000)
        self.store.put_envelopes([letter(1).envelope], NOW)
        self.clock.run_for(COMMIT)
        self.kill()
        self.disk.wipe()
        self.start()
        boot = self.store.next_boot(NOW)
        self.clock.run_for(COMMIT)
        self.assertEqual(self.held(), 0)
        self.assertEqual(self.successResultOf(boot), int(NOW))

    def test_health_is_told_to_the_program_that_runs(self) -> None:
        """A killed one hears no more of it."""
        self.disk = Disk(lambda: MemoryStore(max_bytes=LITTLE_BYTES))
        self.start()
        old: list[StoreHealth] = []
        new: list[StoreHealth] = []
        self.store.when_health_changes(old.append)
        self.kill()
        self.start()
        self.store.when_health_changes(new.append)
        self.store.put_envelopes([letter(n).envelope for n in range(400)], NOW)
        self.clock.run_for(1.0)
        self.assertEqual([h.state for h in old], [StoreState.OK])
        self.assertEqual([h.state for h in new], [StoreState.OK, StoreState.FULL])
        self.assertEqual(self.store.health, new[-1])

    def test_closed_after_what_was_asked(self) -> None:
        """The last writes are committed; the disk can be used again."""
        put = self.store.put_envelopes([letter(1).envelope], NOW)
        closed = self.store.close()
        self.assertNoResult(closed)
        self.clock.run_for(COMMIT)
        self.successResultOf(put)
        self.successResultOf(closed)
        self.start()
        found = self.store.totals()
        self.clock.run_for(COMMIT)
        self.assertEqual(self.successResultOf(found).envelopes, 1)
