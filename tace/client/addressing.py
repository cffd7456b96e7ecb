"""From something to say to envelopes for the devices of a person: ratchet, seal, outbox.

Everything here happens inside a transaction of the home, before anything leaves: the ratchet has
moved on and the envelope lies in the outbox, or neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tace.client.directory import Directory, device_record
from tace.client.errors import BlockedPerson, OutboxFull
from tace.client.own import OwnIdentity
from tace.client.rows import (
    HistoryMessage,
    Introduction,
    MessageState,
    Outgoing,
    Peer,
    PeerDevice,
    Standing,
)
from tace.client.sqlite import HomeDatabase
from tace.client.vault import RandomBytes
from tace.e2ee.content import (
    Body,
    ContactsMailbox,
    Content,
    File,
    Part,
    Profile,
    SessionRequest,
    Text,
    decode_contents,
    encode_contents,
)
from tace.e2ee.inner import ROOM_WITH_HANDSHAKE
from tace.e2ee.parts import split
from tace.e2ee.records import DeviceRecord
from tace.e2ee.sealed import seal
from tace.e2ee.session import NoSession, Pair, send, start
from tace.errors import Expired
from tace.wire.objects import SECONDS_PER_HOUR, Envelope

CONTENT_ID_BYTES = 16
LIFETIME_HOURS = 14 * 24
"""How long a message waits for its recipient."""
SHORTEST_HOURS = 24
"""A node that takes only what lives shorter is not believed: it would empty mailboxes."""
MAX_OUTGOING = 8192
"""How many contents wait until somebody confirms them; of each some 4 KiB for every device that it
goes to. More than a *contacts* mailbox takes from all who write to it."""
OWN_TURN_SECONDS = 5.0
"""A new parcel belongs to the process that made it for so long; then any may offer it."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """:ivar introduces: our name and contacts mailbox ride with it."""

    envelope: Envelope
    introduces: bool


def latest_expiry(node_seconds: float, max_lifetime_hours: int) -> int:
    """The latest ``expires_hours`` to seal with for a node of that clock and that limit."""
    lifetime = min(LIFETIME_HOURS, max(SHORTEST_HOURS, max_lifetime_hours))
    return int(node_seconds) // SECONDS_PER_HOUR + lifetime


class Addressing:
    """Writes into the history and the outbox of one home."""

    def __init__(
        self,
        database: HomeDatabase,
        own: OwnIdentity,
        directory: Directory,
        random_bytes: RandomBytes,
    ) -> None:
        self._database = database
        self._own = own
        self._directory = directory
        self._random_bytes = random_bytes

    def write(self, identity: bytes, body: Text | File, now: float) -> HistoryMessage:
        """Save a text or a file to somebody: history and outbox, not encrypted yet.

        One that does not fit a message goes in parts. Writing to a stranger accepts them.

        :raises TooLarge: more than 64 KiB.
        :raises BlockedPerson: they were blocked here.
        :raises OutboxFull: see :meth:`check_room`.
        """
        sent_ms = int(now * 1000)
        with self._database.transaction():
            peer = self._database.peer(identity) or Peer(identity)
            if peer.standing is Standing.BLOCKED:
                raise BlockedPerson("they are blocked: unblock them first")
            bodies = _split(body, self._random_bytes)
            self.check_room(len(bodies))
            first = self._random_bytes(CONTENT_ID_BYTES)
            message = bodies[0].whole if isinstance(bodies[0], Part) else first
            self._database.set_peer(
                replace(
                    peer,
                    next_counter=peer.next_counter + len(bodies),
                    standing=Standing.CONTACT,
                )
            )
            self._database.add_message(
                peer=identity,
                message_id=message,
                outgoing=True,
                state=MessageState.QUEUED,
                counter=peer.next_counter,
                sent_ms=sent_ms,
                received_ms=sent_ms,
                text=body.text if isinstance(body, Text) else body.name,
                kind=body.KIND,
                file=body if isinstance(body, File) else None,
            )
            at = (peer.next_counter, sent_ms)
            self._post(identity, message, bodies, first, at, now)
            saved = self._database.message(identity, message, outgoing=True)
        assert saved is not None
        return saved

    def write_again(self, message: HistoryMessage, now: float) -> None:
        """Put a text of ours that no node took into the outbox once more, under the same ids and
        counters: who has it already shows it once.

        :raises TooLarge: more than 64 KiB.
        """
        bodies = _split(Text(message.text), lambda _: message.id)
        with self._database.transaction():
            self._database.set_message_state(message.peer, message.id, MessageState.QUEUED)
            at = (message.counter, message.sent_ms)
            self._post(message.peer, message.id, bodies, message.id, at, now)

    def check_room(self, contents: int = 1) -> None:
        """
        :raises OutboxFull: so many more are not taken before some of those that wait are confirmed
            or expire.
        """
        if self._database.count_outgoing() + contents > MAX_OUTGOING:
            raise OutboxFull(
                f"the outbox is full: {MAX_OUTGOING:,} messages wait for their recipients; there is"
                " room when some are confirmed or expire, or when somebody is blocked"
            )

    def greet(self, identity: bytes, now: float) -> None:
        """Start anew with every device of theirs: they learn of this one and say again what was
        not confirmed."""
        content_id = self._random_bytes(CONTENT_ID_BYTES)
        content = Content(content_id, 0, int(now * 1000), SessionRequest(()))
        self._database.add_outgoing(
            content_id=content_id,
            peer=identity,
            content=encode_contents([content]),
            expires_hours=int(now) // SECONDS_PER_HOUR + LIFETIME_HOURS,
        )

    def _post(
        self,
        identity: bytes,
        message: bytes,
        bodies: Sequence[Body],
        first: bytes,
        at: tuple[int, int],
        now: float,
    ) -> None:
        """Into the outbox: the bodies of one message from that counter and that time on.

        :param first: the id of the content, where there is only one.
        """
        counter, sent_ms = at
        for place, body in enumerate(bodies):
            alone = len(bodies) == 1
            content_id = first if alone else self._random_bytes(CONTENT_ID_BYTES)
            self._database.add_outgoing(
                content_id=content_id,
                peer=identity,
                message=message,
                content=encode_contents([Content(content_id, counter + place, sent_ms, body)]),
                expires_hours=int(now) // SECONDS_PER_HOUR + LIFETIME_HOURS,
            )

    def request_session(
        self, identity: bytes, device: bytes, unread: Sequence[bytes], now: float
    ) -> None:
        """Put a session request for one device into the outbox."""
        content_id = self._random_bytes(CONTENT_ID_BYTES)
        body = SessionRequest(tuple(unread))
        self._database.add_outgoing(
            content_id=content_id,
            peer=identity,
            device=device,
            content=encode_contents([Content(content_id, 0, int(now * 1000), body)]),
            expires_hours=int(now) // SECONDS_PER_HOUR + LIFETIME_HOURS,
        )

    def address(self, outgoing: Outgoing, network_id: bytes, latest_hours: int, now: float) -> bool:
        """Encrypt it for every device it goes to; False when none is known.

        :param outgoing: as it was read, perhaps a while ago; what counts is what is there now.
        :param latest_hours: the latest expiry that the node takes.
        :raises NoSession: a device's record has to be looked up before.
        """
        with self._database.transaction():
            fresh = self._database.outgoing(outgoing.seq)
            if fresh is None or fresh.addressed or fresh.id != outgoing.id:
                # Another process did it, or it was confirmed meanwhile.
                return True
            devices = self._directory.devices(fresh.peer, now)
            if fresh.device is not None:
                known = self._database.device(fresh.peer, fresh.device)
                devices = [known] if known is not None else []
            if not devices:
                return False
            for device in devices:
                encrypted = self.encrypt(
                    device,
                    decode_contents(fresh.content),
                    network_id,
                    min(fresh.expires_hours, latest_hours),
                    now,
                )
                self._database.add_parcel(
                    fresh.seq,
                    device.device,
                    encrypted.envelope,
                    next_seconds=now + OWN_TURN_SECONDS,
                    introduces=encrypted.introduces,
                )
            self._database.set_addressed(fresh.seq, True)
        return True

    def encrypt(
        self,
        device: PeerDevice,
        contents: Sequence[Content],
        network_id: bytes,
        expires_hours: int,
        now: float,
    ) -> Encrypted:
        """One envelope for one device; its sessions move on. Inside a transaction.

        Our name and contacts mailbox ride along until the device has answered.

        :raises NoSession: its record has to be looked up before.
        """
        own = self._own.device(now)
        pair = _pair_of(device)
        fresh = any(isinstance(content.body, SessionRequest) for content in contents)
        record = _record_of(device)
        if fresh or pair.needs_start(now):
            if record is None:
                raise NoSession("the device's record is needed to start a session")
            try:
                pair = start(pair, own, record, self._random_bytes, now=now, fresh=fresh)
            except Expired:
                raise NoSession("the device's record is over") from None
            device = replace(device, introduction=Introduction.NOT_SENT)
        introduces = False
        if device.introduction is not Introduction.CONFIRMED:
            introduced = [*contents, *self._introduction(now)]
            # Where there is no room left it rides on the next message.
            if len(encode_contents(introduced)) <= pair.room:
                contents, introduces = introduced, True
                device = replace(device, introduction=Introduction.SENT)
        mailbox = device.contacts_mailbox
        if mailbox is None:
            if record is None:
                raise NoSession("the device's record is needed to find its mailbox")
            mailbox = record.requests_mailbox
        assert device.inbox_key is not None
        pair, inner = send(pair, own, encode_contents(contents), self._random_bytes)
        envelope = seal(
            inner,
            inbox_key=device.inbox_key,
            network_id=network_id,
            mailbox=mailbox,
            expires_hours=expires_hours,
            random_bytes=self._random_bytes,
        )
        self._database.set_device(replace(device, pair=pair.to_bytes()))
        return Encrypted(envelope, introduces)

    def _introduction(self, now: float) -> list[Content]:
        bodies: list[Body] = [ContactsMailbox(self._own.keys.contacts_mailbox)]
        if self._own.name:
            bodies.append(Profile(self._own.name))
        return [
            Content(self._random_bytes(CONTENT_ID_BYTES), 0, int(now * 1000), body)
            for body in bodies
        ]


def parts_of(text: str) -> int:
    """In how many messages a text goes; people are told before it is sent.

    :raises TooLarge: more than 64 KiB.
    """
    return len(_split(Text(text), bytes))


def _split(body: Text | File, random_bytes: RandomBytes) -> Sequence[Body]:
    """Itself where it fits a first message, else its parts.

    :param random_bytes: gives what the parts have in common.
    """
    probe = Content(bytes(CONTENT_ID_BYTES), (1 << 53) - 1, (1 << 53) - 1, body)
    if len(encode_contents([probe])) <= ROOM_WITH_HANDSHAKE:
        return [body]
    return split(body, ROOM_WITH_HANDSHAKE, random_bytes)


def _pair_of(device: PeerDevice) -> Pair:
    if device.pair is None:
        return Pair.with_device(device.identity, device.device)
    return Pair.from_bytes(device.pair)


def _record_of(device: PeerDevice) -> DeviceRecord | None:
    return None if device.record is None else device_record(device.record)
