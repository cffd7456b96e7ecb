"""Who is called dead, and what others have to do with it, over whole nodes."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tace.core import WORDS_AT_ONCE
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring import liveness
from tace.ring.hearsay import CHECK_SECONDS, REFUTE_SECONDS
from tace.ring.liveness import (
    MAX_UNDER_WAY,
    MISSED,
    REACHED,
    UNKNOWN,
    Liveness,
)
from tace.ring.suspicion import VOUCHED_SECONDS
from tace.wire.fields import MemberField
from tace.wire.peer import Accused, Ping, ProbeFor
from tests.network import MemoryNetwork, TestNode


class LivenessTestCase(SynchronousTestCase):
    """Six nodes that know each other."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=31)
        self.nodes = self.network.ring(6)
        self.one, self.other, *self.rest = self.nodes

    def holds_for_dead(self, node: TestNode, other: TestNode) -> bool:
        return other.id in node.core.membership.dead()

    def points_at(self, node: TestNode, other: TestNode) -> bool:
        return any(
            place.node == other.id
            for pointers in node.core.ring.snapshot()
            for place in pointers.successors
        )

    def ghost(self) -> NodeRecord:
        """A good record of a node that does not run."""
        return NodeRecord.sign(
            SigningKey.from_seed(b"g" * 48),
            self.network.settings.network_id,
            peer_addresses=("ghost:1",),
            client_urls=(),
            boot=1,
            sequence=1,
            position_mask=15,
            expires_seconds=int(self.network.clock.seconds()) + 3600,
        )

    def asked_about(self, node: NodeId, *, of: TestNode, by: TestNode) -> int:
        answer = self.network.result(by.core.links.call(of.id, ProbeFor(node)))
        found: int = answer.found
        return found


class VerdictTests(LivenessTestCase):
    """What a node makes of a contact that fails."""

    def test_one_dial_that_fails_is_an_accident(self) -> None:
        """It is dialled once more, and answers."""
        self.one.core.liveness.unreachable(self.other.id)
        self.network.run(1.0)
        self.assertFalse(self.holds_for_dead(self.one, self.other))

    def test_who_is_gone_is_dead_at_once(self) -> None:
        """For everyone: nobody reaches it."""
        self.other.kill()
        self.network.run(0.5)
        for node in (self.one, *self.rest):
            self.assertTrue(self.holds_for_dead(node, self.other))
            self.assertFalse(self.points_at(node, self.other))

    def test_who_is_back_is_not(self) -> None:
        """Its higher boot clears the verdict."""
        self.other.kill()
        self.network.run(5.0)
        again = self.other.again()
        self.network.run(5.0)
        for node in (self.one, *self.rest):
            self.assertFalse(self.holds_for_dead(node, again))

    def only_these_two_are_cut(self) -> None:
        self.network.partition([self.one.id], [self.other.id])
        self.network.run(5.0)

    def test_whom_others_reach_is_not_dead(self) -> None:
        """But no pointer of the one that does not reach it."""
        self.only_these_two_are_cut()
        self.assertFalse(self.holds_for_dead(self.one, self.other))
        self.assertTrue(self.one.core.liveness.shuns(self.other.id))
        self.assertFalse(self.points_at(self.one, self.other))
        for node in self.rest:
            self.assertFalse(self.holds_for_dead(node, self.other))
            self.assertTrue(self.points_at(node, self.other))

    def test_the_mutant_that_asks_nobody_is_caught(self) -> None:
        """The scenario before sees the difference."""
        with patch.object(Liveness, "_neighbours_of", lambda liveness, node: []):
            self.only_these_two_are_cut()
        self.assertTrue(self.holds_for_dead(self.one, self.other))

    def test_a_silent_link_is_no_sign_of_life(self) -> None:
        """It lost its power: nobody told us, and the link seems to be up."""
        for node in (self.one, *self.rest):
            self.network.cut.add(frozenset((node.id, self.other.id)))
        self.assertTrue(self.one.raw_links.is_up(self.other.id))
        self.one.core.liveness.look_for(self.other.id)
        self.network.run(5.0)
        self.assertTrue(self.holds_for_dead(self.one, self.other))

    def test_who_dials_meanwhile_lives(self) -> None:
        """It could not be reached, and has reached us."""
        self.network.partition([self.one.id], [self.other.id])
        self.one.core.liveness.look_for(self.other.id, failures=1)
        self.network.cut.clear()
        self.other.core.links.call(self.one.id, Ping())
        self.network.run(5.0)
        self.assertFalse(self.one.core.liveness.shuns(self.other.id))
        self.assertFalse(self.holds_for_dead(self.one, self.other))

    def test_the_way_is_open_again(self) -> None:
        """And the pointers come back."""
        self.only_these_two_are_cut()
        self.network.cut.clear()
        self.network.run(30.0)
        self.assertTrue(self.points_at(self.one, self.other))

    def test_others_are_believed_for_a_while(self) -> None:
        """Then it is dead here, and nobody else is told."""
        self.only_these_two_are_cut()
        self.network.run(2 * VOUCHED_SECONDS)
        self.assertTrue(self.holds_for_dead(self.one, self.other))
        self.assertNotIn("Accused", [kind for _, _, kind in self.network.frames])

    def test_what_is_under_way_is_bounded(self) -> None:
        """A loss of very many is looked at in parts."""
        core = self.one.core
        node = self.other.id
        core.liveness._under_way.update((n.to_bytes(32), False) for n in range(MAX_UNDER_WAY))
        core.liveness.unreachable(node)
        self.assertFalse(core.liveness.is_suspect(node))

    def test_news_of_a_dead_node_has_it_looked_for(self) -> None:
        """It may live: a verdict stands in nobody's way."""
        self.one.core.membership.found_dead(self.other.id)
        self.other.core.membership.describe(self.other.core.membership.description)
        self.network.run(2.0)
        self.assertFalse(self.holds_for_dead(self.one, self.other))


