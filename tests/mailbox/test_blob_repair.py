"""Copies of blobs are made again, wherever they are missing."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import ProtocolError, UnknownMessage
from tace.ids import Arc
from tace.mailbox.blob_repair import MAX_FRUITLESS
from tace.storage.memory import MemoryStore
from tace.wire.fields import BlobName
from tace.wire.objects import Blob
from tace.wire.peer import BlobAnswer, BlobPage, FetchBlob, ListBlobs
from tests.delivery.nodes import DeliveryTestCase, stamped_blob
from tests.network import MemoryNetwork, TestNode

WHOLE = Arc(b"\xff" * 32, b"\xff" * 32)
"""In one segment, so that a test's pages come in one run."""


class BlobRepairTestCase(DeliveryTestCase):
    """Nodes, and the blobs in their stores."""

    count = 2

    def setUp(self) -> None:
        self.network_of(self.count)

    def network_of(self, count: int, **settings: Any) -> None:
        self.network = MemoryNetwork(seed=5, **{"ring.reconcile_seconds": 10.0, **settings})
        self.nodes = self.network.ring(count)

    def blob(self, number: int, *, hours: int = 24, bits: int = 4) -> Blob:
        return stamped_blob(number, self.network.clock.seconds(), hours=hours, bits=bits)

    def keep(self, node: TestNode, *blobs: Blob) -> None:
        """Into one store, past everything else."""
        self.network.result(node.store.put_blobs(blobs, self.network.clock.seconds()))

    def kept(self, node: TestNode, blob: Blob) -> Blob | None:
        found: Blob | None = self.network.result(
            node.store.get_blob(blob.hash, self.network.clock.seconds())
        )
        return found

    def holders(self, blob: Blob) -> int:
        return sum(self.kept(node, blob) is not None for node in self.nodes)

    def pull(self, within: float = 60.0) -> int:
        """The first node from the second; how many."""
        pulled: int = self.network.result(
            Deferred.fromCoroutine(self.nodes[0].core.blob_repair.pull(self.nodes[1].id, [WHOLE])),
            within,
        )
        return pulled


