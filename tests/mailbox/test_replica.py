"""One replica, asked by nodes that may and nodes that may not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tace.errors import TooMany, Unauthorized
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import LEASE_SECONDS, Removal
from tace.identity.user_record import KIND_DEVICE_LIST, NO_DEVICE, UserRecord
from tace.mailbox.watches import WatchTable
from tace.wire.fields import LeaseField, TombstoneField
from tace.wire.message import Message, Request
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import (
    Arrived,
    FetchEnvelopes,
    GetRecord,
    ListMailbox,
    MailboxPage,
    PutAnswer,
    PutEnvelopes,
    PutRecord,
    PutTombstones,
    Unwatch,
    Watch,
)
from tests.delivery.nodes import DeliveryTestCase
from tests.letters import Box, secret
from tests.network import TestNode


class ReplicaTestCase(DeliveryTestCase):
    """The first node asks the second, which keeps everything; replies as they come."""

    count = 2

    def setUp(self) -> None:
        super().setUp()
        self.asker, self.replica = self.nodes
        self.news: list[Arrived] = []

        async def hear(peer: bytes, message: Arrived) -> None:
            self.news.append(message)

        self.lie(self.asker, Arrived, hear)

    def ask(self, request: Request[Any], at: TestNode | None = None) -> Any:
        node = at or self.replica
        return self.network.result(self.asker.core.links.call(node.id, request))

    def lease(self, *, node: TestNode | None = None, box: Box | None = None) -> LeaseField:
        return (box or self.box).lease(
            network_id=self.network.settings.network_id,
            node=(node or self.asker).id,
            now=self.network.clock.seconds(),
        )

    def codes(self, request: Request[PutAnswer]) -> list[str]:
        answer: PutAnswer = self.ask(request)
        return [result.code for result in answer.results]

    def arrived(self) -> list[bytes]:
        self.network.run(0.01)
        return [arrival.id for message in self.news for arrival in message.arrivals]


class WatchingTests(ReplicaTestCase):
    """A watch belongs to a link and a lease."""

    def test_only_with_a_lease_for_the_node_that_asks(self) -> None:
        """Another node's lease, a tampered one: no; and without a watch nothing is told."""
        good = self.lease()
        for lease in (
            self.lease(node=self.replica),
            good._replace(expires_seconds=good.expires_seconds + 1),
            good._replace(kind=1),
            good._replace(mailbox_key=Box("other").key.public),
            good._replace(origin="x" * 200),
        ):
            self.assertRaises(Unauthorized, self.ask, Watch(lease, True))
        for request in (ListMailbox(self.box.id, 0), FetchEnvelopes(self.box.id, (bytes(32),))):
            self.assertRaises(Unauthorized, self.ask, request)

    def test_news_is_pushed_whole_or_by_name(self) -> None:
        """As was asked; one that was there already is no news."""
        for bodies in (True, False):
            self.ask(Watch(self.lease(), bodies))
            letter = self.letter(int(bodies))
            self.news.clear()
            self.ask(PutEnvelopes((letter.encoded,)))
            self.ask(PutEnvelopes((letter.encoded, letter.encoded)))
            self.assertEqual(self.arrived(), [letter.id])
            self.assertEqual(bool(self.news[0].arrivals[0].envelope), bodies)

    def test_it_ends_with_the_lease(self) -> None:
        """On the second, for news, listings and fetches."""
        self.ask(Watch(self.lease(), True))
        self.network.run(LEASE_SECONDS - 0.5)
        self.ask(ListMailbox(self.box.id, 0))
        self.network.run(1.0)
        self.assertRaises(Unauthorized, self.ask, ListMailbox(self.box.id, 0))
        self.ask(PutEnvelopes((self.letter(1).encoded,)))
        self.assertEqual(self.arrived(), [])

    def test_it_ends_with_the_link(self) -> None:
        """A new link starts without watches."""
        self.ask(Watch(self.lease(), True))
        self.replica.raw_links.drop(self.asker.id)
        self.asker.raw_links.drop(self.replica.id)
        self.network.run(1.0)
        self.assertRaises(Unauthorized, self.ask, ListMailbox(self.box.id, 0))
        self.assertEqual(len(self.replica.core.replica._watches), 0)

    def test_it_ends_when_it_is_given_back(self) -> None:
        """Also twice, also one that never stood."""
        self.ask(Watch(self.lease(), True))
        for _ in range(2):
            self.asker.core.links.send(self.replica.id, Unwatch((self.box.id, bytes(32))))
        self.network.run(0.1)
        self.ask(PutEnvelopes((self.letter(1).encoded,)))
        self.assertEqual(self.arrived(), [])

    def test_a_replica_with_as_many_watches_as_it_takes(self) -> None:
        """Says so, and when to ask again."""
        self.replica.core.replica._watches = WatchTable(1)
        self.ask(Watch(self.lease(), True))
        error = self.assertRaises(TooMany, self.ask, Watch(self.lease(box=Box("other")), True))
        self.assertGreater(error.retry_after_ms, 0)

    def test_a_long_mailbox_page_by_page(self) -> None:
        """Each once, in order of arrival; what arrives meanwhile is pushed or listed."""
        letters = [self.letter(number) for number in range(1100)]
        self.put(self.replica, letters)
        page: MailboxPage = self.ask(Watch(self.lease(), False))
        listed = [item.id for item in page.items]
        extra = self.letter(5000)
        self.ask(PutEnvelopes((extra.encoded,)))
        while page.more:
            page = self.ask(ListMailbox(self.box.id, page.cursor))
            listed += [item.id for item in page.items]
        self.assertEqual(listed, [*(e.id for e in letters), extra.id])
        self.assertEqual(self.arrived(), [extra.id])

    def test_much_news_at_once_leaves_in_frames_that_fit(self) -> None:
        """Forty bodies, sixteen to a frame."""
        self.ask(Watch(self.lease(), True))
        letters = [self.letter(number) for number in range(40)]
        done = Deferred.fromCoroutine(self.replica.core.replica.accept(letters))
        self.network.result(done)
        self.assertEqual(self.arrived(), [e.id for e in letters])
        self.assertEqual([len(message.arrivals) for message in self.news], [16, 16, 8])


