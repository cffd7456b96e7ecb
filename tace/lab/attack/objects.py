"""What is put into mailboxes and beside them: too old, too far ahead, unstamped, too much, junk."""

from __future__ import annotations

from hashlib import sha256

from twisted.internet.task import deferLater

from tace.client.connection import Connection
from tace.client.websocket import WebSocketDialer
from tace.e2ee.records import DeviceList, DeviceRecord
from tace.e2ee.stamp import stamp_search, with_stamp
from tace.errors import LinkLost, Refusal
from tace.identity.user_record import (
    KIND_DEVICE,
    KIND_DEVICE_LIST,
    MAX_USER_RECORD_BYTES,
    NO_DEVICE,
    UserRecord,
    user_record_key,
)
from tace.ids import KIND_CONTACTS, KIND_REQUESTS, MailboxId, mailbox_id
from tace.lab.attack.ground import KEPT, Ground, Words
from tace.lab.attack.stranger import FIRST_REQUEST_ID, Stranger, introduced
from tace.wire.client import FindRecord, PublishRecord, Send
from tace.wire.fields import MAX_ENVELOPES, MAX_TOMBSTONES, TombstoneField
from tace.wire.message import Message
from tace.wire.objects import (
    BLOB_BYTES,
    SECONDS_PER_HOUR,
    Envelope,
    Tombstone,
    lock_of,
    message_id,
)
from tace.wire.peer import PutAnswer, PutEnvelopes, PutRecord, PutTombstones, Refused

HOURS = 24
TOMBSTONES_AT_ONCE = MAX_TOMBSTONES - 4
GIVE_UP_SECONDS = 0.25
"""Between two looks whether somebody has let go of junk."""


def letter(ground: Ground, mailbox: MailboxId, number: int, *, hours: int = HOURS) -> Envelope:
    """An envelope with nothing in it that anybody can unseal."""
    return Envelope.make(
        mailbox=mailbox,
        expires_hours=int(ground.now()) // SECONDS_PER_HOUR + hours,
        lock=lock_of(number.to_bytes(16)),
        blob=ground.random.randbytes(BLOB_BYTES),
    )


def contacts_mailbox(ground: Ground) -> MailboxId:
    """Somebody's; each time another's."""
    return mailbox_id(ground.random.randbytes(33), KIND_CONTACTS)


def stamped(envelope: Envelope, target: int) -> Envelope:
    """The same with a stamp of so many bits."""
    for nonce in stamp_search(envelope.id, target):
        if nonce is not None:
            return with_stamp(envelope, target, nonce)
    raise AssertionError("the search ends with a nonce")


async def expired(ground: Ground) -> Words:
    """Envelopes and tombstones whose time is over."""
    return await _put_at(ground, hours=-1)


async def far_ahead(ground: Ground) -> Words:
    """Envelopes and tombstones that want to be kept for longer than anything is."""
    return await _put_at(ground, hours=ground.target.max_lifetime_hours + 24)


async def low_stamps(ground: Ground) -> Words:
    """Envelopes for a requests mailbox: no stamp, too small a one, and one that is not kept."""
    mailbox = mailbox_id(ground.random.randbytes(33), KIND_REQUESTS)
    wanted = ground.target.stamp_bits
    envelopes = []
    for number in range(ground.size):
        plain = letter(ground, mailbox, number)
        kinds = (plain, stamped(plain, max(0, wanted - 1)), with_stamp(plain, 255, number))
        envelopes.append(kinds[number % 3])
    return await _both_ways(ground, envelopes)


async def tombstone_flood(ground: Ground) -> Words:
    """Tombstones, each good in itself, for messages that nobody ever sent.

    Half of them stand in one mailbox, each of the others in one of its own.
    """
    stranger = await introduced(ground)
    words = Words()
    one = contacts_mailbox(ground)
    number = 0
    while number < ground.size:
        batch = []
        for _ in range(min(TOMBSTONES_AT_ONCE, ground.size - number)):
            mailbox = one if number % 2 else contacts_mailbox(ground)
            batch.append(_unknown_tombstone(ground, mailbox, number))
            number += 1
        answer = await _ask(ground, stranger, PutTombstones(tuple(batch)), number)
        words += _results(answer, len(batch))
        if stranger.ended.happened:
            break
    stranger.abort()
    return words


async def old_records(ground: Ground) -> Words:
    """User records below the sequence that is known, from a client and from a node."""
    words = Words()
    key = ground.key(9)
    newest = int(ground.now())
    connection = await _connection(ground)
    stranger = await introduced(ground)
    try:
        await connection.request(PublishRecord(_record(ground, newest).encoded))
        for number in range(ground.size):
            old = _record(ground, newest - 1 - number).encoded
            words[await _published(connection, old)] += 1
            answer = await _ask(ground, stranger, PutRecord(old), number)
            words += _results(answer, 1)
        found = await connection.request(FindRecord(user_record_key(KIND_DEVICE_LIST, key.public)))
    finally:
        connection.close()
        stranger.abort()
    if UserRecord.parse(found.record).sequence < newest:
        words["rolled back"] += 1
    return words


async def large_records(ground: Ground) -> Words:
    """A user record that is larger than any may be, and one that says it is longer than it is."""
    words = Words()
    good = _record(ground, int(ground.now())).encoded
    for body in (good + bytes(MAX_USER_RECORD_BYTES), good[:-64] + bytes(1000) + good[-64:]):
        connection = await _connection(ground)
        words[await _published(connection, body)] += 1
        connection.close()
        stranger = await introduced(ground)
        words += _results(await _ask(ground, stranger, PutRecord(body), 0), 1)
        stranger.abort()
    return words


