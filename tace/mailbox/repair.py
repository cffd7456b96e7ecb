"""Repair: every replica pulls from the others what it lacks (page 2.4).

Pull only: each node brings itself up to date, so two nodes are in step when both have pulled, and
a node that lies can withhold but not destroy. What is pulled is verified like what is put.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.errors import NotReplica, ProtocolError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import Arc, NodeId
from tace.mailbox.pace import Pace
from tace.mailbox.reconcile import RangeAnswers, Reconciliation, before, lacking
from tace.mailbox.replica import Replica
from tace.mailbox.rounds import ComparisonRounds
from tace.mailbox.rules import AdmissionRules
from tace.mailbox.under_way import UnderWay
from tace.seams import Counters, Item, ItemState, Links, Procedure, Store, View
from tace.wire.fields import MAX_ENVELOPES, MAX_LISTED, TombstoneField
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.message import Message
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import CompareRanges, FetchItems, ItemField, ItemPage, Items, ListItems

MAX_REFUSED_REMEMBERED = 4096
"""Items that this node would not keep, remembered so as not to be fetched again."""
MAX_FRUITLESS = 1024
"""Items that a peer may list in one pull and then not bring; more, and it invents them."""
_FIELD_OVERHEAD_BYTES = 48
T = TypeVar("T")


class Repair:
    """Keeps this node's arcs complete, and answers others who repair theirs.

    :param pace: of what is fetched.
    :param interval_seconds: time between two comparisons with the same peer.
    """

    _log = Logger()

    def __init__(
        self,
        reconciliation: Reconciliation,
        replica: Replica,
        *,
        pace: Pace,
        view: View,
        links: Links,
        store: Store,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        rules: AdmissionRules,
        interval_seconds: float,
    ) -> None:
        self._reconciliation = reconciliation
        self._answers = RangeAnswers(view=view, store=store, clock=clock)
        self._pace = pace
        self._replica = replica
        self._view = view
        self._links = links
        self._store = store
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._refused: dict[Item, None] = {}
        self._under_way = UnderWay()
        self._rounds = ComparisonRounds(
            "items",
            self.pull,
            replica,
            view=view,
            clock=clock,
            random=random,
            counters=counters,
            interval_seconds=interval_seconds,
        )

    def procedures(self) -> dict[type[Message], Procedure]:
        return {
            CompareRanges: self._answers.answer,
            ListItems: self._on_list_items,
            FetchItems: self._on_fetch_items,
        }

    def start(self) -> None:
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()

    def soon(self) -> None:
        self._rounds.soon()

    def lost_touch(self, node: NodeId) -> None:
        """The link to it went away: either side may have missed something."""
        self._rounds.lost_touch(node)

    # -- pulling ---------------------------------------------------------------------------------

    async def pull_all(self) -> bool:
        """Compare every arc with every living peer once; True when all of them answered.

        The replica's answers to reads are whole as soon as enough of them have.
        """
        return await self._rounds.once()

    async def pull(
        self, peer: NodeId, arcs: Sequence[Arc], moved: Callable[[], None] = lambda: None
    ) -> int:
        """Fetch what that peer holds in the arcs and this node lacks; how many items.

        :param moved: called whenever some have come.
        :raises Failure: the peer went away. :raises Refusal: it does not see this node there.
        """
        pull = _Pull(moved)
        try:
            async for items in self._reconciliation.missing(peer, arcs):
                await self._fetch(peer, items, pull)
        finally:
            if pull.brought:
                self._counters.count("repaired_items_total", pull.brought)
                self._log.info(
                    "pulled {count} items from {peer}", count=pull.brought, peer=peer.hex()[:8]
                )
        return pull.brought

    async def _fetch(self, peer: NodeId, items: Sequence[Item], pull: _Pull) -> None:
        """Have the peer bring these items.

        :raises ProtocolError: it lists what it does not have, or brings what was not asked for.
        """
        wanted = {item: None for item in items if item not in self._refused}
        while wanted:
            for item in [item for item in wanted if pull.has_no_room_for(item)]:
                del wanted[item]
            if not wanted:
                return
            batch = self._under_way.claim(wanted, MAX_ENVELOPES)
            if not batch:
                # Other peers are bringing all that is left.
                await self._under_way.one_released()
                continue
            try:
                here = await self._store.held_items(batch)
                for item in set(batch).difference(lacking(batch, here)):
                    # Another peer has brought it since the two were compared.
                    del wanted[item]
                asked = [item for item in batch if item in wanted]
                if asked:
                    await self._fetch_batch(peer, asked, wanted, pull)
            finally:
                self._under_way.release(batch)

    async def _fetch_batch(
        self, peer: NodeId, batch: Sequence[Item], wanted: dict[Item, None], pull: _Pull
    ) -> None:
        """One request; what came, and what will not come, is no longer wanted."""
        before = pull.brought
        answer = await self._links.call(
            peer, FetchItems(tuple(ItemField(i.key, i.name, int(i.state)) for i in batch))
        )
        await self._take(answer, wanted, pull)
        await self._pace.spend_messages(answer)
        if all(item in wanted for item in batch):
            # Nothing came, so all of it is gone there.
            for item in batch:
                del wanted[item]
        elif batch[0] in wanted:
            # It did not come first, so it is gone there, or does not hold here.
            del wanted[batch[0]]
        if pull.brought == before:
            pull.fruitless += len(batch)
            if pull.fruitless > MAX_FRUITLESS:
                raise ProtocolError("a listing of what is not there")

    async def _take(self, answer: Items, wanted: dict[Item, None], pull: _Pull) -> None:
        """Verify, store and tick off what came."""
        now = self._clock.seconds()
        envelopes = []
        for encoded in answer.envelopes:
            envelope = Envelope.parse(encoded)
            item = Item(envelope.mailbox, envelope.id, ItemState.ENVELOPE)
            _tick_off(wanted, item)
            if self._rules.refusal(envelope, now) is None:
                envelopes.append(envelope)
            else:
                self._refuse(item)
        for envelope, put in zip(envelopes, await self._replica.accept(envelopes), strict=True):
            pull.note(envelope.mailbox, put.code)
        tombstones = []
        for field in answer.tombstones:
            tombstone = Tombstone.parse(field.mailbox, field.tombstone)
            item = Item(tombstone.mailbox, tombstone.id, ItemState.TOMBSTONE)
            _tick_off(wanted, item)
            if self._rules.tombstone_refusal(tombstone.expires_hours, now) is None:
                tombstones.append(tombstone)
            else:
                self._refuse(item)
        if tombstones:
            for put in await self._store.put_tombstones(tombstones, now):
                pull.note(None, put.code)
        removals = []
        for encoded in answer.removals:
            removal = Removal.parse(encoded)
            named = [Item(removal.mailbox, m, ItemState.TOMBSTONE) for m, _ in removal.items]
            _tick_off(wanted, *named)
            words = [self._rules.tombstone_refusal(expires, now) for _, expires in removal.items]
            if all(word in (None, "expired") for word in words):
                removals.append(removal)
            else:
                for item in named:
                    self._refuse(item)
        if removals:
            for put in await self._store.put_removals(removals, now):
                pull.note(None, put.code)
        for encoded in answer.records:
            record = UserRecord.parse(encoded)
            _tick_off(wanted, _record_item(record))
            if self._rules.record_refusal(record.expires_hours, now) is None:
                (put,) = await self._store.put_records([record], now)
                pull.note(None, put.code)
            else:
                self._refuse(_record_item(record))

    def _refuse(self, item: Item) -> None:
        if len(self._refused) >= MAX_REFUSED_REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._refused[item] = None

    # -- answering -------------------------------------------------------------------------------

    async def _on_list_items(self, peer: NodeId, message: ListItems) -> ItemPage:
        arc = Arc(message.start, message.end)
        if not self._view.may_ask_about(peer, arc):
            raise NotReplica("that arc is not yours to reconcile")
        after = message.after
        items = await self._store.list_items(
            arc,
            records=message.records,
            after=None if after is None else Item(after.key, after.name, ItemState(after.state)),
            limit=MAX_LISTED + 1,
            now=self._clock.seconds(),
        )
        page = items[:MAX_LISTED]
        return ItemPage(
            tuple(ItemField(i.key, i.name, int(i.state)) for i in page),
            more=len(items) > len(page),
        )

    async def _on_fetch_items(self, peer: NodeId, message: FetchItems) -> Items:
        asked = [Item(f.key, f.name, ItemState(f.state)) for f in message.items]
        for key in {item.key: None for item in asked}:
            if not self._view.may_ask_about(peer, Arc(before(key), key)):
                raise NotReplica("those items are not yours to fetch")
        envelopes, tombstones, removals, records = await self._store.get_items(
            asked, self._clock.seconds()
        )
        room = MAX_BODY_BYTES - 1024
        answer: tuple[list[bytes], list[TombstoneField], list[bytes], list[bytes]]
        answer = ([], [], [], [])
        for envelope in envelopes[:MAX_ENVELOPES]:
            room = _add(answer[0], envelope.encoded, len(envelope.encoded), room)
        for tombstone in tombstones:
            field = TombstoneField(tombstone.mailbox, tombstone.encoded)
            room = _add(answer[1], field, len(field.mailbox) + len(field.tombstone), room)
        for removal in removals[:16]:
            room = _add(answer[2], removal.encoded, len(removal.encoded), room)
        for record in records[:7]:
            room = _add(answer[3], record.encoded, len(record.encoded), room)
        return Items(tuple(answer[0]), tuple(answer[1]), tuple(answer[2]), tuple(answer[3]))


class _Pull:
    """What one pull has brought so far."""

    __slots__ = ("_moved", "brought", "fruitless", "full", "full_mailboxes")

    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved
        self.brought = 0
        self.fruitless = 0
        self.full = False
        self.full_mailboxes: set[bytes] = set()

    def note(self, mailbox: bytes | None, code: str) -> None:
        if code == "stored":
            self.brought += 1
            self._moved()
        elif code == "full":
            self.full = True
        elif code == "quota" and mailbox is not None:
            self.full_mailboxes.add(mailbox)

    def has_no_room_for(self, item: Item) -> bool:
        """Asking for more would only bring it to be refused here; the next pull tries again."""
        if item.state is not ItemState.ENVELOPE:
            return False
        return self.full or item.key in self.full_mailboxes


def _tick_off(wanted: dict[Item, None], *items: Item) -> None:
    """:raises ProtocolError: none of them was asked for."""
    if not any(item in wanted for item in items):
        raise ProtocolError("an item that was not asked for")
    for item in items:
        wanted.pop(item, None)


def _add(part: list[T], value: T, size: int, room: int) -> int:
    if size + _FIELD_OVERHEAD_BYTES > room:
        return room
    part.append(value)
    return room - size - _FIELD_OVERHEAD_BYTES


def _record_item(record: UserRecord) -> Item:
    return Item(record.key, record.order[1], ItemState.RECORD)
