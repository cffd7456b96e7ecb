"""Reactions, edits, deletes and files: what the history makes of them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from importlib.resources import files
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.cli.output import reactions_text, received_json, said_text
from tace.client.rows import HistoryMessage, MessageState, Peer
from tace.client.sqlite import HomeDatabase
from tace.client.tables.history import sqlite as history
from tace.client.vault import Vault
from tace.e2ee.content import (
    Body,
    Content,
    Edit,
    File,
    Kind,
    Reaction,
    Text,
    encode_contents,
)
from tests.client.test_user import World

PEER = b"\x02" + bytes(32)
ONE, TWO = b"1" * 16, b"2" * 16
FILE = File("cat.png", "image/png", 5, bytes(32), 500_000, (bytes(32),))


class Talk(SynchronousTestCase):
    """One conversation in a database in memory."""

    def setUp(self) -> None:
        self.database = HomeDatabase.open(":memory:")
        self.addCleanup(self.database.close)
        self.database.unlock(Vault(bytes(32), bytes))
        self.count = 0

    def add(self, kind: int, text: str, **fields: Any) -> HistoryMessage:
        """Something they said, with the next id and counter unless they are given."""
        self.count += 1
        given: dict[str, Any] = {
            "message_id": b"%016d" % self.count,
            "outgoing": False,
            "counter": self.count,
            "received_ms": self.count,
        }
        given |= fields
        self.assertTrue(
            self.database.add_message(
                peer=PEER,
                state=MessageState.RECEIVED,
                sent_ms=1,
                text=text,
                kind=kind,
                **given,
            )
        )
        found = self.database.message(PEER, given["message_id"], outgoing=given["outgoing"])
        assert found is not None
        return found

    def said(self) -> list[str]:
        return [each.text for each in self.database.conversation(PEER, 10)]


class Edits(Talk):
    def test_the_highest_counter_holds(self) -> None:
        """Whatever came last."""
        self.add(Kind.TEXT, "first", message_id=ONE)
        self.add(Kind.EDIT, "third", target=ONE, counter=9)
        self.add(Kind.EDIT, "second", target=ONE, counter=8)
        self.assertEqual(self.said(), ["third"])

    def test_of_ones_own_only(self) -> None:
        """Nobody changes what the other said, nor a file's name."""
        self.add(Kind.TEXT, "mine", message_id=ONE, outgoing=True)
        self.add(Kind.FILE, "cat.png", message_id=TWO, file=FILE)
        self.add(Kind.EDIT, "not mine", target=ONE)
        self.add(Kind.EDIT, "dog.png", target=TWO)
        self.assertEqual(self.said(), ["mine", "cat.png"])

    def test_before_its_target(self) -> None:
        """It waits."""
        self.add(Kind.EDIT, "edited", target=ONE)
        self.assertEqual(self.said(), [])
        self.add(Kind.TEXT, "first", message_id=ONE)
        self.assertEqual(self.said(), ["edited"])


class Deletes(Talk):
    def test_holds_over_everything(self) -> None:
        """Over edits before and after it; texts and file keys leave the disk."""
        self.add(Kind.TEXT, "first", message_id=ONE)
        self.add(Kind.FILE, "cat.png", message_id=TWO, file=FILE)
        edit = self.add(Kind.EDIT, "secret", target=ONE)
        self.add(Kind.REACTION, "x", target=ONE)
        self.add(Kind.DELETE, "", target=ONE)
        self.add(Kind.DELETE, "", target=TWO)
        late = self.add(Kind.EDIT, "late", target=ONE, counter=99)
        one, two = self.database.conversation(PEER, 10)
        self.assertEqual(((one.text, one.file), (two.text, two.file)), (("", None), ("", None)))
        self.assertEqual((True, []), (self.database.is_deleted(one), self.database.reactions(one)))
        wiped = self.database.message(PEER, edit.id, outgoing=False)
        self.assertEqual(wiped, replace(edit, text=""))
        self.assertEqual(late.text, "")
        # What is deleted is not shown as if it were said now.
        self.assertNotIn(edit.id, [each.id for each in self.database.unshown()])
        self.assertNotIn(late.id, [each.id for each in self.database.unshown()])

    def test_before_its_target(self) -> None:
        """What comes after its delete is never on disk."""
        self.add(Kind.DELETE, "", target=ONE)
        self.add(Kind.DELETE, "", target=TWO)
        self.add(Kind.TEXT, "first", message_id=ONE)
        self.add(Kind.FILE, "cat.png", message_id=TWO, file=FILE)
        self.assertEqual(self.said(), ["", ""])

    def test_of_ones_own_only(self) -> None:
        """Nobody deletes what the other said."""
        mine = self.add(Kind.TEXT, "mine", message_id=ONE, outgoing=True)
        self.add(Kind.DELETE, "", target=ONE)
        self.assertEqual((["mine"], False), (self.said(), self.database.is_deleted(mine)))


