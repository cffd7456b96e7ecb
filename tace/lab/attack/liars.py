"""Nodes that pass the hello, take their place in the ring, and then lie.

They are made of the real links: only what they answer is not what they should.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from twisted.internet.task import deferLater

from tace.client.websocket import WebSocketDialer
from tace.config import LinksSettings
from tace.errors import Redirect
from tace.identity.node_record import NodeRecord
from tace.ids import KIND_CONTACTS, MailboxId, NodeId, mailbox_id, position_of
from tace.lab.attack.ground import Ground, NoCounts, Words
from tace.lab.attack.objects import letter
from tace.lab.attack.stranger import hostile_record
from tace.links.service import PeerLinks
from tace.seams import Procedure
from tace.wire.client import GetStatus, Send
from tace.wire.fields import MemberField, PlaceField, PutResult
from tace.wire.message import Message
from tace.wire.objects import Envelope
from tace.wire.peer import (
    Done,
    GetMembers,
    GetRecords,
    GetRing,
    Members,
    Notify,
    PutAnswer,
    PutEnvelopes,
    Records,
    Ring,
)

LOOK_EVERY_SECONDS = 0.05
INVENTED = 40
"""Nodes that a liar makes up: more than a successor list holds."""
NOT_ADOPTED = "not-adopted"
"""A pointer that was offered is nowhere in the node's own."""
NOT_ASKED = "not-asked"
"""The liar is no neighbour of anybody's who knows where to find it: nothing was learned."""
GIVEN_UP = "given-up"
"""The node stopped asking those that send it round."""
ASKED_ON = "asked-on"
"""It went on beyond what the protocol allows."""
MAX_ASKED = 3
"""A node follows a redirect at most twice, so it asks nobody more often than this."""


class _Book:
    """The address book of a liar: it dials nobody."""

    def record_of(self, node: NodeId) -> NodeRecord | None:
        return None


class _Own:
    def __init__(self, record: NodeRecord) -> None:
        self.current = record


class Liar:
    """A hostile node with real links.

    :param procedures: what it answers; everything else it does not know.
    """

    def __init__(self, ground: Ground, number: int) -> None:
        self._ground = ground
        self.key = ground.key(number)
        self._own = _Own(hostile_record(ground, self.key))
        self.links = PeerLinks(
            LinksSettings(listen=f"tcp:0:interface={ground.target.peer_host}"),
            self.key,
            ground.target.network_id,
            self._own,
            _Book(),
            ground.reactor,
            ground.reactor,
            Random(number),
            NoCounts(),
        )

    @property
    def record(self) -> NodeRecord:
        return self._own.current

    async def join(self, procedures: Mapping[type[Message], Procedure]) -> None:
        """Listen, and have the target know it.

        :raises LinkLost: the target does not link with it.
        """
        self.links.serve(procedures)
        await self.links.start()
        address = f"{self._ground.target.peer_host}:{self.links.port}"
        self._own.current = hostile_record(self._ground, self.key, address=address, sequence=2)
        target = self._ground.target
        await self.links.introduce(f"{target.peer_host}:{target.peer_port}")

    async def leave(self) -> None:
        await self.links.close(within_seconds=0)


class RingLies:
    """Answers about the ring: everyone in it is made up, and the target's neighbours are gone.

    :ivar asked: how often the target has asked for the ring.
    """

    def __init__(self, ground: Ground) -> None:
        self.invented = [ground.random.randbytes(32) for _ in range(INVENTED)]
        self.asked = 0
        self._random = ground.random

    def procedures(self) -> dict[type[Message], Procedure]:
        return {
            GetRing: self._ring,
            Notify: self._notify,
            GetMembers: self._members,
            GetRecords: self._records,
        }

    async def _ring(self, peer: NodeId, message: GetRing) -> Ring:
        self.asked += 1
        return Ring(
            message.index,
            True,
            self._random.randbytes(32),
            predecessor=PlaceField(self._random.choice(self.invented), 0),
            successors=tuple(PlaceField(node, 0) for node in self.invented),
        )

    async def _notify(self, peer: NodeId, message: Notify) -> Done:
        return Done()

    async def _members(self, peer: NodeId, message: GetMembers) -> Members:
        # Never ends: always the same full page with more behind it.
        names = sorted(self._random.randbytes(32) for _ in range(INVENTED))
        return Members(tuple(MemberField(node, 1 << 62, 1) for node in names), more=True)

    async def _records(self, peer: NodeId, message: GetRecords) -> Records:
        return Records(tuple(self._random.randbytes(300) for _ in message.nodes))


async def ring_lies(ground: Ground) -> Words:
    """Wrong snapshots for every question, changed each time; what the target then points to."""
    liar = Liar(ground, 0)
    lies = RingLies(ground)
    connection = await WebSocketDialer(ground.reactor)(ground.target.client)
    try:
        await connection.opened()
        await liar.join(lies.procedures())
        until = ground.now() + ground.patience_seconds
        while lies.asked < ground.size and ground.now() < until:
            await deferLater(ground.reactor, LOOK_EVERY_SECONDS)
        status = await connection.request(GetStatus())
    finally:
        connection.close()
        await liar.leave()
    if lies.asked < ground.size:
        return Words([NOT_ASKED])
    named = {place for p in status.positions for place in (p.predecessor, *p.successors)}
    invented = {position_of(node, 0) for node in lies.invented}
    return Words(["adopted" if place in named else NOT_ADOPTED for place in invented])


class RoundAndRound:
    """Sends whoever writes to it to another, who sends them back.

    :param mailbox: whose envelopes are counted: what honest people offer again is asked again.
    :ivar asked: how often it was asked to keep each of them.
    """

    def __init__(self, mailbox: MailboxId) -> None:
        self.asked: Words = Words()
        self._mailbox = mailbox
        self.other: bytes = b""

    def procedures(self, lies: RingLies) -> dict[type[Message], Procedure]:
        return {**lies.procedures(), PutEnvelopes: self._put}

    async def _put(self, peer: NodeId, message: PutEnvelopes) -> PutAnswer:
        parsed = [Envelope.parse(encoded) for encoded in message.envelopes]
        self.asked.update(e.id.hex() for e in parsed if e.mailbox == self._mailbox)
        records = (self.other,) if self.other else ()
        return PutAnswer(tuple(PutResult(Redirect.code) for _ in message.envelopes), records)


async def circular_redirects(ground: Ground) -> Words:
    """Two replicas that redirect to each other, for every envelope."""
    liars = (Liar(ground, 0), Liar(ground, 1))
    mailbox = mailbox_id(ground.key(8).public, KIND_CONTACTS)
    circles = (RoundAndRound(mailbox), RoundAndRound(mailbox))
    connection = await WebSocketDialer(ground.reactor)(ground.target.client)
    try:
        await connection.opened()
        for liar, circle in zip(liars, circles, strict=True):
            await liar.join(circle.procedures(RingLies(ground)))
        circles[0].other, circles[1].other = liars[1].record.encoded, liars[0].record.encoded
        for number in range(ground.size):
            envelope = letter(ground, mailbox, number)
            await connection.request(Send((envelope.encoded,)))
    finally:
        connection.close()
        for liar in liars:
            await liar.leave()
    words = Words()
    for circle in circles:
        for count in circle.asked.values():
            words[GIVEN_UP if count <= MAX_ASKED else ASKED_ON] += 1
    return words
