"""Finding the dead again: who is asked, who is told, and what brings nobody back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost
from tace.identity.node_record import Departure, NodeRecord
from tace.ids import NodeId
from tace.ring import merge as merge_module
from tace.ring.merge import RETURNS_AT_ONCE, RETURNS_PER_SECOND, TOLD_PER_MESSAGE
from tace.wire.fields import MemberField
from tace.wire.message import Message
from tace.wire.peer import Ping, Returned
from tests.network import MemoryNetwork, TestNode

DAY_SECONDS = 24 * 3600.0


class MergeTestCase(SynchronousTestCase):
    """A ring that falls into two parts."""

    def split(self, seed: int = 1, count: int = 6, **settings: object) -> None:
        """Half of a ring on each side, each of which holds the other for dead."""
        quiet = {"ring.positions": 1, "ring.stabilize_quiet_seconds": 15.0}
        self.network = MemoryNetwork(seed=seed, **{**quiet, **settings})
        nodes = self.network.ring(count)
        self.here, self.there = nodes[: count // 2], nodes[count // 2 :]
        self.cut()
        self.network.run(20.0)

    def cut(self) -> None:
        self.network.partition([n.id for n in self.here], [n.id for n in self.there])

    def heal(self) -> None:
        self.network.cut.clear()

    def asked(self, node: TestNode) -> dict[NodeId, int]:
        """How often it has asked each of the dead since this was looked at last, by any way."""
        links = node.raw_links
        counts: dict[NodeId, int] = {}
        real = links.call

        def call(to: NodeId, request: Any, **kw: Any) -> Deferred[Any]:
            if isinstance(request, Ping) and node.core.membership.is_dead(to):
                counts[to] = counts.get(to, 0) + 1
            return real(to, request, **kw)

        self.patch(links, "call", call)
        return counts

    def say(self, speaker: TestNode, to: TestNode, message: Message) -> None:
        self.assertTrue(speaker.raw_links.send(to.id, message))
        self.network.run(1.0)

    def named(self, node: TestNode) -> MemberField:
        record = node.core.membership.current
        return MemberField(record.node_id, *record.freshness)

    def newer(self, node: TestNode, **changes: Any) -> NodeRecord:
        """What it may say of itself later."""
        record = node.core.membership.current
        fields: dict[str, Any] = {
            "peer_addresses": record.peer_addresses,
            "client_urls": record.client_urls,
            "boot": record.boot,
            "sequence": record.sequence + 1,
            "position_mask": record.position_mask,
            "expires_seconds": int(self.network.clock.seconds()) + 3600,
        }
        return NodeRecord.sign(node.key, self.network.settings.network_id, **{**fields, **changes})

    def silent(self, nodes: list[TestNode]) -> list[int]:
        return [node.core.merge.silent for node in nodes]

    def assert_one_ring(self) -> None:
        """Everyone knows that everyone is here."""
        nodes = [*self.here, *self.there]
        for node in nodes:
            self.assertEqual(node.core.membership.dead(), [], node.name)
            self.assertEqual(len(node.core.membership.living()), len(nodes), node.name)


class AskingTests(MergeTestCase):
    """While the parts are apart, and when they are not any more."""

    def test_one_ring_soon_after_a_heal(self) -> None:
        """Within seconds, and whoever is found is named to those next to it."""
        self.split()
        self.assertEqual(self.silent([*self.here, *self.there]), [3] * 6)
        self.network.frames.clear()
        self.heal()
        self.network.run(5.0)
        self.assert_one_ring()
        self.assertEqual(self.silent([*self.here, *self.there]), [0] * 6)
        self.assertIn("Returned", {name for _, _, name in self.network.frames})

    def test_how_often(self) -> None:
        """Four a second at first, each no sooner than after 1.5 s; and ever less."""
        self.split()
        counts = self.asked(self.here[0])
        self.network.run(60.0)
        self.assertEqual(set(counts), {node.id for node in self.there})
        first = sum(counts.values())
        self.assertTrue(20 < first <= 3 * 60 / 1.5, first)
        self.network.run(600.0)
        counts.clear()
        self.network.run(60.0)
        self.assertTrue(0 < sum(counts.values()) <= 15, counts)

    def test_stopped(self) -> None:
        """Nobody is asked any more."""
        self.split()
        counts = self.asked(self.here[0])
        merge = self.here[0].core.merge
        self.network.result(Deferred.fromCoroutine(merge.stop()))
        counts.clear()
        self.network.run(30.0)
        self.assertEqual(counts, {})
        for node in self.there:
            merge.link_up(node.core.membership.current)
        # Neither does it tell anybody of them.
        self.assertIsNone(merge._telling)
        self.network.run(30.0)
        self.assertEqual(counts, {})

    def test_so_many_at_a_time(self) -> None:
        """When one of many is back, the others are asked at once, but not all in one instant."""
        self.patch(merge_module, "AT_ONCE", 2)
        self.split(count=10)
        merge = self.here[0].core.merge
        self.assertEqual(merge.silent, 5)
        self.network.run(600.0)
        waiting: dict[NodeId, Deferred[Any]] = {}

        def hang(to: NodeId, request: Any, **kw: Any) -> Deferred[Any]:
            answer: Deferred[Any] = Deferred()
            if isinstance(request, Ping):
                waiting[to] = answer
            return answer

        self.patch(self.here[0].raw_links, "call", hang)
        merge.link_up(self.there[0].core.membership.current)
        self.assertEqual(len(waiting), 2)
        for deferred in list(waiting.values()):
            deferred.errback(LinkLost("still gone"))
        self.assertEqual(set(waiting), {node.id for node in self.there[1:]})

    def test_one_that_left_for_good(self) -> None:
        """By its own word: nobody looks for it, and it is no part of a partition."""
        self.split()
        gone = self.there[0]
        left = self.newer(gone, departure=Departure.LEFT)
        self.here[0].core.membership.take_in(left)
        counts = self.asked(self.here[0])
        self.network.run(60.0)
        self.assertEqual(self.here[0].core.merge.silent, 2)
        self.assertNotIn(gone.id, counts)

    def test_newer_addresses(self) -> None:
        """Those of the latest record that is heard are asked when no record holds any more."""
        self.split()
        moved = self.there[0]
        newer = self.newer(moved, peer_addresses=("elsewhere:1",))
        merge = self.here[0].core.merge
        merge._news(newer)
        self.assertEqual(merge._dead.record_of(moved.id), newer)


class WordTests(MergeTestCase):
    """What others say of who is back."""

    def test_is_looked_into_and_not_believed(self) -> None:
        """A node that is named is asked; while it does not answer it stays dead."""
        self.split()
        self.network.run(600.0)
        counts = self.asked(self.here[0])
        self.say(self.here[1], self.here[0], Returned(tuple(map(self.named, self.there))))
        self.assertEqual(counts, {node.id: 1 for node in self.there})
        self.assertEqual(self.here[0].core.merge.silent, 3)
        for node in self.there:
            self.assertTrue(self.here[0].core.membership.is_dead(node.id))

    def test_again_and_again(self) -> None:
        """A peer that names the same ones all the time has them asked no more often than the
        shortest interval allows."""
        self.split()
        self.network.run(600.0)
        counts = self.asked(self.here[0])
        message = Returned(tuple(map(self.named, self.there)))
        for _ in range(20):
            self.here[1].raw_links.send(self.here[0].id, message)
        self.network.run(1.0)
        self.assertEqual(counts, {node.id: 1 for node in self.there})

    def test_too_much_of_it(self) -> None:
        """Beyond its rate a peer is not heeded."""
        self.split()
        self.network.run(600.0)
        counts = self.asked(self.here[0])
        living = tuple(self.named(self.here[2]) for _ in range(TOLD_PER_MESSAGE))
        for _ in range(int(RETURNS_AT_ONCE) // TOLD_PER_MESSAGE + 1):
            self.here[1].raw_links.send(self.here[0].id, Returned(living))
        self.say(self.here[1], self.here[0], Returned((self.named(self.there[0]),)))
        self.assertEqual(counts, {})
        self.network.run(RETURNS_AT_ONCE / RETURNS_PER_SECOND)
        counts.clear()
        self.say(self.here[1], self.here[0], Returned((self.named(self.there[0]),)))
        self.assertEqual(counts.get(self.there[0].id), 1)

    def test_of_somebody_unknown(self) -> None:
        """Its record is fetched from whoever names it; a name alone makes nobody known."""
        self.split()
        stranger = self.network.node("stranger")
        field = self.named(stranger)
        known = len(self.here[0].core.membership.table)
        self.network.frames.clear()
        self.say(self.here[1], self.here[0], Returned((field,)))
        asked = [name for a, b, name in self.network.frames if (a, b) == self.between()]
        self.assertIn("GetRecords", asked)
        self.assertEqual(len(self.here[0].core.membership.table), known)
        self.here[1].core.membership.take_in(stranger.core.membership.current)
        self.say(self.here[1], self.here[0], Returned((field,)))
        self.assertIn(stranger.id, self.here[0].core.membership.table)

    def between(self) -> tuple[NodeId, NodeId]:
        return self.here[0].id, self.here[1].id


class LastingTests(MergeTestCase):
    """A partition that lasts longer than a record holds."""

    def test_who_is_known_no_more_is_not_back(self) -> None:
        """A day later the records of the other side are over. It is silent as before, is still
        asked, at its last addresses, and found when it is there again."""
        self.split()
        self.assertEqual(self.silent(self.here), [3, 3, 3])
        self.network.clock.rightNow += 26 * 3600.0
        self.network.run(30.0)
        for node in self.here:
            self.assertEqual(len(node.core.membership.table), 3, node.name)
        self.assertEqual(self.silent(self.here), [3, 3, 3])
        self.heal()
        self.network.run(900.0)
        self.assertEqual(self.silent([*self.here, *self.there]), [0] * 6)
        self.assert_one_ring()

    def test_another_node_at_its_address(self) -> None:
        """Is not the one that died there: that one is silent as before."""
        self.split()
        self.network.clock.rightNow += 26 * 3600.0
        self.network.run(30.0)
        for node in self.there:
            self.network.addresses[f"{node.name}:1"] = self.here[1].id
        self.heal()
        for node in self.there:
            node.kill()
        self.network.run(900.0)
        self.assertEqual(self.silent(self.here), [3, 3, 3])
        self.assertEqual(len(self.here[0].core.membership.table), 3)

    def test_what_proves_nothing(self) -> None:
        """A link to a node whose record does not hold, for its clock is far off, brings it back to
        nobody; its word that it has left for good ends the looking."""
        self.split()
        old = self.there[0].core.membership.current
        self.network.clock.rightNow += 26 * 3600.0
        self.network.run(30.0)
        here = self.here[0].core
        here.merge.link_up(old)
        self.assertEqual(here.merge.silent, 3)
        here.membership.take_in(self.newer(self.there[1], departure=Departure.LEFT))
        self.assertEqual(here.merge.silent, 2)

    def test_forgotten_after_a_week(self) -> None:
        """Then nobody asks for them, and nothing of them is on the disk."""
        self.split()
        for node in self.there:
            node.kill()
        self.network.clock.rightNow += 7 * 24 * 3600.0 + 60.0
        self.network.run(60.0)
        for node in self.here:
            self.assertEqual((node.core.merge.silent, node.core.merge.looked_for), (0, 0))
            self.assertEqual(self.network.result(node.store.load_dead()), [])
