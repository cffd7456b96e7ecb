"""Prekeys: keeping, rotating, forgetting."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.prekeys import KEPT_PREKEYS, Prekey, Rotation, kept, rotation
from tace.errors import Malformed

DAY = 24 * 3600
NOW = 1_800_000_000


def _prekey(prekey_id: int = 1, *, made: float = NOW, until: int = NOW // 3600 + 720) -> Prekey:
    source = Random(prekey_id).randbytes
    return Prekey.generate(source, prekey_id=prekey_id, now=made, listed_until_hours=until)


class PrekeyTests(SynchronousTestCase):
    def test_stored_and_read_back(self) -> None:
        """Both private halves survive the disk."""
        prekey = _prekey(7)
        again = Prekey.from_bytes(prekey.to_bytes())
        self.assertEqual(prekey.agreement.public, again.agreement.public)
        self.assertEqual(prekey.kem_public, again.kem_public)
        self.assertEqual(
            (7, NOW, NOW // 3600 + 720), (again.id, again.made_seconds, again.listed_until_hours)
        )

    def test_broken_store(self) -> None:
        """What was not written by us is refused."""
        stored = _prekey().to_bytes()
        for wrong in (b"", stored[:-1], b"\x02" + stored[1:], stored + b"\0"):
            self.assertRaises(Malformed, Prekey.from_bytes, wrong)

    def test_secrets_are_not_shown(self) -> None:
        """The repr holds numbers and dates only."""
        self.assertLess(len(repr(_prekey())), 100)

    def test_rotation(self) -> None:
        """Daily while online, at least weekly, and at once when there is none."""
        prekey = _prekey()
        self.assertIs(Rotation.OVERDUE, rotation(None, NOW))
        for age, expected in (
            (0, Rotation.NOT_YET),
            (DAY - 1, Rotation.NOT_YET),
            (DAY, Rotation.DUE),
            (7 * DAY - 1, Rotation.DUE),
            (7 * DAY, Rotation.OVERDUE),
            (-3600, Rotation.NOT_YET),
            (-2 * DAY, Rotation.DUE),
        ):
            self.assertIs(expected, rotation(prekey, NOW + age), age)

    def test_forgotten_when_no_message_can_come(self) -> None:
        """Thirty days after the last record that named it has ended, and not a second sooner."""
        hours = NOW // 3600 + 30 * 24
        prekey = _prekey(until=hours)
        last = hours * 3600 + 30 * DAY
        self.assertFalse(prekey.outlived(last - 1))
        self.assertTrue(prekey.outlived(last))
        self.assertEqual([prekey], kept([prekey], last - 1))
        self.assertEqual([], kept([prekey], last))

    def test_listed_again_lives_longer(self) -> None:
        """A later record keeps it alive; an earlier one takes nothing away."""
        prekey = _prekey(until=100)
        self.assertEqual(200, prekey.listed_until(200).listed_until_hours)
        self.assertEqual(100, prekey.listed_until(50).listed_until_hours)

    def test_bounded(self) -> None:
        """At most 128 are kept, the newest."""
        one = _prekey()
        many = [
            Prekey(n, one.agreement, one.kem, one.kem_public, NOW, one.listed_until_hours)
            for n in range(1, KEPT_PREKEYS + 10)
        ]
        found = kept(many, NOW)
        self.assertEqual(KEPT_PREKEYS, len(found))
        self.assertEqual(KEPT_PREKEYS + 9, found[0].id)
