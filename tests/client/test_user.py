"""Two people talk over a network in memory: everything that may go wrong on the way."""

from __future__ import annotations

import contextlib
import shutil
from itertools import pairwise
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tace.client.connection import Connection
from tace.client.errors import NeverOnline, NoNode, ReplacedIdentity, UnknownRecipient
from tace.client.flushing import LOOK_EVERY_SECONDS
from tace.client.home import DATABASE
from tace.client.rows import HistoryMessage, MessageState
from tace.client.user import User
from tace.e2ee.inner import INNER_BYTES, prefix_in_session
from tace.e2ee.records import DeviceRecord
from tace.e2ee.sealed import seal
from tace.errors import DrainingNow, NotStored, Refusal
from tace.identity.user_record import KIND_DEVICE_LIST, UserRecord, user_record_key
from tace.ids import KIND_CONTACTS, KIND_REQUESTS
from tace.wire.client import (
    Ack,
    FindRecord,
    OpenLease,
    PublishRecord,
    Send,
    SendAnswer,
    SendResult,
)
from tace.wire.message import Message
from tace.wire.objects import Envelope
from tests.client.fakes import NETWORK_ID, START_SECONDS, FakeNetwork, let_pass, run
from tests.client.people import Person, Screen

HOUR = 3600.0
DAY = 24 * HOUR


class World(TestCase):
    """Alice and Bob, who both have been online once."""

    NODES = 1

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START_SECONDS)
        self.network = FakeNetwork(self.clock, self.NODES)
        self.store = self.network.store
        self.directory = Path(self.mktemp())
        self.alice = self.person("Alice")
        self.bob = self.person("Bob")
        self.alice.receive()
        self.bob.receive()
        self.following: list[User] = []
        self.addCleanup(self.stop)

    def person(self, name: str, **more: object) -> Person:
        return Person(self.network, self.directory / name, name, **more)  # type: ignore[arg-type]

    def follow(self, person: Person, screen: Screen | None = None) -> User:
        """A program that stays."""
        user = person.program(screen=screen)
        user.follow().addErrback(lambda failure: failure.trap(ReplacedIdentity))
        self.following.append(user)
        let_pass(self.clock, 1.0)
        return user

    def stop(self) -> None:
        for user in self.following:
            run(self.clock, Deferred.fromCoroutine(user.close()))
            user.home.close()
        self.following.clear()

    def envelopes(self) -> list[Envelope]:
        return [
            Envelope.parse(encoded)
            for message in self.network.sent(Send)
            for encoded in message.envelopes
        ]


