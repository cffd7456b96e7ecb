"""The seal, against RFC 9180's vector and against another implementation."""

from __future__ import annotations

from random import Random

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.agreement import AgreementKey
from tace.e2ee.inner import INNER_BYTES
from tace.e2ee.sealed import Junk, envelope_info, hpke_open, hpke_seal, seal, unseal
from tace.e2ee.symmetric import aead_seal
from tace.errors import Malformed
from tace.identity.keys import parse_public_key
from tace.ids import KIND_CONTACTS, KIND_REQUESTS
from tace.wire.objects import ENVELOPE_BYTES, Envelope, Tombstone, lock_of
from tests.e2ee.vectors import load

NETWORK = b"n" * 32
MAILBOX = b"m" * 31 + bytes([KIND_REQUESTS])
INBOX = AgreementKey.from_seed(b"i" * 48)
INNER = b"\1" + bytes(INNER_BYTES - 1)


def _sealed(inner: bytes = INNER) -> Envelope:
    return seal(
        inner,
        inbox_key=INBOX.public,
        network_id=NETWORK,
        mailbox=MAILBOX,
        expires_hours=500_000,
        random_bytes=Random(1).randbytes,
    )


class SealTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What was sealed is opened, and the secret opens the lock: it acks."""
        envelope = _sealed()
        self.assertEqual(ENVELOPE_BYTES, len(envelope.encoded))
        found = unseal(envelope, inbox=INBOX, network_id=NETWORK)
        self.assertEqual(INNER, found.inner.prefix + found.inner.message)
        self.assertEqual(envelope.id, Tombstone.of(envelope, found.secret).id)

    def test_same_content_other_envelope(self) -> None:
        """Nobody can tell that two envelopes hold the same."""
        self.assertNotEqual(_sealed().blob, _sealed().blob)

    def test_bound_to_the_envelope(self) -> None:
        """Re-dated, re-addressed, under another lock, on another network: does not open."""
        envelope = _sealed()
        right = {
            "mailbox": envelope.mailbox,
            "expires_hours": envelope.expires_hours,
            "lock": envelope.lock,
            "blob": envelope.blob,
        }
        unseal(Envelope.make(**right), inbox=INBOX, network_id=NETWORK)  # type: ignore[arg-type]
        for changes in (
            {"mailbox": MAILBOX[:31] + bytes([KIND_CONTACTS])},
            {"expires_hours": 500_001},
            {"lock": lock_of(b"x" * 16)},
            {"blob": envelope.blob[:-1] + bytes([envelope.blob[-1] ^ 1])},
            {"blob": bytes(len(envelope.blob))},
        ):
            changed = Envelope.make(**right | changes)  # type: ignore[arg-type]
            self.assertRaises(Junk, unseal, changed, inbox=INBOX, network_id=NETWORK)
        self.assertRaises(Junk, unseal, envelope, inbox=INBOX, network_id=b"o" * 32)
        other = AgreementKey.from_seed(b"o" * 48)
        self.assertRaises(Junk, unseal, envelope, inbox=other, network_id=NETWORK)

    def test_secret_of_another_lock(self) -> None:
        """A sender that locks with one secret and encloses another has made junk."""
        lock = lock_of(b"a" * 16)
        info = envelope_info(NETWORK, MAILBOX, 500_000, lock)
        blob = hpke_seal(INBOX.public, info, b"b" * 16 + INNER)
        envelope = Envelope.make(mailbox=MAILBOX, expires_hours=500_000, lock=lock, blob=blob)
        error = self.assertRaises(Junk, unseal, envelope, inbox=INBOX, network_id=NETWORK)
        self.assertIn("lock", str(error))

    def test_inner_type_not_known(self) -> None:
        """What a newer version may send is junk here."""
        envelope = _sealed(b"\x09" + INNER[1:])
        self.assertRaises(Junk, unseal, envelope, inbox=INBOX, network_id=NETWORK)

    def test_lengths(self) -> None:
        """An inner message that is not full, and a network id that is none."""
        self.assertRaises(ValueError, _sealed, INNER[:-1])
        self.assertRaises(ValueError, envelope_info, b"short", MAILBOX, 1, bytes(32))
        self.assertRaises(Malformed, Envelope.parse, _sealed().encoded[:-1])


class HpkeTests(SynchronousTestCase):
    def test_rfc_9180(self) -> None:
        """What the vector's key and nonce encrypt opens with the vector's private key and info.

        The protocol uses no associated data and the RFC's ciphertexts do, so the ciphertext is
        made anew; key and nonce are the outcome of the whole key schedule.
        """
        (case,) = load("external/rfc9180-p256-base-aes256gcm")["cases"]
        field = {key: bytes.fromhex(text) for key, text in case.items() if key != "encryptions"}
        recipient = AgreementKey(field["skRm"])
        self.assertEqual(field["pkRm"], _uncompressed(recipient.public))
        plaintext = bytes.fromhex(case["encryptions"][0]["pt"])
        sealed = field["enc"] + aead_seal(field["key"], field["base_nonce"], plaintext, b"")
        self.assertEqual(plaintext, hpke_open(recipient, field["info"], sealed))
        self.assertRaises(Junk, hpke_open, recipient, b"other", sealed)

    def test_another_implementation(self) -> None:
        """pyhpke opens what is sealed here, and seals what opens here."""
        suite = CipherSuite.new(KEMId.DHKEM_P256_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
        key = KEMKey.from_pyca_cryptography_key(INBOX.key)
        sealed = hpke_seal(INBOX.public, b"info", b"from here")
        context = suite.create_recipient_context(sealed[:65], key, b"info")
        self.assertEqual(b"from here", context.open(sealed[65:], b""))
        public = KEMKey.from_pyca_cryptography_key(INBOX.key.public_key())
        enc, sender = suite.create_sender_context(public, b"info")
        self.assertEqual(
            b"from there", hpke_open(INBOX, b"info", enc + sender.seal(b"from there", b""))
        )

    def test_lengths(self) -> None:
        """Bytes too short to be sealed are junk, not a crash."""
        for length in (0, 1, 64, 65, 80):
            self.assertRaises(Junk, hpke_open, INBOX, b"", bytes(length))


def _uncompressed(public: bytes) -> bytes:
    return parse_public_key(public).public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
