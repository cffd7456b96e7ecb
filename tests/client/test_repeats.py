"""When what is stored is offered again: the web client keeps to the same vectors."""

from __future__ import annotations

import json
import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tace.client.backoff import Repeats

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "client" / "repeats.json").read_text()
)


class Drawn(random.Random):
    """Draws one number again and again."""

    def __init__(self, drawn: float) -> None:
        super().__init__(0)
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn


class Law(SynchronousTestCase):
    """Each wait is twice as long as the one before, within its bounds."""

    def test_vectors(self) -> None:
        """To the second."""
        repeats = Repeats()
        self.assertEqual(repeats.absent_seconds, VECTORS["absent_seconds"])
        for row in VECTORS["waits"]:
            source = Drawn(row["drawn"])
            self.assertEqual(repeats.after(row["offers"], source), row["seconds"], row)
            refused = repeats.after_refusal(row["offers"], source)
            self.assertEqual(refused, row["seconds_after_refusal"], row)
