"""Which stretches of the ring were handed on, and to whom (page 2.4). Pure.

A stretch is the range ``[lower, upper)`` of byte strings that compare as such: places of items, or
hashes of blobs. What is forgotten is only offered once more, so the table is bounded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from tace.ids import NodeId

NOBODY: frozenset[NodeId] = frozenset()


@dataclass(frozen=True, slots=True)
class _Span:
    upper: bytes
    nodes: frozenset[NodeId]


class HandedOn:
    """Spans that do not overlap, and the nodes that have all of each.

    :param most: spans; the one behind the latest is forgotten for one more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lowers: list[bytes] = []
        self._spans: list[_Span] = []

    def __len__(self) -> int:
        return len(self._lowers)

    def nodes(self, lower: bytes, upper: bytes) -> frozenset[NodeId]:
        """Those that have all of ``[lower, upper)``; nobody where part of it is not known."""
        at = bisect_right(self._lowers, lower) - 1
        if at < 0:
            return NOBODY
        common = self._spans[at].nodes
        reached = self._spans[at].upper
        while lower < reached < upper:
            at += 1
            if at == len(self._lowers) or self._lowers[at] != reached:
                return NOBODY
            common &= self._spans[at].nodes
            reached = self._spans[at].upper
        return common if lower < reached else NOBODY

    def note(self, lower: bytes, upper: bytes, nodes: frozenset[NodeId]) -> None:
        """These have all of ``[lower, upper)``, whatever was known of it before."""
        at = self._clear(lower, upper)
        if not nodes:
            return
        # Neighbours with the same nodes become one: a ring has few sets, a store many pages.
        if at < len(self._lowers) and self._lowers[at] == upper and self._spans[at].nodes == nodes:
            upper = self._spans[at].upper
            self._drop(at, at + 1)
        if at and self._spans[at - 1] == _Span(lower, nodes):
            at -= 1
            lower = self._lowers[at]
            self._drop(at, at + 1)
        self._lowers.insert(at, lower)
        self._spans.insert(at, _Span(upper, nodes))
        if len(self._lowers) > self._most:
            behind = (at + 1) % len(self._lowers)
            self._drop(behind, behind + 1)

    def forget(self, lower: bytes, upper: bytes) -> None:
        """Nobody is known to have ``[lower, upper)``."""
        self._clear(lower, upper)

    def clear(self) -> None:
        """Forget all of it."""
        self._drop(0, len(self._lowers))

    def _clear(self, lower: bytes, upper: bytes) -> int:
        """Have no span in that range; the index at which one would stand."""
        self._cut(lower)
        self._cut(upper)
        first, last = bisect_left(self._lowers, lower), bisect_left(self._lowers, upper)
        self._drop(first, last)
        return first

    def _cut(self, bound: bytes) -> None:
        """Have a span that goes beyond that bound end there, and another one begin."""
        at = bisect_left(self._lowers, bound) - 1
        if at >= 0 and self._spans[at].upper > bound:
            span = self._spans[at]
            self._spans[at] = _Span(bound, span.nodes)
            self._lowers.insert(at + 1, bound)
            self._spans.insert(at + 1, span)

    def _drop(self, first: int, last: int) -> None:
        del self._lowers[first:last]
        del self._spans[first:last]
