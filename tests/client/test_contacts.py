"""Adding, naming, accepting, blocking and verifying people."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from importlib.resources import files

from twisted.trial.unittest import SynchronousTestCase

from tace.client.contacts import Contacts
from tace.client.contacts_file import Card, read_contacts, write_contacts
from tace.client.errors import BadContacts, UnknownRecipient
from tace.client.naming import identity_of
from tace.client.rows import Listing, MessageState, Peer, Standing
from tace.client.sqlite import HomeDatabase
from tace.client.vault import Vault
from tace.e2ee.link import ContactLink
from tace.identity.keys import SigningKey


def person(number: int) -> bytes:
    return SigningKey.from_seed(bytes([number]) * 48).public


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = HomeDatabase.open(":memory:")
        self.addCleanup(self.database.close)
        self.database.unlock(Vault(bytes(32), bytes))
        self.own, self.bob, self.eve = person(1), person(2), person(3)
        self.contacts = Contacts(self.database, self.own)


class Naming(Base):
    """What people are called here."""

    def test_the_users_name_goes_first(self) -> None:
        """Whoever else takes that name does not become the recipient, nor make it ambiguous."""
        self.contacts.add(self.bob, "Bob")
        self.database.set_peer(Peer(self.eve, "Bob", standing=Standing.REQUEST))
        self.assertEqual(identity_of(self.database, "Bob"), self.bob)
        self.contacts.accept(self.eve)
        self.assertEqual(identity_of(self.database, "Bob"), self.bob)

    def test_a_contacts_own_name_goes_before_a_strangers(self) -> None:
        """A stranger cannot come between."""
        self.database.set_peer(Peer(self.bob, "Bob"))
        self.database.set_peer(Peer(self.eve, "Bob", standing=Standing.REQUEST))
        self.assertEqual(identity_of(self.database, "Bob"), self.bob)
        self.contacts.block(self.bob)
        with self.assertRaisesRegex(UnknownRecipient, "more than one"):
            identity_of(self.database, "Bob")

    def test_an_alias_hides_the_own_name(self) -> None:
        """Somebody renamed goes by the new name alone; without an alias by their own again."""
        self.database.set_peer(Peer(self.bob, "Bob"))
        self.contacts.rename(self.bob, "Robert")
        self.assertEqual(identity_of(self.database, "Robert"), self.bob)
        with self.assertRaisesRegex(UnknownRecipient, "nobody"):
            identity_of(self.database, "Bob")
        self.contacts.rename(self.bob, "")
        self.assertEqual(identity_of(self.database, "Bob"), self.bob)

    def test_one_name_one_person(self) -> None:
        """Nor is it empty, long, or more than a line."""
        self.contacts.add(self.bob, "Bob")
        with self.assertRaisesRegex(UnknownRecipient, "somebody else"):
            self.contacts.add(self.eve, "Bob")
        self.assertIsNone(self.database.peer(self.eve))
        for name in (" ", "x" * 65, "a\nb", "a\x1b[31m"):
            with self.assertRaisesRegex(UnknownRecipient, "one line"):
                self.contacts.add(self.eve, name)

    def test_namesakes(self) -> None:
        """Who takes a contact's name is found out, whatever the case."""
        self.contacts.add(self.bob, "Bob")
        eve = Peer(self.eve, "BOB", standing=Standing.REQUEST)
        self.database.set_peer(eve)
        self.assertEqual([p.identity for p in self.contacts.namesakes(eve)], [self.bob])
        self.assertEqual(self.contacts.namesakes(replace(eve, name="Eve")), [])


class Standings(Base):
    """Let in, kept out."""

    def test_adding(self) -> None:
        """Oneself never; somebody known keeps what is known of them."""
        with self.assertRaisesRegex(UnknownRecipient, "own identity"):
            self.contacts.add(self.own)
        self.database.set_peer(Peer(self.bob, "Bob", next_counter=7, standing=Standing.REQUEST))
        peer = self.contacts.add(self.bob, "Robert")
        self.assertEqual((peer.next_counter, peer.name, peer.called), (7, "Bob", "Robert"))
        self.assertIs(peer.standing, Standing.CONTACT)

    def test_verified_is_never_lost_by_adding(self) -> None:
        """And never won by it."""
        self.assertFalse(self.contacts.add(self.bob).verified)
        self.contacts.set_verified(self.bob, True)
        self.assertTrue(self.contacts.add(self.bob, "Bob").verified)

    def test_blocking_lets_go_of_what_is_under_way(self) -> None:
        """Outbox, what was not shown, receipts that are owed; what was shown stays."""
        self.contacts.add(self.bob)
        database = self.database
        for number, shown in ((1, True), (2, False)):
            database.add_message(
                peer=self.bob,
                message_id=bytes([number]) * 16,
                outgoing=False,
                state=MessageState.RECEIVED,
                counter=number,
                sent_ms=0,
                received_ms=0,
                text="x",
                shown=shown,
            )
        database.add_message(
            peer=self.bob,
            message_id=b"\3" * 16,
            outgoing=True,
            state=MessageState.STORED,
            counter=1,
            sent_ms=0,
            received_ms=0,
            text="mine",
        )
        database.add_outgoing(
            content_id=b"\3" * 16, peer=self.bob, content=b"", expires_hours=9, message=b"\3" * 16
        )
        database.owe_receipt(self.bob, b"\2" * 16)
        self.contacts.block(self.bob)
        self.assertEqual(database.outgoing_of(self.bob), [])
        self.assertEqual(database.receipts_owed(), {})
        left = [(m.text, m.state.value) for m in database.conversation(self.bob)]
        self.assertEqual(left, [("x", "received"), ("mine", "failed")])
        with self.assertRaisesRegex(UnknownRecipient, "blocked"):
            self.contacts.accept(self.bob)
        self.assertIs(self.contacts.unblock(self.bob).standing, Standing.CONTACT)

    def test_unblocking_accepts_no_stranger(self) -> None:
        """It takes back a block and nothing else."""
        self.database.set_peer(Peer(self.eve, standing=Standing.REQUEST))
        self.assertIs(self.contacts.unblock(self.eve).standing, Standing.REQUEST)

    def test_nobody(self) -> None:
        """Nothing is done to people who are not there."""
        for work in (Contacts.accept, Contacts.block, Contacts.unblock):
            with self.assertRaisesRegex(UnknownRecipient, "not known"):
                work(self.contacts, self.bob)

    def test_order(self) -> None:
        """Contacts by name, then requests, then who was blocked."""
        self.contacts.add(self.bob, "zoe")
        self.contacts.add(self.eve, "Ann")
        self.database.set_peer(Peer(person(4), "Aaron", standing=Standing.BLOCKED))
        self.database.set_peer(Peer(person(5), "Zack", standing=Standing.REQUEST))
        called = [peer.called for peer in self.contacts.all()]
        self.assertEqual(called, ["Ann", "zoe", "Zack", "Aaron"])


