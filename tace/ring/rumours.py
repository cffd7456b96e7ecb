"""Which records are being passed on, and to whom they need not go. Pure.

Rumour mongering with feedback (Demers et al., "Epidemic algorithms for replicated database
maintenance", 1987, section 1.4: counter and feedback): a rumour is told a number of times, goes to
nobody who is known to have it, and loses interest each time somebody tells it back. In networks of
40 to 1,000 nodes that reaches everyone with a third of what telling it blindly takes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from random import Random

from tace.ids import NodeId

FANOUT = 3
RECORDS_PER_FRAME = 32
MAX_RUMOURS = 4096
"""Records of nodes that are being passed on."""
MAX_KNOWING = 64
"""Nodes remembered as having one of them."""


@dataclass(slots=True)
class _Rumour:
    node: NodeId
    left: int
    knowing: set[NodeId] = field(default_factory=set)

    def known_by(self, peer: NodeId) -> None:
        if len(self.knowing) < MAX_KNOWING:
            self.knowing.add(peer)


class Rumours:
    """What is passed on, by the record's bytes; the newest record of each node."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rumours: dict[bytes, _Rumour] = {}
        self._of: dict[NodeId, bytes] = {}

    def __len__(self) -> int:
        return len(self._rumours)

    def __contains__(self, encoded: bytes) -> bool:
        return encoded in self._rumours

    def begin(self, node: NodeId, encoded: bytes, times: int) -> None:
        """There is news: tell it in so many rounds. An older record of the node is told no more;
        beyond MAX_RUMOURS it is left to others.
        """
        self.end(node)
        if len(self._rumours) < MAX_RUMOURS:
            self._rumours[encoded] = _Rumour(node, times)
            self._of[node] = encoded

    def end(self, node: NodeId) -> None:
        """Nothing of that node is told any more."""
        encoded = self._of.pop(node, None)
        if encoded is not None:
            del self._rumours[encoded]

    def heard(self, peer: NodeId, encoded: bytes, *, again: bool) -> None:
        """A peer tells it: it need not be told.

        :param again: it was being passed on before; so others do that, too.
        """
        rumour = self._rumours.get(encoded)
        if rumour is not None:
            rumour.known_by(peer)
            if again:
                self._told(rumour)

    def next_round(
        self, up: Collection[NodeId], is_wanted: Callable[[NodeId], bool]
    ) -> list[tuple[NodeId, tuple[bytes, ...]]]:
        """Whom to tell what now; it counts as told.

        :param up: the peers that can be told at once.
        :param is_wanted: is that node still known? Else its record is told no more.
        """
        batch = self._batch(is_wanted)
        lacking = self._lacking(batch, up)
        going = []
        told: set[bytes] = set()
        for peer in self._random.sample(lacking, min(FANOUT, len(lacking))):
            records = tuple(e for e in batch if peer not in self._rumours[e].knowing)
            for encoded in records:
                self._rumours[encoded].known_by(peer)
            told.update(records)
            going.append((peer, records))
        for encoded in batch:
            rumour = self._rumours[encoded]
            if encoded in told:
                self._told(rumour)
            elif not self._lacking((encoded,), up):
                # Everybody who is there has it.
                self.end(rumour.node)
        return going

    def _batch(self, is_wanted: Callable[[NodeId], bool]) -> list[bytes]:
        batch: list[bytes] = []
        for encoded, rumour in list(self._rumours.items()):
            if len(batch) == RECORDS_PER_FRAME:
                break
            if is_wanted(rumour.node):
                batch.append(encoded)
            else:
                self.end(rumour.node)
        return batch

    def _lacking(self, batch: Iterable[bytes], up: Collection[NodeId]) -> list[NodeId]:
        """Those who are not known to have all of these."""
        rumours = [self._rumours[encoded] for encoded in batch]
        return [peer for peer in up if any(peer not in each.knowing for each in rumours)]

    def _told(self, rumour: _Rumour) -> None:
        rumour.left -= 1
        encoded = self._of[rumour.node]
        if rumour.left <= 0:
            self.end(rumour.node)
        else:
            # Behind those that were told less: a batch holds only some of them.
            self._rumours[encoded] = self._rumours.pop(encoded)
