"""When a network is one ring."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tace.lab.ring_shape import missing_for_one_ring
from tests.lab.fakes import ring_statuses


class OneRing(SynchronousTestCase):
    """Nothing is missing from an ideal ring, and each fault is seen."""

    def test_ideal(self) -> None:
        """One node alone, two, five, and nodes with a single position."""
        for nodes, positions in ((1, 4), (2, 4), (5, 4), (5, 1)):
            self.assertEqual(missing_for_one_ring(ring_statuses(nodes, positions)), "")

    def test_alone_but_not_ready(self) -> None:
        """A single node must have got as far as serving."""
        (status,) = ring_statuses(1)
        joining = msgspec.structs.replace(status, state="joining")
        self.assertEqual(missing_for_one_ring([joining]), "the node is joining")

    def test_state(self) -> None:
        """All must be members."""
        statuses = ring_statuses(3)
        statuses[2] = msgspec.structs.replace(statuses[2], state="alone")
        self.assertEqual(missing_for_one_ring(statuses), "node 2 is alone")

    def test_members(self) -> None:
        """All must know all; knowing more (the dead of yesterday) does no harm."""
        statuses = ring_statuses(3)
        statuses[1] = msgspec.structs.replace(statuses[1], members=4)
        self.assertEqual(missing_for_one_ring(statuses), "")
        statuses[1] = msgspec.structs.replace(statuses[1], members=2)
        self.assertEqual(missing_for_one_ring(statuses), "node 1 knows 2 of 3 nodes")

    def test_two_rings(self) -> None:
        """Two rings that know each other are not one."""
        self.assertNotEqual(ring_statuses(2)[0], ring_statuses(4)[0])
        statuses = ring_statuses(2) + ring_statuses(4)[2:]
        statuses = [msgspec.structs.replace(status, members=4) for status in statuses]
        self.assertRegex(missing_for_one_ring(statuses), "a (prede|suc)cessor of node . is not")

    def test_single_pointers(self) -> None:
        """One wrong pointer of one position is enough."""
        for field, value, fault in (
            ("successors", (b"\x01" * 32,), "a successor of node 1 is not in place"),
            ("successors", (), "a successor of node 1 is not in place"),
            ("predecessor", b"", "a predecessor of node 1 is not in place"),
        ):
            statuses = ring_statuses(3)
            positions = list(statuses[1].positions)
            positions[2] = msgspec.structs.replace(positions[2], **{field: value})
            statuses[1] = msgspec.structs.replace(statuses[1], positions=tuple(positions))
            self.assertEqual(missing_for_one_ring(statuses), fault)
