"""What lies outside the arcs that a node keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.ids import Arc
from tace.mailbox.gaps import from_there_on, gaps_between

A, B, C, D = (bytes([n]) * 32 for n in (10, 20, 30, 40))
KEYS = st.integers(0, 255).map(lambda n: bytes([n]) * 32)


class GapsTests(SynchronousTestCase):
    """Between arcs."""

    def test_gaps(self) -> None:
        """None where arcs touch; the last one may wrap."""
        self.assertEqual(gaps_between([]), [])
        self.assertEqual(gaps_between([Arc(A, A)]), [])
        self.assertEqual(gaps_between([Arc(A, B)]), [Arc(B, A)])
        self.assertEqual(gaps_between([Arc(A, B), Arc(C, D)]), [Arc(B, C), Arc(D, A)])
        self.assertEqual(gaps_between([Arc(A, B), Arc(B, C)]), [Arc(C, A)])


class FromThereOn(SynchronousTestCase):
    """The same, beginning somewhere else."""

    def test_within_an_arc(self) -> None:
        """It is cut in two, and its first part comes last."""
        arcs = [Arc(A, C), Arc(D, A)]
        self.assertEqual(from_there_on(arcs, B), [Arc(B, C), Arc(D, A), Arc(A, B)])

    def test_between_arcs(self) -> None:
        """The next one comes first."""
        self.assertEqual(from_there_on([Arc(A, B), Arc(C, D)], B), [Arc(C, D), Arc(A, B)])

    def test_an_arc_that_wraps(self) -> None:
        """Cut before and behind the wrap."""
        self.assertEqual(from_there_on([Arc(D, B)], A), [Arc(A, B), Arc(D, A)])

    @given(st.lists(KEYS, min_size=2, max_size=8, unique=True), KEYS, KEYS)
    def test_the_same_keys(self, ends: list[bytes], start: bytes, key: bytes) -> None:
        """None is lost, and none comes twice."""
        ends = sorted(ends)[: len(ends) // 2 * 2]
        arcs = [Arc(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True)]
        before = sum(key in arc for arc in arcs)
        self.assertEqual(sum(key in arc for arc in from_there_on(arcs, start)), before)
