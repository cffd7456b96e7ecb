"""Hinted handoff: copies kept for a member that could not take them, brought when it is back.

After Dynamo (DeCandia and others, 2007, section 4.6). A hint is only an address: losing it costs
nothing but the time until repair, so the table is bounded and forgets the oldest.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tace.background import Periodic
from tace.errors import Failure, Full, Refusal, StoreError
from tace.ids import NodeId
from tace.mailbox.bringing import BATCH_ITEMS, Bringing
from tace.seams import Counters, Item, Links, Store, View

MEMBERS_PER_REPLICA = 2
"""Who may be named in a hint: the first 2N, as those who may ask for listings."""
PAUSE_SECONDS = 0.05
"""Between two batches: at most about 1.2 MB a second, and live traffic goes in between."""
LOOK_SECONDS = 10.0
"""How often it is looked who is back, beside every link that comes up."""
TURN_SECONDS = 10.0
"""Then the next member gets its turn: one that is slow holds up nobody else for longer."""
AGAIN_SECONDS = 1.0


class HintedHandoff:
    """Remembers for whom copies are kept here, and brings them."""

    _log = Logger()

    def __init__(
        self, *, view: View, links: Links, store: Store, clock: IReactorTime, counters: Counters
    ) -> None:
        self._view = view
        self._bringing = Bringing(links, store, clock)
        self._store = store
        self._clock = clock
        self._counters = counters
        self._members: dict[NodeId, None] = {}
        self._remembered = False
        self._rounds = Periodic("hand over hinted copies", clock, lambda: LOOK_SECONDS, self._round)

    def start(self) -> None:
        self._rounds.start(delay=AGAIN_SECONDS)

    async def stop(self) -> None:
        await self._rounds.stop()

    def link_up(self, node: NodeId) -> None:
        """It may be back."""
        if node in self._members:
            self._rounds.soon()

    # -- taking in -------------------------------------------------------------------------------

    def allows(self, member: NodeId, key: bytes) -> bool:
        """May a copy under that key be kept here for that node? Without a hint: yes."""
        if not member or member == self._view.own:
            return True
        if self._view.is_candidate(member, key, MEMBERS_PER_REPLICA):
            return True
        # Zones and address groups may have brought in one from farther away.
        if member in self._view.replica_set(key).members:
            return True
        self._counters.count("hints_refused_total")
        return False

    async def remember(self, member: NodeId, items: Sequence[Item]) -> None:
        """Keep the hint for copies that are durable here; nothing without a member or for itself.

        :raises StoreError: the disk fails.
        """
        if not member or not items or member == self._view.own:
            return
        if await self._store.put_hints(member, items, self._clock.seconds()):
            self._members[member] = None
            self._counters.count("hints_total", len(items))
            if not self._view.is_dead(member):
                # It failed the writer, or the writer knows less than this node does.
                self._rounds.soon(AGAIN_SECONDS)

    # -- handing over ----------------------------------------------------------------------------

    async def _round(self) -> None:
        if not self._remembered:
            # Those of an earlier life of this node.
            self._members.update(dict.fromkeys(await self._store.hinted_members()))
            self._remembered = True
        for member in list(self._members):
            if not self._view.is_dead(member) and not self._view.is_full(member):
                await self._hand_over(member)

    async def _hand_over(self, member: NodeId) -> None:
        """Bring it what is meant for it, until that is done or its turn is over."""
        turn_ends = self._clock.seconds() + TURN_SECONDS
        handed = 0
        try:
            while True:
                if self._clock.seconds() >= turn_ends:
                    self._rounds.soon()
                    break
                # Forgotten first: a hint that comes while the list is read brings it back.
                self._members.pop(member, None)
                items = await self._store.list_hints(member, BATCH_ITEMS)
                if not items:
                    break
                self._members[member] = None
                await self._bring(member, items)
                await self._store.drop_hints(member, items)
                handed += len(items)
                await deferLater(self._clock, PAUSE_SECONDS)
        except (Failure, Refusal, StoreError) as error:
            # It has gone again, or has no room, or this disk fails: the hints wait for next time.
            self._counters.count("handoff_failures_total", reason=error.code)
        if handed:
            self._counters.count("handed_over_items_total", handed)
            self._log.info(
                "handed {count} items over to {member}", count=handed, member=member.hex()[:8]
            )

    async def _bring(self, member: NodeId, items: Sequence[Item]) -> None:
        """Offer it all of these that are still here.

        :raises Failure: it does not answer. :raises Refusal: it takes nothing now.
        """
        brought = await self._bringing.bring(member, items)
        if Full.code in brought.codes:
            raise Full("it is full")
