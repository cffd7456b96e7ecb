"""Surplus copies: what this node keeps of arcs that are no longer its own, and when it lets go.

A copy is dropped only when every replica of its key has listed it (page 2.4), over a set that has
stood unchanged for an hour. What a replica lacks is brought to it instead. Copies that this node
may not ask about (it is beyond the first 2N) stay until they expire, as blobs and records do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tace.background import Periodic
from tace.errors import Failure, Refusal
from tace.ids import Arc, NodeId
from tace.mailbox.gaps import gaps_between
from tace.mailbox.handoff import HintedHandoff
from tace.mailbox.reconcile import before
from tace.mailbox.rounds import Reader
from tace.seams import Counters, Item, Links, ReplicaSet, Store, View
from tace.wire.fields import MAX_LISTED
from tace.wire.peer import ItemField, ListItems

LOOK_SECONDS = 300.0
SETTLED_SECONDS = 3600.0
"""So long a replica set must have been the same before anything is dropped because of it."""
MAX_SETS = 8192
"""Replica sets whose steadiness is remembered."""
MAX_PAGES = 16
"""Of one replica's listing about one stretch; what lies behind them is not proved."""
MAX_ITEMS_A_ROUND = 16 * MAX_LISTED
"""Items looked at in one round for what need not be kept here."""
PAUSE_SECONDS = 0.05
"""Between two stretches, for live traffic."""


class Surplus:
    """Lets go of copies beyond the replica set.

    :param reader: while its answers are partial, nothing is dropped.
    """

    _log = Logger()

    def __init__(
        self,
        handoff: HintedHandoff,
        reader: Reader,
        *,
        view: View,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
    ) -> None:
        self._handoff = handoff
        self._reader = reader
        self._view = view
        self._links = links
        self._store = store
        self._clock = clock
        self._counters = counters
        self._stood: dict[tuple[NodeId, ...], _Stood] = {}
        self._rest: tuple[Arc, Item] | None = None
        """Where the last round stopped."""
        self._changes = 0
        self._rounds = Periodic(
            "let go of surplus copies",
            clock,
            lambda: LOOK_SECONDS * random.uniform(0.75, 1.25),
            self._round,
        )
        view.when_changed(self._note_change)

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()

    def _note_change(self) -> None:
        self._changes += 1

    async def _round(self) -> None:
        """Look at so much of what lies outside the held arcs; the next round goes on from there."""
        if self._reader.partial:
            return
        arcs = gaps_between([arc for arc, _ in self._view.arcs_held()])
        after: Item | None = None
        if self._rest is not None and self._rest[0] in arcs:
            first, after = self._rest
            at = arcs.index(first)
            arcs = [*arcs[at:], *arcs[:at]]
        self._rest = None
        looked = 0
        for arc in arcs:
            while True:
                page = await self._store.list_items(
                    arc, records=False, after=after, limit=MAX_LISTED, now=self._clock.seconds()
                )
                for replica_set, items in self._by_set(page):
                    if self._has_settled(replica_set):
                        await self._settle(replica_set, items)
                        await deferLater(self._clock, PAUSE_SECONDS)
                after = page[-1] if len(page) == MAX_LISTED else None
                looked += len(page)
                if after is not None and looked >= MAX_ITEMS_A_ROUND:
                    self._rest = (arc, after)
                    return
                if after is None:
                    break

    def _has_settled(self, replica_set: ReplicaSet) -> bool:
        """Has this set been the same at every look for so long?"""
        now = self._clock.seconds()
        stood = self._stood.pop(replica_set.members, None)
        if stood is None or now - stood.looked_at > SETTLED_SECONDS:
            stood = _Stood(now, now)
        if len(self._stood) >= MAX_SETS:
            del self._stood[next(iter(self._stood))]
        self._stood[replica_set.members] = _Stood(stood.since, now)
        return now - stood.since >= SETTLED_SECONDS

    def _by_set(self, page: Iterable[Item]) -> Iterator[tuple[ReplicaSet, list[Item]]]:
        """Neighbouring items under the same nodes, together."""
        for replica_set, items in groupby(page, lambda item: self._view.replica_set(item.key)):
            yield replica_set, list(items)

    async def _settle(self, replica_set: ReplicaSet, items: Sequence[Item]) -> None:
        """Drop those of the items that every replica holds; have the others brought."""
        stretch = Arc(before(items[0].key), items[-1].key)
        replicas = replica_set.everyone
        if (
            self._view.own in replicas
            or any(self._view.is_dead(node) for node in replicas)
            or not self._view.may_ask_about(self._view.own, stretch)
        ):
            return
        changes = self._changes
        proved = dict.fromkeys(items)
        try:
            for node in replicas:
                lacking, beyond = await self._lacking(node, stretch, items)
                await self._handoff.remember(node, lacking)
                for item in (*lacking, *beyond):
                    proved.pop(item, None)
        except (Failure, Refusal) as error:
            self._counters.count("surplus_failures_total", reason=error.code)
            return
        if proved and changes == self._changes:
            # Nothing has moved while they were asked: what they said is about this very set.
            await self._store.drop_items(list(proved))
            self._counters.count("surplus_dropped_total", len(proved))
            self._log.info("let go of {count} surplus copies", count=len(proved))

    async def _lacking(
        self, node: NodeId, stretch: Arc, items: Sequence[Item]
    ) -> tuple[list[Item], list[Item]]:
        """Which of these the node does not list, and which lie behind what was read of its list.

        :raises Failure: it does not answer. :raises Refusal: it does not see this node there.
        """
        listed: dict[tuple[bytes, bytes], int] = {}
        after: ItemField | None = None
        more = True
        for _ in range(MAX_PAGES):
            page = await self._links.call(
                node, ListItems(stretch.start, stretch.end, records=False, after=after)
            )
            listed.update(((field.key, field.name), field.state) for field in page.items)
            more = page.more and bool(page.items)
            if not more:
                break
            after = page.items[-1]
        lacking, beyond = [], []
        for item in items:
            state = listed.get((item.key, item.name))
            if more and after is not None and (item.key, item.name) > (after.key, after.name):
                beyond.append(item)
            elif state is None or state < item.state:
                # An envelope there is no proof of the tombstone that is here.
                lacking.append(item)
        return lacking, beyond


@dataclass(frozen=True, slots=True)
class _Stood:
    """Since when a replica set is known to be the same, and when that was seen last."""

    since: float
    looked_at: float
