"""Strangers at the peer port: noise, half of something, too much, nothing, and stolen words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tace.errors import LinkLost
from tace.identity.keys import node_id
from tace.identity.mailbox_proof import LEASE_SECONDS, Lease
from tace.ids import KIND_CONTACTS, NodeId
from tace.lab.attack.ground import CUT, KEPT, SERVED, Ground, Words
from tace.lab.attack.raw import connect, connect_many, ends_of, trickle
from tace.lab.attack.stranger import (
    FIRST_REQUEST_ID,
    Stranger,
    dial,
    hostile_record,
    introduced,
)
from tace.wire.fields import LeaseField, PutResult
from tace.wire.framing import HEAD_BYTES, MAX_BODY_BYTES, MAX_BODY_BYTES_BEFORE_HELLO, encode_frame
from tace.wire.message import Message, encode
from tace.wire.peer import (
    Done,
    GetMembers,
    GetRecords,
    Hello,
    Members,
    Pong,
    PutAnswer,
    Records,
    Refused,
    Watch,
)

NESTED = b"\x91" * 1000 + b"\x90"
"""MessagePack: an array in an array, a thousand deep."""
TRICKLE_SECONDS = 0.05
PACE_SECONDS = 0.01
FORGERIES = 256
"""Frames with nothing but forged records in them."""
MAX_UNREAD = 8192
"""Requests of a peer that reads no answers: with 32 records each, some 100 MiB of them."""
OUT_OF_RANGE = b"\xff\xff\xff\xff"


async def noise(ground: Ground) -> Words:
    """Random bytes where TLS is spoken."""
    target = ground.target
    raws = await connect_many(ground, target.peer_host, target.peer_port, ground.size)
    for raw in raws:
        # The first byte of a TLS record is 20 to 24: some of this looks like one.
        raw.write(ground.random.choice((b"\x16\x03\x01", b"")) + ground.random.randbytes(600))
    return await ends_of(ground, raws)


async def noise_in_tls(ground: Ground) -> Words:
    """Random bytes where a hello is due."""
    return await _first_words(ground, lambda _: ground.random.randbytes(600))


async def nested(ground: Ground) -> Words:
    """A hello, and a request after a good hello, nested a thousand deep."""
    words = await _first_words(ground, lambda _: encode_frame(Hello.NUMBER, 0, NESTED))
    for number in (GetMembers.NUMBER, Watch.NUMBER):
        stranger = await introduced(ground)
        stranger.write(encode_frame(number, FIRST_REQUEST_ID, NESTED))
        words += await _ends(ground, [stranger])
    return words


async def oversized(ground: Ground) -> Words:
    """Lengths beyond what is allowed, before the hello and after it; the bytes never come."""
    before = (6 + MAX_BODY_BYTES_BEFORE_HELLO + 1).to_bytes(4)
    words = await _first_words(ground, lambda n: (OUT_OF_RANGE, before, bytes(4))[n % 3])
    for length in (OUT_OF_RANGE, (6 + MAX_BODY_BYTES + 1).to_bytes(4), (5).to_bytes(4)):
        stranger = await introduced(ground)
        stranger.write(length)
        words += await _ends(ground, [stranger])
    return words


async def half_frames(ground: Ground) -> Words:
    """Hellos that break off, in the middle of the head or of the body, and nothing after that."""

    def half(stranger: Stranger, number: int) -> bytes:
        hello = stranger.proper_hello(ground.key())
        frame = encode_frame(Hello.NUMBER, 0, encode(hello))
        return frame[: HEAD_BYTES - 3 if number % 2 else len(frame) // 2]

    strangers = await _dial_many(ground)
    for number, stranger in enumerate(strangers):
        stranger.write(half(stranger, number))
    return await _ends(ground, strangers)


async def slow_handshakes(ground: Ground) -> Words:
    """Slow loris: a TLS handshake, byte by byte."""
    target = ground.target

    async def one() -> str:
        raw = await connect(ground, target.peer_host, target.peer_port)
        if raw is None:
            return CUT
        head = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        return await trickle(ground, raw, head + bytes(1000), TRICKLE_SECONDS)

    return Words(
        await gatherResults(
            [Deferred.fromCoroutine(one()) for _ in range(ground.size)], consumeErrors=True
        )
    )


async def silence(ground: Ground) -> Words:
    """Connections that say nothing, many more than the node keeps."""
    target = ground.target
    raws = await connect_many(ground, target.peer_host, target.peer_port, ground.size)
    refused = ground.size - len(raws)
    words = await ends_of(ground, raws)
    words[CUT] += refused
    return words


async def wrong_key(ground: Ground) -> Words:
    """A record of one node, a hello signed by another."""
    strangers = await _dial_many(ground)
    for stranger in strangers:
        theirs = stranger.proper_hello(ground.key())
        own = stranger.proper_hello(ground.key(1))
        stranger.say(
            Hello(theirs.versions, theirs.network_id, theirs.record, own.clock_ms, own.signature)
        )
    return await _ends(ground, strangers)


async def replayed_hello(ground: Ground) -> Words:
    """A good hello, said again on another connection; and the node's own, sent back to it."""
    first = await introduced(ground)
    strangers = await _dial_many(ground)
    for stranger in strangers:
        stranger.say(stranger.proper_hello(ground.key(), over=first))
    words = await _ends(ground, strangers)
    echo = await introduced(ground, 1)
    greeting = await echo.greeted.wait()
    echoing = await dial(ground)
    echoing.say(greeting)
    words += await _ends(ground, [echoing, first, echo], ignore=(first, echo))
    return words


