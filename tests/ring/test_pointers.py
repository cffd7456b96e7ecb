"""The pointer rules."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId, Place, between
from tace.ring.pointers import (
    MAX_LIST_ENTRIES,
    Pointers,
    merged,
    nearer_successors,
    should_replace_predecessor,
)

NODES = [bytes([n]) * 32 for n in range(30)]
PLACES = sorted((Place(node, i) for node in NODES for i in range(2)), key=lambda p: p.position)
places = st.sampled_from(PLACES)


def nobody(_: NodeId) -> bool:
    """No node is dead."""
    return False


def after(place: Place) -> list[Place]:
    """Every other place, clockwise."""
    at = PLACES.index(place)
    return PLACES[at + 1 :] + PLACES[:at]


class MergedTests(SynchronousTestCase):
    """Successor lists."""

    @given(places, st.integers(1, 40), st.lists(places, max_size=20), st.sets(places))
    def test_order_distinctness_and_length(
        self, own: Place, distinct: int, rest: list[Place], dead: set[Place]
    ) -> None:
        """Whatever a head sends, the list is in ring order, without self and the dead, bounded."""
        head = after(own)[0]
        gone = {place.node for place in dead} - {head.node}
        found = merged(
            own, head, rest, after(head), distinct_nodes=distinct, is_dead=gone.__contains__
        )
        self.assertEqual(found[0], head)
        self.assertNotIn(own, found)
        self.assertLessEqual(len({p.node for p in found} - {own.node}), distinct)
        self.assertLessEqual(len(found), MAX_LIST_ENTRIES)
        self.assertFalse({p.node for p in found[1:]} & gone)
        line = [own.position, *(p.position for p in found)]
        for before, here in itertools.pairwise(line):
            self.assertTrue(between(before, here, own.position))

    def test_it_follows_the_heads_list_until_order_breaks(self) -> None:
        """A list that turns back is cut there, never re-ordered."""
        own, one, two, three, four = PLACES[:5]
        found = merged(own, one, [two, four, three], (), distinct_nodes=16, is_dead=nobody)
        self.assertEqual(found, (one, two, four))

    def test_hints_only_extend_the_tail(self) -> None:
        """What is only known from membership never stands before what was heard."""
        own, one, two, three, four = PLACES[:5]
        found = merged(own, one, [three], [two, four], distinct_nodes=4, is_dead=nobody)
        self.assertEqual(found, (one, three, four))

    def test_own_places_do_not_count(self) -> None:
        """r counts other physical nodes."""
        own = PLACES[0]
        sibling = Place(own.node, 1 - own.number)
        order = after(own)
        at = order.index(sibling)
        found = merged(own, order[0], order[1:], (), distinct_nodes=len(NODES), is_dead=nobody)
        self.assertIn(sibling, found)
        self.assertEqual(len({p.node for p in found} - {own.node}), len(NODES) - 1)
        self.assertLess(at, len(found))


class CandidateTests(SynchronousTestCase):
    """Who may be asked to become the successor."""

    def test_only_nearer_living_ones_nearest_first(self) -> None:
        """Beyond the successor, the dead and this place itself are no candidates."""
        own, one, two, three, four, five = PLACES[:6]
        pointers = Pointers(own, None, (five,))
        found = nearer_successors(
            pointers,
            [four, None, two, own, PLACES[7], one, three],
            is_dead=lambda node: node == two.node,
        )
        expected = [p for p in (one, three, four) if p.node != two.node]
        self.assertEqual(found, expected[:3])

    def test_without_a_successor_everyone_is(self) -> None:
        """An empty list is repaired from whoever is known."""
        own, one = PLACES[:2]
        self.assertEqual(nearer_successors(Pointers(own), [one], is_dead=nobody), [one])


class RectifyTests(SynchronousTestCase):
    """When a predecessor gives way."""

    def test_the_four_cases(self) -> None:
        """None there: yes. Nearer: yes. The same or self: no. Farther: only if the old is dead."""
        one, two, three, own = PLACES[:4]
        self.assertIs(should_replace_predecessor(Pointers(own), one), True)
        self.assertIs(should_replace_predecessor(Pointers(own, two), three), True)
        self.assertIs(should_replace_predecessor(Pointers(own, two), two), False)
        self.assertIs(should_replace_predecessor(Pointers(own, two), own), False)
        self.assertIsNone(should_replace_predecessor(Pointers(own, two), one))


class DigestTests(SynchronousTestCase):
    """The digest behind ``unchanged``."""

    def test_every_part_changes_it(self) -> None:
        """Predecessor, list and membership all count."""
        own, one, two = PLACES[:3]
        base = Pointers(own, one, (two,))
        others = [
            base.joined(),
            base.with_predecessor(None),
            base.with_predecessor(two),
            base.with_successors(()),
            base.with_successors((two, one)),
        ]
        self.assertEqual(len({p.digest for p in [base, *others]}), 6)
        self.assertEqual(base.digest, Pointers(own, one, (two,)).digest)
