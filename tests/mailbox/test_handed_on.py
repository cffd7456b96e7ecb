"""Who has which stretch, against a table of every place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.mailbox.handed_on import HandedOn

MOST = 30
A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))
BOUNDS = (
    st.tuples(st.integers(0, MOST), st.integers(0, MOST)).map(sorted).filter(lambda b: b[0] < b[1])
)
STEPS = st.lists(st.tuples(BOUNDS, st.frozensets(st.sampled_from([A, B, C]))), max_size=12)


def place(number: int) -> bytes:
    return bytes([number])


class HandedOnTests(SynchronousTestCase):
    """One table."""

    @given(STEPS, BOUNDS)
    def test_against_a_plain_table(
        self, steps: list[tuple[list[int], frozenset[bytes]]], asked: list[int]
    ) -> None:
        """The nodes of a stretch are those that have each place of it; the latest word holds."""
        table = HandedOn(1000)
        plain: dict[int, frozenset[bytes]] = {}
        for (lower, upper), nodes in steps:
            if nodes:
                table.note(place(lower), place(upper), nodes)
            else:
                table.forget(place(lower), place(upper))
            plain.update(dict.fromkeys(range(lower, upper), nodes))
        wanted = [plain.get(number, frozenset()) for number in range(*asked)]
        expected = wanted[0].intersection(*wanted) if all(wanted) else frozenset()
        self.assertEqual(table.nodes(place(asked[0]), place(asked[1])), expected)

    def test_nothing_is_known(self) -> None:
        """Nobody has it."""
        table = HandedOn(4)
        self.assertEqual(table.nodes(place(1), place(2)), frozenset())
        table.note(place(5), place(6), frozenset([A]))
        self.assertEqual(table.nodes(place(1), place(2)), frozenset())
        self.assertEqual(table.nodes(place(6), place(7)), frozenset())

    def test_neighbours_become_one(self) -> None:
        """Page by page, forwards and backwards, and into a gap."""
        table = HandedOn(4)
        table.note(place(1), place(3), frozenset([A]))
        table.note(place(5), place(7), frozenset([A]))
        self.assertEqual(len(table), 2)
        table.note(place(3), place(5), frozenset([A]))
        self.assertEqual(len(table), 1)
        self.assertEqual(table.nodes(place(1), place(7)), frozenset([A]))
        table.note(place(7), place(8), frozenset([B]))
        self.assertEqual(len(table), 2)

    def test_bound(self) -> None:
        """One more, and the one behind it is forgotten; behind the last comes the first."""
        table = HandedOn(3)
        for number in (1, 5, 9):
            table.note(place(number), place(number + 1), frozenset([A]))
        table.note(place(7), place(8), frozenset([A]))
        self.assertEqual(len(table), 3)
        self.assertEqual(table.nodes(place(9), place(10)), frozenset())
        self.assertEqual(table.nodes(place(7), place(8)), frozenset([A]))
        table.note(place(20), place(21), frozenset([A]))
        self.assertEqual(len(table), 3)
        self.assertEqual(table.nodes(place(1), place(2)), frozenset())

    def test_cleared(self) -> None:
        """All of it."""
        table = HandedOn(3)
        table.note(place(1), place(9), frozenset([A]))
        table.clear()
        self.assertEqual(len(table), 0)
        self.assertEqual(table.nodes(place(1), place(2)), frozenset())
