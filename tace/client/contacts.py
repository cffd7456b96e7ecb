"""What the user does about people: adds, names, accepts, blocks and verifies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tace.client.contacts_file import Card
from tace.client.errors import HomeError, UnknownRecipient
from tace.client.own import MAX_NAME
from tace.client.rows import Listing, MessageState, Peer, Standing
from tace.client.sqlite import HomeDatabase
from tace.e2ee.safety import SafetyNumber

MAX_PEOPLE = 100_000
"""Contacts and blocked people; as many as an export file holds."""


class Contacts:
    """The people of one home.

    :param own: the home's identity: nobody is their own contact.
    """

    def __init__(self, database: HomeDatabase, own: bytes) -> None:
        self._database = database
        self._own = own

    def known(self, identity: bytes) -> Peer:
        """:raises UnknownRecipient: nobody of that key is known here."""
        peer = self._database.peer(identity)
        if peer is None:
            raise UnknownRecipient("that person is not known here: add them first")
        return peer

    def all(self) -> list[Peer]:
        """Contacts first, then requests, then blocked people, each by name."""
        order = list(Standing)

        def place(peer: Peer) -> tuple[int, str, bytes]:
            return order.index(peer.standing), peer.called.casefold(), peer.identity

        return sorted(self._database.peers(), key=place)

    def add(self, identity: bytes, alias: str = "", *, verified: bool = False) -> Peer:
        """Make somebody a contact; one who is there keeps what is known of them.

        :param alias: what to call them; empty for what they call themselves.
        :raises UnknownRecipient: that is this home's own identity, or the name has another owner.
        :raises HomeError: the home holds all the people it may.
        """
        if identity == self._own:
            raise UnknownRecipient("that is this home's own identity")
        with self._database.transaction():
            peer = self._database.peer(identity)
            if peer is None:
                if self._database.count_peers(Standing.CONTACT) >= MAX_PEOPLE:
                    raise HomeError(f"a home holds at most {MAX_PEOPLE} contacts")
                peer = Peer(identity)
            if alias:
                peer = replace(peer, alias=self._free(alias, identity))
            peer = replace(peer, standing=Standing.CONTACT, verified=peer.verified or verified)
            self._database.set_peer(peer)
        return peer

    def take_in(self, cards: Sequence[Card]) -> int:
        """Add those of a contacts file who are not known yet; how many they were.

        A name that somebody else has here is left out.

        :raises HomeError: the home holds all the people it may; nothing is added.
        """
        added = 0
        with self._database.transaction():
            for card in cards:
                if card.identity == self._own or self._database.peer(card.identity) is not None:
                    continue
                taken = self._is_taken(card.name, card.identity)
                self.add(card.identity, "" if taken else card.name)
                added += 1
        return added

    def rename(self, identity: bytes, alias: str) -> Peer:
        """:param alias: empty for what they call themselves."""

        def renamed(peer: Peer) -> Peer:
            return replace(peer, alias=self._free(alias, identity) if alias else "")

        return self._amend(identity, renamed)

    def accept(self, identity: bytes) -> Peer:
        """Let a stranger in: what they wrote is shown and receipted from now on.

        :raises UnknownRecipient: nobody of that key wrote, or they were blocked.
        """
        peer = self.known(identity)
        if peer.standing is Standing.BLOCKED:
            raise UnknownRecipient("they are blocked: unblock them first")
        return self._amend(identity, lambda peer: replace(peer, standing=Standing.CONTACT))

    def block(self, identity: bytes) -> Peer:
        """From now on what they say is dropped; what was not shown of it, and what was on its
        way to them, is let go of. The history stays."""
        with self._database.transaction():
            peer = self._amend(identity, lambda peer: replace(peer, standing=Standing.BLOCKED))
            for outgoing in self._database.outgoing_of(identity):
                self._database.remove_outgoing(outgoing.seq)
                if outgoing.message is not None:
                    self._database.set_message_state(
                        identity, outgoing.message, MessageState.FAILED
                    )
            self._database.drop_waiting(identity)
        return peer

    def unblock(self, identity: bytes) -> Peer:
        """Back to a contact; anybody else stays as they are."""

        def unblocked(peer: Peer) -> Peer:
            if peer.standing is not Standing.BLOCKED:
                return peer
            return replace(peer, standing=Standing.CONTACT)

        return self._amend(identity, unblocked)

    def set_verified(self, identity: bytes, verified: bool) -> Peer:
        """Only on the user's word that both saw the same number."""
        return self._amend(identity, lambda peer: replace(peer, verified=verified))

    def safety_number(self, identity: bytes) -> SafetyNumber:
        """What both compare."""
        return SafetyNumber.of(self._own, identity)

    def has_unlisted_device(self, identity: bytes) -> bool:
        """Did something come from a device that is not on their list?"""
        devices = self._database.devices(identity)
        return any(device.listing is Listing.UNLISTED for device in devices)

    def namesakes(self, peer: Peer) -> list[Peer]:
        """Contacts who go by the name that this person gave themselves, and are not them."""
        if not peer.name:
            return []
        return [
            other
            for other in self._database.peers()
            if other.identity != peer.identity
            and other.standing is Standing.CONTACT
            and peer.name.casefold() in (other.alias.casefold(), other.name.casefold())
        ]

    def _amend(self, identity: bytes, amendment: Callable[[Peer], Peer]) -> Peer:
        with self._database.transaction():
            peer = amendment(self.known(identity))
            self._database.set_peer(peer)
        return peer

    def _free(self, alias: str, identity: bytes) -> str:
        """The alias, if it is fit for a name and nobody else's."""
        wanted = alias.strip()
        if not wanted or len(wanted) > MAX_NAME or not wanted.isprintable():
            raise UnknownRecipient(f"a name is one line of 1 to {MAX_NAME} characters")
        if self._is_taken(wanted, identity):
            raise UnknownRecipient(f"somebody else is called {wanted!r} here already")
        return wanted

    def _is_taken(self, alias: str, identity: bytes) -> bool:
        named = self._database.peers_named(alias)
        return any(peer.alias == alias and peer.identity != identity for peer in named)
