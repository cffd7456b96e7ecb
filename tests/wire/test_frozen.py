"""Identifiers, objects and signatures, byte for byte as another implementation made them.

``tests/vectors/wire/frozen.json`` was written once, by a program that shares no code with tace. It
is never written again: a test here that fails means that old nodes and clients no longer understand
new ones.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.config import default_settings
from tace.identity.keys import SigningKey, node_id, verify
from tace.identity.link_proof import Role, sign_link_proof
from tace.identity.mailbox_proof import Lease, Removal
from tace.identity.node_record import NodeRecord
from tace.identity.user_record import UserRecord, user_record_key
from tace.ids import mailbox_id, position_of
from tace.wire.framing import encode_frame
from tace.wire.message import encode
from tace.wire.objects import Envelope, Tombstone, lock_of, message_id, stamp_bits
from tace.wire.peer import Hello
from tests.wire.vectors import FROZEN, load

SIGNATURE_BYTES = 64


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


class FreezeTests(SynchronousTestCase):
    """One test a kind; signatures are verified, everything else compared."""

    def setUp(self) -> None:
        self.frozen: dict[str, Any] = load(FROZEN)
        self.network = unhex(self.frozen["network_id"])
        self.node_key = SigningKey.from_seed(unhex(self.frozen["node"]["seed"]))
        self.mailbox_key = SigningKey.from_seed(unhex(self.frozen["mailbox"]["seed"]))
        self.node = unhex(self.frozen["node"]["id"])

    def assertSigned(self, public: bytes, vector: dict[str, Any]) -> None:
        """The frozen bytes end with a signature over the frozen input."""
        signature = unhex(vector["hex"])[-SIGNATURE_BYTES:]
        self.assertTrue(verify(public, signature, unhex(vector["signed"])))

    def test_network(self) -> None:
        """The network id is a hash of its name."""
        settings = default_settings(**{"node.network": self.frozen["network_name"]})
        self.assertEqual(settings.network_id, self.network)

    def test_node(self) -> None:
        """Key from seed, node id from key, positions from node id."""
        node = self.frozen["node"]
        self.assertEqual(self.node_key.public, unhex(node["public"]))
        self.assertEqual(node_id(self.node_key.public), self.node)
        self.assertEqual(
            [position_of(self.node, index) for index in range(8)],
            [unhex(position) for position in node["positions"]],
        )

    def test_mailbox(self) -> None:
        """A mailbox is the hash of its key, the last byte its kind."""
        mailbox = self.frozen["mailbox"]
        self.assertEqual(self.mailbox_key.public, unhex(mailbox["public"]))
        self.assertEqual(mailbox_id(self.mailbox_key.public, 1), unhex(mailbox["requests"]))
        self.assertEqual(mailbox_id(self.mailbox_key.public, 2), unhex(mailbox["contacts"]))

    def test_envelope(self) -> None:
        """Lock, id, stamp and the bytes of the whole."""
        frozen = self.frozen["envelope"]
        envelope = Envelope.parse(unhex(frozen["hex"]))
        mailbox = unhex(self.frozen["mailbox"]["requests"])
        lock = lock_of(unhex(frozen["secret"]))
        self.assertEqual(lock, unhex(frozen["lock"]))
        self.assertEqual(
            message_id(mailbox, frozen["expires_hours"], lock, unhex(frozen["blob_sha256"])),
            unhex(frozen["id"]),
        )
        self.assertEqual(envelope.id, unhex(frozen["id"]))
        self.assertEqual(
            stamp_bits(envelope.id, frozen["stamp_target"], frozen["stamp_nonce"]),
            frozen["stamp_bits"],
        )
        self.assertTrue(envelope.stamped_for(frozen["stamp_target"]))
        made = Envelope.make(
            mailbox=mailbox,
            expires_hours=frozen["expires_hours"],
            lock=lock,
            blob=envelope.blob,
            stamp_target=frozen["stamp_target"],
            stamp_nonce=frozen["stamp_nonce"],
        )
        self.assertEqual(made.encoded.hex(), frozen["hex"])

    def test_tombstone(self) -> None:
        """What an opened envelope leaves."""
        frozen = self.frozen["tombstone"]
        envelope = Envelope.parse(unhex(self.frozen["envelope"]["hex"]))
        secret = unhex(self.frozen["envelope"]["secret"])
        self.assertEqual(Tombstone.of(envelope, secret).encoded.hex(), frozen["hex"])
        parsed = Tombstone.parse(unhex(frozen["mailbox"]), unhex(frozen["hex"]))
        self.assertEqual(parsed.secret, secret)

    def test_removal(self) -> None:
        """What the owner signs to have junk removed."""
        frozen = self.frozen["removal"]
        items = tuple((unhex(message), expires) for message, expires in frozen["items"])
        parsed = Removal.parse(unhex(frozen["hex"]))
        self.assertEqual((parsed.kind, parsed.items), (frozen["kind"], items))
        self.assertSigned(self.mailbox_key.public, frozen)
        made = Removal.sign(self.mailbox_key, frozen["kind"], items)
        self.assertEqual(
            made.encoded[:-SIGNATURE_BYTES].hex(), frozen["hex"][: -2 * SIGNATURE_BYTES]
        )

    def test_lease(self) -> None:
        """A lease signed elsewhere opens the mailbox here, to the node it names only."""
        frozen = self.frozen["lease"]
        lease = Lease(
            self.mailbox_key.public,
            frozen["kind"],
            frozen["origin"],
            unhex(frozen["challenge"]),
            frozen["expires_seconds"],
            unhex(frozen["signature"]),
        )
        self.assertTrue(verify(lease.mailbox_key, lease.signature, unhex(frozen["signed"])))
        opened = lease.check(
            network_id=self.network, node=self.node, now=frozen["expires_seconds"] - 60
        )
        self.assertEqual(opened, unhex(self.frozen["mailbox"]["contacts"]))

    def test_node_record(self) -> None:
        """What a node says of itself."""
        frozen = self.frozen["node_record"]
        record = NodeRecord.parse(unhex(frozen["hex"]), self.network)
        self.assertEqual(record.node_id, self.node)
        self.assertSigned(self.node_key.public, frozen)
        made = NodeRecord.sign(
            self.node_key,
            self.network,
            peer_addresses=tuple(frozen["peer_addresses"]),
            client_urls=tuple(frozen["client_urls"]),
            boot=frozen["boot"],
            sequence=frozen["sequence"],
            position_mask=frozen["position_mask"],
            expires_seconds=frozen["expires_seconds"],
            capacity=frozen["capacity"],
            zone=frozen["zone"],
            full=frozen["full"],
            away_until_seconds=frozen["away_until_seconds"],
            software=frozen["software"],
            protocols=tuple(frozen["protocols"]),
            proof_of_work=unhex(frozen["proof_of_work"]),
        )
        self.assertEqual(made.encoded[:-SIGNATURE_BYTES], record.encoded[:-SIGNATURE_BYTES])
        self.assertEqual(record.zone, frozen["zone"])

    def test_user_record(self) -> None:
        """What replicas keep for a user, and where."""
        frozen = self.frozen["user_record"]
        key = SigningKey.from_seed(unhex(frozen["seed"]))
        record = UserRecord.parse(unhex(frozen["hex"]))
        self.assertEqual(record.payload, unhex(frozen["payload"]))
        self.assertSigned(key.public, frozen)
        self.assertEqual(record.key, unhex(frozen["key"]))
        self.assertEqual(
            user_record_key(frozen["kind"], key.public, unhex(frozen["device"])), record.key
        )
        made = UserRecord.sign(
            key,
            kind=frozen["kind"],
            device=unhex(frozen["device"]),
            sequence=frozen["sequence"],
            expires_hours=frozen["expires_hours"],
            payload=unhex(frozen["payload"]),
        )
        self.assertEqual(made.encoded[:-SIGNATURE_BYTES], record.encoded[:-SIGNATURE_BYTES])

    def test_link_proof(self) -> None:
        """What a hello signs, for either role."""
        frozen = self.frozen["hello"]
        exporter = unhex(frozen["exporter"])
        for role in Role:
            vector = frozen[role.name.lower()]
            signed, signature = unhex(vector["signed"]), unhex(vector["signature"])
            self.assertEqual(vector["role"], role)
            self.assertTrue(verify(self.node_key.public, signature, signed))
            made = sign_link_proof(self.node_key, self.network, role, exporter)
            self.assertTrue(verify(self.node_key.public, made, signed))

    def test_hello(self) -> None:
        """The first frame of a link."""
        frozen = self.frozen["hello"]
        hello = Hello(
            (1,),
            self.network,
            unhex(self.frozen["node_record"]["hex"]),
            frozen["clock_ms"],
            unhex(frozen["dialled"]["signature"]),
            frozen["requests_stamp_bits"],
        )
        self.assertEqual(encode_frame(Hello.NUMBER, 0, encode(hello)).hex(), frozen["frame"])
