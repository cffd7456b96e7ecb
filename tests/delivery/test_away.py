"""A replica that says it goes for a while is asked no more, by anybody, from that moment."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.delivery.nodes import DeliveryTestCase, Reader
from tests.network import TestNode


class AwayTests(DeliveryTestCase):
    """Five replicas of everything; one has said its word and still stands there."""

    count = 5

    def setUp(self) -> None:
        super().setUp()
        self.reader = Reader(self.nodes[0])
        self.reader.watch(self.box)
        self.network.run(1.0)
        feed = self.nodes[0].core.collect._feeds[self.box.id]
        self.feed = feed
        self.leaver = next(n for n in self.nodes[1:] if feed.watches(n.id))

    def go(self, node: TestNode) -> None:
        """Its last word; its links stay up."""
        self.network.result(Deferred.fromCoroutine(node.core.say_away()), within=0.1)
        self.network.frames.clear()

    def asked(self) -> set[str]:
        """What the first node has asked the one that goes, since."""
        return {
            kind
            for a, b, kind in self.network.frames
            if (a, b) == (self.nodes[0].id, self.leaver.id)
        }

    def test_its_watch_is_made_again_elsewhere_at_once(self) -> None:
        """News comes from three others within a few milliseconds, not after a link is lost."""
        self.go(self.leaver)
        self.network.run(0.05)
        self.assertFalse(self.feed.watches(self.leaver.id))
        self.assertEqual(len(self.feed.watched()), 3)
        letter = self.letter(1)
        self.leaver.kill()
        self.assertEqual(self.sent(1, letter).state, "stored")
        self.network.run(0.1)
        self.assertEqual(self.reader.pushed, [letter.encoded])

    def test_reads_and_writes_pass_it_over(self) -> None:
        """Records, messages, acks; the quorum stays that of five."""
        self.go(self.leaver)
        core = self.nodes[0].core
        outcome = self.sent(0, self.letter(1), within=0.1)
        self.assertEqual((outcome.state, outcome.of), ("stored", 5))
        ack = self.box.tombstone(self.letter(1), 1)
        self.network.result(core.deposit.acks([ack], []), within=0.1)
        self.network.result(Deferred.fromCoroutine(core.records.find(b"r" * 32)), within=0.1)
        find = Deferred.fromCoroutine(core.blobs.find(b"b" * 32))
        self.assertIsNone(self.network.result(find))
        self.assertLessEqual(self.asked(), {"Unwatch", "Ping", "Records"})

    def test_two_may_go_at_once_and_not_three(self) -> None:
        """Three of five are a majority, two are none."""
        others = [node for node in self.nodes[1:] if node is not self.leaver]
        for node in (self.leaver, others[0]):
            self.go(node)
        self.assertEqual(self.sent(0, self.letter(1), within=0.1).state, "stored")
        self.go(others[1])
        outcome = self.sent(0, self.letter(2), within=0.1)
        self.assertEqual((outcome.state, outcome.copies, outcome.of), ("partial", 2, 5))
