"""From what a person types to an identity: a link, a public key, or a name that is known here."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from tace.client.errors import UnknownRecipient
from tace.client.rows import Peer, Standing
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

    A name that the user gave goes first, then those that contacts gave themselves, then those of
    strangers and of people who were blocked: nobody can come before a contact by taking their
    name. Links and keys go before all names, so that nobody can call themselves by another's key.

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
    first = min(map(_rank, named), default=None)
    best = [peer for peer in named if _rank(peer) == first]
    if len(best) == 1:
        return best[0].identity
    if best:
        keys = ", ".join(key_text(peer.identity) for peer in best)
        raise UnknownRecipient(f"more than one person is called {text!r}: say which key: {keys}")
    raise UnknownRecipient(
        f"nobody called {text!r} is known here: give their link or public key the first time"
    )


def _rank(peer: Peer) -> tuple[bool, bool]:
    return peer.standing is not Standing.CONTACT, not peer.alias


def _key(text: str) -> bytes | None:
    if len(text) != KEY_CHARACTERS:
        return None
    try:
        key = urlsafe_b64decode(text)
        parse_public_key(key)
    except (Error, ValueError):
        return None
    return key if len(key) == PUBLIC_KEY_BYTES else None
