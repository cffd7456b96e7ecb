"""One client at a node, whatever carries its bytes (docs/protocol/client.md).

The node speaks first. The first command that belongs to one kind of connection decides what this
connection is: an *inbox* (lease, watch, ack) or an *outbox* (send, look up others' records), so
that a node does not see on one connection who talks to whom.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from tace.background import background
from tace.delivery.inbox import Inbox
from tace.delivery.votes import Outcome
from tace.errors import (
    DrainingNow,
    InternalError,
    ProtocolError,
    RateLimited,
    Refusal,
    TaceError,
    TimedOut,
    TooMany,
    Unauthorized,
    WrongConnection,
    refusal_from_wire,
)
from tace.gateway.knowledge import network_info, status_info
from tace.gateway.pace import Pace, too_fast
from tace.gateway.services import GatewayServices
from tace.identity.mailbox_proof import Lease, Removal
from tace.ids import ID_BYTES, MailboxId
from tace.limits import Admission
from tace.wire.client import (
    CLIENT_MESSAGES,
    MAX_MAILBOXES,
    Ack,
    AckAnswer,
    BlobFound,
    BlobStored,
    CaughtUp,
    Challenge,
    ClientDone,
    ClientPing,
    ClientPong,
    ClientRecord,
    ClientRefused,
    Defer,
    FindRecord,
    GetBlob,
    GetNetwork,
    GetStatus,
    NetworkInfo,
    OpenLease,
    PublishRecord,
    Push,
    PutBlob,
    RecordPublished,
    Send,
    SendAnswer,
    SendResult,
    StartWatch,
    StatusInfo,
    encode_client_message,
    split_client_message,
)
from tace.wire.fields import PutResult
from tace.wire.message import Message
from tace.wire.objects import Blob
from tace.wire.peer import PROTOCOL_VERSION

MAX_BLOBS_UNDER_WAY = 4
"""Of one connection: what polling keeps of late answers has room for so many."""
FIRST_COMMAND_SECONDS = 30.0
"""From the challenge to the first command, or poll; a client that has none may ping."""
HOLD_SECONDS = 0.25
"""Nothing more is read for so long, at least, from a client that sends commands too fast."""
RETRY_AFTER_MS = {
    "not-stored": 1000,
    "full": 60_000,
    "quota": 60_000,
    "rate-limited": 1000,
    "too-many": 1000,
}
Command = Callable[["ClientSession", Any], Awaitable[Message | None]]


class ClientTransport(Protocol):
    """What carries the session's messages."""

    def send(self, data: bytes) -> None:
        """One message to the client."""

    def close(self) -> None:
        """No more messages either way."""

    def hold(self, seconds: float) -> None:
        """Take nothing more from the client for so long, where that is possible."""


class Role(Enum):
    UNDECIDED = "undecided"
    INBOX = "inbox"
    OUTBOX = "outbox"


