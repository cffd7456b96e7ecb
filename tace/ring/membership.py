"""Knowing everyone: verified records, who is dead, and how news spreads (page 2.3).

A node's record is the unit of everything; nothing unsigned is believed. News goes at once to a few
nodes over links that are open anyway and is repeated about 4 log10(n) times; now and then the
whole membership is compared with a random member's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log10
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tace.background import Periodic, background
from tace.errors import BadRecord, Failure, ProtocolError, Refusal
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import Arc, NodeId
from tace.ring.placement import ASKERS_PER_REPLICA, CANDIDATES_PER_REPLICA, Placement
from tace.ring.table import RoutingTable
from tace.seams import Counters, KnownPeer, Links, ReplicaSet, Store
from tace.wire.fields import MAX_LISTED, MAX_REDIRECT_RECORDS, MemberField
from tace.wire.message import Message
from tace.wire.peer import GetMembers, GetRecords, Members, Ping, Records

FANOUT = 3
RECORDS_PER_FRAME = 32
GOSSIP_INTERVAL_SECONDS = 0.2
RECORD_LIFETIME_SECONDS = 24 * 3600
RECORD_RENEWAL_SECONDS = 8 * 3600
CLOCK_TOLERANCE_SECONDS = 3600
MAX_RUMOURS = 4096
MAX_POSITIONS_ASKED = 1024
"""An arc that spans more positions than this is nobody's to reconcile in one request."""


@dataclass(frozen=True, slots=True)
class OwnDescription:
    """What this node says of itself; :class:`Membership` signs it anew when it changes."""

    peer_addresses: tuple[str, ...]
    client_urls: tuple[str, ...]
    boot: int
    position_mask: int
    capacity: int = 0
    zone: str = ""
    full: bool = False
    away_until_seconds: int = 0
    software: str = ""