class Talking(World):
    """The ordinary course of things."""

    def test_both_ways(self) -> None:
        """What one sends the other receives, and in the end no node keeps anything."""
        sent = self.alice.send(self.bob, "hello")
        self.assertEqual((sent.state, sent.copies, sent.replicas), ("stored", 3, 3))
        self.assertEqual(self.bob.receive(), ["hello"])
        back = self.bob.send(self.alice, "hello yourself")
        self.assertEqual(self.alice.receive(), ["hello yourself"])
        self.assertEqual(self.alice.state_of(sent), "delivered")
        self.bob.receive()
        self.assertEqual(self.bob.state_of(back), "delivered")
        self.assertEqual(self.store.waiting(), [])

    def test_the_id_is_the_same_on_both_sides(self) -> None:
        """A message has one id, and its sender's key and name come with it."""
        sent = self.alice.send(self.bob, "hello")
        self.bob.receive()
        (got,) = self.bob.screen.shown
        self.assertEqual((got.id, got.peer), (sent.id, self.alice.identity))

    def test_names_become_known(self) -> None:
        """The first message brings its sender's name, and the answer brings the other one."""
        self.alice.send(self.bob, "hello")
        self.bob.receive()
        self.alice.receive()
        for person, other in ((self.alice, self.bob), (self.bob, self.alice)):
            user = person.program()
            (peer,) = user.home.database.peers_named(other.name)
            self.assertEqual(peer.identity, other.identity)
            user.home.close()

    def test_nothing_is_shown_twice(self) -> None:
        """What one command has shown the next one does not."""
        self.alice.send(self.bob, "hello")
        self.assertEqual(self.bob.receive(), ["hello"])
        self.assertEqual(self.bob.receive(), [])

    def test_a_recipient_who_was_never_online(self) -> None:
        """Without a record nobody can be written to, and nothing is kept for them."""
        carol = self.person("Carol")
        with self.assertRaises(NeverOnline):
            self.alice.send(carol, "hello")
        carol.receive()
        self.alice.receive()
        self.assertEqual(carol.receive(), [])

    def test_writing_to_oneself(self) -> None:
        """There is no session with one's own device."""
        with self.assertRaises(UnknownRecipient):
            self.alice.send(self.alice, "hello")

    def test_the_first_goes_to_requests_the_rest_to_contacts(self) -> None:
        """Only the first messages need a stamp: then the unlisted mailbox is known."""
        self.alice.send(self.bob, "one")
        (first,) = self.envelopes()
        self.assertEqual(first.kind, KIND_REQUESTS)
        self.assertTrue(first.stamped_for(self.network.stamp_bits))
        self.bob.receive()
        self.alice.receive()
        self.network.requests.clear()
        self.alice.send(self.bob, "two")
        self.bob.send(self.alice, "three")
        self.assertEqual([e.kind for e in self.envelopes()], [KIND_CONTACTS] * 2)
        self.assertEqual([e.stamp_target for e in self.envelopes()], [0, 0])

    def test_a_long_text_goes_in_parts(self) -> None:
        """64 KiB less a little arrive as one text, in its place, whatever order its parts take."""
        text = "".join(f"{number:07}\n" for number in range(1500))
        self.alice.send(self.bob, "before")
        sent = self.alice.send(self.bob, text)
        self.alice.send(self.bob, "after")
        self.assertEqual(sent.state, "stored")
        self.network.nodes[0].newest_first = True
        self.assertEqual(self.bob.receive(), ["before", text, "after"])
        self.assertEqual(self.bob.screen.shown[1].id, sent.id)
        # The place of its first part.
        self.assertEqual(self.bob.screen.shown[1].counter, 2)
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_both_start_at_once(self) -> None:
        """Two who never met write first at the same moment: both talk."""
        self.alice.send(self.bob, "from alice")
        self.bob.send(self.alice, "from bob")
        self.assertEqual(self.bob.receive(), ["from alice"])
        self.assertEqual(self.alice.receive(), ["from bob"])
        for number in range(3):
            self.alice.send(self.bob, f"a{number}")
            self.bob.send(self.alice, f"b{number}")
            self.assertEqual(self.bob.receive(), [f"a{number}"])
            self.assertEqual(self.alice.receive(), [f"b{number}"])

    def test_many_in_a_row(self) -> None:
        """More than a window and more than a batch arrive in their order."""
        user = self.alice.program()
        for number in range(150):
            user.write(self.bob.identity, str(number))
        run(self.clock, Deferred.fromCoroutine(user.flush()))
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()
        self.assertEqual(self.bob.receive(), [str(number) for number in range(150)])


