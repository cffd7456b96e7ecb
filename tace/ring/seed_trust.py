"""Which node stands behind a seed's address: trust on first use (page 2.7). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from tace.ids import NodeId
from tace.seams import MAX_KNOWN_SEEDS, KnownSeed

REPEATED_SECONDS = 24 * 3600.0
"""A seed that has become another node is worth a line this often."""


class Verdict(Enum):
    """What an answer at a seed's address means."""

    FIRST = "nobody is remembered there"
    SAME = "the node that is remembered"
    OTHER = "another node than the one that is remembered"


class SeedTrust:
    """The node that answered first at each seed's address.

    A seed can only introduce: nodes that it names prove themselves, and it is never the only source
    that is asked. So another node there is heard all the same, and it is for the operator to say
    which is right.
    """

    def __init__(self) -> None:
        self._known: dict[str, KnownSeed] = {}
        self._unsaved: dict[str, KnownSeed] = {}
        self._told: dict[str, float] = {}

    def load(self, seeds: Iterable[KnownSeed]) -> None:
        """Take in what is remembered from earlier."""
        for seed in seeds:
            self._known[seed.address] = seed

    def node_of(self, known_as: str) -> NodeId | None:
        """Who is remembered there."""
        seed = self._known.get(known_as)
        return None if seed is None else seed.node

    def judge(self, known_as: str, node: NodeId, now: float, *, pinned: bool) -> Verdict:
        """What it means that this node answers there.

        :param pinned: it had to be this node, or there would be no link: that settles it.
        """
        known = self._known.get(known_as)
        if known is not None and known.node == node:
            return Verdict.SAME
        if known is not None and not pinned:
            return Verdict.OTHER
        if known is None and len(self._known) >= MAX_KNOWN_SEEDS:
            del self._known[min(self._known, key=lambda name: self._known[name].since_seconds)]
        self._known[known_as] = self._unsaved[known_as] = KnownSeed(known_as, node, now)
        self._told.pop(known_as, None)
        return Verdict.SAME if pinned else Verdict.FIRST

    def not_saved(self, seeds: Iterable[KnownSeed]) -> None:
        """What was taken could not be written down."""
        for seed in seeds:
            self._unsaved.setdefault(seed.address, seed)

    def take_unsaved(self) -> list[KnownSeed]:
        """What is new since the last time."""
        unsaved, self._unsaved = self._unsaved, {}
        return list(unsaved.values())

    def is_worth_a_line(self, known_as: str, now: float) -> bool:
        """May the log be told that somebody else is there? Once a day; counts as told."""
        told = self._told.get(known_as)
        if told is not None and now - told < REPEATED_SECONDS:
            return False
        if len(self._told) >= MAX_KNOWN_SEEDS:
            del self._told[next(iter(self._told))]
        self._told[known_as] = now
        return True
