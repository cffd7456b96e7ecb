"""The recovery code and its text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.base32 import ALPHABET, CheckedBase32
from tace.e2ee.recovery import BadRecoveryCode, RecoveryCode

CODE = RecoveryCode(bytes(range(16)))


class RecoveryCodeTests(SynchronousTestCase):
    def test_text_in_six_groups(self) -> None:
        """Thirty characters of Crockford's alphabet in groups of five."""
        groups = CODE.text.split("-")
        self.assertEqual([5] * 6, [len(group) for group in groups])
        self.assertEqual(set(), set("".join(groups)) - set(ALPHABET))

    def test_round_trip(self) -> None:
        """What is written is read."""
        for secret in (bytes(16), b"\xff" * 16, CODE.secret):
            self.assertEqual(secret, RecoveryCode.parse(RecoveryCode(secret).text).secret)

    def test_tolerates_how_people_type(self) -> None:
        """Case, spaces, missing or other hyphens, and O, I, L for 0, 1, 1 do not matter."""
        text = CODE.text
        variants = (
            text.lower(),
            text.replace("-", ""),
            text.replace("-", " "),
            f"  {text}\n",
            text.replace("-", "\N{EN DASH}"),
            text.replace("0", "O"),
            text.replace("0", "o"),
            text.replace("1", "I"),
            text.replace("1", "l"),
        )
        self.assertIn("0", text)
        self.assertIn("1", text)
        for variant in variants:
            self.assertEqual(CODE, RecoveryCode.parse(variant), variant)

    def test_every_single_typo_is_found(self) -> None:
        """No one character changed gives another valid code."""
        text = CODE.text.replace("-", "")
        for at, right in enumerate(text):
            for wrong in ALPHABET.replace(right, ""):
                with self.assertRaises(BadRecoveryCode):
                    RecoveryCode.parse(text[:at] + wrong + text[at + 1 :])

    def test_neighbours_swapped_are_found(self) -> None:
        """Two characters in the wrong order do not pass."""
        text = CODE.text.replace("-", "")
        tried = 0
        for at in range(len(text) - 1):
            if text[at] != text[at + 1]:
                tried += 1
                swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
                error = self.assertRaises(BadRecoveryCode, RecoveryCode.parse, swapped)
                self.assertIn("swapped", str(error))
        self.assertGreater(tried, 20)

    def test_says_what_is_wrong(self) -> None:
        """A character that cannot be, too few, too many: each is named."""
        text = CODE.text
        for typed, words in (
            ("U" + text[1:], "'U' (character 1)"),
            (text[:-2], "2 of 30 characters are missing"),
            (text + "0", "too long"),
            ("", "30 of 30 characters are missing"),
        ):
            error = self.assertRaises(BadRecoveryCode, RecoveryCode.parse, typed)
            self.assertIn(words, str(error))

    def test_same_code_same_identity(self) -> None:
        """The code alone restores the identity; another code gives another one."""
        again = RecoveryCode.parse(CODE.text)
        self.assertEqual(CODE.identity().public, again.identity().public)
        other = RecoveryCode(bytes(16)).identity()
        self.assertNotEqual(CODE.identity().public, other.public)

    def test_secret_is_not_shown(self) -> None:
        """Neither repr holds the code."""
        self.assertNotIn("0102", repr(CODE).replace("\\x", ""))
        self.assertNotIn(CODE.text[:5], repr(CODE))

    def test_wrong_length(self) -> None:
        """A code has 16 bytes."""
        self.assertRaises(ValueError, RecoveryCode, bytes(15))
        self.assertRaises(ValueError, CheckedBase32(b"label", 16, 30).encode, bytes(15))
