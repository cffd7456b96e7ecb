"""Leaving for good: every copy is handed over before a node goes (page 2.4).

The others have been told by then: next candidates keep copies in the stead of this node, and fetch
them, from it and from all replicas, as in every repair. Here it is looked after until each of those
nodes holds everything that is here, and what they do not fetch themselves is brought to them. Who
leaves is never the reason that there are fewer copies: while one node that is to have them is away,
full or not to be reached, it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tace.background import background
from tace.errors import Failure, Full, NotStored, Refusal, StoreError, TooMany
from tace.ids import Arc, NodeId
from tace.mailbox.belongings import Belongings, Stretch
from tace.mailbox.bringing import (
    BATCH_ITEMS,
    DECLINED_CODES,
    KEPT_CODES,
    Bringing,
    Brought,
)
from tace.mailbox.comparison import place
from tace.mailbox.lacking import Bounds, LackingThere
from tace.mailbox.pace import Pace
from tace.mailbox.reconcile import before
from tace.seams import Counters, Item, ItemState, Links, Store, View
from tace.wire.fields import MAX_LISTED
from tace.wire.objects import ENVELOPE_BYTES, STORED_BLOB_BYTES, TOMBSTONE_BYTES

ROUND_SECONDS = 2.0
"""Between two looks at all nodes; meanwhile they fetch by themselves."""
MAX_AT_ONCE = 4
"""Nodes that are looked at, and brought something, at one time."""
MAX_LACKING = 65_536
"""Copies that one look remembers as lacking at one node; it ends there, and the next goes on."""
MAX_SETTLED = 65_536
"""Copies that a node will not have, for good reason: not offered to it again."""
MAX_OFFERED = 16_384
"""Far ranges that are remembered as offered to one node."""
FEW_LACKING = 256
"""So few are brought one by one when they do not come by themselves."""
PATIENCE_LOOKS = 3
ASKED_AGAIN = 5
"""A node that compares with this one anyway is asked so often, a second apart."""
RECORD_BYTES = 1_024
"""Taken for the size of a user record, where it is only estimated."""
_BYTES = {
    ItemState.ENVELOPE: ENVELOPE_BYTES,
    ItemState.TOMBSTONE: TOMBSTONE_BYTES,
    ItemState.RECORD: RECORD_BYTES,
    ItemState.BLOB: STORED_BLOB_BYTES,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the hand-over is.

    :ivar items: copies here (messages, acks, records, blobs).
    :ivar arcs: stretches of the ring in which there are some.
    :ivar arcs_left: of these, how many are not confirmed by all nodes that keep them from now on.
    :ivar items_left: copies that were lacking somewhere at the last look, each node counted.
    :ivar bytes_left: about how much that is.
    :ivar bytes_brought: sent by this node itself so far.
    :ivar waiting: why it does not get on; empty while it does.
    """

    items: int = 0
    arcs: int = 0
    arcs_left: int = 0
    items_left: int = 0
    bytes_left: int = 0
    bytes_brought: int = 0
    waiting: str = ""


@dataclass(slots=True)
class _Found:
    """What one look at all nodes brought to light."""

    items_left: int = 0
    bytes_left: int = 0
    waiting: dict[str, None] = field(default_factory=dict)


