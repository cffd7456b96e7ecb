"""How records spread, and what is remembered of them (page 2.3).

News goes at once to a few nodes over links that are open anyway and is repeated, at most about
4 log10(n) times (:mod:`tace.ring.rumours`); now and then the whole membership is compared with a
random member's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, log10
from random import Random

from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic
from tace.errors import Failure, Refusal
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.membership import Membership
from tace.ring.rumours import RECORDS_PER_FRAME, Rumours
from tace.seams import Counters, KnownPeer, Links, Procedure, Store
from tace.wire.fields import MAX_LISTED, MemberField
from tace.wire.message import Message
from tace.wire.peer import GetMembers, GetRecords, Members, Records

INTERVAL_SECONDS = 0.2
IDLE_SECONDS = 60.0
RENEWAL_SECONDS = 8 * 3600
SAVE_SECONDS = 5.0
FORGET_SECONDS = 5.0
"""Between two looks at whose record is over."""


class Gossip:
    """Tells others what is new, hears what they know, and remembers them on disk.

    Implements :class:`~tace.seams.LinkEvents`: whoever proves itself on a link is alive.

    :param exchange_seconds: time between two comparisons with a random member.
    """

    def __init__(
        self,
        membership: Membership,
        *,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        exchange_seconds: float,
    ) -> None:
        self._membership = membership
        self._links = links
        self._store = store
        self._clock = clock
        self._random = random
        self._counters = counters
        self._rumours = Rumours(random)
        self._heard: dict[NodeId, float] = {}
        self._unsaved: dict[NodeId, None] = {}
        self._spread = Periodic(
            "gossip",
            clock,
            lambda: INTERVAL_SECONDS if self._rumours and links.up() else IDLE_SECONDS,
            self._spread_round,
        )

        def jittered(seconds: float) -> Callable[[], float]:
            return lambda: seconds * random.uniform(0.75, 1.25)

        self._works = (
            self._spread,
            Periodic(
                "exchange membership", clock, jittered(exchange_seconds), self._exchange_round
            ),
            Periodic("renew own record", clock, jittered(RENEWAL_SECONDS), self._renew),
            Periodic("forget who is over", clock, jittered(FORGET_SECONDS), self._forget_round),
            Periodic("save peers", clock, lambda: SAVE_SECONDS, self.save),
        )
        membership.when_news(self._news)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {
            Records: self._on_records,
            GetRecords: self._on_get_records,
            GetMembers: self._on_get_members,
        }

    def start(self) -> None:
        for work in self._works:
            work.start()

    async def stop(self) -> None:
        for work in self._works:
            await work.stop()
        await self.save()

    # -- who is known --------------------------------------------------------------------------

    async def load(self) -> list[NodeRecord]:
        """Take in the peers remembered from last time; the last heard first."""
        found = []
        for peer in await self._store.load_peers():
            record = self._membership.verified(peer.record)
            if record is not None and record.node_id != self._membership.own:
                self._heard[record.node_id] = peer.last_heard_seconds
                self._membership.take_in(record, remembered=True)
                # News to this program, and to nobody else.
                self._rumours.end(record.node_id)
                found.append(record)
        return found

    async def _ask(self, node: NodeId) -> bool:
        try:
            await self.exchange_with(node)
        except (Failure, Refusal):
            return False
        return True

    async def _forget_round(self) -> None:
        """Who is over is known no more, neither here nor on the disk."""
        gone = self._membership.forget_expired(self._links.up())
        # Also of those who left a full table for others.
        for node in [n for n in self._heard if self._membership.record_of(n) is None]:
            del self._heard[node]
        if gone:
            await self._store.forget_peers(gone)

    # -- LinkEvents ------------------------------------------------------------------------------

    def link_up(self, record: NodeRecord) -> None:
        if not self._membership.is_current(record):
            return
        self._membership.take_in(record, met=True)
        self._membership.heard(record.node_id)
        difference = self._links.clock_difference_seconds(record.node_id)
        if difference is not None:
            self._membership.clock_seen(record.node_id, difference)
        self._heard[record.node_id] = self._clock.seconds()
        self._unsaved[record.node_id] = None
        if self._rumours:
            self._spread.soon()

    def link_lost(self, node: NodeId) -> None:
        """Judged by :mod:`tace.ring.liveness`."""

    def unreachable(self, node: NodeId) -> None:
        """Judged by :mod:`tace.ring.liveness`."""

    # -- rumours ---------------------------------------------------------------------------------

    def _news(self, record: NodeRecord) -> None:
        if record.node_id != self._membership.own:
            self._unsaved[record.node_id] = None
        times = ceil(4 * log10(len(self._membership.table) + 1))
        self._rumours.begin(record.node_id, record.encoded, times)
        self._spread.soon()

    async def _spread_round(self) -> None:
        up = [node for node in self._links.up() if not self._membership.is_dead(node)]
        if not up:
            return
        for peer, records in self._rumours.next_round(up, self._membership.table.__contains__):
            self._links.send(peer, Records(records))

    async def _on_records(self, peer: NodeId, message: Records) -> None:
        again = [encoded in self._rumours for encoded in message.records]
        self._membership.learn(message.records)
        for encoded, was_told in zip(message.records, again, strict=True):
            self._rumours.heard(peer, encoded, again=was_told)

    # -- exchange --------------------------------------------------------------------------------

    async def _on_get_records(self, peer: NodeId, message: GetRecords) -> Records:
        found = (self._membership.record_of(node) for node in message.nodes)
        return Records(tuple(record.encoded for record in found if record is not None))

    async def _on_get_members(self, peer: NodeId, message: GetMembers) -> Members:
        records = [r for r in self._membership.expected() if r.node_id > message.after]
        page = tuple(MemberField(r.node_id, *r.freshness) for r in records[:MAX_LISTED])
        return Members(page, more=len(records) > len(page))

    async def exchange_with(self, peer: NodeId) -> list[NodeId]:
        """Push-pull: learn what the peer knows better, tell it what this node knows better.

        Returns the nodes that are here, or away, in the peer's eyes.

        :raises Failure: the peer does not answer.
        """
        theirs: dict[NodeId, tuple[int, int]] = {}
        after = b""
        while True:
            page = await self._links.call(peer, GetMembers(after))
            theirs.update((m.node, (m.boot, m.sequence)) for m in page.members)
            if not page.more or not page.members or page.members[-1].node <= after:
                break
            if len(theirs) >= self._membership.table.capacity:
                # More than this node could remember, or a list that never ends.
                break
            after = page.members[-1].node
        await self.fetch_records(
            peer, [n for n, freshness in theirs.items() if freshness > self._freshness(n)]
        )
        better = [
            record.encoded
            for record in self._membership.expected()
            if record.freshness > theirs.get(record.node_id, (-1, -1))
        ]
        for start in range(0, len(better), RECORDS_PER_FRAME):
            self._links.send(peer, Records(tuple(better[start : start + RECORDS_PER_FRAME])))
        return list(theirs)

    async def fetch_records(self, peer: NodeId, nodes: Sequence[NodeId]) -> None:
        """Ask a peer for the records of these nodes, and learn them.

        :raises Failure: the peer does not answer.
        """
        for start in range(0, len(nodes), RECORDS_PER_FRAME):
            wanted = tuple(nodes[start : start + RECORDS_PER_FRAME])
            answer = await self._links.call(peer, GetRecords(wanted))
            if not answer.records:
                # It names nodes and knows nothing of them.
                return
            self._membership.learn(answer.records)

    def _freshness(self, node: NodeId) -> tuple[int, int]:
        record = self._membership.record_of(node)
        return record.freshness if record is not None else (-1, -1)

    async def _exchange_round(self) -> None:
        others = self._membership.others_living()
        if others:
            await self._ask(self._random.choice(others))

    async def _renew(self) -> None:
        self._membership.describe(self._membership.description)

    # -- memory ----------------------------------------------------------------------------------

    async def save(self) -> None:
        """Write down the nodes that are new or were heard since the last time."""
        if not self._unsaved:
            return
        batch, self._unsaved = self._unsaved, {}
        peers = [
            KnownPeer(node, record.encoded, self._heard.get(node, 0.0))
            for node in batch
            if (record := self._membership.record_of(node)) is not None
        ]
        await self._store.save_peers(peers)
