"""News of one mailbox at one node: watches at R replicas, made again whenever they fall (page 2.4).

Soft state. A replica that restarts, dies or leaves the set is replaced at once by another one;
what a new replica lists is new to nobody who knows it already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from tace.background import Periodic, background
from tace.delivery.whereabouts import Whereabouts
from tace.errors import Failure, Malformed, Refusal
from tace.identity.mailbox_proof import Lease
from tace.ids import MailboxId, MessageId, NodeId, digest
from tace.seams import Counters, Links, View
from tace.wire.fields import LeaseField, WaitingItem
from tace.wire.objects import Envelope
from tace.wire.peer import Arrival, FetchEnvelopes, ListMailbox, MailboxPage, Unwatch, Watch

RETRY_SECONDS = 0.5
"""Between attempts to watch a replica that could not be watched."""
RENEW_SECONDS = 60.0
"""Between renewals of a watch; each lists once more what a push may have lost."""
COMPLETE_WITHIN_SECONDS = 3.0
"""After this a listing that a read quorum has not confirmed is said to be incomplete."""
MAX_PAGES = 64
"""Of one replica's listing of one mailbox; what a longer one names later is not asked for."""
AVOID_SECONDS = 5.0
"""A replica that failed is chosen last for so long."""
MAX_READERS = 16
"""Clients that read one mailbox at one node: each is pushed everything."""


class FeedListener(Protocol):
    """Who reads a feed. All calls come from the reactor."""

    def waiting(self, feed: Feed, source: NodeId, items: Sequence[WaitingItem]) -> None:
        """Messages that a replica lists; may repeat."""

    def arrived(self, feed: Feed, source: NodeId, arrival: Arrival) -> None:
        """One message that has just become durable at a replica; may repeat."""

    def listed(self, feed: Feed, complete: bool) -> None:
        """Everything that waited at the start has been named, once for each listener."""


