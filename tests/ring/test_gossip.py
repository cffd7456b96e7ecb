"""How news spreads, and what a node remembers of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import ForgedRecord
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ring.bootstrap import FIND_SECONDS
from tace.ring.gossip import FORGET_SECONDS, SAVE_SECONDS
from tace.seams import KnownPeer
from tace.wire.fields import MemberField
from tace.wire.peer import GetMembers, GetRecords, Members, Records
from tests.network import MemoryNetwork, TestNode


class GossipTestCase(SynchronousTestCase):
    """A network, and records of nodes that do not run."""

    network: MemoryNetwork

    def ghost(self, number: int, **changes: Any) -> NodeRecord:
        fields: dict[str, Any] = {
            "peer_addresses": ("10.0.0.1:1",),
            "client_urls": (),
            "boot": 1,
            "sequence": 1,
            "position_mask": 1,
            "expires_seconds": int(self.network.clock.seconds()) + 3600,
        }
        key = SigningKey.from_seed(number.to_bytes(48))
        return NodeRecord.sign(key, self.network.settings.network_id, **{**fields, **changes})

    def lie(self, node: TestNode, cls: type[Any], answer: Any) -> None:
        node.raw_links._procedures = {**node.raw_links._procedures, cls: answer}


class SpreadingTests(GossipTestCase):
    """Rumours."""

    def test_news_reaches_all_of_thirty(self) -> None:
        """Within two seconds, and is not told for ever."""
        self.network = MemoryNetwork(seed=21, **{"ring.positions": 1})
        nodes = [self.network.node("n0")]
        nodes += [self.network.node(f"n{i}", seeds=("n0:1",)) for i in range(1, 30)]
        for node in nodes:
            node.start()
        self.network.run(15.0)
        one = nodes[17].core.membership
        one.describe(one.description)
        self.network.run(2.0)
        for node in nodes:
            record = node.core.membership.record_of(one.own)
            assert record is not None
            self.assertEqual(record.freshness, one.current.freshness)
        self.network.run(20.0)
        self.network.frames.clear()
        self.network.run(5.0)
        self.assertNotIn("Records", [kind for _, _, kind in self.network.frames])
        self.assertEqual([len(node.core.gossip._rumours) for node in nodes], [0] * 30)

    def test_rumours_of_the_forgotten_do_not_stop_the_others(self) -> None:
        """A batch of nodes that are known no more is dropped, and the next one told."""
        self.network = MemoryNetwork(seed=22)
        one, other = self.network.ring(2)
        for number in range(40):
            one.core.gossip._rumours.begin(number.to_bytes(32), b"%d" % number, 3)
        ghost = self.ghost(1)
        one.core.membership.take_in(ghost)
        self.network.run(5.0)
        self.assertIsNotNone(other.core.membership.record_of(ghost.node_id))
        self.assertEqual(len(one.core.gossip._rumours), 0)


class RememberedTests(GossipTestCase):
    """What a node knows from last time."""

    def test_is_told_to_nobody(self) -> None:
        """Who starts again has nothing new to say but of itself."""
        self.network = MemoryNetwork(seed=24)
        nodes = self.network.ring(5)
        self.network.run(SAVE_SECONDS + 1.0)
        nodes[1].kill()
        self.network.run(5.0)
        again = nodes[1].again()
        known = again.core.membership
        self.network.run(0.1)
        self.assertEqual(len(known.table), 5)
        told = [
            record.node_id for record in known.table if record.encoded in again.core.gossip._rumours
        ]
        self.assertLessEqual(set(told), {again.id})


class ExchangeTests(GossipTestCase):
    """Comparing memberships with somebody who lies."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=23, **{"ring.table_capacity": 2000})
        self.one, self.other = self.network.ring(2)

    def exchange(self, within: float = 60.0) -> None:
        gossip = self.one.core.gossip
        self.network.result(Deferred.fromCoroutine(gossip.exchange_with(self.other.id)), within)

    def test_both_learn_what_the_other_knows(self) -> None:
        """Push and pull in one exchange, over several pages and frames."""
        ours = [self.ghost(number) for number in range(100)]
        theirs = [self.ghost(number) for number in range(100, 700)]
        for gossip, records in ((self.one.core, ours), (self.other.core, theirs)):
            for record in records:
                gossip.membership.take_in(record)
            for record in records:
                gossip.gossip._rumours.end(record.node_id)
        self.exchange()
        self.network.run(0.1)
        for node in (self.one, self.other):
            self.assertEqual(len(node.core.membership.table), 702)

    def test_a_membership_without_end(self) -> None:
        """Is read as far as this node could remember; of what has no record nothing remains."""
        asked = 0

        async def endless(peer: bytes, message: GetMembers) -> Members:
            nonlocal asked
            asked += 1
            start = int.from_bytes(message.after) if message.after else 0
            members = (MemberField((start + n).to_bytes(32), 1, 1) for n in range(1, 513))
            return Members(tuple(members), more=True)

        self.lie(self.other, GetMembers, endless)
        self.exchange()
        self.assertEqual(asked, 4)
        self.assertEqual(len(self.one.core.membership.table), 2)

    def test_pages_that_do_not_move_on(self) -> None:
        """End the exchange."""
        same = Members((MemberField(bytes(32), 1, 1),), more=True)

        async def again(peer: bytes, message: GetMembers) -> Members:
            return same

        self.lie(self.other, GetMembers, again)
        self.exchange()

    def test_records_that_were_not_asked_for_or_do_not_hold(self) -> None:
        """Good ones are welcome from anybody, bad ones from nobody; a forged one ends it."""
        good, over, unheard = self.ghost(1), self.ghost(2, expires_seconds=1), self.ghost(3)
        forged = good.encoded[:-1] + bytes([good.encoded[-1] ^ 1])

        async def mixed(peer: bytes, message: GetRecords) -> Records:
            return Records((over.encoded, b"x" * 99, good.encoded, forged, unheard.encoded))

        self.lie(self.other, GetRecords, mixed)
        fetching = self.one.core.gossip.fetch_records(self.other.id, [bytes(32)])
        self.assertRaises(ForgedRecord, self.network.result, Deferred.fromCoroutine(fetching))
        table = self.one.core.membership.table
        self.assertIn(good.node_id, table)
        self.assertNotIn(over.node_id, table)
        self.assertNotIn(unheard.node_id, table)

    def test_a_seed_that_drags_its_feet_does_not_keep_a_node_from_starting(self) -> None:
        """It goes on without that one."""

        async def slow(peer: bytes, message: GetMembers) -> Members:
            waited: Deferred[None] = Deferred()
            self.network.clock.callLater(2.4, waited.callback, None)
            await waited
            after = int.from_bytes(message.after) + 1 if message.after else 1
            return Members((MemberField(after.to_bytes(32), 1, 1),), more=True)

        self.lie(self.one, GetMembers, slow)
        late = self.network.node("late", seeds=("n0:1", "n1:1"))
        started = late.start()
        self.network.result(started, within=FIND_SECONDS + 5.0)
        self.assertTrue(late.core.ring.joined)


