"""Who keeps a key is found out before it is written or read, where it is not known."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tace.delivery.deposit import Deposit
from tace.delivery.lookup import RecordLookup
from tace.delivery.quorum import DEADLINE_SECONDS
from tace.mailbox.rules import AdmissionRules
from tests.delivery.nodes import STAMP_BITS, DeliveryTestCase


class FarAway:
    """Knows no key until a test says so."""

    def __init__(self) -> None:
        self.wanted: list[bytes] = []
        self.found: Deferred[None] = Deferred()

    def knows(self, key: bytes) -> bool:
        return False

    async def resolve(self, key: bytes) -> None:
        self.wanted.append(key)
        await self.found


class WhereaboutsTests(DeliveryTestCase):
    """With a finder that takes its time."""

    def setUp(self) -> None:
        super().setUp()
        self.whereabouts = FarAway()
        core = self.nodes[0].core
        clock, counters = self.network.clock, self.nodes[0].counters
        self.deposit = Deposit(
            view=core.membership,
            links=core.links,
            clock=clock,
            counters=counters,
            rules=AdmissionRules(30, STAMP_BITS),
            whereabouts=self.whereabouts,
        )
        self.records = RecordLookup(
            view=core.membership,
            links=core.links,
            clock=clock,
            counters=counters,
            whereabouts=self.whereabouts,
        )

    def test_a_write(self) -> None:
        """Nobody is asked before it is known whom to ask; then it is stored as any other."""
        outcomes = self.deposit.envelopes([self.letter(1).encoded])
        self.network.run(0.2)
        self.assertNoResult(outcomes)
        self.assertEqual(self.whereabouts.wanted, [self.box.id])
        self.assertNotIn("PutEnvelopes", {name for _, _, name in self.network.frames})
        self.whereabouts.found.callback(None)
        (outcome,) = self.network.result(outcomes)
        self.assertEqual((outcome.state, outcome.copies), ("stored", 2))

    def test_a_write_that_finds_nobody_in_time(self) -> None:
        """It is decided as late as any other, and what is found later changes nothing."""
        outcomes = self.deposit.envelopes([self.letter(1).encoded])
        self.network.run(DEADLINE_SECONDS - 0.1)
        self.assertNoResult(outcomes)
        self.network.run(0.2)
        (outcome,) = self.successResultOf(outcomes)
        self.assertEqual(outcome.copies, 0)
        self.assertNotEqual(outcome.state, "stored")
        self.whereabouts.found.callback(None)
        self.network.run(0.2)
        self.assertNotIn("PutEnvelopes", {name for _, _, name in self.network.frames})

    def test_a_read(self) -> None:
        """Waits likewise."""
        found = Deferred.fromCoroutine(self.records.find(b"k" * 32))
        self.network.run(0.2)
        self.assertNoResult(found)
        self.whereabouts.found.callback(None)
        self.assertIsNone(self.network.result(found))
