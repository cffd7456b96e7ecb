"""Domain labels."""

from __future__ import annotations

from itertools import permutations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.labels import E2eeLabel
from tace.ids import Label


class LabelTests(SynchronousTestCase):
    def test_no_label_starts_another(self) -> None:
        """label || fields can be read in one way only, over all labels of the project."""
        labels = [
            value
            for family in (Label, E2eeLabel)
            for name, value in vars(family).items()
            if name.isupper()
        ]
        self.assertGreater(len(labels), 20)
        for one, other in permutations(labels, 2):
            self.assertFalse(one.startswith(other), (one, other))
