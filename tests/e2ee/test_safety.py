"""Safety numbers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.safety import NotASafetyCode, SafetyNumber, fingerprint
from tests.e2ee.people import Person

ANN, BEN, EVE = (Person(name).own.identity for name in ("ann", "ben", "eve"))


class SafetyNumberTests(SynchronousTestCase):
    def test_same_on_both_sides(self) -> None:
        """Sixty digits in twelve groups, whoever looks."""
        number = SafetyNumber.of(ANN, BEN)
        self.assertEqual(number, SafetyNumber.of(BEN, ANN))
        groups = number.digits.split(" ")
        self.assertEqual([5] * 12, [len(group) for group in groups])
        self.assertTrue("".join(groups).isdecimal())

    def test_another_identity(self) -> None:
        """Another number altogether."""
        one, other = SafetyNumber.of(ANN, BEN), SafetyNumber.of(ANN, EVE)
        self.assertNotEqual(one.digits, other.digits)
        self.assertFalse(one.matches(other.qr))

    def test_scanned(self) -> None:
        """The other's code matches; anything else is named as no safety code at all."""
        number = SafetyNumber.of(ANN, BEN)
        self.assertTrue(number.matches(SafetyNumber.of(BEN, ANN).qr))
        for scanned in (b"", b"https://example.org", number.qr[:-1], b"x" + number.qr[1:]):
            self.assertRaises(NotASafetyCode, number.matches, scanned)

    def test_identity_length(self) -> None:
        """Only a compressed point has a fingerprint."""
        self.assertRaises(ValueError, fingerprint, ANN[:-1])
