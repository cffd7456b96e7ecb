"""Outcomes of writes that began together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.delivery.gathering import Gathering
from tace.delivery.votes import Outcome

ONE, TWO, THREE = (Outcome("stored", copies, 3) for copies in (1, 2, 3))


class GatheringTests(SynchronousTestCase):
    def test_in_the_order_of_the_writes(self) -> None:
        gathering = Gathering(3)
        gathering.place(2)(THREE)
        gathering.place(0)(ONE)
        self.assertNoResult(gathering.all)
        gathering.place(1)(TWO)
        self.assertEqual(self.successResultOf(gathering.all), [ONE, TWO, THREE])

    def test_none_at_all(self) -> None:
        self.assertEqual(self.successResultOf(Gathering(0).all), [])