class PullTests(BlobRepairTestCase):
    """One node brings itself up to date."""

    def test_what_is_lacking_comes_once(self) -> None:
        """What is there already is listed, not fetched; bodies come one a message."""
        shared, lacking = self.blob(1), [self.blob(n) for n in range(2, 7)]
        self.keep(self.nodes[0], shared)
        self.keep(self.nodes[1], shared, *lacking)
        self.network.frames.clear()
        self.assertEqual(self.pull(), 5)
        fetched = [kind for _, _, kind in self.network.frames if kind == "FetchBlob"]
        self.assertEqual(len(fetched), 5)
        for blob in (shared, *lacking):
            self.assertEqual(self.kept(self.nodes[0], blob), blob)
        self.assertEqual(self.pull(), 0)

    def test_each_is_fetched_once(self) -> None:
        """Though four replicas have all of them, and are compared with at the same time."""
        self.network_of(4)
        blobs = [self.blob(n) for n in range(12)]
        for node in self.nodes:
            self.keep(node, *blobs)
        late = self.network.node("late", seeds=("n0:1",))
        self.network.frames.clear()
        late.start()
        self.network.run(20.0)
        self.assertTrue(all(self.kept(late, blob) is not None for blob in blobs))
        asked = [b for a, b, kind in self.network.frames if kind == "FetchBlob" and a == late.id]
        self.assertEqual(len(asked), 12)
        self.assertGreater(len(set(asked)), 1)

    def test_what_is_urgent_comes_first(self) -> None:
        """In the order in which the arcs are given, whatever their places on the ring."""
        blobs = sorted((self.blob(n) for n in range(6)), key=lambda blob: blob.hash)
        self.keep(self.nodes[1], *blobs)
        middle = blobs[2].hash
        low, high = Arc(b"\xff" * 32, middle), Arc(middle, b"\xff" * 32)
        took: list[bytes] = []
        real = self.nodes[0].store.put_blobs

        def put(blobs: Any, now: float) -> Any:
            took.extend(blob.hash for blob in blobs)
            return real(blobs, now)

        self.patch(self.nodes[0].store, "put_blobs", put)
        self.network.result(
            Deferred.fromCoroutine(
                self.nodes[0].core.blob_repair.pull(self.nodes[1].id, [high, low])
            ),
            60.0,
        )
        self.assertEqual(len(took), 6)
        self.assertTrue(all(name in high for name in took[:3]))

    def test_a_later_expiry_spreads(self) -> None:
        """An earlier one does not."""
        self.keep(self.nodes[0], self.blob(1, hours=5), self.blob(2, hours=50))
        self.keep(self.nodes[1], self.blob(1, hours=50), self.blob(2, hours=5))
        self.assertEqual(self.pull(), 1)
        for number in (1, 2):
            self.assertEqual(
                self.kept(self.nodes[0], self.blob(number)), self.blob(number, hours=50)
            )

    def test_more_than_a_page(self) -> None:
        """Over pages, and round the zero: everything, by itself."""
        blobs = [self.blob(n) for n in range(30)]
        honest = self.truth(self.nodes[1], ListBlobs)

        async def short(peer: bytes, message: ListBlobs) -> BlobPage:
            page = await honest(peer, message)
            assert isinstance(page, BlobPage)
            return BlobPage(page.blobs[:7], more=len(page.blobs) > 7)

        self.lie(self.nodes[1], ListBlobs, short)
        self.keep(self.nodes[1], *blobs)
        self.network.run(200.0)
        self.assertEqual([self.kept(self.nodes[0], blob) for blob in blobs], blobs)

    def test_what_this_node_does_not_take_is_asked_for_once(self) -> None:
        """A blob without the stamp, which came into the other's store somehow."""
        self.keep(self.nodes[1], self.blob(1, bits=2))
        self.network.frames.clear()
        self.assertEqual(self.pull() + self.pull(), 0)
        fetched = [kind for _, _, kind in self.network.frames if kind == "FetchBlob"]
        self.assertEqual(len(fetched), 1)
        self.assertIsNone(self.kept(self.nodes[0], self.blob(1)))

    def test_a_full_store_stops_fetching(self) -> None:
        """One is refused; the others stay where they are."""
        self.nodes[0].kill()
        small = MemoryStore(max_bytes=1)
        full = self.network.node("small", seeds=("n1:1",), store=small)
        full.start()
        self.network.run(10.0)
        self.keep(self.nodes[1], *(self.blob(n) for n in range(20)))
        self.network.frames.clear()
        pulled = self.network.result(
            Deferred.fromCoroutine(full.core.blob_repair.pull(self.nodes[1].id, [WHOLE]))
        )
        fetched = [kind for _, _, kind in self.network.frames if kind == "FetchBlob"]
        self.assertEqual((pulled, len(fetched)), (0, 1))


class LiarTests(BlobRepairTestCase):
    """Peers that break the rules, and one from before there were blobs."""

    def lists(self, *pages: BlobPage) -> None:
        rest = list(pages)

        async def listing(peer: bytes, message: ListBlobs) -> BlobPage:
            return rest.pop(0) if rest else BlobPage(())

        self.lie(self.nodes[1], ListBlobs, listing)

    def name(self, key: int) -> BlobName:
        return BlobName(key.to_bytes(32), 600_000)

    def test_out_of_order(self) -> None:
        """Backwards, twice the same, over two pages."""
        five, four = self.name(5), self.name(4)
        for pages in (
            (BlobPage((five, four)),),
            (BlobPage((five, five)),),
            (BlobPage((five,), more=True), BlobPage((five,), more=True)),
            (BlobPage((five,), more=True), BlobPage((four,), more=True)),
        ):
            self.lists(*pages)
            with self.assertRaises(ProtocolError):
                self.pull()

    def test_outside_the_arc(self) -> None:
        """Only what was asked for."""
        self.lists(BlobPage((self.name(50),)))
        narrow = Arc((5).to_bytes(32), (40).to_bytes(32))
        with self.assertRaises(ProtocolError):
            self.network.result(
                Deferred.fromCoroutine(
                    self.nodes[0].core.blob_repair.pull(self.nodes[1].id, [narrow])
                )
            )

    def test_more_without_blobs(self) -> None:
        """Is the end."""
        self.lists(BlobPage((), more=True))
        self.assertEqual(self.pull(), 0)

    def test_blobs_that_are_not_there(self) -> None:
        """A peer that invents them is left after a few, however many it lists."""
        self.lists(BlobPage(tuple(self.name(key) for key in range(1, 513)), more=True))
        self.network.frames.clear()
        with self.assertRaises(ProtocolError):
            self.pull()
        fetched = [kind for _, _, kind in self.network.frames if kind == "FetchBlob"]
        self.assertEqual(len(fetched), MAX_FRUITLESS + 1)

    def test_a_few_that_have_gone_meanwhile(self) -> None:
        """Are passed over; what is there comes."""
        one = self.blob(1)
        self.keep(self.nodes[1], one)
        gone = [self.name(key) for key in range(1, 5)]
        self.lists(BlobPage((*gone, BlobName(one.hash, one.expires_hours))))
        self.assertEqual(self.pull(), 1)

    def test_another_blob_than_was_asked_for(self) -> None:
        """Is not kept."""
        asked, brought = self.blob(1), self.blob(2)
        self.lists(BlobPage((BlobName(asked.hash, asked.expires_hours),)))

        async def other(peer: bytes, message: FetchBlob) -> BlobAnswer:
            return BlobAnswer(brought.encoded)

        self.lie(self.nodes[1], FetchBlob, other)
        with self.assertRaises(ProtocolError):
            self.pull()
        self.assertIsNone(self.kept(self.nodes[0], brought))

    def test_a_node_without_blobs_is_in_step(self) -> None:
        """An older program does not know the question: it has none."""

        async def unknown(peer: bytes, message: ListBlobs) -> BlobPage:
            raise UnknownMessage("no message has number 55")

        self.lie(self.nodes[1], ListBlobs, unknown)
        replica = self.nodes[0].core.blob_repair._replica
        replica.partial = True
        self.assertEqual(self.pull(), 0)
        self.network.run(120.0)
        self.assertFalse(replica.partial)


