"""Storing blobs at replicas and finding them, whatever some of those do."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from tace.delivery.blobs import MAX_TRANSFERS
from tace.delivery.votes import Outcome
from tace.errors import InternalError, NotStored, TooMany
from tace.seams import ReplicaSet
from tace.wire.fields import PutResult
from tace.wire.objects import Blob
from tace.wire.peer import BlobAnswer, FetchBlob, PutAnswer, StoreBlob
from tests.delivery.nodes import DeliveryTestCase, stamped_blob
from tests.network import TestNode

_REDIRECT = PutResult("redirect")


def _fired(value: Blob | None) -> Deferred[Blob | None]:
    return succeed(value)


class BlobTestCase(DeliveryTestCase):
    """Blobs at three replicas; the asking node is one of them."""

    def blob(self, number: int, *, hours: int = 24, bits: int = 4) -> Blob:
        return stamped_blob(number, self.network.clock.seconds(), hours=hours, bits=bits)

    def start_put(self, at: int, blob: Blob) -> Deferred[Outcome]:
        return Deferred.fromCoroutine(self.nodes[at].core.blobs.put(blob))

    def put_blob(self, at: int, blob: Blob, within: float = 9.0) -> Outcome:
        outcome: Outcome = self.network.result(self.start_put(at, blob), within)
        return outcome

    def keep(self, node: TestNode, *blobs: Blob) -> None:
        self.network.result(node.store.put_blobs(blobs, self.network.clock.seconds()))

    def find(self, at: int, name: bytes, within: float = 9.0) -> Blob | None:
        found: Blob | None = self.network.result(
            Deferred.fromCoroutine(self.nodes[at].core.blobs.find(name)), within
        )
        return found

    def fetches(self) -> int:
        return sum(kind == "FetchBlob" for _, _, kind in self.network.frames)

    def answers(self, node: TestNode, answer: BlobAnswer) -> None:
        async def say(peer: bytes, message: FetchBlob) -> BlobAnswer:
            return answer

        self.lie(node, FetchBlob, say)


class PutTests(BlobTestCase):
    """A majority has it on disk, or the answer says otherwise."""

    def test_on_all_replicas(self) -> None:
        """A majority is waited for; the third gets it all the same."""
        one = self.blob(1)
        outcome = self.put_blob(0, one)
        self.assertEqual((outcome.state, outcome.of), ("stored", 3))
        self.assertGreaterEqual(outcome.copies, 2)
        self.network.run(1.0)
        for node in self.nodes:
            kept = self.network.result(node.store.get_blob(one.hash, self.network.clock.seconds()))
            self.assertEqual(kept, one)
        self.assertEqual(self.put_blob(1, one).state, "stored")

    def test_one_replica_dead(self) -> None:
        """Two of three are a majority."""
        self.nodes[2].kill()
        self.assertEqual(self.put_blob(0, self.blob(1)), Outcome("stored", 2, 3))

    def test_two_replicas_silent(self) -> None:
        """``partial`` at the deadline, before the client gives up."""
        for node in self.nodes[1:]:
            self.slow(node, StoreBlob, 100.0)
        started = self.network.clock.seconds()
        outcome = self.put_blob(0, self.blob(1))
        self.assertEqual((outcome.state, outcome.copies, outcome.of), ("partial", 1, 3))
        self.assertLess(self.network.clock.seconds() - started, 9.0)

    def test_a_slow_line_is_waited_for_longer_than_for_messages(self) -> None:
        """Five seconds for half a megabyte is no failure."""
        for node in self.nodes[1:]:
            self.slow(node, StoreBlob, 5.0)
        self.assertEqual(self.put_blob(0, self.blob(1)).state, "stored")

    def test_what_is_not_taken(self) -> None:
        """The gateway's node sees it before anything leaves."""
        self.network.frames.clear()
        for blob, word in (
            (self.blob(1, bits=3), "stamp-required"),
            (self.blob(2, hours=0), "expired"),
            (self.blob(3, hours=24 * 31), "too-far-ahead"),
        ):
            self.assertEqual(self.put_blob(0, blob), Outcome(word, 0, 0))
        stores = [kind for _, _, kind in self.network.frames if kind == "StoreBlob"]
        self.assertEqual(stores, [])

    def test_replicas_that_are_full(self) -> None:
        """Their word is the outcome when none of them has room."""
        for node in self.nodes:
            node.store._max_bytes = 1
        outcome = self.put_blob(0, self.blob(1))
        self.assertEqual((outcome.state, outcome.copies, outcome.of), ("full", 0, 3))

    def test_a_redirect_is_followed_with_records_that_fit(self) -> None:
        """Beside a blob a frame has room for little: no more goes along than that."""
        honest = self.truth(self.nodes[1], StoreBlob)
        asked: list[StoreBlob] = []
        record, large = self.nodes[0].core.membership.current.encoded, bytes(1000)

        async def first_redirect(peer: bytes, message: StoreBlob) -> PutAnswer:
            asked.append(message)
            if len(asked) == 1:
                self.patch(
                    self.nodes[0].core.membership,
                    "nearer_records",
                    lambda key: (record, large, large, large),
                )
                return PutAnswer((_REDIRECT,), (record,))
            answer = await honest(peer, message)
            assert isinstance(answer, PutAnswer)
            return answer

        self.lie(self.nodes[1], StoreBlob, first_redirect)
        self.slow(self.nodes[2], StoreBlob, 100.0)
        self.assertEqual(self.put_blob(0, self.blob(1)).state, "stored")
        self.assertEqual(len(asked), 2)
        self.assertEqual(asked[1].records, (record, large))

    def test_so_many_at_one_time(self) -> None:
        """More are refused at once, and taken when others are through."""
        for node in self.nodes[1:]:
            self.slow(node, StoreBlob, 3.0)
        puts = [self.start_put(0, self.blob(n)) for n in range(MAX_TRANSFERS)]
        error = self.assertRaises(TooMany, self.put_blob, 0, self.blob(999))
        self.assertGreater(error.retry_after_ms, 0)
        self.assertRaises(TooMany, self.find, 0, bytes(32))
        self.assertEqual({self.network.result(put).state for put in puts}, {"stored"})
        self.assertIsNone(self.find(0, bytes(32)))


