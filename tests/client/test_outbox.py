"""The outbox and nodes that lie: none of them ends a message, delays it for long or costs much."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tace.client.rows import ParcelState
from tace.e2ee.content import Text
from tace.errors import NotStored, Refusal
from tace.ids import KIND_CONTACTS, KIND_REQUESTS
from tace.wire.client import Send, SendResult
from tace.wire.message import Message
from tace.wire.objects import Envelope
from tests.client.fakes import NETWORK_ID, let_pass, run
from tests.client.people import Person
from tests.client.test_user import DAY, World

EXPIRES_HOURS = 1_000_000


class Numbers(World):
    """Rows that are gone, and programs that still hold their numbers."""

    def test_an_old_number_is_nobody_elses(self) -> None:
        """What was confirmed while it was to be encrypted does not take the next one's place."""
        self.alice.send(self.bob, "zero")
        self.bob.receive()
        self.alice.receive()
        user = self.alice.program()
        database = user.home.database
        now = self.clock.seconds()
        user._addressing.write(self.bob.identity, Text("one"), now)
        (old,) = database.unaddressed()
        database.remove_outgoing(old.seq)
        two = user._addressing.write(self.bob.identity, Text("two"), now)
        user._addressing.address(old, NETWORK_ID, EXPIRES_HOURS, now)
        (new,) = database.unaddressed()
        self.assertEqual(new.message, two.id)
        self.assertGreater(new.seq, old.seq)
        run(self.clock, Deferred.fromCoroutine(user.flush()))
        run(self.clock, Deferred.fromCoroutine(user.close()))
        user.home.close()
        self.assertEqual(self.bob.receive(), ["two"])

    def test_an_answer_for_another_envelope(self) -> None:
        """It changes nothing of the parcel that took the first one's place."""
        self.alice.send(self.bob, "one")
        user = self.alice.program()
        self.addCleanup(user.home.close)
        database = user.home.database
        (outgoing,) = database.outgoing_of(self.bob.identity)
        (first,) = database.parcels_of(outgoing.seq)
        database.set_addressed(outgoing.seq, False)
        user._addressing.address(outgoing, NETWORK_ID, EXPIRES_HOURS, self.clock.seconds())
        (second,) = database.parcels_of(outgoing.seq)
        self.assertGreater(second.seq, first.seq)
        self.assertNotEqual(second.envelope_id, first.envelope_id)
        database.set_parcel(first)
        database.set_parcel_envelope(second.seq, Envelope.parse(first.envelope))
        self.assertEqual(database.parcels_of(outgoing.seq), [second])
        self.assertEqual(second.state, ParcelState.WAITING)


class OneNodesWord(World):
    """A node that says no to everything, beside one that is honest."""

    NODES = 2

    def setUp(self) -> None:
        super().setUp()
        self.liar, self.honest = self.network.nodes

    def says(self, *result: object) -> None:
        answer = SendResult(*result)  # type: ignore[arg-type]
        self.liar.answer_send = lambda envelope: answer

    def test_it_fails_nothing(self) -> None:
        """Whatever the word, the message goes through another node within the same command."""
        for word in ("malformed", "expired", "too-far-ahead", "too-large"):
            self.says(word)
            self.assertEqual(self.alice.send(self.bob, word).state, "stored")
            self.clock.advance(60.0)
        self.assertEqual(len(self.bob.receive()), 4)

    def test_a_pause_of_weeks(self) -> None:
        """The other node is asked at once."""
        self.says("rate-limited", 0, 0, b"", 2**32 - 1)
        self.assertEqual(self.alice.send(self.bob, "one").state, "stored")

    def test_stamps_for_years(self) -> None:
        """It is left for a node that wants what can be done."""
        self.liar.stamp_bits = 200
        self.assertEqual(self.alice.send(self.bob, "one").state, "stored")

    def test_what_one_node_wants_is_not_done_for_another(self) -> None:
        """The work that a node wants for a mailbox is remembered of that node."""
        carol = self.person("Carol")
        carol.receive()
        self.honest.kill()
        user = self.follow(self.alice)
        self.liar.answer_send = lambda envelope: (
            None if envelope.stamped_for(12) else SendResult("stamp-required", detail="bits: 12")
        )
        user.write(carol.identity, "one")
        let_pass(self.clock, 1.0)
        self.honest.up()
        self.liar.kill()
        let_pass(self.clock, 1.0)
        user.write(carol.identity, "two")
        let_pass(self.clock, 10.0)
        targets = [envelope.stamp_target for envelope in self.envelopes()]
        self.assertEqual(targets, [4, 12, 4])