class Feed:
    """The watches of this node on one mailbox, and those who read it here."""

    def __init__(
        self,
        lease: Lease,
        *,
        view: View,
        whereabouts: Whereabouts,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
    ) -> None:
        self.mailbox: MailboxId = lease.mailbox
        self.lease = lease
        self._view = view
        self._whereabouts = whereabouts
        self._links = links
        self._clock = clock
        self._counters = counters
        self._readers: dict[FeedListener, _Reader] = {}
        self._waiters: list[Deferred[None]] = []
        self._failed_at: dict[NodeId, float] = {}
        self._sources: dict[NodeId, _Source] = {}
        self._wanted: list[NodeId] = []
        self._rounds = Periodic("watch replicas", clock, self._until_next, self._round)
        self._rounds.start(delay=0.0)

    # -- readers ---------------------------------------------------------------------------------

    def add(self, listener: FeedListener) -> None:
        """Name everything that waits to the listener, then everything that arrives."""
        self._readers[listener] = _Reader()
        background("list a mailbox", self._introduce(listener))

    def is_full(self) -> bool:
        """Do as many clients read it as may?"""
        return len(self._readers) >= MAX_READERS

    def remove(self, listener: FeedListener) -> bool:
        """True when nobody reads the feed any more; then :meth:`stop` it."""
        self._readers.pop(listener, None)
        return not self._readers

    async def stop(self) -> None:
        self._readers.clear()
        await self._rounds.stop()
        self._wake()
        # Those that are asked just now too: the watch may stand there before the answer is here.
        for node in dict.fromkeys((*self._sources, *self._wanted)):
            self._links.send(node, Unwatch((self.mailbox,)))
        self._sources.clear()
        self._wanted = []

    def watched(self) -> list[NodeId]:
        """The replicas that tell this feed of what arrives."""
        return list(self._sources)

    def watches(self, node: NodeId) -> bool:
        """Does that replica tell this feed of what arrives?"""
        return node in self._sources

    def tell_again(self, node: NodeId, listener: FeedListener) -> None:
        """Have one replica list once more: the listener could not remember everything."""
        reader = self._readers.get(listener)
        if reader is not None and node in self._sources:
            reader.told.discard(node)
            self._tell(node, listener, reader)

    def renew(self, lease: Lease) -> None:
        """A fresh lease: replicas get it before the old one ends."""
        self.lease = lease
        for source in self._sources.values():
            source.renew_at = 0.0
        self._rounds.soon()

    async def _introduce(self, listener: FeedListener) -> None:
        """List what waits for one listener, as soon as enough replicas can say."""
        end = self._clock.seconds() + COMPLETE_WITHIN_SECONDS
        reader = self._readers[listener]
        while self._readers.get(listener) is reader:
            for node in list(self._sources):
                self._tell(node, listener, reader)
            complete = self._all_named(reader)
            left = end - self._clock.seconds()
            if complete or left <= 0:
                listener.listed(self, complete)
                return
            await self._source_or_timeout(min(RETRY_SECONDS, left))

    def _all_named(self, reader: _Reader) -> bool:
        """Has a read quorum of the members told everything it holds?"""
        replica_set = self._view.replica_set(self.mailbox)
        counted = sum(
            node in reader.told and not source.partial
            for node, source in self._sources.items()
            if node in replica_set.members
        )
        return counted >= max(1, replica_set.read_quorum)

    async def _source_or_timeout(self, seconds: float) -> None:
        """Until the sources have changed, or that much time has passed."""
        woken: Deferred[None] = Deferred()
        self._waiters.append(woken)
        timer = self._clock.callLater(seconds, woken.callback, None)
        await woken
        self._waiters.remove(woken)
        if timer.active():
            timer.cancel()

    def _wake(self) -> None:
        for woken in list(self._waiters):
            if not woken.called:
                woken.callback(None)

    # -- sources ---------------------------------------------------------------------------------

    def lost(self, node: NodeId) -> None:
        """The link to a node is gone, and the watch with it."""
        if self._sources.pop(node, None) is not None:
            self._counters.count("watches_lost_total")
            self._rounds.soon()

    def view_changed(self) -> None:
        # What is not known any more is looked up in the round, and nothing is chosen before.
        if not self._whereabouts.knows(self.mailbox) or self._choose() != self._wanted:
            self._rounds.soon()

    def _choose(self) -> list[NodeId]:
        """R living replicas.

        Members come first, because a read quorum meets every write quorum only among them; of
        these this node itself, because its own copy costs nothing.
        """
        replica_set = self._view.replica_set(self.mailbox)
        living = [n for n in replica_set.everyone if not self._view.is_dead(n)]
        lately = self._clock.seconds() - AVOID_SECONDS
        members = replica_set.members
        living.sort(
            key=lambda n: (
                self._failed_at.get(n, lately) > lately,
                n not in members,
                n != self._view.own,
            )
        )
        return living[: replica_set.read_quorum]

    def _until_next(self) -> float:
        short = len(self._sources) < len(self._wanted)
        partial = any(source.partial for source in self._sources.values())
        if short or partial:
            return RETRY_SECONDS
        due = min((source.renew_at for source in self._sources.values()), default=0.0)
        return max(RETRY_SECONDS, due - self._clock.seconds())

    async def _round(self) -> None:
        """Bring the watches to what is wanted now."""
        if not self._whereabouts.knows(self.mailbox):
            await self._whereabouts.resolve(self.mailbox)
        self._wanted = self._choose()
        whole = self._body_source()
        stale = [
            node
            for node in self._wanted
            if (source := self._sources.get(node)) is None
            or source.renew_at <= self._clock.seconds()
            or source.partial
            or source.bodies != (node == whole)
        ]
        await DeferredList(
            [background("watch a replica", self._watch(node, node == whole)) for node in stale]
        )
        if all(node in self._sources for node in self._wanted):
            for node in [n for n in self._sources if n not in self._wanted]:
                del self._sources[node]
                self._links.send(node, Unwatch((self.mailbox,)))

    def _body_source(self) -> NodeId | None:
        """Which replica pushes whole envelopes: the same choice until the set changes.

        This node itself where it is one: what it has crosses no link.
        """
        if not self._wanted:
            return None
        if self._view.own in self._wanted:
            return self._view.own
        pick = int.from_bytes(digest(b"body source", self._view.own, self.mailbox)[:4])
        return sorted(self._wanted)[pick % len(self._wanted)]

    async def _watch(self, node: NodeId, bodies: bool) -> None:
        lease = self.lease
        try:
            page = await self._links.call(
                node,
                Watch(
                    LeaseField(
                        lease.mailbox_key,
                        lease.kind,
                        lease.origin,
                        lease.challenge,
                        lease.expires_seconds,
                        lease.signature,
                    ),
                    bodies,
                ),
            )
        except (Failure, Refusal) as error:
            self._counters.count("watch_failures_total", reason=error.code)
            self._sources.pop(node, None)
            self._failed_at[node] = self._clock.seconds()
            return
        self._failed_at.pop(node, None)
        renew_at = self._clock.seconds() + RENEW_SECONDS if lease is self.lease else 0.0
        self._sources[node] = _Source(bodies, page.partial, renew_at)
        # Told every time, not only the first: what a push lost is found again here.
        for listener, reader in list(self._readers.items()):
            self._tell(node, listener, reader, page)
        self._wake()

    def _tell(
        self, node: NodeId, listener: FeedListener, reader: _Reader, page: MailboxPage | None = None
    ) -> None:
        """Have one replica's whole listing named to one listener, unless that has been done.

        :param page: its beginning, just received over a new watch: then it is told in any case.
        """
        if page is None and (node in reader.told or node in reader.being_told):
            return
        reader.told.discard(node)
        reader.being_told.add(node)
        background("list a replica", self._list(node, listener, reader, page))

    async def _list(
        self, node: NodeId, listener: FeedListener, reader: _Reader, page: MailboxPage | None
    ) -> None:
        cursor = 0
        try:
            for _ in range(MAX_PAGES):
                if page is None:
                    page = await self._links.call(node, ListMailbox(self.mailbox, cursor))
                if self._readers.get(listener) is not reader:
                    return
                listener.waiting(self, node, page.items)
                if not page.more:
                    reader.told.add(node)
                    self._wake()
                    return
                cursor, page = page.cursor, None
        except (Failure, Refusal) as error:
            self._counters.count("listing_failures_total", reason=error.code)
            if self._sources.pop(node, None) is not None:
                # Half a listing is none: the watch is made again, and lists from the start.
                self._rounds.soon(RETRY_SECONDS)
        finally:
            reader.being_told.discard(node)

    # -- news ------------------------------------------------------------------------------------

    def arrived(self, node: NodeId, arrival: Arrival) -> None:
        # News may overtake the answer that says the watch stands.
        if node in self._sources or node in self._wanted:
            for listener in list(self._readers):
                listener.arrived(self, node, arrival)

    async def fetch(self, node: NodeId, ids: Sequence[MessageId]) -> tuple[bytes, ...]:
        """Bodies from one replica. :raises Failure: it went away. :raises Refusal: no."""
        answer = await self._links.call(node, FetchEnvelopes(self.mailbox, tuple(ids)))
        return answer.envelopes

    def match(
        self, ids: Sequence[MessageId], bodies: Sequence[bytes]
    ) -> list[tuple[MessageId, bytes]]:
        """Each id with its body, or with nothing where none came. What else came is dropped."""
        found: dict[MessageId, bytes] = {}
        for body in bodies:
            try:
                envelope = Envelope.parse(body)
            except Malformed:
                continue
            if envelope.mailbox == self.mailbox:
                found[envelope.id] = body
        return [(message, found.get(message, b"")) for message in ids]


class _Reader:
    """Which replicas have told a listener everything they hold, and which are at it."""

    __slots__ = ("being_told", "told")

    def __init__(self) -> None:
        self.told: set[NodeId] = set()
        self.being_told: set[NodeId] = set()


class _Source:
    """A replica that watches for this node."""

    __slots__ = ("bodies", "partial", "renew_at")

    def __init__(self, bodies: bool, partial: bool, renew_at: float) -> None:
        self.bodies = bodies
        self.partial = partial
        self.renew_at = renew_at
