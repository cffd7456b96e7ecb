"""How records spread, and what is remembered of them (page 2.3).

News goes at once to a few nodes over links that are open anyway and is repeated about 4 log10(n)
times; now and then the whole membership is compared with a random member's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import ceil, log10
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic, background
from tace.errors import Failure, Refusal
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.membership import Membership
from tace.seams import Counters, KnownPeer, Links, Procedure, Store
from tace.wire.fields import MAX_LISTED, MemberField
from tace.wire.message import Message
from tace.wire.peer import GetMembers, GetRecords, Members, Records

FANOUT = 3
RECORDS_PER_FRAME = 32
INTERVAL_SECONDS = 0.2
IDLE_SECONDS = 60.0
RENEWAL_SECONDS = 8 * 3600
SAVE_SECONDS = 5.0
MAX_RUMOURS = 4096
"""Records of nodes that are being passed on."""
SEEDS_ASKED = 4
SEED_SECONDS = 60.0
"""One seed is asked this often by a node that is not alone."""
REMEMBERED_ASKED = 8
FIND_SECONDS = 10.0
"""Whoever has not told everything by then goes on telling while the node starts."""


class Gossip:
    """Tells others what is new, hears what they know, and remembers them on disk.

    Implements :class:`~tace.seams.LinkEvents`: whoever proves itself on a link is alive.

    :param exchange_seconds: time between two comparisons with a random member.
    :param alone_seconds: time between two rounds of asking the seeds while nobody is known.
    :param seeds: addresses that are asked while this node knows nobody.
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
        seeds: Sequence[str],
        exchange_seconds: float,
        alone_seconds: float,
    ) -> None:
        self._membership = membership
        self._links = links
        self._store = store
        self._clock = clock
        self._random = random
        self._counters = counters
        self._seeds = tuple(seeds)
        self._rumours: dict[NodeId, int] = {}
        self._heard: dict[NodeId, float] = {}
        self._unsaved: dict[NodeId, None] = {}
        self._next_seed = clock.seconds() + SEED_SECONDS
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
            Periodic("look for others", clock, jittered(alone_seconds), self._look_round),
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

    # -- finding others --------------------------------------------------------------------------

    async def load(self) -> list[NodeRecord]:
        """Take in the peers remembered from last time; the last heard first."""
        found = []
        for peer in await self._store.load_peers():
            record = self._membership.verified(peer.record)
            if record is not None and record.node_id != self._membership.own:
                self._heard[record.node_id] = peer.last_heard_seconds
                self._membership.take_in(record)
                found.append(record)
        return found

    async def find_peers(self, remembered: Sequence[NodeRecord]) -> int:
        """Ask seeds and remembered peers for everyone they know; how many answered.

        Never only one source (page 2.7).
        """
        nodes = [record.node_id for record in remembered[:REMEMBERED_ASKED]]
        answers = [
            *(self._ask_seed(seed) for seed in self._some_seeds()),
            *(self._ask(node) for node in nodes),
        ]
        answered = 0

        async def note(answer: Awaitable[bool]) -> None:
            nonlocal answered
            answered += await answer

        works = [background("find peers", note(answer)) for answer in answers]
        await self._within(FIND_SECONDS, DeferredList(works))
        return answered

    async def _within(self, seconds: float, work: Deferred[Any]) -> None:
        """Until the work has ended or the time is over; it is not cancelled."""
        waited: Deferred[None] = Deferred()

        def over(_: object = None) -> None:
            if not waited.called:
                waited.callback(None)

        timer = self._clock.callLater(seconds, over)
        work.addCallback(over)
        try:
            await waited
        finally:
            if timer.active():
                timer.cancel()

    def _some_seeds(self) -> list[str]:
        return self._random.sample(self._seeds, min(SEEDS_ASKED, len(self._seeds)))

    async def _ask_seed(self, seed: str) -> bool:
        try:
            record = await self._links.introduce(seed)
        except (Failure, Refusal):
            return False
        return record.node_id != self._membership.own and await self._ask(record.node_id)

    async def _ask(self, node: NodeId) -> bool:
        try:
            await self.exchange_with(node)
        except (Failure, Refusal):
            return False
        return True

    async def _look_round(self) -> None:
        """Forget who is over; a node that is alone asks its seeds, another one now and then.

        The seeds may be of another part of the network, whose nodes this one never knew.
        """
        gone = self._membership.forget_expired(self._links.up())
        for node in gone:
            self._heard.pop(node, None)
        if gone:
            await self._store.forget_peers(gone)
        now = self._clock.seconds()
        if self._membership.alone:
            await self.find_peers(())
        elif self._seeds and now >= self._next_seed:
            self._next_seed = now + SEED_SECONDS * self._random.uniform(0.75, 1.25)
            await self._ask_seed(self._random.choice(self._seeds))

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
        if len(self._rumours) < MAX_RUMOURS or record.node_id in self._rumours:
            self._rumours[record.node_id] = ceil(4 * log10(len(self._membership.table) + 1))
            self._spread.soon()

    async def _spread_round(self) -> None:
        up = [node for node in self._links.up() if not self._membership.is_dead(node)]
        if not up:
            return
        batch = list(self._rumours)[:RECORDS_PER_FRAME]
        records = [r.encoded for n in batch if (r := self._membership.record_of(n)) is not None]
        for peer in self._random.sample(up, min(FANOUT, len(up))):
            if records:
                self._links.send(peer, Records(tuple(records)))
        for node in batch:
            left = self._rumours.pop(node) - 1
            if left > 0 and node in self._membership.table:
                self._rumours[node] = left

    async def _on_records(self, peer: NodeId, message: Records) -> None:
        self._membership.learn(message.records)

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
