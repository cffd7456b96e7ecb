"""Search in texts: without case and accents, as the web client does."""

from __future__ import annotations

from unicodedata import category, normalize


def fold(text: str) -> str:
    """Lower case, compatibility forms, no marks (NFKD, Unicode Standard Annex 15)."""
    decomposed = normalize("NFKD", text)
    return "".join(c for c in decomposed if not category(c).startswith("M")).lower()


def contains(text: str, wanted: str) -> bool:
    """:param wanted: folded already."""
    return wanted in fold(text)
