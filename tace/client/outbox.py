"""The outbox: offers what is in it to nodes until the recipient has confirmed it.

Everything in it is on this disk before anything leaves. It is let go of when the recipient's
encrypted receipt comes; a node's proof that the recipient opened it makes it delivered, but the
content stays until the receipt or its expiry, in case it could not be read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime

from tace.client.addressing import Addressing
from tace.client.backoff import Repeats
from tace.client.connection import Connection
from tace.client.directory import Directory
from tace.client.lookups import LOOKED_UP_FOR_SECONDS, Lookups
from tace.client.nodes import Nodes
from tace.client.outbox_connection import OutboxConnection
from tace.client.publish import Publisher
from tace.client.results import Results, latest_hours
from tace.client.rows import Outgoing, Parcel, ParcelState
from tace.client.sqlite import HomeDatabase
from tace.client.stamping import Stamper, Stamps
from tace.e2ee.session import NoSession
from tace.errors import Refusal
from tace.wire.client import SendResult
from tace.wire.fields import MAX_ENVELOPES
from tace.wire.objects import Envelope

STAMPING_SECONDS = 0.5
"""A batch leaves when its stamps have taken this long, so that the first do not wait for all."""
ADDRESSED_TOGETHER = 16
"""How many contents are encrypted in one transaction."""


class Outbox:
    """The one way of this process to send. One flush at a time.

    :ivar connection: what it sends on.
    """

    def __init__(
        self,
        database: HomeDatabase,
        nodes: Nodes,
        directory: Directory,
        addressing: Addressing,
        publisher: Publisher,
        stamper: Stamper,
        clock: IReactorTime,
        random_source: random.Random,
        repeats: Repeats,
        changed: Callable[[bytes, bytes], None],
    ) -> None:
        """
        :param repeats: when what is stored and unconfirmed is offered again.
        :param changed: told (person, message id) when a message's state may have changed.
        """
        self._database = database
        self._nodes = nodes
        self._addressing = addressing
        self._publisher = publisher
        self._stamps = Stamps(stamper)
        self._clock = clock
        self._turn = DeferredLock()
        self.connection = OutboxConnection(nodes, clock)
        self._lookups = Lookups(database, directory, clock)
        self._results = Results(
            database, nodes, self._stamps, clock, random_source, repeats, changed
        )

    # -- what callers use ------------------------------------------------------------------------

    async def flush(self) -> None:
        """Publish what is due, encrypt what is not, offer everything whose time has come.

        :raises NoNode: no node could be reached, or several broke in the middle.
        :raises ReplacedIdentity: the identity was restored elsewhere.
        """
        await self._turn.run(lambda: Deferred.fromCoroutine(self._flush()))

    async def look_up(self, identity: bytes, max_age_seconds: float) -> None:
        """Make sure that somebody's records are known and not older than that.

        :raises NeverOnline: they have published none.
        :raises NoNode: no node could be asked.
        """
        await self.connection.ask(lambda c: self._lookups.look_up(c, identity, max_age_seconds))

    async def check_own_records(self) -> None:
        """Make sure that this home is still its identity's device.

        :raises ReplacedIdentity: it is not.
        :raises NoNode: no node could be asked.
        """

        async def check(connection: Connection) -> None:
            await self._publisher.check(connection)
            await self._nodes.learn(connection)

        await self.connection.ask(check)

    async def offer(self, envelopes: Sequence[Envelope]) -> list[SendResult]:
        """Hand envelopes to a node without keeping them: receipts.

        :raises NoNode: no node took them.
        """
        results: list[SendResult] = []

        async def offered(connection: Connection) -> None:
            while len(results) < len(envelopes):
                batch = envelopes[len(results) : len(results) + MAX_ENVELOPES]
                stamped = [await self._stamps.stamped(connection, envelope) for envelope in batch]
                results.extend(await self.connection.send(connection, stamped))

        await self.connection.ask(offered)
        return results

    # -- one flush -------------------------------------------------------------------------------

    async def _flush(self) -> None:
        self._results.drop_expired()
        if self._wanted():
            await self.connection.ask(self._flush_at)

    def _wanted(self) -> bool:
        """Is there anything to do at a node?"""
        now = self._clock.seconds()
        return (
            bool(self._database.due_parcels(now, 1))
            or bool(self._database.unaddressed())
            or bool(self._lookups.outdated(now))
            or self._publisher.due(now)
        )

    async def _flush_at(self, connection: Connection) -> None:
        now = self._clock.seconds()
        asked = connection
        published = not self._publisher.due(now) or await self._publish(connection, now)
        for identity in self._lookups.outdated(now):
            await self._lookups.try_look_up(connection, identity, 0.0)
        await self._address_all(connection)
        connection = await self._offer_all(connection)
        await self._nodes.learn(connection)
        self.connection.keep_apart()
        if not published and self._nodes.others(asked.challenge.node_id):
            # What is to be sent was sent all the same, and the next flush asks another one.
            self.connection.leave(asked)

    async def _publish(self, connection: Connection, now: float) -> bool:
        """False when the node will not."""
        try:
            await self._publisher.publish(connection, now)
        except Refusal:
            return False
        return True

    async def _address_all(self, connection: Connection) -> None:
        unaddressed = self._database.unaddressed()
        people = list(dict.fromkeys(outgoing.peer for outgoing in unaddressed))
        for peer in people:
            if any(each.peer == peer and each.device is None for each in unaddressed):
                await self._lookups.try_look_up(connection, peer, LOOKED_UP_FOR_SECONDS)
        for at in range(0, len(unaddressed), ADDRESSED_TOGETHER):
            some = unaddressed[at : at + ADDRESSED_TOGETHER]
            with self._database.transaction():
                left = [outgoing for outgoing in some if not self._address(connection, outgoing)]
            for outgoing in left:
                await self._address_after_look_up(connection, outgoing)
        for peer in people:
            # With all that waits for them already, so that it comes in its order.
            self._database.make_waiting_due(peer)

    def _address(self, connection: Connection, outgoing: Outgoing) -> bool:
        """Encrypt it, if what is known of the recipient is enough."""
        network_id = connection.challenge.network_id
        latest = latest_hours(connection)
        try:
            return self._addressing.address(outgoing, network_id, latest, self._clock.seconds())
        except NoSession:
            return False

    async def _address_after_look_up(self, connection: Connection, outgoing: Outgoing) -> None:
        peer = self._database.peer(outgoing.peer)
        age = None if peer is None else self._clock.seconds() - peer.looked_up_seconds
        if age is None or not 0 <= age < LOOKED_UP_FOR_SECONDS:
            await self._lookups.try_look_up(connection, outgoing.peer, 0.0)
            if self._address(connection, outgoing):
                return
        if outgoing.device is not None:
            # A session was wanted with a device that nobody knows: a forged claim, or gone.
            self._database.remove_outgoing(outgoing.seq)

    async def _offer_all(self, connection: Connection) -> Connection:
        """Offer what is due; the connection that is in use afterwards."""
        may_move = True
        while due := self._database.due_parcels(self._clock.seconds(), MAX_ENVELOPES):
            started = self._clock.seconds()
            node = connection.challenge.node_id
            if may_move and all(_was_offered_at(node, parcel) for parcel in due):
                # One node's word that it is stored may be wrong, or be of replicas that are gone.
                connection = await self.connection.elsewhere(connection)
                may_move = connection.challenge.node_id != node
                continue
            if may_move:
                due = [parcel for parcel in due if not _was_offered_at(node, parcel)]
            batch = await self._ready(connection, due)
            if not batch:
                continue
            results = await self.connection.send(connection, [envelope for _, envelope in batch])
            stored = self._results.apply(connection, batch, results)
            if not stored and self._nodes.others(connection.challenge.node_id):
                # The next attempt, a quarter of a second from now, goes to another node.
                pause = max(result.retry_after_ms for result in results) / 1000
                self.connection.leave(connection, pause)
                connection = await self.connection.connected()
            if self._clock.seconds() - started >= STAMPING_SECONDS:
                # What was written meanwhile does not wait for all the stamps that are to be made.
                await self._address_all(connection)
        return connection

    async def _ready(
        self, connection: Connection, due: Sequence[Parcel]
    ) -> list[tuple[Parcel, Envelope]]:
        """The first of what is due, with the stamps that the node wants."""
        started = self._clock.seconds()
        batch: list[tuple[Parcel, Envelope]] = []
        for parcel in due:
            envelope = Envelope.parse(parcel.envelope)
            if envelope.expires_seconds <= started:
                # Sealed for a node that keeps nothing for as long as the message lives.
                self._database.set_addressed(parcel.outgoing, False)
                continue
            if batch and parcel.stamped and not batch[0][0].stamped:
                # What needs no work does not wait for it.
                break
            stamped = await self._stamps.stamped(connection, envelope)
            if stamped is not envelope:
                self._database.set_parcel_envelope(parcel.seq, stamped)
            batch.append((parcel, stamped))
            if self._clock.seconds() - started >= STAMPING_SECONDS:
                break
        return batch


def _was_offered_at(node: bytes, parcel: Parcel) -> bool:
    """Did that node take it, the last time that it was offered?"""
    return parcel.state is ParcelState.STORED and parcel.asked == node
