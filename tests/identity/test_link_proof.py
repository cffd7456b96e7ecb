"""What a hello proves, and each way in which it can fail to."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tace.errors import BadLinkProof, BadRecord, WrongNetwork, WrongNode, WrongVersion
from tace.identity.keys import SigningKey
from tace.identity.link_proof import LinkTerms, Role, check_hello, sign_link_proof
from tace.identity.node_record import NodeRecord

NETWORK = b"\x11" * 32
OTHER_NETWORK = b"\x22" * 32
EXPORTER = b"\x33" * 32


def record_of(key: SigningKey, network: bytes = NETWORK) -> NodeRecord:
    return NodeRecord.sign(
        key,
        network,
        peer_addresses=(),
        client_urls=(),
        boot=1,
        sequence=1,
        position_mask=1,
        expires_seconds=1,
    )


class CheckHelloTests(SynchronousTestCase):
    """One hello, changed in one place at a time."""

    def setUp(self) -> None:
        self.key = SigningKey.from_seed(b"\x01" * 48)
        self.own = record_of(SigningKey.from_seed(b"\x02" * 48))
        self.record = record_of(self.key)
        self.terms = LinkTerms(NETWORK, self.own.node_id, (1,))

    def check(self, **changes: Any) -> NodeRecord:
        hello: dict[str, Any] = {
            "versions": (1,),
            "network_id": NETWORK,
            "record": self.record.encoded,
            "signature": sign_link_proof(self.key, NETWORK, Role.DIALLED, EXPORTER),
            "role": Role.DIALLED,
            "exporter": EXPORTER,
            "dialled": None,
        }
        return check_hello(self.terms, **(hello | changes))

    def test_good(self) -> None:
        """The record comes back verified."""
        self.assertEqual(self.check().node_id, self.record.node_id)
        self.assertEqual(self.check(dialled=self.record.node_id).node_id, self.record.node_id)

    def test_a_newer_version_beside_ours(self) -> None:
        """One version in common is enough."""
        self.assertEqual(self.check(versions=(3, 2, 1)).node_id, self.record.node_id)

    def test_wrong_network(self) -> None:
        """Named so, before any signature is looked at."""
        self.assertRaises(WrongNetwork, self.check, network_id=OTHER_NETWORK, record=b"")

    def test_wrong_version(self) -> None:
        """Nothing in common."""
        self.assertRaises(WrongVersion, self.check, versions=(2, 3))

    def test_record_of_another_network(self) -> None:
        """A record means nothing outside the network it was signed for."""
        self.assertRaises(BadRecord, self.check, record=record_of(self.key, OTHER_NETWORK).encoded)

    def test_garbage_record(self) -> None:
        """Not a record at all."""
        self.assertRaises(BadRecord, self.check, record=b"x" * 100)

    def test_another_node_than_dialled(self) -> None:
        """Whoever listens there now."""
        self.assertRaises(WrongNode, self.check, dialled=self.own.node_id)

    def test_this_node_itself(self) -> None:
        """Dialled over an address of our own, or somebody shows us our own record."""
        self.assertRaises(WrongNode, self.check, record=self.own.encoded)

    def test_signature_from_another_session(self) -> None:
        """A hello carried over from another TLS session."""
        self.assertRaises(BadLinkProof, self.check, exporter=b"\x44" * 32)

    def test_signature_of_the_other_role(self) -> None:
        """A hello that is sent back to the one who signed it."""
        self.assertRaises(BadLinkProof, self.check, role=Role.LISTENED)
        self.assertIs(Role.DIALLED.other, Role.LISTENED)
        self.assertIs(Role.LISTENED.other, Role.DIALLED)

    def test_signature_by_another_key(self) -> None:
        """Somebody else's record, without somebody else's key."""
        other = SigningKey.from_seed(b"\x03" * 48)
        self.assertRaises(
            BadLinkProof,
            self.check,
            signature=sign_link_proof(other, NETWORK, Role.DIALLED, EXPORTER),
        )

    def test_garbage_signature(self) -> None:
        """Zeros are no point of the curve, short is no signature."""
        for signature in (bytes(64), b"", b"\xff" * 64):
            self.assertRaises(BadLinkProof, self.check, signature=signature)
