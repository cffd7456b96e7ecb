"""One node without sockets: how it is put together, begins and ends."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.core import RecentTotals
from tace.errors import InternalError, StoreError, Unauthorized
from tace.seams import Totals
from tace.storage.memory import MemoryStore
from tace.wire.message import Request
from tace.wire.objects import MAX_STAMP_TARGET
from tace.wire.peer import (
    PEER_MESSAGES,
    FetchEnvelopes,
    GetRecord,
    Goodbye,
    Hello,
    Notify,
    Ping,
    Refused,
    Unwatch,
)
from tests.delivery.nodes import Reader
from tests.letters import Box
from tests.network import MemoryNetwork, TestNode


class CoreTestCase(SynchronousTestCase):
    """A network of one node, or more."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=31)

    def alone(self) -> TestNode:
        (node,) = self.network.ring(1)
        return node

    def stop(self, node: TestNode) -> None:
        self.network.result(Deferred.fromCoroutine(node.core.stop()), within=5.0)


class StampTests(CoreTestCase):
    """How large a stamp clients are asked for."""

    def bits(self, own: int, *told: int | None) -> int:
        (node,) = self.network.ring(1)
        links = node.core.links
        self.patch(links, "up", lambda: [bytes([n]) * 32 for n in range(len(told))])
        self.patch(links, "requests_stamp_bits", lambda peer: told[peer[0]])
        return node.core.stamp_bits(own)

    def test_as_much_as_half_of_the_nodes_ask(self) -> None:
        """This one's own demand is always met; one that asks for little changes nothing."""
        self.assertEqual(self.bits(18), 18)
        self.assertEqual(self.bits(18, 20), 20)
        self.assertEqual(self.bits(18, 20, 20, 18), 20)
        self.assertEqual(self.bits(18, 0, 0, None), 18)

    def test_one_alone_does_not_keep_clients_away(self) -> None:
        """Whatever it asks for: they leave where more than 24 bits are wanted."""
        self.assertEqual(self.bits(18, 255), 18)
        self.assertEqual(self.bits(18, 24, 18, 18), 18)
        self.assertLessEqual(self.bits(18, 255, 255, 255), MAX_STAMP_TARGET)


class LocalTests(CoreTestCase):
    """A node asks itself as it would ask another one."""

    def test_what_fails_comes_back_as_a_refusal(self) -> None:
        """A broken disk too; the store itself tells the log."""
        node = self.alone()
        node.store.close()
        call = node.core.links.call(node.id, GetRecord(bytes(32)))
        self.assertIsInstance(self.failureResultOf(call).value, InternalError)

    def test_a_refusal_stays_what_it_is(self) -> None:
        """The same word as over a link."""
        node = self.alone()
        for request in (Notify(0, 77), FetchEnvelopes(bytes(32), (bytes(32),))):
            asked: Request[Any] = request
            failure = self.failureResultOf(node.core.links.call(node.id, asked))
            self.assertIsInstance(failure.value, Unauthorized)

    def test_one_way_messages(self) -> None:
        """Reach the procedure at once; there is always a way to oneself."""
        node = self.alone()
        self.assertTrue(node.core.links.is_up(node.id))
        self.assertTrue(node.core.links.send(node.id, Unwatch((bytes(32),))))
        self.assertFalse(node.core.links.send(node.id, Ping()))

    def test_every_message_that_asks_or_tells_has_its_procedure(self) -> None:
        """But those the links answer themselves."""
        node = self.alone()
        served = set(node.raw_links._procedures)
        classes = set(PEER_MESSAGES.classes.values())
        answers = {cls.ANSWER for cls in classes if issubclass(cls, Request)}
        by_links = {Hello, Refused, Goodbye, Ping}
        self.assertEqual(classes - answers - by_links, served - answers)


class LifeTests(CoreTestCase):
    """Start and stop."""

    def test_each_life_has_a_higher_boot(self) -> None:
        """Even when the clock has not moved."""
        node = self.alone()
        boots = [node.core.membership.current.boot]
        for _ in range(3):
            node.kill()
            node = node.again()
            boots.append(node.core.membership.current.boot)
        self.assertEqual(boots, sorted(set(boots)))

    def test_after_the_stop_nothing_is_left(self) -> None:
        """No timer of any part, with a client in the middle of a listing and a write under way."""
        node = self.alone()
        never: Deferred[Any] = Deferred()
        box = Box()
        self.patch(node.store, "list_mailbox", lambda *args: never)
        Reader(node).watch(box)
        self.network.run(0.3)
        sent = node.core.deposit.envelopes([box.envelope(1, self.network.clock.seconds()).encoded])
        self.stop(node)
        self.network.run(3.0)
        self.successResultOf(sent)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_stop_during_the_start(self) -> None:
        """What the start still does begins no loop."""
        self.network.node("n0").start()
        self.network.run(1.0)
        late = self.network.node("late", seeds=("n0:1",))
        late.start()
        self.network.run(0.0015)
        self.stop(late)
        self.network.run(10.0)
        self.network.frames.clear()
        self.network.run(60.0)
        asked = {kind for source, _, kind in self.network.frames if source == late.id}
        self.assertEqual(
            asked & {"GetRing", "GetMembers", "CompareRanges", "Notify", "Ping"},
            set(),
        )

    def test_stop_twice(self) -> None:
        """Is nothing special."""
        node = self.alone()
        self.stop(node)
        self.stop(node)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_what_is_over_is_forgotten_by_itself(self) -> None:
        """Envelopes whose hour has come leave the store."""
        node = self.alone()
        letter = Box().envelope(1, self.network.clock.seconds(), hours=1)
        self.network.result(node.store.put_envelopes([letter], self.network.clock.seconds()))
        self.network.run(3700.0)
        self.assertEqual(self.network.result(node.store.totals()).envelopes, 0)


class TotalsTests(SynchronousTestCase):
    """How often the store is counted."""

    def test_once_a_second_and_never_before_it_was_counted(self) -> None:
        """Those who ask at first wait for a count; while one runs, the last one is told."""
        network = MemoryNetwork()
        counts: list[Deferred[Totals]] = []

        class Counted(MemoryStore):
            def totals(self) -> Deferred[Totals]:
                counts.append(Deferred())
                return counts[-1]

        sizes = RecentTotals(Counted(), network.clock)

        def ask() -> Deferred[Totals]:
            return Deferred.fromCoroutine(sizes.get())

        first, second = ask(), ask()
        self.assertNoResult(first)
        self.assertNoResult(second)
        one, two = Totals(1, 0, 0, 0), Totals(2, 0, 0, 0)
        for count in counts:
            count.callback(one)
        self.assertEqual([self.successResultOf(d) for d in (first, second, ask())], [one] * 3)
        asked = len(counts)
        network.run(1.0)
        later = ask()
        self.assertEqual(self.successResultOf(ask()), one)
        self.assertEqual(len(counts), asked + 1)
        counts[-1].callback(two)
        self.assertEqual(self.successResultOf(later), two)
        network.run(1.0)
        broken = ask()
        counts[-1].errback(StoreError("the disk fails"))
        self.assertEqual(self.successResultOf(broken), two)
        self.assertNoResult(ask())
