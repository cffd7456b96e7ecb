"""On whose disks the messages are, judged by one who sees all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from tace.ids import MailboxId, MessageId, NodeId
from tace.ring.placement import Placement
from tace.ring.table import RoutingTable
from tace.seams import Item, ItemState
from tace.simulation.ledger import Letter
from tace.simulation.node import SimulatedNode
from tace.simulation.world import World

MAX_COUNTED = 256
"""Where copies are counted, so many waiting messages, evenly spread, stand for all."""
MAX_READ = 2000
"""So many of the latest acks are looked for; older ones were in place long before."""


@dataclass(frozen=True, slots=True)
class CopyCount:
    """Copies of the messages that wait, on their living replicas.

    :ivar waiting: how many wait: stored, and not acked.
    :ivar least: of any that was looked at and is not lost; None where there is none.
    :ivar nowhere: of those that were looked at, on no living disk.
    """

    waiting: int
    least: int | None
    mean: float | None
    nowhere: int


class Copies:
    """Reads the disks themselves. Where copies belong is the production's placement over all that
    live, as every node will see it when it knows who does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._moment = (-1.0, -1)
        self._placed_for: tuple[NodeId, ...] = ()
        self._placement: Placement | None = None
        self._members: dict[NodeId, SimulatedNode] = {}
        self._last_missing: MessageId | None = None

    def replicas(self, mailbox: MailboxId) -> list[SimulatedNode]:
        """The living members that are to hold what is in a mailbox; none where nobody lives."""
        moment = (self._world.last_fault, self._world.clock.calls_run)
        if moment != self._moment:
            self._moment = moment
            self._members = {node.id: node for node in self._world.nodes if node.is_member}
            if tuple(self._members) != self._placed_for:
                self._placement = self._place(self._members) if self._members else None
                self._placed_for = tuple(self._members)
        if self._placement is None:
            return []
        return [self._members[node] for node in self._placement.replica_set(mailbox).holders]

    def _place(self, members: dict[NodeId, SimulatedNode]) -> Placement:
        table = RoutingTable(len(members))
        for node in members.values():
            table.put(node.core.membership.current)
        replicas = next(iter(members.values())).settings.ring.replicas
        return Placement(
            table,
            replicas,
            lambda _: None,
            is_absent=lambda _: False,
            is_full=lambda _: False,
            repair_after_seconds=0.0,
            forget_after_seconds=inf,
        )

    # -- judgements ------------------------------------------------------------------------------

    def missing(self) -> Letter | None:
        """A message that is not, or whose ack is not, on all the disks where it should be.

        What is on no living disk any more is not asked for: it is lost, which is another matter.
        """
        letters = self._world.ledger.letters
        if self._last_missing is not None:
            letter = letters[self._last_missing]
            if self._is_short(self._last_missing, letter):
                return letter
            self._last_missing = None
        for message, letter in self._to_look_at():
            if self._is_short(message, letter):
                self._last_missing = message
                return letter
        return None

    def _to_look_at(self) -> Iterator[tuple[MessageId, Letter]]:
        acked: list[tuple[MessageId, Letter]] = []
        for message, letter in self._world.ledger.letters.items():
            if letter.acked is not None:
                acked.append((message, letter))
            elif letter.stored is not None:
                yield message, letter
        yield from acked[-MAX_READ:]

    def _is_short(self, message: MessageId, letter: Letter) -> bool:
        wanted = ItemState.ENVELOPE if letter.acked is None else ItemState.TOMBSTONE
        mailbox = self._mailbox(letter)
        replicas = self.replicas(mailbox)
        if replicas and all(_holds(node, mailbox, message, wanted) for node in replicas):
            return False
        return any(_holds(node, mailbox, message, wanted) for node in self._world.living)

    def count(self) -> CopyCount:
        """How many copies there are of what waits."""
        waiting = [
            (message, letter)
            for message, letter in self._world.ledger.letters.items()
            if letter.stored is not None and letter.delivered is None
        ]
        step = -(-len(waiting) // MAX_COUNTED) or 1
        counts = []
        nowhere = 0
        for message, letter in waiting[::step]:
            mailbox = self._mailbox(letter)
            found = sum(
                _holds(node, mailbox, message, ItemState.ENVELOPE)
                for node in self.replicas(mailbox)
            )
            if not found and self.is_nowhere(message):
                nowhere += 1
            else:
                counts.append(found)
        if not counts:
            return CopyCount(len(waiting), None, None, nowhere)
        return CopyCount(len(waiting), min(counts), sum(counts) / len(counts), nowhere)

    def is_nowhere(self, message: MessageId) -> bool:
        """Is it on no disk of a node that lives, neither itself nor its ack?"""
        mailbox = self._mailbox(self._world.ledger.letters[message])
        return not any(
            _holds(node, mailbox, message, ItemState.ENVELOPE) for node in self._world.living
        )

    def _mailbox(self, letter: Letter) -> MailboxId:
        return self._world.person_named(letter.recipient).mailbox


def _holds(node: SimulatedNode, mailbox: MailboxId, message: MessageId, wanted: ItemState) -> bool:
    """Is it on that disk? Where a message is wanted its ack will do: it says more."""
    found: list[Item] = []
    held = node.disk.content.held_items([Item(mailbox, message, ItemState.ENVELOPE)])
    held.addCallback(found.extend)
    return any(item.state in (wanted, ItemState.TOMBSTONE) for item in found)
