"""Who is here, away, or dead."""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import SigningKey
from tace.identity.node_record import Departure, NodeRecord
from tace.ids import NodeId
from tace.ring.presence import MAX_AWAY_SECONDS, Presence

NOW = 1_800_000_000
REPAIR, FORGET = 30.0, 300.0


class PresenceTestCase(SynchronousTestCase):
    """One other node, and what is thought of it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = float(NOW)
        self.changes = 0
        self.presence = Presence(
            self.clock, self.changed, repair_after_seconds=REPAIR, forget_after_seconds=FORGET
        )
        self.node = self.record().node_id

    def changed(self, node: NodeId) -> None:
        self.assertEqual(node, self.node)
        self.changes += 1

    def record(self, **changes: Any) -> NodeRecord:
        fields: dict[str, Any] = {
            "peer_addresses": (),
            "client_urls": (),
            "boot": 1,
            "sequence": 1,
            "position_mask": 1,
            "expires_seconds": 0,
        }
        return NodeRecord.sign(SigningKey.from_seed(b"p" * 48), b"n" * 32, **{**fields, **changes})

    def says_away(self, seconds: float) -> None:
        until = int(self.clock.seconds() + seconds)
        self.presence.told(self.record(away_until_seconds=until), restarted=False)

    def comes_back(self) -> None:
        self.presence.told(self.record(boot=2), restarted=True)

    def pass_seconds(self, seconds: float) -> None:
        """Deadline by deadline."""
        end = self.clock.seconds() + seconds
        while True:
            due = [call.getTime() for call in self.clock.getDelayedCalls()]
            due = [at for at in due if at <= end]
            if not due:
                break
            self.clock.advance(max(0.0, min(due) - self.clock.seconds()))
        self.clock.advance(end - self.clock.seconds())


class AwayTests(PresenceTestCase):
    """A node that said that it will be back."""

    def test_it_is_not_asked_and_its_place_is_kept(self) -> None:
        """Gone, but not dead, whatever dials find; placement sees it as here."""
        self.says_away(120)
        self.assertTrue(self.presence.is_gone(self.node))
        self.assertFalse(self.presence.found_dead(self.node))
        self.assertFalse(self.presence.is_dead(self.node))
        self.assertIsNone(self.presence.gone_for(self.node))
        self.assertEqual((self.presence.away(), self.presence.dead()), ([self.node], []))
        self.pass_seconds(119)
        self.assertIsNone(self.presence.gone_for(self.node))
        self.assertEqual(self.changes, 0)

    def test_a_word_that_comes_after_the_verdict_lifts_it(self) -> None:
        """It was found dead by somebody who had not heard yet."""
        self.presence.found_dead(self.node)
        self.says_away(120)
        self.assertFalse(self.presence.is_dead(self.node))
        self.assertTrue(self.presence.is_gone(self.node))

    def test_when_it_does_not_return_repair_begins_at_once(self) -> None:
        """It is dead, as if it had been for as long as one waits; later it is forgotten."""
        self.says_away(120)
        self.pass_seconds(120)
        self.assertEqual(self.changes, 1)
        self.assertTrue(self.presence.is_dead(self.node))
        self.assertEqual(self.presence.gone_for(self.node), REPAIR)
        self.pass_seconds(FORGET - REPAIR)
        self.assertEqual(self.changes, 2)
        self.assertEqual(self.presence.gone_for(self.node), FORGET)

    def test_its_return_ends_it(self) -> None:
        """No timer is left."""
        self.says_away(120)
        self.comes_back()
        self.assertFalse(self.presence.is_gone(self.node))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_its_voice_alone_does_not(self) -> None:
        """While it drains it still answers."""
        self.says_away(120)
        self.assertFalse(self.presence.heard(self.node))
        self.assertTrue(self.presence.is_gone(self.node))

    def test_a_time_that_has_passed_says_nothing(self) -> None:
        """An old record heard late."""
        self.says_away(-1)
        self.assertFalse(self.presence.is_gone(self.node))

    def test_nobody_is_away_for_longer_than_an_hour(self) -> None:
        """Neither by a far time nor by saying so again and again."""
        self.says_away(10 * MAX_AWAY_SECONDS)
        for _ in range(5):
            self.pass_seconds(MAX_AWAY_SECONDS / 6)
            self.assertTrue(self.presence.is_gone(self.node))
            self.presence.heard(self.node)
            self.says_away(10 * MAX_AWAY_SECONDS)
        self.assertFalse(self.presence.is_dead(self.node))
        self.pass_seconds(MAX_AWAY_SECONDS / 6)
        self.assertTrue(self.presence.is_dead(self.node))
        self.says_away(MAX_AWAY_SECONDS)
        self.assertTrue(self.presence.is_dead(self.node))
        self.presence.heard(self.node)
        self.says_away(MAX_AWAY_SECONDS)
        self.assertFalse(self.presence.is_gone(self.node))

    def test_after_a_return_a_new_hour_begins(self) -> None:
        """A record that says nothing of being away is a return."""
        self.says_away(MAX_AWAY_SECONDS)
        self.pass_seconds(MAX_AWAY_SECONDS)
        self.assertTrue(self.presence.is_dead(self.node))
        self.comes_back()
        self.says_away(MAX_AWAY_SECONDS)
        self.pass_seconds(MAX_AWAY_SECONDS / 2)
        self.assertIn(self.node, self.presence.away())

    def test_who_is_forgotten_leaves_nothing(self) -> None:
        """Nor does anybody after the stop."""
        self.says_away(120)
        self.presence.forget(self.node)
        self.assertFalse(self.presence.is_gone(self.node))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.says_away(120)
        self.presence.stop()
        self.says_away(120)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DepartureTests(PresenceTestCase):
    """A node that leaves for good."""

    def says(self, departure: Departure) -> None:
        self.presence.told(self.record(departure=departure), restarted=False)

    def test_while_it_leaves_it_is_here(self) -> None:
        """It is asked as before, and may die like any other."""
        self.says(Departure.LEAVING)
        self.assertTrue(self.presence.is_leaving(self.node))
        self.assertFalse(self.presence.is_gone(self.node))
        self.assertIsNone(self.presence.gone_for(self.node))
        self.assertTrue(self.presence.found_dead(self.node))
        self.assertTrue(self.presence.is_leaving(self.node))

    def test_one_that_has_left_was_never_there(self) -> None:
        """Nobody waits for it, asks it, or looks for it among the dead."""
        self.says(Departure.LEAVING)
        self.presence.found_dead(self.node)
        self.says(Departure.LEFT)
        self.assertTrue(self.presence.has_left(self.node))
        self.assertFalse(self.presence.is_leaving(self.node))
        self.assertTrue(self.presence.is_gone(self.node))
        self.assertEqual(self.presence.gone_for(self.node), inf)
        self.assertEqual((self.presence.dead(), self.presence.away()), ([], []))
        self.assertEqual(self.presence.gone_count, 1)
        self.assertFalse(self.presence.found_dead(self.node))
        self.assertFalse(self.presence.heard(self.node))
        self.assertTrue(self.presence.is_gone(self.node))

    def test_its_return_ends_it(self) -> None:
        """A record that says nothing of it."""
        for departure in (Departure.LEAVING, Departure.LEFT):
            self.says(departure)
            self.comes_back()
            self.assertFalse(self.presence.is_leaving(self.node))
            self.assertFalse(self.presence.is_gone(self.node))
            self.assertIsNone(self.presence.gone_for(self.node))

    def test_one_that_was_away_and_has_left(self) -> None:
        """Its time passes, and it does not become a dead one."""
        self.says_away(120)
        self.says(Departure.LEFT)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.presence.away(), [])

    def test_who_is_forgotten_is_not_leaving(self) -> None:
        """Nothing is remembered without a record."""
        for departure in (Departure.LEAVING, Departure.LEFT):
            self.says(departure)
            self.presence.forget(self.node)
            self.assertFalse(self.presence.is_leaving(self.node))
            self.assertFalse(self.presence.has_left(self.node))


class ComingTests(PresenceTestCase):
    """Many who come at once."""

    def test_many_that_were_not_known(self) -> None:
        """At least three, and one in twenty of all, within a minute."""
        for _ in range(2):
            self.presence.came()
        self.assertFalse(self.presence.many_came(10))
        self.presence.came()
        self.assertTrue(self.presence.many_came(10))
        self.assertTrue(self.presence.many_came(60))
        self.assertFalse(self.presence.many_came(61))
        self.clock.advance(61.0)
        self.assertFalse(self.presence.many_came(10))

    def test_who_was_dead_comes_back(self) -> None:
        """It counts as one that comes; who never went does not."""
        for _ in range(3):
            self.presence.heard(self.node)
        self.assertFalse(self.presence.many_came(10))
        for number in range(3):
            self.presence.found_dead(self.node)
            if number:
                self.presence.heard(self.node)
            else:
                self.presence.told(self.record(boot=2), restarted=True)
        self.assertTrue(self.presence.many_came(10))
