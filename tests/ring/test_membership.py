"""What a node believes of others, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ForgedRecord
from tace.identity.keys import SigningKey
from tace.identity.node_record import MAX_RECORD_BYTES, Departure, NodeRecord
from tace.ids import Arc
from tace.ring.membership import (
    CLOCK_TOLERANCE_SECONDS,
    MAX_AHEAD_SECONDS,
    RECORD_LIFETIME_SECONDS,
    Membership,
    OwnDescription,
)
from tests.network import NoCounters

NETWORK = b"n" * 32
NOW = 1_800_000_000


class MembershipTestCase(SynchronousTestCase):
    """One node's view, and records made by others."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = float(NOW)
        self.counters = NoCounters()
        self.changes = 0
        self.news: list[NodeRecord] = []
        self.key = SigningKey.from_seed(b"o" * 48)
        self.membership = self.make()

    def make(self, capacity: int = 100) -> Membership:
        membership = Membership(
            self.key,
            NETWORK,
            OwnDescription(("own:1",), (), boot=5, position_mask=15),
            clock=self.clock,
            counters=self.counters,
            replicas=2,
            table_capacity=capacity,
            repair_after_seconds=30.0,
            forget_after_seconds=300.0,
        )
        membership.when_changed(self.changed)
        membership.when_news(self.news.append)
        return membership

    def changed(self) -> None:
        self.changes += 1

    def record(self, number: int, **changes: Any) -> NodeRecord:
        network = changes.pop("network", NETWORK)
        key = changes.pop("key", None) or SigningKey.from_seed(bytes([number]) * 48)
        fields: dict[str, Any] = {
            "peer_addresses": (f"10.0.{number}.1:1",),
            "client_urls": (),
            "boot": 1,
            "sequence": 1,
            "position_mask": 15,
            "expires_seconds": int(self.clock.seconds()) + RECORD_LIFETIME_SECONDS,
        }
        return NodeRecord.sign(key, network, **{**fields, **changes})


