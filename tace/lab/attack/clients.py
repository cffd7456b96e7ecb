"""Clients that break the protocol, over WebSocket, and one that only never confirms."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from tace.identity.mailbox_proof import LEASE_SECONDS, Lease
from tace.ids import KIND_CONTACTS, mailbox_id
from tace.lab.attack.ground import CUT, KEPT, SERVED, Ground, Words
from tace.lab.attack.objects import letter
from tace.lab.attack.peers import NESTED
from tace.lab.attack.websocket import RudeClient, open_socket
from tace.wire.client import (
    HEAD_BYTES,
    MAX_CLIENT_MESSAGE_BYTES,
    Challenge,
    ClientPing,
    ClientRefused,
    OpenLease,
    Push,
    Send,
    SendAnswer,
    StartWatch,
    encode_client_message,
)
from tace.wire.fields import MAX_ENVELOPES, LeaseField
from tace.wire.message import Message

WINDOW = 64
WINDOW_KEPT = "window"
"""No more was pushed than the window allows."""


async def noise(ground: Ground) -> Words:
    """Messages that are none: text, too short, bodies that are no MessagePack, random bodies."""
    head = encode_client_message(ClientPing(), 1)[:HEAD_BYTES]
    sending = Send.NUMBER.to_bytes(2) + (1).to_bytes(4)

    def say(client: RudeClient, number: int) -> None:
        kinds = (b"hello", b"\x00", head + b"\xc1" * 40, sending + ground.random.randbytes(200))
        client.say(kinds[number % 4], binary=number % 4 != 0)

    return await _each(ground, say)


async def nested(ground: Ground) -> Words:
    """Requests nested a thousand deep."""
    head = (Send.NUMBER).to_bytes(2) + (1).to_bytes(4)
    return await _each(ground, lambda client, _: client.say(head + NESTED))


async def oversized(ground: Ground) -> Words:
    """Messages longer than any may be, whole and announced."""
    return await _each(ground, lambda client, _: client.say(bytes(MAX_CLIENT_MESSAGE_BYTES + 1)))


async def node_words(ground: Ground) -> Words:
    """Messages that only nodes send."""
    push = encode_client_message(Push(bytes(3630)), 0)
    return await _each(ground, lambda client, _: client.say(push))


async def replayed_lease(ground: Ground) -> Words:
    """A lease that was signed for another connection, another node, another origin, or is over."""
    words = Words()
    theirs = await open_socket(ground)
    assert theirs is not None
    challenge = await theirs.challenged.wait()
    for number in range(ground.size):
        client = await open_socket(ground)
        if client is None:
            words[CUT] += 1
            continue
        own = await client.challenged.wait()
        lease = (
            _lease(ground, challenge),
            _lease(ground, own, node=bytes(32)),
            _lease(ground, own, origin="https://elsewhere.example"),
            _lease(ground, own, seconds=-10),
        )[number % 4]
        words[await _word(ground, client.ask(OpenLease(lease), 1))] += 1
        client.cut()
    theirs.cut()
    return words


async def never_acks(ground: Ground) -> Words:
    """A recipient with a full mailbox who takes and never confirms."""
    words = Words()
    sender, owner = await open_socket(ground), await open_socket(ground)
    assert sender is not None and owner is not None
    challenge = await owner.challenged.wait()
    key = ground.key(7)
    mailbox = mailbox_id(key.public, KIND_CONTACTS)
    opened = await _word(ground, owner.ask(OpenLease(_lease(ground, challenge)), 1))
    if opened != SERVED:
        words[opened] += 1
    owner.ask(StartWatch((mailbox,), 0xFFFF), 2)
    for first in range(0, ground.size, MAX_ENVELOPES):
        batch = tuple(
            letter(ground, mailbox, first + n).encoded
            for n in range(min(MAX_ENVELOPES, ground.size - first))
        )
        answer: Message = await ground.within_patience(
            sender.ask(Send(batch), 3 + first), ClientRefused(KEPT)
        )
        if isinstance(answer, SendAnswer):
            words.update(result.state for result in answer.results)
        elif isinstance(answer, ClientRefused):
            words[answer.code] += 1
    # What is pushed stands before the answer to what is asked later.
    words[await _word(ground, owner.ask(ClientPing(), 4))] += 1
    words[WINDOW_KEPT if owner.pushes <= WINDOW else f"{owner.pushes} pushed"] += 1
    sender.cut()
    owner.cut()
    return words


async def silence(ground: Ground) -> Words:
    """Clients that are challenged and say nothing, more than the node takes."""
    clients = [await open_socket(ground) for _ in range(ground.size)]
    taken = [client for client in clients if client is not None]
    words = Words({SERVED: len(taken), CUT: len(clients) - len(taken)})
    for client in taken:
        client.cut()
    return +words


# -- in common -----------------------------------------------------------------------------------


async def _each(ground: Ground, say: Callable[[RudeClient, int], None]) -> Words:
    """One client after the other; how each was ended."""
    words = Words()
    for number in range(ground.size):
        client = await open_socket(ground)
        if client is None:
            words[CUT] += 1
            continue
        say(client, number)
        words[await ground.within_patience(client.ended.wait(), KEPT)] += 1
        client.cut()
    return words


async def _word(ground: Ground, answering: Deferred[Message]) -> str:
    answer = await ground.within_patience(answering, ClientRefused(KEPT))
    return answer.code if isinstance(answer, ClientRefused) else SERVED


def _lease(
    ground: Ground,
    challenge: Challenge,
    *,
    node: bytes | None = None,
    origin: str | None = None,
    seconds: int = LEASE_SECONDS,
) -> LeaseField:
    lease = Lease.sign(
        ground.key(7),
        KIND_CONTACTS,
        network_id=challenge.network_id,
        node=challenge.node_id if node is None else node,
        origin=ground.target.client.origin if origin is None else origin,
        challenge=challenge.challenge,
        expires_seconds=int(ground.now()) + seconds,
    )
    return LeaseField(
        lease.mailbox_key,
        lease.kind,
        lease.origin,
        lease.challenge,
        lease.expires_seconds,
        lease.signature,
    )