async def replayed_frames(ground: Ground) -> Words:
    """A second hello, and a request whose id is in use."""
    words = Words()
    second_hello = await introduced(ground)
    second_hello.say(second_hello.proper_hello(ground.key()))
    words += await _ends(ground, [second_hello])
    again = await introduced(ground)
    lease = _lease(ground, node_id(ground.key().public))
    frame = encode_frame(Watch.NUMBER, FIRST_REQUEST_ID, encode(Watch(lease, bodies=True)))
    # Both in one write: the first waits for the disk when the second is read.
    again.write(frame * 2)
    words += await _ends(ground, [again])
    return words


async def replayed_lease(ground: Ground) -> Words:
    """A watch with the lease that a person gave to the node under attack, and to nobody else."""
    words = Words()
    stranger = await introduced(ground)
    for number in range(ground.size):
        lease = _lease(ground, ground.target.node_id)
        words[await _answer_word(ground, stranger, Watch(lease, bodies=True), number)] += 1
    stranger.abort()
    return words


async def forged_records(ground: Ground) -> Words:
    """Records of nodes whose signatures do not hold, as fast as they can be sent."""
    words = Words()
    record = hostile_record(ground, ground.key(2)).encoded
    forged = record[:-1] + bytes([record[-1] ^ 1])
    for _ in range(2):
        stranger = await introduced(ground, 3)
        for _ in range(FORGERIES):
            stranger.say(Records((forged,) * 32))
        words += await _ends(ground, [stranger])
    return words


async def unasked_answers(ground: Ground) -> Words:
    """Answers to requests that the node never made, of every kind."""
    answers: Sequence[Message] = (
        Pong(),
        Done(),
        Members(()),
        PutAnswer((PutResult("stored"),)),
        Refused("redirect"),
    )
    words = Words()
    for number in range(ground.size):
        stranger = await introduced(ground)
        stranger.say(answers[number % len(answers)], FIRST_REQUEST_ID + number)
        words += await _ends(ground, [stranger])
    return words


async def never_reads(ground: Ground) -> Words:
    """Requests with large answers, and a peer that reads none of them."""
    stranger = await introduced(ground)
    stranger.transport.pauseProducing()
    request = encode(GetRecords((ground.target.node_id,) * 32))
    until = ground.now() + ground.patience_seconds
    number = FIRST_REQUEST_ID
    while not stranger.ended.happened and ground.now() < until:
        # More than the node may keep of its answers, then one now and then, as a sign of life.
        for _ in range(ground.size if number < FIRST_REQUEST_ID + MAX_UNREAD else 1):
            number += 1
            stranger.write(encode_frame(GetRecords.NUMBER, number, request))
        await deferLater(ground.reactor, PACE_SECONDS)
    word = CUT if stranger.ended.happened else KEPT
    stranger.abort()
    return Words([word])


# -- in common -----------------------------------------------------------------------------------


async def _dial_many(ground: Ground) -> list[Stranger]:
    return [await dial(ground) for _ in range(ground.size)]


async def _first_words(ground: Ground, what: Callable[[int], bytes]) -> Words:
    """Say this instead of a hello, on each of so many connections; how they ended."""
    strangers = await _dial_many(ground)
    for number, stranger in enumerate(strangers):
        stranger.write(what(number))
    return await _ends(ground, strangers)


async def _ends(
    ground: Ground, strangers: Sequence[Stranger], ignore: Sequence[Stranger] = ()
) -> Words:
    """With which word each connection was ended; what is kept is let go of."""
    words = Words()
    for stranger in strangers:
        if stranger not in ignore:
            words[await ground.within_patience(stranger.ended.wait(), KEPT)] += 1
    for stranger in strangers:
        stranger.abort()
    return words


async def _answer_word(ground: Ground, stranger: Stranger, request: Message, number: int) -> str:
    """The word of a refusal, or ``served``."""
    try:
        answer = await ground.within_patience(
            stranger.ask(request, FIRST_REQUEST_ID + number), Refused(KEPT)
        )
    except LinkLost as error:
        return str(error)
    return answer.code if isinstance(answer, Refused) else SERVED


def _lease(ground: Ground, node: NodeId) -> LeaseField:
    """Of a mailbox of somebody's, for that node."""
    lease = Lease.sign(
        ground.key(7),
        KIND_CONTACTS,
        network_id=ground.target.network_id,
        node=node,
        origin=ground.target.client.origin,
        challenge=bytes(32),
        expires_seconds=int(ground.now()) + LEASE_SECONDS,
    )
    return LeaseField(
        lease.mailbox_key,
        lease.kind,
        lease.origin,
        lease.challenge,
        lease.expires_seconds,
        lease.signature,
    )
