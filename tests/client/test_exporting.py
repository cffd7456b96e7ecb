"""Everything but the device and its sessions, out of one home and into another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tace.client.contacts import Contacts
from tace.client.exported import decode_exported, encode_exported
from tace.client.exporting import COUNTER_MARGIN, Taking, collect, export_home, read_export
from tace.client.home import DATABASE, Home
from tace.client.rows import MessageState, Peer, Standing
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Policy, policy_of, set_policy
from tace.e2ee.content import Kind
from tace.e2ee.export import BadExport, WrongExportCode, export_base, seal_export
from tace.e2ee.recovery import RecoveryCode
from tests.client.people import Person
from tests.client.test_history import FILE
from tests.client.test_user import World


class Moved(World):
    """Bob's home moves to another directory."""

    def export(self, person: Person) -> bytes:
        home = person.program().home
        try:
            return export_home(home, self.clock.seconds(), person.random.randbytes)
        finally:
            home.close()

    def moved(self, person: Person, file: bytes) -> Person:
        """That person on the home that is made of the file."""
        exported = read_export(file, person.code)
        taking = Taking(exported, self.clock.seconds(), person.random.randbytes)
        again = Person.__new__(Person)
        again.__dict__.update(person.__dict__)
        again.screen = type(person.screen)()
        again.directory = self.directory / "moved"
        Home.create(
            again.directory,
            person.code,
            name=exported.name,
            random_bytes=person.random.randbytes,
            fill=taking.fill,
        ).close()
        return again

    def test_nothing_is_lost(self) -> None:
        """Neither what was said before, nor between, nor after; on sessions that start anew."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        self.bob.send(self.alice, "two")
        self.alice.receive()
        file = self.export(self.bob)
        between = self.alice.send(self.bob, "three")
        self.clock.advance(10.0)
        again = self.moved(self.bob, file)
        self.assertEqual(again.receive(), [])
        # Greeted by the new device, she says again what was not confirmed.
        self.alice.receive()
        self.alice.flush()
        self.assertEqual(again.receive(), ["three"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(between), "delivered")
        self.alice.send(self.bob, "four")
        self.assertEqual(again.receive(), ["four"])
        again.send(self.alice, "five")
        self.assertEqual(self.alice.receive(), ["five"])
        home = again.program().home
        self.addCleanup(home.close)
        said = [m.text for m in home.database.conversation(self.alice.identity)]
        self.assertEqual(said, ["one", "two", "three", "four", "five"])

    def test_people_and_settings(self) -> None:
        """Names, standings, who is verified, what is done with strangers; counters go on above."""
        carol = self.person("Carol")
        carol.receive()
        self.alice.send(self.bob, "one")
        carol.send(self.bob, "let me in")
        self.bob.receive()
        home = self.bob.program().home
        contacts = Contacts(home.database, self.bob.identity)
        contacts.add(self.alice.identity, "Al")
        contacts.set_verified(self.alice.identity, True)
        contacts.block(carol.identity)
        set_policy(home.database, Policy.ASK)
        before = {peer.identity: peer for peer in contacts.all()}
        home.close()
        again = self.moved(self.bob, self.export(self.bob))
        home = again.program().home
        self.addCleanup(home.close)
        self.assertEqual(home.own.name, "Bob")
        self.assertIs(policy_of(home.database), Policy.ASK)
        self.assertTrue(home.database.nodes())
        after = {peer.identity: peer for peer in home.database.peers()}
        self.assertEqual(
            {
                identity: replace(
                    peer, looked_up_seconds=0.0, next_counter=peer.next_counter + COUNTER_MARGIN
                )
                for identity, peer in before.items()
            },
            after,
        )
        self.assertIs(after[carol.identity].standing, Standing.BLOCKED)

    def test_no_keys_of_the_device(self) -> None:
        """Two devices with one state would use keys twice."""
        self.alice.send(self.bob, "one")
        self.bob.receive()
        again = self.moved(self.bob, self.export(self.bob))
        home, old = again.program().home, self.bob.program().home
        self.addCleanup(home.close)
        self.addCleanup(old.close)
        self.assertNotEqual(home.own.keys.id, old.own.keys.id)
        self.assertEqual(home.database.devices(self.alice.identity), [])
        self.assertEqual(home.database.prekeys(), [])

    def test_what_was_not_shown_is_shown_there(self) -> None:
        """It was acked long ago: nobody else has it."""
        self.alice.send(self.bob, "one")
        user = self.bob.program()
        set_policy(user.home.database, Policy.ASK)
        user.home.close()
        self.assertEqual(self.bob.receive(), [])
        again = self.moved(self.bob, self.export(self.bob))
        home = again.program().home
        Contacts(home.database, self.bob.identity).accept(self.alice.identity)
        home.close()
        self.assertEqual(again.receive(), ["one"])
        self.assertEqual(again.receive(), [])

    def test_what_no_node_had_is_sent_from_there(self) -> None:
        """Short or in parts; who has it already shows it once."""
        self.bob.send(self.alice, "zero")
        self.alice.receive()
        self.network.nodes[0].kill()
        texts = ["one", "x" * 5000]
        for text in texts:
            self.bob.send(self.alice, text)
        file = self.export(self.bob)
        self.network.nodes[0].up()
        self.bob.flush()
        self.assertEqual(self.alice.receive(), texts)
        self.clock.advance(10.0)
        again = self.moved(self.bob, file)
        again.receive()
        self.assertEqual(self.alice.receive(), [])
        again.receive()
        home = again.program().home
        self.addCleanup(home.close)
        states = {m.text[:4]: m.state for m in home.database.conversation(self.alice.identity)}
        self.assertIs(states["one"], MessageState.DELIVERED)
        self.assertIs(states["xxxx"], MessageState.DELIVERED)

    def test_wrong_files(self) -> None:
        """Another code, a changed byte, no export at all: nothing is made."""
        file = self.export(self.bob)
        with self.assertRaises(WrongExportCode):
            read_export(file, self.alice.code)
        with self.assertRaises(WrongExportCode):
            read_export(file[:-1] + bytes([file[-1] ^ 1]), self.bob.code)
        with self.assertRaises(BadExport):
            read_export(b"something else", self.bob.code)

        def resealed(content: bytes, code: RecoveryCode) -> bytes:
            return seal_export(export_base(code), content, self.bob.random.randbytes)

        home = self.bob.program().home
        self.addCleanup(home.close)
        content = encode_exported(collect(home, 0.0))
        with self.assertRaisesRegex(WrongExportCode, "another identity"):
            read_export(resealed(content, self.alice.code), self.alice.code)
        for bad in (b"", b"\x80", b"\xc1", content + b"x", content.replace(b"\x01", b"\x02", 1)):
            with self.assertRaises(BadExport):
                read_export(resealed(bad, self.bob.code), self.bob.code)

    def test_half_a_home_is_not_left(self) -> None:
        """What fails in the middle can be done again."""

        def fill(*_: object) -> None:
            raise ZeroDivisionError

        where = Path(self.mktemp())
        with self.assertRaises(ZeroDivisionError):
            Home.create(where, self.bob.code, random_bytes=self.bob.random.randbytes, fill=fill)
        self.assertFalse((where / DATABASE).exists())
        Home.create(where, self.bob.code, random_bytes=self.bob.random.randbytes).close()


class Lines(World):
    """How a history reads after it was moved."""

    def test_as_it_read_before(self) -> None:
        """With edits, deletions, reactions and files; and what comes late changes it no more than
        it would have."""
        home = self.bob.program().home
        self.addCleanup(home.close)
        peer = self.alice.identity
        home.database.set_peer(Peer(peer))

        def add(database: HomeDatabase, number: int, kind: int, text: str, **more: Any) -> None:
            given: dict[str, Any] = {"outgoing": False, "counter": number, "shown": True, **more}
            database.add_message(
                peer=peer,
                message_id=bytes([number]) * 16,
                state=MessageState.RECEIVED,
                sent_ms=1000 + number,
                received_ms=2000 + number,
                text=text,
                kind=kind,
                **given,
            )

        one, two, three = (bytes([number]) * 16 for number in (1, 2, 3))
        add(home.database, 1, Kind.TEXT, "frist")
        add(home.database, 2, Kind.TEXT, "secret")
        add(home.database, 3, Kind.TEXT, "mine", outgoing=True)
        add(home.database, 4, Kind.FILE, "cat.png", file=FILE)
        add(home.database, 7, Kind.EDIT, "first", target=one)
        add(home.database, 8, Kind.DELETE, "", target=two)
        add(home.database, 9, Kind.REACTION, "+", target=three)
        add(home.database, 10, Kind.REACTION, "-", target=one, outgoing=True)

        def reads(database: HomeDatabase) -> list[Any]:
            return [
                (
                    message.id,
                    message.text,
                    message.outgoing,
                    message.counter,
                    (message.sent_ms, message.received_ms, message.file),
                    database.is_deleted(message),
                    database.reactions(message),
                    database.edit_counter(message),
                )
                for message in database.conversation(peer)
            ]

        before = reads(home.database)
        exported = decode_exported(encode_exported(collect(home, 0.0)))
        taking = Taking(exported, self.clock.seconds(), self.bob.random.randbytes)
        again = Home.create(
            self.directory / "moved",
            self.bob.code,
            random_bytes=self.bob.random.randbytes,
            fill=taking.fill,
        )
        self.addCleanup(again.close)
        self.assertEqual(reads(again.database), before)
        add(again.database, 5, Kind.EDIT, "an older edit", target=one)
        add(again.database, 6, Kind.REACTION, "older", target=three)
        self.assertEqual(reads(again.database), before)
        file = again.database.conversation(peer)[3].file
        self.assertEqual(file, FILE)
        self.assertEqual(again.database.unshown(), [])
