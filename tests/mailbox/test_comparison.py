"""Comparing ranges: two sets, whatever they are; and a peer that lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import Malformed, NotReplica, ProtocolError, Refusal, TooMany
from tace.ids import Arc
from tace.mailbox import comparison as comparison_module
from tace.mailbox import reconcile
from tace.mailbox.comparison import (
    MAX_LEVELS,
    MAX_PENDING,
    MAX_ROUNDS,
    Answer,
    Comparison,
    agreed_hour,
    bounds_of,
    page_of,
    place,
    unnamed,
)
from tace.mailbox.reconcile import RangeAnswers, lacking
from tace.seams import Item, ItemState
from tace.storage.memory import MemoryStore
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.message import encode
from tace.wire.peer import (
    CompareRanges,
    Finding,
    ItemField,
    PartField,
    RangeDifferences,
    RangeField,
)
from tace.wire.ranges import (
    END,
    LEAF_ITEMS,
    MAX_RANGES,
    RangeSum,
    arc_of,
    ranges_of,
    separator,
)
from tests.storage.objects import HOUR, NOW, Letter, letter, mailbox
from tests.storage.pump import Pump

WHOLE = [(b"", END)]
POOL = 700


@cache
def pool() -> Sequence[Letter]:
    """Half of them in one mailbox, the others in many."""
    return [letter(n, box=mailbox(1 if n % 2 else n % 40)) for n in range(POOL)]


class AnyoneMayAsk:
    """A view in which everybody is within the first 2N; or nobody."""

    def __init__(self, may: bool = True) -> None:
        self.may = may
        self.arcs: list[Arc] = []

    def may_ask_about(self, node: bytes, arc: Arc) -> bool:
        self.arcs.append(arc)
        return self.may


class Replica:
    """A store, and how it compares itself with another and answers."""

    def __init__(self, letters: Sequence[Letter] = (), acked: Sequence[Letter] = ()) -> None:
        self.store = MemoryStore()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.view = AnyoneMayAsk()
        self.answers = RangeAnswers(view=self.view, store=self.store, clock=self.clock)  # type: ignore[arg-type]
        self.result = Pump().result
        self.result(self.store.put_envelopes([it.envelope for it in letters], NOW))
        self.result(self.store.put_tombstones([it.tombstone for it in acked], NOW))

    def items(self) -> set[Item]:
        now = self.clock.seconds()
        return set(self.listed(b"", END, 10_000, now))

    def listed(self, lower: bytes, upper: bytes, limit: int, now: float) -> list[Item]:
        return self.result(self.store.list_range(lower, upper, limit=limit, now=now))

    def answer(self, request: CompareRanges) -> RangeDifferences:
        return self.result(Deferred.fromCoroutine(self.answers.answer(b"a" * 32, request)))

    def ask(self, comparison: Comparison) -> CompareRanges | None:
        """The next request, of what is held here."""
        now = float(comparison.hour * 3600)
        while (it := comparison.next()) is not None:
            parts = self.result(
                self.store.sum_items(it.lower, it.upper, parts=it.most_parts, now=now)
            )
            if comparison.weigh(it, parts):
                comparison.name(it, self.listed(it.lower, it.upper, LEAF_ITEMS, now))
        return comparison.request()


class Run:
    """One comparison to its end: what was found, in how many rounds and bytes."""

    def __init__(
        self,
        asker: Replica,
        answer: Callable[[CompareRanges], RangeDifferences],
        ranges: Sequence[tuple[bytes, bytes]] = WHOLE,
    ) -> None:
        self.found: list[Item] = []
        self.rounds = self.sent = self.received = self.most_pending = 0
        comparison = Comparison(ranges, int(asker.clock.seconds() // 3600))
        while (request := asker.ask(comparison)) is not None:
            answered = answer(request)
            self.rounds += 1
            self.sent += len(encode(request))
            self.received += len(encode(answered))
            assert max(len(encode(request)), len(encode(answered))) <= MAX_BODY_BYTES
            listed = comparison.take(answered)
            self.most_pending = max(self.most_pending, comparison.pending)
            held: list[Item] = asker.result(asker.store.held_items(listed))
            wanted = lacking(listed, held)
            if wanted:
                comparison.found()
            self.found += wanted


few_or_many = st.one_of(
    st.sets(st.integers(0, POOL - 1), max_size=40),
    st.integers(0, 2**32).map(
        lambda seed: set(Random(seed).sample(range(POOL), Random(seed + 1).randrange(POOL)))
    ),
)


class ConvergenceTests(SynchronousTestCase):
    """Whatever the two hold, what one lacks of the other is found, and nothing else."""

    @settings(
        max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(few_or_many, few_or_many, few_or_many, few_or_many)
    def test_any_two_sets(
        self, ours: set[int], our_acks: set[int], theirs: set[int], their_acks: set[int]
    ) -> None:
        """Envelopes and tombstones; every difference is one that is worth fetching."""
        one = Replica([pool()[n] for n in sorted(ours)], [pool()[n] for n in sorted(our_acks)][:99])
        other = Replica(
            [pool()[n] for n in sorted(theirs)], [pool()[n] for n in sorted(their_acks)][:99]
        )
        run = Run(one, other.answer)
        expected = lacking(sorted(other.items()), sorted(one.items()))
        self.assertEqual(sorted(run.found), sorted(expected))
        self.assertLess(run.rounds, 60)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, POOL - 1), st.sampled_from(["more", "less", "acked"]))
    def test_one_difference(self, n: int, how: str) -> None:
        """Is found wherever it is, in three rounds at most and few bytes."""
        rest = [it for m, it in enumerate(pool()) if m != n]
        one, other = Replica(pool()), Replica(pool())
        if how == "less":
            other = Replica(rest)
        elif how == "more":
            one = Replica(rest)
        else:
            other = Replica(rest, [pool()[n]])
        run = Run(one, other.answer)
        expected = {"more": [pool()[n].item], "less": [], "acked": [pool()[n].buried_item]}
        self.assertEqual(run.found, expected[how])
        self.assertLessEqual(run.rounds, 3)
        self.assertLess(run.sent + run.received, 4500)

    def test_in_step(self) -> None:
        """One round, one small request, a smaller answer; also where both hold nothing."""
        for letters in (pool(), pool()[:5]):
            run = Run(Replica(letters), Replica(letters).answer)
            self.assertEqual((run.found, run.rounds), ([], 1))
            self.assertLess(run.sent, 40)
            self.assertLess(run.received, 12)
        run = Run(Replica(), Replica().answer)
        self.assertEqual((run.found, run.rounds), ([], 1))

    def test_a_whole_arc_is_asked_in_about_a_hundred_bytes(self) -> None:
        """With bounds of 32 bytes."""
        arc = Arc(b"\x11" * 32, b"\xee" * 32)
        run = Run(Replica(pool()), Replica(pool()).answer, ranges_of(arc))
        self.assertEqual(run.rounds, 1)
        self.assertLess(run.sent, 100)

    def test_nothing_against_everything(self) -> None:
        """The list comes in pages; the other way round one round is enough."""
        run = Run(Replica(), Replica(pool()).answer)
        self.assertEqual(len(run.found), POOL)
        self.assertEqual(run.rounds, 2)
        run = Run(Replica(pool()), Replica().answer)
        self.assertEqual((run.found, run.rounds), ([], 1))

    def test_answers_that_cover_little(self) -> None:
        """What was not looked at is asked about again, until all of it is compared."""
        other = Replica(pool())

        def sparing(request: CompareRanges) -> RangeDifferences:
            return other.answer(CompareRanges(request.hour, request.ranges[:1]))

        run = Run(Replica(pool()[::3]), sparing)
        self.assertEqual(sorted(run.found), sorted(other.items() - Replica(pool()[::3]).items()))
        self.assertGreater(run.rounds, 10)

    def test_only_the_ranges(self) -> None:
        """What lies outside of them is neither said nor asked."""
        arc = Arc(mailbox(4), mailbox(1))
        one, other = Replica(pool()[:100]), Replica(pool())
        run = Run(one, other.answer, ranges_of(arc))
        expected = {it for it in other.items() if it.key in arc} - one.items()
        self.assertEqual(set(run.found), expected)
        self.assertGreater(len(expected), 100)
        self.assertLess(len(expected), len(other.items() - one.items()))


class HourTests(SynchronousTestCase):
    """What is over, on clocks that differ."""

    def pair(self, ahead: float) -> tuple[Replica, Replica]:
        """In step, but that a third ends in an hour; the other's clock is so much ahead."""
        letters = [letter(n, lives_hours=1 if n % 3 else 9) for n in range(100)]
        one, other = Replica(letters), Replica(letters)
        one.clock.advance(3595.0)
        other.clock.advance(3595.0 + ahead)
        return one, other

    def test_a_clock_ahead(self) -> None:
        """Its hour holds, one round later; what is gone there is not missed, nor brought again."""
        one, other = self.pair(60.0)
        other.result(other.store.expire(other.clock.seconds()))
        self.assertNotEqual(one.items(), other.items())
        for asker, peer, rounds in ((one, other, 2), (other, one, 1)):
            run = Run(asker, peer.answer)
            self.assertEqual((run.found, run.rounds), ([], rounds))

    def test_an_unfit_clock(self) -> None:
        """Neither asked by it nor believed."""
        one, other = self.pair(3700.0)
        with self.assertRaises(NotReplica):
            Run(other, one.answer)
        with self.assertRaises(ProtocolError):
            Run(Replica(pool()), lambda request: RangeDifferences(request.hour + 2, 0))
        self.assertEqual(agreed_hour(8, 8), 8)
        self.assertEqual(agreed_hour(9, 8), 9)
        self.assertEqual(agreed_hour(7, 8), 8)

    def test_an_hour_that_runs_on_or_back(self) -> None:
        """Is no way to keep anybody busy."""
        for change in (1, -1):
            hours = iter(HOUR + change * n for n in range(1, 9))
            with self.assertRaises(ProtocolError):
                Run(Replica(pool()), lambda request: RangeDifferences(next(hours), 0))  # noqa: B023


