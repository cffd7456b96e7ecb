"""All feeds of a node: one for each mailbox that somebody here reads (page 2.4)."""

from __future__ import annotations

from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.delivery.feed import Feed
from tace.delivery.inbox import Inbox
from tace.delivery.whereabouts import AllKnown, Whereabouts
from tace.errors import TooMany
from tace.identity.mailbox_proof import Lease
from tace.ids import MailboxId, NodeId
from tace.seams import Counters, Links, Procedure, View
from tace.wire.message import Message
from tace.wire.peer import Arrived

FEEDS_A_TURN = 256
"""Looked at in one turn of the reactor when the view has changed: some 5 ms."""


class Collect:
    """Opens feeds, shares them between the clients that read one mailbox, and routes news.

    :param whereabouts: finds out who keeps a mailbox that is far away; None: all are known.
    """

    def __init__(
        self,
        *,
        view: View,
        links: Links,
        clock: IReactorTime,
        counters: Counters,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self._view = view
        self._whereabouts: Whereabouts = whereabouts or AllKnown()
        self._links = links
        self._clock = clock
        self._counters = counters
        self._feeds: dict[MailboxId, Feed] = {}
        self._to_look_at: dict[MailboxId, None] = {}
        self._looking: IDelayedCall | None = None
        view.when_changed(self._view_changed)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {Arrived: self._on_arrived}

    def watch(self, lease: Lease, inbox: Inbox) -> None:
        """Let the inbox read the mailbox that the (checked) lease opens.

        :raises TooMany: as many clients read it here as may.
        """
        feed = self._feeds.get(lease.mailbox)
        if feed is not None and feed.is_full():
            raise TooMany("as many clients read that mailbox here as may", retry_after_ms=10_000)
        if feed is None:
            feed = self._feeds[lease.mailbox] = Feed(
                lease,
                view=self._view,
                whereabouts=self._whereabouts,
                links=self._links,
                clock=self._clock,
                counters=self._counters,
            )
        else:
            # The older lease may be that of a client that has gone: replicas go by the newest.
            self.renew(lease)
        inbox.begin(lease.mailbox)
        feed.add(inbox)

    def renew(self, lease: Lease) -> None:
        """A client has shown a newer lease for a mailbox that is read here."""
        feed = self._feeds.get(lease.mailbox)
        if feed is not None and lease.expires_seconds > feed.lease.expires_seconds:
            feed.renew(lease)

    def unwatch(self, mailbox: MailboxId, inbox: Inbox) -> None:
        feed = self._feeds.get(mailbox)
        if feed is not None and feed.remove(inbox):
            del self._feeds[mailbox]
            background("stop a feed", feed.stop())

    def watched(self) -> set[NodeId]:
        """Every replica that somebody here depends on for news."""
        return {node for feed in self._feeds.values() for node in feed.watched()}

    async def stop(self) -> None:
        self._to_look_at.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for mailbox in list(self._feeds):
            await self._feeds.pop(mailbox).stop()

    def link_lost(self, node: NodeId) -> None:
        for feed in self._feeds.values():
            feed.lost(node)

    def _view_changed(self) -> None:
        """Have every feed look whether it is served by whom it should; some at once, the others in
        later turns."""
        # Whoever waits for its turn keeps it, however often the view changes.
        self._to_look_at.update(dict.fromkeys(self._feeds))
        if self._looking is None:
            self._look_on()

    def _look_on(self) -> None:
        self._looking = None
        for mailbox in list(islice(self._to_look_at, FEEDS_A_TURN)):
            del self._to_look_at[mailbox]
            feed = self._feeds.get(mailbox)
            if feed is not None:
                feed.view_changed()
        if self._to_look_at:
            self._looking = self._clock.callLater(0, self._look_on)

    async def _on_arrived(self, peer: NodeId, message: Arrived) -> None:
        for arrival in message.arrivals:
            feed = self._feeds.get(arrival.mailbox)
            if feed is not None:
                feed.arrived(peer, arrival)
