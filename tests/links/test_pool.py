"""Which links there are: dialling once, choosing between two, making room, backing off."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost, LocalExhaustion, TimedOut, TooMany
from tace.links.backoff import MOST_SECONDS
from tace.links.pool import MAX_DIALS
from tace.wire.peer import Done, GetRing, Notify, Ping, Pong, Ring
from tests.links.contract import Serving
from tests.links.fakes import Heard, MemoryNetwork
from tests.links.logs import logged_lines
from tests.links.nodes import Book, MemoryNode


class PoolTests(SynchronousTestCase):
    """Nodes on the memory network."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.book = Book()
        self.serving = Serving()

    def node(self, number: int, **settings: Any) -> MemoryNode:
        node = MemoryNode(self.network, self.book, number, **settings)
        return node.start(self.serving.procedures)

    def call(self, asker: MemoryNode, asked: MemoryNode, request: Any = None) -> Deferred[Any]:
        return asker.links.call(asked.node, request or Ping())

    def assertAnswered(self, *calls: Deferred[Any]) -> list[Any]:
        self.network.settle()
        return [self.successResultOf(call) for call in calls]

    def open_connections(self) -> int:
        return len(self.network.transports) // 2


class DialTests(PoolTests):
    """From a call to a connection."""

    def test_a_hundred_callers_dial_once(self) -> None:
        """However many ask at the same moment."""
        first, second = self.node(1), self.node(2)
        calls = [self.call(first, second, Notify(1, 2)) for _ in range(100)]
        self.assertAnswered(*calls)
        self.assertEqual(self.network.connections, 1)

    def test_a_link_is_used_again(self) -> None:
        """In either direction, whoever dialled it."""
        first, second = self.node(1), self.node(2)
        self.assertAnswered(self.call(first, second))
        self.assertAnswered(self.call(second, first), self.call(first, second))
        self.assertEqual(self.network.connections, 1)

    def test_several_addresses(self) -> None:
        """The first that answers counts; the order is the record's."""
        first = self.node(1)
        second = self.node(2, addresses=("10.9.9.9:1", "no address", "10.0.0.2:6512"))
        self.assertAnswered(self.call(first, second))
        self.assertEqual(self.network.connections, 1)

    def test_no_address(self) -> None:
        """A node that can only dial itself."""
        first, second = self.node(1), self.node(2, addresses=())
        call = self.call(first, second)
        self.network.settle()
        self.failureResultOf(call, LinkLost)
        self.assertEqual(first.heard.events, [("unreachable", second.node)])
        self.assertAnswered(self.call(second, first))
        self.assertAnswered(self.call(first, second))

    def test_somebody_else_at_the_address(self) -> None:
        """A link to another node is none to this one."""
        first, second, third = self.node(1), self.node(2), self.node(3)
        second.crash()
        self.book.records[second.node] = MemoryNode(
            self.network, Book(), 2, addresses=(third.address,)
        ).record
        call = self.call(first, second)
        self.network.settle()
        error = self.failureResultOf(call, LinkLost)
        self.assertIn("wrong-node", str(error.value))
        self.assertFalse(first.links.is_up(third.node))

    def test_oneself(self) -> None:
        """Neither called nor introduced to."""
        first = self.node(1)
        self.failureResultOf(first.links.call(first.node, Ping()), LinkLost)
        introduced = first.links.introduce(first.address)
        self.network.settle()
        self.failureResultOf(introduced, LinkLost)
        self.assertEqual(list(first.links.up()), [])

    def test_time_passes_while_dialling(self) -> None:
        """A caller's time includes the dial; the dial goes on for others."""
        first, second = self.node(1), self.node(2)
        self.network.freeze(second.host)
        early = first.links.call(second.node, Ping(), timeout_seconds=1)
        late = first.links.call(second.node, Ping(), timeout_seconds=30)
        self.network.advance(2)
        self.failureResultOf(early, TimedOut)
        self.assertNoResult(late)
        self.network.advance(5)
        self.failureResultOf(late, LinkLost)

    def test_calls_that_wait_for_a_dial_are_bounded(self) -> None:
        """As many as may be in flight, no more."""
        first, second = self.node(1, max_requests_in_flight=3), self.node(2)
        calls = [self.call(first, second) for _ in range(4)]
        self.failureResultOf(calls.pop(), TooMany)
        self.assertAnswered(*calls)

    def test_a_link_that_comes_in_serves_the_waiting(self) -> None:
        """While our own dial still hangs."""
        first, second = self.node(1), self.node(2, addresses=("10.9.9.9:1",))
        self.network.freeze("10.9.9.9")
        call = first.links.call(second.node, Ping(), timeout_seconds=30)
        self.network.advance(1)
        self.assertAnswered(self.call(second, first), call)
        self.network.advance(10)
        self.assertEqual(first.heard.events, [("up", second.node)])


