"""What others say of who is dead: heard, checked, contradicted, passed on (page 2.3).

An accusation is never believed. It has the hearer look for itself: at once where the node matters
to it, else one node a second; and only what the node itself and two others have found is told.
"""

from __future__ import annotations

from math import inf
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import Periodic
from tace.ids import NodeId
from tace.ring.liveness import Liveness
from tace.ring.membership import Membership
from tace.ring.suspicion import Accusations, Allowances
from tace.seams import Counters, Links, Procedure
from tace.wire.fields import MemberField
from tace.wire.message import Message
from tace.wire.peer import Accused

FANOUT = 4
"""Links over which a death is told, once."""
GATHER_SECONDS = 0.1
"""Deaths that are confirmed within this time share a message."""
TOLD_PER_MESSAGE = 32
MAX_UNTOLD = 1024
"""Deaths that wait to be told."""
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
        self._untold: dict[NodeId, None] = {}
        self._telling: IDelayedCall | None = None
        self._to_check: dict[NodeId, None] = {}
        self._words = words
        self._refuted_at = -inf
        self._stopped = False
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

    async def stop(self) -> None:
        self._stopped = True
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        await self._checks.stop()

    # -- told ------------------------------------------------------------------------------------

    def _confirmed(self, node: NodeId) -> None:
        if self._stopped or len(self._untold) >= MAX_UNTOLD:
            return
        self._untold[node] = None
        if self._telling is None:
            self._telling = self._clock.callLater(GATHER_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        untold, self._untold = list(self._untold), {}
        up = [node for node in self._links.up() if not self._liveness.is_suspect(node)]
        peers = self._random.sample(up, min(FANOUT, len(up)))
        for start in range(0, len(untold), TOLD_PER_MESSAGE):
            records = map(self._membership.record_of, untold[start : start + TOLD_PER_MESSAGE])
            members = tuple(MemberField(r.node_id, *r.freshness) for r in records if r is not None)
            self._counters.count("accusations_total", len(members), way="told")
            for peer in peers if members else ():
                self._links.send(peer, Accused(members))

    # -- heard -----------------------------------------------------------------------------------

    async def _on_accused(self, peer: NodeId, message: Accused) -> None:
        for member in message.members:
            if self._words.take(peer, self._clock.seconds()) > 0.0:
                self._counters.count("accusations_total", way="too-many")
                return
            self._hear(peer, member)

    def _hear(self, peer: NodeId, member: MemberField) -> None:
        node, freshness = member.node, (member.boot, member.sequence)
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
