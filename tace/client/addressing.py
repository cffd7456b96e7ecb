"""From something to say to envelopes for the devices of a person: ratchet, seal, outbox.

Everything here happens inside a transaction of the home, before anything leaves: the ratchet has
moved on and the envelope lies in the outbox, or neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tace.client.directory import Directory, device_record
from tace.client.own import OwnIdentity
from tace.client.rows import HistoryMessage, Introduction, MessageState, Outgoing, Peer, PeerDevice
from tace.client.sqlite import HomeDatabase
from tace.client.vault import RandomBytes
from tace.e2ee.content import (
    Body,
    ContactsMailbox,
    Content,
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
OWN_TURN_SECONDS = 5.0
"""A new parcel belongs to the process that made it for so long; then any may offer it."""


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

    def write(self, identity: bytes, text: str, now: float) -> HistoryMessage:
        """Save a text to somebody: history and outbox, not encrypted yet.

        One that does not fit a message goes in parts.

        :raises TooLarge: more than 64 KiB.
        """
        sent_ms = int(now * 1000)
        expires_hours = int(now) // SECONDS_PER_HOUR + LIFETIME_HOURS
        with self._database.transaction():
            peer = self._database.peer(identity) or Peer(identity)
            bodies = self._bodies(text)
            first = self._random_bytes(CONTENT_ID_BYTES)
            message = bodies[0].whole if isinstance(bodies[0], Part) else first
            self._database.set_peer(replace(peer, next_counter=peer.next_counter + len(bodies)))
            self._database.add_message(
                peer=identity,
                message_id=message,
                outgoing=True,
                state=MessageState.QUEUED,
                counter=peer.next_counter,
                sent_ms=sent_ms,
                received_ms=sent_ms,
                text=text,
            )
            for place, body in enumerate(bodies):
                content_id = self._random_bytes(CONTENT_ID_BYTES) if place else first
                content = Content(content_id, peer.next_counter + place, sent_ms, body)
                self._database.add_outgoing(
                    content_id=content_id,
                    peer=identity,
                    message=message,
                    content=encode_contents([content]),
                    expires_hours=expires_hours,
                )
            saved = self._database.message(identity, message, outgoing=True)
        assert saved is not None
        return saved

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
                envelope = self.encrypt(
                    device,
                    decode_contents(fresh.content),
                    network_id,
                    min(fresh.expires_hours, latest_hours),
                    now,
                )
                self._database.add_parcel(
                    fresh.seq,
                    device.device,
                    envelope,
                    next_seconds=now + OWN_TURN_SECONDS,
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
    ) -> Envelope:
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
        if device.introduction is not Introduction.CONFIRMED:
            introduced = [*contents, *self._introduction(now)]
            # Where there is no room left it rides on the next message.
            if len(encode_contents(introduced)) <= pair.room:
                contents = introduced
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
        return envelope

    def _introduction(self, now: float) -> list[Content]:
        bodies: list[Body] = [ContactsMailbox(self._own.keys.contacts_mailbox)]
        if self._own.name:
            bodies.append(Profile(self._own.name))
        return [
            Content(self._random_bytes(CONTENT_ID_BYTES), 0, int(now * 1000), body)
            for body in bodies
        ]

    def _bodies(self, text: str) -> Sequence[Body]:
        whole = Text(text) if len(text.encode()) <= ROOM_WITH_HANDSHAKE else None
        if whole is not None:
            probe = Content(bytes(CONTENT_ID_BYTES), (1 << 53) - 1, (1 << 53) - 1, whole)
            if len(encode_contents([probe])) <= ROOM_WITH_HANDSHAKE:
                return [whole]
        return split(Text(text), ROOM_WITH_HANDSHAKE, self._random_bytes)


def _pair_of(device: PeerDevice) -> Pair:
    if device.pair is None:
        return Pair.with_device(device.identity, device.device)
    return Pair.from_bytes(device.pair)


def _record_of(device: PeerDevice) -> DeviceRecord | None:
    return None if device.record is None else device_record(device.record)