class ManyDialsTests(PoolTests):
    """Addresses come from others: a flood of them is no flood of connections."""

    def test_dials_at_one_time_are_bounded(self) -> None:
        """Calls to further nodes fail at once; pinned nodes are dialled all the same."""
        first, second, third = self.node(1), self.node(2), self.node(3)
        calls = [
            first.links.call(number.to_bytes(32), Ping()) for number in range(1, MAX_DIALS + 1)
        ]
        self.failureResultOf(self.call(first, third), TooMany)
        first.links.pin([second.node])
        self.network.settle()
        self.assertTrue(first.links.is_up(second.node))
        for call in calls:
            self.failureResultOf(call, LinkLost)
        self.assertAnswered(self.call(first, third))


class ExhaustionTests(PoolTests):
    """This node has no sockets left."""

    def test_nobody_is_held_for_dead(self) -> None:
        """The call fails as what it is; nobody is told that the other cannot be reached."""
        first, second = self.node(1), self.node(2)
        self.network.exhausted.add(first.host)
        first.links.pin([second.node])
        call = self.call(first, second)
        self.network.advance(10)
        error = self.failureResultOf(call, LocalExhaustion)
        self.assertIn("Too many open files", str(error.value))
        self.assertEqual(first.heard.events, [])
        self.assertGreater(first.counts.sums["links_local_exhaustion",], 2)
        self.network.exhausted.clear()
        self.network.advance(MOST_SECONDS)
        self.assertEqual(first.heard.events, [("up", second.node)])

    def test_one_line(self) -> None:
        """However many nodes cannot be dialled."""
        lines = logged_lines(self)
        first = self.node(1)
        others = [self.node(number) for number in range(2, 20)]
        self.network.exhausted.add(first.host)
        for other in others:
            self.call(first, other).addErrback(lambda _: None)
        self.network.advance(1)
        self.assertEqual(len(lines()), 1)
        self.assertIn("cannot dial", lines()[0])

    def test_links_that_are_up_go_on(self) -> None:
        """And others may dial in."""
        first, second, third = self.node(1), self.node(2), self.node(3)
        self.assertAnswered(self.call(first, second))
        self.network.exhausted.add(first.host)
        self.assertAnswered(self.call(first, second), self.call(third, first))


