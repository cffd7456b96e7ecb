"""Builds one node without sockets: ring, membership, mailboxes, delivery (page 1.2).

The real node and the simulator both come through here, and nobody else builds these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random
from statistics import median_high
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.background import Periodic, background
from tace.config import Settings
from tace.delivery.blobs import BlobDelivery
from tace.delivery.collect import Collect
from tace.delivery.deposit import Deposit
from tace.delivery.lookup import RecordLookup
from tace.errors import InternalError, LinkLost, NameFailed, Refusal, StoreError
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.limits.buckets import BucketTable, TokenBucket
from tace.mailbox.blob_repair import BlobRepair
from tace.mailbox.blobs import BlobReplica
from tace.mailbox.departure import Departure
from tace.mailbox.displaced import Displaced
from tace.mailbox.handoff import HintedHandoff
from tace.mailbox.leave import Leave
from tace.mailbox.listing import PagedLists
from tace.mailbox.offers import OfferAnswers
from tace.mailbox.pace import Pace
from tace.mailbox.reconcile import RangeReconciliation
from tace.mailbox.repair import Repair
from tace.mailbox.replica import Replica
from tace.mailbox.rules import AdmissionRules
from tace.mailbox.surplus import Surplus
from tace.ring.bootstrap import Bootstrap
from tace.ring.farewell import Farewell
from tace.ring.gossip import Gossip
from tace.ring.hearsay import Hearsay
from tace.ring.liveness import Liveness
from tace.ring.lookup import Lookup
from tace.ring.maintenance import RingMaintenance
from tace.ring.membership import Membership, OwnDescription
from tace.ring.merge import MAX_PEERS_KNOWN, RETURNS_AT_ONCE, RETURNS_PER_SECOND, Merge
from tace.ring.pacing import PacingLaw
from tace.ring.placement import CANDIDATES_PER_REPLICA
from tace.ring.suspicion import Accusations
from tace.seams import (
    Counters,
    LinkEvents,
    Links,
    NamedSeed,
    Procedure,
    SeedNames,
    Store,
    StoreHealth,
    StoreState,
    Totals,
)
from tace.wire.message import Message, Request
from tace.wire.objects import MAX_STAMP_TARGET

A = TypeVar("A", bound=Message)
_log = Logger()
EXCHANGE_SECONDS = 300.0
LOOK_FOR_OTHERS_SECONDS = 5.0
UPKEEP_SECONDS = 60.0
TOTALS_SECONDS = 1.0
WORDS_PER_SECOND, WORDS_AT_ONCE = 16.0, 512.0
"""Of one peer: questions about others that do not answer, and accusations of them."""
MAX_TALKERS = 4096
"""Peers whose questions, and whose accusations, are counted."""
MAX_REPAIR_BYTES_PER_SECOND = 8 * 1024 * 1024
"""For comparing and fetching items, with all peers together; as much may come at once."""

LOOKUPS_PER_SECOND = 50.0
"""That one node may ask of this one over the long run: whoever asks more asks others, too."""
LOOKUPS_AT_ONCE = 500.0
MAX_ASKERS = 4096
"""Nodes whose rate of lookups is remembered."""

MakeLinks = Callable[[Membership], Links]
"""Makes the node's links; the membership is their address book and their own record."""


