"""Finding the first peer, and finding others again when none is left (page 2.7).

At the start the anchors are dialled together with a seed, then remembered peers, more seeds, and
what names stand for, until enough have answered; :mod:`tace.ring.contacts` says who is next.
Whoever answers is asked for everyone it knows. A node that finds nobody serves alone and goes on
looking, without end and at a bounded pace.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.background import Periodic, background
from tace.errors import AnotherNode, Failure, LinkLost, Refusal, StoreError
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.anchors import Anchors
from tace.ring.contacts import OPENING, WAVE, Contact, Contacts, Source, of_peer, of_seed
from tace.ring.failures import LatestFailures
from tace.ring.gossip import Gossip
from tace.ring.introducers import Introducers
from tace.ring.membership import Membership
from tace.ring.placement import address_group
from tace.ring.retries import Retries
from tace.seams import Counters, KnownPeer, Links, SeedNames, Store

FIND_SECONDS = 10.0
"""A start waits so long for answers; whoever has not told everything by then goes on telling."""
WAVE_SECONDS = 2.5
"""The next are dialled after this long, whether those before have answered or not."""
MAX_WAVES = 6
"""Waves of dials in one start."""
SEED_SECONDS = 60.0
"""One seed is asked this often by a node that is not alone."""
ANCHOR_SECONDS = 60.0
"""Anchors are chosen this often."""
NAME_FIRST_SECONDS, NAME_MOST_SECONDS = 15.0, 900.0
"""A name that could not be looked up is looked up again after the first, and at least each last."""
NAME_AGAIN_SECONDS = 3600.0
"""What a name stood for is believed for this long."""
ALONE_LINE_SECONDS = 3600.0
"""The log is told this often that a node is still alone."""


class Bootstrap:
    """Looks for other nodes, and remembers whom to ask first next time.

    Implements :class:`~tace.seams.LinkEvents`: whoever proves itself may become an anchor.

    :param names: looks up the ``seed_names``.
    :param seeds: ``host:port`` or ``host:port#node_id_hex`` each.
    :param alone_seconds: time between two waves while nobody is known.
    :param is_part_lost: may a part of the ring be on the other side of a partition?
    """

    _log = Logger()

    def __init__(
        self,
        membership: Membership,
        gossip: Gossip,
        *,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        names: SeedNames,
        seeds: Sequence[str],
        seed_names: Sequence[str],
        alone_seconds: float,
        is_part_lost: Callable[[], bool],
    ) -> None:
        self._membership = membership
        self._gossip = gossip
        self._links = links
        self._store = store
        self._clock = clock
        self._random = random
        self._counters = counters
        self._names = names
        self._seed_names = tuple(seed_names)
        self._is_part_lost = is_part_lost
        self._contacts = Contacts(random)
        seed_contacts = [of_seed(Source.SEED, seed) for seed in seeds]
        self._contacts.offer(
            Source.SEED, [seed for seed in seed_contacts if seed.node != membership.own]
        )
        self._lookups: Retries[str] = Retries(random, NAME_FIRST_SECONDS, NAME_MOST_SECONDS)
        self._named: dict[str, list[Contact]] = {}
        self._introducers = Introducers(store, counters)
        self._anchors = Anchors()
        self._saved_anchors: list[NodeId] = []
        self._running: set[Deferred[None]] = set()
        self._asking: set[Contact] = set()
        self._failures = LatestFailures()
        self._answered: list[Source] = []
        now = clock.seconds()
        self._next_seed = now + SEED_SECONDS
        self._next_anchors = now + ANCHOR_SECONDS
        self._alone_told: float | None = None
        self._rounds = Periodic(
            "look for others",
            clock,
            lambda: alone_seconds * random.uniform(0.75, 1.25),
            self._round,
        )

    @property
    def failures(self) -> tuple[str, ...]:
        """Who was tried last and why that failed; empty unless this node is alone.

        One line each, at most eight: what the operator has set, seeds and names, comes first.
        """
        return self._failures.lines() if self._is_lonely else ()

    @property
    def _is_lonely(self) -> bool:
        """Nobody is known to live; or many are remembered, and not one has answered yet."""
        return self._membership.alone or not self._links.up()

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()
        for running in list(self._running):
            running.cancel()
        await self._introducers.save()
        await self._save_anchors()

    # -- the start -------------------------------------------------------------------------------

    async def find(self, remembered: Sequence[NodeRecord]) -> int:
        """Ask for everyone that others know; how many answered.

        Returns when enough have, when nobody is left to ask, or after :data:`FIND_SECONDS`.

        :param remembered: peers of last time, the last heard first.
        :raises StoreError: what was remembered cannot be read.
        """
        await self._load(remembered)
        self._answered = []
        ends = self._clock.seconds() + FIND_SECONDS
        shares = OPENING
        for _ in range(MAX_WAVES):
            left = ends - self._clock.seconds()
            if left <= 0.0 or self._contacts.enough(self._answered):
                break
            began = self._begin(shares)
            if shares is WAVE and not began and not self._running:
                break
            shares = WAVE
            await self._within(min(WAVE_SECONDS, left))
        return len(self._answered)

    async def _load(self, remembered: Sequence[NodeRecord]) -> None:
        anchors = []
        for peer in await self._store.load_anchors():
            record = self._membership.verified(peer.record)
            if record is not None and record.node_id != self._membership.own:
                self._membership.take_in(record)
                anchors.append(record.node_id)
        self._anchors.load(anchors)
        self._saved_anchors = anchors
        await self._introducers.load()
        self._contacts.offer(Source.ANCHOR, [of_peer(Source.ANCHOR, node) for node in anchors])
        self._contacts.offer(
            Source.REMEMBERED,
            [of_peer(Source.REMEMBERED, record.node_id) for record in remembered],
        )

    def _begin(self, shares: Mapping[Source, int]) -> bool:
        """Dial the next, and look up names; False where there is nothing to be done now.

        Names wait for the second wave: most starts need none.
        """
        now = self._clock.seconds()
        wave = [c for c in self._contacts.wave(now, shares) if c not in self._asking]
        for contact in wave:
            self._run("ask a contact", self._ask(contact))
        names = [] if shares is OPENING else self._due_names(now)
        for name in names:
            self._lookups.begun(name, now)
            self._run("look a seed name up", self._look_up(name))
        return bool(wave or names)

    def _run(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        running = background(what, work)
        if not running.called:
            self._running.add(running)
            running.addBoth(lambda _: self._running.discard(running))

    async def _within(self, seconds: float) -> None:
        """Until what is under way has ended or the time is over; it is not cancelled."""
        waited: Deferred[None] = Deferred()

        def over(_: object = None) -> None:
            if not waited.called:
                waited.callback(None)

        timer = self._clock.callLater(seconds, over)
        DeferredList(list(self._running)).addCallback(over)
        try:
            await waited
        finally:
            if timer.active():
                timer.cancel()

    # -- asking ----------------------------------------------------------------------------------

    async def _ask(self, contact: Contact) -> None:
        """Have everyone named whom it knows, and note how that went."""
        self._asking.add(contact)
        try:
            await self._gossip.exchange_with(await self._reach(contact))
        except (Failure, Refusal) as error:
            self._contacts.failed(contact, self._clock.seconds())
            self._failed(contact.source, contact.shown, str(error))
        else:
            self._contacts.answered(contact, self._clock.seconds())
            self._answered.append(contact.source)
            self._failures.answered(contact.source, contact.shown)
            self._counters.count(
                "bootstrap_asked_total", source=contact.source.name.lower(), outcome="answered"
            )
        finally:
            self._asking.discard(contact)

    async def _reach(self, contact: Contact) -> NodeId:
        """Have a link to it, or be about to."""
        if not contact.address:
            assert contact.node is not None
            self._links.reset_backoff((contact.node,))
            return contact.node
        try:
            record = await self._links.introduce(contact.address, name=contact.host_name)
        except AnotherNode:
            self._introducers.met_another(contact, self._clock.seconds())
            raise
        if record.node_id == self._membership.own:
            raise LinkLost("the node there is this one")
        self._introducers.met(contact, record.node_id, self._clock.seconds())
        return record.node_id

    def _failed(self, source: Source, shown: str, why: str) -> None:
        self._failures.failed(source, shown, why)
        self._counters.count("bootstrap_asked_total", source=source.name.lower(), outcome="failed")
        self._log.debug("{contact} does not answer: {why}", contact=shown, why=why)

    # -- names -----------------------------------------------------------------------------------

    def _due_names(self, now: float) -> list[str]:
        return [name for name in self._seed_names if self._lookups.is_due(name, now)]

    async def _look_up(self, name: str) -> None:
        """What a name stood for is kept until it stands for something else."""
        try:
            found = await self._names.look_up(name)
        except Failure as error:
            self._lookups.failed(name, self._clock.seconds())
            self._failed(Source.NAME, f"name {name}", str(error))
            return
        self._lookups.succeeded(name, self._clock.seconds(), again_seconds=NAME_AGAIN_SECONDS)
        self._failures.answered(Source.NAME, f"name {name}")
        contacts = [of_seed(Source.NAME, seed.address, seed.known_as) for seed in found]
        self._named[name] = [seed for seed in contacts if seed.node != self._membership.own]
        self._contacts.offer(Source.NAME, [c for some in self._named.values() for c in some])

    # -- later on --------------------------------------------------------------------------------

    async def _round(self) -> None:
        """While nobody is known a wave each round; else a seed now and then."""
        now = self._clock.seconds()
        alone = self._is_lonely
        self._counters.gauge("alone", float(alone))
        if alone:
            self._say_alone(now)
            self._begin(WAVE)
        elif self._alone_told is not None:
            self._alone_told = None
            self._log.info("other nodes are known again")
        if not alone and now >= self._next_seed:
            self._next_seed = now + SEED_SECONDS * self._random.uniform(0.75, 1.25)
            self._ask_one_seed()
        await self._introducers.save()
        if now >= self._next_anchors:
            self._next_anchors = now + ANCHOR_SECONDS
            await self._save_anchors()

    def _ask_one_seed(self) -> None:
        """It may be of another part of the network, whose nodes this one never knew.

        One that a link is open to is of this part, and need not be dialled for that.
        """
        now = self._clock.seconds()
        for name in self._due_names(now):
            self._lookups.begun(name, now)
            self._run("look a seed name up", self._look_up(name))
        strangers = [
            seed
            for seed in self._contacts.of(Source.SEED, Source.NAME)
            if not self._is_linked(seed) and seed not in self._asking
        ]
        if strangers:
            self._run("ask a seed", self._ask_seed(self._random.choice(strangers)))

    def _is_linked(self, seed: Contact) -> bool:
        node = self._introducers.node_of(seed)
        return node is not None and self._links.is_up(node)

    async def _ask_seed(self, seed: Contact) -> None:
        """All that it knows is asked for where it may know others than this node does."""
        expected = self._introducers.node_of(seed)
        was_here = expected is not None and self._is_here(expected)
        if not was_here or self._is_part_lost():
            await self._ask(seed)
            return
        self._asking.add(seed)
        try:
            node = await self._reach(seed)
        except (Failure, Refusal) as error:
            self._failed(seed.source, seed.shown, str(error))
            return
        finally:
            self._asking.discard(seed)
        if node != expected:
            await self._ask(seed)

    def _is_here(self, node: NodeId) -> bool:
        return self._membership.record_of(node) is not None and not self._membership.is_dead(node)

    def _say_alone(self, now: float) -> None:
        if not (self._contacts.sources or self._seed_names):
            # The first node of a network: there is nobody it could look for.
            return
        if self._alone_told is None or now - self._alone_told >= ALONE_LINE_SECONDS:
            self._alone_told = now
            self._log.warn(
                "no other node is known; clients are served, and the search goes on. Tried last: "
                "{tried}",
                tried="; ".join(self.failures) or "nobody yet",
            )

    # -- LinkEvents, and what is remembered ------------------------------------------------------

    def link_up(self, record: NodeRecord) -> None:
        self._anchors.met(record.node_id, self._clock.seconds())

    def link_lost(self, node: NodeId) -> None:
        """Judged by :mod:`tace.ring.liveness`."""

    def unreachable(self, node: NodeId) -> None:
        """Judged by :mod:`tace.ring.liveness`."""

    async def _save_anchors(self) -> None:
        anchors = self._anchors.choose(self._is_here, self._group_of)
        self._contacts.offer(Source.ANCHOR, [of_peer(Source.ANCHOR, node) for node in anchors])
        if anchors == self._saved_anchors:
            return
        now = self._clock.seconds()
        known = [
            KnownPeer(node, record.encoded, now)
            for node in anchors
            if (record := self._membership.record_of(node)) is not None
        ]
        try:
            await self._store.save_anchors(known)
        except StoreError:
            # The store has told the log itself; the next time tries again.
            return
        self._saved_anchors = list(anchors)

    def _group_of(self, node: NodeId) -> str:
        record = self._membership.record_of(node)
        addresses = () if record is None else record.peer_addresses
        return address_group(addresses[0]) if addresses else ""
