"""One replica of blobs, asked by nodes that may and nodes that may not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import NotReplica, TooMany
from tace.ids import Arc
from tace.mailbox.blobs import MAX_UNDER_WAY
from tace.seams import Put
from tace.wire.fields import BlobName
from tace.wire.message import Request
from tace.wire.objects import Blob
from tace.wire.peer import BlobAnswer, BlobPage, FetchBlob, ListBlobs, PutAnswer, StoreBlob
from tests.delivery.nodes import DeliveryTestCase, stamped_blob
from tests.network import MemoryNetwork

WHOLE = Arc(b"\xff" * 32, b"\xff" * 32)


class BlobReplicaTests(DeliveryTestCase):
    """The first node asks the second, which keeps everything."""

    count = 2

    def setUp(self) -> None:
        super().setUp()
        self.asker, self.replica = self.nodes

    def ask(self, request: Request[Any]) -> Any:
        return self.network.result(self.asker.core.links.call(self.replica.id, request))

    def blob(self, number: int, *, hours: int = 24, bits: int = 4) -> Blob:
        return stamped_blob(number, self.network.clock.seconds(), hours=hours, bits=bits)

    def code(self, blob: Blob) -> str:
        answer: PutAnswer = self.ask(StoreBlob(blob.encoded))
        (result,) = answer.results
        return result.code

    def test_what_is_stored_is_served(self) -> None:
        """Whole, with expiry and stamp; again it is a duplicate, for longer it is news."""
        one = self.blob(1)
        self.assertEqual(self.code(one), "stored")
        self.assertEqual(self.code(one), "duplicate")
        self.assertEqual(self.ask(FetchBlob(one.hash)), BlobAnswer(one.encoded))
        longer = self.blob(1, hours=30)
        self.assertEqual(self.code(longer), "stored")
        self.assertEqual(self.ask(FetchBlob(one.hash)), BlobAnswer(longer.encoded))
        self.assertEqual(self.ask(FetchBlob(bytes(32))), BlobAnswer(b""))

    def test_what_is_not_taken(self) -> None:
        """The replica looks for itself, whatever the gateway let through."""
        self.assertEqual(self.code(self.blob(1, bits=3)), "stamp-required")
        self.assertEqual(self.code(self.blob(2, hours=0)), "expired")
        self.assertEqual(self.code(self.blob(3, hours=24 * 31)), "too-far-ahead")
        self.assertEqual(self.network.result(self.replica.store.totals()).blobs, 0)

    def test_what_is_not_its_own(self) -> None:
        """Is sent on to those that are nearer, with their records."""
        self.patch(self.replica.core.membership, "is_candidate", lambda node, key: False)
        answer: PutAnswer = self.ask(StoreBlob(self.blob(1).encoded))
        self.assertEqual([result.code for result in answer.results], ["redirect"])
        self.assertGreater(len(answer.records), 0)

    def test_a_full_store_says_so(self) -> None:
        """As its own word, with the blobs that are there still served."""

        def full(blobs: object, now: float) -> Deferred[list[Put]]:
            answer: Deferred[list[Put]] = Deferred()
            answer.callback([Put("full")])
            return answer

        self.code(self.blob(1))
        self.patch(self.replica.store, "put_blobs", full)
        self.assertEqual(self.code(self.blob(2)), "full")
        self.assertEqual(self.ask(FetchBlob(self.blob(1).hash)).blob, self.blob(1).encoded)

    def test_its_hands_are_bounded(self) -> None:
        """More than it holds at one time is refused, and taken when there is room again."""
        waiting: list[Deferred[Any]] = []

        def slow(name: bytes, now: float) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.replica.store, "get_blob", slow)
        call = self.asker.core.links.call
        asked = [call(self.replica.id, FetchBlob(bytes(32))) for _ in range(MAX_UNDER_WAY)]
        self.network.run(0.01)
        self.assertEqual(len(waiting), MAX_UNDER_WAY)
        for request in (FetchBlob(bytes(32)), StoreBlob(self.blob(1).encoded)):
            error = self.assertRaises(TooMany, self.ask, request)
            self.assertGreater(error.retry_after_ms, 0)
        for answer in waiting:
            answer.callback(None)
        for answer in asked:
            self.assertEqual(self.network.result(answer), BlobAnswer(b""))
        self.assertEqual(self.code(self.blob(1)), "stored")

    def test_until_it_is_whole_its_none_is_partial(self) -> None:
        """As of mailboxes."""
        core = self.replica.core
        core.blob_repair._replica.partial = True
        self.assertEqual(self.ask(FetchBlob(bytes(32))), BlobAnswer(b"", partial=True))

    def test_a_listing_page_by_page(self) -> None:
        """Every blob once, in order, with its hour; the last page says so."""
        listed = [BlobName(number.to_bytes(32), 500_000) for number in range(1, 1031)]

        def names(arc: Arc, *, after: bytes, limit: int, now: float) -> Deferred[list[BlobName]]:
            answer: Deferred[list[BlobName]] = Deferred()
            answer.callback([name for name in listed if name.hash > after][:limit])
            return answer

        self.patch(self.replica.store, "list_blobs", names)
        seen: list[BlobName] = []
        pages = 0
        more = True
        while more:
            after = seen[-1].hash if seen else b""
            page: BlobPage = self.ask(ListBlobs(WHOLE.start, WHOLE.end, after))
            seen += page.blobs
            more = page.more
            pages += 1
        self.assertEqual((seen, pages), (listed, 3))


class AskerTests(DeliveryTestCase):
    """Who may ask for listings."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=1, **{"ring.replicas": 2})
        self.nodes = self.network.ring(8)

    def test_only_those_within_the_first_2n(self) -> None:
        """Others get ``not-replica``, whether or not there is anything."""
        asker = self.nodes[0]
        outcomes = []
        for node in self.nodes[1:]:
            for arc, _ in node.core.membership.arcs_held():
                may = node.core.membership.may_ask_about(asker.id, arc)
                asked = asker.core.links.call(node.id, ListBlobs(arc.start, arc.end))
                if may:
                    self.network.result(asked)
                else:
                    self.assertRaises(NotReplica, self.network.result, asked)
                outcomes.append(may)
        self.assertEqual({True, False}, set(outcomes))