class MemoryTests(GossipTestCase):
    """Peers on disk."""

    def test_who_was_met_is_remembered_and_who_is_over_is_not(self) -> None:
        """Written within seconds; a death that outlasts the record ends the memory."""
        self.network = MemoryNetwork(seed=24)
        one, other = self.network.ring(2)
        self.network.run(SAVE_SECONDS)
        (peer,) = self.network.result(one.store.load_peers())
        self.assertEqual(peer.node, other.id)
        self.assertEqual(peer.record, other.core.membership.current.encoded)
        other.kill()
        self.network.run(1.0)
        ghost = NodeRecord.sign(
            other.key,
            self.network.settings.network_id,
            peer_addresses=("n1:1",),
            client_urls=(),
            boot=2**40,
            sequence=1,
            position_mask=1,
            expires_seconds=int(self.network.clock.seconds()) - 3590,
        )
        one.core.membership.take_in(ghost)
        one.core.membership.found_dead(other.id)
        self.network.run(30.0)
        self.assertEqual(self.network.result(one.store.load_peers()), [])

    def test_who_left_a_full_table(self) -> None:
        """Nothing of it stays here."""
        self.network = MemoryNetwork(seed=26)
        one, other = self.network.ring(2)
        one.core.membership.take_in(self.ghost(1))
        self.network.run(SAVE_SECONDS)
        other.kill()
        self.assertIn(other.id, one.core.gossip._heard)
        one.core.membership.table.remove(other.id)
        self.network.run(2 * FORGET_SECONDS)
        self.assertNotIn(other.id, one.core.gossip._heard)

    def test_a_damaged_memory_does_no_harm(self) -> None:
        """Garbage, another network's records, the own record: passed over."""
        self.network = MemoryNetwork(seed=25)
        node = self.network.node("n0")
        good = self.ghost(1)
        peers = [
            KnownPeer(b"g" * 32, b"garbage", 1.0),
            KnownPeer(node.id, node.core.membership.current.encoded, 2.0),
            KnownPeer(good.node_id, good.encoded, 3.0),
        ]
        self.network.result(node.store.save_peers(peers))
        started = node.start()
        self.network.result(started, within=30.0)
        self.assertIn(good.node_id, node.core.membership.table)
        self.assertEqual(len(node.core.membership.table), 2)
