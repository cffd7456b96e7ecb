"""Everything of a home but its device and its sessions, into one sealed file; and a home from it.

Two devices that went on from one session would use its keys twice. So whoever takes a file in is a
new device, and greets each contact on a fresh session: what they say next, and what was not
confirmed, arrives there.
"""

from __future__ import annotations

from dataclasses import replace

from tace.client.address import NodeAddress
from tace.client.addressing import LIFETIME_HOURS, Addressing
from tace.client.directory import Directory, device_list
from tace.client.exported import (
    MAX_MESSAGES,
    MAX_NODES,
    PLACE_STEP,
    Delivery,
    Exported,
    FileRow,
    Last,
    Mark,
    MessageRow,
    Node,
    Person,
    Settings,
    decode_exported,
    encode_exported,
    identity_bytes,
)
from tace.client.home import Home
from tace.client.naming import key_text
from tace.client.own import MAX_NAME, OwnIdentity, recovery_code
from tace.client.rows import HistoryMessage, Listing, MessageState, Peer, Standing
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Policy, policy_of, set_policy
from tace.client.vault import RandomBytes
from tace.e2ee.content import File, Kind
from tace.e2ee.export import BadExport, WrongExportCode, export_base, open_export, seal_export
from tace.e2ee.recovery import RecoveryCode
from tace.errors import BadRecord

COUNTER_MARGIN = 1 << 20
"""What is said after an import is counted well above what was said after the file was made."""
EXPORTED_NODES = 16
_PREVIEW_CHARACTERS = 200
_MS_PER_HOUR = 3_600_000
_DEVICE_HEX = 64
_ID_BYTES = 16
_STATES = {
    MessageState.QUEUED: "saved",
    MessageState.PARTIAL: "saved",
    MessageState.STORED: "stored",
    MessageState.DELIVERED: "delivered",
    MessageState.FAILED: "failed",
    MessageState.RECEIVED: "delivered",
}
_FROM_STATES = {
    "saved": MessageState.FAILED,
    "stored": MessageState.STORED,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.DELIVERED,
}


def export_home(home: Home, now: float, random_bytes: RandomBytes) -> bytes:
    """The sealed file, under the home's recovery code.

    :raises BadExport: it would be larger than any client takes.
    """
    base = export_base(recovery_code(home.database))
    try:
        return seal_export(base, encode_exported(collect(home, now)), random_bytes)
    except ValueError:
        raise BadExport("the history is too large for one export file") from None


def read_export(file: bytes, code: RecoveryCode) -> Exported:
    """What a file holds.

    :raises BadExport: it is no export file, or damaged, or of a later version.
    :raises WrongExportCode: another code sealed it, or it is damaged.
    """
    exported = decode_exported(open_export(export_base(code), file))
    if exported.identity != key_text(code.identity().public):
        raise WrongExportCode("the file is another identity's")
    # Before a home is made of it.
    for person in exported.people:
        identity_bytes(person.identity)
    people = {person.identity for person in exported.people}
    exported.messages = [row for row in exported.messages if row.chat in people]
    return exported


# -- out of a home ---------------------------------------------------------------------------------


def collect(home: Home, now: float) -> Exported:
    """What the file of that home holds."""
    database = home.database
    people: list[Person] = []
    messages: list[MessageRow] = []
    taken: set[bytes] = set()
    for peer in database.peers():
        rows = _lines(database, peer, taken)
        messages += rows
        people.append(_person(database, peer, rows))
    if len(messages) > MAX_MESSAGES:
        raise BadExport("the history is too large for one export file")
    return Exported(
        version=1,
        made_ms=int(now * 1000),
        identity=key_text(home.own.public),
        name=home.own.name,
        settings=Settings(strangers=policy_of(database).value),
        people=people,
        messages=messages,
        nodes=[Node(origin) for origin in database.latest_origins(EXPORTED_NODES)],
    )


def _person(database: HomeDatabase, peer: Peer, rows: list[MessageRow]) -> Person:
    unread = [row.id for row in rows if row.unread == 1]
    devices = database.devices(peer.identity)
    newest = rows[-1] if rows else None
    return Person(
        identity=key_text(peer.identity),
        standing=peer.standing.value,
        next_counter=peer.next_counter,
        last_place=newest.place if newest is not None else 0,
        name=peer.name,
        alias=peer.alias,
        verified=peer.verified,
        device_list=peer.device_list,
        unlisted_device=any(device.listing is Listing.UNLISTED for device in devices),
        unread=len(unread),
        first_unread=unread[0] if unread else None,
        last=None if newest is None else _last(newest),
        active_ms=newest.saved_ms if newest is not None else 0,
    )


def _last(row: MessageRow) -> Last:
    text = row.text if row.file is None else row.file.name
    return Last(row.mine == 1, row.kind, text[:_PREVIEW_CHARACTERS], row.sent_ms, row.state)


def _lines(database: HomeDatabase, peer: Peer, taken: set[bytes]) -> list[MessageRow]:
    return [
        _line(database, message, (number + 1) * PLACE_STEP, taken)
        for number, message in enumerate(database.conversation(peer.identity))
    ]


def _line(
    database: HomeDatabase, message: HistoryMessage, place: int, taken: set[bytes]
) -> MessageRow:
    row = MessageRow(
        id=_free_id(message.id, taken).hex(),
        chat=key_text(message.peer),
        content_id=message.id.hex(),
        mine=1 if message.outgoing else 0,
        place=place,
        kind="text",
        text=message.text,
        sent_ms=message.sent_ms,
        saved_ms=message.received_ms,
        state=_STATES[message.state],
        device=message.sender_device.hex(),
        counter=message.counter,
    )
    if message.outgoing:
        row.delivery = Delivery(
            copies=message.copies,
            of=message.replicas,
            expires_ms=message.sent_ms + LIFETIME_HOURS * _MS_PER_HOUR,
        )
    elif not database.shown(message.seq):
        row.unread = 1
    if database.is_deleted(message):
        row.kind, row.text = "deleted", ""
        return row
    if message.file is not None:
        row.kind, row.text, row.file = "file", "", _file_row(message.file)
    row.edit_counter = database.edit_counter(message)
    row.my_reaction = _mark(database.last_reaction(message, ours=True))
    row.their_reaction = _mark(database.last_reaction(message, ours=False))
    return row