class FindTests(BlobTestCase):
    """One replica after the other, until one has it."""

    def test_its_own_copy_costs_no_message(self) -> None:
        """Nor does anybody else hear of it."""
        one = self.blob(1)
        self.keep(self.nodes[0], one)
        self.network.frames.clear()
        self.assertEqual(self.find(0, one.hash), one)
        self.assertEqual(self.fetches(), 0)

    def test_wherever_it_is(self) -> None:
        """At one of three: the bytes cross the wire once."""
        one = self.blob(1)
        for node in self.nodes:
            self.keep(node, one)
        self.patch(self.nodes[0].store, "get_blob", lambda name, now: _fired(None))
        self.network.frames.clear()
        self.assertEqual(self.find(0, one.hash), one)
        self.assertEqual(self.fetches(), 1)

    def test_nobody_has_it(self) -> None:
        """Said once all have been asked; one who is slow is given a moment, not more."""
        self.network.frames.clear()
        self.assertIsNone(self.find(0, bytes(32)))
        self.assertEqual(self.fetches(), 2)
        self.slow(self.nodes[2], FetchBlob, 100.0)
        started = self.network.clock.seconds()
        self.assertIsNone(self.find(0, bytes(32)))
        self.assertLess(self.network.clock.seconds() - started, 3.0)

    def test_one_that_still_pulls_does_not_count(self) -> None:
        """Its "none" means nothing; what the last one has is found."""
        one = self.blob(1)
        self.keep(self.nodes[2], one)
        for node in self.nodes[:2]:
            node.core.blob_repair._replica.partial = True
        self.assertEqual(self.find(0, one.hash), one)

    def test_too_few_to_say_that_nobody_has_it(self) -> None:
        """``not-stored``: ask again, or elsewhere."""
        self.answers(self.nodes[1], BlobAnswer(b"", partial=True))
        self.answers(self.nodes[2], BlobAnswer(b"", partial=True))
        error = self.assertRaises(NotStored, self.find, 0, bytes(32))
        self.assertGreater(error.retry_after_ms, 0)

    def test_a_slow_one_is_not_waited_for_alone(self) -> None:
        """The next is asked before the first has answered or failed."""
        one = self.blob(1)
        for node in self.nodes[1:]:
            self.keep(node, one)
        first = self.nodes[0].core.blobs._in_order(
            self.nodes[0].core.membership.replica_set(one.hash)
        )[1]
        slow = next(node for node in self.nodes if node.id == first)
        self.slow(slow, FetchBlob, 100.0)
        started = self.network.clock.seconds()
        self.assertEqual(self.find(0, one.hash), one)
        self.assertLess(self.network.clock.seconds() - started, 1.0)
        self.network.run(10.0)

    def test_everyone_silent(self) -> None:
        """An end before the client gives up, and no timer left behind."""
        for node in self.nodes[1:]:
            self.slow(node, FetchBlob, 100.0)
        started = self.network.clock.seconds()
        self.assertRaises(NotStored, self.find, 0, bytes(32))
        self.assertLess(self.network.clock.seconds() - started, 9.0)

    def test_lies_are_not_believed(self) -> None:
        """Another blob, one that is over, a wrong length, a refusal: as if nothing was said."""
        one = self.blob(1)
        self.keep(self.nodes[2], one)
        over = Blob.make(one.data, expires_hours=1).encoded
        for lie in (self.blob(2).encoded, over, bytes(100)):
            self.answers(self.nodes[1], BlobAnswer(lie))
            self.assertEqual(self.find(0, one.hash), one)

        async def broken(peer: bytes, message: FetchBlob) -> BlobAnswer:
            raise InternalError("no")

        self.lie(self.nodes[1], FetchBlob, broken)
        self.assertEqual(self.find(0, one.hash), one)

    def test_one_that_withholds_cannot_hide_it(self) -> None:
        """Although with the asking node's own it makes a read quorum that has none."""
        one = self.blob(1)
        for node in (self.nodes[0], self.nodes[2]):
            self.keep(node, one)
        self.answers(self.nodes[0], BlobAnswer(b""))
        self.assertEqual(self.find(1, one.hash), one)


class StandInTests(BlobTestCase):
    """Three members, of which two have died, and two stand-ins."""

    count = 5
    replicas = 3

    def test_stand_ins_do_not_make_a_read_quorum(self) -> None:
        """They have pulled nothing yet: their "none" hides nothing that a slow member has."""
        one = self.blob(1)
        ids = [node.id for node in self.nodes]
        a_set = ReplicaSet(tuple(ids[:3]), (ids[2], ids[3], ids[4]))
        membership = self.nodes[4].core.membership
        self.patch(membership, "replica_set", lambda key: a_set)
        for node in ids[:2]:
            membership.found_dead(node)
        self.keep(self.nodes[2], one)
        self.slow(self.nodes[2], FetchBlob, 2.0)
        self.assertEqual(self.find(4, one.hash), one)
