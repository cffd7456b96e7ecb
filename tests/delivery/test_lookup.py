"""Reading a user record from replicas that know less, know nothing, or lie."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tace.errors import InternalError, NotStored
from tace.identity.keys import SigningKey
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.seams import ReplicaSet
from tace.wire.peer import GetRecord, RecordAnswer
from tests.delivery.nodes import DeliveryTestCase
from tests.network import TestNode

KEY = SigningKey.from_seed(b"u" * 48)


class LookupTestCase(DeliveryTestCase):
    """User records, and looking them up."""

    def record(self, sequence: int, *, by: SigningKey = KEY, hours: int = 24) -> UserRecord:
        return UserRecord.sign(
            by,
            kind=KIND_DEVICE_LIST,
            device=NO_DEVICE,
            sequence=sequence,
            expires_hours=int(self.network.clock.seconds() // 3600) + hours,
            payload=b"p%d" % sequence,
        )

    def keep(self, node: TestNode, record: UserRecord) -> None:
        now = self.network.clock.seconds()
        (put,) = self.network.result(node.store.put_records([record], now))
        self.assertEqual(put.code, "stored")

    def kept(self, node: TestNode, key: bytes) -> UserRecord | None:
        found: UserRecord | None = self.network.result(
            node.store.get_record(key, self.network.clock.seconds())
        )
        return found

    def find(self, at: int, key: bytes, within: float = 3.0) -> UserRecord | None:
        found: UserRecord | None = self.network.result(
            Deferred.fromCoroutine(self.nodes[at].core.records.find(key)), within
        )
        return found

    def answers(self, node: TestNode, answer: RecordAnswer) -> None:
        async def say(peer: bytes, message: GetRecord) -> RecordAnswer:
            return answer

        self.lie(node, GetRecord, say)


class LookupTests(LookupTestCase):
    """Three replicas; the asking node is one of them."""

    def test_the_highest_of_a_read_quorum_wins_and_the_others_are_told(self) -> None:
        """A replica that had the older one, or none, has the newer one afterwards."""
        older, newer = self.record(1), self.record(2)
        self.keep(self.nodes[0], older)
        self.keep(self.nodes[1], newer)
        self.slow(self.nodes[2], GetRecord, 1.0)
        self.assertEqual(self.find(0, newer.key), newer)
        self.network.run(0.5)
        self.assertEqual(self.kept(self.nodes[0], newer.key), newer)

    def test_lies_are_not_believed(self) -> None:
        """Another person's record, garbage, one that is over: as if nothing had been said."""
        mine = self.record(1)
        self.keep(self.nodes[2], mine)
        others = self.record(9, by=SigningKey.from_seed(b"x" * 48))
        over = self.record(9, hours=0)
        forged = mine.encoded[:-1] + bytes([mine.encoded[-1] ^ 1])
        for lie in (others.encoded, over.encoded, forged, bytes(200)):
            self.answers(self.nodes[1], RecordAnswer(lie))
            self.assertEqual(self.find(0, mine.key), mine)

    def test_one_that_withholds_cannot_hide_it(self) -> None:
        """The read quorum meets every write quorum."""
        mine = self.record(1)
        for node in self.nodes[1:]:
            self.keep(node, mine)
        self.answers(self.nodes[1], RecordAnswer(b""))
        self.slow(self.nodes[2], GetRecord, 0.5)
        self.assertIsNone(self.find(0, mine.key))
        self.answers(self.nodes[1], RecordAnswer(b"", partial=True))
        self.assertEqual(self.find(0, mine.key), mine)

    def test_nobody_has_it(self) -> None:
        """None, once a read quorum has said so."""
        self.assertIsNone(self.find(0, bytes(32)))

    def test_too_few_answer(self) -> None:
        """Then nothing is known, which is not the same as nothing there."""

        async def broken(peer: bytes, message: GetRecord) -> RecordAnswer:
            raise InternalError("no")

        for node in self.nodes[1:]:
            self.lie(node, GetRecord, broken)
        with self.assertRaises(NotStored):
            self.find(0, bytes(32))

    def test_too_few_answer_but_one_has_it(self) -> None:
        """It is signed, so it is good."""
        mine = self.record(1)
        self.keep(self.nodes[0], mine)
        for node in self.nodes[1:]:
            self.slow(node, GetRecord, 60.0)
        self.assertEqual(self.find(0, mine.key), mine)

    def test_a_replica_that_dies_while_it_is_asked(self) -> None:
        """The others are enough."""
        mine = self.record(1)
        self.keep(self.nodes[2], mine)
        self.slow(self.nodes[1], GetRecord, 1.0)
        self.network.clock.callLater(0.01, self.nodes[1].kill)
        self.assertEqual(self.find(0, mine.key, within=1.0), mine)


class StandInTests(LookupTestCase):
    """Three members, of which two have died, and two stand-ins."""

    count = 5
    replicas = 3

    def test_stand_ins_do_not_make_a_read_quorum(self) -> None:
        """They have pulled nothing yet: their "none" hides nothing that a slow member has."""
        record = self.record(1)
        ids = [node.id for node in self.nodes]
        a_set = ReplicaSet(tuple(ids[:3]), (ids[2], ids[3], ids[4]))
        membership = self.nodes[4].core.membership
        self.patch(membership, "replica_set", lambda key: a_set)
        for node in ids[:2]:
            membership.found_dead(node)
        self.keep(self.nodes[2], record)
        self.slow(self.nodes[2], GetRecord, 0.5)
        found = self.find(4, record.key)
        self.assertEqual(found and found.encoded, record.encoded)