class ClientSession:
    """The state of one client connection."""

    _log = Logger()

    def __init__(
        self, services: GatewayServices, transport: ClientTransport, group: str = ""
    ) -> None:
        """
        :param group: the address group that it is counted in; empty for one that is not.
        """
        self._services = services
        self._group = group
        self._pace = Pace(services.rates, group, services.clock)
        self._first_command: IDelayedCall | None = None
        self._core = services.core
        self._transport = transport
        self._role = Role.UNDECIDED
        self._challenge = services.random_bytes(32)
        self._in_flight = 0
        self._blobs_under_way = 0
        self._waiting_for_end: list[Deferred[None]] = []
        self._leases: dict[MailboxId, Lease] = {}
        self._watching: dict[MailboxId, None] = {}
        self._inbox: Inbox | None = None
        self._lease_timer: IDelayedCall | None = None
        self._open = True

    # -- from the transport ----------------------------------------------------------------------

    def opened(self) -> None:
        s = self._services
        self._first_command = s.clock.callLater(FIRST_COMMAND_SECONDS, self._said_nothing)
        self._tell(
            Challenge(
                challenge=self._challenge,
                clock_ms=self._clock_ms(),
                network_id=s.network_id,
                node_id=self._core.membership.own,
                names=s.names(),
                versions=(PROTOCOL_VERSION,),
                software=s.software,
                requests_stamp_bits=self._stamp_bits(),
                max_lifetime_hours=s.limits.max_lifetime_hours,
                requests_in_flight=s.limits.requests_in_flight,
            )
        )

    def received(self, data: bytes) -> None:
        """One message from the client."""
        if not self._open:
            return
        try:
            number, request_id, body = split_client_message(data)
        except ProtocolError as error:
            self.end(error)
            return
        self.has_spoken()
        wait = self._pace.wait_of_command()
        if wait and number != Defer.NUMBER:
            # Not even decoded. A defer has no answer: refused, it would leave the window closed.
            self._transport.hold(max(wait, HOLD_SECONDS))
            self._refuse(request_id, too_fast(wait))
            return
        try:
            message = CLIENT_MESSAGES.decode(number, body)
            command = _COMMANDS.get(type(message))
            if command is None:
                raise ProtocolError(f"{type(message).__name__} is not for clients to send")
            if (request_id == 0) != (type(message) is Defer):
                raise ProtocolError(f"{type(message).__name__} with the wrong request id")
        except ProtocolError as error:
            self.end(error)
            return
        except Refusal as refusal:
            self._refuse(request_id, refusal)
            return
        full = self._in_flight >= self._services.limits.requests_in_flight
        if full and type(message) is not Defer:
            # A defer has no answer: lost, it would leave the window closed for ever.
            self._refuse(request_id, TooMany("too many unanswered requests", retry_after_ms=100))
            return
        self._in_flight += 1
        background("client command", self._run(command, message, request_id))

    def pinged(self) -> bool:
        """The transport's own ping: a command like others. Whether it is to be answered."""
        wait = self._pace.wait_of_command()
        if wait:
            self._transport.hold(max(wait, HOLD_SECONDS))
            self._note(too_fast(wait))
        return not wait

    def closed(self) -> None:
        """The transport is gone."""
        if not self._open:
            return
        self._open = False
        self.has_spoken()
        if self._lease_timer is not None:
            self._lease_timer.cancel()
            self._lease_timer = None
        if self._inbox is not None:
            for mailbox in self._watching:
                self._core.collect.unwatch(mailbox, self._inbox)
            self._inbox.close()

    def end(self, reason: TaceError) -> None:
        """Tell the client why, and hang up."""
        if self._open:
            self._services.counters.count("client_sessions_ended_total", reason=reason.code)
            if isinstance(reason, ProtocolError | TimedOut):
                self._services.misconduct.report(self._group, reason.code)
            self._tell(ClientRefused(reason.code, str(reason)[:200]))
            self.closed()
            self._transport.close()

    def _said_nothing(self) -> None:
        self._first_command = None
        self.end(TimedOut("no command came in time"))

    def has_spoken(self) -> None:
        """The client has said something, if only that it is there."""
        if self._first_command is not None:
            self._first_command.cancel()
            self._first_command = None

    def finished(self) -> Deferred[None]:
        """Fires when no answer is outstanding."""
        done: Deferred[None] = Deferred()
        self._waiting_for_end.append(done)
        self._look_finished()
        return done

    def _look_finished(self) -> None:
        if self._in_flight == 0:
            waiting, self._waiting_for_end = self._waiting_for_end, []
            for done in waiting:
                done.callback(None)

    # -- running ---------------------------------------------------------------------------------

    async def _run(self, command: Command, message: Message, request_id: int) -> None:
        try:
            if self._services.state() == "draining" and type(message) is not Ack:
                raise DrainingNow("this node is about to stop")
            answer = await command(self, message)
        except Refusal as refusal:
            self._refuse(request_id, refusal)
        except TaceError as error:
            self._refuse(request_id, InternalError(str(error)))
        except Exception:
            self._log.failure("client command {name} failed", name=type(message).__name__)
            self._refuse(request_id, InternalError("the node failed at it"))
        else:
            if answer is not None:
                self._tell(answer, request_id)
        finally:
            self._in_flight -= 1
            self._look_finished()

    def _tell(self, message: Message, request_id: int = 0) -> None:
        if self._open:
            self._transport.send(encode_client_message(message, request_id))

    def _refuse(self, request_id: int, refusal: Refusal) -> None:
        self._note(refusal)
        if request_id:
            self._tell(
                ClientRefused(refusal.code, refusal.detail[:200], refusal.retry_after_ms),
                request_id,
            )

    def _note(self, refusal: Refusal) -> None:
        self._services.counters.count("client_refusals_total", code=refusal.code)
        if refusal.code in _MISCONDUCT:
            self._services.misconduct.report(self._group, refusal.code)

    def _stamp_bits(self) -> int:
        return self._core.stamp_bits(self._services.limits.requests_stamp_bits)

    def _clock_ms(self) -> int:
        return int(self._services.clock.seconds() * 1000)

    def _become(self, role: Role) -> None:
        if self._role is Role.UNDECIDED:
            self._role = role
        elif self._role is not role:
            raise WrongConnection(
                f"this is an {self._role.value} connection; use another one for that"
            )

    # -- inbox -----------------------------------------------------------------------------------

    async def _open_lease(self, message: OpenLease) -> ClientDone:
        self._become(Role.INBOX)
        lease = Lease(*message.lease)
        now = self._services.clock.seconds()
        if lease.origin not in self._services.names():
            raise Unauthorized("the lease is for another origin than this node's")
        if lease.challenge != self._challenge:
            raise Unauthorized("the lease is for another connection")
        await self._pace.pay(message)
        mailbox = lease.check(
            network_id=self._services.network_id, node=self._core.membership.own, now=now
        )
        if mailbox not in self._leases and len(self._leases) >= MAX_MAILBOXES:
            raise TooMany(f"at most {MAX_MAILBOXES} mailboxes on one connection")
        self._leases[mailbox] = lease
        if mailbox in self._watching:
            self._core.collect.renew(lease)
        self._await_lapse()
        return ClientDone()

    async def _start_watch(self, message: StartWatch) -> ClientDone:
        self._become(Role.INBOX)
        for mailbox in message.mailboxes:
            if mailbox not in self._leases:
                raise Unauthorized("no lease of yours opens that mailbox")
        window = max(1, min(message.window, self._services.limits.window))
        if self._inbox is None:
            self._inbox = Inbox(
                lambda envelope: self._tell(Push(envelope)),
                lambda mailbox, complete: self._tell(CaughtUp(mailbox, complete)),
                clock=self._services.clock,
                window=window,
                room=self._services.inbox_room,
            )
        self._inbox.window = window
        for mailbox in message.mailboxes:
            if mailbox not in self._watching:
                self._core.collect.watch(self._leases[mailbox], self._inbox)
                self._watching[mailbox] = None
        return ClientDone()

    async def _ack(self, message: Ack) -> AckAnswer:
        self._become(Role.INBOX)
        for field in message.tombstones:
            if field.mailbox not in self._leases:
                raise Unauthorized("no lease of yours opens that mailbox")
        await self._pace.pay(message)
        outcomes = await self._core.deposit.acks(message.tombstones, message.removals)
        # A tombstone begins with the message's id; its proof has been checked on the way.
        released = [
            field.tombstone[:ID_BYTES]
            for field, outcome in zip(message.tombstones, outcomes, strict=False)
            if outcome.state != "malformed"
        ]
        for encoded, outcome in zip(
            message.removals, outcomes[len(message.tombstones) :], strict=True
        ):
            if outcome.state != "malformed":
                released += [item for item, _ in Removal.parse(encoded).items]
        if self._inbox is not None:
            self._inbox.release(released)
        return AckAnswer(tuple(PutResult(outcome.state) for outcome in outcomes))

    async def _defer(self, message: Defer) -> None:
        self._become(Role.INBOX)
        if self._inbox is not None:
            self._inbox.release(message.ids)

    def _await_lapse(self) -> None:
        """A watch ends with its lease, whether or not the client says so."""
        if self._lease_timer is not None:
            self._lease_timer.cancel()
        first = min(lease.expires_seconds for lease in self._leases.values())
        delay = max(0.0, first - self._services.clock.seconds())
        self._lease_timer = self._services.clock.callLater(delay, self._lapse)

    def _lapse(self) -> None:
        self._lease_timer = None
        self.end(Unauthorized("the lease is over and was not renewed"))

    # -- outbox ----------------------------------------------------------------------------------

    async def _send(self, message: Send) -> SendAnswer:
        self._become(Role.OUTBOX)
        try:
            await self._pace.pay(message)
        except RateLimited as refusal:
            self._note(refusal)
            result = SendResult(refusal.code, retry_after_ms=refusal.retry_after_ms)
            return SendAnswer((result,) * len(message.envelopes))
        outcomes = await self._core.deposit.envelopes(message.envelopes)
        return SendAnswer(tuple(self._send_result(outcome) for outcome in outcomes))

    def _send_result(self, outcome: Outcome) -> SendResult:
        detail = ""
        if outcome.state == "stamp-required":
            detail = str(self._stamp_bits())
        return SendResult(
            outcome.state,
            outcome.copies,
            outcome.of,
            outcome.secret,
            RETRY_AFTER_MS.get(outcome.state, 0),
            detail,
        )

    async def _find_record(self, message: FindRecord) -> ClientRecord:
        self._become(Role.OUTBOX)
        await self._pace.pay(message)
        record = await self._core.records.find(message.key)
        return ClientRecord(b"" if record is None else record.encoded)

    async def _put_blob(self, message: PutBlob) -> BlobStored:
        self._become(Role.OUTBOX)
        await self._pace.pay(message)
        blob = Blob.make(
            message.blob,
            expires_hours=message.expires_hours,
            stamp_target=message.stamp_target,
            stamp_nonce=message.stamp_nonce,
        )
        with self._blob_transfer():
            outcome = await self._core.blobs.put(blob)
        if outcome.state not in ("stored", "partial"):
            detail = str(self._stamp_bits()) if outcome.state == "stamp-required" else ""
            raise refusal_from_wire(outcome.state, detail, RETRY_AFTER_MS.get(outcome.state, 0))
        return BlobStored(outcome.state, outcome.copies, outcome.of)

    async def _get_blob(self, message: GetBlob) -> BlobFound:
        self._become(Role.OUTBOX)
        await self._pace.pay(message)
        with self._blob_transfer():
            blob = await self._core.blobs.find(message.hash)
        return BlobFound(b"" if blob is None else blob.data)

    @contextmanager
    def _blob_transfer(self) -> Iterator[None]:
        if self._blobs_under_way >= MAX_BLOBS_UNDER_WAY:
            raise TooMany(
                f"at most {MAX_BLOBS_UNDER_WAY} blobs under way on one connection",
                retry_after_ms=100,
            )
        transfers = self._services.blob_transfers
        if self._group and transfers.admit(self._group) is not Admission.ADMITTED:
            raise TooMany("too many blobs under way from your address", retry_after_ms=1000)
        self._blobs_under_way += 1
        try:
            yield
        finally:
            self._blobs_under_way -= 1
            if self._group:
                transfers.release(self._group)

    # -- either ----------------------------------------------------------------------------------

    async def _publish_record(self, message: PublishRecord) -> RecordPublished:
        await self._pace.pay(message)
        outcome = await self._core.deposit.record(message.record)
        if outcome.state not in ("stored", "partial"):
            raise refusal_from_wire(outcome.state, "", RETRY_AFTER_MS.get(outcome.state, 0))
        return RecordPublished(outcome.state, outcome.copies, outcome.of)

    async def _network(self, message: GetNetwork) -> NetworkInfo:
        await self._pace.pay(message)
        return network_info(self._services)

    async def _status(self, message: GetStatus) -> StatusInfo:
        await self._pace.pay(message)
        return await status_info(self._services)

    async def _ping(self, message: ClientPing) -> ClientPong:
        return ClientPong(self._clock_ms())


_MISCONDUCT = frozenset({"rate-limited", "unauthorized"})
"""Refusals that are noted: an honest client seldom earns them."""
_COMMANDS: dict[type[Message], Command] = {
    OpenLease: ClientSession._open_lease,
    StartWatch: ClientSession._start_watch,
    Ack: ClientSession._ack,
    Defer: ClientSession._defer,
    Send: ClientSession._send,
    FindRecord: ClientSession._find_record,
    PutBlob: ClientSession._put_blob,
    GetBlob: ClientSession._get_blob,
    PublishRecord: ClientSession._publish_record,
    GetNetwork: ClientSession._network,
    GetStatus: ClientSession._status,
    ClientPing: ClientSession._ping,
}
"""Who answers what; a message that is not here is one that only nodes send."""