class BadNetwork(World):
    """What the network may do to messages."""

    NODES = 2

    def test_no_node(self) -> None:
        """What cannot be sent waits, and any later command sends it."""
        self.alice.send(self.bob, "zero")
        for node in self.network.nodes:
            node.kill()
        sent = self.alice.send(self.bob, "one")
        self.assertEqual((sent.state, sent.copies, sent.replicas), ("queued", 0, 0))
        for node in self.network.nodes:
            node.up()
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "stored")
        self.assertEqual(self.bob.receive(), ["zero", "one"])

    def test_no_node_and_an_unknown_recipient(self) -> None:
        """Even somebody never written to can be written to offline, when they have a record."""
        for node in self.network.nodes:
            node.kill()
        sent = self.alice.send(self.bob, "one")
        self.assertEqual(sent.state, "queued")
        for node in self.network.nodes:
            node.up()
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])

    def test_receiving_without_a_node(self) -> None:
        """That is an error, not an empty mailbox."""
        for node in self.network.nodes:
            node.kill()
        with self.assertRaises(NoNode):
            self.bob.receive()

    def test_lost_answers(self) -> None:
        """A node that stores and never says so: another one is asked, nothing comes twice."""
        self.network.nodes[0].lose_answer = lambda request: isinstance(request, Send)
        sent = self.alice.send(self.bob, "one")
        self.assertEqual(sent.state, "stored")
        self.assertEqual(self.bob.receive(), ["one"])

    def test_lost_answers_to_acks(self) -> None:
        """An ack that was lost is made again when the message comes again."""
        self.alice.send(self.bob, "one")
        self.network.nodes[0].lose_answer = lambda request: isinstance(request, Ack)
        self.assertEqual(self.bob.receive(), ["one"])
        self.assertEqual(self.bob.receive(), [])

    def test_pushed_again_and_again(self) -> None:
        """A message that is pushed three times is shown once."""
        for node in self.network.nodes:
            node.pushes_per_message = 3
        self.alice.send(self.bob, "one")
        self.alice.send(self.bob, "two")
        self.assertEqual(self.bob.receive(), ["one", "two"])

    def test_out_of_order(self) -> None:
        """The newest first: shown in the order they were written."""
        for number in range(20):
            self.alice.send(self.bob, str(number))
        for node in self.network.nodes:
            node.newest_first = True
        self.assertEqual(self.bob.receive(), [str(number) for number in range(20)])

    def test_a_gap_holds_two_seconds(self) -> None:
        """Somebody connected waits 2 s for what is missing, and then shows what is there."""
        self.alice.send(self.bob, "zero")
        self.follow(self.bob)
        self.assertEqual(self.bob.screen.texts, ["zero"])
        missing = self.lose(lambda: self.alice.send(self.bob, "one"))
        self.alice.send(self.bob, "two")
        let_pass(self.clock, 1.0)
        self.assertEqual(self.bob.screen.texts, ["zero"])
        let_pass(self.clock, 1.2)
        self.assertEqual(self.bob.screen.texts, ["zero", "two"])
        self.give(missing)
        let_pass(self.clock, 0.1)
        self.assertEqual(self.bob.screen.texts, ["zero", "two", "one"])

    def test_a_gap_that_closes(self) -> None:
        """What comes within the 2 s takes its place."""
        self.alice.send(self.bob, "zero")
        self.follow(self.bob)
        missing = self.lose(lambda: self.alice.send(self.bob, "one"))
        self.alice.send(self.bob, "two")
        let_pass(self.clock, 1.0)
        self.give(missing)
        let_pass(self.clock, 0.1)
        self.assertEqual(self.bob.screen.texts, ["zero", "one", "two"])

    def lose(self, command: object) -> list[Envelope]:
        """Run it, and take from the network what it stored."""
        assert callable(command)
        before = {envelope.id for envelope in self.store.waiting()}
        watching = [session.watched for node in self.network.nodes for session in node.sessions]
        kept = [set(watched) for watched in watching]
        for watched in watching:
            watched.clear()
        command()
        lost = [e for e in self.store.waiting() if e.id not in before]
        for envelope in lost:
            del self.store.envelopes[envelope.mailbox][envelope.id]
        for watched, mailboxes in zip(watching, kept, strict=True):
            watched.update(mailboxes)
        return lost

    def give(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            self.store.envelopes.setdefault(envelope.mailbox, {})[envelope.id] = envelope
            self.network.stored(envelope)

    def test_the_node_dies_under_a_follower(self) -> None:
        """A recipient whose node is killed gets the next message through another one."""
        self.follow(self.bob)
        first = self.bob.screen.connections[-1]
        node = next(n for n in self.network.nodes if n.address.origin == first)
        self.alice.send(self.bob, "one")
        let_pass(self.clock, 0.1)
        node.kill()
        let_pass(self.clock, 0.5)
        self.alice.send(self.bob, "two")
        let_pass(self.clock, 0.5)
        self.assertEqual(self.bob.screen.texts, ["one", "two"])
        self.assertNotEqual(self.bob.screen.connections[-1], first)

    def test_a_node_that_dies_in_the_middle_of_a_send(self) -> None:
        """The message reaches the network through another node within the same command."""
        first = self.network.nodes[0]

        def dies(request: Message) -> bool:
            if isinstance(request, Send):
                first.kill()
            return False

        first.lose_answer = dies
        self.assertEqual(self.alice.send(self.bob, "one").state, "stored")
        self.assertEqual(self.bob.receive(), ["one"])

    def test_all_nodes_gone_for_a_while(self) -> None:
        """A follower keeps trying, and gets what came meanwhile when one is back."""
        self.follow(self.bob)
        for node in self.network.nodes:
            node.kill()
        let_pass(self.clock, 120.0)
        for node in self.network.nodes:
            node.up()
        self.alice.send(self.bob, "one")
        let_pass(self.clock, 80.0)
        self.assertEqual(self.bob.screen.texts, ["one"])

    def test_inbox_and_outbox_at_different_nodes(self) -> None:
        """No node holds somebody's leases and sees whom they write to, once two are known."""
        self.follow(self.bob)
        self.network.requests.clear()
        self.alice.send(self.bob, "hello")
        let_pass(self.clock, 5.0)
        leased = {
            node.address.origin
            for node in self.network.nodes
            for session in node.sessions
            if session.leases
        }
        receipts = {
            origin
            for origin, message in self.network.requests
            if isinstance(message, Send) and origin in leased
        }
        self.assertEqual(len(leased), 1)
        sends = [o for o, m in self.network.requests if isinstance(m, Send)]
        self.assertEqual(len(sends), 2)
        self.assertLessEqual(len(receipts), 1)
        self.assertNotEqual(sends[1], next(iter(leased)))

    def test_another_network(self) -> None:
        """A home stays with the network it began with."""
        self.network.nodes[0].network_id = bytes(32)
        self.network.nodes[1].kill()
        with self.assertRaisesRegex(Exception, "another network"):
            self.bob.receive()

    def test_a_clock_that_is_a_day_off(self) -> None:
        """A node whose clock is a day off is not used; one that is an hour off is."""
        self.network.nodes[1].kill()
        self.network.nodes[0].clock_offset_seconds = HOUR
        self.assertEqual(self.bob.receive(), [])
        self.network.nodes[0].clock_offset_seconds = 25 * HOUR
        with self.assertRaises(NoNode):
            self.bob.receive()


class Outbox(World):
    """How long messages are kept, and when they are offered."""

    NODES = 2

    def sends(self) -> list[float]:
        return [at for at, message in self.times if isinstance(message, Send)]

    def watch_times(self) -> None:
        self.times: list[tuple[float, Message]] = []

        def note(request: Message) -> Refusal | None:
            self.times.append((self.clock.seconds() - START_SECONDS, request))
            return None

        for node in self.network.nodes:
            node.refuse = note

    def test_partial_is_tried_at_another_node(self) -> None:
        """Too few copies: within the same command another node is asked, and it says so."""
        self.network.copies = 1
        sent = self.alice.send(self.bob, "one")
        self.assertEqual((sent.state, sent.copies, sent.replicas), ("partial", 1, 3))
        sends = [origin for origin, m in self.network.requests if isinstance(m, Send)]
        self.assertEqual(len(set(sends)), 2)
        self.network.copies = 3
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "stored")

    def test_backoff(self) -> None:
        """A follower tries again after a quarter of a second, then ever slower, up to a minute."""
        user = self.follow(self.alice)
        self.network.copies = 1
        self.watch_times()
        user.write(self.bob.identity, "one")
        let_pass(self.clock, 400.0)
        sends = self.sends()
        pauses = [later - earlier for earlier, later in pairwise(sends)]
        self.assertTrue(0.25 <= pauses[0] < 0.35)
        for pause, about in zip(pauses[1:7], (1, 2, 4, 8, 16, 32), strict=True):
            self.assertGreater(pause, about * 0.7)
            self.assertLess(pause, about * 1.3 + 0.5)
        self.assertLess(max(pauses), 76.0)
        self.network.copies = 3
        let_pass(self.clock, 80.0)
        self.assertEqual(self.alice.screen.changes[-1].state, "stored")

    def test_stored_and_unconfirmed_is_offered_again(self) -> None:
        """All replicas may lose it; its sender still has it."""
        sent = self.alice.send(self.bob, "one")
        self.store.envelopes.clear()
        self.alice.flush()
        self.assertEqual(self.store.waiting(), [], "it was offered a moment ago")
        self.clock.advance(2 * 60.0)
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_the_receipt_was_lost(self) -> None:
        """The node's proof that it was opened makes a message delivered."""
        sent = self.alice.send(self.bob, "one")
        self.bob.receive()
        self.store.envelopes.clear()
        self.clock.advance(2 * 60.0)
        self.alice.flush()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_a_false_proof(self) -> None:
        """An "acked" whose secret does not open the lock proves nothing."""
        sent = self.alice.send(self.bob, "one")
        (envelope,) = self.store.waiting()
        self.store.secrets[envelope.id] = bytes(16)
        self.clock.advance(2 * 60.0)
        self.alice.flush()
        self.assertNotEqual(self.alice.state_of(sent), "delivered")
        del self.store.secrets[envelope.id]
        self.clock.advance(2 * 60.0)
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])

    def test_expiry(self) -> None:
        """After 14 days nobody confirmed it: it failed, and is let go of."""
        sent = self.alice.send(self.bob, "one")
        self.clock.advance(15 * DAY)
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "failed")
        self.network.requests.clear()
        self.clock.advance(DAY)
        self.alice.flush()
        self.assertEqual(self.envelopes(), [])

    def test_a_busy_node(self) -> None:
        """One that is about to stop says so, and another takes the message."""
        self.network.nodes[0].refuse = lambda request: (
            DrainingNow("soon") if isinstance(request, Send) else None
        )
        self.assertEqual(self.alice.send(self.bob, "one").state, "stored")

    def test_records_that_cannot_be_looked_up(self) -> None:
        """When the look-up fails, what is known of the recipient is used."""
        self.alice.send(self.bob, "one")
        for node in self.network.nodes:
            node.refuse = lambda request: NotStored("") if isinstance(request, FindRecord) else None
        self.assertEqual(self.alice.send(self.bob, "two").state, "stored")
        for node in self.network.nodes:
            node.refuse = lambda request: None
        self.assertEqual(self.bob.receive(), ["one", "two"])

    def test_a_mailbox_that_wants_a_better_stamp(self) -> None:
        """A replica may want more work than the node said: the stamp is made anew."""
        seen: list[int] = []
        strict = self.network.stamp_bits + 3
        for node in self.network.nodes:
            for_all = node.accept

            def accept(accept: object = for_all) -> object:
                assert callable(accept)
                self.network.stamp_bits = strict - 3
                connected = accept()
                self.clock.callLater(0.0015, setattr, self.network, "stamp_bits", strict)
                return connected

            node.accept = accept  # type: ignore[method-assign, assignment]
        sent = self.alice.send(self.bob, "one")
        seen = [envelope.stamp_target for envelope in self.envelopes()]
        self.assertEqual(sent.state, "stored")
        self.assertEqual(seen, [strict - 3, strict])

    def test_receipts_are_not_confirmed(self) -> None:
        """A receipt calls for nothing: after it the network is silent."""
        self.follow(self.alice)
        self.follow(self.bob)
        sender = self.following[0]
        sender.write(self.bob.identity, "one")
        let_pass(self.clock, 10.0)
        self.assertEqual(self.alice.screen.changes[-1].state, "delivered")
        self.network.requests.clear()
        let_pass(self.clock, 10.0)
        self.assertEqual(self.network.sent(Send), [])
        self.assertEqual(self.network.sent(Ack), [])

    def test_receipts_wait_and_go_together(self) -> None:
        """What comes within a moment is confirmed in one envelope, within 2 seconds."""
        self.follow(self.bob)
        user = self.alice.program()
        for number in range(5):
            user.write(self.bob.identity, str(number))
        run(self.clock, Deferred.fromCoroutine(user.flush()))
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()
        self.network.requests.clear()
        let_pass(self.clock, 2.1)
        self.assertEqual([len(message.envelopes) for message in self.network.sent(Send)], [1])