class LocalToo:
    """Links that also reach this very node, without a socket or a byte.

    A node is often its own replica and its own watcher; callers need not know.
    """

    def __init__(self, links: Links, own: NodeId) -> None:
        self._links = links
        self._own = own
        self._procedures: Mapping[type[Message], Procedure] = {}

    def serve(self, procedures: Mapping[type[Message], Procedure]) -> None:
        self._procedures = procedures
        self._links.serve(procedures)

    def subscribe(self, listener: LinkEvents) -> None:
        self._links.subscribe(listener)

    def call(
        self, node: NodeId, request: Request[A], *, timeout_seconds: float | None = None
    ) -> Deferred[A]:
        if node != self._own:
            return self._links.call(node, request, timeout_seconds=timeout_seconds)
        procedure = self._procedures.get(type(request))
        if procedure is None:
            return fail(LinkLost("this node does not answer that"))
        return Deferred.fromCoroutine(_answer(procedure, node, request))

    def send(self, node: NodeId, message: Message) -> bool:
        if node != self._own:
            return self._links.send(node, message)
        procedure = self._procedures.get(type(message))
        if procedure is None:
            return False
        background("message to this node", _answer(procedure, node, message))
        return True

    def is_up(self, node: NodeId) -> bool:
        return node == self._own or self._links.is_up(node)

    def up(self) -> Collection[NodeId]:
        return self._links.up()

    def introduce(self, address: str, *, name: str = "") -> Deferred[NodeRecord]:
        return self._links.introduce(address, name=name)

    def pin(self, nodes: Collection[NodeId]) -> None:
        self._links.pin(nodes)

    def guard(self, nodes: Collection[NodeId]) -> None:
        self._links.guard(nodes)

    def reset_backoff(self, nodes: Collection[NodeId]) -> None:
        self._links.reset_backoff(nodes)

    def requests_stamp_bits(self, node: NodeId) -> int | None:
        return self._links.requests_stamp_bits(node)

    def clock_difference_seconds(self, node: NodeId) -> float | None:
        return self._links.clock_difference_seconds(node)


class NoNames:
    """For a node without a name service: no name stands for anything."""

    def look_up(self, name: str) -> Deferred[Sequence[NamedSeed]]:
        return fail(NameFailed("there is no name service here"))


async def _answer(procedure: Procedure, node: NodeId, message: Message) -> Any:
    """As over a link: what the procedure raises comes back as a refusal."""
    try:
        return await procedure(node, message)
    except (Refusal, CancelledError):
        raise
    except Exception as error:
        _log.failure("{name} failed at this node itself", name=type(message).__name__)
        raise InternalError("this node failed at it") from error