class Reactions(Talk):
    def test_one_each(self) -> None:
        """The highest counter of each side; empty takes it away."""
        text = self.add(Kind.TEXT, "mine", message_id=ONE, outgoing=True)
        self.add(Kind.REACTION, "b", target=ONE, counter=9)
        self.add(Kind.REACTION, "a", target=ONE, counter=8)
        self.add(Kind.REACTION, "c", target=ONE, outgoing=True)
        self.assertEqual(self.database.reactions(text), [(False, "b"), (True, "c")])
        self.assertEqual(reactions_text(self.database, text), " [b c]")
        self.add(Kind.REACTION, "", target=ONE, counter=10)
        self.assertEqual(self.database.reactions(text), [(True, "c")])

    def test_of_one_counter(self) -> None:
        """From a sender that was rolled back: the one that came first holds, as it does for edits,
        in every client."""
        text = self.add(Kind.TEXT, "mine", message_id=ONE, outgoing=True)
        self.add(Kind.REACTION, "a", target=ONE, counter=9)
        self.add(Kind.REACTION, "b", target=ONE, counter=9)
        self.add(Kind.EDIT, "first", target=ONE, counter=9, outgoing=True)
        self.add(Kind.EDIT, "second", target=ONE, counter=9, outgoing=True)
        self.assertEqual((self.database.reactions(text), self.said()), ([(False, "a")], ["first"]))


class Waiting(Talk):
    def test_bounded(self) -> None:
        """The newest of those without a target stay; those with one all do."""
        self.patch(history, "MAX_WAITING", 2)
        self.add(Kind.TEXT, "here", message_id=ONE)
        kept = self.add(Kind.REACTION, "kept", target=ONE)
        lost = [self.add(Kind.REACTION, "x", target=b"%016d" % at) for at in range(3)]
        self.database.set_shown(self.database.unshown())
        self.add(Kind.EDIT, "new", target=TWO)
        found = [self.database.message(PEER, each.id, outgoing=False) for each in (kept, *lost)]
        self.assertEqual([each is not None for each in found], [True, False, True, True])

    def test_for_so_long(self) -> None:
        """What waited for a fortnight is forgotten."""
        old = self.add(Kind.EDIT, "old", target=TWO, received_ms=0)
        self.database.set_shown(self.database.unshown())
        for late, stays in ((history.WAITING_MS, True), (history.WAITING_MS + 1, False)):
            self.add(Kind.EDIT, "new", target=TWO, received_ms=late)
            found = self.database.message(PEER, old.id, outgoing=False)
            self.assertEqual(found is not None, stays)