finding_items = st.lists(
    st.sampled_from(range(POOL)).map(lambda n: pool()[n].item), max_size=4
).map(lambda items: tuple(ItemField(i.key, i.name, int(i.state)) for i in sorted(set(items))))
bounds = st.one_of(st.binary(max_size=3), st.sampled_from([b"", mailbox(1), b"\xff" * 64]))
findings = st.builds(
    Finding,
    st.integers(0, MAX_RANGES - 1),
    st.lists(st.builds(PartField, bounds, st.binary(min_size=16, max_size=16)), max_size=4).map(
        tuple
    ),
    finding_items,
    bounds,
)
anything = st.builds(
    RangeDifferences,
    st.integers(HOUR - 1, HOUR + 2),
    st.integers(0, MAX_RANGES),
    st.lists(findings, max_size=3).map(tuple),
)


def cut(lower: bytes, upper: bytes, parts: int) -> list[bytes]:
    """Bounds that make so many equal parts of a range, its own upper one the last."""
    low = int.from_bytes(lower.ljust(64, b"\0"))
    high = int.from_bytes(upper[:64].ljust(64, b"\0"))
    bounds = [(low + (high - low) * n // parts).to_bytes(64) for n in range(1, parts)]
    return [*bounds, upper]


class LiarTests(SynchronousTestCase):
    """A peer that says what it likes: the comparison ends, within its bounds."""

    def assert_ends(self, answer: Callable[[CompareRanges], RangeDifferences]) -> None:
        with self.assertRaises(ProtocolError):
            Run(Replica(pool()), answer)

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.lists(anything, min_size=1, max_size=12))
    def test_whatever_it_says(self, answers: list[RangeDifferences]) -> None:
        """It is a protocol error, or an answer; nothing else comes of it."""
        asker = Replica(pool()[:50])
        rest = iter(answers)
        last = RangeDifferences(HOUR, 1)
        try:
            run = Run(asker, lambda request: next(rest, last))
        except ProtocolError:
            return
        self.assertLessEqual(run.most_pending, MAX_PENDING)
        self.assertTrue(set(run.found) <= {it.item for it in pool()})

    def split(self, own_parts: int) -> tuple[str, int]:
        """Everything differs, in ever smaller parts: how it ends, and the most ranges pending.

        :param own_parts: into how many the asker splits what it holds.
        """
        most = 0
        comparison = Comparison(WHOLE, HOUR)
        try:
            while True:
                while (stretch := comparison.next()) is not None:
                    uppers = cut(stretch.lower, stretch.upper, own_parts)
                    comparison.weigh(stretch, [RangeSum(upper, 7_000, 7) for upper in uppers])
                request = comparison.request()
                assert request is not None
                findings = [
                    Finding(
                        index,
                        tuple(
                            PartField(b"" if upper == END else upper, bytes([n]) * 16)
                            for n, upper in enumerate(cut(it.lower, it.upper or END, 16))
                        ),
                    )
                    for index, it in enumerate(request.ranges)
                ]
                comparison.take(RangeDifferences(HOUR, len(findings), tuple(findings)))
                most = max(most, comparison.pending)
        except ProtocolError as error:
            return str(error), most

    def test_splitting_without_end(self) -> None:
        """Each part of each part differs: after so many levels it is given up."""
        self.patch(comparison_module, "MAX_PENDING", 10**6)
        reason, most = self.split(1)
        self.assertIn("split without end", reason)
        self.assertLessEqual(most, MAX_LEVELS * 17 * 16)

    def test_splitting_into_too_many(self) -> None:
        """Ranges to look at are bounded, however they come about."""
        reason, most = self.split(16)
        self.assertIn("too many ranges", reason)
        self.assertLessEqual(most, MAX_PENDING)

    def test_rounds_that_bring_nothing(self) -> None:
        """One that invents items, which are never there to be fetched, is left in the end."""
        asked = 0

        def creeping(request: CompareRanges) -> RangeDifferences:
            """One item a round that does not exist, a little further on each time."""
            nonlocal asked
            asked += 1
            field = request.ranges[0]
            there = (int.from_bytes(field.lower.ljust(64, b"\0")) + 1).to_bytes(64)
            until = (int.from_bytes(there) + 1).to_bytes(64)
            item = ItemField(there[:32], there[32:], 1)
            return RangeDifferences(request.hour, 1, (Finding(0, (), (item,), until),))

        asker = Replica()
        comparison = Comparison(WHOLE, HOUR)
        with self.assertRaises(ProtocolError) as caught:
            while (request := asker.ask(comparison)) is not None:
                comparison.take(creeping(request))
        self.assertIn("without end", str(caught.exception))
        self.assertEqual(asked, MAX_ROUNDS)

    def test_answers_to_what_was_not_asked(self) -> None:
        """Each breaks one rule."""
        first = sorted(pool(), key=lambda it: place(it.item))[:2]
        one, two = (ItemField(i.item.key, i.item.name, 1) for i in first)
        part = PartField(b"", b"f" * 16)
        low, high = PartField(b"\x10", b"f" * 16), PartField(b"\x90", b"g" * 16)
        for answer in (
            RangeDifferences(HOUR, 0),
            RangeDifferences(HOUR, 2),
            RangeDifferences(HOUR - 1, 1),
            RangeDifferences(HOUR + 1, 1),
            RangeDifferences(HOUR + 1, 0, (Finding(0),)),
            RangeDifferences(HOUR, 1, (Finding(1),)),
            RangeDifferences(HOUR, 1, (Finding(0), Finding(0))),
            RangeDifferences(HOUR, 1, (Finding(0, (part,)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (low, high)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (high, low, part)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (low, low, part)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (low, part), (one,)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (low, part), (), b"\x20"),)),
            RangeDifferences(HOUR, 1, (Finding(0, (), (two, one)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (), (one, one)),)),
            RangeDifferences(HOUR, 1, (Finding(0, (), (), b"\x20"),)),
            RangeDifferences(HOUR, 1, (Finding(0, (), (one,), one.key + one.name),)),
        ):
            self.assert_ends(lambda request, answer=answer: answer)  # type: ignore[misc]
        with self.assertRaises(ProtocolError):
            Run(Replica(), lambda request: RangeDifferences(HOUR, 1, (Finding(0, (low, part)),)))
        outside = Finding(0, (), (ItemField(b"\x01" * 32, bytes(32), 1),))
        with self.assertRaises(ProtocolError):
            Run(Replica(), lambda request: RangeDifferences(HOUR, 1, (outside,)), [(b"\x02", END)])


class AnswerTests(SynchronousTestCase):
    """The side that is asked."""

    def refused(self, replica: Replica, *ranges: RangeField, hour: int = HOUR) -> type[Refusal]:
        try:
            replica.answer(CompareRanges(hour, ranges))
        except Refusal as error:
            return type(error)
        raise AssertionError("it was answered")

    def test_only_for_those_who_may_ask(self) -> None:
        """About every key of every range; the last one is looked at like the first."""
        replica = Replica(pool())
        replica.view.may = False
        field = RangeField(b"\x10" * 32, b"\x20" * 32, b"f" * 16)
        self.assertEqual(self.refused(replica, field), NotReplica)
        replica.view.may = True
        replica.answer(CompareRanges(HOUR, (field, RangeField(b"\x30", b"\x31"))))
        self.assertEqual(
            replica.view.arcs[1:],
            [
                Arc(b"\x10" * 31 + b"\x0f", b"\x20" * 31 + b"\x1f"),
                Arc(b"\x2f" + b"\xff" * 31, b"\x30" + b"\xff" * 31),
            ],
        )

    def test_ranges_in_which_nothing_can_lie(self) -> None:
        """Are malformed."""
        replica = Replica()
        for lower, upper in ((b"b", b"a"), (b"a", b"a"), (b"\0", b"\0\0"), (b"", b"\0")):
            self.assertEqual(self.refused(replica, RangeField(lower, upper)), Malformed)

    def test_one_at_a_time_of_each(self) -> None:
        """While one is under way; afterwards the next one is welcome."""
        replica = Replica(pool())
        held_up: list[Deferred[list[RangeSum]]] = []

        def summed(*args: object, **more: object) -> Deferred[list[RangeSum]]:
            held_up.append(Deferred())
            return held_up[-1]

        self.patch(replica.store, "sum_items", summed)
        request = CompareRanges(HOUR, (RangeField(b"", b"", b"f" * 16),))
        first = Deferred.fromCoroutine(replica.answers.answer(b"a" * 32, request))
        second = Deferred.fromCoroutine(replica.answers.answer(b"a" * 32, request))
        self.failureResultOf(second, TooMany)
        another = Deferred.fromCoroutine(replica.answers.answer(b"b" * 32, request))
        held_up[0].callback([RangeSum(END, 0, 0)])
        self.successResultOf(first)
        again = Deferred.fromCoroutine(replica.answers.answer(b"a" * 32, request))
        for waiting in held_up[1:]:
            waiting.callback([RangeSum(END, 0, 0)])
        self.successResultOf(another)
        self.successResultOf(again)

    def test_an_answer_fits_a_frame(self) -> None:
        """What has no room is left for the next request, which asks about it again."""
        replica = Replica(pool())
        cuts = [b"", *(place(it) for it in sorted(replica.items())[20::22]), b""]
        fields = [
            RangeField(lower, upper, bytes([n]) * 16)
            for n, (lower, upper) in enumerate(pairwise(cuts))
        ]
        answer = replica.answer(CompareRanges(HOUR, tuple(fields[:32])))
        self.assertLess(len(encode(answer)), MAX_BODY_BYTES)
        self.assertEqual([it.range for it in answer.findings], list(range(answer.looked)))
        listing = [RangeField(b"", b"")] * 32
        answer = replica.answer(CompareRanges(HOUR, tuple(listing)))
        self.assertLess(len(encode(answer)), MAX_BODY_BYTES)
        self.assertEqual(answer.looked, 1)

    def test_the_first_finding_always_has_room(self) -> None:
        """Or nothing would ever be said."""
        items = [Item(n.to_bytes(32), bytes(32), ItemState.ENVELOPE) for n in range(512)]
        answer = Answer(HOUR)
        self.assertTrue(answer.listed(items, b"u" * 64))
        self.assertFalse(answer.listed(items))
        self.assertLess(len(encode(answer.message())), MAX_BODY_BYTES)
        parts = [RangeSum(bytes([n]) * 64, 1, n) for n in range(16)]
        answer = Answer(HOUR)
        while answer.split(parts):
            pass
        self.assertGreater(answer.message().looked, 30)
        self.assertLess(len(encode(answer.message())), MAX_BODY_BYTES)

    def test_a_page_of_which_all_is_named(self) -> None:
        """Still says where it goes on."""
        replica = Replica([letter(n) for n in range(600)])
        items = sorted(replica.items())
        self.patch(reconcile, "unnamed", lambda items, held: [])
        answer = replica.answer(CompareRanges(HOUR, (RangeField(b"", b""),)))
        (finding,) = answer.findings
        self.assertEqual([it.name for it in finding.items], [items[511].name])
        self.assertGreater(finding.until, place(items[511]))
        self.assertLessEqual(finding.until, place(items[512]))


class RangeTests(SynchronousTestCase):
    """Bounds, arcs, places."""

    keys = st.one_of(
        st.binary(min_size=32, max_size=32), st.sampled_from([bytes(32), b"\xff" * 32])
    )

    @given(keys, keys, keys, st.binary(min_size=32, max_size=32))
    def test_an_arc_is_its_ranges(self, start: bytes, end: bytes, key: bytes, name: bytes) -> None:
        """A place lies in one of them exactly when its key lies in the arc."""
        ranges = ranges_of(Arc(start, end))
        for one in (key, start, end):
            inside = [lower <= one + name < upper for lower, upper in ranges]
            self.assertEqual(sum(inside), one in Arc(start, end))

    @given(
        st.binary(max_size=64), st.binary(max_size=64), keys, st.binary(min_size=32, max_size=32)
    )
    def test_a_range_lies_in_its_arc(
        self, lower: bytes, upper: bytes, key: bytes, name: bytes
    ) -> None:
        """So whoever may ask about the arc may be told of the range."""
        for bound in (upper or END, END):
            arc = arc_of(lower, bound)
            if lower <= key + name < bound:
                assert arc is not None
                self.assertIn(key, arc)
        arc = arc_of(b"", END)
        self.assertEqual(arc, Arc(b"\xff" * 32, b"\xff" * 32))

    @given(st.binary(min_size=64, max_size=64), st.binary(min_size=64, max_size=64))
    def test_separators(self, one: bytes, other: bytes) -> None:
        """Between the two, and no longer than needed."""
        if one == other:
            self.assertRaises(ValueError, separator, one, other)
            return
        before, after = sorted((one, other))
        bound = separator(before, after)
        self.assertTrue(before < bound <= after)
        self.assertFalse(before < bound[:-1] <= after)

    def test_pages(self) -> None:
        """The last one has no rest."""
        items = [Item(bytes([n]) * 32, bytes(32), ItemState.RECORD) for n in range(5)]
        self.assertEqual(page_of(items, 5), (items, b""))
        self.assertEqual(page_of(items, 3), (items[:3], b"\x03"))

    def test_bounds_of_a_field(self) -> None:
        """An empty upper bound is behind everything."""
        lower, upper, arc = bounds_of(RangeField(b"", b""))
        self.assertEqual((lower, upper), (b"", END))
        self.assertIn(bytes(32), arc)

    def test_names_are_of_place_and_state(self) -> None:
        """A tombstone is not covered by its envelope's name."""
        one = pool()[0]
        held = Comparison(WHOLE, HOUR)
        stretch = held.next()
        assert stretch is not None
        held.name(stretch, [one.item])
        request = held.request()
        assert request is not None
        (field,) = request.ranges
        self.assertEqual(unnamed([one.item, one.buried_item], field.held), [one.buried_item])
        self.assertLessEqual(len(field.held), 8 * LEAF_ITEMS)
