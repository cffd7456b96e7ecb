"""How many lines an attacker can have written about itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.limits import Notices


class NoticesTests(SynchronousTestCase):
    """Lines by group, and in all."""

    def test_one_line_an_interval(self) -> None:
        """The first at once; the next tells how many there were meanwhile."""
        notices = Notices(10)
        self.assertEqual([notices.note("a", 0.0) for _ in range(1000)], [1] + [0] * 999)
        self.assertEqual(notices.note("a", 9.9), 0)
        self.assertEqual(notices.note("a", 10.0), 1001)
        self.assertEqual(notices.note("a", 20.0), 1)

    def test_groups_do_not_share(self) -> None:
        """One that floods keeps no line about another back."""
        notices = Notices(10)
        for _ in range(1000):
            notices.note("a", 0.0)
        self.assertEqual(notices.note("b", 0.0), 1)

    def test_in_all(self) -> None:
        """Many groups do not fill the log either, and nothing is lost from the count."""
        notices = Notices(10, lines_per_second=1, burst=5)
        lines = sum(notices.note(str(number), 0.0) > 0 for number in range(1000))
        self.assertEqual(lines, 5)
        self.assertEqual(notices.note("999", 3.0), 2)

    def test_memory(self) -> None:
        """Groups that are too many are forgotten; those that stay are not."""
        notices = Notices(10, 3, burst=100)
        for group in ("a", "b", "c", "d"):
            notices.note(group, 0.0)
        self.assertEqual([notices.note(group, 0.0) for group in "dcb"], [0, 0, 0])
        self.assertEqual(notices.note("a", 0.0), 1)
        self.assertRaises(ValueError, Notices, 10, 0)
