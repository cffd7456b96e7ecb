"""The link that adds a contact: ``https://NODE/#tace1...``, or the bare code ``tace1...``.

The code is the identity key in checked base32: what follows the ``#`` never leaves the browser,
and the node is only where the page comes from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tace.e2ee.base32 import CheckedBase32
from tace.e2ee.labels import E2eeLabel
from tace.errors import TaceError
from tace.identity.keys import PUBLIC_KEY_BYTES, parse_public_key

CODE_PREFIX = "tace1"
CODE_CHARACTERS = 58
"""264 bits and a checksum of 26, in characters of five bits."""
MAX_INPUT_CHARACTERS = 512
_TEXT = CheckedBase32(E2eeLabel.LINK_CHECK, PUBLIC_KEY_BYTES, CODE_CHARACTERS)
_ORIGIN = re.compile(r"(https?://[^/?#\s]+)[^#\s]*#(.*)", re.IGNORECASE | re.DOTALL)


class BadLink(TaceError):
    """What was pasted or scanned adds nobody; the text says why, for the person who did it."""

    code = "bad-link"


@dataclass(frozen=True, slots=True)
class ContactLink:
    """Whom a link adds.

    :ivar identity: the identity key, 33 bytes, a valid point.
    :ivar origin: scheme and host of the node whose page it opens, or empty for a bare code.
    """

    identity: bytes
    origin: str = ""

    @property
    def contact_code(self) -> str:
        """``tace1`` and 58 characters, lower case."""
        return CODE_PREFIX + _TEXT.encode(self.identity).lower()

    @property
    def text(self) -> str:
        """The link, or the bare code where there is no node to name."""
        return f"{self.origin}/#{self.contact_code}" if self.origin else self.contact_code

    @classmethod
    def parse(cls, text: str) -> ContactLink:
        """From a link or a bare code, whatever the case and with spaces around or inside.

        :raises BadLink: says what is wrong with it.
        """
        if len(text) > MAX_INPUT_CHARACTERS:
            raise BadLink("that is too long for a contact link")
        code, origin = text.strip(), ""
        if found := _ORIGIN.fullmatch(code):
            origin, code = found[1].lower(), found[2].strip()
        if not code.lower().startswith(CODE_PREFIX):
            raise BadLink(f"a contact code starts with {CODE_PREFIX}")
        try:
            identity = _TEXT.decode(code[len(CODE_PREFIX) :])
        except ValueError as error:
            raise BadLink(f"the contact code is damaged: {error}") from None
        try:
            parse_public_key(identity)
        except ValueError:
            raise BadLink("the contact code holds no valid key") from None
        return cls(identity, origin)