class Devices(World):
    """Records, restored identities, lost sessions."""

    def test_a_restored_identity(self) -> None:
        """On an empty home with the same code, contacts' next messages arrive."""
        self.alice.send(self.bob, "before")
        self.bob.receive()
        self.bob.send(self.alice, "before too")
        self.alice.receive()
        self.clock.advance(10.0)
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        self.assertEqual(again.receive(), [])
        self.alice.send(self.bob, "after")
        self.assertEqual(again.receive(), ["after"])
        again.send(self.alice, "from the new one")
        self.assertEqual(self.alice.receive(), ["from the new one"])

    def test_a_restored_identity_writes_first(self) -> None:
        """Its contacts look up its new device, and confirm to that one."""
        self.alice.send(self.bob, "before")
        self.bob.receive()
        self.bob.send(self.alice, "before too")
        self.alice.receive()
        self.clock.advance(10.0)
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        again.receive()
        sent = again.send(self.alice, "it is me")
        self.assertEqual(self.alice.receive(), ["it is me"])
        again.receive()
        self.assertEqual(again.state_of(sent), "delivered")
        self.assertEqual(self.alice.screen.unlisted_people, [])

    def test_a_replaced_device_that_writes(self) -> None:
        """What comes from a device that its owner no longer lists is said so."""
        self.clock.advance(10.0)
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        again.receive()
        again.send(self.alice, "from the new one")
        self.alice.receive()
        self.alice.send(self.bob, "to the new one")
        self.bob.send(self.alice, "from the old one")
        self.alice.receive()
        self.assertEqual(self.alice.screen.unlisted_people, [self.bob.identity])

    def test_what_was_under_way_reaches_the_restored_device(self) -> None:
        """Messages that the old device never confirmed are encrypted again for the new one."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.alice.receive()
        sent = self.alice.send(self.bob, "two")
        self.clock.advance(10.0)
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        again.receive()
        self.clock.advance(300.0)
        self.alice.receive()
        self.assertEqual(again.receive(), ["two"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_restored_within_the_same_second(self) -> None:
        """The new list outdoes the old one whatever the clock says."""
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        self.clock.advance(-50.0)
        again.receive()
        self.alice.send(self.bob, "one")
        self.assertEqual(again.receive(), ["one"])

    def test_the_replaced_device_says_so(self) -> None:
        """The old home notices, and does not fight."""
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        self.clock.advance(10.0)
        again.receive()
        with self.assertRaises(ReplacedIdentity):
            self.bob.receive()
        self.alice.send(self.bob, "one")
        self.assertEqual(again.receive(), ["one"])

    def test_an_older_record_is_not_taken(self) -> None:
        """A node that shows an old device list does not move messages to an old device."""
        key = user_record_key(KIND_DEVICE_LIST, self.bob.identity)
        old = self.store.records[key]
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        self.clock.advance(10.0)
        again.receive()
        self.alice.send(self.bob, "one")
        self.store.records[key] = old
        self.alice.send(self.bob, "two")
        self.store.records[key] = UserRecord.parse(self.published(key)[-1])
        self.assertEqual(again.receive(), ["one", "two"])

    def published(self, key: bytes) -> list[bytes]:
        """Every version of one record that was ever published, oldest first."""
        records = [message.record for message in self.network.sent(PublishRecord)]
        return [record for record in records if UserRecord.parse(record).key == key]

    def test_a_rolled_back_home(self) -> None:
        """A home that was copied back lost its session: it asks, and what it could not read comes
        again."""
        self.alice.send(self.bob, "zero")
        self.bob.receive()
        self.bob.send(self.alice, "hello")
        self.alice.receive()
        copy = self.directory / "copy.db"
        shutil.copy(self.bob.directory / DATABASE, copy)
        for number in range(3):
            self.alice.send(self.bob, f"a{number}")
            self.bob.receive()
            self.bob.send(self.alice, f"b{number}")
            self.alice.receive()
        for leftover in self.bob.directory.glob(f"{DATABASE}-*"):
            leftover.unlink()
        shutil.copy(copy, self.bob.directory / DATABASE)
        self.alice.send(self.bob, "one")
        self.assertEqual(self.bob.receive(), [])
        self.assertEqual(self.bob.screen.unreadables, [self.alice.identity])
        self.alice.receive()
        self.assertEqual(self.bob.receive(), ["one"])
        self.bob.send(self.alice, "two")
        self.alice.send(self.bob, "three")
        self.assertEqual(self.alice.receive(), ["two"])
        self.assertEqual(self.bob.receive(), ["three"])

    def test_an_unreadable_claim_of_a_stranger(self) -> None:
        """Whoever can seal to us cannot make us write to somebody we do not know."""
        carol = self.person("Carol")
        carol.receive()
        user = carol.program()
        run(self.clock, Deferred.fromCoroutine(user.look_up(self.bob.identity)))
        (device,) = user.home.database.devices(self.bob.identity)
        assert device.inbox_key is not None and device.record is not None
        record = DeviceRecord.parse(device.record)
        forged = seal(
            prefix_in_session(carol.identity, bytes(32)).ljust(INNER_BYTES, b"x"),
            inbox_key=device.inbox_key,
            network_id=NETWORK_ID,
            mailbox=record.requests_mailbox,
            expires_hours=int(START_SECONDS // HOUR) + 24,
            random_bytes=self.bob.random.randbytes,
        )
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()
        self.store.envelopes.setdefault(forged.mailbox, {})[forged.id] = forged
        self.network.requests.clear()
        self.assertEqual(self.bob.receive(), [])
        self.assertEqual(self.bob.screen.unreadables, [carol.identity])
        self.assertEqual(self.network.sent(Send), [])
        self.assertEqual(self.store.waiting(), [])

    def test_removed_by_the_recipient(self) -> None:
        """What their device could not unseal is encrypted anew."""
        self.alice.send(self.bob, "one")
        (envelope,) = self.store.waiting()
        self.store.removed.add(envelope.id)
        self.store.envelopes.clear()
        self.clock.advance(2 * 60.0)
        self.alice.flush()
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])

    def test_junk_is_removed(self) -> None:
        """What is not sealed to us cannot be acked; it is removed with the mailbox key."""
        self.alice.send(self.bob, "one")
        (good,) = self.store.waiting()
        junk = Envelope.make(
            mailbox=good.mailbox,
            expires_hours=good.expires_hours,
            lock=bytes(32),
            blob=bytes(len(good.blob)),
        )
        redated = Envelope.make(
            mailbox=good.mailbox,
            expires_hours=good.expires_hours + 1,
            lock=good.lock,
            blob=good.blob,
        )
        for envelope in (junk, redated):
            self.store.envelopes[good.mailbox][envelope.id] = envelope
        self.assertEqual(self.bob.receive(), ["one"])
        self.assertEqual(self.store.removed, {junk.id, redated.id})
        for sent in self.network.sent(Ack):
            self.assertLessEqual(len(sent.removals), 1)

    def test_records_are_renewed(self) -> None:
        """A day later the prekey is a new one; a message made with the old one is read."""
        self.alice.send(self.bob, "one")
        self.network.requests.clear()
        self.clock.advance(25 * HOUR)
        self.assertEqual(self.bob.receive(), ["one"])
        self.assertEqual(len(self.network.sent(PublishRecord)), 2)
        self.network.requests.clear()
        self.bob.receive()
        self.assertEqual(self.network.sent(PublishRecord), [])
        carol = self.person("Carol")
        carol.send(self.bob, "with the new one")
        self.assertEqual(self.bob.receive(), ["with the new one"])

    def test_a_follower_that_is_replaced(self) -> None:
        """A program that stays notices when it connects, and ends with the reason."""
        again = Person(self.network, self.directory / "bob2", "Bob", code=self.bob.code)
        self.clock.advance(10.0)
        again.receive()
        user = self.bob.program()
        followed = user.follow()
        let_pass(self.clock, 1.0)
        self.failureResultOf(followed, ReplacedIdentity)
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()


class ManyPrograms(World):
    """Several programs on one home."""

    def test_two_followers(self) -> None:
        """Each message is shown by one of them."""
        one, other = Screen(), Screen()
        self.follow(self.bob, one)
        self.follow(self.bob, other)
        for number in range(10):
            self.alice.send(self.bob, str(number))
            let_pass(self.clock, 0.2)
        let_pass(self.clock, 5.0)
        self.assertEqual(sorted(one.texts + other.texts), [str(n) for n in range(10)])

    def test_a_sender_beside_a_follower(self) -> None:
        """Both move the same ratchets, and every message is read."""
        self.follow(self.alice)
        self.follow(self.bob)
        for number in range(6):
            self.alice.send(self.bob, f"a{number}")
            self.bob.send(self.alice, f"b{number}")
            let_pass(self.clock, 1.0)
        let_pass(self.clock, 3.0)
        self.assertEqual(self.bob.screen.texts, [f"a{n}" for n in range(6)])
        self.assertEqual(self.alice.screen.texts, [f"b{n}" for n in range(6)])
        self.assertEqual(self.alice.screen.unreadables + self.bob.screen.unreadables, [])

    def test_a_queue_is_picked_up_by_a_follower(self) -> None:
        """What one program could not send, another that stays sends without being told."""
        self.follow(self.alice)
        node = self.network.nodes[0]
        node.refuse = lambda request: NotStored("") if isinstance(request, Send) else None
        sent = self.alice.send(self.bob, "one")
        self.assertEqual(sent.state, "queued")
        node.refuse = lambda request: None
        let_pass(self.clock, 20.0)
        self.assertEqual(self.bob.receive(), ["one"])

    def test_a_chat_leaves_others_messages(self) -> None:
        """Who talks with one person sees only theirs; the rest is for another program."""
        carol = self.person("Carol")
        screen = Screen()
        user = self.bob.program(screen=screen)
        user.follow(self.alice.identity)
        self.following.append(user)
        self.alice.send(self.bob, "from alice")
        carol.send(self.bob, "from carol")
        let_pass(self.clock, 5.0)
        self.assertEqual(screen.texts, ["from alice"])
        self.assertEqual(self.bob.receive(), ["from carol"])

    def test_a_chat_beside_a_follower(self) -> None:
        """What the chat received from others, the follower shows, whichever read it first."""
        carol = self.person("Carol")
        carol.send(self.bob, "hello")
        self.bob.receive()
        everything, chat = Screen(), Screen()
        user = self.bob.program(screen=chat)
        user.follow(self.alice.identity)
        self.following.append(user)
        let_pass(self.clock, 3.0)
        self.follow(self.bob, everything)
        for number in range(6):
            carol.send(self.bob, str(number))
            let_pass(self.clock, 2.0)
        let_pass(self.clock, 6.0)
        self.assertEqual(everything.texts, [str(number) for number in range(6)])
        self.assertEqual(chat.texts, [])

    def test_what_a_dying_program_received(self) -> None:
        """A follower that sees no envelope of it looks all the same."""
        self.follow(self.bob)
        self.alice.send(self.bob, "warm")
        let_pass(self.clock, 1.0)
        shown = self.bob.screen.shown[0]
        self.following[0].home.database.add_message(
            peer=shown.peer,
            message_id=bytes(16),
            outgoing=False,
            state=MessageState.RECEIVED,
            sender_device=shown.sender_device,
            counter=shown.counter + 1,
            sent_ms=0,
            received_ms=0,
            text="left",
        )
        let_pass(self.clock, LOOK_EVERY_SECONDS + 0.1)
        self.assertEqual(self.bob.screen.texts, ["warm", "left"])

    def test_a_follower_that_breaks(self) -> None:
        """An error nobody foresaw does not leave a program that follows nothing."""
        user = self.bob.program()

        async def broken() -> Connection:
            raise ValueError

        self.patch(user._inbox, "open", broken)
        followed = user.follow()
        let_pass(self.clock, 1.0)
        self.failureResultOf(followed, ValueError)
        self.flushLoggedErrors(ValueError)
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()

    def test_what_cannot_be_shown_stays(self) -> None:
        """A message whose printing failed is shown by the next program."""
        self.alice.send(self.bob, "one")
        broken = Screen()

        def show(message: HistoryMessage) -> None:
            raise BrokenPipeError

        broken.show = show  # type: ignore[method-assign]
        user = self.bob.program(screen=broken)
        with contextlib.suppress(BrokenPipeError):
            run(self.clock, Deferred.fromCoroutine(user.collect()))
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()
        self.flushLoggedErrors(BrokenPipeError)
        self.assertEqual(self.bob.receive(), ["one"])


class Leases(World):
    """Staying connected."""

    def test_leases_are_renewed(self) -> None:
        """Ten minutes in, both leases are made again; an hour later messages still come."""
        self.follow(self.bob)
        self.network.requests.clear()
        let_pass(self.clock, 11 * 60.0)
        self.assertEqual(len(self.network.sent(OpenLease)), 2)
        let_pass(self.clock, HOUR)
        self.alice.send(self.bob, "one")
        let_pass(self.clock, 1.0)
        self.assertEqual(self.bob.screen.texts, ["one"])
        self.assertEqual(len(self.bob.screen.connections), 1)

    def test_a_quiet_watch_sends_only_pings(self) -> None:
        """In a quiet minute nothing but pings leaves, and after it one connection is left."""
        self.follow(self.bob)
        let_pass(self.clock, 20.0)
        self.network.requests.clear()
        let_pass(self.clock, 60.0)
        kinds = {type(message).__name__ for _, message in self.network.requests}
        self.assertEqual(kinds, {"ClientPing"})
        self.assertEqual(len(self.network.nodes[0].sessions), 1)

    def test_an_answer_of_the_wrong_length(self) -> None:
        """A node that answers for another number of messages is left."""
        node = self.network.nodes[0]
        answer = SendAnswer((SendResult("stored", 3, 3), SendResult("stored", 3, 3)))
        accept = node.accept

        def lying() -> object:
            connected = accept()
            session = node.sessions[-1]
            honest = session.say

            def say(message: Message, request_id: int = 0) -> None:
                honest(answer if isinstance(message, SendAnswer) else message, request_id)

            session.say = say  # type: ignore[method-assign]
            return connected

        node.accept = lying  # type: ignore[method-assign, assignment]
        self.assertEqual(self.alice.send(self.bob, "one").state, "queued")
