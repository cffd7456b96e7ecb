"""QR codes in a terminal: two modules in one character (half blocks)."""

from __future__ import annotations

from itertools import zip_longest

import segno

_QUIET_MODULES = 2
"""The standard asks for four; readers do with two, and a small window shows more of the code."""
_BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
_BLACK_ON_WHITE = "\x1b[38;5;231;48;5;16m"
_RESET = "\x1b[0m"


def qr_text(data: str | bytes, *, colours: bool) -> str:
    """Lines of text that show the code.

    :param data: bytes go in as they are (byte mode, no character set named).
    :param colours: set white and black for a terminal of whatever colours; without, light
        modules are drawn, as a dark terminal needs.
    """
    code = segno.make(data, micro=False, error="m", boost_error=False)
    # Light modules are drawn: what is left out is dark.
    rows = [[not dark for dark in row] for row in code.matrix_iter(border=_QUIET_MODULES)]
    lines = [
        "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip_longest(rows[::2], rows[1::2], fillvalue=[True] * len(rows[0]))
    ]
    if colours:
        lines = [f"{_BLACK_ON_WHITE}{line}{_RESET}" for line in lines]
    return "\n".join(lines)
