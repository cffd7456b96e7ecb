"""People in a simulated world: they send, read and ack through whichever node lives.

What a client does is done here in its simplest form, against the same methods of a node that its
gateway calls: an inbox that acks what it got and goes to another node when its own is gone, and an
outbox in the two halves whose worth is measured apart. What the network has not called stored is
repeated by everybody. What it has, and nobody confirmed, a client offers again for as long as it is
there (:mod:`tace.client.backoff`); here only those do who are told to return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from tace.background import background
from tace.client.backoff import Repeats, retry_after
from tace.delivery.inbox import Inbox
from tace.identity.mailbox_proof import LEASE_SECONDS, Lease
from tace.ids import KIND_CONTACTS, MailboxId, MessageId, mailbox_id
from tace.simulation.clock import VirtualClock
from tace.simulation.history import History
from tace.simulation.ledger import Ledger, Letter
from tace.simulation.node import SimulatedNode
from tace.simulation.signatures import SeededKey
from tace.wire.fields import TombstoneField
from tace.wire.objects import (
    BLOB_BYTES,
    SECONDS_PER_HOUR,
    Envelope,
    Tombstone,
    lock_of,
)

WINDOW = 64
AWAY_SECONDS = 0.02
"""One way between a person and a node."""
AGAIN_SECONDS = 1.0
ANSWER_SECONDS = 5.0
"""A node that has not answered by then is not waited for."""
HOURS_KEPT = 48
REPEATS = Repeats()
OTHERS_TRIED = 8
"""How often another node is drawn, where it is the one that took the message last."""


class Scene(Protocol):
    """The world, as people see it."""

    clock: VirtualClock
    history: History
    ledger: Ledger
    last_fault: float
    """When a node last died or started, or the network was cut or healed; as ``since`` counts."""

    def since(self) -> float:
        """Seconds since the world began."""

    def some_node(self, random: Random) -> SimulatedNode | None:
        """A node that serves; None while there is none."""

    def next_letter(self) -> int:
        """A number for one more message."""


class Person:
    """Somebody with one mailbox.

    :param key: of the mailbox.
    """

    def __init__(self, world: Scene, name: str, key: SeededKey, random: Random) -> None:
        self.name = name
        self.mailbox: MailboxId = mailbox_id(key.public, KIND_CONTACTS)
        self._world = world
        self._key = key
        self._random = random
        self._connection: _Connection | None = None
        self._wants_mail = False
        self._read: dict[MessageId, Tombstone] = {}
        """What was delivered, with what acks it."""
        self._outbox: dict[MessageId, _Written] = {}
        self._taken_by: dict[MessageId, str] = {}
        """Which node said last that it has it."""
        self._proved: set[MessageId] = set()
        """What a node has shown to be opened."""

    # -- sending ---------------------------------------------------------------------------------

    def send(
        self, to: Person, *, through: SimulatedNode | None = None, repeat: bool = True
    ) -> MessageId:
        """Write to somebody; the outbox repeats until the network says that it has it.

        :param through: a node to hand it to; by default any.
        :param repeat: without, it is handed in once, as by somebody who leaves and never returns.
        """
        world = self._world
        number = world.next_letter()
        expires_hours = int(world.clock.seconds() // SECONDS_PER_HOUR) + HOURS_KEPT
        written = _Written(number, to.mailbox, expires_hours)
        envelope = written.envelope()
        self._outbox[envelope.id] = written
        world.ledger.sent(envelope.id, Letter(number, self.name, to.name, world.since()))
        world.history.note(self.name, f"sends {number} to {to.name}")
        self._hand_in(envelope, number, through, repeat)
        return envelope.id

    def send_again(self, message: MessageId) -> None:
        """Somebody returns with an outbox: from now on what had no receipt is offered again as by
        a client, at once and then ever more seldom, until it was delivered, its ack is proved, or
        it expires.

        :raises KeyError: this person did not write it.
        """
        self._return(self._outbox[message], message, offers=1)

    def _return(self, written: _Written, message: MessageId, offers: int) -> None:
        world = self._world
        is_over = world.clock.seconds() >= written.expires_hours * SECONDS_PER_HOUR
        is_read = world.ledger.letters[message].delivered is not None
        if is_over or is_read or message in self._proved:
            return
        world.history.note(self.name, f"sends {written.number} again")

        def taken() -> None:
            wait = REPEATS.after(offers, self._random)
            world.clock.callLater(wait, self._return, written, message, offers + 1)

        node = self._another_node(message)
        self._hand_in(written.envelope(), written.number, node, True, taken)

    def _another_node(self, message: MessageId) -> SimulatedNode | None:
        """One that did not take it last, if there is one."""
        node = self._world.some_node(self._random)
        for _ in range(OTHERS_TRIED):
            if node is None or node.name != self._taken_by.get(message):
                break
            node = self._world.some_node(self._random)
        return node

    def _hand_in(
        self,
        envelope: Envelope,
        number: int,
        through: SimulatedNode | None,
        repeat: bool,
        taken: Callable[[], None] = lambda: None,
        failures: int = 0,
    ) -> None:
        """:param taken: called when a node says that the network has it.
        :param failures: how often it was handed in for nothing, in a row.
        """
        world = self._world
        node = through or world.some_node(self._random)

        def answered(state: str, secret: bytes = b"") -> None:
            world.history.note(self.name, f"hears {state} of {number}")
            if state == "acked" and lock_of(secret) == envelope.lock:
                self._proved.add(envelope.id)
            if state == "stored" or envelope.id in self._proved:
                name = self._taken_by[envelope.id] = node.name if node else ""
                world.ledger.stored(envelope.id, world.since(), name)
                taken()
            elif repeat:
                wait = retry_after(failures + 1, self._random)
                again = (envelope, number, None, True, taken, failures + 1)
                world.clock.callLater(wait, self._hand_in, *again)

        if node is None:
            answered("no node")
            return
        core = node.core

        def ask() -> Deferred[Any]:
            return core.deposit.envelopes([envelope.encoded])

        def outcome(outcomes: Any) -> None:
            answered(outcomes[0].state, outcomes[0].secret)

        ask_node(world.clock, node, ask, outcome, answered)

    # -- reading ---------------------------------------------------------------------------------

    def read(self, at: SimulatedNode | None = None) -> None:
        """Collect mail from now on, at that node or any; at another one when that is gone."""
        self._wants_mail = True
        self._connect(at)

    def leave(self) -> None:
        """Read no more, for now."""
        self._wants_mail = False
        if self._connection is not None:
            self._connection.hang_up()
            self._connection = None

    @property
    def at(self) -> SimulatedNode | None:
        """The node where it reads."""
        return None if self._connection is None else self._connection.node

    def _connect(self, at: SimulatedNode | None = None) -> None:
        if not self._wants_mail or self._connection is not None:
            return
        node = at if at is not None and at.alive else self._world.some_node(self._random)
        if node is None:
            self._world.clock.callLater(AGAIN_SECONDS, self._connect)
            return
        self._world.history.note(self.name, f"reads at {node.name}")
        connection = self._connection = _Connection(
            node, self._world.clock, lambda: self._lease(node), self.mailbox, self._pushed
        )
        node.ended.append(lambda: self._gone(connection))
        self._renew_later(connection)

    def _gone(self, connection: _Connection) -> None:
        """The node is gone; the client notices after a moment."""
        if self._connection is connection:
            self._connection = None
            self._world.clock.callLater(
                AGAIN_SECONDS * self._random.uniform(0.2, 1.0), self._connect
            )

    def _renew_later(self, connection: _Connection) -> None:
        def renew() -> None:
            if self._connection is connection:
                connection.renew()
                self._renew_later(connection)

        self._world.clock.callLater(LEASE_SECONDS / 2, renew)

    def _lease(self, node: SimulatedNode) -> Lease:
        return Lease.sign(
            self._key,
            KIND_CONTACTS,
            network_id=node.settings.network_id,
            node=node.id,
            origin=f"http://{node.name}",
            challenge=bytes(32),
            expires_seconds=int(node.process.seconds()) + LEASE_SECONDS,
        )

    def _pushed(self, connection: _Connection, encoded: bytes) -> None:
        """A message has come over a connection."""
        world = self._world
        envelope = Envelope.parse(encoded)
        letter = world.ledger.letters[envelope.id]
        again = envelope.id in connection.came
        connection.came[envelope.id] = None
        world.ledger.delivered(
            envelope.id,
            world.since(),
            again_in_connection=again,
            last_fault=world.last_fault,
        )
        world.history.note(self.name, f"gets {letter.number}")
        if envelope.id not in self._read:
            self._read[envelope.id] = Tombstone.of(envelope, _secret(letter.number))
        self._ack(envelope.id, letter.number, connection)

    def _ack(
        self, message: MessageId, number: int, connection: _Connection, failures: int = 0
    ) -> None:
        """:param failures: how often it was handed in for nothing, in a row."""
        world = self._world
        tombstone = self._read[message]

        def answered(state: str) -> None:
            world.history.note(self.name, f"hears {state} of its ack of {number}")
            if state in ("stored", "acked"):
                world.ledger.acked(message, world.since())
            else:
                world.clock.callLater(retry_after(failures + 1, self._random), again)

        def again() -> None:
            if self._connection is None:
                world.clock.callLater(AGAIN_SECONDS, again)
            else:
                self._ack(message, number, self._connection, failures + 1)

        connection.ack(tombstone, answered)


@dataclass(frozen=True, slots=True)
class _Written:
    """What an outbox keeps: all that the same envelope can be made of again."""

    number: int
    mailbox: MailboxId
    expires_hours: int

    def envelope(self) -> Envelope:
        return Envelope.make(
            mailbox=self.mailbox,
            expires_hours=self.expires_hours,
            lock=lock_of(_secret(self.number)),
            blob=self.number.to_bytes(8) * (BLOB_BYTES // 8),
        )


class _Connection:
    """One stay at a node, as its gateway would keep it."""

    def __init__(
        self,
        node: SimulatedNode,
        clock: VirtualClock,
        lease: Callable[[], Lease],
        mailbox: MailboxId,
        pushed: Callable[[_Connection, bytes], None],
    ) -> None:
        self.node = node
        self.came: dict[MessageId, None] = {}
        """What has come over it."""
        self._clock = clock
        self._process = node.process
        self._core = node.core
        self._lease = lease
        self._mailbox = mailbox
        self._pushed = pushed
        self._open = True
        self._inbox = Inbox(self._push, lambda *_: None, clock=node.process, window=WINDOW)
        self._in_turn(lambda: self._core.collect.watch(self._lease(), self._inbox))

    def _in_turn(self, call: Callable[[], None]) -> None:
        """Something the client sends arrives at the node."""
        self._clock.callLater(AWAY_SECONDS, self._process.turn, call)

    def _push(self, encoded: bytes) -> None:
        def arrive() -> None:
            if self._open and self._process.alive:
                self._pushed(self, encoded)

        self._clock.callLater(AWAY_SECONDS, arrive)

    def renew(self) -> None:
        self._in_turn(lambda: self._core.collect.renew(self._lease()))

    def ack(self, tombstone: Tombstone, answered: Callable[[str], None]) -> None:
        def ask() -> Deferred[Any]:
            field = TombstoneField(tombstone.mailbox, tombstone.encoded)
            acks: Deferred[Any] = self._core.deposit.acks([field], [])

            def release(outcomes: Any) -> Any:
                self._inbox.release([tombstone.id])
                return outcomes

            return acks.addCallback(release)

        ask_node(
            self._clock,
            self.node,
            ask,
            lambda outcomes: answered(outcomes[0].state),
            answered,
        )

    def hang_up(self) -> None:
        self._open = False

        def close() -> None:
            self._core.collect.unwatch(self._mailbox, self._inbox)
            self._inbox.close()

        self._in_turn(close)


def ask_node(
    clock: VirtualClock,
    node: SimulatedNode,
    ask: Callable[[], Deferred[Any]],
    answered: Callable[[Any], None],
    failed: Callable[[str], None],
) -> None:
    """Ask something of a node as it runs now, there and back; ``failed`` with a word."""
    process = node.process
    waiting = True

    def settle(tell: Callable[[Any], None], what: Any) -> None:
        nonlocal waiting
        if waiting:
            waiting = False
            timer.cancel()
            tell(what)

    def give_up() -> None:
        nonlocal waiting
        waiting = False
        failed("nothing")

    async def serve() -> None:
        outcome = await ask()
        # The answer goes out only if the node still runs when it is made.
        clock.callLater(AWAY_SECONDS, settle, answered, outcome)

    timer = clock.callLater(ANSWER_SECONDS, give_up)
    clock.callLater(AWAY_SECONDS, process.turn, lambda: background("serve a client", serve()))


def _secret(number: int) -> bytes:
    return sha256(b"secret %d" % number).digest()[:16]
