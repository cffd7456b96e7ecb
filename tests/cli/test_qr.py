"""QR codes as text."""

from __future__ import annotations

import segno
from twisted.trial.unittest import SynchronousTestCase

from tace.cli.qr import qr_text

_HALVES = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}


def modules(text: str) -> list[list[int]]:
    """1 where a module is drawn, two rows from each line."""
    rows: list[list[int]] = []
    for line in text.splitlines():
        pairs = [_HALVES[character] for character in line]
        rows += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    return rows


class Drawing(SynchronousTestCase):
    def test_every_module(self) -> None:
        """What is drawn is light; around the code two light modules, and a line's other half."""
        for data in ("tace1abc", b"tace safety 1 " + bytes(range(64)), "x" * 300):
            drawn = modules(qr_text(data, colours=False))
            code = [
                list(row)
                for row in segno.make(data, micro=False, error="m", boost_error=False).matrix
            ]
            size = len(code)
            self.assertEqual((len(drawn), len(drawn[0])), (size + 5, size + 4))
            inside = [row[2:-2] for row in drawn[2 : 2 + size]]
            self.assertEqual(inside, [[1 - module for module in row] for row in code])
            quiet = [*drawn[:2], *drawn[2 + size :]]
            self.assertTrue(all(all(row) for row in quiet))
            self.assertTrue(all(row[:2] == row[-2:] == [1, 1] for row in drawn))

    def test_bytes_are_bytes(self) -> None:
        """The safety code's 78 bytes go in as they are: version 5 takes no more than 84 of them."""
        text = qr_text(b"tace safety 1 " + bytes(range(128, 192)), colours=False)
        self.assertEqual(len(text.splitlines()[0]), 37 + 4)

    def test_colours(self) -> None:
        """Each line sets white and black, and takes them back."""
        for line in qr_text("x", colours=True).splitlines():
            self.assertTrue(line.startswith("\x1b[38;5;231;48;5;16m"))
            self.assertTrue(line.endswith("\x1b[0m"))
