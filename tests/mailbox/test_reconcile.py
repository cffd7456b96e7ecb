"""Comparing listings with a peer that is honest, or not."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tace.errors import ProtocolError, UnknownMessage
from tace.identity.mailbox_proof import Removal
from tace.ids import KIND_REQUESTS, Arc
from tace.limits.buckets import TokenBucket
from tace.mailbox import comparison
from tace.mailbox.pace import Pace
from tace.mailbox.repair import MAX_FRUITLESS
from tace.seams import Item, ItemState
from tace.wire.fields import TombstoneField
from tace.wire.message import Message
from tace.wire.objects import ENVELOPE_BYTES, Tombstone
from tace.wire.peer import (
    CompareRanges,
    FetchItems,
    Finding,
    GetRecord,
    ItemField,
    ItemPage,
    Items,
    ListItems,
    RangeDifferences,
)
from tests.delivery.nodes import DeliveryTestCase
from tests.letters import Box, secret
from tests.network import TestNode
from tests.storage.files import Tally

WHOLE = Arc(b"\xff" * 32, b"\xff" * 32)
"""In one segment, so that a test's pages come in one run."""


class ReconcileTestCase(DeliveryTestCase):
    """Two nodes; the first pulls from the second, which says what the test wants."""

    count = 2

    def setUp(self) -> None:
        super().setUp()
        self.one, self.other = self.nodes

    def pages(self, *pages: ItemPage) -> None:
        """The peer's listing of messages, page by page, then nothing."""
        rest = list(pages)

        async def listing(peer: bytes, message: ListItems) -> ItemPage:
            return rest.pop(0) if rest and not message.records else ItemPage(())

        self.older(self.other)
        self.lie(self.other, ListItems, listing)

    def older(self, node: TestNode) -> None:
        """A node that knows no ranges."""

        async def unknown(peer: bytes, message: CompareRanges) -> RangeDifferences:
            raise UnknownMessage("no message has number 57")

        self.lie(node, CompareRanges, unknown)

    def pull(self, within: float = 60.0) -> int:
        pulled: int = self.network.result(
            Deferred.fromCoroutine(self.one.core.repair.pull(self.other.id, [WHOLE])), within
        )
        return pulled

    def items(self) -> list[Item]:
        held: list[Item] = self.network.result(
            self.one.store.list_items(
                WHOLE, records=False, after=None, limit=10_000, now=self.network.clock.seconds()
            )
        )
        return held

    def bring(self, answer: Items) -> None:
        async def items(peer: bytes, message: FetchItems) -> Items:
            return answer

        self.lie(self.other, FetchItems, items)


def field(key: int, name: int = 1, state: int = 1) -> ItemField:
    return ItemField(key.to_bytes(32), name.to_bytes(32), state)


def invented(message: ListItems) -> ItemPage:
    """512 items that do not exist, in order and in the arc, and the promise of more."""
    last = message.after.key if message.after is not None else message.start
    start = 0 if last == WHOLE.start else int.from_bytes(last)
    return ItemPage(tuple(field(start + number) for number in range(1, 513)), more=True)


