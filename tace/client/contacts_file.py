"""Contacts as a plain file: JSON that other programs, the web client and people can read.

``{"format": "tace contacts", "version": 1, "contacts": [{"code", "name", "verified"}, ...]}``
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tace.client.errors import BadContacts
from tace.client.own import MAX_NAME
from tace.client.rows import Peer, Standing
from tace.e2ee.link import BadLink, ContactLink

_FORMAT = "tace contacts"
_VERSION = 1
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_CARDS = 50_000


@dataclass(frozen=True, slots=True)
class Card:
    """One contact of a file. Whether somebody verified them is not taken over: only who compared
    the safety number knows."""

    identity: bytes
    name: str


def write_contacts(people: Iterable[Peer]) -> str:
    """The file: everybody who is a contact."""
    cards = [
        {
            "code": ContactLink(peer.identity).contact_code,
            "name": peer.called,
            "verified": peer.verified,
        }
        for peer in people
        if peer.standing is Standing.CONTACT
    ]
    file = {"format": _FORMAT, "version": _VERSION, "contacts": cards}
    return json.dumps(file, indent=2, ensure_ascii=False) + "\n"


def read_contacts(file: bytes) -> Sequence[Card]:
    """What a file says.

    :raises BadContacts: it is no such file, or a code in it is damaged; nothing of it counts.
    """
    if len(file) > MAX_FILE_BYTES:
        raise BadContacts(f"a contacts file has at most {MAX_FILE_BYTES} bytes")
    try:
        found: Any = json.loads(file)
    except (ValueError, RecursionError):
        raise BadContacts("this is not a contacts file of tace") from None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise BadContacts("this is not a contacts file of tace")
    if found.get("version") != _VERSION:
        raise BadContacts("the contacts file was made by a newer version of tace")
    cards = found.get("contacts")
    if not isinstance(cards, list) or len(cards) > MAX_CARDS:
        raise BadContacts("the contacts file is damaged")
    return [_card(card) for card in cards]


def _card(card: Any) -> Card:
    if not isinstance(card, dict):
        raise BadContacts("the contacts file is damaged")
    code, name = card.get("code"), card.get("name")
    if not isinstance(code, str) or not isinstance(name, str):
        raise BadContacts("the contacts file is damaged")
    try:
        identity = ContactLink.parse(code).identity
    except BadLink as error:
        raise BadContacts(f"a code in the contacts file is wrong: {error}") from None
    return Card(identity, "".join(c for c in name if c.isprintable()).strip()[:MAX_NAME])
