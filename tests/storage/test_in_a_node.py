"""What a node makes of the health of its store: its record, its state, what it fetches again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import InternalError, StoreError
from tace.seams import Item, ItemState, StoreHealth, StoreState, Totals
from tace.storage.memory import MemoryStore
from tace.wire.peer import FetchItems, GetRecord, ItemField
from tests.letters import Box
from tests.network import MemoryNetwork, TestNode


class SpoiltStore(MemoryStore):
    """Says of its health what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self._told: list[Any] = []
        self._said = StoreHealth(StoreState.OK)

    @property
    def health(self) -> StoreHealth:
        return self._said

    def when_health_changes(self, listener: Any) -> None:
        self._told.append(listener)
        listener(self._said)

    def say(self, state: StoreState) -> None:
        self._said = StoreHealth(state, "so it is")
        for listener in self._told:
            listener(self._said)

    def totals(self) -> Deferred[Totals]:
        return fail(StoreError("no disk")) if self.fails else super().totals()

    def get_record(self, key: bytes, now: float) -> Deferred[Any]:
        return fail(StoreError("no disk")) if self.fails else super().get_record(key, now)


class NodeTests(SynchronousTestCase):
    """Three nodes, the last one with a store that the test spoils."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=7)
        self.store = SpoiltStore()
        nodes = self.network.ring(2)
        self.node = self.network.node("n2", seeds=("n0:1",), store=self.store)
        self.node.start()
        self.network.run(10.0)
        self.nodes: list[TestNode] = [*nodes, self.node]

    def said(self) -> list[bool]:
        """What each node knows of the third: is it full?"""
        records = (it.core.membership.record_of(self.node.id) for it in self.nodes)
        return [record is not None and record.full for record in records]

    def test_full_and_not_any_more(self) -> None:
        """In the record, everywhere; and in the state that anyone may ask for."""
        self.assertEqual((self.said(), self.node.core.state), ([False] * 3, "member"))
        for state, word in (
            (StoreState.FULL, "full"),
            (StoreState.FAILING, "full"),
            (StoreState.DAMAGED, "damaged"),
        ):
            self.store.say(state)
            self.network.run(2.0)
            self.assertEqual((self.said(), self.node.core.state), ([True] * 3, word))
            self.store.say(StoreState.OK)
            self.network.run(2.0)
            self.assertEqual((self.said(), self.node.core.state), ([False] * 3, "member"))

    def test_what_was_lost_is_fetched_again(self) -> None:
        """From the other replicas, soon after the mending; until then answers are partial."""
        box = Box()
        letters = [box.envelope(n, self.network.clock.seconds()) for n in range(20)]
        now = self.network.clock.seconds()
        for node in self.nodes:
            self.network.result(node.store.put_envelopes(letters, now))
        # Everyone is in step, and the pairs look at each other ever less often.
        self.network.run(600.0)
        lost = [Item(it.mailbox, it.id, ItemState.ENVELOPE) for it in letters[:7]]
        self.store.say(StoreState.DAMAGED)
        self.network.result(self.store.drop_items(lost))
        self.assertFalse(self.node.core.replica.partial)
        self.store.say(StoreState.OK)
        self.assertTrue(self.node.core.replica.partial)
        self.network.run(5.0)
        now = self.network.clock.seconds()
        found = self.network.result(
            self.store.get_envelopes(box.id, [it.id for it in letters], now)
        )
        self.assertEqual({it.id for it in found}, {it.id for it in letters})
        self.assertFalse(self.node.core.replica.partial)

    def test_full_alone_compares_nothing(self) -> None:
        """Nothing was lost, so nobody is asked."""
        self.network.run(100.0)
        self.store.say(StoreState.FULL)
        self.store.say(StoreState.OK)
        self.assertFalse(self.node.core.replica.partial)

    def test_a_failing_store_is_a_refusal(self) -> None:
        """To every node, without a line of log for each request; the node says how it is."""
        self.store.fails = True
        other = self.nodes[0]
        for _ in range(3):
            call = other.core.links.call(self.node.id, GetRecord(bytes(32)))
            with self.assertRaises(InternalError):
                self.network.result(call)
        self.assertEqual(self.flushLoggedErrors(), [])
        sizes = Deferred.fromCoroutine(self.node.core.sizes.get())
        self.assertEqual(self.network.result(sizes), Totals(0, 0, 0, 0))

    def test_the_others_are_served(self) -> None:
        """What is not the store's fault is refused as before."""
        asked = FetchItems((ItemField(bytes(32), bytes(32), 1),))
        answer = self.network.result(self.nodes[0].core.links.call(self.node.id, asked))
        self.assertEqual(answer.envelopes, ())