class AlarmTests(LivenessTestCase):
    """Several losses within a short while."""

    def guarded(self) -> set[NodeId]:
        return set(self.one.raw_links.guarded)

    def test_two_losses_have_all_links_guarded(self) -> None:
        """For a while; one loss has not."""
        few = {self.rest[0].id}
        liveness = self.one.core.liveness
        needed = [node.id for node in self.nodes if node is not self.one]
        liveness.attend(needed, few)
        self.one.raw_links.drop(self.other.id)
        self.network.cut.add(frozenset((self.one.id, self.other.id)))
        liveness._note_loss(self.other.id)
        self.assertEqual(self.guarded(), few)
        liveness._note_loss(self.other.id)
        self.assertEqual(self.guarded(), few)
        liveness._note_loss(self.rest[1].id)
        self.assertEqual(self.guarded(), few | set(self.one.raw_links.up()))
        self.network.clock.advance(0)
        liveness.attend(needed, few)
        self.assertEqual(self.guarded(), few | set(self.one.raw_links.up()))

    def test_two_losses_long_after_each_other(self) -> None:
        """Have nothing to do with each other."""
        alive = self.one.core.liveness
        before = self.one.counters.counts.get("liveness_alarms_total", 0)
        alive._note_loss(self.other.id)
        self.network.run(liveness.ALARM_WINDOW_SECONDS + 1)
        alive._note_loss(self.rest[0].id)
        self.assertEqual(self.one.counters.counts.get("liveness_alarms_total", 0), before)


