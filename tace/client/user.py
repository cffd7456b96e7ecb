"""One person's program: sends, receives, and keeps trying. The face of the package."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.background import Periodic, background
from tace.client.address import NodeAddress
from tace.client.addressing import Addressing
from tace.client.backoff import FIRST_SECONDS, retry_after
from tace.client.directory import Directory, device_list
from tace.client.errors import NeverOnline, NoNode, ReplacedIdentity, UnknownRecipient
from tace.client.home import Home
from tace.client.inbox import Inbox
from tace.client.nodes import Dial, Nodes
from tace.client.outbox import LOOKED_UP_FOR_SECONDS, Outbox
from tace.client.publish import Publisher
from tace.client.reading import KEPT_SECONDS, Batch, Reading
from tace.client.receipts import Receipts
from tace.client.rows import HistoryMessage, MessageState
from tace.client.showing import Showing
from tace.client.stamping import InThread, Stamper
from tace.client.vault import RandomBytes
from tace.errors import Failure, Refusal, TaceError
from tace.wire.objects import SECONDS_PER_HOUR, TOMBSTONE_GRACE_HOURS

INBOX_ATTEMPTS = 4
"""How many nodes may break under one collection."""
LOOK_EVERY_SECONDS = 5.0
"""Another program on this home may have put something into the outbox, or have received what it
does not show."""
TIDY_EVERY_SECONDS = 3600.0


class UserEvents(Protocol):
    """What a program may want to tell its user. Called from the reactor."""

    def show(self, message: HistoryMessage) -> None:
        """A received message, in its place; when this returns it counts as shown."""

    def changed(self, message: HistoryMessage) -> None:
        """The state of a message of ours may have changed."""

    def unreadable(self, identity: bytes) -> None:
        """Something that claims to be from that person cannot be read; it is asked for again."""

    def unlisted(self, identity: bytes) -> None:
        """Something came from a device of that person which is not on their device list: an old
        one that they replaced, or one that somebody took from them."""

    def connected(self, address: NodeAddress) -> None:
        """Messages are pushed from that node now."""

    def disconnected(self, reason: str) -> None:
        """No node pushes messages; it is tried again."""


class NoUserEvents:
    """For programs that only send."""

    def show(self, message: HistoryMessage) -> None:
        """Nothing is received."""

    def changed(self, message: HistoryMessage) -> None:
        """The sender asks for the state."""

    def unreadable(self, identity: bytes) -> None:
        """Nothing is received."""

    def unlisted(self, identity: bytes) -> None:
        """Nothing is received."""

    def connected(self, address: NodeAddress) -> None:
        """Nothing is received."""

    def disconnected(self, reason: str) -> None:
        """Nothing is received."""


class User:
    """A person with a home, some nodes, and messages.

    :param dial: opens connections (:class:`~tace.client.websocket.WebSocketDialer`).
    :param clock: unix time and timers.
    :param random_source: jitter and the order of nodes. ``random_bytes``: keys.
    :param in_thread: where stamps are made.
    :param given: nodes that the user named; the home remembers others.
    :param events: told what happens.
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
    ) -> None:
        database = home.database
        self.home = home
        self._database = database
        self._clock = clock
        self._random = random_source
        self._events: UserEvents = events if events is not None else NoUserEvents()
        nodes = Nodes(dial, clock, random_source, database, given)
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
            self._tell_changed,
        )
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
        self._flushing = Periodic("outbox", clock, self._until_due, self._flush_quietly)
        self._looking = Periodic("showing", clock, lambda: LOOK_EVERY_SECONDS, self._look)
        self._tidying = Periodic("tidying", clock, lambda: TIDY_EVERY_SECONDS, self._tidy_up)
        self._following: Deferred[None] | None = None
        self._failures = 0
        self._unverified: dict[tuple[bytes, bytes], None] = {}
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
        :raises TooLarge: more than 64 KiB.
        """
        self._not_oneself(identity)
        # Without a node it is encrypted with what is known, or waits for the first that answers.
        with suppress(NoNode):
            await self._outbox.look_up(identity, looked_up_within_seconds)
        message = self._addressing.write(identity, text, self._clock.seconds())
        with suppress(NoNode):
            await self._outbox.flush()
            message = self._message(message)
            if message.state in (MessageState.QUEUED, MessageState.PARTIAL):
                await deferLater(self._clock, FIRST_SECONDS)
                await self._outbox.flush()
        return self._message(message)

    def write(self, identity: bytes, text: str) -> HistoryMessage:
        """Put a text into the outbox of a program that follows; ``changed`` tells how it goes.

        :raises UnknownRecipient: the recipient is this identity itself.
        :raises TooLarge: more than 64 KiB.
        """
        self._not_oneself(identity)
        message = self._addressing.write(identity, text, self._clock.seconds())
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
        try:
            complete = await self._collect()
        finally:
            showing.caught_up()
            await showing.finished()
        try:
            await self._verify_devices()
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
                self._outbox.avoid(connection.challenge.node_id)
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

    def follow(self, peer: bytes | None = None) -> Deferred[None]:
        """Receive, show, confirm and send until :meth:`close`.

        :raises ReplacedIdentity: the identity was restored elsewhere.
        """
        self._start_showing(peer)
        self._following = Deferred()
        following = self._following
        background("inbox", self._follow_to_the_end())
        self._flushing.start(delay=0)
        self._looking.start()
        self._tidying.start()
        return following

    async def close(self) -> None:
        """Send the receipts that are owed, then let go of every connection. The home stays open."""
        following, self._following = self._following, None
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
        self._outbox.close()
        if self._showing is not None:
            self._showing.interrupted()
            self._showing.stop()
        if following is not None:
            following.callback(None)

    async def _follow_to_the_end(self) -> None:
        try:
            await self._follow()
        except Exception as error:
            # Who follows learns that nothing comes any more; the log gets all of it.
            self._end_following(error)
            raise

    async def _follow(self) -> None:
        failures = 0
        while self._follows():
            self._lost = Deferred()
            try:
                connection = await self._inbox.open()
                failures = 0
                self._outbox.avoid(connection.challenge.node_id)
                self._events.connected(connection.address)
                background("outbox", self._tend_outbox_quietly())
                reason = await self._lost
            except TaceError as error:
                reason = error
            if not self._follows():
                return
            failures += 1
            self._events.disconnected(str(reason))
            if self._showing is not None:
                self._showing.interrupted()
            if failures > 1:
                await deferLater(self._clock, retry_after(failures - 1, self._random))
            if self._showing is not None:
                self._showing.catching_up()

    # -- InboxEvents -----------------------------------------------------------------------------

    def received(self, batch: Batch) -> None:
        if self._showing is not None:
            self._showing.arrived(batch.messages, batch.placed)
            if batch.seen_before:
                self._showing.look()
        for peer, message in batch.delivered:
            self._tell_changed(peer, message)
        for identity in dict.fromkeys(batch.unreadable):
            self._events.unreadable(identity)
        self._unverified.update(dict.fromkeys(batch.new_devices))
        if self._follows():
            if batch.new_devices:
                background("devices", self._verify_quietly())
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
        if lost is not None:
            lost.callback(reason)

    # -- inside ----------------------------------------------------------------------------------

    async def _verify_devices(self) -> None:
        """Look up whether new devices of known people are on their lists."""
        while self._unverified:
            identity, device = next(iter(self._unverified))
            with suppress(NeverOnline):
                await self._outbox.look_up(identity, LOOKED_UP_FOR_SECONDS)
            self._unverified.pop((identity, device), None)
            peer = self._database.peer(identity)
            if peer is None or peer.device_list is None:
                continue
            if device not in device_list(peer.device_list):
                self._events.unlisted(identity)

    async def _verify_quietly(self) -> None:
        # Without a node they are looked up with the next ones.
        with suppress(NoNode):
            await self._verify_devices()

    def _follows(self) -> bool:
        return self._following is not None

    def _start_showing(self, peer: bytes | None) -> Showing:
        self._showing = Showing(
            self._database, self.home.showing_lock, self._clock, self._events.show, peer
        )
        self._showing.look()
        return self._showing

    async def _look(self) -> None:
        if self._showing is not None:
            self._showing.look()

    async def _flush_quietly(self) -> None:
        try:
            await self._outbox.flush()
        except NoNode:
            self._failures += 1
        except ReplacedIdentity as error:
            self._end_following(error)
        else:
            self._failures = 0

    async def _tend_outbox_quietly(self) -> None:
        try:
            await self._tend_outbox()
        except ReplacedIdentity as error:
            self._end_following(error)

    def _end_following(self, error: Exception) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.errback(error)

    def _until_due(self) -> float:
        if self._failures:
            return retry_after(self._failures, self._random)
        due = self._database.next_due_seconds()
        if due is None:
            return LOOK_EVERY_SECONDS
        return min(LOOK_EVERY_SECONDS, max(0.0, due - self._clock.seconds()))

    def _tell_changed(self, peer: bytes, message_id: bytes) -> None:
        message = self._database.message(peer, message_id, outgoing=True)
        if message is not None:
            self._events.changed(message)

    def _message(self, message: HistoryMessage) -> HistoryMessage:
        found = self._database.message(message.peer, message.id, outgoing=True)
        return found if found is not None else message

    def _not_oneself(self, identity: bytes) -> None:
        if identity == self.home.own.public:
            raise UnknownRecipient("that is this home's own identity")

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
