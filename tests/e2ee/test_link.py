"""Contact links."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee.base32 import ALPHABET, CheckedBase32
from tace.e2ee.labels import E2eeLabel
from tace.e2ee.link import BadLink, ContactLink
from tests.e2ee.people import Person

IDENTITY = Person("ann").own.identity
LINK = ContactLink(IDENTITY, "https://node.example:8443")


class ContactLinkTests(SynchronousTestCase):
    def test_form(self) -> None:
        """The key stands in the fragment, in at most 90 characters after the host."""
        self.assertTrue(LINK.text.startswith("https://node.example:8443/#tace1"))
        self.assertLessEqual(len(LINK.text) - len(LINK.origin), 90)
        self.assertEqual(63, len(LINK.contact_code))
        self.assertEqual(LINK.contact_code, ContactLink(IDENTITY).text)

    def test_round_trip(self) -> None:
        """A link gives key and node, a bare code the key."""
        self.assertEqual(LINK, ContactLink.parse(LINK.text))
        self.assertEqual(ContactLink(IDENTITY), ContactLink.parse(LINK.contact_code))
        local = ContactLink(IDENTITY, "http://localhost:8080")
        self.assertEqual(local, ContactLink.parse(local.text))

    def test_tolerates_how_people_paste(self) -> None:
        """Case, white space, hyphens, a path, O and I for 0 and 1."""
        code = LINK.contact_code
        for text in (
            f"  {LINK.text}\n",
            LINK.text.upper(),
            code[:30] + "-" + code[30:],
            code[:30] + "\n" + code[30:],
            f"https://node.example:8443/some/path?x=1#{code}",
            "tace1" + code[5:].replace("0", "O").replace("1", "I"),
        ):
            self.assertEqual(IDENTITY, ContactLink.parse(text).identity, text)

    def test_typos_are_found(self) -> None:
        """No one character changed adds somebody else."""
        code = LINK.contact_code.upper()
        for at in range(5, len(code)):
            for wrong in ALPHABET.replace(code[at], ""):
                with self.assertRaises(BadLink):
                    ContactLink.parse(code[:at] + wrong + code[at + 1 :])

    def test_says_what_is_wrong(self) -> None:
        """Each mistake has its own words."""
        code = LINK.contact_code
        flipped = "0" if code[20] != "0" else "2"
        for text, words in (
            ("", "starts with tace1"),
            ("https://node.example/", "starts with tace1"),
            ("https://node.example/#other", "starts with tace1"),
            ("mailto:ann@example.org", "starts with tace1"),
            (code[:-3], "3 of 58 characters are missing"),
            (code + "0", "too long"),
            (code[:20] + flipped + code[21:], "a character is wrong"),
            (code[:20] + "u" + code[21:], "'u'"),
            ("tace1" + "0" * 600, "too long"),
        ):
            error = self.assertRaises(BadLink, ContactLink.parse, text)
            self.assertIn(words, str(error), text)

    def test_no_point(self) -> None:
        """A right checksum over something that is no key."""
        text = CheckedBase32(E2eeLabel.LINK_CHECK, 33, 58).encode(b"\x02" + b"\xff" * 32)
        error = self.assertRaises(BadLink, ContactLink.parse, "tace1" + text)
        self.assertIn("no valid key", str(error))
