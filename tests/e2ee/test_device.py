"""Device keys and certificates."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.device import CERTIFICATE_BYTES, Certificate, DeviceKeys, device_id
from tace.e2ee.labels import E2eeLabel
from tace.errors import Malformed
from tace.identity.keys import SigningKey
from tace.ids import KIND_CONTACTS, KIND_REQUESTS

DAY = 24 * 3600
NOW = 1_800_000_000
IDENTITY = SigningKey.from_seed(b"i" * 48)
KEYS = DeviceKeys.from_seed(b"d" * 32)


class DeviceKeysTests(SynchronousTestCase):
    def test_four_different_keys_from_one_seed(self) -> None:
        """One seed restores all four; they have nothing in common."""
        again = DeviceKeys.from_seed(b"d" * 32)
        publics = [key.public for key in (KEYS.agreement, KEYS.inbox, KEYS.requests, KEYS.contacts)]
        self.assertEqual(4, len(set(publics)))
        self.assertEqual(publics[0], again.agreement.public)
        self.assertEqual(publics[3], again.contacts.public)
        self.assertEqual(device_id(publics[0]), KEYS.id)

    def test_mailboxes(self) -> None:
        """One of each kind."""
        self.assertEqual(KIND_REQUESTS, KEYS.requests_mailbox[-1])
        self.assertEqual(KIND_CONTACTS, KEYS.contacts_mailbox[-1])

    def test_seed_length(self) -> None:
        """A seed has 32 bytes."""
        self.assertRaises(ValueError, DeviceKeys.from_seed, b"d" * 31)

    def test_secrets_are_not_shown(self) -> None:
        """The repr shows the public id alone."""
        self.assertEqual(f"<DeviceKeys {KEYS.id.hex()[:8]}>", repr(KEYS))


class CertificateTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """167 bytes that name identity, device and inbox."""
        made = Certificate.sign(IDENTITY, KEYS, 500_000)
        self.assertEqual(167, CERTIFICATE_BYTES)
        self.assertEqual(CERTIFICATE_BYTES, len(made.encoded))
        self.assertEqual(made, Certificate.parse(made.encoded))
        self.assertEqual(
            (IDENTITY.public, KEYS.id, KEYS.inbox.public, 500_000),
            (made.identity, made.device, made.inbox_key, made.expires_hours),
        )

    def test_every_byte_counts(self) -> None:
        """No certificate with one bit changed is taken."""
        encoded = Certificate.sign(IDENTITY, KEYS, 500_000).encoded
        for at in range(len(encoded)):
            changed = bytearray(encoded)
            changed[at] ^= 1
            self.assertRaises(Malformed, Certificate.parse, bytes(changed))

    def test_lengths(self) -> None:
        """Shorter and longer are refused."""
        encoded = Certificate.sign(IDENTITY, KEYS, 500_000).encoded
        for wrong in (b"", encoded[:-1], encoded + b"\0"):
            self.assertRaises(Malformed, Certificate.parse, wrong)

    def test_one_key_for_two_purposes(self) -> None:
        """A key that stands for both device and inbox is refused."""
        doubled = DeviceKeys(KEYS.agreement, KEYS.agreement, KEYS.requests, KEYS.contacts)
        self.assertRaises(Malformed, Certificate.sign, IDENTITY, doubled, 500_000)

    def test_off_the_curve(self) -> None:
        """Keys that are no points are refused though the identity signed them."""
        off_curve = b"\x02" + b"\xff" * 32
        encoded = Certificate.sign(IDENTITY, KEYS, 500_000).encoded
        for key in (KEYS.agreement.public, KEYS.inbox.public):
            signed = encoded[:103].replace(key, off_curve)
            signature = IDENTITY.sign(E2eeLabel.CERTIFICATE, signed)
            self.assertRaises(Malformed, Certificate.parse, signed + signature)

    def test_when_it_holds(self) -> None:
        """Until 30 days after its end, and never one that claims to live much over 30 days."""
        end_hours = NOW // 3600
        holds = Certificate.sign(IDENTITY, KEYS, end_hours).holds
        end = end_hours * 3600
        self.assertTrue(holds(end - 30 * DAY))
        self.assertTrue(holds(end + 30 * DAY))
        self.assertFalse(holds(end + 30 * DAY + 1))
        self.assertFalse(holds(end - 31 * DAY - 1))