class RecentTotals:
    """What the store holds, counted at most once a second: anyone may ask, counting costs."""

    def __init__(self, store: Store, clock: IReactorTime) -> None:
        self._store = store
        self._clock = clock
        self._counted_at = -inf
        self._counting = False
        self._last: Totals | None = None

    async def get(self) -> Totals:
        """The latest count; nothing at all where the store could never be counted."""
        now = self._clock.seconds()
        recent = self._counting or now - self._counted_at < TOTALS_SECONDS
        if self._last is not None and recent:
            return self._last
        self._counting = True
        try:
            self._last = await self._store.totals()
        except StoreError:
            # Whoever asks how this node is must be told also then.
            return self._last or Totals(0, 0, 0, 0)
        finally:
            self._counting = False
        self._counted_at = now
        return self._last


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of a node that neither know sockets nor clients."""

    membership: Membership
    gossip: Gossip
    bootstrap: Bootstrap
    liveness: Liveness
    hearsay: Hearsay
    merge: Merge
    ring: RingMaintenance
    replica: Replica
    repair: Repair
    deposit: Deposit
    collect: Collect
    records: RecordLookup
    blob_repair: BlobRepair
    blobs: BlobDelivery
    store: Store
    links: Links
    clock: IReactorTime
    sizes: RecentTotals
    upkeep: Periodic
    farewell: Farewell
    handoff: HintedHandoff
    surplus: Surplus
    displaced: Displaced
    lookup: Lookup
    leave: Leave

    @property
    def state(self) -> str:
        """``joining``, ``damaged``, ``full``, ``leaving``, ``member``; ``alone`` when no other is
        known to live.

        ``full`` is also a node whose disk refuses every write: neither takes anything new.
        """
        if not self.ring.joined:
            return "joining"
        health = self.store.health
        if not health.takes_messages:
            return "damaged" if health.state is StoreState.DAMAGED else "full"
        if self.leave.under_way:
            return "leaving"
        return "alone" if self.membership.alone else "member"

    def stamp_bits(self, own: int) -> int:
        """What to ask of clients' stamps: what satisfies this node (``own``) and half of those
        linked to it. One that asks for too much must not keep everyone's clients away."""
        told = (self.links.requests_stamp_bits(node) for node in self.links.up())
        sane = (bits for bits in told if bits is not None and bits <= MAX_STAMP_TARGET)
        return max(own, median_high([own, *sane]))

    async def start(self) -> None:
        """Find others, take the places on the ring, pull the arcs, become a member.

        Returns when that is done, or when nobody was found: then the node serves alone and the
        background work goes on looking.
        """
        await self._begin_boot()
        await self.merge.load()
        self.gossip.start()
        self.hearsay.start()
        self.merge.start()
        self.bootstrap.start()
        self.upkeep.start()
        remembered = await self.gossip.load()
        await self.bootstrap.find(remembered)
        await self.ring.join()
        self.ring.start()
        await self.repair.pull_all()
        self.ring.become_member()
        self.repair.start()
        self.blob_repair.start()
        self.handoff.start()
        self.surplus.start()
        self.displaced.start()

    async def _begin_boot(self) -> None:
        """Have the record say that this is a new life, later than every one before."""
        boot = await self.store.next_boot(self.clock.seconds())
        self.membership.describe(replace(self.membership.description, boot=boot))

    def compare_all(self) -> None:
        """Something may be missing here: ask every other replica, and call answers partial till
        enough of them have been asked.
        """
        self.replica.partial = True
        for node in self.membership.others_living():
            self.repair.lost_touch(node)
            self.blob_repair.lost_touch(node)
        self.repair.soon()
        self.blob_repair.soon()

    def say_full(self, full: bool) -> None:
        """Tell everyone whether this node takes new things; a full one is passed over."""
        if full != self.membership.description.full:
            self.membership.describe(replace(self.membership.description, full=full))

    async def say_away(self) -> None:
        """Tell everyone that this node stops and will be back; bounded in time.

        To be called while links are up, before :meth:`stop`.
        """
        await self.farewell.say(self.clock.seconds())

    async def stop(self) -> None:
        """End the background work. Links and store are closed by whoever opened them."""
        self.leave.stop()
        await self.upkeep.stop()
        await self.repair.stop()
        await self.blob_repair.stop()
        await self.handoff.stop()
        await self.surplus.stop()
        await self.displaced.stop()
        await self.ring.stop()
        await self.collect.stop()
        await self.hearsay.stop()
        await self.merge.stop()
        await self.bootstrap.stop()
        await self.gossip.stop()
        self.membership.stop()


