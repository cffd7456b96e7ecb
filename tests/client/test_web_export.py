"""A home's export file through a page of the web client and back.

The page is ``tace/web/src/engine/testing/export-interop.ts``, run as
:mod:`tests.e2ee.test_web_interop` says.
"""

from __future__ import annotations

from typing import Any

from tace.client.contacts import Contacts
from tace.client.exported import Exported
from tace.client.exporting import COUNTER_MARGIN, export_home, read_export
from tace.client.home import Home
from tace.client.naming import key_text
from tace.client.rows import MessageState, Peer, Standing
from tace.e2ee.content import Kind
from tests.client.people import Person
from tests.client.test_history import FILE
from tests.client.test_user import World
from tests.e2ee.test_web_interop import Web, bundled

_PAGE = "src/engine/testing/export-interop.ts"


class Page(World):
    def setUp(self) -> None:
        super().setUp()
        self.web = Web(bundled(_PAGE))
        self.addCleanup(self.web.close)

    def furnished(self, person: Person) -> Home:
        """A home with one of everything."""
        home = person.program().home
        self.addCleanup(home.close)
        contacts = Contacts(home.database, person.identity)
        contacts.add(self.alice.identity, "Al")
        contacts.set_verified(self.alice.identity, True)
        carol, dan = self.person("Carol").identity, self.person("Dan").identity
        home.database.set_peer(Peer(carol, "Carol", standing=Standing.REQUEST))
        home.database.set_peer(Peer(dan, "Dan", standing=Standing.BLOCKED))
        one, two, mine = (bytes([number]) * 16 for number in (1, 2, 3))
        said: tuple[tuple[bytes, int, str, dict[str, Any]], ...] = (
            (one, Kind.TEXT, "frist", {}),
            (two, Kind.TEXT, "secret", {}),
            (mine, Kind.TEXT, "mine 🚲", {"outgoing": True, "state": MessageState.DELIVERED}),
            (b"\4" * 16, Kind.FILE, "cat.png", {"file": FILE}),
            (b"\5" * 16, Kind.EDIT, "first", {"target": one}),
            (b"\6" * 16, Kind.DELETE, "", {"target": two}),
            (b"\7" * 16, Kind.REACTION, "👍", {"target": mine}),
            (b"\x08" * 16, Kind.TEXT, "not seen", {"shown": False}),
        )
        for number, (message_id, kind, text, more) in enumerate(said, 1):
            fields: dict[str, Any] = {"outgoing": False, "state": MessageState.RECEIVED}
            home.database.add_message(
                peer=self.alice.identity,
                message_id=message_id,
                counter=number,
                sent_ms=1000 + number,
                received_ms=2000 + number,
                text=text,
                kind=kind,
                **{"shown": True, **fields, **more},
            )
        # The same id as one of hers.
        home.database.add_message(
            peer=carol,
            message_id=one,
            outgoing=False,
            state=MessageState.RECEIVED,
            counter=1,
            sent_ms=1,
            received_ms=2,
            text="let me in",
        )
        return home

    def through(self, person: Person, home: Home) -> tuple[Any, Exported, Exported]:
        """What the page tells of it, what went in, and what came out of the page."""
        file = export_home(home, self.clock.seconds(), person.random.randbytes)
        told = self.web.ask("through", code=person.code.text, file=file.hex())
        self.assertNotIn("error", told)
        before = read_export(file, person.code)
        return told, before, read_export(bytes.fromhex(told["file"]), person.code)

    def test_there_and_back(self) -> None:
        """The page shows what the home held, and what it exports holds the same."""
        told, before, after = self.through(self.bob, self.furnished(self.bob))
        self.assertEqual((told["report"]["contacts"], told["report"]["messages"]), (1, 6))
        self.assertEqual((after.name, after.identity), (before.name, before.identity))

        def person(exported: Exported) -> dict[str, tuple[object, ...]]:
            return {
                each.identity: (each.standing, each.name, each.alias, each.verified, each.unread)
                for each in exported.people
            }

        self.assertEqual(person(after), person(before))
        counters = {each.identity: each.next_counter + COUNTER_MARGIN for each in before.people}
        self.assertEqual({each.identity: each.next_counter for each in after.people}, counters)
        for row in before.messages:
            row.delivery = None
        for row in after.messages:
            row.delivery = None
        by_id = {row.id: row for row in before.messages}
        self.assertEqual({row.id: row for row in after.messages}, by_id)
        self.assertEqual(len(by_id), 6)
        origins = {node.origin for node in before.nodes}
        self.assertEqual({node.origin for node in after.nodes}, origins)
        self.assertTrue(origins)

    def test_what_the_page_shows(self) -> None:
        """Titles, texts, edits, deletions, reactions, what is not read."""
        told, _, _ = self.through(self.bob, self.furnished(self.bob))
        alice = key_text(self.alice.identity)
        chats = {chat["identity"]: chat for chat in told["chats"]}
        chat = chats[alice]
        self.assertEqual((chat["title"], chat["verified"], chat["unread"]), ("Al", True, 1))
        at = [each["identity"] for each in told["chats"]].index(alice)
        lines = [
            (line["kind"], line["text"], line["mine"], line["edited"]) for line in told["lines"][at]
        ]
        self.assertEqual(
            lines,
            [
                ("text", "first", False, True),
                ("deleted", "", False, False),
                ("text", "mine 🚲", True, False),
                ("file", "", False, False),
                ("text", "not seen", False, False),
            ],
        )
        mine = told["lines"][at][2]
        self.assertEqual(mine["state"], "delivered")
        self.assertEqual(mine["reactions"], [{"emoji": "👍", "mine": False, "theirs": True}])
        file = told["lines"][at][3]["file"]
        self.assertEqual(
            (file["name"], file["bytes"], file["state"]), (FILE.name, FILE.size, "remote")
        )

    def test_another_code(self) -> None:
        """Is refused there as here."""
        home = self.furnished(self.bob)
        file = export_home(home, 0.0, self.bob.random.randbytes)
        told = self.web.ask("through", code=self.alice.code.text, file=file.hex())
        self.assertEqual(told, {"error": "bad-recovery-code"})
