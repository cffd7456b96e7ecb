"""P-256 keys and signatures."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.identity.keys import (
    CURVE_ORDER,
    SEED_BYTES,
    SigningKey,
    node_id,
    parse_public_key,
    scalar_from_seed,
    verify,
)
from tace.ids import Label

KEY = SigningKey.from_seed(b"k" * SEED_BYTES)
OTHER = SigningKey.from_seed(b"o" * SEED_BYTES)


class SeedTests(SynchronousTestCase):
    """From 48 bytes to a scalar."""

    def test_the_borders_of_the_range(self) -> None:
        """1 to n - 1, never 0 and never n."""
        self.assertEqual(scalar_from_seed(bytes(48)), 1)
        self.assertEqual(scalar_from_seed((CURVE_ORDER - 2).to_bytes(48)), CURVE_ORDER - 1)
        self.assertEqual(scalar_from_seed((CURVE_ORDER - 1).to_bytes(48)), 1)

    def test_other_lengths(self) -> None:
        """Are refused."""
        for length in (0, 32, 47, 49):
            self.assertRaises(ValueError, SigningKey.from_seed, bytes(length))


class PemTests(SynchronousTestCase):
    """Files."""

    def test_there_and_back(self) -> None:
        """The same key."""
        self.assertEqual(SigningKey.from_pem(KEY.to_pem()).public, KEY.public)

    def test_what_is_no_p256_key_in_the_clear(self) -> None:
        """Always the one exception that a start can turn into a line."""

        def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
            return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

        locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        for content in (
            b"",
            b"garbage",
            KEY.to_pem()[:100],
            locked,
            pem(ec.generate_private_key(ec.SECP384R1())),
            pem(ed25519.Ed25519PrivateKey.generate()),
        ):
            self.assertRaises(ValueError, SigningKey.from_pem, content)

    def test_it_does_not_show_itself(self) -> None:
        """Not in a log."""
        self.assertEqual(repr(KEY), "<SigningKey>")


class SignatureTests(SynchronousTestCase):
    """ECDSA over label and fields."""

    @given(st.binary(max_size=200))
    def test_a_good_one(self, message: bytes) -> None:
        """Holds for its key, label and bytes only."""
        signature = KEY.sign(Label.LEASE, message)
        self.assertEqual(len(signature), 64)
        self.assertTrue(verify(KEY.public, signature, Label.LEASE, message))
        self.assertFalse(verify(OTHER.public, signature, Label.LEASE, message))
        self.assertFalse(verify(KEY.public, signature, Label.LINK, message))
        self.assertFalse(verify(KEY.public, signature, Label.LEASE, message + b"\0"))

    @given(st.binary(max_size=80), st.binary(max_size=80))
    def test_anything_at_all(self, public: bytes, signature: bytes) -> None:
        """Is answered with no, never with an exception."""
        self.assertFalse(verify(public, signature, Label.LEASE, b"message"))

    def test_the_corners_of_r_and_s(self) -> None:
        """Zero, the order, all ones."""
        for half in (bytes(32), CURVE_ORDER.to_bytes(32), b"\xff" * 32):
            self.assertFalse(verify(KEY.public, half + half, Label.LEASE, b"message"))
            good = KEY.sign(Label.LEASE, b"message")
            self.assertFalse(verify(KEY.public, good[:32] + half, Label.LEASE, b"message"))


class PublicKeyTests(SynchronousTestCase):
    """33 bytes, compressed, on the curve."""

    def test_what_is_none(self) -> None:
        """Uncompressed, the point at infinity, off the curve, a wrong prefix."""
        off_curve = next(
            candidate for n in range(50) if not _is_point(candidate := b"\x02" + n.to_bytes(32))
        )
        for public in (b"", b"\0", b"\x04" + bytes(64), b"\x05" + KEY.public[1:], off_curve):
            self.assertRaises(ValueError, parse_public_key, public)
            self.assertRaises(ValueError, node_id, public)

    def test_the_sign_of_y_makes_another_key(self) -> None:
        """And another node."""
        flipped = bytes([KEY.public[0] ^ 1]) + KEY.public[1:]
        self.assertNotEqual(node_id(flipped), node_id(KEY.public))


def _is_point(public: bytes) -> bool:
    try:
        parse_public_key(public)
    except ValueError:
        return False
    return True