def build_core(
    settings: Settings,
    key: SigningKey,
    *,
    peer_addresses: tuple[str, ...],
    client_urls: tuple[str, ...],
    make_links: MakeLinks,
    store: Store,
    clock: IReactorTime,
    random: Random,
    counters: Counters,
    software: str,
    names: SeedNames | None = None,
) -> Core:
    """Put the parts together.

    :param peer_addresses: where other nodes dial this one.
    :param client_urls: where clients do.
    :param names: looks up the seed names of the settings; without it none is found.
    """
    ring = settings.ring
    rules = AdmissionRules(
        settings.limits.message_lifetime_max_days, settings.limits.requests_stamp_bits
    )
    membership = Membership(
        key,
        settings.network_id,
        OwnDescription(
            peer_addresses=peer_addresses,
            client_urls=client_urls,
            boot=int(clock.seconds()),
            position_mask=(1 << ring.positions) - 1,
            capacity=settings.node.capacity,
            zone=settings.node.zone,
            software=software,
        ),
        clock=clock,
        counters=counters,
        replicas=ring.replicas,
        table_capacity=ring.table_capacity,
        repair_after_seconds=ring.repair_after_seconds,
        forget_after_seconds=ring.forget_after_seconds,
    )
    links = LocalToo(make_links(membership), membership.own)
    gossip = Gossip(
        membership,
        links=links,
        store=store,
        clock=clock,
        random=random,
        counters=counters,
        exchange_seconds=EXCHANGE_SECONDS,
    )
    asked: BucketTable[NodeId] = BucketTable(LOOKUPS_PER_SECOND, LOOKUPS_AT_ONCE, MAX_ASKERS)
    lookup = Lookup(
        membership,
        links=links,
        clock=clock,
        counters=counters,
        may_ask=lambda node: asked.take(node, clock.seconds()),
        candidates=CANDIDATES_PER_REPLICA * ring.replicas,
    )
    collect = Collect(
        view=membership, links=links, clock=clock, counters=counters, whereabouts=lookup
    )
    accusations = Accusations()
    liveness = Liveness(
        membership,
        links=links,
        clock=clock,
        random=random,
        counters=counters,
        accusations=accusations,
        questions=BucketTable(WORDS_PER_SECOND, WORDS_AT_ONCE, MAX_TALKERS),
    )
    returns: BucketTable[NodeId] = BucketTable(RETURNS_PER_SECOND, RETURNS_AT_ONCE, MAX_PEERS_KNOWN)
    merge = Merge(
        membership,
        gossip,
        links=links,
        store=store,
        network_id=settings.network_id,
        clock=clock,
        random=random,
        counters=counters,
        wait_seconds=lambda node: returns.take(node, clock.seconds()),
    )
    bootstrap = Bootstrap(
        membership,
        gossip,
        links=links,
        store=store,
        clock=clock,
        random=random,
        counters=counters,
        names=names or NoNames(),
        seeds=settings.links.seeds,
        seed_names=settings.links.seed_names,
        alone_seconds=LOOK_FOR_OTHERS_SECONDS,
        is_part_lost=lambda: merge.silent > 0,
    )
    hearsay = Hearsay(
        membership,
        liveness,
        accusations,
        words=BucketTable(WORDS_PER_SECOND, WORDS_AT_ONCE, MAX_TALKERS),
        links=links,
        clock=clock,
        random=random,
        counters=counters,
    )
    maintenance = RingMaintenance(
        membership,
        gossip,
        liveness,
        links=links,
        clock=clock,
        random=random,
        counters=counters,
        also_needed=collect.watched,
        successors=ring.successors,
        law=PacingLaw(
            after_event_seconds=ring.stabilize_after_event_seconds,
            slower=ring.stabilize_slower,
            quiet_seconds=ring.stabilize_quiet_seconds,
            stale_share=ring.stabilize_stale_share,
            detection_seconds=settings.links.lost_after_seconds,
        ),
    )
    handoff = HintedHandoff(
        view=membership, links=links, store=store, clock=clock, counters=counters
    )
    pace = Pace(
        TokenBucket(MAX_REPAIR_BYTES_PER_SECOND, MAX_REPAIR_BYTES_PER_SECOND), clock, counters
    )
    displaced = Displaced(
        view=membership,
        whereabouts=lookup,
        links=links,
        store=store,
        clock=clock,
        # Who holds the same is not to begin at the same moment; the id is all that it takes.
        random=Random(int.from_bytes(membership.own)),
        pace=pace,
        counters=counters,
    )
    replica = Replica(
        network_id=settings.network_id,
        view=membership,
        links=links,
        store=store,
        clock=clock,
        counters=counters,
        rules=rules,
        handoff=handoff,
        took_in_far=displaced.took_in,
    )
    repair = Repair(
        RangeReconciliation(links, store, clock, pace, older=PagedLists(links, store, pace)),
        replica,
        pace=pace,
        view=membership,
        links=links,
        store=store,
        clock=clock,
        random=random,
        counters=counters,
        rules=rules,
        interval_seconds=ring.reconcile_seconds,
    )
    deposit = Deposit(
        view=membership,
        links=links,
        clock=clock,
        counters=counters,
        rules=rules,
        whereabouts=lookup,
    )
    records = RecordLookup(
        view=membership, links=links, clock=clock, counters=counters, whereabouts=lookup
    )
    blob_replica = BlobReplica(
        view=membership,
        store=store,
        clock=clock,
        counters=counters,
        rules=rules,
        handoff=handoff,
        took_in_far=displaced.took_in,
    )
    offers = OfferAnswers(view=membership, store=store, clock=clock, door=replica)
    blob_repair = BlobRepair(
        blob_replica,
        view=membership,
        links=links,
        store=store,
        clock=clock,
        random=random,
        counters=counters,
        rules=rules,
        interval_seconds=ring.reconcile_seconds,
    )
    blobs = BlobDelivery(
        view=membership,
        links=links,
        clock=clock,
        counters=counters,
        rules=rules,
        whereabouts=lookup,
    )

    async def upkeep() -> None:
        replica.expire_watches()
        try:
            while await store.expire(clock.seconds()):
                pass
            while await store.expire_hints(clock.seconds()):
                pass
        except StoreError:
            # It has told the log itself; the next round tries again.
            counters.count("store_upkeep_failures_total")

    farewell = Farewell(membership, links, counters, away_seconds=ring.away_seconds)

    core = Core(
        membership,
        gossip,
        bootstrap,
        liveness,
        hearsay,
        merge,
        maintenance,
        replica,
        repair,
        deposit,
        collect,
        records,
        blob_repair,
        blobs,
        store,
        links,
        clock,
        RecentTotals(store, clock),
        Periodic("expire", clock, lambda: UPKEEP_SECONDS, upkeep),
        farewell,
        handoff,
        Surplus(
            handoff,
            replica,
            view=membership,
            links=links,
            store=store,
            clock=clock,
            random=random,
            counters=counters,
        ),
        displaced,
        lookup,
        Leave(
            Departure(
                view=membership,
                links=links,
                store=store,
                clock=clock,
                pace=pace,
                counters=counters,
            ),
            farewell,
            others=lambda: sum(not membership.is_leaving(n) for n in membership.others_living()),
            replicas=ring.replicas,
            is_member=lambda: maintenance.joined,
            doors=(replica, blob_replica),
            clock=clock,
        ),
    )
    links.subscribe(gossip)
    links.subscribe(merge)
    links.subscribe(bootstrap)
    links.subscribe(liveness)
    links.subscribe(_Losses(core))
    store.when_health_changes(_StoreWatch(core, counters).changed)
    links.serve(
        {
            **gossip.procedures(),
            **liveness.procedures(),
            **hearsay.procedures(),
            **merge.procedures(),
            **maintenance.procedures(),
            **_refusing(replica.procedures()),
            **_refusing(repair.procedures()),
            **_refusing(blob_replica.procedures()),
            **_refusing(offers.procedures()),
            **collect.procedures(),
            **lookup.procedures(),
        }
    )
    return core


