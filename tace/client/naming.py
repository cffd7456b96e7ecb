"""From what a person types to an identity: a link, a public key, or a name that is known here."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from tace.client.errors import UnknownRecipient
from tace.client.sqlite import HomeDatabase
from tace.e2ee.link import CODE_PREFIX, BadLink, ContactLink
from tace.identity.keys import PUBLIC_KEY_BYTES, parse_public_key

KEY_CHARACTERS = 44
"""33 bytes in base64url without padding."""


def key_text(identity: bytes) -> str:
    """A public key as text: base64url without padding."""
    return urlsafe_b64encode(identity).decode().rstrip("=")


def identity_of(database: HomeDatabase, text: str) -> bytes:
    """Whom ``text`` means: a link, a public key, or else a known name.

    Names become known by the first message from their owner, who chose them; two people may have
    the same. Links and keys go first, so that nobody can call themselves by another one's key.

    :raises UnknownRecipient: nobody, or more than one; the text is one line for a person.
    """
    text = text.strip()
    if text.lower().startswith(CODE_PREFIX) or "#" in text:
        try:
            return ContactLink.parse(text).identity
        except BadLink as error:
            raise UnknownRecipient(str(error)) from None
    key = _key(text)
    if key is not None:
        return key
    named = database.peers_named(text) if text else []
    if len(named) == 1:
        return named[0].identity
    if named:
        keys = ", ".join(key_text(peer.identity) for peer in named)
        raise UnknownRecipient(f"more than one person is called {text!r}: say which key: {keys}")
    raise UnknownRecipient(
        f"nobody called {text!r} is known here: give their link or public key the first time"
    )


def _key(text: str) -> bytes | None:
    if len(text) != KEY_CHARACTERS:
        return None
    try:
        key = urlsafe_b64decode(text)
        parse_public_key(key)
    except (Error, ValueError):
        return None
    return key if len(key) == PUBLIC_KEY_BYTES else None
