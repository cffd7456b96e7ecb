"""What one client is sent: each message once while it is known, never more than its window.

Bodies that the feed brings are kept for as many messages as the window holds; the others are
fetched when there is room for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.delivery.feed import Feed
from tace.errors import Failure, Refusal
from tace.ids import MailboxId, MessageId, NodeId
from tace.wire.fields import MAX_ENVELOPES, WaitingItem
from tace.wire.peer import Arrival

BODY_WAIT_SECONDS = 0.05
"""How long an id waits for the replica that pushes bodies before the body is fetched."""
MAX_KNOWN = 65_536
MAX_RELEASED = 8192


class Inbox:
    """One client's window on its mailboxes.

    :param push: sends one encoded envelope to the client.
    :param caught_up: tells the client that a mailbox's waiting messages have all been pushed.
    """

    def __init__(
        self,
        push: Callable[[bytes], None],
        caught_up: Callable[[MailboxId, bool], None],
        *,
        clock: IReactorTime,
        window: int,
    ) -> None:
        self._push = push
        self._caught_up = caught_up
        self._clock = clock
        self.window = window
        self._queue: dict[MessageId, _Queued] = {}
        self._bodies = 0
        self._in_flight: dict[MessageId, None] = {}
        self._released: dict[MessageId, None] = {}
        self._starting: dict[MailboxId, _Start] = {}
        self._fetching = False
        self._timer: IDelayedCall | None = None
        self._open = True

    def begin(self, mailbox: MailboxId) -> None:
        """The feed of this mailbox is about to name what waits."""
        self._starting[mailbox] = _Start()

    def close(self) -> None:
        self._open = False
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def release(self, ids: Sequence[MessageId]) -> None:
        """The client has dealt with these (ack, removal, defer)."""
        for message in ids:
            self._in_flight.pop(message, None)
            queued = self._queue.pop(message, None)
            if queued is not None:
                self._bodies -= bool(queued.body)
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
        fetch_at = self._clock.seconds() + BODY_WAIT_SECONDS
        self._heard(feed, source, arrival.id, body, fetch_at=fetch_at)
        self._pump()

    def listed(self, feed: Feed, complete: bool) -> None:
        start = self._starting.get(feed.mailbox)
        if start is not None:
            start.listed = True
            start.complete = complete
        self._pump()

    def _heard(
        self, feed: Feed, source: NodeId, message: MessageId, body: bytes, *, fetch_at: float
    ) -> bool:
        """Note where a message can be had; False for one that needs nothing more."""
        if message in self._in_flight or message in self._released:
            return False
        queued = self._queue.get(message)
        if queued is None:
            if len(self._queue) >= MAX_KNOWN:
                return False
            queued = self._queue[message] = _Queued(feed, fetch_at)
        if source not in queued.sources:
            queued.sources.append(source)
        if body and not queued.body and self._bodies < self.window:
            queued.body = body
            self._bodies += 1
        return True

    # -- pushing ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Push what can be pushed, see that the rest is fetched, say when all has been."""
        if not self._open:
            return
        room = self.window - len(self._in_flight)
        if room > 0 and self._bodies:
            ready = [(m, q) for m, q in self._queue.items() if q.body][:room]
            for message, queued in ready:
                del self._queue[message]
                self._bodies -= 1
                self._send(message, queued.body)
                room -= 1
        if room > 0 and self._queue and not self._fetching:
            self._fetch_due(room)
        for mailbox, start in list(self._starting.items()):
            if start.listed and not start.names:
                del self._starting[mailbox]
                self._caught_up(mailbox, start.complete)

    def _send(self, message: MessageId, body: bytes) -> None:
        self._in_flight[message] = None
        self._push(body)
        self._settle(message)

    def _settle(self, message: MessageId) -> None:
        """It has been pushed, or need not be: no longer something to wait for at the start."""
        for start in self._starting.values():
            start.names.discard(message)

    def _fetch_due(self, room: int) -> None:
        now = self._clock.seconds()
        first: _Queued | None = None
        batch: list[MessageId] = []
        next_at = float("inf")
        for message, queued in self._queue.items():
            if queued.body:
                continue
            if queued.fetch_at > now:
                next_at = min(next_at, queued.fetch_at)
                continue
            if first is None:
                first = queued
            if queued.feed is first.feed and queued.sources[0] == first.sources[0]:
                batch.append(message)
                if len(batch) == min(room, MAX_ENVELOPES):
                    break
        if first is not None:
            self._fetching = True
            background("fetch envelopes", self._fetch(first.feed, first.sources[0], batch))
        elif next_at != float("inf") and self._timer is None:
            self._timer = self._clock.callLater(max(0.0, next_at - now), self._due)

    def _due(self) -> None:
        self._timer = None
        self._pump()

    async def _fetch(self, feed: Feed, source: NodeId, batch: Sequence[MessageId]) -> None:
        try:
            bodies = await feed.fetch(source, batch)
        except (Failure, Refusal):
            bodies = ()
        self._fetching = False
        for message, body in feed.match(batch, bodies):
            queued = self._queue.get(message)
            if queued is None:
                continue
            if body:
                del self._queue[message]
                self._bodies -= bool(queued.body)
                self._send(message, body)
            elif not queued.body:
                # Not there (any more): another replica may have it, or it has been acked.
                queued.sources.remove(source)
                if not queued.sources:
                    del self._queue[message]
                    self._settle(message)
        self._pump()


class _Queued:
    """A message that is known and not yet pushed."""

    __slots__ = ("body", "feed", "fetch_at", "sources")

    def __init__(self, feed: Feed, fetch_at: float) -> None:
        self.feed = feed
        self.fetch_at = fetch_at
        self.sources: list[NodeId] = []
        self.body = b""


class _Start:
    """What is still to be pushed before a mailbox counts as caught up."""

    __slots__ = ("complete", "listed", "names")

    def __init__(self) -> None:
        self.names: set[MessageId] = set()
        self.listed = False
        self.complete = False