class LearningTests(MembershipTestCase):
    """Which records are taken in."""

    def assert_refused(self, encoded: bytes) -> None:
        before = (len(self.membership.table), self.changes, len(self.news))
        self.assertFalse(self.membership.learn([encoded]))
        self.assertEqual((len(self.membership.table), self.changes, len(self.news)), before)

    def test_a_good_one_once(self) -> None:
        """News the first time only; a higher sequence is news again, a lower one never."""
        first, second = self.record(1), self.record(1, sequence=2)
        self.assertTrue(self.membership.learn([first.encoded]))
        self.assertFalse(self.membership.learn([first.encoded]))
        self.assertTrue(self.membership.learn([second.encoded]))
        self.assert_refused(first.encoded)
        self.assertEqual([r.encoded for r in self.news], [first.encoded, second.encoded])

    def test_what_is_no_record_of_this_network(self) -> None:
        """Another network's, a forged one, one too large, garbage."""
        good = self.record(1)
        large = self.record(1, peer_addresses=("x" * 128,) * 4, client_urls=("y" * 128,) * 4)
        self.assertGreater(len(large.encoded), MAX_RECORD_BYTES)
        forged = good.encoded[:-1] + bytes([good.encoded[-1] ^ 1])
        redated = good.encoded.replace(
            good.expires_seconds.to_bytes(4), (good.expires_seconds + 9).to_bytes(4)
        )
        self.assertNotEqual(redated, good.encoded)
        for encoded in (
            large.encoded,
            b"",
            b"\xc1" * 200,
            good.encoded + b"\0",
        ):
            self.assert_refused(encoded)
        for encoded in (self.record(1, network=b"x" * 32).encoded, forged, redated):
            self.assertRaises(ForgedRecord, self.membership.learn, [encoded])
            self.assertEqual((len(self.membership.table), self.news), (1, []))
        self.assertRaises(ForgedRecord, self.membership.learn, [good.encoded, forged])
        self.assertIn(good.node_id, self.membership.table)

    def test_expiries_at_the_borders(self) -> None:
        """An hour of grace behind, a lifetime and an hour ahead."""
        grace = CLOCK_TOLERANCE_SECONDS
        self.assert_refused(self.record(1, expires_seconds=NOW - grace).encoded)
        self.assert_refused(self.record(2, expires_seconds=NOW + MAX_AHEAD_SECONDS + 1).encoded)
        self.assert_refused(self.record(3, expires_seconds=2**62).encoded)
        self.assertTrue(
            self.membership.learn([self.record(4, expires_seconds=NOW - grace + 1).encoded])
        )
        self.assertTrue(
            self.membership.learn([self.record(5, expires_seconds=NOW + MAX_AHEAD_SECONDS).encoded])
        )

    def test_a_full_table_still_takes_news_of_those_it_knows(self) -> None:
        """Nobody is known but those in the table, which has room for the neighbours at least.

        Of those who had to leave nothing is remembered: not that they were dead or full.
        """
        self.membership = self.make(capacity=3)
        records = [self.record(n, full=True) for n in range(1, 200) if n != ord("o")]
        for record in records:
            self.membership.learn([record.encoded])
            self.membership.found_dead(record.node_id)
        table = self.membership.table
        self.assertEqual((len(table), table.is_whole), (96, False))
        self.assertEqual(len(self.news), 95 + self.counters.counts["table_evictions_total"])
        outside = [record for record in records if record.node_id not in table]
        self.assertEqual(len(outside), 198 - 95)
        for record in outside:
            self.assertFalse(self.membership.is_dead(record.node_id))
            self.assertFalse(self.membership.is_full(record.node_id))
        kept = next(n for n in range(1, 100) if self.record(n).node_id in table)
        self.assertTrue(self.membership.learn([self.record(kept, sequence=2).encoded]))

    def test_its_own_identity_elsewhere(self) -> None:
        """Counted and said, never believed: what this node says of itself holds."""
        twin = self.record(0, key=self.key, boot=6)
        self.assert_refused(twin.encoded)
        self.assertEqual(self.counters.counts["own_identity_elsewhere_total"], 1)
        self.assertEqual(self.membership.current.boot, 5)
        before = self.record(0, key=self.key, boot=4)
        self.assert_refused(before.encoded)
        self.assertEqual(self.counters.counts["own_identity_elsewhere_total"], 1)

    def test_describing_itself_anew(self) -> None:
        """A higher sequence, signed, and news for everyone."""
        before = self.membership.current
        self.membership.describe(self.membership.description)
        self.assertGreater(self.membership.current.freshness, before.freshness)
        self.assertEqual(self.news, [self.membership.current])
        parsed = NodeRecord.parse(self.membership.current.encoded, NETWORK)
        self.assertEqual(parsed.node_id, self.membership.own)


