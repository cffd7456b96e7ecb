"""Showing what arrives: once, in order, and by one program at a time."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.client.rows import HistoryMessage, MessageState, PeerDevice
from tace.client.showing import LOCK_PATIENCE_SECONDS, FileLock, Showing
from tace.client.sqlite import HomeDatabase
from tace.client.vault import Vault
from tests.client.fakes import let_pass

PEER = b"\x02" + bytes(32)
OTHER = b"\x03" + bytes(32)
DEVICE = bytes(32)


class Shows(SynchronousTestCase):
    """Messages put straight into the history."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.database = HomeDatabase.open(":memory:")
        self.addCleanup(self.database.close)
        self.database.unlock(Vault(bytes(32), bytes))
        self.database.set_device(PeerDevice(PEER, DEVICE))
        self.path = Path(self.mktemp())
        self.shown: list[int] = []
        self.showing = self.program()

    def program(self, peer: bytes | None = None) -> Showing:
        showing = Showing(
            self.database,
            FileLock(self.path),
            self.clock,
            lambda message: self.shown.append(message.counter),
            peer,
        )
        self.addCleanup(showing.stop)
        return showing

    def message(self, counter: int, peer: bytes = PEER) -> HistoryMessage:
        message_id = counter.to_bytes(16)
        self.database.add_message(
            peer=peer,
            message_id=message_id,
            outgoing=False,
            state=MessageState.RECEIVED,
            sender_device=DEVICE,
            counter=counter,
            sent_ms=0,
            received_ms=0,
            text=str(counter),
        )
        found = self.database.message(peer, message_id, outgoing=False)
        assert found is not None
        return found

    def arrive(self, *counters: int) -> None:
        self.showing.arrived([self.message(counter) for counter in counters], [])

    def test_in_order_while_catching_up(self) -> None:
        """What comes before its turn waits for as long as more is being fetched."""
        self.arrive(3, 2)
        let_pass(self.clock, 60.0)
        self.assertEqual(self.shown, [])
        self.arrive(1)
        self.assertEqual(self.shown, [1, 2, 3])
        self.arrive(7, 5)
        self.showing.caught_up()
        self.assertEqual(self.shown, [1, 2, 3, 5, 7])

    def test_two_seconds_when_nothing_is_being_fetched(self) -> None:
        """Whether caught up or cut off."""
        self.showing.caught_up()
        self.arrive(1, 3)
        let_pass(self.clock, 1.9)
        self.assertEqual(self.shown, [1])
        let_pass(self.clock, 0.2)
        self.assertEqual(self.shown, [1, 3])
        self.showing.catching_up()
        self.arrive(5)
        let_pass(self.clock, 5.0)
        self.assertEqual(self.shown, [1, 3])
        self.showing.interrupted()
        self.assertEqual(self.shown, [1, 3, 5])

    def test_places_without_a_message(self) -> None:
        """A part of a text, or a kind from a newer version, leaves no gap."""
        self.showing.caught_up()
        self.arrive(1)
        self.showing.arrived([], [(PEER, DEVICE, 2)])
        self.arrive(3)
        self.assertEqual(self.shown, [1, 3])

    def test_what_the_last_program_left(self) -> None:
        """Received and not shown: the next program shows it, and goes on from its place."""
        self.message(1)
        self.message(2)
        self.showing.look()
        self.assertEqual(self.shown, [1, 2])
        again = self.program()
        again.caught_up()
        again.look()
        self.assertEqual(self.shown, [1, 2])
        self.showing = again
        self.arrive(3)
        self.assertEqual(self.shown, [1, 2, 3])

    def test_what_another_program_receives(self) -> None:
        """It is taken up by a look; what is held or shown already is not taken twice."""
        self.showing.caught_up()
        self.arrive(1)
        self.message(2)
        self.showing.look()
        self.assertEqual(self.shown, [1, 2])
        self.arrive(4)
        self.message(5)
        for _ in range(3):
            self.showing.look()
        other = self.message(3)
        self.showing.look()
        self.showing.arrived([other], [])
        self.assertEqual(self.shown, [1, 2, 3, 4, 5])

    def test_one_person_only(self) -> None:
        """What others sent stays for another program."""
        self.message(1, OTHER)
        chat = self.program(PEER)
        chat.look()
        chat.arrived([self.message(2, OTHER)], [])
        chat.caught_up()
        self.assertEqual(self.shown, [])
        self.assertEqual(len(self.database.unshown()), 2)

    def test_another_program_is_showing(self) -> None:
        """It is waited for; whoever never ends is left to it."""
        lock = FileLock(self.path)
        self.assertTrue(lock.acquire())
        self.showing.caught_up()
        self.arrive(1)
        finished = self.showing.finished()
        let_pass(self.clock, 1.0)
        self.assertNoResult(finished)
        lock.release()
        let_pass(self.clock, 0.1)
        self.assertEqual(self.shown, [1])
        self.successResultOf(finished)
        self.assertTrue(lock.acquire())
        self.addCleanup(lock.release)
        self.arrive(2)
        finished = self.showing.finished()
        let_pass(self.clock, LOCK_PATIENCE_SECONDS + 0.2)
        self.successResultOf(finished)
        self.assertEqual(self.shown, [1])
        self.assertEqual(len(self.database.unshown()), 1)
