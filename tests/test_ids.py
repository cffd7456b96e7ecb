"""Identifiers, arcs and labels."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.ids import (
    POSITIONS_PER_NODE,
    RING_SIZE,
    Arc,
    Label,
    Place,
    between,
    distance,
    masked_indices,
    position_of,
)

ids = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.sampled_from([bytes(32), b"\xff" * 32, bytes(31) + b"\1"]),
)


class LabelTests(SynchronousTestCase):
    """Domain separation."""

    def test_no_label_is_a_prefix_of_another(self) -> None:
        """label || fields can be read in one way only."""
        labels = [value for name, value in vars(Label).items() if name.isupper()]
        self.assertGreater(len(labels), 10)
        for one in labels:
            for other in labels:
                if one is not other:
                    self.assertFalse(other.startswith(one), f"{one!r} begins {other!r}")


small_ids = st.integers(0, 9).map(lambda n: n.to_bytes(32))


class ArcTests(SynchronousTestCase):
    """The circle's arithmetic, against integers."""

    @given(ids, ids, ids)
    def test_between_is_what_distances_say(self, start: bytes, x: bytes, end: bytes) -> None:
        """x is strictly inside (start, end) when it comes before end and is not start."""
        span = distance(start, end) or RING_SIZE
        self.assertEqual(between(start, x, end), 0 < distance(start, x) < span)

    @given(ids, ids, ids)
    def test_an_arc_holds_its_end_and_not_its_start(
        self, start: bytes, x: bytes, end: bytes
    ) -> None:
        """(start, end] is between, plus the end; the whole ring when both are one point."""
        whole = start == end
        self.assertEqual(x in Arc(start, end), whole or between(start, x, end) or x == end)

    @given(small_ids, small_ids, small_ids, small_ids)
    def test_an_arc_covers_what_holds_nothing_else(
        self, start: bytes, end: bytes, other_start: bytes, other_end: bytes
    ) -> None:
        """On a part of the circle that is small enough to look at every point."""
        arc, other = Arc(start, end), Arc(other_start, other_end)
        points = [*(n.to_bytes(32) for n in range(10)), b"\xff" * 32]
        self.assertEqual(arc.covers(other), all(p in arc for p in points if p in other))

    @given(ids, ids, ids)
    def test_segments_cover_the_arc_and_nothing_else(
        self, start: bytes, x: bytes, end: bytes
    ) -> None:
        """Storage can walk an arc as plain ranges of keys."""
        arc = Arc(start, end)
        inside = any(low < x <= high for low, high in arc.segments())
        # The very first key is after the empty string, so it is in a segment that begins there.
        self.assertEqual(inside, x in arc)


class PositionTests(SynchronousTestCase):
    """Where a node may stand."""

    def test_positions_of_one_node_differ_and_are_fixed(self) -> None:
        """A position is a hash of node and number."""
        node = b"n" * 32
        found = {position_of(node, number) for number in range(POSITIONS_PER_NODE)}
        self.assertEqual(len(found), POSITIONS_PER_NODE)
        self.assertEqual(Place(node, 3).position, position_of(node, 3))

    def test_there_are_eight(self) -> None:
        """No other number names a position."""
        for number in (-1, 8):
            self.assertRaises(ValueError, position_of, b"n" * 32, number)

    def test_a_mask_names_its_bits(self) -> None:
        """Bit i stands for position number i."""
        self.assertEqual(list(masked_indices(0b1010_0001)), [0, 5, 7])
