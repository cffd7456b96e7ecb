"""What nodes say when they will not: the message is kept, and goes where and when it may."""

from __future__ import annotations

from itertools import pairwise

from tace.errors import DrainingNow, Full, Quota, RateLimited, Refusal
from tace.wire.client import Ack, Send, SendResult, StartWatch
from tace.wire.message import Message
from tests.client.fakes import START_SECONDS, let_pass
from tests.client.test_user import World

WORDS = ("rate-limited", "draining", "full", "quota", "not-stored", "a-word-from-a-newer-node")


class Refused(World):
    """Two nodes, one of which will not."""

    NODES = 2

    def setUp(self) -> None:
        super().setUp()
        self.alice.send(self.bob, "so that both nodes are known")
        self.assertEqual(len(self.bob.receive()), 1)
        self.alice.receive()
        self.first, self.second = self.network.nodes

    def test_each_word_for_one_message(self) -> None:
        """Another node takes it within the same command."""
        for word in WORDS:
            self.first.answer_send = lambda envelope, word=word: SendResult(  # type: ignore[misc]
                word, 0, 0, retry_after_ms=30_000
            )
            sent = self.alice.send(self.bob, word)
            self.assertEqual(sent.state, "stored", word)
        self.assertEqual(self.bob.receive(), list(WORDS))

    def test_each_word_for_the_whole_request(self) -> None:
        """Likewise."""
        words: list[str] = []
        for refusal in (RateLimited, DrainingNow, Full, Quota):
            self.first.refuse = lambda request, refusal=refusal: (  # type: ignore[misc]
                refusal("no", 30_000) if isinstance(request, Send) else None
            )
            words.append(refusal.code)
            self.assertEqual(self.alice.send(self.bob, refusal.code).state, "stored")
        self.assertEqual(self.bob.receive(), words)


class OneNode(World):
    """The only one there is."""

    def watch(self, refusal: Refusal | None, result: SendResult | None = None) -> list[float]:
        """When it is asked to send."""
        times: list[float] = []

        def refuse(request: Message) -> Refusal | None:
            if not isinstance(request, Send):
                return None
            times.append(self.clock.seconds() - START_SECONDS)
            return refusal

        node = self.network.nodes[0]
        node.refuse = refuse
        node.answer_send = lambda envelope: result
        return times

    def test_it_is_left_alone_for_as_long_as_it_says(self) -> None:
        """Whether it refuses the request or what is in it; then it goes."""
        refused = RateLimited("slower", 20_000)
        for refusal, result in (
            (refused, None),
            (None, SendResult("rate-limited", 0, 0, retry_after_ms=20_000)),
            (None, SendResult("full", 0, 3, retry_after_ms=20_000)),
        ):
            user = self.follow(self.alice)
            times = self.watch(refusal, result)
            message = user.write(self.bob.identity, "hello")
            let_pass(self.clock, 50.0)
            self.assertGreater(len(times), 1)
            self.assertLess(len(times), 6)
            for earlier, later in pairwise(times):
                self.assertGreaterEqual(later - earlier, 19.9)
            self.watch(None)
            let_pass(self.clock, 61.0)
            self.assertEqual(self.alice.state_of(message), "stored")
            self.stop()
            # Confirmed, so that it is not offered again beside the next one.
            self.assertEqual(self.bob.receive(), ["hello"])
            self.alice.receive()

    def test_no_longer_than_a_minute(self) -> None:
        """A node that wants a day is asked again all the same."""
        user = self.follow(self.alice)
        times = self.watch(RateLimited("tomorrow", 86_400_000))
        user.write(self.bob.identity, "hello")
        let_pass(self.clock, 200.0)
        self.assertGreater(len(times), 2)

    def test_a_busy_inbox(self) -> None:
        """What was read is let go of after as long as it says, on the same connection."""
        self.follow(self.bob)
        node = self.network.nodes[0]
        refused: list[float] = []

        def busy(request: Message) -> Refusal | None:
            if not isinstance(request, Ack) or len(refused) > 2:
                return None
            refused.append(self.clock.seconds())
            return RateLimited("slower", 5_000)

        node.refuse = busy
        for number in range(3):
            self.alice.send(self.bob, str(number))
        let_pass(self.clock, 20.0)
        self.assertEqual(self.bob.screen.texts, ["0", "1", "2"])
        self.assertEqual([round(later - earlier) for earlier, later in pairwise(refused)], [5, 5])
        self.assertEqual(len(self.network.sent(StartWatch)), 3, "Alice's, Bob's, and this one")
        self.alice.receive()
        self.assertEqual(self.store.waiting(), [])

    def test_partial(self) -> None:
        """Fewer than a majority: said so, kept, and offered until it is stored."""
        user = self.follow(self.alice)
        self.network.copies = 1
        message = user.write(self.bob.identity, "hello")
        let_pass(self.clock, 5.0)
        self.assertEqual(self.alice.state_of(message), "partial")
        self.network.copies = 3
        let_pass(self.clock, 10.0)
        self.assertEqual(self.alice.state_of(message), "stored")
        self.assertEqual(self.bob.receive(), ["hello"])
