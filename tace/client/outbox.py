"""The outbox: offers what is in it to nodes until the recipient has confirmed it.

Everything in it is on this disk before anything leaves. It is let go of when the recipient's
encrypted receipt comes; a node's proof that the recipient opened it makes it delivered, but the
content stays until the receipt or its expiry, in case it could not be read.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.client.addressing import Addressing, latest_expiry
from tace.client.connection import Connection
from tace.client.directory import Directory
from tace.client.errors import NeverOnline, NoNode, TooMuchWork
from tace.client.nodes import Nodes
from tace.client.progress import offered, progress
from tace.client.publish import Publisher
from tace.client.rows import MessageState, Outgoing, Parcel, ParcelState
from tace.client.sqlite import HomeDatabase
from tace.client.stamping import MAX_TARGET, Stamper
from tace.e2ee.session import NoSession
from tace.errors import Failure, ProtocolError, Refusal, TaceError
from tace.ids import KIND_REQUESTS, NodeId
from tace.wire.client import Send, SendResult
from tace.wire.fields import MAX_ENVELOPES
from tace.wire.objects import SECONDS_PER_HOUR, Envelope

NODES_TRIED = 3
"""How many nodes may break under one flush before it is left for later."""
STAMPING_SECONDS = 0.5
"""A batch leaves when its stamps have taken this long, so that the first do not wait for all."""
LOOKED_UP_FOR_SECONDS = 60.0
"""How long a recipient's records are taken as they are while the program runs."""
UNCONFIRMED_SECONDS = 30.0
RECHECK_SECONDS = 120.0
"""Somebody who has not confirmed a message for 30 s is looked up again, at most so often: their
identity may have been restored on another device."""
ADDRESSED_TOGETHER = 16
"""How many contents are encrypted in one transaction."""
IDLE_SECONDS = 60.0
"""A connection that sent nothing for so long is closed: who only receives needs just one."""
MAX_WANTED = 1024
MAX_REMOVED_SAID = 1024
"""How much of what nodes said is remembered."""


