"""One person's program: sends, receives, and keeps trying. The face of the package."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure as TwistedFailure

from tace.background import Periodic, background
from tace.client.address import NodeAddress
from tace.client.addressing import Addressing
from tace.client.backoff import FIRST_SECONDS, Repeats
from tace.client.batch import Batch
from tace.client.connection import Connection
from tace.client.directory import Directory
from tace.client.errors import BlockedPerson, NoNode, ReplacedIdentity, UnknownRecipient
from tace.client.events import NoUserEvents, UserEvents
from tace.client.files import Files, Progress
from tace.client.flushing import LOOK_EVERY_SECONDS, Flushing
from tace.client.following import Following
from tace.client.home import Home
from tace.client.inbox import Inbox
from tace.client.lookups import LOOKED_UP_FOR_SECONDS
from tace.client.new_devices import NewDevices
from tace.client.nodes import Dial, Nodes
from tace.client.outbox import Outbox
from tace.client.publish import Publisher
from tace.client.reading import KEPT_SECONDS, Reading
from tace.client.receipts import Receipts
from tace.client.rows import HistoryMessage, MessageState, Standing
from tace.client.showing import Showing
from tace.client.stamping import InThread, Stamper
from tace.client.vault import RandomBytes
from tace.e2ee.content import File, Text
from tace.errors import Failure, Refusal, TaceError
from tace.wire.objects import SECONDS_PER_HOUR, TOMBSTONE_GRACE_HOURS

INBOX_ATTEMPTS = 4
"""How many nodes may break under one collection."""
TIDY_EVERY_SECONDS = 3600.0


class User:
    """A person with a home, some nodes, and messages.

    :param dial: opens connections (:class:`~tace.client.websocket.WebSocketDialer`).
    :param clock: unix time and timers.
    :param random_source: jitter and the order of nodes. ``random_bytes``: keys.
    :param in_thread: where stamps are made.
    :param given: nodes that the user named; the home remembers others.
    :param events: told what happens.
    :param repeats: when what is stored and unconfirmed is offered again.
    """

    def __init__(
        self,
        home: Home,
        dial: Dial,
        clock: IReactorTime,
        *,
        random_source: random.Random,
        random_bytes: RandomBytes,
        in_thread: InThread,
        given: Sequence[NodeAddress] = (),
        events: UserEvents | None = None,
        repeats: Repeats | None = None,
    ) -> None:
        database = home.database
        repeats = repeats if repeats is not None else Repeats()
        self.home = home
        self._database = database
        self._clock = clock
        self._random = random_source
        self._events: UserEvents = events if events is not None else NoUserEvents()
        nodes = Nodes(
            dial,
            clock,
            random_source,
            database,
            given,
            absent_seconds=repeats.absent_seconds,
            returned=database.make_stored_due,
        )
        directory = Directory(database)
        publisher = Publisher(database, home.own, random_bytes)
        self._addressing = Addressing(database, home.own, directory, random_bytes)
        self._stamper = Stamper(in_thread)
        self._outbox = Outbox(
            database,
            nodes,
            directory,
            self._addressing,
            publisher,
            self._stamper,
            clock,
            random_source,
            repeats,
            self._tell_changed,
        )
        self._files = Files(self._outbox, self._stamper, clock, random_bytes)
        self._receipts = Receipts(
            database,
            directory,
            self._addressing,
            self._outbox,
            clock,
            random_source,
            random_bytes,
        )
        self._reading = Reading(database, home.own, publisher, self._addressing, random_bytes)
        self._inbox = Inbox(home.own, nodes, self._reading, clock, self)
        self._showing: Showing | None = None
        self._caught_up: Deferred[bool | TaceError] | None = None
        self._lost: Deferred[TaceError] | None = None
        self._flushing = Flushing(self._outbox, database, clock, random_source, self._end_following)
        self._looking = Periodic("showing", clock, lambda: LOOK_EVERY_SECONDS, self._look)
        self._tidying = Periodic("tidying", clock, lambda: TIDY_EVERY_SECONDS, self._tidy_up)
        self._following: Deferred[None] | None = None
        self._receiving: Following | None = None
        self._new_devices = NewDevices(database, self._outbox, self._events)
        self._shown = 0
        self._awaited: tuple[bytes, bytes, Deferred[None]] | None = None
        self._tidy()
        # Whatever waits is tried again by every program that starts.
        database.make_waiting_due()

    # -- sending ---------------------------------------------------------------------------------

    async def send(
        self, identity: bytes, text: str, *, looked_up_within_seconds: float = 0.0
    ) -> HistoryMessage:
        """Send a text; it comes back as far as it got within some seconds.

        What was not stored stays in the outbox, and every later program tries again.

        :param looked_up_within_seconds: how old what is known of the recipient's devices may be.
        :raises NeverOnline: the recipient has published no record; nothing is kept.
        :raises UnknownRecipient: the recipient is this identity itself.
        :raises BlockedPerson: they were blocked here.
        :raises OutboxFull: too much waits for its recipients already.
        :raises TooLarge: more than 64 KiB.
        """
        self._may_write(identity)
        # Without a node it is encrypted with what is known, or waits for the first that answers.
        with suppress(NoNode):
            await self._outbox.look_up(identity, looked_up_within_seconds)
        message = self._addressing.write(identity, Text(text), self._clock.seconds())
        return await self._offer(message)

    async def send_file(
        self,
        identity: bytes,
        source: BinaryIO,
        size: int,
        name: str,
        media_type: str,
        progress: Progress,
    ) -> HistoryMessage:
        """Put a file at the nodes, then send the message that names it, as :meth:`send`.

        :raises NoNode: no node took all of it; nothing is sent.
        :raises TooLarge: more than 62 MiB.
        :raises NeverOnline: as :meth:`send`; likewise the others.
        """
        self._may_write(identity)
        await self._outbox.look_up(identity, LOOKED_UP_FOR_SECONDS)
        file = await self._files.put(source, size, name, media_type, progress)
        return await self._offer(self._addressing.write(identity, file, self._clock.seconds()))

    async def fetch_file(self, file: File, target: BinaryIO, progress: Progress) -> None:
        """Write a file that somebody sent to ``target``.

        :raises FileGone: the nodes do not have it any more.
        :raises NoNode: none could be asked.
        :raises Malformed: what they have does not open.
        """
        await self._files.fetch(file, target, progress)

    async def _offer(self, message: HistoryMessage) -> HistoryMessage:
        with suppress(NoNode):
            await self._outbox.flush()
            message = self._message(message)
            if message.state in (MessageState.QUEUED, MessageState.PARTIAL):
                await deferLater(self._clock, FIRST_SECONDS)
                await self._outbox.flush()
        return self._message(message)

    async def wait_for(self, message: HistoryMessage, seconds: float) -> HistoryMessage:
        """Keep sending, and receive without showing anything, until a message of ours is
        delivered or has failed; as far as it got after ``seconds`` at most.

        :raises ReplacedIdentity: the identity was restored elsewhere.
        """
        settled: Deferred[None] = Deferred()
        self._awaited = (message.peer, message.id, settled)
        following = self.follow(show=False)
        following.addErrback(_fail_with, settled)
        self._settle(self._message(message))
        settled.addTimeout(seconds, self._clock)
        with suppress(WaitedTooLong):
            await settled
        return self._message(message)

    def write(self, identity: bytes, text: str) -> HistoryMessage:
        """Put a text into the outbox of a program that follows; ``changed`` tells how it goes.

        :raises UnknownRecipient: the recipient is this identity itself.
        :raises BlockedPerson: they were blocked here.
        :raises OutboxFull: too much waits for its recipients already.
        :raises TooLarge: more than 64 KiB.
        """
        self._may_write(identity)
        message = self._addressing.write(identity, Text(text), self._clock.seconds())
        self._flushing.soon()
        return message

    async def flush(self) -> None:
        """Publish what is due, and offer what waits in the outbox.

        :raises NoNode: no node could be reached.
        :raises ReplacedIdentity: the identity was restored elsewhere.
        """
        await self._outbox.flush()

    async def look_up(self, identity: bytes) -> None:
        """Find out where somebody can be written to.

        :raises NeverOnline: they have published no record.
        :raises NoNode: no node could be asked.
        """
        await self._outbox.look_up(identity, LOOKED_UP_FOR_SECONDS)

    # -- receiving -------------------------------------------------------------------------------

    async def collect(self, peer: bytes | None = None) -> bool:
        """Receive and show what is new; the receipts are out when it returns.

        :param peer: show only this person's messages; what others sent is kept for later.
        :returns: False when fewer replicas could be asked than a complete answer needs.
        :raises NoNode: no node could be reached.
        :raises ReplacedIdentity: the identity was restored elsewhere.
        """
        showing = self._start_showing(peer)
        complete = True
        try:
            room = True
            while room:
                shown = self._shown
                complete = await self._collect() and complete
                complete = await self._checked_devices() and complete
                showing.look()
                showing.caught_up()
                await showing.finished()
                # What was shown makes room for what was left in the mailbox.
                room = self._inbox.left and self._shown > shown
                showing.catching_up()
        finally:
            showing.caught_up()
            await showing.finished()
        if self._inbox.left:
            self._events.no_room()
        try:
            await self._receipts.send()
            await self._outbox.flush()
        except NoNode:
            # They stay owed and in the outbox.
            return False
        return complete

    async def _collect(self) -> bool:
        last: TaceError | None = None
        for _ in range(INBOX_ATTEMPTS):
            caught_up: Deferred[bool | TaceError] = Deferred()
            self._caught_up = caught_up
            self._lost = Deferred()
            self._lost.addCallback(_end_with, caught_up)
            try:
                connection = await self._inbox.open()
                self._outbox.connection.avoid(connection.challenge.node_id)
                await self._tend_outbox()
                outcome = await caught_up
                if isinstance(outcome, TaceError):
                    raise outcome
                await self._inbox.idle()
                return outcome
            except (Failure, Refusal) as error:
                last = error
        raise NoNode(f"the connection broke again and again ({last})")

    async def _tend_outbox(self) -> None:
        try:
            await self._outbox.check_own_records()
            await self._outbox.flush()
        except NoNode:
            # What is to be sent waits; what has come is read all the same.
            return

    def follow(self, peer: bytes | None = None, *, show: bool = True) -> Deferred[None]:
        """Receive, show, confirm and send until :meth:`close`.

        :param peer: show only this person's messages; what others sent is kept for later.
        :param show: show anybody's.
        :raises ReplacedIdentity: the identity was restored elsewhere.
        """
        if show:
            self._start_showing(peer)
        self._following = Deferred()
        following = self._following
        self._receiving = Following(self._inbox, self._clock, self._random, self)
        background("inbox", self._follow_to_the_end(self._receiving))
        self._flushing.start()
        self._looking.start()
        self._tidying.start()
        return following

    async def close(self) -> None:
        """Send the receipts that are owed, then let go of every connection. The home stays open."""
        following, self._following = self._following, None
        if self._receiving is not None:
            self._receiving.stop()
        await self._flushing.stop()
        await self._looking.stop()
        await self._tidying.stop()
        self._receipts.stop()
        if following is not None:
            # What does not go stays owed.
            with suppress(TaceError):
                await self._receipts.send()
        self._stamper.stop()
        self._inbox.close()
        self._outbox.connection.close()
        if self._showing is not None:
            self._showing.interrupted()
            self._showing.stop()
        if following is not None:
            following.callback(None)

    async def _follow_to_the_end(self, receiving: Following) -> None:
        try:
            await receiving.run()
        except Exception as error:
            # Who follows learns that nothing comes any more; the log gets all of it.
            self._end_following(error)
            raise

    # -- FollowingEvents -------------------------------------------------------------------------

    def inbox_opened(self, connection: Connection) -> None:
        self._outbox.connection.avoid(connection.challenge.node_id)
        self._events.connected(connection.address)
        background("outbox", self._tend_outbox_quietly())

    def inbox_ended(self, reason: TaceError) -> None:
        self._events.disconnected(str(reason))
        if self._showing is not None:
            self._showing.interrupted()

    def inbox_tried_again(self) -> None:
        if self._showing is not None:
            self._showing.catching_up()

    # -- InboxEvents -----------------------------------------------------------------------------

    def received(self, batch: Batch) -> None:
        if self._showing is not None:
            self._showing.arrived(batch.messages, batch.placed)
            if batch.seen_before:
                self._showing.look()
        for identity in dict.fromkeys(batch.requests):
            self._events.requested(identity)
        for peer, message in batch.delivered:
            self._tell_changed(peer, message)
        for identity in dict.fromkeys(batch.unreadable):
            self._events.unreadable(identity)
        if self._follows():
            if batch.new_devices:
                background("devices", self._check_devices_quietly())
            if batch.deferred:
                self._events.no_room()
            if batch.owes_receipts:
                self._receipts.soon()
            if batch.send_again:
                self._flushing.soon()

    def caught_up(self, complete: bool) -> None:
        if self._follows() and self._showing is not None:
            self._showing.caught_up()
        waiting, self._caught_up = self._caught_up, None
        if waiting is not None:
            waiting.callback(complete)

    def inbox_lost(self, reason: TaceError) -> None:
        lost, self._lost = self._lost, None
        if self._receiving is not None:
            self._receiving.lost(reason)
        elif lost is not None:
            lost.callback(reason)

    # -- inside ----------------------------------------------------------------------------------

    async def _checked_devices(self) -> bool:
        try:
            await self._new_devices.check()
        except NoNode:
            # What they sent is shown by a later program.
            return False
        return True

    async def _check_devices_quietly(self) -> None:
        if await self._checked_devices() and self._showing is not None:
            self._showing.look()

    def _follows(self) -> bool:
        return self._following is not None

    def _start_showing(self, peer: bytes | None) -> Showing:
        self._showing = Showing(
            self._database, self.home.showing_lock, self._clock, self._show, peer
        )
        self._showing.look()
        return self._showing

    def _show(self, message: HistoryMessage) -> None:
        self._events.show(message)
        self._shown += 1

    async def _look(self) -> None:
        if self._new_devices.waiting():
            await self._checked_devices()
        if self._showing is not None:
            self._showing.look()
        # Somebody may have been accepted meanwhile, in another program.
        self._receipts.resume()

    async def _tend_outbox_quietly(self) -> None:
        try:
            await self._tend_outbox()
        except ReplacedIdentity as error:
            self._end_following(error)

    def _end_following(self, error: Exception) -> None:
        following, self._following = self._following, None
        if self._receiving is not None:
            self._receiving.stop()
        if following is not None:
            following.errback(error)

    def _tell_changed(self, peer: bytes, message_id: bytes) -> None:
        message = self._database.message(peer, message_id, outgoing=True)
        if message is not None:
            self._events.changed(message)
            self._settle(message)

    def _settle(self, message: HistoryMessage) -> None:
        if self._awaited is None or self._awaited[:2] != (message.peer, message.id):
            return
        if message.state in (MessageState.DELIVERED, MessageState.FAILED):
            settled = self._awaited[2]
            if not settled.called:
                settled.callback(None)

    def _message(self, message: HistoryMessage) -> HistoryMessage:
        found = self._database.message(message.peer, message.id, outgoing=True)
        return found if found is not None else message

    def _may_write(self, identity: bytes) -> None:
        if identity == self.home.own.public:
            raise UnknownRecipient("that is this home's own identity")
        peer = self._database.peer(identity)
        if peer is not None and peer.standing is Standing.BLOCKED:
            raise BlockedPerson("they are blocked: unblock them first")
        self._addressing.check_room()

    async def _tidy_up(self) -> None:
        self._tidy()

    def _tidy(self) -> None:
        self._reading.forget_prekeys()
        now = self._clock.seconds()
        self._database.forget_old(
            opened_before_hours=int(now) // SECONDS_PER_HOUR - TOMBSTONE_GRACE_HOURS,
            kept_before_seconds=now - KEPT_SECONDS,
        )


def _end_with(reason: TaceError, waiting: Deferred[bool | TaceError]) -> None:
    if not waiting.called:
        waiting.callback(reason)


def _fail_with(failure: TwistedFailure, waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.errback(failure)