class CopiesTests(BlobRepairTestCase):
    """n copies exist again after a node is gone."""

    def setUp(self) -> None:
        """Each test has its own network."""

    def test_one_of_six_goes_for_good(self) -> None:
        """Five copies of each of 30 blobs, before and after; it takes a minute."""
        self.network_of(6, **{"ring.replicas": 5, "ring.repair_after_seconds": 30.0})
        blobs = [self.blob(n) for n in range(30)]
        for blob in blobs:
            put = Deferred.fromCoroutine(self.nodes[0].core.blobs.put(blob))
            self.assertEqual(self.network.result(put).state, "stored")
        self.network.run(5.0)
        self.assertEqual({self.holders(blob) for blob in blobs}, {5})
        self.nodes.pop(2).kill()
        self.network.run(25.0)
        self.assertEqual({self.holders(blob) for blob in blobs}, {4, 5})
        self.network.run(35.0)
        self.assertEqual({self.holders(blob) for blob in blobs}, {5})

    def test_what_was_stored_while_a_replica_was_away_reaches_it(self) -> None:
        """And what it had before is on its disk again."""
        self.network_of(3)
        before, after = self.blob(1), self.blob(2)
        for blob, away in ((before, False), (after, True)):
            if away:
                self.nodes[2].kill()
                self.network.run(1.0)
            put = Deferred.fromCoroutine(self.nodes[0].core.blobs.put(blob))
            self.assertEqual(self.network.result(put).state, "stored")
            self.network.run(1.0)
        self.nodes[2] = self.nodes[2].again()
        self.network.run(10.0)
        self.assertEqual([self.kept(self.nodes[2], b) for b in (before, after)], [before, after])

    def test_a_newcomer_is_a_member_before_it_has_the_blobs(self) -> None:
        """Its answers about mailboxes are whole; those about blobs say that they are not."""
        self.network_of(2)
        blobs = [self.blob(n) for n in range(20)]
        for node in self.nodes:
            self.keep(node, *blobs)
            self.slow(node, FetchBlob, 1.0)
        late = self.network.node("late", seeds=("n0:1",))
        late.start()
        self.network.run(10.0)
        self.assertTrue(late.core.ring.joined)
        self.assertFalse(late.core.replica.partial)
        self.assertTrue(late.core.blob_repair._replica.partial)
        self.network.run(60.0)
        self.assertFalse(late.core.blob_repair._replica.partial)
        self.assertEqual([self.kept(late, blob) for blob in blobs], blobs)

    def test_what_has_expired_is_not_moved(self) -> None:
        """It goes everywhere instead."""
        self.network_of(2)
        self.keep(self.nodes[0], self.blob(1, hours=1))
        self.nodes[1].kill()
        self.network.run(3600.0)
        self.nodes[1] = self.nodes[1].again()
        self.network.run(120.0)
        for node in self.nodes:
            self.assertEqual(self.network.result(node.store.totals()).blobs, 0)
