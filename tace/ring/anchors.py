"""Which nodes to dial first at the next start: those that were here longest (page 2.7). Pure.

After Bitcoin's anchor connections and Tor's guards: whoever wants to own a node's view of the
network has to have been in it, seen from here, for longer than everybody else. How long is what
this node saw itself, never what a record says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tace.ids import NodeId
from tace.seams import MAX_ANCHORS

Group = TypeVar("Group")
MAX_WATCHED = 1024
"""Nodes of which it is remembered since when they have been here; those met first stay."""


class Anchors:
    """Since when each node that this one has met has been here without a break.

    An anchor stays one for as long as it is here: somebody new cannot take its place.
    """

    def __init__(self) -> None:
        self._since: dict[NodeId, float] = {}
        self._chosen: list[NodeId] = []

    def load(self, anchors: Sequence[NodeId]) -> None:
        """Those of last time."""
        self._chosen = list(anchors[:MAX_ANCHORS])

    def met(self, node: NodeId, now: float) -> None:
        """It has proved itself on a link."""
        if len(self._since) < MAX_WATCHED:
            self._since.setdefault(node, now)

    def choose(
        self, is_here: Callable[[NodeId], bool], group_of: Callable[[NodeId], Group]
    ) -> list[NodeId]:
        """The anchors that are here, then those here longest, of as many address groups as there
        are. Where these are too few, the anchors before them stay.

        Who is not here now begins anew when it is met again.
        """
        self._since = {node: since for node, since in self._since.items() if is_here(node)}
        kept = [node for node in self._chosen if node in self._since]
        oldest = sorted(self._since, key=lambda node: (self._since[node], node))
        groups = {group_of(node) for node in kept}
        second: list[NodeId] = []
        for node in oldest:
            if node in kept:
                continue
            group = group_of(node)
            (second if group in groups else kept).append(node)
            groups.add(group)
        ranked = dict.fromkeys((*kept, *second, *self._chosen))
        self._chosen = list(ranked)[:MAX_ANCHORS]
        return self._chosen
