"""What a node says no to, over its real sockets, while others go on."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory

from tace.errors import Unauthorized
from tace.identity.keys import SigningKey
from tace.identity.link_proof import Role, sign_link_proof
from tace.identity.node_record import NodeRecord
from tace.links.tls import LinkTls, exporter_value
from tace.wire.client import (
    HEAD_BYTES,
    MAX_CLIENT_MESSAGE_BYTES,
    SUBPROTOCOL,
    Ack,
    ClientPing,
    OpenLease,
    encode_client_message,
)
from tace.wire.fields import LeaseField, TombstoneField
from tace.wire.message import Message
from tace.wire.objects import SECRET_BYTES, Envelope
from tace.wire.peer import Goodbye, Hello, Refused, Watch
from tests.letters import Box
from tests.links.nodes import signed_record
from tests.links.stranger import Stranger
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Recipient, Sender, connect
from tests.smoke.stage.waiting import until
from tests.smoke.stage.websocket import Closed, dial

NORMAL, TOO_BIG = 1000, 1009
"""Close codes (RFC 6455 section 7.4.1): a message that is too big is WebSocket's own matter."""
ANSWERS_WITHIN_SECONDS = 5.0
SECRET_AT = 36
"""Where the secret stands in a tombstone."""


class AtTheGateway(SmokeCase):
    """Two nodes; a bystander watches her mailbox through the one that is bothered."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.nodes = Nodes(self, 2)
        await self.nodes.start()
        self.address = self.nodes.address(0)
        self.bystander = await Recipient.at(self, self.address, Box("bystander"))
        self.sender = await Sender.at(self, self.nodes.address(1))

    async def _assert_bystander_is_served(self) -> None:
        number = len(self.bystander.arrived) + 1
        letter = self.bystander.box.envelope(number, reactor.seconds())
        self.assertEqual((await self.sender.send_one(letter)).state, "stored")
        await self.bystander.gets(number).addTimeout(ANSWERS_WITHIN_SECONDS, reactor)
        self.assertEqual(self.bystander.losses, 0)

    async def test_relayed_lease(self) -> None:
        """A lease opens the mailbox on its own connection, at its own node, and nowhere else."""
        box = Box("victim")
        theirs = await connect(self, self.address)
        elsewhere = await connect(self, self.nodes.address(1))

        def lease(**changed: object) -> LeaseField:
            proper: dict[str, object] = {
                "network_id": theirs.challenge.network_id,
                "node": theirs.challenge.node_id,
                "origin": self.address.origin,
                "challenge": theirs.challenge.challenge,
                "now": theirs.node_seconds,
            }
            return box.lease(**{**proper, **changed})  # type: ignore[arg-type]

        on_another = await connect(self, self.address)
        for connection, relayed, reason in (
            (on_another, lease(), "another connection"),
            (elsewhere, lease(), "another origin"),
            (elsewhere, lease(origin=self.nodes.address(1).origin), "another connection"),
            (
                elsewhere,
                lease(
                    origin=self.nodes.address(1).origin,
                    challenge=elsewhere.challenge.challenge,
                ),
                "not signed by the mailbox key for this node",
            ),
            (theirs, lease(network_id=bytes(32)), "not signed by the mailbox key for this node"),
        ):
            with self.assertRaisesRegex(Unauthorized, reason):
                await connection.request(OpenLease(relayed))
        await theirs.request(OpenLease(lease()))
        await self._assert_bystander_is_served()

    async def test_wrong_ack_secret(self) -> None:
        """``malformed``, and the message stays; with its secret it goes."""
        box = Box("victim")
        owner = await Recipient.at(self, self.address, box, acks=False)
        letter = box.envelope(1, reactor.seconds())
        await self.sender.send_one(letter)
        await owner.gets(1)
        proper = box.tombstone(letter, 1)
        wrong = proper.tombstone[:SECRET_AT] + bytes(SECRET_BYTES)
        wrong += proper.tombstone[SECRET_AT + SECRET_BYTES :]
        answer = await owner.connection.request(Ack((TombstoneField(box.id, wrong),)))
        self.assertEqual([result.code for result in answer.results], ["malformed"])
        self.assertEqual((await self.sender.send_one(letter)).state, "stored")
        self.assertEqual(await owner.ack([(1, letter)]), ["stored"])
        self.assertEqual((await self.sender.send_one(letter)).state, "acked")
        await self._assert_bystander_is_served()

    async def test_redated_envelope(self) -> None:
        """Beyond what the network keeps, and in the past: each its word. Within, it is another
        message: the first one's ack does not touch it.
        """
        box = Box("victim")
        letter = box.envelope(1, reactor.seconds())
        self.assertEqual((await self.sender.send_one(letter)).state, "stored")
        for hours, word in ((24 * 365, "too-far-ahead"), (-48, "expired")):
            result = await self.sender.send_one(_redated(letter, hours))
            self.assertEqual((result.state, result.copies), (word, 0))
        later = _redated(letter, 1)
        self.assertNotEqual(later.id, letter.id)
        self.assertEqual((await self.sender.send_one(later)).state, "stored")
        owner = await Recipient.at(self, self.address, box, acks=False)
        self.assertEqual(await owner.ack([(1, letter)]), ["stored"])
        self.assertEqual((await self.sender.send_one(letter)).state, "acked")
        self.assertEqual((await self.sender.send_one(later)).state, "stored")
        await self._assert_bystander_is_served()

    async def test_broken_rules(self) -> None:
        """Each hears why before it is cut off, and nobody else notices."""
        garbage = encode_client_message(ClientPing(), 1)[:HEAD_BYTES] + b"\xff" * 40
        for payload, binary, word, code in (
            (b"hello", False, "protocol-error", NORMAL),
            (garbage, True, "protocol-error", NORMAL),
            (bytes(MAX_CLIENT_MESSAGE_BYTES + 1), True, "", TOO_BIG),
        ):
            closed = await self._closed_for(payload, binary=binary)
            self.assertEqual((closed.refusal, closed.code), (word, code))
            await self._assert_bystander_is_served()

    async def test_wrong_subprotocol(self) -> None:
        """The handshake is refused, and says what is needed."""
        for offered in (["chat"], []):
            client = await dial(self.address, offered)
            closed = await client.closed.addTimeout(ANSWERS_WITHIN_SECONDS, reactor)
            self.assertFalse(client.opened.called)
            self.assertIn("400", closed.reason)
            self.assertIn(SUBPROTOCOL, closed.reason)
        await self._assert_bystander_is_served()

    async def _closed_for(self, payload: bytes, *, binary: bool) -> Closed:
        client = await dial(self.address, [SUBPROTOCOL])
        await client.opened.addTimeout(ANSWERS_WITHIN_SECONDS, reactor)
        client.say(payload, binary=binary)
        closed: Closed = await client.closed.addTimeout(ANSWERS_WITHIN_SECONDS, reactor)
        return closed


class AtTheLink(SmokeCase):
    """One node; strangers dial its peer port."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.nodes = Nodes(self, 1)
        (status,) = await self.nodes.start()
        self.network_id = status.network_id
        self.bystander = await Recipient.at(self, self.nodes.address(0), Box("bystander"))
        self.key = SigningKey.from_seed(b"stranger" * 6)

    async def _dial(self) -> Stranger:
        stranger = Stranger()
        factory = Factory.forProtocol(lambda: stranger)
        tls = TLSMemoryBIOFactory(LinkTls(reactor.seconds()), True, factory, reactor)
        port = self.nodes.plans[0].peer_port
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(tls)

        async def handshaken() -> bool:
            return stranger.handshaken

        def abort() -> None:
            if stranger.lost is None:
                stranger.transport.abortConnection()

        self.addCleanup(abort)
        await until("the handshake is over", handshaken, ANSWERS_WITHIN_SECONDS)
        return stranger

    def _hello(self, stranger: Stranger, network_id: bytes, spoken_on: Stranger) -> Hello:
        """The stranger's hello, signed over the session ``spoken_on``."""
        record: NodeRecord = signed_record(self.key, network_id=network_id)
        hello = stranger.hello(
            key=self.key, record=record, network_id=network_id, clock_seconds=reactor.seconds()
        )
        if spoken_on is stranger:
            return hello
        proof = sign_link_proof(
            self.key, network_id, Role.DIALLED, exporter_value(spoken_on.transport)
        )
        return Hello(hello.versions, network_id, hello.record, hello.clock_ms, proof)

    async def _told(self, stranger: Stranger, kind: type[Message]) -> Message:
        async def look() -> list[Message]:
            return [message for message in stranger.messages if isinstance(message, kind)]

        told = await until(f"a {kind.__name__}", look, ANSWERS_WITHIN_SECONDS)
        return told[0]

    async def _assert_hung_up(self, stranger: Stranger, word: str) -> None:
        goodbye = await self._told(stranger, Goodbye)
        assert isinstance(goodbye, Goodbye)
        self.assertEqual(goodbye.code, word)

        async def lost() -> bool:
            return stranger.lost is not None

        await until("the node hangs up", lost, ANSWERS_WITHIN_SECONDS)
        self.assertEqual(self.bystander.losses, 0)

    async def test_wrong_network(self) -> None:
        """``wrong-network``."""
        stranger = await self._dial()
        stranger.say(self._hello(stranger, bytes(32), stranger))
        await self._assert_hung_up(stranger, "wrong-network")

    async def test_relayed_hello(self) -> None:
        """``bad-link-proof`` for a hello that was signed over another TLS session."""
        first, second = await self._dial(), await self._dial()
        second.say(self._hello(second, self.network_id, first))
        await self._assert_hung_up(second, "bad-link-proof")
        first.say(self._hello(first, self.network_id, first))
        await self._told(first, Hello)

    async def test_relayed_lease(self) -> None:
        """``unauthorized`` for a watch with the lease that a person gave to another node."""
        stranger = await self._dial()
        stranger.say(self._hello(stranger, self.network_id, stranger))
        await self._told(stranger, Hello)
        lease = Box("victim").lease(
            network_id=self.network_id,
            node=self.bystander.connection.challenge.node_id,
            now=reactor.seconds(),
        )
        stranger.say(Watch(lease, bodies=True), request_id=1)
        refused = await self._told(stranger, Refused)
        assert isinstance(refused, Refused)
        self.assertEqual(refused.code, "unauthorized")
        self.assertEqual(self.bystander.losses, 0)


def _redated(letter: Envelope, hours: int) -> Envelope:
    """The same letter with another expiry, so many hours later."""
    return Envelope.make(
        mailbox=letter.mailbox,
        expires_hours=letter.expires_hours + hours,
        lock=letter.lock,
        blob=letter.blob,
    )
