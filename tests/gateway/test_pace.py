"""Commands that wait for their turn: how long, whatever they are short of."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import RateLimited
from tace.gateway.pace import PATIENCE_SECONDS, Pace
from tace.gateway.rates import RateLimits, Rates
from tace.ids import MailboxId
from tace.wire.client import Ack
from tace.wire.fields import TombstoneField
from tace.wire.objects import TOMBSTONE_BYTES

ONE, TWO = MailboxId(b"1" * 32), MailboxId(b"2" * 32)
ADDRESS_ACKS = 4.0
"""Of one address in a second: one for each mailbox, and eight at once."""


def ack(counts: dict[MailboxId, int]) -> Ack:
    return Ack(
        tuple(
            TombstoneField(mailbox, bytes(TOMBSTONE_BYTES))
            for mailbox, count in counts.items()
            for _ in range(count)
        )
    )


class PatienceTests(SynchronousTestCase):
    """An ack that names several mailboxes, each of which was acked by other connections."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.rates = Rates(RateLimits(acks=ADDRESS_ACKS))
        for mailbox in (ONE, TWO):
            self.successResultOf(self.pay({mailbox: 8}))

    def pay(self, counts: dict[MailboxId, int]) -> Deferred[None]:
        """As a new connection."""
        pace = Pace(self.rates, "", self.clock)
        return Deferred.fromCoroutine(pace.pay(ack(counts)))

    def test_each_mailbox_comes_to_its_turn(self) -> None:
        paid = self.pay({ONE: 1, TWO: 2})
        self.clock.pump([0.5] * 3)
        self.assertNoResult(paid)
        self.clock.advance(0.5)
        self.assertIsNone(self.successResultOf(paid))

    def test_they_share_one_patience(self) -> None:
        """The second one's turn comes after four seconds: that is not waited for."""
        paid = self.pay({ONE: 2, TWO: 4})
        self.clock.advance(2.0)
        refusal = self.failureResultOf(paid, RateLimited).value
        self.assertLess(self.clock.seconds(), PATIENCE_SECONDS)
        self.assertEqual(refusal.retry_after_ms, 2001)
        self.assertEqual(self.clock.getDelayedCalls(), [])
