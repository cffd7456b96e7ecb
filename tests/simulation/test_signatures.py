"""Keys from a seed sign alike each time, and a signature is checked as in production, but once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.errors import BadRecord
from tace.identity import keys, node_record
from tace.identity.keys import verify
from tace.identity.node_record import NodeRecord
from tace.simulation.signatures import SeededKey, remembered_signatures
from tests.links.nodes import NETWORK_ID, signed_record

LABEL = b"tace link 1"


class SeededKeyTests(SynchronousTestCase):
    """Keys and what they sign."""

    def test_from_the_seed_and_the_name(self) -> None:
        """Each names a key of its own."""
        publics = {SeededKey.named(seed, name).public for seed in (1, 2) for name in ("a", "b")}
        self.assertEqual(len(publics), 4)
        self.assertEqual(SeededKey.named(1, "a").public, SeededKey.named(1, "a").public)

    def test_signatures_repeat_and_hold(self) -> None:
        """RFC 6979: the same bytes, and good ones."""
        key = SeededKey.named(1, "a")
        signature = key.sign(LABEL, b"one", b"two")
        self.assertEqual(SeededKey.named(1, "a").sign(LABEL, b"one", b"two"), signature)
        self.assertTrue(verify(key.public, signature, LABEL, b"one", b"two"))
        self.assertFalse(verify(key.public, signature, LABEL, b"one", b"three"))


class RememberedTests(SynchronousTestCase):
    """Checking once."""

    def test_checked_once(self) -> None:
        """By whoever asks; a bad one is bad each time."""
        checked: list[bytes] = []

        def counted(public: bytes, signature: bytes, label: bytes, *fields: bytes) -> bool:
            checked.append(signature)
            return verify(public, signature, label, *fields)

        self.patch(keys, "verify", counted)
        encoded = signed_record(SeededKey.named(1, "a")).encoded
        forged = encoded[:-1] + bytes([encoded[-1] ^ 1])
        with remembered_signatures():
            for _ in range(3):
                NodeRecord.parse(encoded, NETWORK_ID)
                self.assertRaises(BadRecord, NodeRecord.parse, forged, NETWORK_ID)
        self.assertEqual(len(checked), 2)

    def test_only_while_it_lasts(self) -> None:
        """Afterwards everything is as it was, also after an accident."""
        honest = vars(node_record)["verify"]
        with self.assertRaises(ZeroDivisionError), remembered_signatures():
            self.assertIsNot(vars(node_record)["verify"], honest)
            1 // 0  # noqa: B018
        self.assertIs(vars(node_record)["verify"], honest)
