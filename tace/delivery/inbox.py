"""What one client is sent: each message once while it is known, never more than its window.

Bodies that the feed brings are kept for as many messages as the window holds; the others are
fetched when there is room for them. Each replica has its own bounds and its own fetch under way, so
one that lies or is slow holds up only what it alone names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.delivery.delay import DelayEstimate
from tace.delivery.feed import Feed
from tace.errors import Failure, Refusal
from tace.ids import MailboxId, MessageId, NodeId
from tace.wire.fields import MAX_ENVELOPES, WaitingItem
from tace.wire.peer import Arrival

BODY_WAIT_SECONDS = 0.05
"""How long an id waits for the replica that pushes bodies before the body is fetched; longer where
bodies have been coming later than that (a busy disk), because what is fetched comes twice."""
MAX_BODY_WAIT_SECONDS = 1.0
"""No longer than this, however late bodies have been."""
FETCH_AGAIN_SECONDS = 1.0
"""A replica that watches and gives no answer is asked again after this."""
MAX_NAMED = 8192
"""Messages remembered from one replica. It lists once more when half of them are dealt with."""
MAX_NAMES = 500_000
"""The same of all replicas and all clients of a node together: some 100 MB. Beyond it each client
has as many as its window holds."""
MAX_RELEASED = 8192
"""Messages that a client has dealt with, remembered so as not to be pushed to it again."""


class NameRoom:
    """How many names of waiting messages the inboxes of one node remember together."""

    __slots__ = ("_max", "held")

    def __init__(self, max_names: int = MAX_NAMES) -> None:
        self._max = max_names
        self.held = 0

    def is_full(self) -> bool:
        return self.held >= self._max


class Inbox:
    """One client's window on its mailboxes.

    :param push: sends one encoded envelope to the client.
    :param caught_up: tells the client that a mailbox's waiting messages have all been pushed.
    :param room: shared with the other inboxes of the node; by default, one of its own.
    """

    def __init__(
        self,
        push: Callable[[bytes], None],
        caught_up: Callable[[MailboxId, bool], None],
        *,
        clock: IReactorTime,
        window: int,
        room: NameRoom | None = None,
    ) -> None:
        self._room = NameRoom() if room is None else room
        self._push = push
        self._caught_up = caught_up
        self._clock = clock
        self.window = window
        self._queue: dict[MessageId, _Queued] = {}
        self._named: dict[NodeId, dict[MessageId, None]] = {}
        self._overflowed: dict[NodeId, _Overflow] = {}
        self._ready: dict[MessageId, None] = {}
        self._in_flight: dict[MessageId, float | None] = {}
        """Pushed and not released; of what was fetched, when it had first been heard of."""
        self._released: dict[MessageId, None] = {}
        self._starting: dict[MailboxId, _Start] = {}
        self._fetching: set[NodeId] = set()
        self._body_delay = DelayEstimate(
            least_seconds=BODY_WAIT_SECONDS, most_seconds=MAX_BODY_WAIT_SECONDS
        )
        self._timer: IDelayedCall | None = None
        self._open = True

    def begin(self, mailbox: MailboxId) -> None:
        """The feed of this mailbox is about to name what waits."""
        self._starting[mailbox] = _Start()

    def close(self) -> None:
        self._open = False
        self._room.held -= sum(map(len, self._named.values()))
        for remembered in (self._queue, self._named, self._overflowed, self._ready):
            remembered.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def release(self, ids: Sequence[MessageId]) -> None:
        """The client has dealt with these (ack, removal, defer)."""
        for message in ids:
            self._in_flight.pop(message, None)
            self._forget(message)
            self._released.pop(message, None)
            self._released[message] = None
            self._settle(message)
        while len(self._released) > MAX_RELEASED:
            del self._released[next(iter(self._released))]
        self._pump()

    # -- FeedListener ----------------------------------------------------------------------------

    def waiting(self, feed: Feed, source: NodeId, items: Sequence[WaitingItem]) -> None:
        start = self._starting.get(feed.mailbox)
        for item in items:
            if self._heard(feed, source, item.id, b"", fetch_at=self._clock.seconds()) and start:
                start.names.add(item.id)
        self._pump()

    def arrived(self, feed: Feed, source: NodeId, arrival: Arrival) -> None:
        # A replica that pushes something else under this id has pushed only the id.
        body = feed.match([arrival.id], [arrival.envelope])[0][1] if arrival.envelope else b""
        now = self._clock.seconds()
        if body:
            self._learn_delay(arrival.id, now)
        fetch_at = now + self._body_delay.seconds
        self._heard(feed, source, arrival.id, body, fetch_at=fetch_at, heard_at=now)
        self._pump()

    def _learn_delay(self, message: MessageId, now: float) -> None:
        """A body has been pushed: how long after the first word of it?"""
        queued = self._queue.get(message)
        if queued is None:
            heard_at = self._in_flight.get(message)
            if heard_at is not None:
                # It was fetched too early; once is enough to learn that.
                self._in_flight[message] = None
        else:
            heard_at = None if queued.body else queued.heard_at
        if heard_at is not None:
            self._body_delay.observe(now - heard_at)

    def listed(self, feed: Feed, complete: bool) -> None:
        start = self._starting.get(feed.mailbox)
        if start is not None:
            start.listed = True
            start.complete = complete
        self._pump()

    def _heard(
        self,
        feed: Feed,
        source: NodeId,
        message: MessageId,
        body: bytes,
        *,
        fetch_at: float,
        heard_at: float | None = None,
    ) -> bool:
        """Note where a message can be had; False for one that needs nothing more.

        ``heard_at``: when a replica said that it had just come; None for what it lists.
        """
        if not self._open or message in self._in_flight or message in self._released:
            return False
        queued = self._queue.get(message)
        if queued is None or source not in queued.sources:
            named = self._named.setdefault(source, {})
            crowded = len(named) >= self.window and self._room.is_full()
            if crowded or len(named) >= MAX_NAMED:
                self._overflowed.setdefault(source, _Overflow(len(named))).feeds[feed] = None
                if feed.mailbox in self._starting:
                    self._starting[feed.mailbox].unsure = True
                return False
            if queued is None:
                queued = self._queue[message] = _Queued(feed, fetch_at, heard_at)
            named[message] = None
            self._room.held += 1
            queued.sources.append(source)
        if body and not queued.body and len(self._ready) < self.window:
            self._have(message, queued, body)
        return True

    def _have(self, message: MessageId, queued: _Queued, body: bytes) -> None:
        queued.body = body
        self._ready[message] = None

    def _forget(self, message: MessageId) -> _Queued | None:
        """Take a message off the queue."""
        queued = self._queue.pop(message, None)
        if queued is not None:
            self._ready.pop(message, None)
            for source in queued.sources:
                self._unname(source, message)
        return queued

    def _unname(self, source: NodeId, message: MessageId) -> None:
        named = self._named[source]
        del named[message]
        self._room.held -= 1
        overflow = self._overflowed.get(source)
        if overflow is not None and len(named) <= overflow.named // 2:
            del self._overflowed[source]
            for feed in overflow.feeds:
                feed.tell_again(source, self)
        if not named and self._named.get(source) is named:
            del self._named[source]

    # -- pushing ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Push what can be pushed, see that the rest is fetched, say when all has been."""
        if not self._open:
            return
        while self._ready and len(self._in_flight) < self.window:
            message = next(iter(self._ready))
            queued = self._queue[message]
            self._in_flight[message] = queued.heard_at if queued.fetched else None
            self._forget(message)
            self._push(queued.body)
            self._settle(message)
        room = self.window - len(self._in_flight)
        if room > 0 and self._open:
            self._fetch_due(room)
        for mailbox, start in list(self._starting.items()):
            if start.listed and not start.names:
                del self._starting[mailbox]
                self._caught_up(mailbox, start.complete and not start.unsure)

    def _settle(self, message: MessageId) -> None:
        """It has been pushed, or need not be: no longer something to wait for at the start."""
        for start in self._starting.values():
            start.names.discard(message)

    def _fetch_due(self, room: int) -> None:
        """One fetch from each replica that is not busy with one."""
        now = self._clock.seconds()
        next_at = float("inf")
        for source, named in list(self._named.items()):
            if source in self._fetching:
                continue
            feed: Feed | None = None
            batch: list[MessageId] = []
            for message in named:
                queued = self._queue[message]
                if queued.body or queued.asked:
                    continue
                if queued.fetch_at > now:
                    next_at = min(next_at, queued.fetch_at)
                    continue
                feed = feed or queued.feed
                if queued.feed is feed:
                    queued.asked = True
                    batch.append(message)
                if len(batch) == min(room, MAX_ENVELOPES):
                    break
            if feed is not None:
                self._fetching.add(source)
                background("fetch envelopes", self._fetch(feed, source, batch))
                room -= len(batch)
                if room <= 0 or not self._open:
                    return
        if next_at != float("inf") and self._open:
            wait = max(0.0, next_at - now)
            if self._timer is None:
                self._timer = self._clock.callLater(wait, self._due)
            elif self._timer.getTime() > next_at:
                self._timer.reset(wait)

    def _due(self) -> None:
        self._timer = None
        self._pump()

    async def _fetch(self, feed: Feed, source: NodeId, batch: Sequence[MessageId]) -> None:
        answered = True
        bodies: Sequence[bytes] = ()
        try:
            bodies = await feed.fetch(source, batch)
        except (Failure, Refusal):
            answered = False
        finally:
            self._fetching.discard(source)
        for message, body in feed.match(batch, bodies):
            queued = self._queue.get(message)
            if queued is None:
                continue
            queued.asked = False
            if queued.body:
                continue
            if body:
                queued.fetched = True
                self._have(message, queued, body)
            elif not answered and queued.sources == [source] and feed.watches(source):
                # Nobody else is known to have it: it stays, or it would be lost to this client.
                queued.fetch_at = self._clock.seconds() + FETCH_AGAIN_SECONDS
            elif source in queued.sources:
                # Not there (any more): another replica may have it, or it has been acked.
                queued.sources.remove(source)
                self._unname(source, message)
                if not queued.sources:
                    self._forget(message)
                    self._settle(message)
        if not answered:
            self._doubt(source)
        self._pump()

    def _doubt(self, source: NodeId) -> None:
        """What only this replica names is not waited for at the start: it may be invented."""
        if not self._starting:
            return
        for message in self._named.get(source, {}):
            if self._queue[message].sources == [source]:
                for start in self._starting.values():
                    if message in start.names:
                        start.names.remove(message)
                        start.unsure = True


class _Queued:
    """A message that is known and not yet pushed."""

    __slots__ = ("asked", "body", "feed", "fetch_at", "fetched", "heard_at", "sources")

    def __init__(self, feed: Feed, fetch_at: float, heard_at: float | None) -> None:
        self.feed = feed
        self.fetch_at = fetch_at
        self.heard_at = heard_at
        self.fetched = False
        self.sources: list[NodeId] = []
        self.body = b""
        self.asked = False


class _Overflow:
    """A replica that named more than was remembered.

    ``named``: how many were.
    """

    __slots__ = ("feeds", "named")

    def __init__(self, named: int) -> None:
        self.named = named
        self.feeds: dict[Feed, None] = {}


class _Start:
    """What is still to be pushed before a mailbox counts as caught up."""

    __slots__ = ("complete", "listed", "names", "unsure")

    def __init__(self) -> None:
        self.names: set[MessageId] = set()
        self.listed = False
        self.complete = False
        self.unsure = False
