"""Whom to dial next, to find the network or its lost parts (page 2.7). Pure.

There are four sources, and each can lie or be stale: anchors and peers of last time, the seeds of
the settings, and what names stand for. No wave asks only one of them where another has somebody to
ask, so that no single source decides whom this node gets to know. Time is given with every call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tace.ids import NodeId
from tace.ring.retries import Retries
from tace.seams import MAX_ANCHORS

FIRST_SECONDS = 2.5
"""The wait after the first failure; each further one doubles it."""
MOST_SECONDS = 60.0
"""The longest wait: nobody is given up."""
ENOUGH = 4
"""Answers after which nobody else is asked, if they are of two sources."""
MAX_REMEMBERED = 1024
"""Peers of last time that are asked, those heard last."""
MAX_NAMED = 32
"""Seeds taken from names."""


class Source(StrEnum):
    """Where a contact was found."""

    ANCHOR = "anchor"
    REMEMBERED = "remembered peer"
    SEED = "seed"
    NAME = "named seed"


_MOST = {
    Source.ANCHOR: MAX_ANCHORS,
    Source.REMEMBERED: MAX_REMEMBERED,
    # At most 64 may be configured.
    Source.SEED: 64,
    Source.NAME: MAX_NAMED,
}
OPENING: Mapping[Source, int] = {Source.ANCHOR: MAX_ANCHORS, Source.SEED: 1}
"""How many of each are asked first of all: those that were up longest, and a seed."""
WAVE: Mapping[Source, int] = {
    Source.ANCHOR: 1,
    Source.REMEMBERED: 4,
    Source.SEED: 2,
    Source.NAME: 2,
}
"""How many of each are asked at one time later on."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to dial.

    ``known_as``: what to call it in a log: ``host:port`` of a seed, else the id in hex.
    ``address``: what is dialled, ``host:port`` or ``host:port#node_id_hex``; empty for one whose
    record is known. ``node``: whom it must be; None for whoever answers.
    """

    source: Source
    known_as: str
    address: str = ""
    node: NodeId | None = None

    @property
    def host_name(self) -> str:
        """Under which a named seed's address was found; empty for others."""
        host = self.known_as.rpartition(":")[0] if self.source is Source.NAME else ""
        return host.strip("[]")

    @property
    def shown(self) -> str:
        """For people."""
        return f"{self.source} {self.known_as if self.address else self.known_as[:16]}"


def of_peer(source: Source, node: NodeId) -> Contact:
    """A node whose record is known."""
    return Contact(source, node.hex(), node=node)


def of_seed(source: Source, address: str, known_as: str | None = None) -> Contact:
    """``host:port`` or ``host:port#node_id_hex``, as the settings are checked for."""
    place, _, node = address.partition("#")
    return Contact(source, known_as or place, address, bytes.fromhex(node) or None)


class Contacts:
    """All that may be dialled, and who comes next.

    A contact that failed is asked again after 2.5 s, then after twice that, up to a minute.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._offered: dict[Source, list[Contact]] = {source: [] for source in Source}
        self._tries: Retries[Contact] = Retries(random, FIRST_SECONDS, MOST_SECONDS)

    def offer(self, source: Source, contacts: Sequence[Contact]) -> None:
        """These are what that source has, the likeliest first; replaces what it had."""
        self._offered[source] = list(dict.fromkeys(contacts))[: _MOST[source]]
        everyone = {contact for some in self._offered.values() for contact in some}
        self._tries.keep(lambda contact: contact in everyone)

    def of(self, *sources: Source) -> list[Contact]:
        """What these sources have."""
        return [contact for source in sources for contact in self._offered[source]]

    @property
    def sources(self) -> list[Source]:
        """Those that have anybody."""
        return [source for source in Source if self._offered[source]]

    def wave(self, now: float, shares: Mapping[Source, int] = WAVE) -> list[Contact]:
        """Whom to dial now; each counts as tried. Empty where all have been tried of late.

        :param shares: the most of each source.
        """
        chosen: list[Contact] = []
        nodes: set[NodeId] = set()
        for source in Source:
            left = shares.get(source, 0)
            for contact in self._due(source, now):
                if left == 0:
                    break
                # A pinned seed may be one of those before it.
                if contact.node is None or contact.node not in nodes:
                    chosen.append(contact)
                    left -= 1
                    if contact.node is not None:
                        nodes.add(contact.node)
        for contact in chosen:
            self._tries.begun(contact, now)
        return chosen

    def failed(self, contact: Contact, now: float) -> None:
        """It did not answer."""
        self._tries.failed(contact, now)

    def answered(self, contact: Contact, now: float) -> None:
        """It told what it knows."""
        self._tries.succeeded(contact, now, again_seconds=FIRST_SECONDS)

    def enough(self, answered: Collection[Source]) -> bool:
        """May the search end?

        :param answered: the source of each that has answered.
        """
        return len(answered) >= ENOUGH and len(set(answered)) >= min(2, len(self.sources))

    def _due(self, source: Source, now: float) -> list[Contact]:
        due = [contact for contact in self._offered[source] if self._tries.is_due(contact, now)]
        if source is Source.REMEMBERED:
            # An anchor is a remembered peer, too: as such it would be asked twice.
            anchors = {anchor.node for anchor in self._offered[Source.ANCHOR]}
            due = [contact for contact in due if contact.node not in anchors]
        if source in (Source.SEED, Source.NAME):
            # A network's seeds share the load; the order of the others means something.
            self._random.shuffle(due)
        due.sort(key=self._tries.failures)
        return due