class Membership:
    """The routing table kept up to date; also the links' address book and own record.

    Implements :class:`~tace.seams.View`, :class:`~tace.seams.AddressBook`,
    :class:`~tace.seams.OwnRecord` and :class:`~tace.seams.LinkEvents`.
    """

    _log = Logger()

    def __init__(
        self,
        key: SigningKey,
        network_id: bytes,
        description: OwnDescription,
        *,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        replicas: int,
        table_capacity: int,
        repair_after_seconds: float,
        forget_after_seconds: float,
        exchange_seconds: float,
        probe_dead_seconds: float,
    ) -> None:
        self._key = key
        self._network_id = network_id
        self.description = description
        self._sequence = 0
        self._links = links
        self._store = store
        self._clock = clock
        self._random = random
        self._counters = counters
        self._ages = (repair_after_seconds, forget_after_seconds)
        self._table = RoutingTable(table_capacity)
        self._died: dict[NodeId, float] = {}
        self._heard: dict[NodeId, float] = {}
        self._unsaved: set[NodeId] = set()
        self._rumours: dict[NodeId, int] = {}
        self._encodings: set[bytes] = set()
        self._ageing: set[IDelayedCall] = set()
        self._listeners: list[Callable[[], None]] = []
        self._placement = Placement(
            self._table,
            replicas,
            self.dead_for,
            repair_after_seconds=repair_after_seconds,
            forget_after_seconds=forget_after_seconds,
        )
        self.current = self._sign()
        self._table.put(self.current)
        self._encodings.add(self.current.encoded)
        self._gossip = Periodic(
            "gossip",
            clock,
            lambda: GOSSIP_INTERVAL_SECONDS if self._rumours else RECORD_RENEWAL_SECONDS,
            self._gossip_round,
        )
        self._exchange = Periodic(
            "exchange membership", clock, lambda: exchange_seconds * random.uniform(0.75, 1.25),
            self._exchange_with_random,
        )
        self._renewal = Periodic(
            "renew own record", clock, lambda: RECORD_RENEWAL_SECONDS, self._renew
        )
        self._probe = Periodic(
            "probe dead nodes", clock, lambda: probe_dead_seconds * random.uniform(0.75, 1.25),
            self._probe_dead,
        )
        self._upkeep = Periodic("save peers", clock, lambda: 5.0, self._save)

    # -- life ------------------------------------------------------------------------------------

    async def load(self) -> list[NodeRecord]:
        """Take in the peers remembered from last time; the last heard first."""
        found = []
        for peer in await self._store.load_peers():
            record = self._verified(peer.record)
            if record is not None and record.node_id != self.own:
                self._heard[record.node_id] = peer.last_heard_seconds
                self._take_in(record)
                found.append(record)
        return found

    def start(self) -> None:
        for work in (self._exchange, self._renewal, self._probe, self._upkeep):
            work.start()
        self._gossip.start()

    async def stop(self) -> None:
        for work in (self._gossip, self._exchange, self._renewal, self._probe, self._upkeep):
            await work.stop()
        for timer in self._ageing:
            timer.cancel()
        self._ageing.clear()
        await self._save()

    def procedures(self) -> dict[type[Message], Callable[..., object]]:
        return {
            Records: self._on_records,
            GetRecords: self._on_get_records,
            GetMembers: self._on_get_members,
        }

    # -- own record ------------------------------------------------------------------------------

    @property
    def own(self) -> NodeId:
        return self.current.node_id

    def _sign(self) -> NodeRecord:
        self._sequence += 1
        d = self.description
        return NodeRecord.sign(
            self._key,
            self._network_id,
            peer_addresses=d.peer_addresses,
            client_urls=d.client_urls,
            boot=d.boot,
            sequence=self._sequence,
            position_mask=d.position_mask,
            expires_seconds=int(self._clock.seconds()) + RECORD_LIFETIME_SECONDS,
            capacity=d.capacity,
            zone=d.zone,
            full=d.full,
            away_until_seconds=d.away_until_seconds,
            software=d.software,
        )

    def describe(self, description: OwnDescription) -> None:
        """Change what the record says, sign it, and spread it."""
        self.description = description
        self.current = self._sign()
        self._take_in(self.current)

    async def _renew(self) -> None:
        self.describe(self.description)

    # -- what is known ---------------------------------------------------------------------------

    def record_of(self, node: NodeId) -> NodeRecord | None:
        return self._table.get(node)

    @property
    def table(self) -> RoutingTable:
        return self._table

    def living(self) -> list[NodeId]:
        """Every known node that has not been found dead, this one included, by id."""
        return sorted(r.node_id for r in self._table if r.node_id not in self._died)

    def others_living(self) -> list[NodeId]:
        return [node for node in self.living() if node != self.own]

    def living_records(self) -> list[NodeRecord]:
        return [r for node in self.living() if (r := self._table.get(node)) is not None]

    def is_dead(self, node: NodeId) -> bool:
        return node in self._died

    def dead_for(self, node: NodeId) -> float | None:
        """Seconds since it was found dead; None for a living one."""
        died = self._died.get(node)
        return None if died is None else self._clock.seconds() - died

    # -- View ------------------------------------------------------------------------------------

    def replica_set(self, key: bytes) -> ReplicaSet:
        return self._placement.replica_set(key)

    def is_candidate(
        self, node: NodeId, key: bytes, per_replica: int = CANDIDATES_PER_REPLICA
    ) -> bool:
        return node in self._placement.candidates(key, per_replica)

    def may_ask_about(self, node: NodeId, arc: Arc) -> bool:
        """The rule for reconciliation and fetches: within the first 2N, for all of the arc."""
        keys = self._table.positions_in(arc, MAX_POSITIONS_ASKED + 1)
        return len(keys) <= MAX_POSITIONS_ASKED and all(
            self.is_candidate(node, key, ASKERS_PER_REPLICA) for key in (*keys, arc.end)
        )

    def nearer_records(self, key: bytes) -> tuple[bytes, ...]:
        nodes = self._placement.candidates(key)[:MAX_REDIRECT_RECORDS]
        records = (self._table.get(node) for node in nodes)
        return tuple(record.encoded for record in records if record is not None)

    def arcs_held(self) -> list[tuple[Arc, ReplicaSet]]:
        return self._placement.arcs_held_by(self.own)

    def when_changed(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def _changed(self) -> None:
        self._placement.forget_cached()
        for listener in self._listeners:
            listener()

    # -- news ------------------------------------------------------------------------------------

    def learn(self, records: Sequence[bytes]) -> bool:
        news = False
        for encoded in records:
            if encoded in self._encodings:
                # Most news is old news: comparing costs nothing, a signature 60 us.
                continue
            record = self._verified(encoded)
            if record is not None and self._take_in(record):
                news = True
        return news

    def _verified(self, encoded: bytes) -> NodeRecord | None:
        try:
            record = NodeRecord.parse(encoded, self._network_id)
        except BadRecord:
            self._counters.count("records_refused_total", reason="bad")
            return None
        if record.expires_seconds <= self._clock.seconds() - CLOCK_TOLERANCE_SECONDS:
            self._counters.count("records_refused_total", reason="expired")
            return None
        return record

    def _take_in(self, record: NodeRecord) -> bool:
        known = self._table.get(record.node_id)
        if record.node_id == self.own and record.freshness > self.current.freshness:
            # Two live nodes with one identity, or a clock that was set back before this boot.
            self._counters.count("own_identity_elsewhere_total")
            self._log.error(
                "another node uses this node's identity (boot {theirs}, here {ours}):"
                " one data_dir must run once",
                theirs=record.boot,
                ours=self.current.boot,
            )
            return False
        if not self._table.put(record):
            return False
        if known is not None:
            self._encodings.discard(known.encoded)
        self._encodings.add(record.encoded)
        reborn = known is not None and record.boot > known.boot
        if reborn and record.node_id in self._died:
            # It started again since it was found dead.
            del self._died[record.node_id]
        if record.node_id != self.own:
            self._unsaved.add(record.node_id)
        if len(self._rumours) < MAX_RUMOURS:
            self._rumours[record.node_id] = ceil(4 * log10(len(self._table) + 1))
            self._gossip.soon()
        self._changed()
        return True

    def heard(self, node: NodeId) -> None:
        """It has just proved that it lives."""
        self._heard[node] = self._clock.seconds()
        self._unsaved.add(node)
        if self._died.pop(node, None) is not None:
            self._log.info("node {node} is back", node=node.hex()[:8])
            self._changed()

    def found_dead(self, node: NodeId) -> None:
        """No address of it answers."""
        if node not in self._table or node in self._died or node == self.own:
            return
        self._died[node] = self._clock.seconds()
        self._counters.count("deaths_total")
        self._log.info("node {node} does not answer any more", node=node.hex()[:8])
        for age in self._ages:
            # Replica sets change when it passes these ages, not only now.
            self._call_at_age(age, node)
        self._changed()

    def _call_at_age(self, age_seconds: float, node: NodeId) -> None:
        def aged() -> None:
            self._ageing.discard(timer)
            if node in self._died:
                self._changed()

        timer = self._clock.callLater(age_seconds, aged)
        self._ageing.add(timer)

    # -- LinkEvents ------------------------------------------------------------------------------

    def link_up(self, record: NodeRecord) -> None:
        self._take_in(record)
        self.heard(record.node_id)

    def link_lost(self, node: NodeId) -> None:
        """Not a death yet: the pool dials again, and says ``unreachable`` when that fails."""

    def unreachable(self, node: NodeId) -> None:
        self.found_dead(node)

    # -- gossip ----------------------------------------------------------------------------------

    async def _gossip_round(self) -> None:
        up = [node for node in self._links.up() if node not in self._died]
        if not self._rumours or not up:
            return
        batch = list(self._rumours)[:RECORDS_PER_FRAME]
        records = [r.encoded for node in batch if (r := self._table.get(node)) is not None]
        for peer in self._random.sample(up, min(FANOUT, len(up))):
            self._links.send(peer, Records(tuple(records)))
        for node in batch:
            left = self._rumours.pop(node) - 1
            if left > 0:
                self._rumours[node] = left

    async def _on_records(self, peer: NodeId, message: Records) -> None:
        self.learn(message.records)

    async def _on_get_records(self, peer: NodeId, message: GetRecords) -> Records:
        found = (self._table.get(node) for node in message.nodes)
        return Records(tuple(record.encoded for record in found if record is not None))

    async def _on_get_members(self, peer: NodeId, message: GetMembers) -> Members:
        records = sorted(
            (r for r in self._table if r.node_id > message.after and r.node_id not in self._died),
            key=lambda record: record.node_id,
        )
        page = tuple(MemberField(r.node_id, *r.freshness) for r in records[:MAX_LISTED])
        return Members(page, more=len(records) > len(page))

    async def exchange_with(self, peer: NodeId) -> None:
        """Push-pull: learn what the peer knows better, tell it what this node knows better.

        :raises Failure: the peer does not answer.
        """
        theirs: dict[NodeId, tuple[int, int]] = {}
        after = b""
        while True:
            page = await self._links.call(peer, GetMembers(after))
            theirs.update((m.node, (m.boot, m.sequence)) for m in page.members)
            if not page.more or not page.members or len(theirs) > 2 * len(self._table) + 20_000:
                break
            after = page.members[-1].node
        await self.fetch_records(
            peer, [n for n, freshness in theirs.items() if freshness > self._freshness(n)]
        )
        better = [
            record.encoded
            for record in self.living_records()
            if record.freshness > theirs.get(record.node_id, (-1, -1))
        ]
        for start in range(0, len(better), RECORDS_PER_FRAME):
            self._links.send(peer, Records(tuple(better[start : start + RECORDS_PER_FRAME])))

    async def fetch_records(self, peer: NodeId, nodes: Sequence[NodeId]) -> None:
        """Ask a peer for the records of these nodes, and learn them.

        :raises Failure: the peer does not answer.
        """
        for start in range(0, len(nodes), RECORDS_PER_FRAME):
            wanted = tuple(nodes[start : start + RECORDS_PER_FRAME])
            answer = await self._links.call(peer, GetRecords(wanted))
            self.learn(answer.records)

    def _freshness(self, node: NodeId) -> tuple[int, int]:
        record = self._table.get(node)
        return record.freshness if record is not None else (-1, -1)

    async def _exchange_with_random(self) -> None:
        others = self.others_living()
        if others:
            try:
                await self.exchange_with(self._random.choice(others))
            except (Failure, Refusal):
                self._counters.count("exchange_failures_total")

    async def _probe_dead(self) -> None:
        """Ask one dead node whether it is back; forget those whose records are over."""
        now = self._clock.seconds()
        for node in [n for n in self._died if self._over(n, now)]:
            del self._died[node]
            self._heard.pop(node, None)
            record = self._table.get(node)
            if record is not None:
                self._encodings.discard(record.encoded)
            self._table.remove(node)
            await self._store.forget_peers([node])
            self._changed()
        if self._died:
            node = self._random.choice(sorted(self._died))
            try:
                await self._links.call(node, Ping())
            except (Failure, Refusal):
                return
            self.heard(node)

    def _over(self, node: NodeId, now: float) -> bool:
        record = self._table.get(node)
        return record is None or record.expires_seconds + CLOCK_TOLERANCE_SECONDS < now

    async def _save(self) -> None:
        if not self._unsaved:
            return
        batch, self._unsaved = self._unsaved, set()
        peers = [
            KnownPeer(node, record.encoded, self._heard.get(node, 0.0))
            for node in sorted(batch)
            if (record := self._table.get(node)) is not None
        ]
        await self._store.save_peers(peers)


async def find_first_peers(
    membership: Membership, links: Links, remembered: Sequence[NodeRecord], seeds: Sequence[str]
) -> int:
    """Dial seeds and remembered peers, and learn everyone they know; how many answered.

    Never only one source (page 2.7): up to four seeds and eight remembered peers are asked.
    """
    answered = 0

    async def ask(node: NodeId) -> None:
        nonlocal answered
        await membership.exchange_with(node)
        answered += 1

    async def introduce(seed: str) -> None:
        try:
            record = await links.introduce(seed)
            if record.node_id != membership.own:
                await ask(record.node_id)
        except (Failure, ProtocolError, Refusal):
            return

    async def remind(record: NodeRecord) -> None:
        try:
            await ask(record.node_id)
        except (Failure, ProtocolError, Refusal):
            return

    waiting = [background(f"seed {seed}", introduce(seed)) for seed in seeds[:4]]
    waiting += [background("remembered peer", remind(record)) for record in remembered[:8]]
    for work in waiting:
        await work
    return answered
