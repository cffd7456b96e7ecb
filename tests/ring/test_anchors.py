"""Which nodes are dialled first at the next start, and who stands behind a seed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.ids import NodeId
from tace.ring.anchors import MAX_WATCHED, Anchors
from tace.ring.seed_trust import REPEATED_SECONDS, SeedTrust, Verdict
from tace.seams import MAX_KNOWN_SEEDS, KnownSeed

NOW = 1_000_000.0


def node(number: int) -> NodeId:
    return number.to_bytes(32)


class AnchorTests(SynchronousTestCase):
    """Who has been here longest."""

    def setUp(self) -> None:
        self.anchors = Anchors()
        self.here = {node(number) for number in range(2000)}
        self.groups: dict[NodeId, int] = {}

    def choose(self) -> list[int]:
        chosen = self.anchors.choose(
            self.here.__contains__, lambda n: self.groups.get(n, int.from_bytes(n))
        )
        return [int.from_bytes(one) for one in chosen]

    def test_those_here_longest(self) -> None:
        """As this node met them; a later meeting does not make one younger."""
        for number, at in ((5, 1.0), (1, 2.0), (9, 3.0), (2, 4.0), (7, 5.0), (5, 6.0)):
            self.anchors.met(node(number), at)
        self.assertEqual(self.choose(), [5, 1, 9, 2])

    def test_a_break_begins_anew(self) -> None:
        for number in range(1, 6):
            self.anchors.met(node(number), float(number))
        self.here.discard(node(1))
        self.assertEqual(self.choose(), [2, 3, 4, 5])
        self.here.add(node(1))
        self.anchors.met(node(1), 9.0)
        self.assertEqual(self.choose(), [2, 3, 4, 5])

    def test_an_anchor_stays_one(self) -> None:
        """After a restart everybody is met anew; whoever comes first wins nothing."""
        self.anchors.load([node(8), node(9)])
        for number in (1, 2, 3, 9, 8):
            self.anchors.met(node(number), float(number))
        self.assertEqual(self.choose(), [8, 9, 1, 2])

    def test_too_few_do_not_push_out_those_before(self) -> None:
        self.anchors.load([node(8), node(9)])
        self.assertEqual(self.choose(), [8, 9])
        self.anchors.met(node(1), 1.0)
        self.assertEqual(self.choose(), [1, 8, 9])

    def test_address_groups_first(self) -> None:
        """One provider's nodes do not take all places while there are others."""
        self.groups = {node(number): 77 for number in range(1, 6)}
        for number in range(1, 8):
            self.anchors.met(node(number), float(number))
        self.assertEqual(self.choose(), [1, 6, 7, 2])

    def test_only_so_many_are_watched(self) -> None:
        for number in range(MAX_WATCHED + 50):
            self.anchors.met(node(number), float(number))
        self.assertEqual(len(self.anchors._since), MAX_WATCHED)
        self.assertEqual(self.choose(), [0, 1, 2, 3])


class SeedTrustTests(SynchronousTestCase):
    """Trust on first use."""

    def setUp(self) -> None:
        self.trust = SeedTrust()

    def judge(self, who: int, *, pinned: bool = False, at: str = "a.example:1") -> Verdict:
        return self.trust.judge(at, node(who), NOW, pinned=pinned)

    def test_the_first_is_remembered(self) -> None:
        """Once; the same one later is nothing new."""
        self.assertIs(self.judge(1), Verdict.FIRST)
        self.assertEqual(self.trust.take_unsaved(), [KnownSeed("a.example:1", node(1), NOW)])
        self.assertIs(self.judge(1), Verdict.SAME)
        self.assertEqual(self.trust.take_unsaved(), [])

    def test_another_one_later_does_not_take_its_place(self) -> None:
        self.trust.load([KnownSeed("a.example:1", node(1), 5.0)])
        self.assertIs(self.judge(2), Verdict.OTHER)
        self.assertEqual(self.trust.node_of("a.example:1"), node(1))
        self.assertEqual(self.trust.take_unsaved(), [])
        self.assertIs(self.judge(1), Verdict.SAME)

    def test_a_pin_settles_it(self) -> None:
        self.trust.load([KnownSeed("a.example:1", node(1), 5.0)])
        self.assertIs(self.judge(2, pinned=True), Verdict.SAME)
        self.assertEqual(self.trust.take_unsaved(), [KnownSeed("a.example:1", node(2), NOW)])
        self.assertIs(self.judge(2), Verdict.SAME)

    def test_one_line_a_day(self) -> None:
        self.assertTrue(self.trust.is_worth_a_line("a", NOW))
        self.assertFalse(self.trust.is_worth_a_line("a", NOW + REPEATED_SECONDS - 1))
        self.assertTrue(self.trust.is_worth_a_line("b", NOW))
        self.assertTrue(self.trust.is_worth_a_line("a", NOW + REPEATED_SECONDS))

    def test_only_so_many_are_remembered(self) -> None:
        for number in range(MAX_KNOWN_SEEDS + 9):
            self.trust.judge(f"s{number}", node(1), NOW + number, pinned=False)
            self.trust.is_worth_a_line(f"s{number}", NOW)
        self.assertIsNone(self.trust.node_of("s8"))
        self.assertEqual(self.trust.node_of("s9"), node(1))
        self.assertEqual(len(self.trust._told), MAX_KNOWN_SEEDS)
