"""How fast a peer may ask, over one link and over several."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.config import LinksSettings
from tace.errors import RateLimited
from tace.links.rates import BURST_SECONDS, MAX_REMEMBERED, PeerRates
from tace.wire.framing import encode_frame
from tace.wire.peer import Done, GetRecord, Notify, Ping, Unwatch
from tests.links.contract import Serving
from tests.links.fakes import MemoryNetwork
from tests.links.nodes import Book, MemoryNode
from tests.links.stranger import dial
from tests.links.test_tls import link_context

NODE, OTHER = b"\x01" * 32, b"\x02" * 32


class PeerRatesTests(SynchronousTestCase):
    """Without links."""

    def test_links_of_one_peer_share(self) -> None:
        """A second link is no second burst; another peer has its own."""
        rates = PeerRates(LinksSettings(max_requests_per_second=5))
        one, two = rates.of(NODE), rates.of(NODE)
        granted = [one.take(0.0, 10) for _ in range(5)] + [two.take(0.0, 10) for _ in range(5)]
        self.assertEqual(granted, [0.0] * 10)
        self.assertEqual((one.take(0.0, 10), two.take(0.0, 10)), (0.2, 0.2))
        self.assertEqual(rates.of(OTHER).take(0.0, 10), 0.0)

    def test_hanging_up_wins_nothing(self) -> None:
        """Unless as many others came meanwhile as are remembered."""
        rates = PeerRates(LinksSettings(max_requests_per_second=1))
        for _ in range(2):
            rates.of(NODE).take(0.0, 1)
        self.assertGreater(rates.of(NODE).take(0.0, 1), 0.0)
        for number in range(MAX_REMEMBERED):
            rates.of(number.to_bytes(32))
        self.assertEqual(rates.of(NODE).take(0.0, 1), 0.0)

    def test_bytes(self) -> None:
        """Few large requests are as much as many small ones."""
        allowance = PeerRates(LinksSettings(max_request_bytes_per_second=1000)).of(NODE)
        self.assertEqual(allowance.take(0.0, int(1000 * BURST_SECONDS)), 0.0)
        self.assertEqual(allowance.take(0.0, 500), 0.5)

    def test_no_bound(self) -> None:
        """0 is none."""
        rates = PeerRates(LinksSettings(max_requests_per_second=0, max_request_bytes_per_second=0))
        allowance = rates.of(NODE)
        self.assertEqual({allowance.take(0.0, 65_536) for _ in range(100_000)}, {0.0})


class RateLimitedTests(SynchronousTestCase):
    """Over links."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.book = Book()
        self.serving = Serving()

    def node(self, number: int, **settings: Any) -> MemoryNode:
        node = MemoryNode(self.network, self.book, number, **settings)
        return node.start(self.serving.procedures)

    def calls(self, asker: MemoryNode, asked: MemoryNode, request: Any, number: int) -> list[Any]:
        calls: list[Deferred[Any]] = [asker.links.call(asked.node, request) for _ in range(number)]
        self.network.settle()
        return calls

    def test_refused_with_a_time(self) -> None:
        """The link stays; who waits as long as it is told to is served again."""
        asked = self.node(1, max_requests_per_second=10)
        asker, other = self.node(2), self.node(3)
        calls = self.calls(asker, asked, Notify(1, 2), 21)
        for call in calls[:20]:
            self.assertEqual(self.successResultOf(call), Done())
        refusal = self.failureResultOf(calls[20], RateLimited).value
        self.assertEqual(refusal.retry_after_ms, 100)
        self.assertEqual(len(self.serving.asked), 20)
        (call,) = self.calls(other, asked, Notify(1, 2), 1)
        self.assertEqual(self.successResultOf(call), Done())
        self.network.advance(refusal.retry_after_ms / 1000)
        (call,) = self.calls(asker, asked, Notify(1, 2), 1)
        self.assertEqual(self.successResultOf(call), Done())
        self.assertEqual(asker.heard.names(), ["up"])
        self.assertEqual(asked.counts.sums["link_requests_refused", "rate-limited"], 1)

    def test_pings_count_and_are_answered_by_their_refusal(self) -> None:
        """A guarded peer that asks too much is not taken for dead."""
        asked, asker = self.node(1, max_requests_per_second=1), self.node(2)
        asker.links.guard([asked.node])
        refused = 0
        for _ in range(20):
            calls = self.calls(asker, asked, Ping(), 10)
            self.network.advance(1)
            for call in calls:
                call.addErrback(lambda failure: failure.check(RateLimited))
                refused += self.successResultOf(call) is RateLimited
        self.assertGreater(refused, 150)
        self.assertEqual(asker.heard.names(), ["up"])

    def test_answers_do_not_count(self) -> None:
        """What we asked for is not the peer's doing."""
        asker, asked = self.node(1, max_request_bytes_per_second=100), self.node(2)
        for call in self.calls(asker, asked, GetRecord(b"k" * 32), 50):
            self.assertTrue(self.successResultOf(call).record)

    def test_refusing_is_bounded_too(self) -> None:
        """Who goes on asking is not read from for a moment, again and again; it is all refused in
        the end, and others are served meanwhile."""
        asked = self.node(1, max_requests_per_second=1000)
        asker, other = self.node(2, max_requests_in_flight=10_000), self.node(3)
        began = self.network.clock.seconds()
        calls: list[Deferred[Any]] = [
            asker.links.call(asked.node, Notify(1, 2), timeout_seconds=60) for _ in range(4000)
        ]
        self.network.settle()
        answered = sum(call.called for call in calls)
        self.assertLess(answered, 2000 + 50 + 10)
        (call,) = self.calls(other, asked, Notify(1, 2), 1)
        self.assertEqual(self.successResultOf(call), Done())
        while not all(call.called for call in calls):
            self.network.advance(0.01)
        # The rest of 2,000 at 1,000 a second refused and as many served.
        self.assertLess(abs(self.network.clock.seconds() - began - 1.0), 0.2)
        served = 0
        for call in calls:
            call.addErrback(lambda failure: failure.check(RateLimited))
            served += self.successResultOf(call) == Done()
        self.assertLess(abs(served - 3000), 200)
        self.assertEqual(asker.heard.names(), ["up"])

    def test_a_link_that_ends_while_it_is_not_read_from(self) -> None:
        """Leaves no timer behind."""
        asked, asker = self.node(1, max_requests_per_second=1), self.node(2)
        for call in self.calls(asker, asked, Ping(), 20):
            call.addErrback(lambda _: None)
        self.assertGreater(asked.counts.sums["link_reading_rested",], 0)
        asker.crash()
        self.network.settle()
        asker.links.close()
        asked.links.close()
        self.network.settle()
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_unknown_requests_are_refused_no_faster(self) -> None:
        """Nor is the link closed for them."""
        asked = self.node(1, max_requests_per_second=100)
        stranger = dial(self.network, asked.host, link_context())
        self.network.settle()
        stranger.say(stranger.hello())
        for request_id in range(1, 101):
            stranger.transport.write(encode_frame(999, request_id, b"\x90"))
        self.network.settle()
        self.assertLess(len(stranger.got), 20)
        self.network.advance(10)
        self.assertEqual(len(stranger.got), 101)
        self.assertIsNone(stranger.lost)

    def test_one_way_messages_over_the_rate_are_dropped(self) -> None:
        """Counted; nobody waits for an answer."""
        asked, asker = self.node(1, max_requests_per_second=10), self.node(2)
        self.calls(asker, asked, Ping(), 1)
        for _ in range(30):
            asker.links.send(asked.node, Unwatch(()))
        self.network.settle()
        self.assertEqual(len(self.serving.asked), 19)
        self.network.advance(2)
        dropped = asked.counts.sums["link_one_way_dropped",]
        self.assertEqual(len(self.serving.asked) + dropped, 30)
        self.assertGreater(dropped, 3)
