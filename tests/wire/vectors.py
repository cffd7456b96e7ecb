"""The vector files: messages as JSON, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from tace.wire.message import Message, encode

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "wire"
MESSAGES = VECTORS / "messages.json"
FROZEN = VECTORS / "frozen.json"


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def plain(value: Any) -> Any:
    """A field for JSON: bytes become ``{"bytes": hex}``, arrays lists."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, msgspec.Struct):
        return [plain(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def vector_of(message: Message) -> dict[str, Any]:
    """``name``, ``number``, ``fields`` (in wire order) and ``hex`` (the body)."""
    return {
        "name": type(message).__name__,
        "number": message.NUMBER,
        "fields": plain(message),
        "hex": encode(message).hex(),
    }
