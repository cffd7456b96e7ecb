"""ECDH on P-256 and ML-KEM-768, against Wycheproof's cases."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.prekeys import Prekey
from tace.identity.keys import CURVE_ORDER
from tests.e2ee.vectors import load


def _scalar(encoded: str) -> bytes:
    """A private key as Wycheproof writes it (a signed big-endian integer) in 32 bytes."""
    return int(encoded, 16).to_bytes(32)


class AgreementTests(SynchronousTestCase):
    def test_both_sides_agree(self) -> None:
        """Each with the other's public key reaches one secret of 32 bytes."""
        one, other = AgreementKey.from_seed(b"1" * 48), AgreementKey.from_seed(b"2" * 48)
        self.assertEqual(one.agree(other.public), other.agree(one.public))
        self.assertEqual(32, len(one.agree(other.public)))

    def test_randomness_comes_in(self) -> None:
        """Generating takes 48 bytes from the source that is handed in."""
        asked = []

        def source(count: int) -> bytes:
            asked.append(count)
            return b"x" * count

        self.assertEqual(
            AgreementKey.from_seed(b"x" * 48).public, AgreementKey.generate(source).public
        )
        self.assertEqual([48], asked)

    def test_scalar_restores_the_key(self) -> None:
        """What is stored is the scalar."""
        key = AgreementKey.from_seed(b"1" * 48)
        self.assertEqual(key.public, AgreementKey(key.scalar).public)

    def test_scalars_that_cannot_be(self) -> None:
        """0, n and wrong lengths are no private keys."""
        for scalar in (bytes(32), CURVE_ORDER.to_bytes(32), bytes(31), b"\1" * 33):
            self.assertRaises(ValueError, AgreementKey, scalar)

    def test_wycheproof(self) -> None:
        """Edge cases agree; off-curve points, other encodings and lengths are refused."""
        agreed = refused = 0
        for case in load("external/wycheproof-ecdh-secp256r1-ecpoint")["cases"]:
            key, public = AgreementKey(_scalar(case["private"])), bytes.fromhex(case["public"])
            if case["result"] == "valid":
                # The protocol carries compressed points: 02 or 03 by the parity of y.
                self.assertEqual(65, len(public))
                public = bytes([2 + (public[64] & 1)]) + public[1:33]
            if case["result"] == "invalid":
                refused += 1
                with self.assertRaises(ValueError, msg=case["tcId"]):
                    key.agree(public)
            else:
                agreed += 1
                self.assertEqual(case["shared"], key.agree(public).hex(), case["tcId"])
        self.assertEqual((331, 24), (agreed, refused))

    def test_secret_is_not_shown(self) -> None:
        """The repr names no number."""
        self.assertEqual("<AgreementKey>", repr(AgreementKey.from_seed(b"1" * 48)))


class KemTests(SynchronousTestCase):
    def test_wycheproof(self) -> None:
        """The key follows from the seed, the secret from the ciphertext; lengths are checked."""
        opened = refused = 0
        for case in load("external/wycheproof-mlkem-768")["cases"]:
            seed, ciphertext = bytes.fromhex(case["seed"]), bytes.fromhex(case["c"])
            given = iter((b"1" * 48, seed))
            prekey = Prekey.generate(
                lambda count, given=given: next(given),  # type: ignore[misc]
                prekey_id=1,
                now=0,
                listed_until_hours=0,
            )
            self.assertEqual(case["ek"], prekey.kem_public.hex())
            if case["result"] == "valid":
                opened += 1
                self.assertEqual(case["K"], prekey.kem.decapsulate(ciphertext).hex())
            else:
                refused += 1
                self.assertRaises(ValueError, prekey.kem.decapsulate, ciphertext)
        self.assertEqual((4, 2), (opened, refused))