class Departure:
    """Hands over everything this node holds.

    :param pace: shared with repair: live traffic goes first.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        view: View,
        links: Links,
        store: Store,
        clock: IReactorTime,
        pace: Pace,
        counters: Counters,
    ) -> None:
        self._view = view
        self._store = store
        self._clock = clock
        self._pace = pace
        self._counters = counters
        self._bringing = Bringing(links, store, clock)
        self._lacking = LackingThere(links, store, clock, pace)
        self._belongings = Belongings(view, store, clock)
        self._changes = 0
        self._listening = False
        self._settled: dict[tuple[NodeId, Item], None] = {}
        self._offered: dict[NodeId, list[Bounds]] = {}
        """Far ranges that were offered to the end; nothing new comes in there."""
        self._lacked: dict[NodeId, dict[Item, int]] = {}
        """What lacked at the last look, and at how many looks in a row."""
        self._bytes_brought = 0

    async def hand_over(self, tell: Callable[[Progress], None], *, closed: bool) -> None:
        """Returns when every node that keeps something from now on has confirmed that it does.

        Never, where that cannot be: then the last progress says why. To be cancelled.

        :param tell: called after every look.
        :param closed: does this node take nothing new any more? Else what has only just come in
            may still be on its way to the others.
        :raises StoreError: this disk fails.
        """
        if not self._listening:
            self._view.when_changed(self._note_change)
            self._listening = True
        while not await self.look(tell, closed=closed):
            await deferLater(self._clock, ROUND_SECONDS)

    def _note_change(self) -> None:
        self._changes += 1

    async def look(self, tell: Callable[[Progress], None], *, closed: bool) -> bool:
        """Compare all of it with everyone who is to have it, once; True when nothing lacks."""
        changes = self._changes
        stretches = await self._belongings.stretches()
        found = _Found()
        by_heir: dict[NodeId, list[Stretch]] = {}
        for stretch in stretches:
            stretch.open = set(stretch.heirs)
            if not stretch.heirs:
                found.waiting["there is no other node"] = None
            for heir in stretch.heirs:
                by_heir.setdefault(heir, []).append(stretch)
        heirs = sorted(by_heir)
        while heirs:
            few, heirs = heirs[:MAX_AT_ONCE], heirs[MAX_AT_ONCE:]
            await DeferredList(
                [background("hand over", self._look_at(h, by_heir[h], found, closed)) for h in few]
            )
            tell(self._progress(stretches, found))
        progress = self._progress(stretches, found)
        moved = changes != self._changes
        if moved and not progress.waiting:
            # Who keeps what is another question by now.
            progress = replace(progress, waiting="nodes come or go")
        tell(progress)
        self._counters.gauge("leaving_items_left", float(progress.items_left))
        return not moved and not any(s.open or not s.heirs for s in stretches)

    def _progress(self, stretches: Sequence[Stretch], found: _Found) -> Progress:
        return Progress(
            items=sum(s.items + len(s.blobs) for s in stretches),
            arcs=len(stretches),
            arcs_left=sum(bool(s.open or not s.heirs) for s in stretches),
            items_left=found.items_left,
            bytes_left=found.bytes_left,
            bytes_brought=self._bytes_brought,
            waiting="; ".join(list(found.waiting)[:3]),
        )

    # -- one node after the other ----------------------------------------------------------------

    async def _look_at(
        self, heir: NodeId, stretches: Sequence[Stretch], found: _Found, closed: bool
    ) -> None:
        name = heir.hex()[:8]
        if self._view.is_dead(heir):
            # Whatever it said before, it may come back with less.
            for settled in [known for known in self._settled if known[0] == heir]:
                del self._settled[settled]
            self._lacked.pop(heir, None)
            self._offered.pop(heir, None)
            found.waiting[f"node {name} is not there"] = None
            return
        try:
            await self._look_closely(heir, stretches, found, closed)
        except Full:
            found.waiting[f"node {name} is full"] = None
        except (Failure, Refusal) as error:
            # It has gone, or does not know yet who leaves: the next look asks it again.
            self._counters.count("leaving_failures_total", reason=error.code)
            found.waiting[f"node {name} does not confirm: {error.code}"] = None
        except StoreError as error:
            found.waiting[f"this disk fails: {error}"] = None

    async def _look_closely(
        self, heir: NodeId, stretches: Sequence[Stretch], found: _Found, closed: bool
    ) -> None:
        before = self._lacked.get(heir)
        lacking: dict[Item, int] = {}
        for stretch in stretches:
            if not stretch.may_ask:
                await self._offer(heir, stretch)
                stretch.open.discard(heir)
                continue
            here = await self._lacking_in(heir, stretch, MAX_LACKING - len(lacking))
            seen = {item: 1 + (before or {}).get(item, 0) for item in here}
            lacking.update(seen)
            if not here or (not closed and before is not None and max(seen.values()) == 1):
                # What has come in since the last look is on its way to all of them.
                stretch.open.discard(heir)
            if len(lacking) >= MAX_LACKING:
                break
        self._lacked[heir] = lacking
        found.items_left += len(lacking)
        found.bytes_left += sum(_BYTES[item.state] for item in lacking)
        stuck = [item for item, looks in lacking.items() if looks > 1]
        if before is not None and len(stuck) < len(before):
            # It fetches them by itself: twice as much need not move.
            few = len(stuck) <= FEW_LACKING
            stuck = [item for item in stuck if few and lacking[item] >= PATIENCE_LOOKS]
        await self._bring(heir, stuck)

    async def _lacking_in(self, heir: NodeId, stretch: Stretch, most: int) -> list[Item]:
        """At most about so many of what it lacks there, without what it will not have."""
        if stretch.blobs:
            first, last = stretch.bounds
            found = await self._lacking.blobs(heir, Arc(before(first), last), stretch.blobs)
        else:
            found = await self._lacking_items(heir, stretch, most)
        return [item for item in found if (heir, item) not in self._settled]

    async def _lacking_items(self, heir: NodeId, stretch: Stretch, most: int) -> list[Item]:
        for left in range(ASKED_AGAIN, -1, -1):
            found: list[Item] = []
            try:
                async for few in self._lacking.items(heir, [stretch.bounds]):
                    found += few
                    if len(found) >= most:
                        break
                return found
            except TooMany:
                # It answers one comparison of each node at a time, and the rounds have theirs.
                if not left:
                    raise
                await deferLater(self._clock, 1.0)
        raise AssertionError("unreachable")

    async def _offer(self, heir: NodeId, stretch: Stretch) -> None:
        """Bring it all of a far stretch, which it does not list for this node; once.

        :raises Full: it has no room. :raises Failure: it does not answer. :raises Refusal: some of
            it is not kept there.
        """
        lower, upper = stretch.bounds
        done = self._offered.setdefault(heir, [])
        if any(first <= lower and upper <= last for first, last in done):
            return
        if stretch.blobs:
            await self._offer_all(
                heir, [Item(name.hash, name.hash, ItemState.BLOB) for name in stretch.blobs]
            )
        else:
            at = lower
            while page := await self._store.list_range(
                at, upper, limit=MAX_LISTED, now=self._clock.seconds()
            ):
                await self._offer_all(heir, page)
                at = place(page[-1]) + b"\0"
        if len(done) >= MAX_OFFERED:
            del done[0]
        done.append(stretch.bounds)

    async def _offer_all(self, heir: NodeId, items: Sequence[Item]) -> None:
        codes = await self._bring(heir, items)
        refused = codes - KEPT_CODES - DECLINED_CODES
        if refused:
            raise NotStored(", ".join(sorted(refused)))

    async def _bring(self, heir: NodeId, lacking: Sequence[Item]) -> set[str]:
        """The words of the results.

        :raises Full: it has no room. :raises Failure: it does not answer.
        """
        handed = 0
        codes: set[str] = set()
        try:
            for start in range(0, len(lacking), BATCH_ITEMS):
                few = lacking[start : start + BATCH_ITEMS]
                brought = await self._bringing.bring(heir, few)
                self._bytes_brought += brought.bytes
                self._counters.count("leaving_bytes_total", brought.bytes)
                handed += len(few)
                codes.update(brought.codes)
                if Full.code in brought.codes:
                    raise Full("it is full")
                self._settle(heir, few, brought)
                await self._pace.spend(brought.bytes)
        finally:
            if handed:
                self._log.info(
                    "brought {count} copies to {node}", count=handed, node=heir.hex()[:8]
                )
        return codes

    def _settle(self, heir: NodeId, few: Sequence[Item], brought: Brought) -> None:
        """What need not be offered to it again, for it would not keep it."""
        codes = set(brought.codes)
        if not codes & DECLINED_CODES or codes - DECLINED_CODES - KEPT_CODES:
            # The next comparison shows what is there.
            return
        for item in few:
            if len(self._settled) >= MAX_SETTLED:
                del self._settled[next(iter(self._settled))]
            self._settled[heir, item] = None
