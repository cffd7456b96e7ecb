"""A network in memory that speaks ``tace.client.1``: nodes that share one store, in fake time.

What it does is written from docs/protocol/client.md. Every message is encoded and decoded, and
arrives in a later turn of the clock, so the order of things is the one real nodes show.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import (
    Expired,
    LinkLost,
    Malformed,
    Refusal,
    StaleSequence,
    StampRequired,
    TooFarAhead,
    TooMany,
    Unauthorized,
    UnknownMessage,
    WrongConnection,
)
from tace.identity.keys import SigningKey
from tace.identity.mailbox_proof import Lease, Removal
from tace.identity.node_record import NodeRecord
from tace.identity.user_record import UserRecord
from tace.ids import KIND_REQUESTS
from tace.wire import client as wire
from tace.wire.fields import PutResult
from tace.wire.message import Message
from tace.wire.objects import Envelope, Tombstone, is_stamped

NETWORK_ID = bytes(range(32))
START_SECONDS = 1_800_000_000.0
LATENCY_SECONDS = 0.001
MAX_LIFETIME_HOURS = 30 * 24
WINDOW = 64
T = TypeVar("T")


@dataclass
class FakeStore:
    """What all nodes of the fake network keep together."""

    envelopes: dict[bytes, dict[bytes, Envelope]] = field(default_factory=dict)
    secrets: dict[bytes, bytes] = field(default_factory=dict)
    removed: set[bytes] = field(default_factory=set)
    records: dict[bytes, UserRecord] = field(default_factory=dict)
    blobs: dict[bytes, bytes] = field(default_factory=dict)

    def waiting(self) -> list[Envelope]:
        return [e for mailbox in self.envelopes.values() for e in mailbox.values()]


class FakeNetwork:
    """Some nodes on one clock."""

    def __init__(self, clock: Clock, nodes: int = 1, *, stamp_bits: int = 4) -> None:
        self.clock = clock
        self.store = FakeStore()
        self.stamp_bits = stamp_bits
        self.copies = 3
        self.nodes = [FakeNode(self, index) for index in range(nodes)]
        self.requests: list[tuple[str, Message]] = []
        """Every message a client sent, with the origin of the node that got it."""

    def dial(self, address: NodeAddress) -> Deferred[Connection]:
        """A :data:`tace.client.nodes.Dial`."""
        for node in self.nodes:
            if node.address == address and not node.down:
                return node.accept()
        return fail(LinkLost(f"{address}: connection refused"))

    def sent(self, kind: type[T]) -> list[T]:
        return [message for _, message in self.requests if isinstance(message, kind)]

    def stored(self, envelope: Envelope) -> None:
        """Tell every watch, as replicas tell the gateways."""
        for node in self.nodes:
            for session in list(node.sessions):
                session.arrived(envelope)


class FakeNode:
    """One node: what it refuses, loses, repeats and when it is down is set by the test."""

    def __init__(self, network: FakeNetwork, index: int) -> None:
        self.network = network
        self.key = SigningKey.from_seed(bytes([index + 1]) * 48)
        self.address = NodeAddress.parse(f"http://node-{index}:8080")
        self.record = NodeRecord.sign(
            self.key,
            NETWORK_ID,
            peer_addresses=(f"node-{index}:6512",),
            client_urls=(self.address.origin,),
            boot=1,
            sequence=1,
            position_mask=15,
            expires_seconds=int(START_SECONDS) + 86400,
        )
        self.network_id = NETWORK_ID
        self.clock_offset_seconds = 0.0
        self.down = False
        self.sessions: list[_Session] = []
        self.lose_answer: Callable[[Message], bool] = lambda request: False
        """True for a request that is carried out but whose answer never arrives."""
        self.refuse: Callable[[Message], Refusal | None] = lambda request: None
        self.answer_send: Callable[[Envelope], wire.SendResult | None] = lambda envelope: None
        """What it says of an envelope instead of storing it; None where it is honest."""
        self.stamp_bits: int | None = None
        """The stamps that it asks for where it does not do as its network."""
        self.max_lifetime_hours = MAX_LIFETIME_HOURS
        self.publish_state = "stored"
        self.pushes_per_message = 1
        self.newest_first = False

    def accept(self) -> Deferred[Connection]:
        session = _Session(self)
        self.sessions.append(session)
        connected: Deferred[Connection] = Deferred()
        self.network.clock.callLater(LATENCY_SECONDS, session.open, connected)
        return connected

    def kill(self) -> None:
        """As ``kill -9``: every connection breaks, and nobody answers."""
        self.down = True
        for session in list(self.sessions):
            session.broken()

    def up(self) -> None:
        self.down = False


class _Session:
    """The node's side of one connection, and the carrier on the client's side."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.network = node.network
        self.clock = node.network.clock
        self.connection: Connection | None = None
        self.challenge = random.Random(len(node.sessions)).randbytes(32)
        self.leases: dict[bytes, Lease] = {}
        self.watched: set[bytes] = set()
        self.window = WINDOW
        self.pushed: set[bytes] = set()
        self.unreleased: set[bytes] = set()
        self.caught_up: set[bytes] = set()
        self.over = False

    # -- the carrier -----------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.clock.callLater(LATENCY_SECONDS, self._receive, data)

    def close(self) -> None:
        self.broken("closed")

    # -- the node --------------------------------------------------------------------------------

    def open(self, connected: Deferred[Connection]) -> None:
        if self.node.down:
            connected.errback(LinkLost("connection refused"))
            return
        self.connection = Connection(self.node.address, self, self.clock)
        connected.callback(self.connection)
        self.say(
            wire.Challenge(
                self.challenge,
                int((self.clock.seconds() + self.node.clock_offset_seconds) * 1000),
                self.node.network_id,
                self.node.record.node_id,
                (self.node.address.origin,),
                (1,),
                "fake",
                self.network.stamp_bits if self.node.stamp_bits is None else self.node.stamp_bits,
                self.node.max_lifetime_hours,
                64,
            )
        )

    def broken(self, reason: str = "connection reset") -> None:
        if self.over:
            return
        self.over = True
        if self in self.node.sessions:
            self.node.sessions.remove(self)
        if self.connection is not None:
            self.clock.callLater(LATENCY_SECONDS, self.connection.carrier_lost, reason)

    def say(self, message: Message, request_id: int = 0) -> None:
        data = wire.encode_client_message(message, request_id)
        self.clock.callLater(LATENCY_SECONDS, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if not self.over and self.connection is not None:
            self.connection.received(data)

    def _receive(self, data: bytes) -> None:
        if self.over:
            return
        number, request_id, body = wire.split_client_message(data)
        message = wire.CLIENT_MESSAGES.decode(number, body)
        self.network.requests.append((self.node.address.origin, message))
        try:
            refusal = self.node.refuse(message)
            if refusal is not None:
                raise refusal
            answer = self._answer(message)
        except Refusal as error:
            answer = wire.ClientRefused(error.code, error.detail, error.retry_after_ms)
        if answer is not None and request_id and not self.node.lose_answer(message):
            self.say(answer, request_id)
        self._push()

    def _answer(self, message: Message) -> Message | None:
        match message:
            case wire.ClientPing():
                return wire.ClientPong(int(self.clock.seconds() * 1000))
            case wire.GetNetwork():
                records = tuple(node.record.encoded for node in self.network.nodes)
                return wire.NetworkInfo(records, len(records), "member")
            case wire.OpenLease():
                return self._lease(Lease(*message.lease))
            case wire.StartWatch():
                if not set(message.mailboxes) <= self.leases.keys():
                    raise Unauthorized("no lease for that mailbox")
                self.watched = set(message.mailboxes)
                self.pushed, self.unreleased, self.caught_up = set(), set(), set()
                self.window = min(WINDOW, message.window)
                return wire.ClientDone()
            case wire.Ack():
                return self._ack(message)
            case wire.Defer():
                self.unreleased -= set(message.ids)
                return None
            case wire.Send():
                if self.leases:
                    raise WrongConnection("this connection holds a lease")
                return wire.SendAnswer(tuple(self._store(e) for e in message.envelopes))
            case wire.FindRecord():
                if self.leases:
                    raise WrongConnection("this connection holds a lease")
                found = self.network.store.records.get(message.key)
                return wire.ClientRecord(found.encoded if found else b"")
            case wire.PutBlob():
                return self._put_blob(message)
            case wire.GetBlob():
                if self.leases:
                    raise WrongConnection("this connection holds a lease")
                return wire.BlobFound(self.network.store.blobs.get(message.hash, b""))
            case wire.PublishRecord():
                return self._publish(UserRecord.parse(message.record))
        raise UnknownMessage(type(message).__name__)

    def _put_blob(self, message: wire.PutBlob) -> Message:
        if self.leases:
            raise WrongConnection("this connection holds a lease")
        name = hashlib.sha256(message.blob).digest()
        bits = self.network.stamp_bits
        if not is_stamped(name, message.stamp_target, message.stamp_nonce, wanted=bits):
            raise StampRequired(f"every blob needs a stamp: {bits}")
        now = self.clock.seconds()
        if message.expires_hours * 3600 <= now:
            raise Expired("over")
        if message.expires_hours > now // 3600 + self.node.max_lifetime_hours + 1:
            raise TooFarAhead("too long")
        self.network.store.blobs[name] = message.blob
        copies = self.network.copies
        return wire.BlobStored("stored" if copies >= 2 else "partial", copies, 3)

    def _lease(self, lease: Lease) -> Message:
        node = self.node
        if lease.challenge != self.challenge or lease.origin != node.address.origin:
            raise Unauthorized("that lease was made for somebody else")
        now = self.clock.seconds() + node.clock_offset_seconds
        mailbox = lease.check(network_id=NETWORK_ID, node=node.record.node_id, now=now)
        if len(self.leases) >= wire.MAX_MAILBOXES and mailbox not in self.leases:
            raise TooMany("mailboxes")
        self.leases[mailbox] = lease
        return wire.ClientDone()

    def _ack(self, message: wire.Ack) -> Message:
        results: list[PutResult] = []
        for mailbox, encoded in message.tombstones:
            try:
                tombstone = Tombstone.parse(mailbox, encoded)
            except Malformed as error:
                results.append(PutResult(error.code))
                continue
            self.network.store.secrets[tombstone.id] = tombstone.secret
            self._drop(mailbox, tombstone.id)
            results.append(PutResult("stored"))
        for encoded in message.removals:
            removal = Removal.parse(encoded)
            for message_id, _ in removal.items:
                self.network.store.removed.add(message_id)
                self._drop(removal.mailbox, message_id)
            results.append(PutResult("stored"))
        return wire.AckAnswer(tuple(results))

    def _drop(self, mailbox: bytes, message_id: bytes) -> None:
        self.network.store.envelopes.get(mailbox, {}).pop(message_id, None)
        self.unreleased.discard(message_id)

    def _store(self, encoded: bytes) -> wire.SendResult:
        store = self.network.store
        try:
            envelope = Envelope.parse(encoded)
            lie = self.node.answer_send(envelope)
            if lie is not None:
                return lie
            now = self.clock.seconds()
            if envelope.expires_seconds <= now:
                raise Expired("over")
            if envelope.expires_hours > now // 3600 + self.node.max_lifetime_hours + 1:
                raise TooFarAhead("too long")
            bits = self.network.stamp_bits
            if envelope.kind == KIND_REQUESTS and not envelope.stamped_for(bits):
                raise StampRequired(f"this mailbox takes only stamped messages: {bits}")
        except Refusal as error:
            return wire.SendResult(error.code, detail=error.detail)
        secret = store.secrets.get(envelope.id)
        if secret is not None:
            return wire.SendResult("acked", 3, 3, secret)
        if envelope.id in store.removed:
            return wire.SendResult("removed", 3, 3)
        known = envelope.id in store.envelopes.setdefault(envelope.mailbox, {})
        store.envelopes[envelope.mailbox][envelope.id] = envelope
        if not known:
            self.network.stored(envelope)
        copies = self.network.copies
        return wire.SendResult("stored" if copies >= 2 else "partial", copies, 3)

    def _publish(self, record: UserRecord) -> Message:
        records = self.network.store.records
        known = records.get(record.key)
        if known is not None and record.order < known.order:
            raise StaleSequence(str(known.sequence))
        if self.node.publish_state != "stored":
            return wire.RecordPublished(self.node.publish_state, 0, 3)
        records[record.key] = record
        return wire.RecordPublished("stored", 3, 3)

    def arrived(self, envelope: Envelope) -> None:
        if envelope.mailbox in self.watched:
            self._push()

    def _push(self) -> None:
        for mailbox in sorted(self.watched):
            waiting = list(self.network.store.envelopes.get(mailbox, {}).values())
            if self.node.newest_first:
                waiting.reverse()
            left = 0
            for envelope in waiting:
                if envelope.id in self.pushed or envelope.expires_seconds <= self.clock.seconds():
                    continue
                if len(self.unreleased) >= self.window:
                    left += 1
                    continue
                self.pushed.add(envelope.id)
                self.unreleased.add(envelope.id)
                for _ in range(self.node.pushes_per_message):
                    self.say(wire.Push(envelope.encoded))
            if not left and mailbox not in self.caught_up:
                self.caught_up.add(mailbox)
                self.say(wire.CaughtUp(mailbox))


def run(clock: Clock, work: Deferred[T], seconds: float = 60.0) -> T:
    """Let fake time pass, deadline by deadline, until ``work`` is done.

    :raises AssertionError: it did not end within that many seconds of fake time.
    """
    results: list[Any] = []
    work.addBoth(results.append)
    end = clock.seconds() + seconds
    while not results:
        pending = clock.getDelayedCalls()
        assert pending, "nothing is scheduled, and the work is not done"
        deadline = min(call.getTime() for call in pending)
        assert deadline <= end, f"not done after {seconds} s"
        clock.advance(max(0.0, deadline - clock.seconds()))
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    result: T = results[0]
    return result


def let_pass(clock: Clock, seconds: float) -> None:
    """Let that much fake time pass, deadline by deadline."""
    end = clock.seconds() + seconds
    while True:
        deadlines = [call.getTime() for call in clock.getDelayedCalls()]
        if not deadlines or min(deadlines) > end:
            break
        clock.advance(max(0.0, min(deadlines) - clock.seconds()))
    clock.advance(max(0.0, end - clock.seconds()))
