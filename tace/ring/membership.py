"""Who takes part, as far as this node knows: verified records, and who is dead (page 2.3).

A node's signed record is the unit of everything; nothing unsigned is believed. This is state and
its rules; how records spread is in :mod:`tace.ring.gossip`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tace.errors import BadRecord
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import Arc, NodeId
from tace.ring.placement import ASKERS_PER_REPLICA, CANDIDATES_PER_REPLICA, Placement
from tace.ring.table import RoutingTable
from tace.seams import Counters, ReplicaSet
from tace.wire.fields import MAX_REDIRECT_RECORDS

RECORD_LIFETIME_SECONDS = 24 * 3600
CLOCK_TOLERANCE_SECONDS = 3600
MAX_AHEAD_SECONDS = RECORD_LIFETIME_SECONDS + CLOCK_TOLERANCE_SECONDS
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
    """The routing table and the verdicts of death, kept together.

    Implements :class:`~tace.seams.View`, :class:`~tace.seams.AddressBook` and
    :class:`~tace.seams.OwnRecord`.

    :param repair_after_seconds: a node dead this long is replaced in the sets it was in.
    :param forget_after_seconds: a node dead this long no longer counts in n.
    """

    _log = Logger()

    def __init__(
        self,
        key: SigningKey,
        network_id: bytes,
        description: OwnDescription,
        *,
        clock: IReactorTime,
        counters: Counters,
        replicas: int,
        table_capacity: int,
        repair_after_seconds: float,
        forget_after_seconds: float,
    ) -> None:
        self._key = key
        self._network_id = network_id
        self.description = description
        self._sequence = 0
        self._clock = clock
        self._counters = counters
        self._ages = (repair_after_seconds, forget_after_seconds)
        self._table = RoutingTable(table_capacity)
        self._encodings: set[bytes] = set()
        self._died: dict[NodeId, float] = {}
        self._unfit: set[NodeId] = set()
        self._ageing: set[IDelayedCall] = set()
        self._stopped = False
        self._view_listeners: list[Callable[[], None]] = []
        self._news_listeners: list[Callable[[NodeRecord], None]] = []
        self._placement = Placement(
            self._table,
            replicas,
            self._gone_for,
            repair_after_seconds=repair_after_seconds,
            forget_after_seconds=forget_after_seconds,
        )
        self.current = self._sign()
        self._table.put(self.current)
        self._encodings.add(self.current.encoded)

    def stop(self) -> None:
        self._stopped = True
        for timer in self._ageing:
            timer.cancel()
        self._ageing.clear()

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
        """Say this of the node from now on: signed anew, and news for everyone."""
        self.description = description
        self.current = self._sign()
        self.take_in(self.current)

    # -- what is known ---------------------------------------------------------------------------

    @property
    def table(self) -> RoutingTable:
        return self._table

    def record_of(self, node: NodeId) -> NodeRecord | None:
        return self._table.get(node)

    def living(self) -> list[NodeRecord]:
        """Every known node that has not been found dead, this one included, by id."""
        alive = (record for record in self._table if record.node_id not in self._died)
        return sorted(alive, key=lambda record: record.node_id)

    def others_living(self) -> list[NodeId]:
        return [record.node_id for record in self.living() if record.node_id != self.own]

    @property
    def alone(self) -> bool:
        """Is no other node known to live?"""
        return len(self._table) - len(self._died) <= 1

    def dead(self) -> list[NodeId]:
        """The nodes found dead and not heard of since, by id."""
        return sorted(self._died)

    def is_dead(self, node: NodeId) -> bool:
        return node in self._died

    def dead_for(self, node: NodeId) -> float | None:
        """Seconds since it was found dead; None for a living one."""
        died = self._died.get(node)
        return None if died is None else self._clock.seconds() - died

    def _gone_for(self, node: NodeId) -> float | None:
        """As placement sees it: a node whose clock is unfit was never there."""
        return inf if node in self._unfit else self.dead_for(node)

    def clock_seen(self, node: NodeId, difference_seconds: float) -> None:
        """Its hello told its time; an hour off it cannot judge expiries, and is no replica."""
        if (abs(difference_seconds) >= CLOCK_TOLERANCE_SECONDS) == (node in self._unfit):
            return
        self._unfit ^= {node}
        self._log.warn(
            "the clock of node {node} is {difference} s off ours",
            node=node.hex()[:8],
            difference=int(difference_seconds),
        )
        self._changed()

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
        self._view_listeners.append(listener)

    def when_news(self, listener: Callable[[NodeRecord], None]) -> None:
        """Have it called with every record that was taken in."""
        self._news_listeners.append(listener)

    def _changed(self) -> None:
        self._placement.forget_cached()
        for listener in self._view_listeners:
            listener()

    # -- news ------------------------------------------------------------------------------------

    def learn(self, records: Sequence[bytes]) -> bool:
        news = False
        for encoded in records:
            if encoded in self._encodings:
                # Most news is old news: comparing costs nothing, a signature 60 us.
                continue
            record = self.verified(encoded)
            if record is not None and self.take_in(record):
                news = True
        return news

    def verified(self, encoded: bytes) -> NodeRecord | None:
        """The record, if it is one of this network and not over."""
        try:
            record = NodeRecord.parse(encoded, self._network_id)
        except BadRecord:
            self._counters.count("records_refused_total", reason="bad")
            return None
        return record if self.is_current(record) else None

    def is_current(self, record: NodeRecord) -> bool:
        """Is it neither over nor dated further ahead than records are?"""
        ahead = record.expires_seconds - self._clock.seconds()
        if ahead <= -CLOCK_TOLERANCE_SECONDS:
            self._counters.count("records_refused_total", reason="expired")
            return False
        if ahead > MAX_AHEAD_SECONDS:
            # Once dead it would keep its place in the table for as long as it says.
            self._counters.count("records_refused_total", reason="too-far-ahead")
            return False
        return True

    def take_in(self, record: NodeRecord) -> bool:
        """Keep a verified record if it is the freshest of its node; True when it was news."""
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
            if record.boot > known.boot:
                # It has started again since it was found dead.
                self._died.pop(record.node_id, None)
        self._encodings.add(record.encoded)
        for listener in self._news_listeners:
            listener(record)
        self._changed()
        return True

    def heard(self, node: NodeId) -> None:
        """It has just proved that it lives."""
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
        if self._stopped:
            return

        def aged() -> None:
            self._ageing.discard(timer)
            if node in self._died:
                self._changed()

        timer = self._clock.callLater(age_seconds, aged)
        self._ageing.add(timer)

    def forget_expired(self, linked: Collection[NodeId] = ()) -> list[NodeId]:
        """Drop nodes whose records are over, dead or never met; which.

        :param linked: whoever a link is open to lives, and stays.
        """
        limit = self._clock.seconds() - CLOCK_TOLERANCE_SECONDS
        keep = {self.own, *linked}
        over = [
            record
            for record in self._table
            if record.expires_seconds < limit and record.node_id not in keep
        ]
        for record in over:
            self._encodings.discard(record.encoded)
            self._table.remove(record.node_id)
            self._died.pop(record.node_id, None)
        if over:
            self._changed()
        return [record.node_id for record in over]
