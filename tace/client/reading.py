"""Opening what was pushed: unseal, decrypt, save. One transaction for each batch, before any ack.

====================== =========================================================================
an envelope that ...   what is done with it
====================== =========================================================================
was opened before      acked again, nothing else
does not unseal        removed from the mailbox as junk
is a duplicate         acked: its ratchet message was opened before
opens                  its contents are saved with the ratchet's new state, then it is acked
cannot be decrypted    kept for a day, a contact is asked for a new session, then it is acked
is one stranger's too  left in the mailbox until there is room (:mod:`tace.client.strangers`)
many
====================== =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tace.client.addressing import Addressing
from tace.client.batch import Batch
from tace.client.directory import device_list
from tace.client.own import OwnIdentity
from tace.client.publish import Publisher
from tace.client.rows import Introduction, Listing, Peer, PeerDevice, Standing
from tace.client.saving import Saving
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Strangers
from tace.client.vault import RandomBytes
from tace.e2ee.content import decode_contents
from tace.e2ee.inner import Inner
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
        self._strangers = Strangers(database)
        self._saving = Saving(database, self._strangers)
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
        if inner.identity != self._own.public:
            # Nobody else is oneself: what claims to be is let go of.
            if not self._strangers.has_room(inner.identity, inner.device):
                batch.deferred.append(envelope)
                return
            if not self._open(envelope, inner, now, batch):
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
        peer = self._database.peer(device.identity) or Peer(
            device.identity, standing=Standing.REQUEST
        )
        admitted = self._strangers.admits(peer)
        if outcome.started:
            handshake = Handshake.parse(inner.handshake)
            device = replace(device, inbox_key=handshake.certificate.inbox_key)
            if self._is_new(peer, device.device):
                # Theirs by its certificate; whether they still list it is to be looked up. Who
                # was not let in makes us ask nobody: that would show that we are here.
                peer = replace(peer, looked_up_seconds=0.0)
                device = replace(device, listing=Listing.UNCHECKED)
                batch.new_devices |= admitted
        self._database.set_peer(peer)
        if peer.standing is Standing.REQUEST and not admitted:
            batch.requests.append(peer.identity)
        if outcome.fresh:
            # It has lost what it knew: our mailbox, and what it did not confirm.
            device = replace(device, introduction=Introduction.NOT_SENT)
        self._database.set_device(device)
        if outcome.fresh:
            self._saving.send_again(device.identity, batch)
        try:
            contents = decode_contents(outcome.content)
        except Malformed:
            # Their program is at fault. The ratchet has moved; there is nothing to show.
            return
        for content in contents:
            self._saving.save(content, device.identity, device.device, now, batch)
        if outcome.started:
            self._read_kept(device.identity, device.device, now, batch)

    def _is_new(self, peer: Peer, device: bytes) -> bool:
        """Not on the list that is known, or beside others where none is known."""
        if peer.device_list is not None:
            return device not in device_list(peer.device_list)
        return any(
            known.device != device and known.pair is not None
            for known in self._database.devices(peer.identity)
        )

    def _keep(self, envelope: Envelope, inner: Inner, now: float, batch: Batch) -> None:
        self._database.keep_unreadable(
            envelope.id, envelope.encoded, inner.identity, inner.device, now
        )
        self._database.bound_unreadable(inner.identity, most_of_one=MAX_KEPT_OF_ONE, most=MAX_KEPT)
        peer = self._database.peer(inner.identity)
        if peer is None or peer.standing is not Standing.BLOCKED:
            batch.unreadable.append(inner.identity)
        if not self._strangers.admits(peer):
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