def _free_id(wanted: bytes, taken: set[bytes]) -> bytes:
    """Two people may give theirs the same id, by chance or to confuse."""
    free = wanted
    while free in taken:
        free = ((int.from_bytes(free) + 1) % (1 << 8 * _ID_BYTES)).to_bytes(_ID_BYTES)
    taken.add(free)
    return free


def _mark(reaction: HistoryMessage | None) -> Mark | None:
    return None if reaction is None else Mark(reaction.text, reaction.counter)


def _file_row(file: File) -> FileRow:
    return FileRow(file.name, file.type, file.size, file.key, file.expires_hours, list(file.hashes))


# -- into a home -----------------------------------------------------------------------------------


class Taking:
    """Puts what a file held into a home that is being made."""

    def __init__(self, exported: Exported, now: float, random_bytes: RandomBytes) -> None:
        self._exported = exported
        self._now = now
        self._random_bytes = random_bytes

    def fill(self, database: HomeDatabase, own: OwnIdentity) -> None:
        """A :data:`tace.client.home.Fill`."""
        exported = self._exported
        addressing = Addressing(database, own, Directory(database), self._random_bytes)
        for person in exported.people:
            database.set_peer(_peer(person))
        again: list[HistoryMessage] = []
        for row in sorted(exported.messages, key=lambda row: (row.chat, row.place)):
            self._line(database, row, again)
        for message in again:
            # No node had it when the file was made.
            addressing.write_again(message, self._now)
        for person in exported.people:
            if person.standing == "contact" and person.last is not None:
                addressing.greet(identity_bytes(person.identity), self._now)
        if exported.settings.strangers in set(Policy):
            set_policy(database, Policy(exported.settings.strangers))
        database.remember_nodes(
            [(origin, b"") for origin in _origins(exported)], self._now, keep=MAX_NODES
        )

    def _line(self, database: HomeDatabase, row: MessageRow, again: list[HistoryMessage]) -> None:
        deleted = row.kind == "deleted"
        if not deleted and row.kind not in ("text", "file"):
            # What only says that something could not be read, or of a kind that nobody kept.
            return
        peer, message_id = identity_bytes(row.chat), bytes.fromhex(row.content_id)
        ours = row.mine == 1
        file = None if deleted or row.file is None else _file(row.file)
        new = database.add_message(
            peer=peer,
            message_id=message_id,
            outgoing=ours,
            state=_FROM_STATES.get(row.state, MessageState.FAILED)
            if ours
            else MessageState.RECEIVED,
            sender_device=_device(row.device),
            counter=row.counter,
            sent_ms=int(row.sent_ms),
            received_ms=int(row.saved_ms),
            text="" if deleted else row.text if file is None else file.name,
            kind=Kind.TEXT if file is None else Kind.FILE,
            file=file,
            shown=row.unread != 1,
        )
        if not new:
            return
        if deleted:
            self._about(database, row, Kind.DELETE, ours, Mark("", row.counter))
            return
        if row.edit_counter:
            self._about(database, row, Kind.EDIT, ours, Mark("", row.edit_counter), row.text)
        for side, mark in ((True, row.my_reaction), (False, row.their_reaction)):
            if mark is not None:
                self._about(database, row, Kind.REACTION, side, mark)
        saved = database.message(peer, message_id, outgoing=True) if ours else None
        if saved is not None and row.state == "saved" and file is None:
            again.append(saved)

    def _about(
        self,
        database: HomeDatabase,
        row: MessageRow,
        kind: int,
        ours: bool,
        mark: Mark,
        text: str = "",
    ) -> None:
        """A change of a message, which the file tells by what it made of it."""
        database.add_message(
            peer=identity_bytes(row.chat),
            message_id=self._random_bytes(_ID_BYTES),
            outgoing=ours,
            state=MessageState.DELIVERED if ours else MessageState.RECEIVED,
            counter=mark.counter,
            sent_ms=int(row.sent_ms),
            received_ms=int(row.saved_ms),
            text=text or mark.emoji,
            kind=kind,
            target=bytes.fromhex(row.content_id),
            shown=True,
        )


def _peer(person: Person) -> Peer:
    identity = identity_bytes(person.identity)
    peer = Peer(
        identity,
        person.name,
        next_counter=person.next_counter + COUNTER_MARGIN,
        alias=person.alias[:MAX_NAME],
        standing=Standing(person.standing),
        verified=person.verified,
    )
    try:
        if person.device_list and device_list(person.device_list).record.identity == identity:
            # No older one is taken; what it names is looked up anew.
            return replace(peer, device_list=person.device_list)
    except BadRecord:
        pass
    return peer


def _device(text: str) -> bytes:
    try:
        return bytes.fromhex(text) if len(text) == _DEVICE_HEX else b""
    except ValueError:
        return b""


def _file(row: FileRow) -> File:
    return File(row.name, row.type, row.bytes, row.key, row.expires_hours, tuple(row.hashes))


def _origins(exported: Exported) -> list[str]:
    found: list[str] = []
    for node in exported.nodes:
        try:
            found.append(NodeAddress.parse(node.origin).origin)
        except ValueError:
            # One that this version cannot dial.
            continue
    return found[:EXPORTED_NODES]