class OneNode(World):
    """Where there is no other node to go to."""

    def test_a_pause_of_weeks(self) -> None:
        """It is asked again within a minute or so."""
        user = self.follow(self.alice)
        node = self.network.nodes[0]
        node.answer_send = lambda envelope: SendResult("rate-limited", retry_after_ms=2**32 - 1)
        user.write(self.bob.identity, "one")
        let_pass(self.clock, 5.0)
        node.answer_send = lambda envelope: None
        let_pass(self.clock, 80.0)
        self.assertEqual(self.bob.receive(), ["one"])

    def test_contacts_do_not_wait_for_stamps(self) -> None:
        """Work that is not done for a stranger's mailbox delays no contact."""
        carol = self.person("Carol")
        carol.receive()
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.alice.receive()
        self.network.nodes[0].stamp_bits = 200
        stranger = self.alice.send(carol, "to a stranger")
        self.assertEqual(stranger.state, "queued")
        contact = self.alice.send(self.bob, "to a contact")
        self.assertEqual(contact.state, "stored")
        self.assertEqual(self.envelopes()[-1].kind, KIND_CONTACTS)
        self.network.nodes[0].stamp_bits = None
        self.alice.flush()
        self.assertEqual(carol.receive(), ["to a stranger"])

    def test_a_contact_written_to_while_stamps_are_made(self) -> None:
        """Waits for the stamp that is being made, not for all the others."""
        carol = self.person("Carol")
        carol.receive()
        self.alice.send(self.bob, "one")
        self.bob.receive()
        user = self.follow(self.alice)
        self.network.requests.clear()
        stamp = user._stamper.stamp

        def slowly(envelope: Envelope, target: int) -> Deferred[Envelope]:
            later: Deferred[None] = deferLater(self.clock, 20.0)
            return later.addCallback(lambda _: stamp(envelope, target))

        self.patch(user._stamper, "stamp", slowly)
        for number in range(3):
            user.write(carol.identity, str(number))
        let_pass(self.clock, 5.0)
        user.write(self.bob.identity, "two")
        let_pass(self.clock, 60.0)
        kinds = [envelope.kind for envelope in self.envelopes()]
        self.assertEqual(kinds, [KIND_REQUESTS, KIND_CONTACTS, KIND_REQUESTS, KIND_REQUESTS])

    def test_a_network_that_keeps_for_two_days(self) -> None:
        """Messages are sealed for so long, and sealed anew while nobody has read them."""
        self.network.nodes[0].max_lifetime_hours = 48
        sent = self.alice.send(self.bob, "one")
        self.assertEqual(sent.state, "stored")
        self.clock.advance(3 * DAY)
        self.store.envelopes.clear()
        self.alice.flush()
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])

    def test_a_limit_that_became_shorter(self) -> None:
        """What was sealed for too long is sealed anew."""
        self.network.copies = 1
        self.alice.send(self.bob, "one")
        self.store.envelopes.clear()
        self.network.copies = 3
        self.network.nodes[0].max_lifetime_hours = 48
        self.alice.flush()
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["one"])

    def test_removed_again_and_again(self) -> None:
        """A node's unproved word makes a program encrypt a message anew once."""
        user = self.follow(self.alice)
        self.network.nodes[0].answer_send = lambda envelope: SendResult("removed", 3, 3)
        user.write(self.bob.identity, "one")
        let_pass(self.clock, 300.0)
        self.assertEqual(len({envelope.id for envelope in self.envelopes()}), 2)
        self.network.nodes[0].answer_send = lambda envelope: None
        let_pass(self.clock, 80.0)
        self.assertEqual(self.bob.receive(), ["one"])


class Confirming(World):
    """Receipts for several people."""

    def mailbox(self, person: Person) -> bytes:
        user = person.program()
        user.home.close()
        return user.home.own.keys.contacts_mailbox

    def test_one_who_cannot_be_told(self) -> None:
        """The others are told, and that one as soon as it goes, without a new message."""
        carol = self.person("Carol")
        people = sorted((self.alice, carol), key=lambda person: person.identity)
        first = self.mailbox(people[0])
        for person in people:
            person.send(self.bob, "warm")
        self.bob.receive()
        for person in people:
            person.receive()

        def refuse(request: Message) -> Refusal | None:
            sends = request.envelopes if isinstance(request, Send) else ()
            bad = any(Envelope.parse(encoded).mailbox == first for encoded in sends)
            return NotStored("") if bad else None

        self.follow(self.bob)
        sent = [person.send(self.bob, "hello") for person in people]
        self.network.nodes[0].refuse = refuse
        let_pass(self.clock, 10.0)
        for person in people:
            person.receive()
        states = [person.state_of(message) for person, message in zip(people, sent, strict=True)]
        self.assertEqual(states, ["stored", "delivered"])
        self.network.nodes[0].refuse = lambda request: None
        let_pass(self.clock, 80.0)
        people[0].receive()
        self.assertEqual(people[0].state_of(sent[0]), "delivered")