class Shown(Talk):
    """As lines and as objects."""

    def test_lines(self) -> None:
        """One for each kind, without what would steer a terminal."""
        shown = [
            self.add(Kind.TEXT, "hello\nyou", message_id=ONE),
            self.add(Kind.REACTION, "\x1b[31m+", target=ONE),
            self.add(Kind.REACTION, "", target=ONE),
            self.add(Kind.REACTION, "+", target=TWO),
            self.add(Kind.EDIT, "better", target=ONE),
            self.add(Kind.DELETE, "", target=TWO),
            self.add(Kind.FILE, "cat\x1b.png", file=FILE),
        ]
        self.assertEqual(
            [said_text(self.database, each, "Ann") for each in shown],
            [
                "Ann: hello\nyou",
                "Ann reacts with [31m+ to “better”",
                "Ann takes the reaction to “better” back",
                "Ann reacts with + to a message",
                "Ann (edited): better",
                "Ann deleted a message",
                "Ann sends a file: cat.png (image/png, 5 bytes)",
            ],
        )
        self.add(Kind.DELETE, "", target=ONE)
        self.assertEqual(said_text(self.database, shown[0], "Ann"), "Ann: (deleted)")

    def test_objects(self) -> None:
        """Each with its kind, and what that has."""
        self.database.set_peer(Peer(PEER, name="Ann"))
        special = []
        for each in (
            self.add(Kind.TEXT, "hello", message_id=ONE),
            self.add(Kind.REACTION, "+", target=ONE),
            self.add(Kind.EDIT, "better", target=ONE),
            self.add(Kind.DELETE, "", target=TWO),
            self.add(Kind.FILE, "cat.png", file=FILE),
        ):
            shown = received_json(self.database, each)
            self.assertEqual(("Ann", each.id.hex()), (shown.pop("name"), shown.pop("id")))
            self.assertEqual("1970-01-01T00:00:00.001Z", shown.pop("sent"))
            self.assertTrue(shown.pop("received").startswith("1970-01-01T00:00:00.0"))
            del shown["from"]
            special.append(shown)
        self.assertEqual(
            special,
            [
                {"kind": "text", "text": "hello"},
                {"kind": "reaction", "target": ONE.hex(), "emoji": "+"},
                {"kind": "edit", "target": ONE.hex(), "text": "better"},
                {"kind": "delete", "target": TWO.hex()},
                {"kind": "file", "file": "cat.png", "type": "image/png", "bytes": 5},
            ],
        )


class Upgraded(SynchronousTestCase):
    def test_a_home_from_before(self) -> None:
        """What was said before there were kinds is text."""
        path = self.mktemp()
        vault = Vault(bytes(32), bytes)
        with sqlite3.connect(path) as before:
            before.executescript((files("tace.client") / "schema" / "0001.sql").read_text())
            before.execute(
                "INSERT INTO message (peer, id, outgoing, state, counter, sent_ms, received_ms,"
                " sealed_text) VALUES (?, ?, 0, 'received', 1, 2, 3, ?)",
                (PEER, ONE, vault.seal(b"message\0" + PEER + ONE, b"old")),
            )
            before.execute("PRAGMA user_version = 1")
        before.close()
        database = HomeDatabase.open(path)
        self.addCleanup(database.close)
        database.unlock(vault)
        (found,) = database.conversation(PEER, 10)
        self.assertEqual(
            ("old", Kind.TEXT, None, None), (found.text, found.kind, found.target, found.file)
        )


class Sent(World):
    """From one home to another one."""

    def test_over_the_network(self) -> None:
        """They arrive in their order, are confirmed, and change what was said."""
        first = self.alice.send(self.bob, "frist")
        self.assertEqual(self.bob.receive(), ["frist"])
        bodies: list[Body] = [
            Edit(first.id, "first"),
            Reaction(first.id, "+"),
            Text("second"),
            FILE,
        ]
        user = self.alice.program()
        database = user.home.database
        peer = database.peer(self.bob.identity)
        assert peer is not None
        for place, body in enumerate(bodies):
            content_id = bytes([place]) * 16
            counter = peer.next_counter + place
            database.add_outgoing(
                content_id=content_id,
                peer=self.bob.identity,
                message=None,
                content=encode_contents([Content(content_id, counter, 1000, body)]),
                expires_hours=int(self.clock.seconds()) // 3600 + 24,
            )
        database.set_peer(replace(peer, next_counter=peer.next_counter + len(bodies)))
        user.home.close()
        self.alice.flush()
        self.assertEqual(self.bob.receive(), ["first", "+", "second", "cat.png"])
        program = self.bob.program()
        self.addCleanup(program.home.close)
        said = program.home.database.conversation(self.alice.identity, 10)
        self.assertEqual([each.text for each in said], ["first", "second", "cat.png"])
        self.assertEqual(said[2].file, FILE)
        self.assertEqual(program.home.database.reactions(said[0]), [(False, "+")])
        self.alice.receive()
        emptied = self.alice.program()
        self.addCleanup(emptied.home.close)
        self.assertEqual(list(emptied.home.database.outgoing_of(self.bob.identity)), [])
