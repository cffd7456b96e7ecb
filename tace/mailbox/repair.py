"""Repair: every replica pulls from the others what it lacks (page 2.4).

Pull only: each node brings itself up to date, so two nodes are in step when both have pulled, and
a node that lies can withhold but not destroy. What is pulled is verified like what is put.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.background import Periodic
from tace.errors import NotReplica, ProtocolError, TaceError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import Arc, NodeId
from tace.mailbox.reconcile import Reconciliation
from tace.mailbox.replica import Replica
from tace.mailbox.rules import AdmissionRules
from tace.seams import Counters, Item, ItemState, Links, Procedure, Store, View
from tace.wire.fields import MAX_ENVELOPES, MAX_LISTED, TombstoneField
from tace.wire.framing import MAX_BODY_BYTES
from tace.wire.message import Message
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import FetchItems, ItemField, ItemPage, Items, ListItems

MAX_INTERVAL_FACTOR = 10
"""A pair that stays in step is compared up to this many times less often."""
AFTER_CHANGE_SECONDS = 0.5
MAX_REFUSED_REMEMBERED = 4096
MAX_FRUITLESS = 1024
"""Items that a peer may list in one pull and then not bring; more, and it invents them."""
_FIELD_OVERHEAD_BYTES = 48
T = TypeVar("T")


class Repair:
    """Keeps this node's arcs complete, and answers others who repair theirs.

    :param interval_seconds: time between two comparisons with the same peer.
    """

    _log = Logger()

    def __init__(
        self,
        reconciliation: Reconciliation,
        replica: Replica,
        *,
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
        self._replica = replica
        self._view = view
        self._links = links
        self._store = store
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._interval = interval_seconds
        self._random = random
        self._in_step: dict[NodeId, _InStep] = {}
        self._refused: dict[Item, None] = {}
        self._alone = True
        self._rounds = Periodic("repair", clock, self._until_next, self._round)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {ListItems: self._on_list_items, FetchItems: self._on_fetch_items}

    def start(self) -> None:
        self._view.when_changed(self.soon)
        self._rounds.start(delay=AFTER_CHANGE_SECONDS)

    async def stop(self) -> None:
        await self._rounds.stop()

    def soon(self) -> None:
        if self._alone and self._arcs_by_peer():
            # Others have turned up: until they have been asked, they may hold what we lack.
            self._alone = False
            self._replica.partial = True
        self._rounds.soon(AFTER_CHANGE_SECONDS)

    def lost_touch(self, node: NodeId) -> None:
        """The link to it went away: either side may have missed something."""
        self._in_step.pop(node, None)

    # -- pulling ---------------------------------------------------------------------------------

    async def pull_all(self) -> bool:
        """Compare every arc with every living peer once; True when all of them answered.

        The replica's answers to reads are whole as soon as enough of them have.
        """
        complete = True
        shared = self._arcs_by_peer()
        self._alone = not shared
        for peer, arcs in shared.items():
            complete = await self._pull_and_note(peer, arcs) and complete
        self._look_whole()
        return complete

    def _look_whole(self) -> None:
        """Reads are whole once as many others have been asked as meet every write quorum."""
        if not self._replica.partial:
            return
        asked = {peer for peer, in_step in self._in_step.items() if in_step.arcs}
        own = self._view.own
        self._replica.partial = any(
            sum(node in asked for node in replica_set.members if node != own)
            < min(replica_set.read_quorum, replica_set.size - 1)
            for _, replica_set in self._view.arcs_held()
            if own in replica_set.everyone
        )

    async def _round(self) -> None:
        now = self._clock.seconds()
        shared = self._arcs_by_peer()
        for gone in [peer for peer in self._in_step if peer not in shared]:
            del self._in_step[gone]
        for peer, arcs in shared.items():
            known = self._in_step.get(peer)
            if known is None or known.arcs != arcs or known.next_at <= now:
                await self._pull_and_note(peer, arcs)
        self._look_whole()
        self._counters.gauge("repair_peers", len(shared))

    def _until_next(self) -> float:
        now = self._clock.seconds()
        due = min((s.next_at for s in self._in_step.values()), default=now + self._interval)
        return max(1.0, due - now)

    def _arcs_by_peer(self) -> dict[NodeId, tuple[Arc, ...]]:
        """Which arcs this node shares with which living peer, neighbouring ones joined."""
        shared: dict[NodeId, list[Arc]] = {}
        for arc, replica_set in self._view.arcs_held():
            if self._view.own not in replica_set.everyone:
                continue
            for peer in replica_set.everyone:
                if peer != self._view.own and not self._view.is_dead(peer):
                    shared.setdefault(peer, []).append(arc)
        return {peer: tuple(_joined(shared[peer])) for peer in sorted(shared)}

    async def _pull_and_note(self, peer: NodeId, arcs: tuple[Arc, ...]) -> bool:
        try:
            brought = await self.pull(peer, arcs)
        except TaceError as error:
            # The peer's fault, or the disk's: the others are asked all the same.
            self._counters.count("repair_failures_total", reason=error.code)
            self._in_step[peer] = _InStep((), self._clock.seconds() + self._interval / 6, 1)
            return False
        before = self._in_step.get(peer)
        factor = 1
        if before is not None and not brought and before.arcs == arcs:
            factor = min(before.factor * 2, MAX_INTERVAL_FACTOR)
        wait = self._interval * factor * self._random.uniform(0.75, 1.25)
        self._in_step[peer] = _InStep(arcs, self._clock.seconds() + wait, factor)
        return True

    async def pull(self, peer: NodeId, arcs: Sequence[Arc]) -> int:
        """Fetch what that peer holds in the arcs and this node lacks; how many items.

        :raises Failure: the peer went away. :raises Refusal: it does not see this node there.
        """
        pull = _Pull()
        for arc in arcs:
            for records in (False, True):
                async for items in self._reconciliation.missing(peer, arc, records=records):
                    await self._fetch(peer, items, pull)
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
            batch = list(wanted)[:MAX_ENVELOPES]
            if not batch:
                return
            before = pull.brought
            answer = await self._links.call(
                peer, FetchItems(tuple(ItemField(i.key, i.name, int(i.state)) for i in batch))
            )
            await self._take(answer, wanted, pull)
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
            if not self._view.may_ask_about(peer, Arc(_before(key), key)):
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


class _InStep:
    """When a peer was last in step over which arcs, and when to look again."""

    __slots__ = ("arcs", "factor", "next_at")

    def __init__(self, arcs: tuple[Arc, ...], next_at: float, factor: int) -> None:
        self.arcs = arcs
        self.next_at = next_at
        self.factor = factor


class _Pull:
    """What one pull has brought so far."""

    __slots__ = ("brought", "fruitless", "full", "full_mailboxes")

    def __init__(self) -> None:
        self.brought = 0
        self.fruitless = 0
        self.full = False
        self.full_mailboxes: set[bytes] = set()

    def note(self, mailbox: bytes | None, code: str) -> None:
        if code == "stored":
            self.brought += 1
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


def _before(key: bytes) -> bytes:
    return ((int.from_bytes(key) - 1) % (1 << 256)).to_bytes(32)


def _joined(arcs: Sequence[Arc]) -> list[Arc]:
    """Join arcs that touch (they come in ring order), so that one listing covers them."""
    merged: list[Arc] = []
    for arc in arcs:
        if merged and merged[-1].end == arc.start:
            merged[-1] = Arc(merged[-1].start, arc.end)
        else:
            merged.append(arc)
    if len(merged) > 1 and merged[-1].end == merged[0].start:
        merged[0] = Arc(merged[-1].start, merged[0].end)
        merged.pop()
    return merged
