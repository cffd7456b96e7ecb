"""Displaced copies: what lies here and is kept by nodes that would never ask this one (page 2.4).

A network that grows at once leaves what was stored before with nodes that stand far beyond those
who keep it from then on. Repair asks candidates only, and this node may not ask about what is so
far away; so it offers it. Nothing is sent while nothing is displaced, nor again to the same nodes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from random import Random
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.background import Periodic
from tace.errors import StoreError
from tace.ids import ID_BYTES, Arc
from tace.mailbox.comparison import place
from tace.mailbox.gaps import from_there_on, gaps_between
from tace.mailbox.handed_on import HandedOn
from tace.mailbox.handing_on import HandingOn, Held, Look, Stretch
from tace.mailbox.pace import Pace
from tace.mailbox.reconcile import BEFORE_FIRST, before
from tace.mailbox.rules import ASKERS_PER_REPLICA
from tace.seams import Counters, Item, ItemState, Links, ReplicaSet, Store, View
from tace.wire.fields import MAX_LISTED
from tace.wire.peer import MAX_OFFERED_BLOBS
from tace.wire.ranges import ranges_of

LOOK_SECONDS = 20.0
"""After a change the view settles for so long, give or take half: one of several holders begins,
and the others find that little lacks."""
MAX_REST_SECONDS = 300.0
"""Between two looks: as long as the last one took, longer where nothing gets on."""
FEW_COPIES = 2
"""So many are made of everything before more are made of anything."""
ALL_COPIES = 1 << 16
MAX_SPANS = 16_384
"""Stretches of which it is remembered who has them: of items, and of blobs. About 5 MB each."""
MAX_LATE = 4096
"""Keys under which something came in that was not to; beyond, everything is offered again."""
PAUSE_SECONDS = 0.05
"""Between two pages, for live traffic."""


class Whereabouts(Protocol):
    """What is known of who keeps which key."""

    def knows(self, key: bytes) -> bool:
        """Is the replica set of that key, as the view has it, the one there is?"""

    async def resolve(self, key: bytes) -> None:
        """Make that so, as far as it can be found out in time."""


class Displaced:
    """Looks for displaced copies after changes, and hands them on.

    :param random: when to look, and where to begin; it should differ from node to node.
    """

    def __init__(
        self,
        *,
        view: View,
        whereabouts: Whereabouts,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        pace: Pace,
        counters: Counters,
    ) -> None:
        self._view = view
        self._whereabouts = whereabouts
        self._store = store
        self._clock = clock
        self._random = random
        self._counters = counters
        self._handing = HandingOn(
            view=view,
            links=links,
            store=store,
            clock=clock,
            random=random,
            pace=pace,
            counters=counters,
        )
        self._items = HandedOn(MAX_SPANS)
        self._blobs = HandedOn(MAX_SPANS)
        self._late: dict[bytes, None] = {}
        self._due = False
        self._looking = False
        self._rests_until = clock.seconds()
        self._fruitless = 0
        self._rounds = Periodic("hand on displaced copies", clock, self._until_next, self._round)

    def start(self) -> None:
        """Look once: what is on the disk may come from an earlier life, in another network."""
        self._view.when_changed(self._have_a_look)
        self._due = True
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()

    def took_in(self, key: bytes) -> None:
        """Something is about to be stored that is displaced here: whoever wrote it knows fewer
        nodes than this one."""
        # One more than the bound says that there were too many.
        if len(self._late) <= MAX_LATE:
            self._late[key] = None
        self._have_a_look()

    def _have_a_look(self) -> None:
        if not self._due:
            self._due = True
            if not self._looking:
                self._rounds.soon(self._until_next())

    def _until_next(self) -> float:
        if not self._due:
            return MAX_REST_SECONDS
        settling = LOOK_SECONDS * self._random.uniform(0.5, 1.5)
        return max(settling, self._rests_until - self._clock.seconds())

    async def _round(self) -> None:
        if not self._due:
            return
        self._due, self._looking = False, True
        try:
            await self._look()
        finally:
            self._looking = False

    async def _look(self) -> None:
        self._forget_late()
        began = self._clock.seconds()
        look = Look()
        try:
            for copies in (FEW_COPIES, ALL_COPIES):
                look.left = 0
                await self._walk(copies, look)
                if not look.left:
                    break
        except StoreError as error:
            # It has told the log itself.
            self._counters.count("displaced_failures_total", reason=error.code)
            look.left += 1
        self._counters.gauge("displaced_stretches_left", float(look.left))
        self._due |= look.left > 0
        self._fruitless = self._fruitless + 1 if look.left and not look.done else 0
        now = self._clock.seconds()
        rest = max(now - began, LOOK_SECONDS * 2.0 ** min(self._fruitless, 8))
        self._rests_until = now + min(rest, MAX_REST_SECONDS)

    def _forget_late(self) -> None:
        late, self._late = self._late, {}
        if len(late) > MAX_LATE:
            self._items.clear()
            self._blobs.clear()
            return
        for key in late:
            for bounds in ranges_of(Arc(before(key), key)):
                self._items.forget(*bounds)
            self._blobs.forget(key, key + b"\0")

    # -- page by page ----------------------------------------------------------------------------

    async def _walk(self, copies: int, look: Look) -> None:
        """Past everything that lies outside the arcs this node keeps, once."""
        gaps = gaps_between([arc for arc, _ in self._view.arcs_held()])
        for arc in from_there_on(gaps, self._random.randbytes(ID_BYTES)):
            async for stretch in self._stretches_of_items(arc):
                await self._handing.hand_on(stretch, self._items, copies, look)
            async for stretch in self._stretches_of_blobs(arc):
                await self._handing.hand_on(stretch, self._blobs, copies, look)

    async def _stretches_of_items(self, arc: Arc) -> AsyncIterator[Stretch]:
        for lower, upper in ranges_of(arc):
            at = lower
            while True:
                page = await self._store.list_range(
                    at, upper, limit=MAX_LISTED, now=self._clock.seconds()
                )
                more = len(page) == MAX_LISTED
                end = place(page[-1]) + b"\0" if more else upper
                held = [Held(place(item), item) for item in page]
                async for stretch in self._displaced(at, end, held, self._items):
                    yield stretch
                if not more:
                    break
                at = end
                await deferLater(self._clock, PAUSE_SECONDS)

    async def _stretches_of_blobs(self, arc: Arc) -> AsyncIterator[Stretch]:
        for low, high in arc.segments():
            at, after = low + b"\0" if low else b"", b""
            while True:
                page = await self._store.list_blobs(
                    Arc(low or BEFORE_FIRST, high),
                    after=after,
                    limit=MAX_OFFERED_BLOBS,
                    now=self._clock.seconds(),
                )
                more = len(page) == MAX_OFFERED_BLOBS
                end = (page[-1].hash if more else high) + b"\0"
                held = [
                    Held(name.hash, Item(name.hash, name.hash, ItemState.BLOB), name.expires_hours)
                    for name in page
                ]
                async for stretch in self._displaced(at, end, held, self._blobs):
                    yield stretch
                if not more:
                    break
                at, after = end, page[-1].hash
                await deferLater(self._clock, PAUSE_SECONDS)

    async def _displaced(
        self, lower: bytes, upper: bytes, held: Sequence[Held], handed: HandedOn
    ) -> AsyncIterator[Stretch]:
        """Of a page that holds all of ``[lower, upper)``, what is displaced, by replica set."""
        few: list[Held] = []
        replica_set: ReplicaSet | None = None
        for _, same in groupby(held, lambda one: one.item.key):
            copies = list(same)
            other = await self._who_keeps(copies, handed)
            if few and other != replica_set:
                end = few[-1].place + b"\0"
                if replica_set is not None:
                    yield Stretch(lower, end, replica_set, few)
                lower, few = end, []
            replica_set = other
            few += copies
        if few and replica_set is not None:
            yield Stretch(lower, upper, replica_set, few)

    async def _who_keeps(self, copies: Sequence[Held], handed: HandedOn) -> ReplicaSet | None:
        """The set of one key, whose copies these are; None: it is no matter of this look."""
        key = copies[0].item.key
        if not self._whereabouts.knows(key):
            known = handed.nodes(copies[0].place, copies[-1].place + b"\0")
            if len(known) >= self._view.replica_set(key).write_quorum:
                # Too far away to be looked up again and again: it was handed on.
                return None
            await self._whereabouts.resolve(key)
        own = self._view.own
        if self._view.is_candidate(own, key, ASKERS_PER_REPLICA):
            return None
        replica_set = self._view.replica_set(key)
        return None if own in replica_set.everyone else replica_set
