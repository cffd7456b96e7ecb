"""The home directory: who may read it, what is sealed in it, and what several programs do to it."""

from __future__ import annotations

import random
import sqlite3
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.client.errors import HomeError, HomeSealed
from tace.client.home import DATABASE, Home
from tace.client.rows import MessageState
from tace.client.sqlite import HomeDatabase
from tace.client.vault import PassphraseCost, Vault, open_vault
from tace.e2ee.recovery import RecoveryCode

CHEAP = PassphraseCost(memory_kib=64, passes=1, lanes=1)
PEER = b"\x02" + bytes(32)


class Homes(SynchronousTestCase):
    """On disk."""

    def setUp(self) -> None:
        self.random = random.Random(1)
        self.directory = Path(self.mktemp()) / "home"
        self.code = RecoveryCode.generate(self.random.randbytes)

    def create(self, passphrase: str = "") -> Home:
        home = Home.create(
            self.directory,
            self.code,
            name="Alice",
            passphrase=passphrase,
            random_bytes=self.random.randbytes,
            cost=CHEAP,
        )
        self.addCleanup(home.close)
        return home

    def open(self, passphrase: str = "") -> Home:
        home = Home.open(
            self.directory,
            ask_passphrase=lambda: passphrase,
            random_bytes=self.random.randbytes,
        )
        self.addCleanup(home.close)
        return home

    def test_what_is_made_is_opened(self) -> None:
        """The same identity and the same device."""
        made, opened = self.create(), self.open()
        self.assertEqual(opened.own.public, self.code.identity().public)
        self.assertEqual(opened.own.keys.id, made.own.keys.id)
        self.assertEqual(opened.own.name, "Alice")

    def test_modes(self) -> None:
        """0700 and 0600, whatever the umask allowed."""
        self.create()
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)
        for file in self.directory.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)

    def test_only_one_in_a_directory(self) -> None:
        """A second one is refused, and the first is untouched."""
        self.create()
        with self.assertRaisesRegex(HomeError, "already"):
            self.create()
        self.open()

    def test_none(self) -> None:
        """A directory without a home is not made into one by opening it."""
        with self.assertRaisesRegex(HomeError, "tace identity new"):
            self.open()
        self.assertFalse(self.directory.exists())

    def test_where_none_can_be(self) -> None:
        """Below a file there is no directory: one line that says so."""
        below = Path(self.mktemp())
        below.write_text("a file")
        self.directory = below / "home"
        with self.assertRaisesRegex(HomeError, "cannot be made"):
            self.create()

    def test_not_a_home(self) -> None:
        """A file that is no database, and a database of a newer version."""
        self.create().close()
        path = self.directory / DATABASE
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 999")
        connection.close()
        with self.assertRaisesRegex(HomeError, "newer version"):
            self.open()
        for file in self.directory.iterdir():
            file.unlink()
        path.write_bytes(b"not a database" * 1000)
        with self.assertRaisesRegex(HomeError, "cannot be used"):
            self.open()

    def test_the_passphrase(self) -> None:
        """Needed, checked, and asked for only where there is one."""
        self.create("correct horse").close()
        with self.assertRaisesRegex(HomeSealed, "TACE_PASSPHRASE"):
            self.open("")
        with self.assertRaisesRegex(HomeSealed, "wrong"):
            self.open("battery staple")
        self.assertEqual(self.open("correct horse").own.public, self.code.identity().public)

    def test_nothing_secret_in_the_clear(self) -> None:
        """With a passphrase neither the code nor keys nor texts stand in the files."""
        home = self.create("correct horse")
        home.database.add_message(
            peer=PEER,
            message_id=bytes(16),
            outgoing=False,
            state=MessageState.RECEIVED,
            counter=1,
            sent_ms=0,
            received_ms=0,
            text="attack at dawn",
        )
        home.close()
        for file in self.directory.iterdir():
            data = file.read_bytes()
            for secret in (self.code.secret, b"attack at dawn"):
                self.assertNotIn(secret, data)

    def test_a_secret_in_the_wrong_place(self) -> None:
        """A sealed value that was moved to another row does not open."""
        home = self.create()
        home.database.set_secret("one", b"secret")
        sealed = home.database.setting("one")
        assert sealed is not None
        home.database.set_setting("other", sealed)
        self.assertEqual(home.database.secret("one"), b"secret")
        with self.assertRaisesRegex(HomeError, "damaged"):
            home.database.secret("other")


class Vaults(SynchronousTestCase):
    """The form in which the home key is stored."""

    def test_damaged_forms(self) -> None:
        """Only a HomeError leaves it."""
        make = random.Random(2).randbytes
        for passphrase in ("", "secret"):
            form = Vault.make(make).key_form(passphrase, CHEAP)
            open_vault(form, passphrase, make)
            for damaged in (b"", form[:1], form[:-1], form + b"x", b"\x02" + form[1:], b"\x01\x07"):
                with self.assertRaises(HomeError):
                    open_vault(damaged, passphrase, make)

    def test_every_seal_is_new(self) -> None:
        """The same secret is never sealed to the same bytes."""
        vault = Vault.make(random.Random(3).randbytes)
        seals = {vault.seal(b"here", b"secret") for _ in range(10)}
        self.assertEqual(len(seals), 10)
        self.assertEqual({vault.open(b"here", sealed) for sealed in seals}, {b"secret"})


class Transactions(SynchronousTestCase):
    """Two programs on one database."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        self.one, self.other = HomeDatabase.open(path), HomeDatabase.open(path)
        self.addCleanup(self.one.close)
        self.addCleanup(self.other.close)

    def test_all_or_nothing(self) -> None:
        """What fails in the middle leaves nothing, and the next one goes through."""

        def fail() -> None:
            with self.one.transaction():
                self.one.set_setting("a", b"1")
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, fail)
        self.assertIsNone(self.other.setting("a"))
        with self.one.transaction():
            self.one.set_setting("a", b"2")
            with self.one.transaction():
                self.one.set_setting("b", b"3")
            self.assertIsNone(self.other.setting("b"))
        self.assertEqual((self.other.setting("a"), self.other.setting("b")), (b"2", b"3"))

    def test_one_inside_another(self) -> None:
        """The inner one alone is undone, when the outer one takes that lightly."""
        with self.one.transaction():
            self.one.set_setting("a", b"1")

            def fail() -> None:
                with self.one.transaction():
                    self.one.set_setting("b", b"2")
                    raise ZeroDivisionError

            self.assertRaises(ZeroDivisionError, fail)
            self.one.set_setting("c", b"3")
        found = [self.other.setting(name) for name in "abc"]
        self.assertEqual(found, [b"1", None, b"3"])

    def test_durable(self) -> None:
        """WAL with a sync at each commit: what was committed survives a power cut."""
        connection = self.one._sql
        self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        self.assertEqual(connection.execute("PRAGMA synchronous").fetchone(), (2,))

    def test_the_network_is_pinned_once(self) -> None:
        """The first one asked about is the home's for good."""
        self.assertTrue(self.one.pin_network(bytes(32)))
        self.assertTrue(self.other.pin_network(bytes(32)))
        self.assertFalse(self.other.pin_network(b"\x01" * 32))

    def test_remembered_nodes_are_bounded(self) -> None:
        """Those met last stay."""
        for number in range(20):
            self.one.remember_nodes([(f"http://n{number:02}", bytes(32))], float(number), keep=5)
        origins = [origin for origin, _ in self.other.nodes()]
        self.assertEqual(origins, [f"http://n{number}" for number in range(15, 20)])
