"""Where on the ring lies what a node does not keep for good (page 2.4). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tace.ids import Arc, distance


def gaps_between(held: Sequence[Arc]) -> list[Arc]:
    """The arcs between these, which stand in ring order and do not overlap."""
    gaps = []
    for arc, following in zip(held, [*held[1:], *held[:1]], strict=True):
        if arc.end != following.start:
            gaps.append(Arc(arc.end, following.start))
    return gaps


def from_there_on(arcs: Sequence[Arc], key: bytes) -> list[Arc]:
    """The same stretch of the ring, beginning after ``key``; an arc with it inside comes in two."""
    parts: list[Arc] = []
    for arc in arcs:
        if key in arc and key != arc.end:
            parts += [Arc(arc.start, key), Arc(key, arc.end)]
        else:
            parts.append(arc)
    return sorted(parts, key=lambda arc: distance(key, arc.start))