class ListingTests(ReconcileTestCase):
    """Listings of older nodes, which know no ranges; those that break the rules end it."""

    def test_an_honest_one(self) -> None:
        """What it lists is pulled."""
        self.put(self.other, [self.letter(number) for number in range(700)])
        self.older(self.other)
        self.assertEqual(self.pull(), 700)
        self.assertEqual(self.pull(), 0)

    def test_out_of_order(self) -> None:
        """Backwards, twice the same, or over two pages."""
        for pages in (
            (ItemPage((field(5), field(4))),),
            (ItemPage((field(5), field(5))),),
            (ItemPage((field(5, 2), field(5, 1))),),
            (ItemPage((field(5),), more=True), ItemPage((field(5),), more=True)),
            (ItemPage((field(5),), more=True), ItemPage((field(1),), more=True)),
        ):
            self.pages(*pages)
            with self.assertRaises(ProtocolError):
                self.pull()

    def test_outside_the_arc(self) -> None:
        """Only what was asked for."""
        self.pages(ItemPage((field(50),)))
        narrow = Arc((5).to_bytes(32), (40).to_bytes(32))
        with self.assertRaises(ProtocolError):
            self.network.result(
                Deferred.fromCoroutine(self.one.core.repair.pull(self.other.id, [narrow]))
            )

    def test_without_end(self) -> None:
        """A peer that invents items is left after a thousand of them, however well ordered."""
        asked = 0

        async def endless(peer: bytes, message: ListItems) -> ItemPage:
            nonlocal asked
            asked += 1
            return invented(message)

        self.older(self.other)
        self.lie(self.other, ListItems, endless)
        with self.assertRaises(ProtocolError):
            self.pull()
        self.assertLess(asked, 2 + MAX_FRUITLESS // 512 + 1)

    def test_more_without_items(self) -> None:
        """Is the end."""
        self.pages(ItemPage((), more=True))
        self.assertEqual(self.pull(), 0)

    def test_one_liar_keeps_nobody_else_waiting_for_ever(self) -> None:
        """A third node is pulled from all the same, and what it brings is kept."""
        third = self.network.node("n2", seeds=("n0:1",))
        third.start()
        self.network.run(10.0)
        # Peers are asked in the order of their ids: the liar comes first.
        liar, honest = sorted((self.other, third), key=lambda node: node.id)

        async def endless(peer: bytes, message: ListItems) -> ItemPage:
            return invented(message)

        self.older(liar)
        self.lie(liar, ListItems, endless)
        self.put(honest, [self.letter(number) for number in range(3)])
        self.network.run(120.0)
        self.assertEqual(len(self.items()), 3)


class RangeTests(ReconcileTestCase):
    """Over links, as :class:`~tace.mailbox.comparison.Comparison` decides."""

    def compared(self) -> list[CompareRanges]:
        """Requests from now on, as they reach the peer."""
        asked: list[CompareRanges] = []
        honest = self.truth(self.other, CompareRanges)

        async def noting(peer: bytes, message: CompareRanges) -> Message | None:
            asked.append(message)
            return await honest(peer, message)

        self.lie(self.other, CompareRanges, noting)
        return asked

    def test_in_step(self) -> None:
        """Messages, tombstones and records of all arcs together: one request of one frame."""
        letters = [self.letter(number) for number in range(100)]
        for node in self.nodes:
            self.put(node, letters)
        asked = self.compared()
        arcs = [Arc(bytes([n]) * 32, bytes([n + 8]) * 32) for n in range(0, 240, 16)]
        self.assertEqual(self.pull(), 0)
        pulled = self.one.core.repair.pull(self.other.id, arcs)
        self.assertEqual(self.network.result(Deferred.fromCoroutine(pulled)), 0)
        self.assertEqual([len(request.ranges) for request in asked], [1, len(arcs)])

    def test_a_few_of_many(self) -> None:
        """Those that are lacking are fetched, those that are not are not named."""
        letters = [self.letter(number) for number in range(600)]
        self.put(self.one, letters[5:])
        self.put(self.other, letters)
        tombstone = Tombstone.of(letters[300], secret(300))
        self.network.result(
            self.other.store.put_tombstones([tombstone], self.network.clock.seconds())
        )
        asked = self.compared()
        self.assertEqual(self.pull(), 6)
        self.assertIn(Item(self.box.id, letters[300].id, ItemState.TOMBSTONE), set(self.items()))
        self.assertLess(len(asked), 5)
        self.assertEqual(self.pull(), 0)

    def test_a_peer_that_gets_on_is_not_given_up(self) -> None:
        """However many rounds it takes in all."""
        self.patch(comparison, "MAX_ROUNDS", 1)
        self.put(self.other, [self.letter(number) for number in range(1200)])
        self.assertEqual(self.pull(), 1200)

    def test_a_peer_that_invents_items(self) -> None:
        """Page after page of what is never there: it is left after a thousand of them."""
        asked = 0

        async def endless(peer: bytes, message: CompareRanges) -> RangeDifferences:
            nonlocal asked
            asked += 1
            start = int.from_bytes(message.ranges[0].lower or b"\0")
            items = tuple(field(start + number) for number in range(1, 513))
            until = (start + 513).to_bytes(32)
            return RangeDifferences(message.hour, 1, (Finding(0, (), items, until),))

        self.lie(self.other, CompareRanges, endless)
        with self.assertRaises(ProtocolError):
            self.pull()
        self.assertLess(asked, 2 + MAX_FRUITLESS // 512 + 1)

    def test_a_peer_that_breaks_the_rules(self) -> None:
        """It is given up, and asked again later; nothing of it stays."""

        async def nonsense(peer: bytes, message: CompareRanges) -> RangeDifferences:
            return RangeDifferences(message.hour, 31)

        self.lie(self.other, CompareRanges, nonsense)
        with self.assertRaises(ProtocolError):
            self.pull()
        self.assertEqual(self.items(), [])

    def test_what_is_compared_and_fetched_is_paced(self) -> None:
        """Two megabytes at a tenth of that a second take ten seconds, and live requests none."""
        letters = [self.letter(number) for number in range(550)]
        self.put(self.other, letters)
        slow = TokenBucket(200_000.0, 200_000.0)
        counters = Tally()
        pace = Pace(slow, self.network.clock, counters)
        self.patch(self.one.core.repair, "_pace", pace)
        began = self.network.clock.seconds()
        pulled = Deferred.fromCoroutine(self.one.core.repair.pull(self.other.id, [WHOLE]))
        self.network.run(1.0)
        live = self.one.core.links.call(self.other.id, GetRecord(bytes(32)))
        self.network.result(live, 0.05)
        self.assertEqual(self.network.result(pulled, 60.0), 550)
        took = self.network.clock.seconds() - began
        self.assertGreater(took, 8.0)
        self.assertLess(took, 12.0)
        self.assertGreater(counters.of("repair_bytes_total"), 550 * ENVELOPE_BYTES)


class BringingTests(ReconcileTestCase):
    """What comes is verified like what is put."""

    def test_things_that_were_not_asked_for(self) -> None:
        """An envelope, a tombstone, a removal: nothing of it is kept."""
        box = Box("other")
        now = self.network.clock.seconds()
        stray = box.envelope(1, now)
        tombstone = TombstoneField(box.id, Tombstone.of(stray, secret(1)).encoded)
        removal = Removal.sign(box.key, box.kind, [(stray.id, stray.expires_hours)])
        for answer in (
            Items(envelopes=(stray.encoded,)),
            Items(tombstones=(tombstone,)),
            Items(removals=(removal.encoded,)),
        ):
            self.pages(ItemPage((field(5),)))
            self.bring(answer)
            with self.assertRaises(ProtocolError):
                self.pull()
            self.assertEqual(self.items(), [])

    def test_a_removal_that_would_be_kept_for_ever(self) -> None:
        """Its word on the expiry is bounded like any other; it is not asked for again."""
        letter = self.letter(1)
        removal = Removal.sign(self.box.key, self.box.kind, [(letter.id, 0xFFFF_FFFF)])
        item = ItemField(self.box.id, letter.id, 2)
        for _ in range(2):
            self.pages(ItemPage((item,)))
            self.bring(Items(removals=(removal.encoded,)))
            self.assertEqual(self.pull(), 0)
        self.assertEqual(self.items(), [])

    def test_an_envelope_without_its_stamp_is_not_fetched_twice(self) -> None:
        """The peer's rules may be laxer."""
        stranger = Box("stranger", KIND_REQUESTS).envelope(1, self.network.clock.seconds())
        self.put(self.other, [stranger])
        self.assertEqual(self.pull(), 0)
        self.network.frames.clear()
        self.assertEqual(self.pull(), 0)
        self.assertNotIn("FetchItems", [kind for _, _, kind in self.network.frames])

    def test_a_mailbox_that_is_full_here(self) -> None:
        """A few bodies are tried each time, not all of them; other mailboxes are filled."""
        letters = [self.letter(number) for number in range(200)]
        others = [Box(f"b{n}").envelope(1, self.network.clock.seconds()) for n in range(20)]
        self.one.store._quotas = type(self.one.store._quotas)(10, 10)
        self.put(self.other, [*letters, *others])
        self.network.frames.clear()
        self.assertEqual(self.pull(), 30)
        fetches = [kind for _, _, kind in self.network.frames if kind == "FetchItems"]
        self.assertLessEqual(len(fetches), 6)
        self.network.frames.clear()
        self.assertEqual(self.pull(), 0)
        self.assertEqual([k for _, _, k in self.network.frames].count("FetchItems"), 1)
