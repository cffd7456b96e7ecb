"""Who keeps a key is found out before it is written or read, where it is not known."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tace.delivery import collect
from tace.delivery.collect import Collect
from tace.delivery.deposit import Deposit
from tace.delivery.feed import COMPLETE_WITHIN_SECONDS
from tace.delivery.lookup import RecordLookup
from tace.delivery.quorum import DEADLINE_SECONDS
from tace.mailbox.rules import AdmissionRules
from tests.delivery.nodes import STAMP_BITS, DeliveryTestCase, Reader
from tests.letters import Box


class FarAway:
    """Knows no key until a test says so.

    ``asked``: the keys of which somebody wanted to know whether they are known.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.wanted: list[bytes] = []
        self.found: Deferred[None] = Deferred()

    def knows(self, key: bytes) -> bool:
        self.asked.append(key)
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
        self.collect = Collect(
            view=core.membership,
            links=core.links,
            clock=clock,
            counters=counters,
            whereabouts=self.whereabouts,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(self.collect.stop()))

    def reader(self, box: Box) -> Reader:
        """A client that watches that mailbox through the finder."""
        reader = Reader(self.nodes[0])
        self.collect.watch(reader.lease(box), reader.inbox)
        return reader

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

    def test_a_watch(self) -> None:
        """Nobody is asked for what waits before it is known whom to ask; then all of it comes."""
        letter = self.letter(1)
        self.network.result(self.nodes[1].core.deposit.envelopes([letter.encoded]))
        self.network.frames.clear()
        reader = self.reader(self.box)
        self.network.run(2.0)
        self.assertEqual(self.whereabouts.wanted, [self.box.id])
        self.assertFalse({name for _, _, name in self.network.frames} & {"Watch", "ListMailbox"})
        self.whereabouts.found.callback(None)
        self.network.run(2.0)
        self.assertEqual(reader.pushed, [letter.encoded])
        self.assertEqual(reader.caught_up, [(self.box.id, True)])

    def test_a_watch_that_finds_nobody_in_time(self) -> None:
        """The client learns in time that what it has may not be all."""
        reader = self.reader(self.box)
        self.network.run(COMPLETE_WITHIN_SECONDS + 0.5)
        self.assertEqual(reader.caught_up, [(self.box.id, False)])

    def test_changes_and_many_watches(self) -> None:
        """Some look at once, the others in later turns of the reactor; none that has ended."""
        self.patch(collect, "FEEDS_A_TURN", 2)
        boxes = [Box(f"b{n}") for n in range(5)]
        readers = [self.reader(box) for box in boxes]
        self.whereabouts.found.callback(None)
        self.network.run(1.0)
        self.whereabouts.asked.clear()
        self.nodes[0].core.membership.describe(self.nodes[0].core.membership.description)
        self.assertEqual(self.whereabouts.asked, [box.id for box in boxes[:2]])
        self.collect.unwatch(boxes[3].id, readers[3].inbox)
        self.network.clock.advance(0)
        self.assertNotIn(boxes[3].id, self.whereabouts.asked)
        self.assertIn(boxes[4].id, self.whereabouts.asked)