class Files(Base):
    """Contacts to and from a file."""

    def test_there_and_back(self) -> None:
        """Contacts alone are written; nobody is verified by a file, and known people stay."""
        self.contacts.add(self.bob, "Bób")
        self.contacts.set_verified(self.bob, True)
        self.database.set_peer(Peer(self.eve, "Eve", standing=Standing.REQUEST))
        text = write_contacts(self.contacts.all())
        file = json.loads(text)
        code = ContactLink(self.bob).contact_code
        card = {"code": code, "name": "Bób", "verified": True}
        self.assertEqual(file, {"format": "tace contacts", "version": 1, "contacts": [card]})
        cards = read_contacts(text.encode())
        self.assertEqual(cards, [Card(self.bob, "Bób")])
        self.assertEqual(self.contacts.take_in(cards), 0)
        self.contacts = Contacts(HomeDatabase.open(":memory:"), self.own)
        self.assertEqual(self.contacts.take_in([*cards, *cards, Card(self.own, "me")]), 1)
        (peer,) = self.contacts.all()
        self.assertEqual((peer.alias, peer.verified), ("Bób", False))
        self.contacts._database.close()

    def test_a_name_that_is_taken(self) -> None:
        """The contact comes all the same, without it."""
        self.contacts.add(self.bob, "Bob")
        self.assertEqual(self.contacts.take_in([Card(self.eve, "Bob"), Card(person(4), "")]), 2)
        self.assertEqual(self.contacts.known(self.eve).alias, "")

    def test_what_is_no_contacts_file(self) -> None:
        """One line each, and nothing of it counts."""
        good = {"code": ContactLink(self.bob).contact_code, "name": "Bob"}
        head = {"format": "tace contacts", "version": 1}
        for found, reason in (
            (b"\xff", "not a contacts file"),
            (b"[" * 100_000, "not a contacts file"),
            (b"[]", "not a contacts file"),
            (json.dumps({"format": "other"}).encode(), "not a contacts file"),
            (json.dumps({**head, "version": 2}).encode(), "newer"),
            (json.dumps({**head, "contacts": {}}).encode(), "damaged"),
            (json.dumps({**head, "contacts": [good, 1]}).encode(), "damaged"),
            (json.dumps({**head, "contacts": [{"code": 1, "name": ""}]}).encode(), "damaged"),
            (
                json.dumps({**head, "contacts": [{**good, "code": "tace1x"}]}).encode(),
                "a code",
            ),
        ):
            with self.assertRaisesRegex(BadContacts, reason):
                read_contacts(found)


class Upgraded(SynchronousTestCase):
    def test_a_home_from_before(self) -> None:
        """Whoever was known before there were requests is a contact, and their device is known."""
        path = self.mktemp()
        schema = files("tace.client") / "schema"
        with sqlite3.connect(path) as before:
            for step in ("0001.sql", "0002.sql"):
                before.executescript((schema / step).read_text())
            before.execute("INSERT INTO peer (identity, name) VALUES (?, 'Bob')", (person(2),))
            before.execute(
                "INSERT INTO device (identity, device) VALUES (?, ?)", (person(2), bytes(32))
            )
            before.execute("PRAGMA user_version = 2")
        before.close()
        database = HomeDatabase.open(path)
        self.addCleanup(database.close)
        database.unlock(Vault(bytes(32), bytes))
        (peer,) = database.peers()
        self.assertEqual(peer, Peer(person(2), "Bob", standing=Standing.CONTACT))
        (device,) = database.devices(person(2))
        self.assertIs(device.listing, Listing.KNOWN)
