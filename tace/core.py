"""Builds one node without sockets: ring, membership, mailboxes, delivery (page 1.2).

The real node and the simulator both come through here, and nobody else builds these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import inf
from random import Random
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
from tace.errors import InternalError, LinkLost, Refusal
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.mailbox.blob_repair import BlobRepair
from tace.mailbox.blobs import BlobReplica
from tace.mailbox.reconcile import PagedLists
from tace.mailbox.repair import Repair
from tace.mailbox.replica import Replica
from tace.mailbox.rules import AdmissionRules
from tace.ring.gossip import Gossip
from tace.ring.maintenance import RingMaintenance
from tace.ring.membership import Membership, OwnDescription
from tace.seams import Counters, LinkEvents, Links, Procedure, Store, Totals
from tace.wire.message import Message, Request

A = TypeVar("A", bound=Message)
_log = Logger()
EXCHANGE_SECONDS = 300.0
PROBE_DEAD_SECONDS = 5.0
UPKEEP_SECONDS = 60.0
TOTALS_SECONDS = 1.0

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

    def introduce(self, address: str) -> Deferred[NodeRecord]:
        return self._links.introduce(address)

    def pin(self, nodes: Collection[NodeId]) -> None:
        self._links.pin(nodes)

    def guard(self, nodes: Collection[NodeId]) -> None:
        self._links.guard(nodes)

    def requests_stamp_bits(self, node: NodeId) -> int | None:
        return self._links.requests_stamp_bits(node)

    def clock_difference_seconds(self, node: NodeId) -> float | None:
        return self._links.clock_difference_seconds(node)


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
        """The latest count.

        :raises StoreError: the disk fails.
        """
        now = self._clock.seconds()
        recent = self._counting or now - self._counted_at < TOTALS_SECONDS
        if self._last is not None and recent:
            return self._last
        self._counting = True
        try:
            self._last = await self._store.totals()
        finally:
            self._counting = False
        self._counted_at = now
        return self._last


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of a node that neither know sockets nor clients."""

    membership: Membership
    gossip: Gossip
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

    @property
    def state(self) -> str:
        """``joining``, ``member``, or ``alone`` when no other node is known to live."""
        if not self.ring.joined:
            return "joining"
        return "alone" if self.membership.alone else "member"

    def stamp_bits(self, own: int) -> int:
        """The most that this node (``own``) or any node linked to it demands of a stamp."""
        return max([own, *(self.links.requests_stamp_bits(n) or 0 for n in self.links.up())])

    async def start(self) -> None:
        """Find others, take the places on the ring, pull the arcs, become a member.

        Returns when that is done, or when nobody was found: then the node serves alone and the
        background work goes on looking.
        """
        await self._begin_boot()
        self.gossip.start()
        self.upkeep.start()
        remembered = await self.gossip.load()
        await self.gossip.find_peers(remembered)
        await self.ring.join()
        self.ring.start()
        await self.repair.pull_all()
        self.ring.become_member()
        self.repair.start()
        self.blob_repair.start()

    async def _begin_boot(self) -> None:
        """Have the record say that this is a new life, later than every one before."""
        boot = await self.store.next_boot(self.clock.seconds())
        self.membership.describe(replace(self.membership.description, boot=boot))

    async def stop(self) -> None:
        """End the background work. Links and store are closed by whoever opened them."""
        await self.upkeep.stop()
        await self.repair.stop()
        await self.blob_repair.stop()
        await self.ring.stop()
        await self.collect.stop()
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
) -> Core:
    """Put the parts together.

    :param peer_addresses: where other nodes dial this one.
    :param client_urls: where clients do.
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
        seeds=settings.links.seeds,
        exchange_seconds=EXCHANGE_SECONDS,
        probe_dead_seconds=PROBE_DEAD_SECONDS,
    )
    collect = Collect(view=membership, links=links, clock=clock, counters=counters)
    maintenance = RingMaintenance(
        membership,
        gossip,
        links=links,
        clock=clock,
        random=random,
        counters=counters,
        also_needed=collect.watched,
        successors=ring.successors,
        after_event_seconds=ring.stabilize_after_event_seconds,
        quiet_seconds=ring.stabilize_quiet_seconds,
    )
    replica = Replica(
        network_id=settings.network_id,
        view=membership,
        links=links,
        store=store,
        clock=clock,
        counters=counters,
        rules=rules,
    )
    repair = Repair(
        PagedLists(links, store, clock),
        replica,
        view=membership,
        links=links,
        store=store,
        clock=clock,
        random=random,
        counters=counters,
        rules=rules,
        interval_seconds=ring.reconcile_seconds,
    )
    deposit = Deposit(view=membership, links=links, clock=clock, counters=counters, rules=rules)
    records = RecordLookup(view=membership, links=links, clock=clock, counters=counters)
    blob_replica = BlobReplica(
        view=membership, store=store, clock=clock, counters=counters, rules=rules
    )
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
    blobs = BlobDelivery(view=membership, links=links, clock=clock, counters=counters, rules=rules)

    async def upkeep() -> None:
        replica.expire_watches()
        while await store.expire(clock.seconds()):
            pass

    core = Core(
        membership,
        gossip,
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
    )
    links.subscribe(gossip)
    links.subscribe(_Losses(core))
    links.serve(
        {
            **gossip.procedures(),
            **maintenance.procedures(),
            **replica.procedures(),
            **repair.procedures(),
            **blob_replica.procedures(),
            **collect.procedures(),
        }
    )
    return core


class _Losses:
    """Passes lost links on to what was soft state of them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def link_up(self, record: NodeRecord) -> None:
        self._core.repair.soon()
        self._core.blob_repair.soon()

    def link_lost(self, node: NodeId) -> None:
        self._core.replica.link_lost(node)
        self._core.collect.link_lost(node)
        self._core.repair.lost_touch(node)
        self._core.blob_repair.lost_touch(node)

    def unreachable(self, node: NodeId) -> None:
        """Told to the membership by the gossip."""
