"""Which node is taken."""

from __future__ import annotations

import random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tace.client.errors import NoNode
from tace.client.nodes import RECENT_FAILURE_SECONDS, Nodes
from tace.client.sqlite import HomeDatabase
from tace.ids import NodeId
from tests.client.fakes import NETWORK_ID, START_SECONDS, FakeNetwork, run


class Choosing(TestCase):
    """Three nodes of one network."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START_SECONDS)
        self.network = FakeNetwork(self.clock, 3)
        self.database = HomeDatabase.open(":memory:")
        self.addCleanup(self.database.close)

    def nodes(self, *given: int) -> Nodes:
        return Nodes(
            self.network.dial,
            self.clock,
            random.Random(1),
            self.database,
            [self.network.nodes[index].address for index in given],
        )

    def taken(self, nodes: Nodes, avoid: int | None = None, without: int | None = None) -> int:
        """Connect; which node was it?"""
        connecting = nodes.connect(self.id_of(avoid), without=self.id_of(without))
        connection = run(self.clock, Deferred.fromCoroutine(connecting))
        connection.close()
        return [node.address for node in self.network.nodes].index(connection.address)

    def id_of(self, index: int | None) -> NodeId | None:
        return None if index is None else self.network.nodes[index].record.node_id

    def learn(self) -> None:
        async def learn() -> None:
            nodes = self.nodes(0)
            connection = await nodes.connect()
            await nodes.learn(connection)
            connection.close()

        run(self.clock, Deferred.fromCoroutine(learn()))

    def test_none_known(self) -> None:
        """Somebody has to name the first one."""
        with self.assertRaisesRegex(NoNode, "--node URL"):
            self.taken(self.nodes())

    def test_the_named_one_first(self) -> None:
        """Whatever else is remembered."""
        self.learn()
        self.assertEqual(self.taken(self.nodes(2)), 2)
        self.assertEqual(self.taken(self.nodes(1, 2)), 1)

    def test_any_that_answers(self) -> None:
        """The named ones in their order, then the remembered ones."""
        self.learn()
        self.network.nodes[1].kill()
        self.network.nodes[2].kill()
        self.assertEqual(self.taken(self.nodes(1, 2)), 0)
        self.network.nodes[0].kill()
        with self.assertRaisesRegex(NoNode, "connection refused"):
            self.taken(self.nodes(1, 2))

    def test_remembered_nodes_are_verified(self) -> None:
        """A record that is not signed for this network names no node to remember."""
        self.network.nodes[2].record = self.network.nodes[1].record
        self.learn()
        origins = [origin for origin, _ in self.database.nodes()]
        self.assertEqual(origins, ["http://node-0:8080", "http://node-1:8080"])
        self.assertEqual(self.database.setting("network_id"), NETWORK_ID)

    def test_avoiding_one(self) -> None:
        """Another node, if there is another; a second name of the same one is none."""
        self.assertEqual(self.taken(self.nodes(0), avoid=0), 0)
        nodes = self.nodes(0, 1)
        self.assertEqual(self.taken(nodes, avoid=0), 1)
        first = self.network.nodes[0]
        self.database.remember_nodes(
            [("http://alias:8080", first.record.node_id)], START_SECONDS, keep=10
        )
        self.assertEqual(self.taken(self.nodes(), avoid=0), 1)
        self.assertTrue(self.nodes().others(first.record.node_id))

    def test_without_one(self) -> None:
        """Not that one, even where nobody else answers; any other, whoever was named."""
        self.learn()
        nodes = self.nodes(0, 1)
        taken = {self.taken(nodes, without=0) for _ in range(20)}
        self.assertEqual(taken, {1, 2})
        # One that holds the leases is avoided still.
        self.assertEqual({self.taken(nodes, avoid=2, without=0) for _ in range(20)}, {1})
        for node in self.network.nodes[1:]:
            node.kill()
        with self.assertRaises(NoNode):
            self.taken(nodes, without=0)

    def test_back_after_a_long_time(self) -> None:
        """Told once, by whoever meets a node first."""
        returned: list[float] = []
        nodes = Nodes(
            self.network.dial,
            self.clock,
            random.Random(1),
            self.database,
            [self.network.nodes[0].address],
            absent_seconds=100.0,
            returned=lambda: returned.append(self.clock.seconds()),
        )
        for absence, times in ((1000.0, 0), (99.0, 0), (100.0, 1), (1.0, 1), (1000.0, 2)):
            self.clock.advance(absence)
            self.taken(nodes)
            self.assertEqual(len(returned), times, absence)

    def test_one_that_failed_lately_goes_last(self) -> None:
        """For ten seconds."""
        nodes = self.nodes(0, 1)
        nodes.failed(self.network.nodes[0].address)
        self.assertEqual(self.taken(nodes), 1)
        self.clock.advance(RECENT_FAILURE_SECONDS)
        self.assertEqual(self.taken(nodes), 0)

    def test_one_that_is_silent(self) -> None:
        """A node that does not speak costs a quarter of a second, not its whole timeout."""
        self.network.nodes[0].accept = Deferred  # type: ignore[method-assign]
        before = self.clock.seconds()
        self.assertEqual(self.taken(self.nodes(0, 1)), 1)
        self.assertLess(self.clock.seconds() - before, 0.3)
