"""The session start."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.pqxdh import HANDSHAKE_BYTES, Handshake, initiate, respond
from tace.errors import Expired, Malformed
from tests.e2ee.people import NOW, Person

DAY = 24 * 3600
ANN, BEN, EVE = Person("ann"), Person("ben"), Person("eve")


class PqxdhTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.handshake, self.keys = initiate(ANN.own, BEN.record, ANN.random_bytes, now=NOW)

    def test_both_reach_the_same_keys(self) -> None:
        """Root and both header keys, all different from each other."""
        found = respond(Handshake.parse(self.handshake.encoded), BEN.own, BEN.prekey, now=NOW)
        self.assertEqual(self.keys, found)
        secrets = {found.root, found.initiator_header, found.responder_header}
        self.assertEqual([32, 32, 32], [len(secret) for secret in secrets])

    def test_bytes(self) -> None:
        """1,293 of them, and they say who starts."""
        self.assertEqual(1293, HANDSHAKE_BYTES)
        self.assertEqual(HANDSHAKE_BYTES, len(self.handshake.encoded))
        found = Handshake.parse(self.handshake.encoded)
        self.assertEqual(self.handshake, found)
        self.assertEqual(ANN.identity.public, found.certificate.identity)
        self.assertFalse(found.fresh)

    def test_every_public_value_is_bound(self) -> None:
        """Change any one of them on one side and the keys differ, all three."""
        other, _ = initiate(ANN.own, BEN.record, ANN.random_bytes, now=NOW)
        eve, _ = initiate(EVE.own, BEN.record, EVE.random_bytes, now=NOW)
        fresh = bytes([1]) + self.handshake.encoded[1:]
        ephemeral = replace(self.handshake, ephemeral=other.ephemeral)
        kem = replace(self.handshake, kem_ciphertext=other.kem_ciphertext)
        certificate = replace(self.handshake, certificate=eve.certificate)
        changed = [
            Handshake.make(
                each.certificate,
                each.ephemeral,
                each.prekey_id,
                each.kem_ciphertext,
                fresh=each.fresh,
            )
            for each in (ephemeral, kem, certificate, replace(self.handshake, prekey_id=9))
        ]
        for handshake in (Handshake.parse(fresh), *changed):
            found = respond(handshake, BEN.own, BEN.prekey, now=NOW)
            self.assertNotEqual(self.keys.transcript, found.transcript)
            self.assertNotEqual(self.keys.root, found.root)
            self.assertNotEqual(self.keys.initiator_header, found.initiator_header)
            self.assertNotEqual(self.keys.responder_header, found.responder_header)

    def test_somebody_elses_keys_listed_as_ones_own(self) -> None:
        """Who lists Ben's device as their own gains nothing: identities are in the transcript."""
        claimed = replace(BEN.record, record=replace(BEN.record.record, identity=EVE.own.identity))
        handshake, keys = initiate(ANN.own, claimed, ANN.random_bytes, now=NOW)
        self.assertNotEqual(keys.root, respond(handshake, BEN.own, BEN.prekey, now=NOW).root)

    def test_needs_the_private_halves(self) -> None:
        """Another prekey, or another device, reaches other keys."""
        later = Person("ben")
        later.rotate()
        with_other_prekey = respond(self.handshake, BEN.own, later.prekey, now=NOW)
        by_other_device = respond(self.handshake, EVE.own, BEN.prekey, now=NOW)
        for found in (with_other_prekey, by_other_device):
            self.assertNotEqual(self.keys.root, found.root)

    def test_refused_bytes(self) -> None:
        """Unknown flags, no point, wrong length, unsigned certificate."""
        encoded = self.handshake.encoded
        off_curve = b"\x02" + b"\xff" * 32
        for wrong in (
            encoded[:-1],
            encoded + b"\0",
            bytes([2]) + encoded[1:],
            encoded.replace(self.handshake.ephemeral, off_curve),
            encoded.replace(ANN.keys.inbox.public, BEN.keys.inbox.public),
        ):
            self.assertNotEqual(encoded, wrong)
            self.assertRaises(Malformed, Handshake.parse, wrong)

    def test_times(self) -> None:
        """No start on a record or certificate that is over, none accepted on one long over."""
        end = BEN.record.record.expires_hours * 3600
        self.assertRaises(Expired, initiate, ANN.own, BEN.record, ANN.random_bytes, now=end)
        later = Person("ben", now=NOW + 40 * DAY)
        self.assertRaises(
            Expired, initiate, ANN.own, later.record, ANN.random_bytes, now=NOW + 31 * DAY
        )
        respond(self.handshake, BEN.own, BEN.prekey, now=NOW + 59 * DAY)
        self.assertRaises(Expired, respond, self.handshake, BEN.own, BEN.prekey, now=NOW + 61 * DAY)

    def test_secrets_are_not_shown(self) -> None:
        """Neither keys nor handshake print what they hold."""
        self.assertNotIn("root", repr(self.keys))
        self.assertNotIn("kem", repr(self.handshake))
