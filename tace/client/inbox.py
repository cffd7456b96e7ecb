"""Collecting: lease both mailboxes at a node, watch them, read what is pushed, let go of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from tace.background import background
from tace.client.backoff import SLOWEST_SECONDS
from tace.client.batch import Batch
from tace.client.connection import Connection
from tace.client.nodes import Nodes
from tace.client.own import OwnIdentity
from tace.client.reading import Reading
from tace.errors import Malformed, Refusal, TaceError, Unauthorized
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import LEASE_SECONDS, MAX_REMOVED, Lease, Removal
from tace.ids import KIND_CONTACTS, KIND_REQUESTS
from tace.wire.client import Ack, Defer, OpenLease, StartWatch
from tace.wire.fields import LeaseField, TombstoneField
from tace.wire.objects import Envelope

WINDOW = 64
BATCH = 32
"""How many envelopes are saved in one transaction."""
MAX_QUEUED = 4 * WINDOW
"""A node that pushes more than this beyond what was let go of does not keep to the window."""
_SAID = b"caught up"
RENEW_SECONDS = LEASE_SECONDS * 2 / 3


class InboxEvents(Protocol):
    """Who wants to know what comes in. Called from the reactor."""

    def received(self, batch: Batch) -> None:
        """A batch was saved; its acks are on their way."""

    def caught_up(self, complete: bool) -> None:
        """Everything that waited when the watch began has been read."""

    def inbox_lost(self, reason: TaceError) -> None:
        """The connection is gone. Called once for each :meth:`Inbox.open` that succeeded."""


class Inbox:
    """Both mailboxes of this device, at one node at a time."""

    def __init__(
        self,
        own: OwnIdentity,
        nodes: Nodes,
        reading: Reading,
        clock: IReactorTime,
        events: InboxEvents,
    ) -> None:
        self._own = own
        self._nodes = nodes
        self._reading = reading
        self._clock = clock
        self._events = events
        self._watch: _Watch | None = None

    async def open(self) -> Connection:
        """Connect, and watch.

        :raises NoNode: none could be reached.
        :raises TaceError: the node did not let us.
        """
        connection = await self._nodes.connect()
        watch = _Watch(connection, self._own, self._reading, self._clock, self._events)
        try:
            await watch.start()
        except TaceError:
            self._nodes.failed(connection.address)
            watch.close()
            raise
        self._watch = watch
        return connection

    async def idle(self) -> None:
        """Wait until everything that was pushed is read and let go of."""
        if self._watch is not None:
            await self._watch.idle()

    @property
    def left(self) -> bool:
        """Did the last watch leave something in the mailbox, for want of room? The next one is
        pushed it again."""
        return self._watch is not None and self._watch.left

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None


class _Watch:
    """One inbox connection: from its leases to its end."""

    def __init__(
        self,
        connection: Connection,
        own: OwnIdentity,
        reading: Reading,
        clock: IReactorTime,
        events: InboxEvents,
    ) -> None:
        self._connection = connection
        self._keys: dict[bytes, tuple[SigningKey, int]] = {
            own.keys.contacts_mailbox: (own.keys.contacts, KIND_CONTACTS),
            own.keys.requests_mailbox: (own.keys.requests, KIND_REQUESTS),
        }
        self._reading = reading
        self._clock = clock
        self._events = events
        self._queue: deque[Envelope] = deque()
        self._behind = set(self._keys)
        self._complete = True
        self._reading_now = False
        self._renewal: IDelayedCall | None = None
        self._idle: list[Deferred[None]] = []
        self._started = False
        self.left = False

    async def start(self) -> None:
        connection = self._connection
        connection.events = self
        origin = connection.address.origin
        if origin not in connection.challenge.names:
            raise Unauthorized(
                f"the node does not go by the name {origin}, but by "
                + ", ".join(connection.challenge.names)
            )
        await self._lease()
        await connection.request(StartWatch(tuple(self._keys), WINDOW))
        self._started = True
        self._tell_caught_up()

    async def idle(self) -> None:
        if self._queue or self._reading_now:
            waiting: Deferred[None] = Deferred()
            self._idle.append(waiting)
            await waiting

    def close(self) -> None:
        """End it without telling anybody."""
        self._started = False
        self._connection.close()

    # -- ConnectionEvents ------------------------------------------------------------------------

    def pushed(self, envelope: bytes) -> None:
        try:
            parsed = Envelope.parse(envelope)
        except Malformed:
            # A node that pushes what is no envelope is broken: another one is better.
            self._connection.close()
            return
        if parsed.mailbox not in self._keys or len(self._queue) >= MAX_QUEUED:
            self._connection.close()
            return
        self._queue.append(parsed)
        if not self._reading_now:
            self._reading_now = True
            # What arrives in one turn of the reactor is saved together.
            self._clock.callLater(0, lambda: background("inbox", self._read_all()))

    def caught_up(self, mailbox: bytes, complete: bool) -> None:
        self._behind.discard(mailbox)
        self._complete = self._complete and complete
        self._tell_caught_up()

    def connection_lost(self, reason: TaceError) -> None:
        if self._renewal is not None and self._renewal.active():
            self._renewal.cancel()
        self._queue.clear()
        self._become_idle()
        if self._started:
            self._started = False
            self._events.inbox_lost(reason)

    # -- inside ----------------------------------------------------------------------------------

    async def _lease(self) -> None:
        connection = self._connection
        challenge = connection.challenge
        for key, kind in self._keys.values():
            lease = Lease.sign(
                key,
                kind,
                network_id=challenge.network_id,
                node=challenge.node_id,
                origin=connection.address.origin,
                challenge=challenge.challenge,
                expires_seconds=int(connection.node_seconds) + LEASE_SECONDS,
            )
            await connection.request(
                OpenLease(
                    LeaseField(
                        lease.mailbox_key,
                        lease.kind,
                        lease.origin,
                        lease.challenge,
                        lease.expires_seconds,
                        lease.signature,
                    )
                )
            )
        if not connection.lost:
            self._renewal = self._clock.callLater(
                RENEW_SECONDS, lambda: background("lease renewal", self._renew())
            )

    async def _renew(self) -> None:
        if self.left:
            # There may be room by now, and only another watch is pushed it again.
            self._connection.close()
            return
        try:
            await self._lease()
        except TaceError:
            # Without a lease nothing comes: look for another node.
            self._connection.close()

    async def _read_all(self) -> None:
        try:
            while self._queue:
                count = min(BATCH, len(self._queue))
                envelopes = [self._queue.popleft() for _ in range(count)]
                network_id = self._connection.challenge.network_id
                batch = self._reading.read(envelopes, network_id, self._clock.seconds())
                self._events.received(batch)
                await self._let_go(batch)
        except TaceError:
            # Not let go of: the next watch pushes it again, and it is known then.
            self._connection.close()
        except BaseException:
            self._connection.close()
            raise
        finally:
            self._reading_now = False
            self._become_idle()
        self._tell_caught_up()

    async def _let_go(self, batch: Batch) -> None:
        removals = [
            removal.encoded
            for mailbox, (key, kind) in self._keys.items()
            for removal in _removals(key, kind, [j for j in batch.junk if j.mailbox == mailbox])
        ]
        if batch.deferred:
            self.left = True
            self._connection.tell(Defer(tuple(envelope.id for envelope in batch.deferred)))
        tombstones = tuple(TombstoneField(t.mailbox, t.encoded) for t in batch.tombstones)
        if tombstones or removals:
            await self._ack(Ack(tombstones, tuple(removals)))

    async def _ack(self, ack: Ack) -> None:
        while True:
            try:
                await self._connection.request(ack)
                return
            except Refusal as error:
                if not error.retry_after_ms:
                    raise
                # It is busy and says until when; it pushes no more than the window meanwhile.
                await deferLater(self._clock, min(SLOWEST_SECONDS, error.retry_after_ms / 1000))

    def _tell_caught_up(self) -> None:
        if not self._behind and self._started and not self._queue and not self._reading_now:
            # A watch catches up once.
            self._behind = {_SAID}
            self._events.caught_up(self._complete)

    def _become_idle(self) -> None:
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)


def _removals(key: SigningKey, kind: int, junk: Sequence[Envelope]) -> list[Removal]:
    """One signature for up to 64; a batch is smaller, so at most one for each mailbox."""
    items = [(envelope.id, envelope.expires_hours) for envelope in junk]
    return [
        Removal.sign(key, kind, items[at : at + MAX_REMOVED])
        for at in range(0, len(items), MAX_REMOVED)
    ]
