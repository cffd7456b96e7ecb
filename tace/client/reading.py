"""Opening what was pushed: unseal, decrypt, save. One transaction for each batch, before any ack.

====================== =========================================================================
an envelope that ...   what is done with it
====================== =========================================================================
was opened before      acked again, nothing else
does not unseal        removed from the mailbox as junk
is a duplicate         acked: its ratchet message was opened before
opens                  its contents are saved with the ratchet's new state, then it is acked
cannot be decrypted    kept for a day, a contact is asked for a new session, then it is acked
====================== =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tace.client.addressing import Addressing
from tace.client.directory import device_list
from tace.client.own import OwnIdentity
from tace.client.publish import Publisher
from tace.client.rows import HistoryMessage, Introduction, MessageState, Peer, PeerDevice
from tace.client.sqlite import HomeDatabase
from tace.client.vault import RandomBytes
from tace.e2ee.content import (
    ContactsMailbox,
    Content,
    Delete,
    Edit,
    File,
    Part,
    Profile,
    Reaction,
    Receipt,
    SessionRequest,
    Text,
    Unknown,
    decode_body,
    decode_contents,
    encode_body,
)
from tace.e2ee.inner import Inner
from tace.e2ee.parts import MAX_JOINING, Joining
from tace.e2ee.pqxdh import Handshake
from tace.e2ee.prekeys import Prekey
from tace.e2ee.sealed import Junk, unseal
from tace.e2ee.session import (
    REQUEST_INTERVAL_SECONDS,
    Duplicate,
    Opened,
    Pair,
    Undecryptable,
    receive,
)
from tace.errors import Malformed
from tace.wire.objects import Envelope, Tombstone

KEPT_SECONDS = 24 * 3600.0
"""How long an envelope that could not be read is kept."""
MAX_KEPT = 1000
MAX_KEPT_OF_ONE = 100
"""How many are kept, of all and of one claimed sender; a new one takes the oldest one's place,
and a stranger's place before a contact's."""
MAX_ASKED = 32
"""Session requests that may wait at once; whoever knows a contact can make us want one."""

Said = Text | Reaction | Edit | Delete | File
"""What stands in the history."""


@dataclass(slots=True)
class Batch:
    """What came of a batch of envelopes.

    :ivar tombstones: acks for what was saved (or needs no saving).
    :ivar junk: what nobody can ack: to be removed with the mailbox key.
    :ivar messages: new in the history.
    :ivar placed: (person, device, counter) of what takes a place there and shows nothing.
    :ivar delivered: (person, message id) of ours that were confirmed.
    :ivar unreadable: who claims to have sent what could not be read.
    :ivar new_devices: (person, device) that a known person wrote from, and that their list as it
        is known here does not name.
    :ivar owes_receipts: something came that wants a receipt.
    :ivar seen_before: something was opened before, perhaps by another program of this home.
    :ivar send_again: somebody asked for what they could not read; it waits in the outbox.
    """

    tombstones: list[Tombstone] = field(default_factory=list)
    junk: list[Envelope] = field(default_factory=list)
    messages: list[HistoryMessage] = field(default_factory=list)
    placed: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    delivered: list[tuple[bytes, bytes]] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)
    new_devices: list[tuple[bytes, bytes]] = field(default_factory=list)
    owes_receipts: bool = False
    seen_before: bool = False
    send_again: bool = False


class Reading:
    """Reads for one home."""

    def __init__(
        self,
        database: HomeDatabase,
        own: OwnIdentity,
        publisher: Publisher,
        addressing: Addressing,
        random_bytes: RandomBytes,
    ) -> None:
        self._database = database
        self._own = own
        self._publisher = publisher
        self._addressing = addressing
        self._random_bytes = random_bytes
        self._known_prekeys: dict[int, Prekey] = {}

    def read(self, envelopes: Iterable[Envelope], network_id: bytes, now: float) -> Batch:
        """Open a batch and save what was in it."""
        batch = Batch()
        with self._database.transaction():
            for envelope in envelopes:
                self._read(envelope, network_id, now, batch)
        return batch

    def _read(self, envelope: Envelope, network_id: bytes, now: float, batch: Batch) -> None:
        secret = self._database.opened_secret(envelope.id)
        if secret is not None:
            batch.tombstones.append(Tombstone.of(envelope, secret))
            batch.seen_before = True
            return
        try:
            unsealed = unseal(envelope, inbox=self._own.keys.inbox, network_id=network_id)
        except Junk:
            batch.junk.append(envelope)
            return
        inner = unsealed.inner
        if inner.device != self._own.keys.id and not self._open(envelope, inner, now, batch):
            self._keep(envelope, inner, now, batch)
        self._database.set_opened(envelope.id, unsealed.secret, envelope.expires_hours)
        batch.tombstones.append(Tombstone.of(envelope, unsealed.secret))

    def _open(self, envelope: Envelope, inner: Inner, now: float, batch: Batch) -> bool:
        """False when it cannot be decrypted."""
        device = self._database.device(inner.identity, inner.device) or PeerDevice(
            inner.identity, inner.device
        )
        pair = (
            Pair.with_device(inner.identity, inner.device)
            if device.pair is None
            else Pair.from_bytes(device.pair)
        )
        outcome = receive(
            pair, self._own.device(now), self._prekeys(inner), inner, self._random_bytes, now=now
        )
        match outcome:
            case Duplicate():
                return True
            case Undecryptable():
                return False
            case Opened():
                self._opened(device, inner, outcome, now, batch)
                return True

    def _opened(
        self, device: PeerDevice, inner: Inner, outcome: Opened, now: float, batch: Batch
    ) -> None:
        device = replace(device, pair=outcome.pair.to_bytes())
        peer = self._database.peer(device.identity) or Peer(device.identity)
        if outcome.started:
            handshake = Handshake.parse(inner.handshake)
            device = replace(device, inbox_key=handshake.certificate.inbox_key)
            if peer.device_list is not None and device.device not in device_list(peer.device_list):
                # Theirs by its certificate; whether they still list it is to be looked up.
                peer = replace(peer, looked_up_seconds=0.0)
                batch.new_devices.append((device.identity, device.device))
        self._database.set_peer(peer)
        if outcome.fresh:
            # It has lost what it knew: our mailbox, and what it did not confirm.
            device = replace(device, introduction=Introduction.NOT_SENT)
        self._database.set_device(device)
        if outcome.fresh:
            self._send_again(device.identity, batch)
        try:
            contents = decode_contents(outcome.content)
        except Malformed:
            # Their program is at fault. The ratchet has moved; there is nothing to show.
            return
        for content in contents:
            self._save(content, device.identity, device.device, now, batch)
        if outcome.started:
            self._read_kept(device.identity, device.device, now, batch)

    def _save(
        self, content: Content, identity: bytes, device: bytes, now: float, batch: Batch
    ) -> None:
        match content.body:
            case Text() | Reaction() | Edit() | Delete() | File():
                at = (content.counter, content.sent_ms)
                self._message(content.id, content.body, at, identity, device, now, batch)
            case Part():
                self._part(content, content.body, identity, device, now, batch)
            case Receipt(ids=ids):
                for content_id in ids:
                    self._confirmed(identity, device, content_id, batch)
                return
            case SessionRequest():
                self._send_again(identity, batch)
            case Profile(name=name):
                peer = self._database.peer(identity) or Peer(identity)
                self._database.set_peer(replace(peer, name=_presentable(name) or peer.name))
                return
            case ContactsMailbox(mailbox=mailbox):
                known = self._database.device(identity, device)
                assert known is not None
                self._database.set_device(replace(known, contacts_mailbox=mailbox))
                return
            case Unknown():
                batch.placed.append((identity, device, content.counter))
        self._database.owe_receipt(identity, content.id)
        batch.owes_receipts = True

    def _message(
        self,
        message_id: bytes,
        body: Said,
        at: tuple[int, int],
        identity: bytes,
        device: bytes,
        now: float,
        batch: Batch,
    ) -> None:
        new = self._database.add_message(
            peer=identity,
            message_id=message_id,
            outgoing=False,
            state=MessageState.RECEIVED,
            sender_device=device,
            counter=at[0],
            sent_ms=at[1],
            received_ms=int(now * 1000),
            text=_text_of(body),
            kind=body.KIND,
            target=body.target if isinstance(body, Reaction | Edit | Delete) else None,
            file=body if isinstance(body, File) else None,
        )
        if new:
            saved = self._database.message(identity, message_id, outgoing=False)
            assert saved is not None
            batch.messages.append(saved)

    def _part(
        self,
        content: Content,
        part: Part,
        identity: bytes,
        device: bytes,
        now: float,
        batch: Batch,
    ) -> None:
        if part.index:
            # The text takes the place of its first part.
            batch.placed.append((identity, device, content.counter))
        if self._database.message(identity, part.whole, outgoing=False) is not None:
            return
        self._database.add_part(identity, part.whole, part.index, encode_body(part), now)
        joining = Joining()
        whole = None
        try:
            for encoded in self._database.parts(identity, part.whole):
                known = decode_body(Part.KIND, encoded)
                assert isinstance(known, Part)
                whole = joining.add(known)
        except Malformed:
            self._database.remove_parts(identity, part.whole)
            return
        if whole is not None:
            self._database.remove_parts(identity, part.whole)
            counter = max(0, content.counter - part.index)
            if isinstance(whole, Said):
                at = (counter, content.sent_ms)
                self._message(part.whole, whole, at, identity, device, now, batch)
            else:
                batch.placed.append((identity, device, counter))
            return
        unfinished = self._database.wholes_in_parts(identity)
        for given_up in unfinished[: max(0, len(unfinished) - MAX_JOINING)]:
            self._database.remove_parts(identity, given_up)

    def _confirmed(self, identity: bytes, device: bytes, content_id: bytes, batch: Batch) -> None:
        known = self._database.device(identity, device)
        for outgoing in self._database.confirmed(identity, content_id):
            self._database.remove_outgoing(outgoing.seq)
            if known is not None and known.introduction is Introduction.SENT:
                # Until now our name and mailbox rode on everything that had room for them.
                known = replace(known, introduction=Introduction.CONFIRMED)
                self._database.set_device(known)
            if outgoing.message is None:
                continue
            if not self._database.parcels_of_message(identity, outgoing.message):
                self._database.set_message_state(identity, outgoing.message, MessageState.DELIVERED)
                batch.delivered.append((identity, outgoing.message))

    def _send_again(self, identity: bytes, batch: Batch) -> None:
        for outgoing in self._database.outgoing_of(identity):
            if outgoing.device is None:
                self._database.set_addressed(outgoing.seq, False)
                batch.send_again = True

    def _keep(self, envelope: Envelope, inner: Inner, now: float, batch: Batch) -> None:
        batch.unreadable.append(inner.identity)
        self._database.keep_unreadable(
            envelope.id, envelope.encoded, inner.identity, inner.device, now
        )
        self._database.bound_unreadable(inner.identity, most_of_one=MAX_KEPT_OF_ONE, most=MAX_KEPT)
        if self._database.peer(inner.identity) is None or inner.identity == self._own.public:
            # On the word of a stranger nothing is sent.
            return
        device = self._database.device(inner.identity, inner.device) or PeerDevice(
            inner.identity, inner.device
        )
        if now - device.reset_seconds < REQUEST_INTERVAL_SECONDS:
            return
        if self._database.count_session_requests() >= MAX_ASKED:
            return
        self._database.set_device(replace(device, reset_seconds=now))
        self._addressing.request_session(inner.identity, inner.device, [envelope.id], now)
        batch.send_again = True

    def _read_kept(self, identity: bytes, device: bytes, now: float, batch: Batch) -> None:
        """A new session may open what came before it and could not be read."""
        network_id = self._database.setting("network_id")
        assert network_id is not None
        for kept in self._database.unreadable_of(identity, device):
            envelope = Envelope.parse(kept.envelope)
            try:
                unsealed = unseal(envelope, inbox=self._own.keys.inbox, network_id=network_id)
            except Junk:
                continue
            if self._open(envelope, unsealed.inner, now, batch):
                self._database.forget_unreadable(envelope.id)

    def _prekeys(self, inner: Inner) -> dict[int, Prekey]:
        try:
            named = Handshake.parse(inner.handshake).prekey_id if inner.handshake else None
        except Malformed:
            named = None
        if named is not None and named not in self._known_prekeys:
            # Kept, because 60 of them take milliseconds; another process may have made new ones.
            self._known_prekeys = self._publisher.prekeys()
        return self._known_prekeys

    def forget_prekeys(self) -> None:
        """Have them read anew: what was destroyed on disk shall not live on in memory."""
        self._known_prekeys = {}


def _presentable(name: str) -> str:
    """A name from a stranger: one line, without characters that move or hide others."""
    return "".join(c for c in name if c.isprintable()).strip()


def _text_of(body: Said) -> str:
    match body:
        case Text(text=text) | Edit(text=text) | Reaction(emoji=text) | File(name=text):
            return text
        case Delete():
            return ""
