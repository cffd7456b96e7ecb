"""The ledger's words (stored, delivered, lost, doubled, late), and the history's hash."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.clock import VirtualClock
from tace.simulation.history import MAX_EVENTS, History
from tace.simulation.ledger import Ledger, Letter

ID = b"\x01" * 32


class LedgerTests(SynchronousTestCase):
    """One message and what becomes of it."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        self.ledger.sent(ID, Letter(7, "alice", "bob", 1.0))

    def test_sent_only(self) -> None:
        """What was never called stored is not lost: its sender still has it."""
        self.assertEqual(self.ledger.lost, [])
        self.assertEqual(
            (self.ledger.sent_count, self.ledger.stored_count, self.ledger.delivered_count),
            (1, 0, 0),
        )

    def test_lost(self) -> None:
        """Called stored and never seen; it is said who called it so."""
        self.ledger.stored(ID, 2.0, "n03")
        self.ledger.stored(ID, 3.0, "n04")
        self.assertEqual(
            self.ledger.lost,
            ["message 7 from alice to bob was called stored by n03 at 2.000 s and is lost"],
        )

    def test_delivered(self) -> None:
        """Once, then acked, and never again: nothing is wrong."""
        self.ledger.stored(ID, 2.0, "n03")
        self.ledger.delivered(ID, 2.5, again_in_connection=False)
        self.ledger.acked(ID, 3.0)
        self.assertEqual((self.ledger.lost, self.ledger.doubled), ([], []))
        self.assertEqual(self.ledger.late(1.0), [])
        self.assertEqual(
            self.ledger.late(0.4), ["message 7 from alice to bob came 0.5 s after it was stored"]
        )

    def test_again_before_the_ack_holds(self) -> None:
        """A client that has gone to another node may be told of it again."""
        for at in (2.5, 2.9):
            self.ledger.delivered(ID, at, again_in_connection=False)
        self.ledger.acked(ID, 3.0)
        self.assertEqual(self.ledger.doubled, [])

    def test_doubled(self) -> None:
        """Twice in one connection, or after the network has taken the ack."""
        self.ledger.delivered(ID, 2.5, again_in_connection=False)
        self.ledger.delivered(ID, 2.6, again_in_connection=True)
        self.ledger.acked(ID, 3.0)
        self.ledger.delivered(ID, 40.0, again_in_connection=False)
        twice, again = self.ledger.doubled
        self.assertIn("came twice in one connection, at 2.600 s", twice)
        self.assertIn("came again at 40.000 s, though its ack was stored at 3.000 s", again)

    def test_from_a_replica_that_was_down(self) -> None:
        """Soon after its return that is no fault; later it is."""
        self.ledger.delivered(ID, 2.5, again_in_connection=False)
        self.ledger.acked(ID, 3.0)
        self.ledger.delivered(ID, 41.0, again_in_connection=False, last_fault=40.0)
        self.assertEqual(self.ledger.doubled, [])
        self.ledger.delivered(ID, 61.0, again_in_connection=False, last_fault=40.0)
        self.assertEqual(len(self.ledger.doubled), 1)


class HistoryTests(SynchronousTestCase):
    """Events and their hash."""

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.history = History(self.clock)

    def test_the_hash_tells_every_difference(self) -> None:
        """In who, in what, in when, and in the order."""
        digests = [self.history.digest]
        for who, what, wait in (
            ("a", "x", 0.0),
            ("a", "y", 0.0),
            ("b", "x", 0.0),
            ("a", "x", 1e-6),
        ):
            history = History(self.clock)
            self.clock.run_for(wait)
            history.note(who, what)
            digests.append(history.digest)
        self.assertEqual(len(set(digests)), 5)

    def test_the_latest(self) -> None:
        """Of everybody, or of those who are asked about."""
        for number in range(6):
            self.clock.run_for(1.0)
            self.history.note("ab"[number % 2], str(number))
        self.assertEqual([e.what for e in self.history.latest(3)], ["3", "4", "5"])
        self.assertEqual([e.what for e in self.history.latest(2, ["a"])], ["2", "4"])
        self.assertEqual(str(self.history.latest(1)[0]).split(), ["6.0000", "b", "5"])

    def test_bounded(self) -> None:
        """The oldest are forgotten, and still count in the hash."""
        other = History(self.clock)
        other.note("somebody", "came first")
        for history in (self.history, other):
            for number in range(MAX_EVENTS):
                history.note("a", str(number))
        self.assertEqual(len(self.history.latest(MAX_EVENTS + 1)), MAX_EVENTS)
        self.assertEqual(self.history.latest(MAX_EVENTS), other.latest(MAX_EVENTS))
        self.assertNotEqual(self.history.digest, other.digest)