class ProbeTests(LivenessTestCase):
    """What a node says that is asked about another one."""

    def test_answers(self) -> None:
        """Itself, one that answers, one that is dead, one it knows nothing of."""
        asker, asked, third = self.one, self.other, self.rest[0]
        self.assertEqual(self.asked_about(asked.id, of=asked, by=asker), REACHED)
        self.assertEqual(self.asked_about(third.id, of=asked, by=asker), REACHED)
        self.assertEqual(self.asked_about(b"?" * 32, of=asked, by=asker), UNKNOWN)
        third.kill()
        self.network.run(1.0)
        self.assertEqual(self.asked_about(third.id, of=asked, by=asker), MISSED)

    def test_many_ask_and_one_ping_is_sent(self) -> None:
        """Each of them hears what came of it."""
        third = self.rest[0]
        self.network.frames.clear()
        answers = [
            node.core.links.call(self.other.id, ProbeFor(third.id))
            for node in (self.one, *self.rest[1:])
        ]
        found = [self.network.result(answer).found for answer in answers]
        self.assertEqual(found, [REACHED] * 4)

    def test_too_many_questions(self) -> None:
        """Are not followed up; those of others are."""
        third = self.rest[0]
        now = self.network.clock.seconds()
        self.other.core.liveness._questions.take(self.one.id, now, WORDS_AT_ONCE)
        self.assertEqual(self.asked_about(third.id, of=self.other, by=self.one), UNKNOWN)
        self.assertEqual(self.asked_about(third.id, of=self.other, by=self.rest[1]), REACHED)

    def test_nobody_dials_for_a_stranger(self) -> None:
        """A node that is neither linked nor needed is not looked for on demand."""
        ghost = self.ghost()
        self.other.core.membership.take_in(ghost)
        self.network.frames.clear()
        with patch.object(Liveness, "matters", lambda liveness, node: False):
            found = self.asked_about(ghost.node_id, of=self.other, by=self.one)
        self.assertEqual(found, UNKNOWN)
        self.assertEqual(self.other.core.membership.dead(), [])


class AccusedTests(LivenessTestCase):
    """One of them tells lies, or the truth, about who is dead."""

    def accuse(self, record: NodeRecord, times: int = 1) -> None:
        for _ in range(times):
            for node in (self.one, *self.rest):
                message = Accused((MemberField(record.node_id, *record.freshness),))
                self.other.core.links.send(node.id, message)
            self.network.run(1.0)

    def test_a_living_node_is_not_evicted(self) -> None:
        """Not for a moment, by however many words; and it says itself that it lives."""
        victim = self.rest[0]
        before = victim.core.membership.current
        for _ in range(20):
            self.accuse(before)
            for node in self.nodes:
                self.assertFalse(node.core.membership.is_dead(victim.id))
                if node is not victim:
                    self.assertTrue(self.points_at(node, victim))
        self.assertGreater(victim.core.membership.current.freshness, before.freshness)
        for node in self.nodes:
            record = node.core.membership.record_of(victim.id)
            assert record is not None
            self.assertGreater(record.freshness, before.freshness)

    def test_a_node_contradicts_at_most_so_often(self) -> None:
        """Whoever accuses it again and again does not make it speak to everybody all the time."""
        victim = self.rest[0]
        before = victim.core.membership.current.sequence
        seconds = 0
        while seconds < 2 * REFUTE_SECONDS:
            self.accuse(victim.core.membership.current)
            seconds += 1
        self.assertLessEqual(victim.core.membership.current.sequence - before, 3)

    def test_a_node_that_is_dead_is_looked_for(self) -> None:
        """By those who had nothing to do with it, too; and their finding is their own."""
        ghost = self.ghost()
        for node in self.nodes:
            node.core.membership.take_in(ghost)
        for node in self.nodes:
            self.assertFalse(node.core.membership.is_dead(ghost.node_id))
        with patch.object(Liveness, "matters", lambda liveness, node: False):
            self.accuse(ghost)
            self.network.run(2 * CHECK_SECONDS)
        for node in (self.one, *self.rest):
            self.assertTrue(node.core.membership.is_dead(ghost.node_id))

    def test_a_confirmed_death_is_told(self) -> None:
        """By those that found it, with two others."""
        self.network.frames.clear()
        self.other.kill()
        self.network.run(2.0)
        self.assertIn("Accused", [kind for _, _, kind in self.network.frames])

    def test_who_talks_too_much_is_not_listened_to(self) -> None:
        """The one that does, not the others."""
        ghost = self.ghost()
        self.one.core.membership.take_in(ghost)
        self.one.core.hearsay._words.take(
            self.other.id, self.network.clock.seconds(), WORDS_AT_ONCE
        )
        for talker, heard in ((self.other, False), (self.rest[0], True)):
            message = Accused((MemberField(ghost.node_id, *ghost.freshness),))
            talker.core.links.send(self.one.id, message)
            self.network.run(0.1)
            self.assertEqual(ghost.node_id in self.one.core.hearsay._to_check, heard)
