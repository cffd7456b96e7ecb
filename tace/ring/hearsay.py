"""What others say of who is dead: heard, checked, contradicted, passed on (page 2.3).

An accusation is never believed. It has the hearer look for itself: at once where the node matters
to it, else one node a second; and only what the node itself and two others have found is told.
"""

from __future__ import annotations

from math import ceil, inf, log10
from random import Random

from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic
from tace.ids import NodeId
from tace.ring.liveness import Liveness
from tace.ring.membership import Membership
from tace.ring.rumours import Rumours
from tace.ring.suspicion import Accusations, Allowances
from tace.seams import Counters, Links, Procedure
from tace.wire.fields import MemberField
from tace.wire.message import Message
from tace.wire.peer import Accused

GATHER_SECONDS = 0.1
"""Deaths that are confirmed within this time share a message."""
TELL_SECONDS = 0.5
"""Between two rounds of telling."""
MAX_TO_CHECK = 1024
"""Nodes that do not matter here, are called dead and wait to be looked for."""
CHECK_SECONDS = 1.0
IDLE_SECONDS = 60.0
REFUTE_SECONDS = 10.0
"""This node contradicts its own death at most this often: its new record goes to everybody."""


class Hearsay:
    """Tells deaths, and hears of them.

    :param accusations: those that are remembered; ``liveness`` counts them as evidence.
    :param words: accusations that are listened to, of each peer.
    """

    def __init__(
        self,
        membership: Membership,
        liveness: Liveness,
        accusations: Accusations,
        *,
        words: Allowances,
        links: Links,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
    ) -> None:
        self._membership = membership
        self._liveness = liveness
        self._accusations = accusations
        self._links = links
        self._clock = clock
        self._random = random
        self._counters = counters
        self._rumours = Rumours(random)
        self._to_check: dict[NodeId, None] = {}
        self._words = words
        self._refuted_at = -inf
        self._telling = Periodic(
            "tell deaths",
            clock,
            lambda: TELL_SECONDS if len(self._rumours) else IDLE_SECONDS,
            self._tell,
        )
        self._checks = Periodic(
            "look for those called dead",
            clock,
            lambda: CHECK_SECONDS if self._to_check else IDLE_SECONDS,
            self._check_one,
        )
        liveness.when_confirmed(self._confirmed)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {Accused: self._on_accused}

    def start(self) -> None:
        self._checks.start()
        self._telling.start()

    async def stop(self) -> None:
        await self._telling.stop()
        await self._checks.stop()

    # -- told ------------------------------------------------------------------------------------

    def _confirmed(self, node: NodeId) -> None:
        record = self._membership.record_of(node)
        if record is not None:
            # One telling is not enough: whoever it misses goes on writing to the dead, and waits
            # for what the dead alone should have.
            times = ceil(4 * log10(len(self._membership.table) + 1))
            self._rumours.begin(node, _told(MemberField(node, *record.freshness)), times)
            self._telling.soon(GATHER_SECONDS)

    async def _tell(self) -> None:
        up = [node for node in self._links.up() if not self._liveness.is_suspect(node)]
        for peer, told in self._rumours.next_round(up, self._membership.is_dead):
            self._counters.count("accusations_total", len(told), way="told")
            self._links.send(peer, Accused(tuple(map(_member, told))))

    # -- heard -----------------------------------------------------------------------------------

    async def _on_accused(self, peer: NodeId, message: Accused) -> None:
        for member in message.members:
            if self._words.take(peer, self._clock.seconds()) > 0.0:
                self._counters.count("accusations_total", way="too-many")
                return
            self._hear(peer, member)

    def _hear(self, peer: NodeId, member: MemberField) -> None:
        node, freshness = member.node, (member.boot, member.sequence)
        told = _told(member)
        self._rumours.heard(peer, told, again=told in self._rumours)
        record = self._membership.record_of(node)
        if node == self._membership.own:
            self._refute(freshness)
        elif record is None or record.freshness > freshness or self._membership.is_dead(node):
            self._counters.count("accusations_total", way="no-news")
        elif self._accusations.heard(node, freshness, peer, self._clock.seconds()):
            self._counters.count("accusations_total", way="heard")
            if self._liveness.matters(node):
                self._liveness.look_for(node)
            elif len(self._to_check) < MAX_TO_CHECK:
                self._to_check[node] = None
                self._checks.soon(CHECK_SECONDS)

    def _refute(self, freshness: tuple[int, int]) -> None:
        """A record that is fresher than the one that was called dead says that this node lives."""
        now = self._clock.seconds()
        if self._membership.current.freshness <= freshness and (
            now - self._refuted_at >= REFUTE_SECONDS
        ):
            self._refuted_at = now
            self._counters.count("accusations_total", way="refuted")
            self._membership.describe(self._membership.description)

    async def _check_one(self) -> None:
        if self._to_check:
            node = next(iter(self._to_check))
            del self._to_check[node]
            self._liveness.look_for(node)


def _told(member: MemberField) -> bytes:
    """A death as it is passed on: of one incarnation of a node."""
    return member.node + member.boot.to_bytes(8) + member.sequence.to_bytes(8)


def _member(told: bytes) -> MemberField:
    node, boot, sequence = told[:-16], told[-16:-8], told[-8:]
    return MemberField(node, int.from_bytes(boot), int.from_bytes(sequence))