class Outbox:
    """The one way of this process to send. One flush at a time."""

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
        changed: Callable[[bytes, bytes], None],
    ) -> None:
        """:param changed: told (person, message id) when a message's state may have changed."""
        self._database = database
        self._nodes = nodes
        self._directory = directory
        self._addressing = addressing
        self._publisher = publisher
        self._stamper = stamper
        self._clock = clock
        self._random = random_source
        self._changed = changed
        self._turn = DeferredLock()
        self._dialling = DeferredLock()
        self._wanted_bits: dict[tuple[NodeId, bytes], int] = {}
        self._removed_said: set[tuple[NodeId, int]] = set()
        self._connection: Connection | None = None
        self._avoided: NodeId | None = None
        self._used_at = 0.0
        self._idle_timer: IDelayedCall | None = None

    # -- what callers use ------------------------------------------------------------------------

    async def connected(self) -> Connection:
        """The outbox connection, opened when there is none, closed when it is not used.

        :raises NoNode: none could be reached.
        """
        return await self._dialling.run(lambda: Deferred.fromCoroutine(self._connected()))

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.lost:
            self._connection = await self._nodes.connect(self._avoided)
        self._used_at = self._clock.seconds()
        if self._idle_timer is None:
            self._idle_timer = self._clock.callLater(IDLE_SECONDS, self._close_if_idle)
        return self._connection

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        left = self._used_at + IDLE_SECONDS - self._clock.seconds()
        if left > 0:
            self._idle_timer = self._clock.callLater(left, self._close_if_idle)
        elif self._connection is not None:
            self._connection.close()
            self._connection = None

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
        await self._with_node(lambda c: self._look_up(c, identity, max_age_seconds))

    async def check_own_records(self) -> None:
        """Make sure that this home is still its identity's device.

        :raises ReplacedIdentity: it is not.
        :raises NoNode: no node could be asked.
        """

        async def check(connection: Connection) -> None:
            await self._publisher.check(connection)
            await self._nodes.learn(connection)

        await self._with_node(check)

    async def offer(self, envelopes: Sequence[Envelope]) -> list[SendResult]:
        """Hand envelopes to a node without keeping them: receipts.

        :raises NoNode: no node took them.
        """
        results: list[SendResult] = []

        async def offered(connection: Connection) -> None:
            while len(results) < len(envelopes):
                batch = envelopes[len(results) : len(results) + MAX_ENVELOPES]
                stamped = [await self._stamped(connection, envelope) for envelope in batch]
                results.extend(await self._send(connection, stamped))

        await self._with_node(offered)
        return results

    def avoid(self, node: NodeId) -> None:
        """That node holds our leases: it should not see whom we write to, if there is another."""
        self._avoided = node
        connection = self._connection
        same = connection is not None and connection.challenge.node_id == node
        if connection is not None and same and self._nodes.others(node):
            connection.close()
            self._connection = None

    def close(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- one flush -------------------------------------------------------------------------------

    async def _flush(self) -> None:
        self._drop_expired()
        if self._wanted():
            await self._with_node(self._flush_at)

    def _wanted(self) -> bool:
        """Is there anything to do at a node?"""
        now = self._clock.seconds()
        return (
            bool(self._database.due_parcels(now, 1))
            or bool(self._database.unaddressed())
            or any(self._outdated(peer, now) for peer in self._unconfirmed(now))
            or self._publisher.due(now)
        )

    def _unconfirmed(self, now: float) -> list[bytes]:
        return self._database.waiting_peers(int((now - UNCONFIRMED_SECONDS) * 1000))

    def _outdated(self, identity: bytes, now: float) -> bool:
        peer = self._database.peer(identity)
        return peer is None or not 0 <= now - peer.looked_up_seconds < RECHECK_SECONDS

    async def _flush_at(self, connection: Connection) -> None:
        now = self._clock.seconds()
        asked = connection
        published = not self._publisher.due(now) or await self._publish(connection, now)
        for identity in self._unconfirmed(now):
            await self._try_look_up(connection, identity, RECHECK_SECONDS)
        await self._address_all(connection)
        connection = await self._offer_all(connection)
        await self._nodes.learn(connection)
        if not published and self._nodes.others(asked.challenge.node_id):
            # What is to be sent was sent all the same, and the next flush asks another one.
            self._leave(asked)

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
                await self._try_look_up(connection, peer, LOOKED_UP_FOR_SECONDS)
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
        latest_hours = _latest_hours(connection)
        try:
            return self._addressing.address(
                outgoing, network_id, latest_hours, self._clock.seconds()
            )
        except NoSession:
            return False

    async def _address_after_look_up(self, connection: Connection, outgoing: Outgoing) -> None:
        peer = self._database.peer(outgoing.peer)
        age = None if peer is None else self._clock.seconds() - peer.looked_up_seconds
        if age is None or not 0 <= age < LOOKED_UP_FOR_SECONDS:
            await self._try_look_up(connection, outgoing.peer, 0.0)
            if self._address(connection, outgoing):
                return
        if outgoing.device is not None:
            # A session was wanted with a device that nobody knows: a forged claim, or gone.
            self._database.remove_outgoing(outgoing.seq)

    async def _look_up(
        self, connection: Connection, identity: bytes, max_age_seconds: float
    ) -> None:
        now = self._clock.seconds()
        peer = self._database.peer(identity)
        known = self._directory.devices(identity, now)
        age = now - peer.looked_up_seconds if peer is not None else None
        if age is not None and 0 <= age < max_age_seconds:
            if known:
                return
            raise NeverOnline("has never been online")
        await self._directory.look_up(connection, identity, now)
        current = {each.device for each in self._directory.devices(identity, now)}
        for outgoing in self._database.outgoing_of(identity):
            if outgoing.addressed and outgoing.device is None:
                reached = {each.device for each in self._database.parcels_of(outgoing.seq)}
                if current - reached:
                    # They have a device that it was not encrypted for.
                    self._database.set_addressed(outgoing.seq, False)

    async def _try_look_up(
        self, connection: Connection, identity: bytes, max_age_seconds: float
    ) -> None:
        try:
            await self._look_up(connection, identity, max_age_seconds)
        except (NeverOnline, Refusal):
            # What is known will do, and where nothing is known it stays in the outbox.
            return

    async def _offer_all(self, connection: Connection) -> Connection:
        """Offer what is due; the connection that is in use afterwards."""
        while due := self._database.due_parcels(self._clock.seconds(), MAX_ENVELOPES):
            started = self._clock.seconds()
            batch = await self._ready(connection, due)
            if not batch:
                continue
            results = await self._send(connection, [envelope for _, envelope in batch])
            stored = self._apply(connection, batch, results)
            if not stored and self._nodes.others(connection.challenge.node_id):
                # The next attempt, a quarter of a second from now, goes to another node.
                pause = max(result.retry_after_ms for result in results) / 1000
                self._leave(connection, pause)
                connection = await self.connected()
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
            stamped = await self._stamped(connection, envelope)
            if stamped is not envelope:
                self._database.set_parcel_envelope(parcel.seq, stamped)
            batch.append((parcel, stamped))
            if self._clock.seconds() - started >= STAMPING_SECONDS:
                break
        return batch

    # -- results ---------------------------------------------------------------------------------

    def _apply(
        self,
        connection: Connection,
        batch: Sequence[tuple[Parcel, Envelope]],
        results: Sequence[SendResult],
    ) -> bool:
        """Note what became of them; False when one was not stored."""
        now = self._clock.seconds()
        node = connection.challenge.node_id
        elsewhere = self._nodes.others(node)
        messages: dict[tuple[bytes, bytes], None] = {}
        stored = True
        with self._database.transaction():
            for (sent, envelope), result in zip(batch, results, strict=True):
                parcel = self._database.parcel(sent.seq)
                outgoing = self._database.outgoing(sent.outgoing)
                if parcel is None or outgoing is None:
                    # Confirmed, or encrypted anew, while it was on its way.
                    continue
                if outgoing.message is not None:
                    messages[outgoing.peer, outgoing.message] = None
                if result.state == "stamp-required" and self._wants(node, envelope, result):
                    # Stamped anew with what the mailbox wants, it goes out again at once.
                    continue
                if self._must_be_sealed_anew(connection, outgoing, envelope, result):
                    self._database.set_addressed(outgoing.seq, False)
                after = offered(parcel, envelope, result, now, self._random, elsewhere=elsewhere)
                self._database.set_parcel(after)
                stored = stored and after.state is not ParcelState.WAITING
            for peer, message in messages:
                contents = self._database.parcels_of_message(peer, message)
                if contents:
                    self._database.set_message_state(peer, message, *progress(contents.values()))
        for peer, message in messages:
            self._changed(peer, message)
        return stored

    def _must_be_sealed_anew(
        self, connection: Connection, outgoing: Outgoing, envelope: Envelope, result: SendResult
    ) -> bool:
        match result.state:
            case "removed":
                # Their device could not unseal it: it has other keys than we thought. Nothing
                # proves that, so it is taken from each node once for each content.
                said = (connection.challenge.node_id, outgoing.seq)
                if said in self._removed_said:
                    return False
                if len(self._removed_said) >= MAX_REMOVED_SAID:
                    self._removed_said.clear()
                self._removed_said.add(said)
                return True
            case "too-far-ahead":
                return envelope.expires_hours > _latest_hours(connection)
            case _:
                return False

    def _drop_expired(self) -> None:
        hours = int(self._clock.seconds()) // SECONDS_PER_HOUR
        for outgoing in self._database.overdue_outgoing(hours):
            self._fail(outgoing)
            if outgoing.message is not None:
                self._changed(outgoing.peer, outgoing.message)

    def _fail(self, outgoing: Outgoing) -> None:
        """Give it up. What a node proved to be opened stays delivered."""
        with self._database.transaction():
            self._database.remove_outgoing(outgoing.seq)
            if outgoing.message is not None:
                for part in self._database.parcels_of_message(outgoing.peer, outgoing.message):
                    self._database.remove_outgoing(part)
                self._database.set_message_state(
                    outgoing.peer, outgoing.message, MessageState.FAILED
                )

    # -- nodes and stamps ------------------------------------------------------------------------

    async def _with_node(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do it at a node; at another one when that breaks or refuses."""
        last: TaceError | None = None
        for _ in range(NODES_TRIED):
            connection = await self.connected()
            try:
                await work(connection)
                return
            except (Failure, Refusal, TooMuchWork) as error:
                last = error
                self._leave(connection)
        raise NoNode(f"no node could do it ({last})")

    def _leave(self, connection: Connection, pause_seconds: float = 0.0) -> None:
        self._nodes.failed(connection.address, pause_seconds)
        connection.close()
        if self._connection is connection:
            self._connection = None

    async def _send(
        self, connection: Connection, envelopes: Sequence[Envelope]
    ) -> tuple[SendResult, ...]:
        answer = await connection.request(Send(tuple(e.encoded for e in envelopes)))
        self._used_at = self._clock.seconds()
        if len(answer.results) != len(envelopes):
            raise ProtocolError("the node answered for another number of messages")
        return answer.results

    async def _stamped(self, connection: Connection, envelope: Envelope) -> Envelope:
        """The envelope with the stamp that its mailbox asks for; itself where that is fine.

        :raises TooMuchWork: the node wants more than any message is worth.
        """
        challenge = connection.challenge
        wanted = self._wanted_bits.get((challenge.node_id, envelope.mailbox), 0)
        target = max(challenge.requests_stamp_bits, wanted)
        if envelope.kind != KIND_REQUESTS or envelope.stamped_for(target):
            return envelope
        if target > MAX_TARGET:
            raise TooMuchWork(f"{connection.address} wants stamps of {target} bits")
        return await self._stamper.stamp(envelope, target)

    def _wants(self, node: NodeId, envelope: Envelope, result: SendResult) -> bool:
        """Remember how much work a mailbox wants at that node; False where it was done already,
        or is too much."""
        bits = result.detail.rpartition(" ")[2]
        if not bits.isdecimal() or not envelope.stamp_target < int(bits) <= MAX_TARGET:
            return False
        if len(self._wanted_bits) >= MAX_WANTED:
            self._wanted_bits.clear()
        self._wanted_bits[node, envelope.mailbox] = int(bits)
        return True


def _latest_hours(connection: Connection) -> int:
    return latest_expiry(connection.node_seconds, connection.challenge.max_lifetime_hours)
