"""Reading vector files: ``tests/vectors/NAME.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    """The content of one vector file, as JSON gives it."""
    return json.loads((FOLDER / f"{name}.json").read_text())
