"""Who takes part, as far as this node knows: verified records, and who is dead (page 2.3).

A node's signed record is the unit of everything; nothing unsigned is believed. This is state and
its rules; how records spread is in :mod:`tace.ring.gossip`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.errors import BadRecord, ForgedRecord
from tace.identity.keys import SigningKey, node_id
from tace.identity.node_record import Departure, NodeRecord
from tace.ids import Arc, NodeId, distance
from tace.ring.acquaintances import Acquaintances
from tace.ring.fingers import least_capacity
from tace.ring.placement import CANDIDATES_PER_REPLICA, Placement
from tace.ring.presence import Presence
from tace.ring.table import RoutingTable
from tace.seams import Counters, ReplicaSet
from tace.wire.fields import MAX_REDIRECT_RECORDS

RECORD_LIFETIME_SECONDS = 24 * 3600
CLOCK_TOLERANCE_SECONDS = 3600
MAX_AHEAD_SECONDS = RECORD_LIFETIME_SECONDS + CLOCK_TOLERANCE_SECONDS
"""How far ahead the expiry of a node's record may lie."""
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
    departure: Departure = Departure.NONE


class Membership:
    """The routing table and the verdicts on who is here, kept together.

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
        self._table = RoutingTable(
            max(table_capacity, self._least_capacity(description, replicas)),
            node_id(key.public),
            neighbours=CANDIDATES_PER_REPLICA * replicas,
            counts=lambda node: (
                (self.dead_for(node) or 0.0) < forget_after_seconds and not self.has_left(node)
            ),
            left=self._left,
        )
        self.acquaintances = Acquaintances(clock, self._forget_unknown)
        self._encodings: set[bytes] = set()
        self._full: set[NodeId] = set()
        self._view_listeners: list[Callable[[], None]] = []
        self._news_listeners: list[Callable[[NodeRecord], None]] = []
        self._presence = Presence(
            clock,
            self._changed_by_time,
            repair_after_seconds=repair_after_seconds,
            forget_after_seconds=forget_after_seconds,
        )
        self._placement = Placement(
            self._table,
            replicas,
            self._presence.gone_for,
            is_absent=self._presence.is_gone,
            is_full=self._full.__contains__,
            is_leaving=self._presence.is_leaving,
            is_urgent=lambda: self._presence.many_died(len(self._table)),
            repair_after_seconds=repair_after_seconds,
            forget_after_seconds=forget_after_seconds,
        )
        self.current = self._sign()
        self._table.put(self.current)
        self._encodings.add(self.current.encoded)

    @staticmethod
    def _least_capacity(description: OwnDescription, replicas: int) -> int:
        positions = description.position_mask.bit_count()
        return least_capacity(CANDIDATES_PER_REPLICA * replicas, positions)

    def stop(self) -> None:
        self._presence.stop()

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
            departure=d.departure,
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
        return self._table.get(node) or self.acquaintances.get(node)

    def expected(self) -> list[NodeRecord]:
        """Every known node that was not found dead, by id: those that are here or away."""
        there = (r for r in self._table if not self._presence.is_dead(r.node_id))
        return sorted(there, key=lambda record: record.node_id)

    def living(self) -> list[NodeRecord]:
        """Every known node that is neither dead nor away, this one included, by id."""
        here = (r for r in self._table if not self._presence.is_gone(r.node_id))
        return sorted(here, key=lambda record: record.node_id)

    def others_living(self) -> list[NodeId]:
        return [record.node_id for record in self.living() if record.node_id != self.own]

    @property
    def alone(self) -> bool:
        """Is no other node known to be here?"""
        return len(self._table) - self._presence.gone_count <= 1

    def gone(self) -> list[NodeId]:
        """The nodes found dead and not heard of since, and those that are away, by id."""
        return sorted([*self._presence.dead(), *self._presence.away()])

    def dead(self) -> list[NodeId]:
        """The nodes found dead and not heard of since, by id."""
        return self._presence.dead()

    def is_dead(self, node: NodeId) -> bool:
        return self._presence.is_gone(node)

    @property
    def many_came(self) -> bool:
        return self._presence.many_came(len(self._table))

    def is_full(self, node: NodeId) -> bool:
        return node in self._full

    def dead_for(self, node: NodeId) -> float | None:
        """Seconds since it was found dead; None for a living one."""
        return self._presence.dead_for(node)

    def is_leaving(self, node: NodeId) -> bool:
        """Does it hand over what it keeps, to go for good?"""
        return self._presence.is_leaving(node)

    def has_left(self, node: NodeId) -> bool:
        """Has it gone for good, by its own word?"""
        return self._presence.has_left(node)

    def clock_seen(self, node: NodeId, difference_seconds: float) -> None:
        """Its hello told its time; an hour off it cannot judge expiries, and is no replica."""
        unfit = abs(difference_seconds) >= CLOCK_TOLERANCE_SECONDS
        if not self._presence.clock_unfit(node, unfit):
            return
        self._log.warn(
            "the clock of node {node} is {difference} s off ours",
            node=node.hex()[:8],
            difference=int(difference_seconds),
        )
        self._changed_of(node)
        self._changed()

    # -- View ------------------------------------------------------------------------------------

    def knows(self, key: bytes) -> bool:
        """Is it arithmetic who keeps that key: near enough, or found by a lookup not long ago?"""
        return self._table.covers(key) or self.acquaintances.is_fresh(key)

    def remember(self, key: bytes, records: Sequence[NodeRecord]) -> None:
        """A lookup found that these (verified) follow the key, nearest first."""
        self.acquaintances.remember(key, records)
        for record in records:
            if record.node_id not in self._table:
                self._note_word(record, restarted=False)

    def learn_around(self, key: bytes, records: Sequence[bytes]) -> None:
        self.learn(records)
        found = None if self._table.covers(key) else self.acquaintances.around(key)
        if found is None:
            # Of a key that was never looked up a few records say nothing; a lookup will.
            return
        known = {node: self.record_of(node) for node in found.nodes}
        for encoded in records:
            record = self.verified(encoded)
            if record is not None:
                known[record.node_id] = record
        nearest = sorted(
            (record for record in known.values() if record is not None),
            key=lambda record: min(distance(key, position) for position, _ in record.places),
        )[: CANDIDATES_PER_REPLICA * self._placement.replicas]
        if {record.node_id for record in nearest} != set(found.nodes):
            self.acquaintances.remember(key, nearest, until=found.until)
            for record in nearest:
                if record.node_id not in self._table:
                    self._note_word(record, restarted=False)

    def _placement_of(self, key: bytes) -> Placement:
        if self._table.covers(key):
            return self._placement
        table = self.acquaintances.table_around(key)
        return self._placement if table is None else self._placement.on(table)

    def replica_set(self, key: bytes) -> ReplicaSet:
        return self._placement_of(key).replica_set(key)

    def is_candidate(
        self, node: NodeId, key: bytes, per_replica: int = CANDIDATES_PER_REPLICA
    ) -> bool:
        # Whose surroundings are not known is far away: too far for this node and its neighbours.
        return self.knows(key) and self._placement_of(key).is_candidate(node, key, per_replica)

    def candidates(self, key: bytes) -> tuple[NodeId, ...]:
        return self._placement_of(key).candidates(key)

    def may_ask_about(self, node: NodeId, arc: Arc) -> bool:
        """The rule for reconciliation and fetches, which must hold for all of the arc: whoever
        keeps copies may ask, and who is within the first 2N."""
        keys = self._table.positions_in(arc, MAX_POSITIONS_ASKED + 1)
        return len(keys) <= MAX_POSITIONS_ASKED and all(
            self.knows(key) and self._placement_of(key).may_ask(node, key)
            for key in (*keys, arc.end)
        )

    def nearer_records(self, key: bytes) -> tuple[bytes, ...]:
        # The dead are no help to whoever asks.
        nodes = self._placement_of(key).walk(key).living[:MAX_REDIRECT_RECORDS]
        records = (self.record_of(node) for node in nodes)
        return tuple(record.encoded for record in records if record is not None)

    def arcs_held(self) -> tuple[tuple[Arc, ReplicaSet], ...]:
        return self._placement.arcs_held_by(self.own)

    def when_changed(self, listener: Callable[[], None]) -> None:
        self._view_listeners.append(listener)

    def when_news(self, listener: Callable[[NodeRecord], None]) -> None:
        """Have it called with every record that was taken in."""
        self._news_listeners.append(listener)

    def _left(self, record: NodeRecord) -> None:
        """The table had no more room for it."""
        self._encodings.discard(record.encoded)
        self._placement.note_change(record)
        self._forget_unknown(record.node_id)
        self._counters.count("table_evictions_total")

    def _forget_unknown(self, node: NodeId) -> None:
        """What is known of a node ends with the last record of it."""
        if node not in self._table and self.acquaintances.get(node) is None:
            self._presence.forget(node)
            self._full.discard(node)

    def _changed_by_time(self, node: NodeId) -> None:
        self._changed_of(node)
        self._changed()

    def _changed_of(self, node: NodeId) -> None:
        """What counts as its place, or whether it takes copies, is not what it was."""
        record = self._table.get(node)
        if record is not None:
            self._placement.note_change(record)

    def _changed(self) -> None:
        self._table.look_again()
        for listener in self._view_listeners:
            listener()

    # -- news ------------------------------------------------------------------------------------

    def learn(self, records: Sequence[bytes]) -> bool:
        news = False
        try:
            for encoded in records:
                if encoded in self._encodings:
                    # Most news is old news: comparing costs nothing, a signature 60 us.
                    continue
                try:
                    record = self._checked(encoded)
                except ForgedRecord:
                    raise
                except BadRecord:
                    # Of a version to come, perhaps; finding out has cost nothing.
                    continue
                if record is not None and self._keep(record, met=False):
                    news = True
        finally:
            if news:
                # One change for all of them: a node that joins is sent hundreds at once.
                self._changed()
        return news

    def verified(self, encoded: bytes) -> NodeRecord | None:
        """The record, if it is one of this network and not over."""
        try:
            return self._checked(encoded)
        except BadRecord:
            return None

    def _checked(self, encoded: bytes) -> NodeRecord | None:
        try:
            record = NodeRecord.parse(encoded, self._network_id)
        except BadRecord:
            self._counters.count("records_refused_total", reason="bad")
            raise
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

    def take_in(self, record: NodeRecord, *, met: bool = False, remembered: bool = False) -> bool:
        """Keep a verified record if it is the freshest of its node; True when it was news.

        :param met: has its node just proved itself on a link?
        :param remembered: does it come from an earlier life of this program?
        """
        news = self._keep(record, met=met, remembered=remembered)
        if news:
            self._changed()
        return news

    def _keep(self, record: NodeRecord, *, met: bool, remembered: bool = False) -> bool:
        """As :meth:`take_in`, but whoever listens for changes is not told yet."""
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
        self.acquaintances.refresh(record)
        if not self._table.put(record, met=met):
            return False
        if known is not None:
            self._encodings.discard(known.encoded)
        elif record.node_id != self.own and not remembered:
            self._presence.came()
        self._encodings.add(record.encoded)
        self._note_word(record, restarted=known is not None and record.boot > known.boot)
        if known is not None and known.position_mask != record.position_mask:
            self._placement.note_change(known)
        self._placement.note_change(record)
        self._table.look_again()
        for listener in self._news_listeners:
            listener(record)
        return True

    def _note_word(self, record: NodeRecord, *, restarted: bool) -> None:
        """What it says of itself; of itself this node knows better whether it is here."""
        if record.node_id != self.own:
            self._presence.told(record, restarted=restarted)
        elif record.departure is not Departure.LEFT:
            # A node that leaves places what it holds as all others do.
            self._presence.told_departure(record.node_id, record.departure)
        if record.full:
            self._full.add(record.node_id)
        else:
            self._full.discard(record.node_id)

    def heard(self, node: NodeId) -> None:
        """It has just proved that it lives."""
        self._table.met(node)
        if self._presence.heard(node):
            self._log.info("node {node} is back", node=node.hex()[:8])
            self._changed_of(node)
            self._changed()

    def found_dead(self, node: NodeId) -> None:
        """No address of it answers."""
        known = self.record_of(node) is not None
        if not known or node == self.own or not self._presence.found_dead(node):
            return
        self._counters.count("deaths_total")
        self._log.info("node {node} does not answer any more", node=node.hex()[:8])
        self._changed_of(node)
        self._changed()

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
            self._presence.forget(record.node_id)
            self._full.discard(record.node_id)
            self._placement.note_change(record)
        if over:
            self._changed()
        return [record.node_id for record in over]
