"""What somebody who was never let in can make a home do: little, and nothing that lasts."""

from __future__ import annotations

from tace.client import strangers
from tace.client.contacts import Contacts
from tace.client.errors import BlockedPerson
from tace.client.rows import Listing, Standing
from tace.client.strangers import Policy, set_policy
from tace.wire.client import Defer, FindRecord, Send
from tests.client.fakes import let_pass
from tests.client.people import Person
from tests.client.test_user import World


class Strangers(World):
    """Alice writes to Bob, who never heard of her."""

    def contacts(self, person: Person) -> Contacts:
        home = person.program().home
        self.addCleanup(home.close)
        return Contacts(home.database, person.identity)

    def ask(self, person: Person) -> None:
        set_policy(self.contacts(person)._database, Policy.ASK)

    def left_for(self, person: Person) -> int:
        """How many messages lie in that person's mailboxes."""
        home = person.program().home
        self.addCleanup(home.close)
        keys = home.own.keys
        boxes = (keys.requests_mailbox, keys.contacts_mailbox)
        return sum(len(self.store.envelopes.get(box, {})) for box in boxes)

    def standing(self, person: Person, of: Person) -> Standing:
        return self.contacts(person).known(of.identity).standing


class Showing(Strangers):
    """Where the user never said otherwise, receiving is accepting."""

    def test_shown_and_receipted(self) -> None:
        """And still a request, until it is answered."""
        sent = self.alice.send(self.bob, "hello")
        self.assertEqual(self.bob.receive(), ["hello"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")
        self.assertIs(self.standing(self.bob, self.alice), Standing.REQUEST)
        self.assertIs(self.standing(self.alice, self.bob), Standing.CONTACT)
        self.bob.send(self.alice, "who are you?")
        self.assertIs(self.standing(self.bob, self.alice), Standing.CONTACT)

    def test_many_in_a_row(self) -> None:
        """The bound is of what waits: what is shown makes room for the next."""
        self.patch(strangers, "MAX_WAITING_MESSAGES", 5)
        self.network.nodes[0].newest_first = True
        for number in range(20):
            self.alice.send(self.bob, str(number))
        self.assertEqual(sorted(map(int, self.bob.receive())), list(range(20)))
        self.assertEqual(self.left_for(self.bob), 0)
        self.assertEqual(self.bob.screen.full, 0)

    def test_a_follower_with_too_many_strangers(self) -> None:
        """They stay in the mailbox, which is said, and come once somebody is accepted."""
        self.patch(strangers, "MAX_STRANGERS", 1)
        carol = self.person("Carol")
        carol.receive()
        user = self.follow(self.bob)
        self.alice.send(self.bob, "one")
        let_pass(self.clock, 0.1)
        sent = carol.send(self.bob, "two")
        let_pass(self.clock, 5.0)
        self.assertEqual(self.bob.screen.texts, ["one"])
        self.assertEqual(self.bob.screen.full, 1)
        self.assertEqual(len(self.network.sent(Defer)), 1)
        self.assertEqual(self.left_for(self.bob), 1)
        Contacts(user.home.database, self.bob.identity).accept(self.alice.identity)
        # With the next renewal of the leases it is looked whether there is room by now.
        let_pass(self.clock, 11 * 60.0)
        self.assertEqual(self.bob.screen.texts, ["one", "two"])
        carol.receive()
        self.assertEqual(carol.state_of(sent), "delivered")


class Asking(Strangers):
    """Where the user wants to be asked, a stranger learns nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.ask(self.bob)

    def test_nothing_is_shown_or_sent_before_it_is_accepted(self) -> None:
        """No receipt, no look-up; accepted, it is shown and confirmed by the next command."""
        sent = self.alice.send(self.bob, "hello")
        self.network.requests.clear()
        self.assertEqual(self.bob.receive(), [])
        self.assertEqual(self.bob.screen.requests, [self.alice.identity])
        self.assertEqual(self.network.sent(Send), [])
        self.assertEqual(self.store.waiting(), [])
        self.assertEqual(self.bob.receive(), [])
        self.contacts(self.bob).accept(self.alice.identity)
        self.assertEqual(self.bob.receive(), ["hello"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_accepted_beside_a_follower(self) -> None:
        """It takes up what another program did."""
        user = self.follow(self.bob)
        sent = self.alice.send(self.bob, "hello")
        let_pass(self.clock, 6.0)
        self.assertEqual(self.bob.screen.texts, [])
        Contacts(user.home.database, self.bob.identity).accept(self.alice.identity)
        let_pass(self.clock, 8.0)
        self.assertEqual(self.bob.screen.texts, ["hello"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_answering_accepts(self) -> None:
        """Whoever is written to may write."""
        self.alice.send(self.bob, "hello")
        self.bob.receive()
        self.bob.send(self.alice, "hello yourself")
        self.assertEqual(self.bob.receive(), ["hello"])
        self.assertEqual(self.alice.receive(), ["hello yourself"])

    def test_a_contact_is_not_asked_for(self) -> None:
        """Who was added before they wrote is no stranger."""
        self.contacts(self.bob).add(self.alice.identity)
        self.alice.send(self.bob, "hello")
        self.assertEqual(self.bob.receive(), ["hello"])

    def test_bounds(self) -> None:
        """Of strangers, of messages, of bytes: what is beyond stays in the mailbox."""
        self.patch(strangers, "MAX_STRANGERS", 2)
        self.patch(strangers, "MAX_WAITING_MESSAGES", 3)
        others = [self.person(name) for name in ("Carol", "Dan")]
        for each in others:
            each.receive()
        for number in range(5):
            self.alice.send(self.bob, str(number))
        for each in others:
            each.send(self.bob, "hello")
        self.bob.receive()
        self.assertEqual(self.left_for(self.bob), 3)
        self.assertEqual(self.bob.screen.full, 1)
        contacts = self.contacts(self.bob)
        self.assertEqual(len(contacts.all()), 2)
        self.assertEqual(contacts._database.waiting_of(self.alice.identity).messages, 3)
        contacts.accept(self.alice.identity)
        self.assertEqual(len(self.bob.receive()), 5)
        self.assertEqual(self.left_for(self.bob), 0)

    def test_bytes(self) -> None:
        """Few messages may be long ones, and parts of texts that never become whole count."""
        self.patch(strangers, "MAX_WAITING_BYTES", 3000)
        self.alice.send(self.bob, "x" * 10_000)
        self.bob.receive()
        waiting = self.contacts(self.bob)._database.waiting_of(self.alice.identity)
        self.assertEqual(waiting.messages, 0)
        self.assertGreaterEqual(waiting.bytes, 3000)
        self.assertLess(waiting.bytes, 6000)
        self.assertGreater(self.left_for(self.bob), 0)
        self.contacts(self.bob).accept(self.alice.identity)
        self.assertEqual(self.bob.receive(), ["x" * 10_000])

    def test_another_device_of_a_stranger_is_not_looked_up(self) -> None:
        """That would show them that somebody is here."""
        self.alice.send(self.bob, "from one")
        self.bob.receive()
        again = self.person("Alice 2", code=self.alice.code)
        again.receive()
        again.send(self.bob, "from another")
        self.network.requests.clear()
        self.assertEqual(self.bob.receive(), [])
        own = self.network.sent(FindRecord)
        self.assertLessEqual(len(own), 1)  # one's own list, as at every start
        contacts = self.contacts(self.bob)
        contacts.accept(self.alice.identity)
        # Only now: and the list that is found names the second device alone.
        self.assertEqual(self.bob.receive(), ["from one", "from another"])
        listings = {d.listing for d in contacts._database.devices(self.alice.identity)}
        self.assertEqual(listings, {Listing.KNOWN})


class Devices(Strangers):
    """A contact who moves again and again."""

    def test_replaced_devices_make_room(self) -> None:
        """The next one is heard; of those that the list names no more nothing is kept."""
        self.patch(strangers, "MAX_DEVICES", 3)
        self.bob.send(self.alice, "let us talk")
        self.alice.receive()
        for number in range(6):
            self.clock.advance(60.0)
            again = Person(
                self.network, self.directory / str(number), "Alice", code=self.alice.code
            )
            again.receive()
            again.send(self.bob, str(number))
            self.assertEqual(self.bob.receive(), [str(number)])
            again.receive()
        home = self.bob.program().home
        self.addCleanup(home.close)
        self.assertLessEqual(home.database.count_sessions(self.alice.identity), 3)
        self.assertEqual(self.bob.screen.unlisted_people, [])


class Blocking(Strangers):
    """Who was blocked is not heard, and not told."""

    def test_nothing_comes_and_nothing_goes(self) -> None:
        """Not even a receipt; what comes after they are let in again is not held up."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.contacts(self.bob).block(self.alice.identity)
        sent = self.alice.send(self.bob, "two")
        self.alice.receive()
        self.network.requests.clear()
        self.assertEqual(self.bob.receive(), [])
        self.assertEqual(self.network.sent(Send), [])
        self.assertEqual(self.alice.state_of(sent), "stored")
        with self.assertRaises(BlockedPerson):
            self.bob.send(self.alice, "no")
        self.contacts(self.bob).unblock(self.alice.identity)
        self.alice.send(self.bob, "three")
        self.assertEqual(self.bob.receive(), ["three"])
