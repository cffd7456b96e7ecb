"""What was said, into the history: each kind of content (docs/protocol/e2ee.md, section 9)."""

from __future__ import annotations

from dataclasses import replace

from tace.client.batch import Batch
from tace.client.rows import Introduction, MessageState, Outgoing, Standing
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Strangers
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
    encode_body,
)
from tace.e2ee.parts import MAX_JOINING, Joining
from tace.errors import Malformed

Said = Text | Reaction | Edit | Delete | File
"""What stands in the history."""


class Saving:
    """Saves for one home. Inside a transaction."""

    def __init__(self, database: HomeDatabase, strangers: Strangers) -> None:
        self._database = database
        self._strangers = strangers

    def save(
        self, content: Content, identity: bytes, device: bytes, now: float, batch: Batch
    ) -> None:
        """One content from a device of somebody, into the history or wherever it belongs."""
        peer = self._database.peer(identity)
        assert peer is not None
        if peer.standing is Standing.BLOCKED and not isinstance(
            content.body, Receipt | ContactsMailbox
        ):
            # It leaves no trace but its place: what comes after they are let in again is not
            # held up. It is not receipted, so they have it to say again.
            batch.placed.append((identity, device, content.counter))
            return
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
                self.send_again(identity, batch)
            case Profile(name=name):
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
        batch.owes_receipts |= self._strangers.admits(peer)

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
        for outgoing in self._database.confirmed(identity, content_id):
            self._introduced(identity, device, outgoing)
            self._database.remove_outgoing(outgoing.seq)
            if outgoing.message is None:
                continue
            if not self._database.parcels_of_message(identity, outgoing.message):
                self._database.set_message_state(identity, outgoing.message, MessageState.DELIVERED)
                batch.delivered.append((identity, outgoing.message))

    def _introduced(self, identity: bytes, device: bytes, outgoing: Outgoing) -> None:
        """Our name and mailbox rode on everything that had room for them until the device
        confirmed a content that they rode with: another one it may have had without them."""
        known = self._database.device(identity, device)
        if known is None or known.introduction is not Introduction.SENT:
            return
        parcels = self._database.parcels_of(outgoing.seq)
        if any(parcel.introduces and parcel.device == device for parcel in parcels):
            self._database.set_device(replace(known, introduction=Introduction.CONFIRMED))

    def send_again(self, identity: bytes, batch: Batch) -> None:
        """Everything they did not confirm is encrypted anew for them."""
        for outgoing in self._database.outgoing_of(identity):
            if outgoing.device is None:
                self._database.set_addressed(outgoing.seq, False)
                batch.send_again = True


def _presentable(name: str) -> str:
    """A name from a stranger: one line, without characters that move or hide others."""
    return "".join(c for c in name if c.isprintable()).strip()


def _text_of(body: Said) -> str:
    match body:
        case Text(text=text) | Edit(text=text) | Reaction(emoji=text) | File(name=text):
            return text
        case Delete():
            return ""
