"""Staying connected, and waiting for one message."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tace.client.following import STEADY_SECONDS
from tace.client.rows import HistoryMessage, MessageState
from tace.errors import Refusal, Unauthorized
from tace.wire.client import OpenLease, StartWatch
from tace.wire.message import Message
from tests.client.fakes import let_pass, run
from tests.client.test_user import World


class Redialling(World):
    """A connection that ends."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.network.nodes[0]
        self.breaks_after: float | None = None
        self.node.refuse = self.break_soon

    def break_soon(self, request: Message) -> Refusal | None:
        if isinstance(request, StartWatch) and self.breaks_after is not None:
            for session in list(self.node.sessions):
                if session.leases:
                    self.clock.callLater(self.breaks_after, session.broken)
        return None

    def watches(self) -> int:
        return len(self.network.sent(StartWatch))

    def test_one_that_breaks_as_soon_as_it_opened(self) -> None:
        """Again and again: it is not dialled without a pause, which grows to a minute."""
        self.breaks_after = 0.01
        self.follow(self.bob)
        let_pass(self.clock, 600.0)
        self.assertGreater(self.watches(), 10)
        self.assertLess(self.watches(), 30)

    def test_one_that_held_for_a_while(self) -> None:
        """Is dialled again at once, however often that happens."""
        self.breaks_after = STEADY_SECONDS + 1.0
        self.follow(self.bob)
        before = self.watches()
        let_pass(self.clock, 20 * (STEADY_SECONDS + 1.5))
        self.assertGreaterEqual(self.watches() - before, 18)

    def test_nothing_is_lost_meanwhile(self) -> None:
        """What comes between two connections is there with the next."""
        self.breaks_after = 0.01
        self.follow(self.bob)
        for number in range(5):
            self.alice.send(self.bob, str(number))
            let_pass(self.clock, 30.0)
        let_pass(self.clock, 90.0)
        self.assertEqual(self.bob.screen.texts, ["0", "1", "2", "3", "4"])


class WaitingForOne(World):
    """``send --wait``."""

    def wait(self, seconds: float) -> HistoryMessage:
        user = self.alice.program()

        async def work() -> HistoryMessage:
            try:
                message = await user.send(self.bob.identity, "hello")
                return await user.wait_for(message, seconds)
            finally:
                await user.close()

        try:
            return run(self.clock, Deferred.fromCoroutine(work()), seconds + 60.0)
        finally:
            user.home.close()

    def test_delivered(self) -> None:
        """It ends as soon as the receipt is here."""
        self.follow(self.bob)
        began = self.clock.seconds()
        self.assertIs(self.wait(3600.0).state, MessageState.DELIVERED)
        self.assertLess(self.clock.seconds() - began, 10.0)

    def test_time_is_over(self) -> None:
        """Nobody received it: it is as far as it got, and stays in the outbox."""
        began = self.clock.seconds()
        sent = self.wait(30.0)
        self.assertIs(sent.state, MessageState.STORED)
        self.assertGreaterEqual(self.clock.seconds() - began, 30.0)
        self.assertEqual(self.bob.receive(), ["hello"])
        self.alice.receive()
        self.assertEqual(self.alice.state_of(sent), "delivered")

    def test_no_node_for_a_while(self) -> None:
        """It is sent as soon as there is one."""
        self.alice.send(self.bob, "so that the node is known")
        self.bob.receive()
        self.network.nodes[0].kill()
        self.clock.callLater(20.0, self.network.nodes[0].up)
        self.assertIs(self.wait(120.0).state, MessageState.STORED)

    def test_what_others_sent_is_not_shown(self) -> None:
        """It waits for the command that shows it."""
        self.follow(self.bob)
        self.bob.send(self.alice, "for later")
        self.assertIs(self.wait(3600.0).state, MessageState.DELIVERED)
        self.assertEqual(self.alice.screen.texts, [])
        self.assertEqual(self.alice.receive(), ["for later"])

    def test_no_receipts_to_be_had(self) -> None:
        """A node that gives no lease keeps nothing from being sent."""
        self.network.nodes[0].refuse = lambda request: (
            Unauthorized("no") if isinstance(request, OpenLease) else None
        )
        self.assertIs(self.wait(5.0).state, MessageState.STORED)
