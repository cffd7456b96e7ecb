"""One replica: takes in envelopes, tombstones and records, and tells those who watch (page 2.4).

Everything here is idempotent. What an answer calls stored is on this node's disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from tace.errors import BadRecord, Malformed, NotReplica, TooMany, Unauthorized
from tace.identity.mailbox_proof import Lease, Removal
from tace.identity.user_record import UserRecord
from tace.ids import MailboxId, MessageId, NodeId
from tace.mailbox.handoff import HintedHandoff
from tace.mailbox.rules import ASKERS_PER_REPLICA, AdmissionRules
from tace.mailbox.watches import WatchEntry, WatchTable
from tace.seams import Counters, Item, ItemState, Links, Procedure, Put, Store, View
from tace.wire.fields import MAX_ENVELOPES, MAX_LISTED, PutResult, TombstoneField, WaitingItem
from tace.wire.message import Message
from tace.wire.objects import Envelope, Tombstone
from tace.wire.peer import (
    Arrival,
    Arrived,
    EnvelopeList,
    FetchEnvelopes,
    GetRecord,
    ListMailbox,
    MailboxPage,
    PutAnswer,
    PutEnvelopes,
    PutRecord,
    PutTombstones,
    RecordAnswer,
    Unwatch,
    Watch,
)

MAX_HELD = 4096
"""News for one node whose link is too full to take it; the ids are kept, not the envelopes."""
NAMES_GATHER_SECONDS = 0.02
"""Ids without bodies wait this long for others. They matter only where the replica that pushes the
body fails, and each alone wakes the watching node as much as a body does."""
HOLD_SECONDS = 0.5
"""So long held news waits before it is offered again."""
MAX_WATCHES = 200_000
"""Mailboxes watched for all nodes together, each at each node once."""
MAX_WATCHES_OF_NODE = 50_000
"""Of these, for one node: more than the two mailboxes of each of its 20,000 clients."""
WATCHES_RETRY_MS = 60_000
"""When a node for which no watch is left may ask again."""


class Replica:
    """The mailbox procedures of a node, as a replica.

    ``partial`` is true while it pulls its arcs: then its answers to reads say so. ``closed`` is
    true at the end of a leaving: then writes are sent on to those who keep the key from now on.

    :param took_in_far: called with the key of a write that is taken though this node may not ask
        about it, and without a hint for whom.
    """

    def __init__(
        self,
        *,
        network_id: bytes,
        view: View,
        links: Links,
        store: Store,
        clock: IReactorTime,
        counters: Counters,
        rules: AdmissionRules,
        handoff: HintedHandoff,
        took_in_far: Callable[[bytes], None] = lambda key: None,
    ) -> None:
        self._network_id = network_id
        self._view = view
        self._links = links
        self._store = store
        self._clock = clock
        self._counters = counters
        self._rules = rules
        self._handoff = handoff
        self._took_in_far = took_in_far
        self._watches = WatchTable(MAX_WATCHES, MAX_WATCHES_OF_NODE)
        self._news: dict[NodeId, list[Arrival]] = {}
        self._names: dict[NodeId, list[Arrival]] = {}
        self._held: dict[NodeId, dict[MessageId, Arrival]] = {}
        self._waiting_to_tell = False
        self.partial = True
        self.closed = False

    def procedures(self) -> dict[type[Message], Procedure]:
        return {
            PutEnvelopes: self.put_envelopes,
            PutTombstones: self.put_tombstones,
            Watch: self.watch,
            ListMailbox: self.list_mailbox,
            Unwatch: self.unwatch,
            FetchEnvelopes: self.fetch_envelopes,
            PutRecord: self.put_record,
            GetRecord: self.get_record,
        }

    def link_lost(self, node: NodeId) -> None:
        """Its watches were soft state of the link; it asks again over the next one."""
        self._watches.remove_node(node)
        self._news.pop(node, None)
        self._names.pop(node, None)
        self._held.pop(node, None)

    def expire_watches(self) -> None:
        self._watches.expire(self._clock.seconds())

    # -- writes ----------------------------------------------------------------------------------

    async def put_envelopes(self, peer: NodeId, message: PutEnvelopes) -> PutAnswer:
        self._view.learn(message.records)
        now = self._clock.seconds()
        verdicts: list[str | Envelope] = []
        for encoded in message.envelopes:
            try:
                envelope = Envelope.parse(encoded)
            except Malformed:
                verdicts.append(Malformed.code)
                continue
            verdicts.append(
                self._misplaced(envelope.mailbox, message.instead_of)
                or self._rules.refusal(envelope, now)
                or envelope
            )
        admitted = [v for v in verdicts if isinstance(v, Envelope)]
        accepted = await self.accept(admitted)
        if message.instead_of:
            await self._handoff.remember(
                message.instead_of,
                [
                    Item(envelope.mailbox, envelope.id, ItemState.ENVELOPE)
                    for envelope, put in zip(admitted, accepted, strict=True)
                    if put.durable
                ],
            )
        puts = iter(accepted)
        return self._answer(
            [v if isinstance(v, str) else next(puts) for v in verdicts],
            [e[1:33] for e in message.envelopes],
        )

    def _misplaced(self, key: bytes, member: NodeId) -> str | None:
        """The word for why nothing under that key is taken here, for that member or for itself."""
        own = self._view.own
        near = self._view.is_candidate(own, key, ASKERS_PER_REPLICA)
        if self.closed or not (near or self._view.is_candidate(own, key)):
            return "redirect"
        if not self._handoff.allows(member, key):
            return NotReplica.code
        if not near and not member:
            self._took_in_far(key)
        return None

    async def accept(self, envelopes: Sequence[Envelope]) -> list[Put]:
        """Make verified envelopes durable, then tell who watches their mailboxes."""
        if not envelopes:
            return []
        puts = await self._store.put_envelopes(envelopes, self._clock.seconds())
        for envelope, put in zip(envelopes, puts, strict=True):
            self._counters.count("envelopes_total", result=put.code)
            if put.code == "stored":
                self._announce(envelope)
        return puts

    async def put_tombstones(self, peer: NodeId, message: PutTombstones) -> PutAnswer:
        self._view.learn(message.records)
        now = self._clock.seconds()
        member = message.instead_of
        tombstones = [self._judge(field, member, now) for field in message.tombstones]
        judged = [self._judge_removal(encoded, member, now) for encoded in message.removals]
        removals = [verdict for verdict, _ in judged]
        good = [t for t in tombstones if not isinstance(t, str)]
        good_removals = [r for r in removals if not isinstance(r, str)]
        # Asking for nothing would wake the store's thread all the same.
        buried = await self._store.put_tombstones(good, now) if good else []
        removed = await self._store.put_removals(good_removals, now) if good_removals else []
        if member:
            await self._handoff.remember(
                member,
                [
                    _grave(tombstone.mailbox, tombstone.id)
                    for tombstone, put in zip(good, buried, strict=True)
                    if put.durable
                ]
                + [
                    _grave(removal.mailbox, message)
                    for removal, put in zip(good_removals, removed, strict=True)
                    if put.durable
                    for message, _ in removal.items
                ],
            )
        puts, more_puts = iter(buried), iter(removed)
        results: list[str | Put] = [t if isinstance(t, str) else next(puts) for t in tombstones]
        results += [r if isinstance(r, str) else next(more_puts) for r in removals]
        keys = [field.mailbox for field in message.tombstones]
        keys += [mailbox for _, mailbox in judged]
        return self._answer(results, keys)

    def _judge(self, field: TombstoneField, member: NodeId, now: float) -> Tombstone | str:
        word = self._misplaced(field.mailbox, member)
        if word is not None:
            return word
        try:
            tombstone = Tombstone.parse(field.mailbox, field.tombstone)
        except Malformed as error:
            return error.code
        return self._rules.tombstone_refusal(tombstone.expires_hours, now) or tombstone

    def _judge_removal(
        self, encoded: bytes, member: NodeId, now: float
    ) -> tuple[Removal | str, MailboxId]:
        """The verdict, and the mailbox it is about (empty for what is no removal)."""
        try:
            removal = Removal.parse(encoded)
        except Malformed as error:
            return error.code, b""
        mailbox = removal.mailbox
        word = self._misplaced(mailbox, member)
        if word is not None:
            return word, mailbox
        words = (self._rules.tombstone_refusal(expires, now) for _, expires in removal.items)
        # An item that has expired meanwhile is gone anyway and does not spoil the others.
        word = next((w for w in words if w is not None and w != "expired"), None)
        return word or removal, mailbox

    async def put_record(self, peer: NodeId, message: PutRecord) -> PutAnswer:
        self._view.learn(message.records)
        now = self._clock.seconds()
        try:
            record = UserRecord.parse(message.record)
        except BadRecord as error:
            return self._answer([error.code], [b""])
        word = self._misplaced(record.key, message.instead_of)
        word = word or self._rules.record_refusal(record.expires_hours, now)
        if word is not None:
            return self._answer([word], [record.key])
        (put,) = await self._store.put_records([record], now)
        if put.durable:
            item = Item(record.key, record.order[1], ItemState.RECORD)
            await self._handoff.remember(message.instead_of, [item])
        return self._answer([put], [record.key])

    def _answer(self, results: Sequence[str | Put], keys: Sequence[bytes]) -> PutAnswer:
        records: tuple[bytes, ...] = ()
        for result, key in zip(results, keys, strict=True):
            if result == "redirect":
                records = self._view.nearer_records(key)
                break
        return PutAnswer(
            tuple(
                PutResult(r) if isinstance(r, str) else PutResult(r.code, r.secret) for r in results
            ),
            records,
        )

    # -- reads -----------------------------------------------------------------------------------

    async def watch(self, peer: NodeId, message: Watch) -> MailboxPage:
        now = self._clock.seconds()
        lease = Lease(*message.lease)
        mailbox = lease.check(network_id=self._network_id, node=peer, now=now)
        if not self._watches.add(
            peer, mailbox, WatchEntry(message.bodies, float(lease.expires_seconds))
        ):
            raise TooMany(
                "this node holds as many watches as it can", retry_after_ms=WATCHES_RETRY_MS
            )
        # Listed after the watch stands: what arrives in between is pushed, nothing falls between.
        return await self._page(mailbox, 0)

    async def list_mailbox(self, peer: NodeId, message: ListMailbox) -> MailboxPage:
        self._must_watch(peer, message.mailbox)
        return await self._page(message.mailbox, message.cursor)

    async def unwatch(self, peer: NodeId, message: Unwatch) -> None:
        for mailbox in message.mailboxes:
            self._watches.remove(peer, mailbox)

    async def fetch_envelopes(self, peer: NodeId, message: FetchEnvelopes) -> EnvelopeList:
        self._must_watch(peer, message.mailbox)
        found = await self._store.get_envelopes(message.mailbox, message.ids, self._clock.seconds())
        return EnvelopeList(tuple(envelope.encoded for envelope in found))

    async def get_record(self, peer: NodeId, message: GetRecord) -> RecordAnswer:
        record = await self._store.get_record(message.key, self._clock.seconds())
        return RecordAnswer(b"" if record is None else record.encoded, partial=self.partial)

    def _must_watch(self, peer: NodeId, mailbox: MailboxId) -> None:
        if not self._watches.watches(peer, mailbox, self._clock.seconds()):
            raise Unauthorized("no watch of yours stands there")

    async def _page(self, mailbox: MailboxId, cursor: int) -> MailboxPage:
        # One more than a page holds tells whether another page follows.
        waiting = await self._store.list_mailbox(
            mailbox, cursor, MAX_LISTED + 1, self._clock.seconds()
        )
        page = waiting[:MAX_LISTED]
        return MailboxPage(
            tuple(WaitingItem(item.id, item.expires_hours) for item in page),
            cursor=page[-1].sequence if page else cursor,
            more=len(waiting) > len(page),
            partial=self.partial,
        )

    # -- news ------------------------------------------------------------------------------------

    def _announce(self, envelope: Envelope) -> None:
        mailbox, message, expires = envelope.mailbox, envelope.id, envelope.expires_hours
        for node, entry in self._watches.watchers(mailbox, self._clock.seconds()):
            if entry.bodies:
                if not self._news:
                    # What one commit brings leaves together, in the next turn.
                    self._clock.callLater(0, self._tell)
                arrival = Arrival(mailbox, message, expires, envelope.encoded)
                self._news.setdefault(node, []).append(arrival)
            else:
                if not self._names:
                    self._clock.callLater(NAMES_GATHER_SECONDS, self._tell_names)
                self._names.setdefault(node, []).append(Arrival(mailbox, message, expires))

    def _tell_names(self) -> None:
        names, self._names = self._names, {}
        self._send_news(names)

    def _tell(self) -> None:
        news, self._news = self._news, {}
        self._send_news(news)

    def _send_news(self, news: dict[NodeId, list[Arrival]]) -> None:
        for node, arrivals in news.items():
            for start in range(0, len(arrivals), MAX_ENVELOPES):
                batch = Arrived(tuple(arrivals[start : start + MAX_ENVELOPES]))
                if not self._links.send(node, batch):
                    self._hold(node, arrivals[start:])
                    break

    def _hold(self, node: NodeId, arrivals: Sequence[Arrival]) -> None:
        """A link that takes no more now is told later, of the ids alone.

        Without a link there is no watch either. What is more than can be held comes to light when
        the watching node renews its watch.
        """
        if not self._links.is_up(node):
            return
        held = self._held.setdefault(node, {})
        for arrival in arrivals:
            if len(held) < MAX_HELD:
                held[arrival.id] = Arrival(arrival.mailbox, arrival.id, arrival.expires_hours)
        self._counters.count("news_held_total", len(arrivals))
        if not self._waiting_to_tell:
            self._waiting_to_tell = True
            self._clock.callLater(HOLD_SECONDS, self._tell_held)

    def _tell_held(self) -> None:
        self._waiting_to_tell = False
        held, self._held = self._held, {}
        for node, arrivals in held.items():
            self._news.setdefault(node, []).extend(arrivals.values())
        self._tell()


def _grave(mailbox: MailboxId, message: MessageId) -> Item:
    return Item(mailbox, message, ItemState.TOMBSTONE)
