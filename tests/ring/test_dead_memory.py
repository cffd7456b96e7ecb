"""The dead on the disk: what is written, what is read back, and a disk that refuses."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import StoreError
from tace.ids import NodeId
from tace.ring.dead_cache import KEPT_SECONDS, DeadCache
from tace.ring.dead_memory import SAVE_SECONDS, DeadMemory
from tace.seams import KnownDead
from tace.storage.memory import MemoryStore
from tests.ring.test_dead_cache import NETWORK_ID, START, dead, node, record

OWN = node(99)


class DeadMemoryTests(SynchronousTestCase):
    """One disk, and lives of a node one after the other."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = START
        self.store = MemoryStore()
        self.live()

    def live(self) -> None:
        """A new life, of which nothing is known but the disk."""
        self.cache = DeadCache(Random(1))
        clock: Any = self.clock
        self.memory = DeadMemory(
            self.cache, store=self.store, own=OWN, network_id=NETWORK_ID, clock=clock
        )
        self.successResultOf(Deferred.fromCoroutine(self.memory.load()))

    def save(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.memory.save()))

    def on_disk(self) -> set[NodeId]:
        found: list[KnownDead] = self.successResultOf(self.store.load_dead())
        return {known.node for known in found}

    def test_written_soon_and_read_in_the_next_life(self) -> None:
        """Records, times and who died together; also those since the last time, at the end."""
        self.memory.start()
        self.cache.add([dead(n) for n in range(1, 6)], 20, START)
        self.clock.advance(SAVE_SECONDS)
        self.assertEqual(len(self.on_disk()), 5)
        self.cache.add([dead(6, START + 500.0)], 20, START + 500.0)
        self.cache.discard(node(1))
        self.successResultOf(Deferred.fromCoroutine(self.memory.stop()))
        self.assertEqual(self.on_disk(), {node(n) for n in range(2, 7)})
        self.live()
        self.assertEqual((len(self.cache), self.cache.silent), (5, 4))
        self.assertEqual(self.cache.silent_since, START)
        kept = self.cache.record_of(node(2))
        assert kept is not None
        self.assertEqual(kept.encoded, record(2).encoded)

    def test_what_cannot_be_meant(self) -> None:
        """Garbage, another network's record, one that is not of that node, and the own one: not
        taken in, and forgotten on the disk."""
        bad = [
            KnownDead(node(1), b"garbage", START, False),
            KnownDead(node(2), record(3).encoded, START, False),
            KnownDead(OWN, record(99).encoded, START, False),
            KnownDead(node(4), record(4).encoded, START - KEPT_SECONDS - 1.0, False),
        ]
        good = KnownDead(node(5), record(5).encoded, START, False)
        self.successResultOf(self.store.save_dead([*bad, good]))
        self.live()
        self.assertEqual(
            [node(n) in self.cache for n in (1, 2, 3, 4, 5, 99)], [False] * 4 + [True, False]
        )
        self.save()
        self.assertEqual(self.on_disk(), {node(5)})

    def test_a_disk_that_refuses(self) -> None:
        """What was not written is written later, and who was not forgotten is forgotten later."""
        self.cache.add([dead(1), dead(2)], 20, START)
        self.save()
        self.cache.discard(node(1))
        self.cache.add([dead(3)], 20, START)
        for name, then in (
            ("forget_dead", {node(1), node(2)}),
            ("save_dead", {node(2)}),
        ):
            honest = getattr(self.store, name)
            self.patch(self.store, name, lambda _: fail(StoreError("read-only")))
            self.save()
            self.assertEqual(self.on_disk(), then)
            self.patch(self.store, name, honest)
        self.save()
        self.assertEqual(self.on_disk(), {node(2), node(3)})

    def test_a_disk_that_cannot_be_read(self) -> None:
        """Is done without."""
        self.patch(self.store, "load_dead", lambda: fail(StoreError("unreadable")))
        self.live()
        self.assertEqual(len(self.cache), 0)
