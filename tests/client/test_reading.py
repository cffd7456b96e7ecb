"""What cannot be read is asked for again, and what is kept of it is bounded."""

from __future__ import annotations

import shutil

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.client import reading
from tace.client.home import DATABASE
from tace.client.reading import KEPT_SECONDS
from tace.client.rows import Peer
from tace.client.sqlite import HomeDatabase
from tace.client.user import TIDY_EVERY_SECONDS
from tests.client.fakes import let_pass
from tests.client.test_user import World

CONTACT = b"\x02" + bytes(32)
STRANGER = b"\x03" + bytes(32)
DEVICE = bytes(32)


class Kept(SynchronousTestCase):
    """Rows of the table alone."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.database = HomeDatabase.open(":memory:")
        self.addCleanup(self.database.close)
        self.database.set_peer(Peer(CONTACT))

    def keep(self, peer: bytes, *times: int) -> None:
        for at in times:
            self.database.keep_unreadable(b"%d" % at, b"envelope", peer, DEVICE, float(at))
            self.database.bound_unreadable(peer, most_of_one=3, most=5)

    def kept(self, peer: bytes) -> list[float]:
        return [row.kept_seconds for row in self.database.unreadable_of(peer, DEVICE)]

    def test_of_one(self) -> None:
        """The newest of one claimed sender stay."""
        self.keep(CONTACT, 1, 2, 3, 4, 5)
        self.assertEqual(self.kept(CONTACT), [3.0, 4.0, 5.0])

    def test_of_all(self) -> None:
        """A contact's take the place of strangers', and not the other way round."""
        self.keep(STRANGER, 4, 5, 6)
        self.keep(CONTACT, 1, 2, 3)
        self.assertEqual((self.kept(STRANGER), self.kept(CONTACT)), ([5.0, 6.0], [1.0, 2.0, 3.0]))
        self.keep(b"\x03" * 33, 7)
        self.assertEqual((self.kept(STRANGER), self.kept(CONTACT)), ([6.0], [1.0, 2.0, 3.0]))


class Asking(World):
    """A home that was set back cannot read what its contact sends."""

    def test_when_much_is_kept(self) -> None:
        """A full table keeps nobody from asking for a session."""
        self.patch(reading, "MAX_KEPT", 2)
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
        user = self.bob.program()
        now = self.clock.seconds()
        for number in range(2):
            user.home.database.keep_unreadable(b"%d" % number, b"x", STRANGER, DEVICE, now)
        user.home.close()
        self.alice.send(self.bob, "one")
        self.assertEqual(self.bob.receive(), [])
        self.alice.receive()
        self.assertEqual(self.bob.receive(), ["one"])


class Tidying(World):
    """What a program that stays lets go of."""

    def test_every_hour(self) -> None:
        """What was kept for a day, and private halves of prekeys in memory."""
        self.alice.send(self.bob, "one")
        user = self.follow(self.bob)
        self.assertEqual(self.bob.screen.texts, ["one"])
        self.assertNotEqual(user._reading._known_prekeys, {})
        soon_over = self.clock.seconds() - KEPT_SECONDS + 60.0
        database = user.home.database
        database.keep_unreadable(bytes(32), b"x", STRANGER, DEVICE, soon_over)
        let_pass(self.clock, TIDY_EVERY_SECONDS + 1.0)
        self.assertEqual(database.unreadable_of(STRANGER, DEVICE), [])
        self.assertEqual(user._reading._known_prekeys, {})
