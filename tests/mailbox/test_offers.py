"""What a node says that it lacks, of what it is offered."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import TooMany
from tace.identity.keys import SigningKey
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.seams import ItemState
from tace.wire.fields import BlobName
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import ItemField, Offer, OfferAnswer
from tests.delivery.nodes import stamped_blob
from tests.letters import Box, secret
from tests.mailbox.test_repair import RepairTestCase
from tests.network import TestNode


def named(letter: Envelope, state: ItemState = ItemState.ENVELOPE) -> ItemField:
    return ItemField(letter.mailbox, letter.id, int(state))


class OfferTests(RepairTestCase):
    """The first node offers to the second, which keeps everything."""

    def setUp(self) -> None:
        self.asker, self.holder = self.network_of(2, **{"ring.reconcile_seconds": 3600.0})

    def offer(self, items: list[ItemField], blobs: tuple[BlobName, ...] = ()) -> OfferAnswer:
        request = Offer(tuple(items), blobs)
        answer: OfferAnswer = self.network.result(
            self.asker.core.links.call(self.holder.id, request)
        )
        return answer

    def test_what_is_there_and_what_is_not(self) -> None:
        """By place; nothing at all is an answer, too."""
        first, second, third = self.letters(3)
        self.put(self.holder, [second])
        answer = self.offer([named(first), named(second), named(third)])
        self.assertEqual(answer, OfferAnswer((0, 2)))
        self.assertEqual(self.offer([]), OfferAnswer(()))

    def test_acks(self) -> None:
        """An ack lacks where the envelope lies, and is as good as the envelope."""
        first, second = self.letters(2)
        self.put(self.holder, [first, second])
        now = self.network.clock.seconds()
        self.network.result(
            self.holder.store.put_tombstones([Tombstone.of(second, secret(1))], now)
        )
        grave = ItemState.TOMBSTONE
        answer = self.offer([named(first, grave), named(second, grave), named(second)])
        self.assertEqual(answer, OfferAnswer((0,)))

    def test_records(self) -> None:
        """By their hash: another one under that key is not it."""
        now = self.network.clock.seconds()
        one, other = (
            UserRecord.sign(
                SigningKey.from_seed(b"u" * 48),
                kind=KIND_DEVICE_LIST,
                device=NO_DEVICE,
                sequence=sequence,
                expires_hours=int(now // 3600) + 10,
                payload=b"p",
            )
            for sequence in (1, 2)
        )
        self.network.result(self.holder.store.put_records([other], now))
        fields = [ItemField(r.key, r.order[1], int(ItemState.RECORD)) for r in (one, other)]
        self.assertEqual(self.offer(fields), OfferAnswer((0,)))

    def test_blobs(self) -> None:
        """Counted behind the items; one that is there for less long lacks."""
        now = self.network.clock.seconds()
        here, short, absent = (stamped_blob(n, now) for n in range(3))
        self.network.result(self.holder.store.put_blobs([here, short], now))
        (letter,) = self.letters(1)
        blobs = (
            BlobName(here.hash, here.expires_hours),
            BlobName(short.hash, short.expires_hours + 1),
            BlobName(absent.hash, absent.expires_hours),
        )
        self.assertEqual(self.offer([named(letter)], blobs), OfferAnswer((0, 2, 3)))

    def test_a_node_that_takes_nothing_new(self) -> None:
        """At the end of a leaving everything is misplaced."""
        first, second = self.letters(2)
        self.put(self.holder, [first])
        self.holder.core.replica.closed = True
        answer = self.offer([named(first), named(second)], (BlobName(bytes(32), 500_000),))
        self.assertEqual((answer.lacking, answer.misplaced), ((), (0, 1, 2)))

    def test_one_at_a_time(self) -> None:
        """Of one asker, also after one that failed; another one is answered meanwhile."""
        third = self.network.node("n2", seeds=("n0:1",))
        third.start()
        self.network.run(5.0)
        held: list[Deferred[Any]] = []
        honest = self.holder.store.held_items

        def slowly(items: Any) -> Any:
            waiting: Deferred[Any] = Deferred()
            held.append(waiting)
            return waiting.addCallback(lambda _: honest(items))

        self.patch(self.holder.store, "held_items", slowly)
        request = Offer((named(self.letters(1)[0]),))
        first = self.asker.core.links.call(self.holder.id, request)
        self.network.run(0.1)
        with self.assertRaises(TooMany) as raised:
            self.network.result(self.asker.core.links.call(self.holder.id, request))
        self.assertGreater(raised.exception.retry_after_ms, 0)
        others = third.core.links.call(self.holder.id, request)
        self.network.run(0.1)
        for waiting in list(held):
            waiting.callback(None)
        self.assertEqual(self.network.result(first), OfferAnswer((0,)))
        self.assertEqual(self.network.result(others), OfferAnswer((0,)))
        again = self.asker.core.links.call(self.holder.id, request)
        self.network.run(0.1)
        held[-1].callback(None)
        self.assertEqual(self.network.result(again), OfferAnswer((0,)))


class MisplacedTests(RepairTestCase):
    """Eight nodes, two copies: who is beyond the first six says who is nearer."""

    def test_beyond_the_first_3n(self) -> None:
        """Whether it is held there or not; under other keys the answer is whole."""
        nodes = self.network_of(8, **{"ring.replicas": 2})
        asker = nodes[0]
        letters = [self.letters(1, Box(f"b{n}"))[0] for n in range(20)]

        def rank(node: TestNode, letter: Envelope) -> bool:
            return node.core.membership.is_candidate(node.id, letter.mailbox)

        far = next(node for node in nodes[1:] if not all(rank(node, e) for e in letters))
        away = [at for at, letter in enumerate(letters) if not rank(far, letter)]
        self.put(far, [letters[away[0]]])
        answer = self.network.result(
            asker.core.links.call(far.id, Offer(tuple(named(e) for e in letters)))
        )
        self.assertEqual(list(answer.misplaced), away)
        self.assertEqual(list(answer.lacking), [n for n in range(20) if n not in away])
        nearest = far.core.membership.nearer_records(letters[away[0]].mailbox)
        self.assertEqual(answer.records, nearest)