class WritingTests(ReplicaTestCase):
    """What is taken in."""

    def test_a_mixed_batch(self) -> None:
        """Each for itself, in its place."""
        now = self.network.clock.seconds()
        good, over = self.letter(1), self.box.envelope(2, now, hours=0)
        bad_version = b"\x09" + good.encoded[1:]
        far = self.box.envelope(3, now, hours=24 * 40)
        bare = Box("stranger", 1).envelope(4, now)
        batch = (over, good, good, far, bare)
        codes = self.codes(PutEnvelopes((bad_version, *(e.encoded for e in batch))))
        self.assertEqual(
            codes,
            ["malformed", "expired", "stored", "duplicate", "too-far-ahead", "stamp-required"],
        )

    def test_a_tombstone_before_its_envelope(self) -> None:
        """The envelope that comes late is not kept and told to nobody; its sender gets proof."""
        self.ask(Watch(self.lease(), True))
        letter = self.letter(1)
        self.assertEqual(self.codes(PutTombstones((self.box.tombstone(letter, 1),))), ["stored"])
        answer: PutAnswer = self.ask(PutEnvelopes((letter.encoded,)))
        self.assertEqual((answer.results[0].code, answer.results[0].secret), ("acked", secret(1)))
        self.assertEqual(self.arrived(), [])

    def test_a_secret_says_more_than_a_removal(self) -> None:
        """In both orders the sender gets the secret."""
        for number, removal_first in ((1, True), (2, False)):
            letter = self.letter(number)
            removal = Removal.sign(self.box.key, self.box.kind, [(letter.id, letter.expires_hours)])
            parts = [
                PutTombstones((), (removal.encoded,)),
                PutTombstones((self.box.tombstone(letter, number),)),
            ]
            for request in parts if removal_first else parts[::-1]:
                self.ask(request)
            answer: PutAnswer = self.ask(PutEnvelopes((letter.encoded,)))
            self.assertEqual(answer.results[0].secret, secret(number))

    def test_tombstones_that_prove_nothing(self) -> None:
        """A wrong secret, another mailbox, far ahead; the envelope stays."""
        letter = self.letter(1)
        self.put(self.replica, [letter])
        good = self.box.tombstone(letter, 1)
        far = self.box.envelope(9, self.network.clock.seconds(), hours=24 * 40)
        removal_far = Removal.sign(self.box.key, self.box.kind, [(letter.id, 0xFFFF_FFFF)])
        codes = self.codes(
            PutTombstones(
                (
                    good._replace(tombstone=good.tombstone[:36] + bytes(16) + good.tombstone[52:]),
                    TombstoneField(Box("other").id, good.tombstone),
                    TombstoneField(far.mailbox, Tombstone.of(far, secret(9)).encoded),
                ),
                (removal_far.encoded, removal_far.encoded[:-1] + b"\0"),
            )
        )
        self.assertEqual(
            codes, ["malformed", "malformed", "too-far-ahead", "too-far-ahead", "malformed"]
        )
        self.assertEqual(self.codes(PutEnvelopes((letter.encoded,))), ["duplicate"])

    def test_a_removal_by_somebody_else(self) -> None:
        """Signed well, for a mailbox of their own: the owner's envelope stays."""
        letter = self.letter(1)
        self.put(self.replica, [letter])
        thief = Box("thief")
        removal = Removal.sign(thief.key, thief.kind, [(letter.id, letter.expires_hours)])
        self.ask(PutTombstones((), (removal.encoded,)))
        self.assertEqual(self.codes(PutEnvelopes((letter.encoded,))), ["duplicate"])

    def test_records(self) -> None:
        """The highest wins; garbage, old and far ones are named."""
        hours = int(self.network.clock.seconds() // 3600)
        key = SigningKey.from_seed(b"u" * 48)

        def record(sequence: int, expires: int) -> UserRecord:
            return UserRecord.sign(
                key,
                kind=KIND_DEVICE_LIST,
                device=NO_DEVICE,
                sequence=sequence,
                expires_hours=expires,
                payload=b"",
            )

        newer, older = record(2, hours + 9), record(1, hours + 9)
        for encoded, code in (
            (newer.encoded, "stored"),
            (newer.encoded, "duplicate"),
            (older.encoded, "stale-sequence"),
            (newer.encoded[:-1] + b"\0", "bad-record"),
            (record(3, hours).encoded, "expired"),
            (record(3, hours + 24 * 40).encoded, "too-far-ahead"),
        ):
            self.assertEqual(self.codes(PutRecord(encoded)), [code])
        self.assertEqual(self.ask(GetRecord(newer.key)).record, newer.encoded)
        self.assertEqual(self.ask(GetRecord(bytes(32))).record, b"")


class RedirectTests(DeliveryTestCase):
    """Eight nodes with one copy each: most of them are no candidates."""

    count = 8
    replicas = 1

    def call(self, node: TestNode, request: Request[Any]) -> Any:
        asker = next(other for other in self.nodes if other is not node)
        return self.network.result(asker.core.links.call(node.id, request))

    def test_those_who_are_far_from_a_key_name_those_who_are_near(self) -> None:
        """Whatever the object; and they keep nothing."""
        letter = self.letter(1)
        removal = Removal.sign(self.box.key, self.box.kind, [(letter.id, letter.expires_hours)])
        requests: list[Message] = [
            PutEnvelopes((letter.encoded,)),
            PutTombstones((self.box.tombstone(letter, 1),)),
            PutTombstones((), (removal.encoded,)),
        ]
        redirected = 0
        for node in self.nodes:
            candidate = node.core.membership.is_candidate(node.id, self.box.id)
            for request in requests:
                answer = self.call(node, request)  # type: ignore[arg-type]
                self.assertEqual(answer.results[0].code == "redirect", not candidate)
                near = () if candidate else node.core.membership.nearer_records(self.box.id)
                self.assertEqual(answer.records, near)
                redirected += not candidate
            if not candidate:
                totals = self.network.result(node.store.totals())
                self.assertEqual((totals.envelopes, totals.tombstones), (0, 0))
        self.assertGreater(redirected, 6)

    def test_the_nearest_of_three_n_take_it(self) -> None:
        """A coordinator whose view is a little off is not sent away."""
        letter: Envelope = self.letter(1)
        candidates = self.nodes[0].core.membership._placement.candidates(self.box.id)
        self.assertEqual(len(candidates), 3)
        for node in self.nodes:
            if node.id in candidates:
                answer = self.call(node, PutEnvelopes((letter.encoded,)))
                self.assertEqual(answer.results[0].code, "stored")

    def test_the_last_of_them_takes_it_for_itself_too(self) -> None:
        """A hint that names the receiver says nothing, wherever it stands."""
        candidates = self.nodes[0].core.membership._placement.candidates(self.box.id)
        (last,) = (node for node in self.nodes if node.id == candidates[-1])
        answer = self.call(last, PutEnvelopes((self.letter(1).encoded,), (), last.id))
        self.assertEqual(answer.results[0].code, "stored")
        self.assertEqual(self.network.result(last.store.hinted_members()), [])
