"""From what a person types to an identity."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tace.client.errors import UnknownRecipient
from tace.client.naming import identity_of, key_text
from tace.client.rows import Peer
from tace.client.sqlite import HomeDatabase
from tace.e2ee.link import ContactLink
from tace.e2ee.recovery import RecoveryCode

MAKE = random.Random(1).randbytes


class Names(SynchronousTestCase):
    """Links, keys, names."""

    def setUp(self) -> None:
        self.database = HomeDatabase.open(":memory:")
        self.addCleanup(self.database.close)
        self.one, self.other = (RecoveryCode.generate(MAKE).identity().public for _ in range(2))

    def test_links_and_keys(self) -> None:
        """In all their forms."""
        link = ContactLink(self.one)
        for text in (
            link.text,
            link.text.upper(),
            ContactLink(self.one, "https://node.example").text,
            key_text(self.one),
            f"  {key_text(self.one)}\n",
        ):
            self.assertEqual(identity_of(self.database, text), self.one)

    def test_names(self) -> None:
        """One of that name; nobody; two."""
        self.database.set_peer(Peer(self.one, "Bob"))
        self.assertEqual(identity_of(self.database, "Bob"), self.one)
        for text in ("bob", "", "Alice", "x" * 44, "A" * 44):
            with self.assertRaisesRegex(UnknownRecipient, "nobody"):
                identity_of(self.database, text)
        self.database.set_peer(Peer(self.other, "Bob"))
        with self.assertRaisesRegex(UnknownRecipient, key_text(self.other)):
            identity_of(self.database, "Bob")

    def test_a_name_that_looks_like_a_key(self) -> None:
        """Nobody becomes the recipient by calling themselves by another one's key or link."""
        link = ContactLink(self.one).text
        self.database.set_peer(Peer(self.other, key_text(self.one)))
        self.assertEqual(identity_of(self.database, key_text(self.one)), self.one)
        self.database.set_peer(Peer(self.other, link))
        self.assertEqual(identity_of(self.database, link), self.one)

    def test_a_damaged_link(self) -> None:
        """What is wrong is said, and no name is looked for."""
        with self.assertRaisesRegex(UnknownRecipient, "damaged"):
            identity_of(self.database, ContactLink(self.one).text[:-1])