class ListenerTests(PoolTests):
    """Who is told of links."""

    def test_a_listener_that_fails(self) -> None:
        """Harms neither the link nor the other listeners."""
        first, second = self.node(1), self.node(2)
        first.links.subscribe(Failing())
        heard = Heard()
        first.links.subscribe(heard)
        self.assertAnswered(self.call(first, second))
        second.crash()
        self.network.settle()
        self.assertEqual(heard.names(), ["up", "lost"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)


class Failing:
    """A listener with a mistake in it."""

    def link_up(self, record: object) -> None:
        raise ValueError

    link_lost = unreachable = link_up


class BackoffTests(PoolTests):
    """Leaving alone who cannot be reached."""

    def test_calls_fail_at_once_while_the_wait_is_long(self) -> None:
        """A node that was not there a moment ago is not dialled again for each call."""
        first, second = self.node(1), self.node(2)
        second.crash()
        for _ in range(8):
            self.failed_call(first, second)
        tried = len(first.heard.names())
        self.failureResultOf(self.call(first, second), LinkLost)
        self.network.settle()
        self.assertEqual(len(first.heard.names()), tried)

    def test_the_second_dial_is_at_once(self) -> None:
        """A node that is just restarting is found without delay."""
        first, second = self.node(1), self.node(2)
        second.crash()
        self.failed_call(first, second)
        self.node(2, boot=2)
        self.assertAnswered(self.call(first, second))

    def test_when_it_dials_us_the_wait_is_over(self) -> None:
        """It is there, whatever we thought."""
        first, second = self.node(1), self.node(2)
        second.crash()
        for _ in range(8):
            self.failed_call(first, second)
        again = self.node(2, boot=2)
        self.assertAnswered(self.call(again, first))
        self.assertAnswered(self.call(first, again))
        again.crash()
        reborn = self.node(2, boot=3)
        self.assertAnswered(self.call(first, reborn))

    def test_a_pinned_node_that_came_and_went(self) -> None:
        """A call does not wait for a redial that was put off long ago."""
        first, second = self.node(1), self.node(2)
        second.crash()
        first.links.pin([second.node])
        self.network.advance(100)
        again = self.node(2, boot=2)
        self.assertAnswered(self.call(again, first))
        again.crash()
        self.node(2, boot=3)
        self.assertAnswered(self.call(first, second))

    def test_pinned_nodes_are_dialled_for_ever(self) -> None:
        """Ever more slowly, and found when they are back."""
        first, second = self.node(1), self.node(2)
        second.crash()
        first.links.pin([second.node])
        self.network.advance(300)
        tried = len(first.heard.names())
        self.assertGreater(tried, 300 / MOST_SECONDS)
        self.assertLess(tried, 60)
        self.node(2, boot=2)
        self.network.advance(MOST_SECONDS)
        self.assertTrue(first.links.is_up(second.node))

    def test_a_pinned_link_that_is_always_closed(self) -> None:
        """Is not dialled in circles."""
        first, second = self.node(1), self.node(2)
        first.links.pin([second.node])
        for _ in range(50):
            self.network.settle()
            for transport in self.network.transports:
                transport.abortConnection()
            self.network.settle()
        self.assertLess(self.network.connections, 5)

    def test_no_longer_pinned(self) -> None:
        """The last dial is the last one."""
        first, second = self.node(1), self.node(2)
        second.crash()
        first.links.pin([second.node])
        self.network.advance(1)
        first.links.pin([])
        self.network.advance(60)
        tried = len(first.heard.names())
        self.network.advance(600)
        self.assertEqual(len(first.heard.names()), tried)

    def failed_call(self, asker: MemoryNode, asked: MemoryNode) -> None:
        call = self.call(asker, asked)
        self.network.advance(1)
        self.failureResultOf(call, LinkLost)


class TwoLinksTests(PoolTests):
    """Two connections between two nodes."""

    def test_both_dial_at_once(self) -> None:
        """One link stays, on both sides the one the lower id dialled; no request is lost."""
        first, second = self.node(1), self.node(2)
        lower = min(first, second, key=lambda node: node.node)
        calls = [self.call(first, second, Notify(1, 1)) for _ in range(20)]
        calls += [self.call(second, first, Notify(2, 2)) for _ in range(20)]
        self.assertAnswered(*calls)
        self.assertEqual(self.network.connections, 2)
        self.network.advance(1)
        self.assertEqual(self.open_connections(), 1)
        self.assertEqual(self.network.transports[0].host, lower.host)
        self.assertEqual((first.heard.names(), second.heard.names()), (["up"], ["up"]))

    def test_no_request_is_lost_while_one_closes(self) -> None:
        """Requests are asked at every step of the way, over seven-byte pieces."""
        self.network = MemoryNetwork(fragment=7)
        first, second = self.node(1), self.node(2)
        calls = []
        for step in range(300):
            calls.append(self.call(first, second, Notify(1, step % 100)))
            calls.append(self.call(second, first, Notify(2, step % 100)))
            for transport in list(self.network.transports):
                for _ in range(40):
                    transport.deliver()
            self.network.clock.advance(0)
        self.assertEqual(set(self.assertAnswered(*calls)), {Done()})
        self.network.advance(1)
        self.assertEqual(self.open_connections(), 1)

    def test_the_other_one_finishes_its_work(self) -> None:
        """A request under way on the link that goes is answered over it."""
        first, second = self.node(1), self.node(2)
        lower, higher = sorted((first, second), key=lambda node: node.node)
        slow = self.call(higher, lower, GetRing(1))
        self.network.settle()
        self.network.freeze(higher.host)
        introduced = lower.links.introduce(higher.address)
        self.network.thaw(higher.host)
        self.assertAnswered(introduced)
        self.assertEqual(self.open_connections(), 2)
        self.serving.waiting[0].callback(Ring(1, True, b""))
        self.assertAnswered(slow)
        self.network.advance(1)
        self.assertEqual(self.open_connections(), 1)
        self.assertEqual(lower.heard.names(), ["up"])

    def test_introduced_again(self) -> None:
        """Somebody already linked: the newer link stays, and what stood on the old is lost."""
        first, second = self.node(1), self.node(2)
        self.assertAnswered(self.call(first, second))
        self.assertAnswered(first.links.introduce(second.address))
        self.network.advance(1)
        self.assertEqual((self.network.connections, self.open_connections()), (2, 1))
        self.assertAnswered(self.call(first, second), self.call(second, first))
        for node in (first, second):
            self.assertEqual(node.heard.names(), ["up", "lost", "up"])

    def test_introduced_again_by_name(self) -> None:
        """With the id the link that is there is enough."""
        first, second = self.node(1), self.node(2)
        self.assertAnswered(self.call(first, second))
        self.assertAnswered(first.links.introduce(f"{second.address}#{second.node.hex()}"))
        self.assertEqual(self.network.connections, 1)

    def test_a_peer_that_keeps_opening_links(self) -> None:
        """Two at most are kept, whatever it does."""
        first, second = self.node(1), self.node(2)
        slow = [self.call(first, second, GetRing(1))]
        self.network.settle()
        for _ in range(5):
            first.links.introduce(second.address)
            self.network.settle()
            slow.append(self.call(first, second, GetRing(1)))
            self.network.settle()
        self.network.advance(20)
        self.assertLessEqual(self.open_connections(), 2)
        for call in slow:
            self.failureResultOf(call)

    def test_restarted_behind_a_dead_link(self) -> None:
        """A higher boot: the old link is gone, and that is told before the new one."""
        first, second = self.node(1), self.node(2)
        self.assertAnswered(self.call(first, second))
        self.network.freeze(second.host)
        hanging = first.links.call(second.node, Ping(), timeout_seconds=60)
        for place in [place for place in self.network.listening if place[0] == second.host]:
            del self.network.listening[place]
        # Its old connections stay half open here; on its own side they are forgotten.
        for transport in self.network.transports:
            if transport.host == second.host:
                transport.connected = False
        self.network.thaw(second.host)
        again = self.node(2, boot=2)
        self.assertAnswered(self.call(again, first))
        self.failureResultOf(hanging, LinkLost)
        self.assertEqual(first.heard.names(), ["up", "lost", "up"])

    def test_two_nodes_with_one_identity(self) -> None:
        """The one with the earlier boot is turned away, and it is counted."""
        first, second = self.node(1), self.node(2, boot=5)
        self.assertAnswered(self.call(second, first))
        copy = MemoryNode(self.network, Book(), 2, boot=4)
        introduced = copy.links.introduce(first.address)
        self.network.settle()
        self.network.advance(1)
        self.assertEqual(first.counts.sums["links_identity_twice",], 1)
        self.assertFalse(copy.links.is_up(first.node))
        self.assertAnswered(self.call(first, second), introduced)


class RoomTests(PoolTests):
    """At most so many links."""

    def test_the_longest_silent_goes(self) -> None:
        """Neither pinned nor guarded nor busy ones."""
        hub = self.node(1, max_links=4)
        busy, pinned, old, recent = (self.node(number) for number in range(2, 6))
        self.call(hub, busy, GetRing(1))
        for node in (pinned, old, recent):
            self.network.advance(0.1)
            self.assertAnswered(self.call(hub, node))
        hub.links.pin([pinned.node])
        newest = self.node(6)
        self.assertAnswered(self.call(newest, hub))
        self.network.advance(1)
        self.assertEqual(set(hub.links.up()), {busy.node, pinned.node, recent.node, newest.node})
        self.assertEqual(old.heard.names(), ["up", "lost"])

    def test_no_room(self) -> None:
        """When none can go, who comes last is turned away."""
        hub = self.node(1, max_links=4)
        kept = [self.node(number) for number in range(2, 6)]
        hub.links.pin([node.node for node in kept])
        self.network.advance(1)
        newest = self.node(6)
        call = self.call(newest, hub)
        self.network.settle()
        self.failureResultOf(call, LinkLost)
        self.assertEqual(set(hub.links.up()), {node.node for node in kept})

    def test_a_request_that_crosses_the_goodbye_is_asked_again(self) -> None:
        """The hub closes an idle link while a request is on its way over it."""
        hub = self.node(1, max_links=4)
        others = [self.node(number) for number in range(2, 7)]
        for other in others[:4]:
            self.network.advance(0.1)
            self.assertAnswered(self.call(other, hub))
        crossing = self.call(others[0], hub, Notify(1, 2))
        self.assertAnswered(self.call(others[4], hub))
        self.network.advance(1)
        self.assertEqual(self.successResultOf(crossing), Done())


class SpareTests(PoolTests):
    """What happens when the link that was preferred goes first."""

    def test_the_spare_takes_over(self) -> None:
        """The preferred link breaks while the other is still busy: nobody hears of it."""
        first, second = self.node(1), self.node(2)
        lower, higher = sorted((first, second), key=lambda node: node.node)
        slow = higher.links.call(lower.node, GetRing(1), timeout_seconds=60)
        self.network.settle()
        self.assertAnswered(lower.links.introduce(higher.address))
        preferred = [one for one in self.network.transports if one.host == lower.host][-1]
        preferred.abortConnection()
        self.network.settle()
        self.assertEqual((lower.heard.names(), higher.heard.names()), (["up"], ["up"]))
        self.network.advance(30)
        self.assertEqual(self.successResultOf(self.asked(lower, higher)), Pong())
        self.serving.waiting[0].callback(Ring(1, True, b""))
        self.assertAnswered(slow)
        self.assertEqual(self.open_connections(), 1)

    def asked(self, asker: MemoryNode, asked: MemoryNode) -> Deferred[Any]:
        call = self.call(asker, asked)
        self.network.settle()
        return call