def _refusing(procedures: Mapping[type[Message], Procedure]) -> dict[type[Message], Procedure]:
    """With a refusal where the store fails: it has said so itself, once, in the log.

    A disk that fails does so with every request; a traceback of each would fill what is left.
    """

    def refusing(procedure: Procedure) -> Procedure:
        async def answer(node: NodeId, message: Any) -> Message | None:
            try:
                return await procedure(node, message)
            except StoreError as error:
                raise InternalError("the disk of this node fails") from error

        return answer

    return {message: refusing(procedure) for message, procedure in procedures.items()}


class _StoreWatch:
    """Tells everyone how the store is, and has fetched again what it has lost."""

    def __init__(self, core: Core, counters: Counters) -> None:
        self._core = core
        self._counters = counters
        self._was_damaged = False

    def changed(self, health: StoreHealth) -> None:
        for state in StoreState:
            self._counters.gauge("store_state", float(state is health.state), state=state.value)
        self._core.say_full(not health.takes_messages)
        if health.state is StoreState.DAMAGED:
            self._was_damaged = True
        elif self._was_damaged:
            self._was_damaged = False
            self._core.compare_all()


class _Losses:
    """Passes lost links on to what was soft state of them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def link_up(self, record: NodeRecord) -> None:
        self._core.repair.soon()
        self._core.blob_repair.soon()
        self._core.handoff.link_up(record.node_id)

    def link_lost(self, node: NodeId) -> None:
        self._core.replica.link_lost(node)
        self._core.collect.link_lost(node)
        self._core.repair.lost_touch(node)
        self._core.blob_repair.lost_touch(node)

    def unreachable(self, node: NodeId) -> None:
        """Told to the membership by the gossip."""