class DyingTests(MembershipTestCase):
    """Verdicts of death, and what lifts them."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.record(1)
        self.membership.learn([self.other.encoded])
        self.changes = 0

    def test_strangers_and_itself_do_not_die(self) -> None:
        """Only the known can be found dead, and only once."""
        self.membership.found_dead(bytes(32))
        self.membership.found_dead(self.membership.own)
        self.assertEqual((self.membership.dead(), self.changes), ([], 0))
        self.membership.found_dead(self.other.node_id)
        self.membership.found_dead(self.other.node_id)
        self.assertEqual((len(self.membership.dead()), self.changes), (1, 1))
        self.assertTrue(self.membership.alone)

    def test_replica_sets_change_at_both_ages(self) -> None:
        """After 30 s it is replaced, after 300 s it no longer counts."""
        self.membership.found_dead(self.other.node_id)
        self.assertEqual(self.membership.replica_set(bytes(32)).size, 2)
        self.clock.advance(30)
        self.assertEqual(self.changes, 2)
        self.clock.advance(270)
        self.assertEqual(self.changes, 3)
        self.assertEqual(self.membership.replica_set(bytes(32)).members, (self.membership.own,))

    def test_only_a_new_boot_or_its_own_voice_brings_it_back(self) -> None:
        """A newer sequence may have been signed before it died."""
        self.membership.found_dead(self.other.node_id)
        self.membership.learn([self.record(1, sequence=2).encoded])
        self.assertTrue(self.membership.is_dead(self.other.node_id))
        self.membership.learn([self.record(1, boot=2).encoded])
        self.assertFalse(self.membership.is_dead(self.other.node_id))
        self.membership.found_dead(self.other.node_id)
        self.membership.heard(self.other.node_id)
        self.assertIsNone(self.membership.dead_for(self.other.node_id))

    def test_who_is_over_is_forgotten(self) -> None:
        """Dead or never met; not this node itself, not one a link is open to."""
        second, third = self.record(2), self.record(3)
        self.membership.learn([second.encoded, third.encoded])
        self.membership.found_dead(self.other.node_id)
        self.clock.advance(RECORD_LIFETIME_SECONDS + CLOCK_TOLERANCE_SECONDS)
        self.assertEqual(self.membership.forget_expired(), [])
        self.clock.advance(1)
        gone = self.membership.forget_expired([third.node_id])
        self.assertEqual(sorted(gone), sorted([self.other.node_id, second.node_id]))
        self.assertEqual(self.membership.dead(), [])
        self.assertEqual(
            {r.node_id for r in self.membership.table}, {self.membership.own, third.node_id}
        )

    def test_after_the_stop_no_timer_is_made(self) -> None:
        """Whatever is found dead then."""
        self.membership.found_dead(self.other.node_id)
        self.membership.stop()
        self.membership.learn([self.record(2).encoded])
        self.membership.found_dead(self.record(2).node_id)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LeavingTests(MembershipTestCase):
    """The word that a node leaves is its own, and its latest one."""

    def test_nobody_else_can_say_it(self) -> None:
        """Not by a record of another key, nor of another network, nor by changing a byte."""
        victim = self.record(1)
        self.assertTrue(self.membership.learn([victim.encoded]))
        node = victim.node_id
        thief = self.record(2, departure=Departure.LEAVING, sequence=9)
        forged = thief.encoded[:-64].replace(thief.identity_key, victim.identity_key)
        with self.assertRaises(ForgedRecord):
            self.membership.learn([forged + thief.encoded[-64:]])
        elsewhere = self.record(1, departure=Departure.LEFT, sequence=9, network=b"x" * 32)
        with self.assertRaises(ForgedRecord):
            self.membership.learn([elsewhere.encoded])
        self.membership.learn([thief.encoded])
        self.assertFalse(self.membership.is_leaving(node))
        self.assertFalse(self.membership.has_left(node))
        self.assertTrue(self.membership.is_leaving(thief.node_id))

    def test_an_old_word_does_not_hold(self) -> None:
        """It has come back since: whoever replays the old record is not believed."""
        leaving = self.record(1, departure=Departure.LEAVING)
        left = self.record(1, departure=Departure.LEFT, sequence=2)
        back = self.record(1, boot=2)
        node = back.node_id
        self.membership.learn([leaving.encoded])
        self.assertTrue(self.membership.is_leaving(node))
        self.membership.learn([left.encoded])
        self.assertTrue(self.membership.is_dead(node))
        self.assertEqual(self.membership.dead(), [])
        self.membership.learn([back.encoded])
        for old in (leaving, left):
            self.assertFalse(self.membership.learn([old.encoded]))
            self.assertFalse(self.membership.is_leaving(node))
            self.assertFalse(self.membership.is_dead(node))

    def test_its_own_places_move_with_the_others(self) -> None:
        """A node that leaves sees who takes its place."""
        for number in (1, 2, 3):
            self.membership.learn([self.record(number).encoded])
        own = self.membership.own
        held = {arc.end for arc, _ in self.membership.arcs_held()}
        self.membership.describe(replace(self.membership.description, departure=Departure.LEAVING))
        sets = [self.membership.replica_set(key) for key in held]
        self.assertTrue(all(own in s.members and own not in s.holders for s in sets))
        self.assertEqual({len(s.holders) for s in sets}, {2})


class AskingTests(MembershipTestCase):
    """Who may ask about which keys."""

    def test_an_arc_over_too_many_positions_is_nobodys(self) -> None:
        """Or one request could cost a walk over everything."""
        self.membership = self.make(capacity=1000)
        for number in range(1, 201):
            self.membership.take_in(self.record(number, position_mask=255))
        whole = Arc(bytes(32), bytes(32))
        self.assertFalse(self.membership.may_ask_about(self.membership.own, whole))
