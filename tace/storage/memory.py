"""The store in memory: the same promises but durability, for the simulator and for trying out.

Every Deferred that is returned has fired. Nothing depends on the order of a set.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from tace.errors import StoreError
from tace.identity.mailbox_proof import Removal
from tace.identity.user_record import UserRecord
from tace.ids import ID_BYTES, Arc, MailboxId, MessageId, NodeId
from tace.seams import (
    MAX_ANCHORS,
    MAX_KNOWN_DEAD,
    MAX_KNOWN_SEEDS,
    Item,
    ItemState,
    KnownDead,
    KnownPeer,
    KnownSeed,
    Put,
    StoreHealth,
    StoreState,
    Totals,
    Waiting,
)
from tace.storage.memory_blobs import MemoryBlobs
from tace.storage.memory_hints import MemoryHints
from tace.storage.rules import (
    CLOSED_TO_BLOBS,
    DUPLICATE,
    EXPIRED,
    FULL,
    MAX_PEERS,
    QUOTA,
    RECORD_MEMORY_HOURS,
    STALE,
    STORED,
    Quotas,
    acked,
    hour_of,
    tombstone_hour_of,
)
from tace.storage.sums import Entry, RangeSums, SumsByHour, ends_at, partition
from tace.wire.fields import BlobName
from tace.wire.objects import Blob, Envelope, Tombstone
from tace.wire.ranges import RangeSum

ENVELOPE_COST_BYTES = 8192
"""An envelope keeps its blob and its encoding; the rest is what Python objects take."""
TOMBSTONE_COST_BYTES = 512
RECORD_COST_BYTES = 1024
"""Beside twice its bytes."""

T = TypeVar("T")
_Key = tuple[bytes, bytes]
_Mailbox = dict[MessageId, tuple[int, Envelope]]
"""What waits with its sequence, in the order of arrival."""


@dataclass(frozen=True, slots=True)
class _Buried:
    """A tombstone with its secret, or an owner's removal that says the same."""

    expires_hours: int
    proof: Tombstone | Removal

    @property
    def secret(self) -> bytes:
        return self.proof.secret if isinstance(self.proof, Tombstone) else b""

    @property
    def ends_at(self) -> int:
        return ends_at(ItemState.TOMBSTONE, self.expires_hours)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A record; after its end only its order."""

    order: tuple[int, bytes]
    expires_hours: int
    record: UserRecord | None


class MemoryStore:
    """A :class:`~tace.seams.Store` in dictionaries.

    :param max_bytes: what it may hold, by the costs above; 0 for no limit. A sixteenth is closed to
        new envelopes and records, half of that to tombstones without an envelope, a quarter to
        blobs. Tombstones may take a quarter before those without an envelope are refused, and
        records a quarter.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 0,
        mailbox_max_items: int = 4096,
        requests_mailbox_max_items: int = 256,
    ) -> None:
        self._max_bytes = max_bytes
        self._quotas = Quotas(mailbox_max_items, requests_mailbox_max_items)
        self._mailboxes: dict[MailboxId, _Mailbox] = {}
        self._buried: dict[_Key, _Buried] = {}
        self._records: dict[bytes, _Remembered] = {}
        self._blobs = MemoryBlobs(lambda more: self._fits(more, CLOSED_TO_BLOBS))
        self._hints = MemoryHints()
        self._peers: dict[NodeId, KnownPeer] = {}
        self._anchors: list[KnownPeer] = []
        self._seeds: dict[str, KnownSeed] = {}
        self._dead: dict[NodeId, KnownDead] = {}
        self._message_keys: list[_Key] = []
        """Of envelopes and tombstones together, sorted."""
        self._record_keys: list[bytes] = []
        self._sums = SumsByHour()
        self._sequence = 0
        self._bytes = 0
        self._boot: int | None = None
        self._expired_at = -1
        """The hour of the last expiry: nothing that is over by then can have come since."""
        self._closed = False
        self._health = StoreHealth(StoreState.OK)
        self._listeners: list[Callable[[StoreHealth], None]] = []

    def _do(self, work: Callable[[], T]) -> Deferred[T]:
        if self._closed:
            return fail(StoreError("the store is closed"))
        result = work()
        self._weigh_room()
        return succeed(result)

    # -- health ----------------------------------------------------------------------------------

    @property
    def health(self) -> StoreHealth:
        return self._health

    def when_health_changes(self, listener: Callable[[StoreHealth], None]) -> None:
        self._listeners.append(listener)
        listener(self._health)

    def _weigh_room(self) -> None:
        """Full when no envelope fits; not full again when there is some room to speak of."""
        if not self._fits(ENVELOPE_COST_BYTES, 16):
            health = StoreHealth(StoreState.FULL, "max_bytes is reached")
        elif self._fits(ENVELOPE_COST_BYTES, 8):
            health = StoreHealth(StoreState.OK)
        else:
            return
        if health != self._health:
            self._health = health
            for listener in self._listeners:
                listener(health)

    def _fits(self, more: int, closed_part: int) -> bool:
        """Is there room for so many bytes, with 1/``closed_part`` of the budget left free?"""
        budget = self._max_bytes - self._max_bytes // closed_part
        return not self._max_bytes or self._bytes + self._blobs.cost_bytes + more <= budget

    # -- envelopes -------------------------------------------------------------------------------

    def put_envelopes(self, envelopes: Sequence[Envelope], now: float) -> Deferred[list[Put]]:
        hour = hour_of(now)
        return self._do(lambda: [self._put_envelope(envelope, hour) for envelope in envelopes])

    def _put_envelope(self, envelope: Envelope, hour: int) -> Put:
        if envelope.expires_hours <= hour:
            return EXPIRED
        key = (envelope.mailbox, envelope.id)
        if key in self._buried:
            return acked(self._buried[key].secret)
        mailbox = self._mailboxes.get(envelope.mailbox, {})
        if envelope.id in mailbox:
            return DUPLICATE
        if len(mailbox) >= self._quotas.of(envelope.mailbox):
            return QUOTA
        if not self._fits(ENVELOPE_COST_BYTES, 16):
            return FULL
        self._sequence += 1
        self._bytes += ENVELOPE_COST_BYTES
        mailbox[envelope.id] = (self._sequence, envelope)
        self._mailboxes[envelope.mailbox] = mailbox
        insort(self._message_keys, key)
        self._sums.add(b"".join(key), ItemState.ENVELOPE, envelope.expires_hours)
        return STORED

    def _is_waiting(self, key: _Key) -> bool:
        return key[1] in self._mailboxes.get(key[0], {})

    def _forget_envelope(self, key: _Key) -> None:
        mailbox = self._mailboxes[key[0]]
        _, envelope = mailbox.pop(key[1])
        self._sums.remove(b"".join(key), ItemState.ENVELOPE, envelope.expires_hours)
        if not mailbox:
            del self._mailboxes[key[0]]
        self._bytes -= ENVELOPE_COST_BYTES
        del self._message_keys[bisect_left(self._message_keys, key)]

    # -- tombstones ------------------------------------------------------------------------------

    def put_tombstones(self, tombstones: Sequence[Tombstone], now: float) -> Deferred[list[Put]]:
        hour = tombstone_hour_of(now)
        return self._do(lambda: [self._put_tombstone(tombstone, hour) for tombstone in tombstones])

    def _put_tombstone(self, tombstone: Tombstone, hour: int) -> Put:
        if tombstone.expires_hours <= hour:
            return EXPIRED
        key = (tombstone.mailbox, tombstone.id)
        known = self._buried.get(key)
        if known is not None and known.secret:
            return DUPLICATE
        if known is None and not self._is_waiting(key):
            if not self._fits_strangers(1):
                return FULL
            if not self._takes_strangers(tombstone.mailbox, 1):
                return QUOTA
        self._bury(key, _Buried(tombstone.expires_hours, tombstone))
        return STORED

    def put_removals(self, removals: Sequence[Removal], now: float) -> Deferred[list[Put]]:
        hour = tombstone_hour_of(now)
        return self._do(lambda: [self._put_removal(removal, hour) for removal in removals])

    def _put_removal(self, removal: Removal, hour: int) -> Put:
        latest: dict[_Key, int] = {}
        mailbox = removal.mailbox
        for message, expires in removal.items:
            if expires > hour:
                key = (mailbox, message)
                latest[key] = max(expires, latest.get(key, 0))
        if not latest:
            return EXPIRED
        fresh = {key: expires for key, expires in latest.items() if self._outdates(key, expires)}
        if not fresh:
            return DUPLICATE
        more = sum(not self._is_waiting(key) and key not in self._buried for key in fresh)
        if more and not self._fits_strangers(more):
            return FULL
        if more and not self._takes_strangers(mailbox, more):
            return QUOTA
        for key, expires in fresh.items():
            self._bury(key, _Buried(expires, removal))
        return STORED

    def _fits_strangers(self, more: int) -> bool:
        """May so many tombstones come that bury nothing, as far as the whole store goes?"""
        count = len(self._buried) + more
        few = not self._max_bytes or count * TOMBSTONE_COST_BYTES <= self._max_bytes // 4
        return few and self._fits(more * TOMBSTONE_COST_BYTES, 32)

    def _takes_strangers(self, mailbox: MailboxId, more: int) -> bool:
        first = bisect_left(self._message_keys, (mailbox, b""))
        last = bisect_left(self._message_keys, (mailbox + b"\x00", b""))
        there = last - first - len(self._mailboxes.get(mailbox, {}))
        return there + more <= self._quotas.tombstones_of(mailbox)

    def _outdates(self, key: _Key, expires_hours: int) -> bool:
        """Would a removal's word with that expiry be news?"""
        known = self._buried.get(key)
        return known is None or (not known.secret and known.expires_hours < expires_hours)

    def _bury(self, key: _Key, buried: _Buried) -> None:
        if self._is_waiting(key):
            self._forget_envelope(key)
        if key in self._buried:
            self._sums.remove(b"".join(key), ItemState.TOMBSTONE, self._buried[key].expires_hours)
        else:
            insort(self._message_keys, key)
            self._bytes += TOMBSTONE_COST_BYTES
        self._buried[key] = buried
        self._sums.add(b"".join(key), ItemState.TOMBSTONE, buried.expires_hours)

    def _unbury(self, key: _Key) -> None:
        buried = self._buried.pop(key)
        self._sums.remove(b"".join(key), ItemState.TOMBSTONE, buried.expires_hours)
        self._bytes -= TOMBSTONE_COST_BYTES
        del self._message_keys[bisect_left(self._message_keys, key)]

    # -- records ---------------------------------------------------------------------------------

    def put_records(self, records: Sequence[UserRecord], now: float) -> Deferred[list[Put]]:
        hour = hour_of(now)
        return self._do(lambda: [self._put_record(record, hour) for record in records])

    def _put_record(self, record: UserRecord, hour: int) -> Put:
        if record.expires_hours <= hour:
            return EXPIRED
        key, order = record.key, record.order
        known = self._records.get(key)
        if known is None:
            if not self._fits(_cost(record), 16) or not self._fits_records(record):
                return FULL
            insort(self._record_keys, key)
        elif known.order > order:
            return STALE
        elif known.order == order and known.record is not None:
            return DUPLICATE
        self._set_record(key, _Remembered(order, record.expires_hours, record))
        return STORED

    def _fits_records(self, record: UserRecord) -> bool:
        cost = (len(self._records) + 1) * _cost(record)
        return not self._max_bytes or cost <= self._max_bytes // 4

    def _set_record(self, key: bytes, remembered: _Remembered) -> None:
        if key in self._records:
            self._forget_sum(key)
            self._bytes -= _cost(self._records[key].record)
        self._bytes += _cost(remembered.record)
        self._records[key] = remembered
        if remembered.record is not None:
            self._sums.add(key + remembered.order[1], ItemState.RECORD, remembered.expires_hours)

    def _forget_sum(self, key: bytes) -> None:
        """Of the record there, if there is one: it is about to go."""
        known = self._records[key]
        if known.record is not None:
            self._sums.remove(key + known.order[1], ItemState.RECORD, known.expires_hours)

    def _forget_record(self, key: bytes) -> None:
        self._forget_sum(key)
        self._bytes -= _cost(self._records.pop(key).record)
        del self._record_keys[bisect_left(self._record_keys, key)]

    # -- blobs -----------------------------------------------------------------------------------

    def put_blobs(self, blobs: Sequence[Blob], now: float) -> Deferred[list[Put]]:
        hour = hour_of(now)
        return self._do(lambda: [self._blobs.put(blob, hour) for blob in blobs])

    def get_blob(self, name: bytes, now: float) -> Deferred[Blob | None]:
        return self._do(lambda: self._blobs.get(name, hour_of(now)))

    def list_blobs(
        self, arc: Arc, *, after: bytes, limit: int, now: float
    ) -> Deferred[list[BlobName]]:
        return self._do(lambda: self._blobs.listed(arc, after, limit, hour_of(now)))

    # -- reads -----------------------------------------------------------------------------------

    def list_mailbox(
        self, mailbox: MailboxId, after: int, limit: int, now: float
    ) -> Deferred[list[Waiting]]:
        hour = hour_of(now)
        return self._do(
            lambda: [
                Waiting(sequence, envelope.id, envelope.expires_hours)
                for sequence, envelope in self._mailboxes.get(mailbox, {}).values()
                if sequence > after and envelope.expires_hours > hour
            ][:limit]
        )

    def get_envelopes(
        self, mailbox: MailboxId, ids: Sequence[MessageId], now: float
    ) -> Deferred[list[Envelope]]:
        keys = [(mailbox, message) for message in dict.fromkeys(ids)]
        return self._do(lambda: list(self._envelopes(keys, hour_of(now))))

    def _envelopes(self, keys: Sequence[_Key], hour: int) -> Iterator[Envelope]:
        for mailbox, message in keys:
            held = self._mailboxes.get(mailbox, {}).get(message)
            if held is not None and held[1].expires_hours > hour:
                yield held[1]

    def get_record(self, key: bytes, now: float) -> Deferred[UserRecord | None]:
        return self._do(lambda: self._record(key, hour_of(now)))

    def _record(self, key: bytes, hour: int) -> UserRecord | None:
        known = self._records.get(key)
        return known.record if known is not None and known.expires_hours > hour else None

    def list_items(
        self, arc: Arc, *, records: bool, after: Item | None, limit: int, now: float
    ) -> Deferred[list[Item]]:
        def listed() -> list[Item]:
            items = self._record_items(arc, now) if records else self._message_items(arc, now)
            done = (b"", b"") if after is None else (after.key, after.name)
            later = (item for item in items if (item.key, item.name) > done)
            return [item for item, _ in zip(later, range(limit), strict=False)]

        return self._do(listed)

    def _message_items(self, arc: Arc, now: float) -> Iterator[Item]:
        hour, tombstone_hour = hour_of(now), tombstone_hour_of(now)
        keys = self._message_keys
        for start, through in arc.segments():
            first = bisect_left(keys, (start + b"\x00", b"")) if start else 0
            for index in range(first, len(keys)):
                mailbox, message = keys[index]
                if mailbox > through:
                    break
                buried = self._buried.get(keys[index])
                if buried is None:
                    if self._mailboxes[mailbox][message][1].expires_hours > hour:
                        yield Item(mailbox, message, ItemState.ENVELOPE)
                elif buried.expires_hours > tombstone_hour:
                    yield Item(mailbox, message, ItemState.TOMBSTONE)

    def _record_items(self, arc: Arc, now: float) -> Iterator[Item]:
        for start, through in arc.segments():
            keys = self._record_keys
            for key in keys[bisect_right(keys, start) : bisect_right(keys, through)]:
                if self._record(key, hour_of(now)) is not None:
                    yield Item(key, self._records[key].order[1], ItemState.RECORD)

    def sum_items(
        self, lower: bytes, upper: bytes, *, parts: int, now: float
    ) -> Deferred[list[RangeSum]]:
        def summed() -> list[RangeSum]:
            hour = hour_of(now)

            def read(lower: bytes, upper: bytes, limit: int) -> list[Entry]:
                return list(islice(self._entries(lower, upper, hour), limit))

            sums = self._sums.at(hour) or self._sums.keep(RangeSums(hour))
            while unknown := sums.unknown(lower, upper):
                sums.learn(*unknown, read)
            cover = sums.cover(lower, upper)
            assert cover is not None
            return partition(lower, upper, parts, cover, read)

        return self._do(summed)

    def list_range(
        self, lower: bytes, upper: bytes, *, limit: int, now: float
    ) -> Deferred[list[Item]]:
        return self._do(
            lambda: [
                Item(place[:ID_BYTES], place[ID_BYTES:], ItemState(state))
                for place, state in islice(self._entries(lower, upper, hour_of(now)), limit)
            ]
        )

    def _entries(self, lower: bytes, upper: bytes, hour: int) -> Iterator[Entry]:
        """What lies in a range of places and is not over at that hour, in order."""
        return merge(
            self._message_entries(lower, upper, hour), self._record_entries(lower, upper, hour)
        )

    def _message_entries(self, lower: bytes, upper: bytes, hour: int) -> Iterator[Entry]:
        keys = self._message_keys
        for index in range(bisect_left(keys, (lower[:ID_BYTES], lower[ID_BYTES:])), len(keys)):
            key = keys[index]
            place = b"".join(key)
            if place >= upper:
                return
            buried = self._buried.get(key)
            if buried is not None:
                if buried.ends_at > hour:
                    yield place, ItemState.TOMBSTONE
            elif self._mailboxes[key[0]][key[1]][1].expires_hours > hour:
                yield place, ItemState.ENVELOPE

    def _record_entries(self, lower: bytes, upper: bytes, hour: int) -> Iterator[Entry]:
        keys = self._record_keys
        for index in range(bisect_left(keys, lower[:ID_BYTES]), len(keys)):
            key = keys[index]
            if key >= upper:
                return
            place = key + self._records[key].order[1]
            if lower <= place < upper and self._record(key, hour) is not None:
                yield place, ItemState.RECORD

    def held_items(self, items: Sequence[Item]) -> Deferred[list[Item]]:
        def held() -> Iterator[Item]:
            for key in dict.fromkeys((item.key, item.name) for item in items):
                if key in self._buried:
                    yield Item(*key, ItemState.TOMBSTONE)
                elif self._is_waiting(key):
                    yield Item(*key, ItemState.ENVELOPE)
                known = self._records.get(key[0])
                if known is not None and known.record is not None and known.order[1] == key[1]:
                    yield Item(*key, ItemState.RECORD)

        return self._do(lambda: list(held()))

    def get_items(
        self, items: Sequence[Item], now: float
    ) -> Deferred[tuple[list[Envelope], list[Tombstone], list[Removal], list[UserRecord]]]:
        return self._do(lambda: self._items(items, now))

    def _items(
        self, items: Sequence[Item], now: float
    ) -> tuple[list[Envelope], list[Tombstone], list[Removal], list[UserRecord]]:
        envelopes: list[Envelope] = []
        tombstones: list[Tombstone] = []
        removals: dict[bytes, Removal] = {}
        records: list[UserRecord] = []
        for item in dict.fromkeys(items):
            key = (item.key, item.name)
            match item.state:
                case ItemState.ENVELOPE:
                    envelopes += self._envelopes([key], hour_of(now))
                case ItemState.TOMBSTONE:
                    buried = self._buried.get(key)
                    if buried is None or buried.expires_hours <= tombstone_hour_of(now):
                        continue
                    if isinstance(buried.proof, Tombstone):
                        tombstones.append(buried.proof)
                    else:
                        removals[buried.proof.encoded] = buried.proof
                case ItemState.RECORD:
                    record = self._record(item.key, hour_of(now))
                    if record is not None and record.order[1] == item.name:
                        records.append(record)
        return envelopes, tombstones, list(removals.values()), records

    def totals(self) -> Deferred[Totals]:
        return self._do(
            lambda: Totals(
                sum(map(len, self._mailboxes.values())),
                len(self._buried),
                sum(known.record is not None for known in self._records.values()),
                self._bytes + self._blobs.cost_bytes,
                len(self._blobs),
            )
        )

    # -- hints -----------------------------------------------------------------------------------

    def put_hints(self, member: NodeId, items: Sequence[Item], now: float) -> Deferred[bool]:
        return self._do(lambda: self._hints.put(member, items, now))

    def hinted_members(self) -> Deferred[list[NodeId]]:
        return self._do(self._hints.members)

    def list_hints(self, member: NodeId, limit: int) -> Deferred[list[Item]]:
        return self._do(lambda: self._hints.of(member, limit))

    def drop_hints(self, member: NodeId, items: Sequence[Item]) -> Deferred[None]:
        return self._do(lambda: self._hints.drop(member, items))

    def expire_hints(self, now: float) -> Deferred[int]:
        return self._do(lambda: self._hints.expire(now))

    # -- the end of things -----------------------------------------------------------------------

    def drop_items(self, items: Sequence[Item]) -> Deferred[None]:
        def drop() -> None:
            for item in items:
                key = (item.key, item.name)
                match item.state:
                    case ItemState.ENVELOPE if self._is_waiting(key):
                        self._forget_envelope(key)
                    case ItemState.TOMBSTONE if key in self._buried:
                        self._unbury(key)
                    case ItemState.RECORD if item.key in self._records:
                        if self._records[item.key].order[1] == item.name:
                            self._forget_record(item.key)
                    case _:
                        pass

        return self._do(drop)

    def expire(self, now: float) -> Deferred[int]:
        return self._do(lambda: self._expire(hour_of(now), tombstone_hour_of(now)))

    def _expire(self, hour: int, tombstone_hour: int) -> int:
        if hour <= self._expired_at:
            return 0
        self._expired_at = hour
        over = [
            (mailbox, message)
            for mailbox, waiting in self._mailboxes.items()
            for message, (_, envelope) in waiting.items()
            if envelope.expires_hours <= hour
        ]
        for key in over:
            self._forget_envelope(key)
        unneeded = [
            k for k, buried in self._buried.items() if buried.expires_hours <= tombstone_hour
        ]
        for key in unneeded:
            self._unbury(key)
        ended = [
            (key, known)
            for key, known in self._records.items()
            if known.record is not None and known.expires_hours <= hour
        ]
        for record_key, known in ended:
            self._set_record(record_key, _Remembered(known.order, known.expires_hours, None))
        for record_key, known in list(self._records.items()):
            if known.expires_hours <= hour - RECORD_MEMORY_HOURS:
                self._forget_record(record_key)
        return len(over) + len(unneeded) + len(ended) + self._blobs.expire(hour)

    # -- peers and boots -------------------------------------------------------------------------

    def save_peers(self, peers: Sequence[KnownPeer]) -> Deferred[None]:
        def save() -> None:
            self._peers.update((peer.node, peer) for peer in peers)
            kept = sorted(self._peers.values(), key=lambda p: (-p.last_heard_seconds, p.node))
            self._peers = {peer.node: peer for peer in kept[:MAX_PEERS]}

        return self._do(save)

    def load_peers(self) -> Deferred[list[KnownPeer]]:
        return self._do(lambda: list(self._peers.values()))

    def forget_peers(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        def forget() -> None:
            for node in nodes:
                self._peers.pop(node, None)

        return self._do(forget)

    def save_anchors(self, anchors: Sequence[KnownPeer]) -> Deferred[None]:
        def save() -> None:
            self._anchors = list(anchors[:MAX_ANCHORS])

        return self._do(save)

    def load_anchors(self) -> Deferred[list[KnownPeer]]:
        return self._do(lambda: list(self._anchors))

    def save_seeds(self, seeds: Sequence[KnownSeed]) -> Deferred[None]:
        def save() -> None:
            self._seeds.update((seed.address, seed) for seed in seeds)
            kept = sorted(self._seeds.values(), key=lambda s: (-s.since_seconds, s.address))
            self._seeds = {seed.address: seed for seed in kept[:MAX_KNOWN_SEEDS]}

        return self._do(save)

    def load_seeds(self) -> Deferred[list[KnownSeed]]:
        return self._do(lambda: list(self._seeds.values()))

    def save_dead(self, dead: Sequence[KnownDead]) -> Deferred[None]:
        def save() -> None:
            self._dead.update((known.node, known) for known in dead)
            kept = sorted(self._dead.values(), key=lambda known: (-known.died_seconds, known.node))
            self._dead = {known.node: known for known in kept[:MAX_KNOWN_DEAD]}

        return self._do(save)

    def load_dead(self) -> Deferred[list[KnownDead]]:
        return self._do(lambda: list(self._dead.values()))

    def forget_dead(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        def forget() -> None:
            for node in nodes:
                self._dead.pop(node, None)

        return self._do(forget)

    def next_boot(self, now: float) -> Deferred[int]:
        def boot() -> int:
            self._boot = int(now) if self._boot is None else max(self._boot + 1, int(now))
            return self._boot

        return self._do(boot)

    def close(self) -> Deferred[None]:
        self._closed = True
        return succeed(None)


def _cost(record: UserRecord | None) -> int:
    return RECORD_COST_BYTES + (0 if record is None else 2 * len(record.encoded))