async def junk(ground: Ground) -> Words:
    """Letters that do not unseal, properly stamped, to the requests mailbox of somebody honest.

    The node cannot know. The recipient's program removes them; then the node says so to whoever
    sends them again.
    """
    assert ground.victim is not None
    connection = await _connection(ground)
    words = Words()
    try:
        mailbox = await _requests_mailbox(connection, ground.victim)
        envelopes = [
            stamped(letter(ground, mailbox, number), ground.target.stamp_bits)
            for number in range(ground.size)
        ]
        for envelope in envelopes:
            await connection.request(Send((envelope.encoded,)))
        until = ground.now() + ground.patience_seconds
        for envelope in envelopes:
            while True:
                answer = await connection.request(Send((envelope.encoded,)))
                state = answer.results[0].state
                if state == "removed" or ground.now() > until:
                    break
                await deferLater(ground.reactor, GIVE_UP_SECONDS)
            words[state] += 1
    finally:
        connection.close()
    return words


async def quota(ground: Ground) -> Words:
    """More letters for one mailbox than a mailbox holds."""
    mailbox = contacts_mailbox(ground)
    connection = await _connection(ground)
    words = Words()
    try:
        for first in range(0, ground.size, MAX_ENVELOPES):
            batch = tuple(
                letter(ground, mailbox, number).encoded
                for number in range(first, min(first + MAX_ENVELOPES, ground.size))
            )
            answer = await connection.request(Send(batch))
            words.update(result.state for result in answer.results)
    except Refusal as refusal:
        words[refusal.code] += 1
    finally:
        connection.close()
    return words


# -- in common -----------------------------------------------------------------------------------


async def _put_at(ground: Ground, hours: int) -> Words:
    mailbox = contacts_mailbox(ground)
    envelopes = [letter(ground, mailbox, n, hours=hours) for n in range(ground.size)]
    words = await _both_ways(ground, envelopes)
    stranger = await introduced(ground)
    tombstones = tuple(
        _unknown_tombstone(ground, mailbox, number, hours=hours) for number in range(ground.size)
    )
    for first in range(0, len(tombstones), TOMBSTONES_AT_ONCE):
        batch = tombstones[first : first + TOMBSTONES_AT_ONCE]
        words += _results(await _ask(ground, stranger, PutTombstones(batch), first), len(batch))
    stranger.abort()
    return words


async def _both_ways(ground: Ground, envelopes: list[Envelope]) -> Words:
    """As a client sends them, and as a node stores them."""
    words = Words()
    connection = await _connection(ground)
    stranger = await introduced(ground)
    try:
        for first in range(0, len(envelopes), MAX_ENVELOPES):
            batch = tuple(e.encoded for e in envelopes[first : first + MAX_ENVELOPES])
            try:
                sent = await connection.request(Send(batch))
                words.update(result.state for result in sent.results)
            except Refusal as refusal:
                words[refusal.code] += 1
            answer = await _ask(ground, stranger, PutEnvelopes(batch), first)
            words += _results(answer, len(batch))
    finally:
        connection.close()
        stranger.abort()
    return words


async def _connection(ground: Ground) -> Connection:
    connection = await WebSocketDialer(ground.reactor)(ground.target.client)
    await connection.opened()
    return connection


async def _ask(ground: Ground, stranger: Stranger, request: Message, number: int) -> Message:
    """The answer, or a refusal that stands for none."""
    try:
        return await ground.within_patience(
            stranger.ask(request, FIRST_REQUEST_ID + number), Refused(KEPT)
        )
    except LinkLost as error:
        return Refused(str(error))


def _results(answer: Message, count: int) -> Words:
    if isinstance(answer, PutAnswer):
        return Words(result.code for result in answer.results)
    assert isinstance(answer, Refused)
    return Words({answer.code: count})


async def _published(connection: Connection, record: bytes) -> str:
    try:
        return (await connection.request(PublishRecord(record))).state
    except (Refusal, LinkLost) as error:
        return error.code


def _record(ground: Ground, sequence: int) -> UserRecord:
    """Of somebody who does not exist, with nothing in it."""
    return UserRecord.sign(
        ground.key(9),
        kind=KIND_DEVICE_LIST,
        device=NO_DEVICE,
        sequence=sequence,
        expires_hours=int(ground.now()) // SECONDS_PER_HOUR + HOURS,
        payload=b"",
    )


def _unknown_tombstone(
    ground: Ground, mailbox: MailboxId, number: int, *, hours: int = HOURS
) -> TombstoneField:
    secret = ground.random.randbytes(16)
    blob_hash = sha256(number.to_bytes(8)).digest()
    expires = int(ground.now()) // SECONDS_PER_HOUR + hours
    named = message_id(mailbox, expires, lock_of(secret), blob_hash)
    return TombstoneField(mailbox, Tombstone(mailbox, named, expires, secret, blob_hash).encoded)


async def _requests_mailbox(connection: Connection, identity: bytes) -> MailboxId:
    """Where strangers write to somebody, from their public records."""
    found = await connection.request(FindRecord(user_record_key(KIND_DEVICE_LIST, identity)))
    (listed, *_) = DeviceList.parse(found.record).devices
    device = await connection.request(
        FindRecord(user_record_key(KIND_DEVICE, identity, listed.device))
    )
    return DeviceRecord.parse(device.record).requests_mailbox
