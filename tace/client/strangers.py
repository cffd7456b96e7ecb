"""Strangers: who wrote without having been added, written to or accepted.

What they can make a home keep is bounded before anything of theirs is opened; what there is no
room for stays in the mailbox (deferred) until there is, or until it expires.
"""

from __future__ import annotations

from enum import StrEnum

from tace.client.directory import device_list
from tace.client.rows import Peer, Standing
from tace.client.sqlite import HomeDatabase

MAX_STRANGERS = 200
"""How many may wait to be accepted or blocked."""
MAX_WAITING_MESSAGES = 100
"""Of one stranger, not shown yet."""
MAX_WAITING_CONTENTS = 1000
"""The same in contents that were not receipted: a part or a reaction is no message by itself."""
MAX_WAITING_BYTES = 256 * 1024
"""The same in bytes, with the parts of texts that are not complete."""
MAX_STRANGER_DEVICES = 8
MAX_DEVICES = 32
"""How many devices of one person are kept: 8 at a time, and those that they replaced."""
_POLICY = "strangers"


class Policy(StrEnum):
    """What a home does with a stranger's messages."""

    SHOW = "show"
    """Receiving is accepting: they are shown and receipted at once."""
    ASK = "ask"
    """They wait, and nothing is sent to the stranger, until the user accepts them."""


class Strangers:
    """Who is let in, and how much of the others is kept."""

    def __init__(self, database: HomeDatabase) -> None:
        self._database = database

    @property
    def policy(self) -> Policy:
        """``SHOW`` where the user never said."""
        return policy_of(self._database)

    def admits(self, peer: Peer | None) -> bool:
        """May what they say be shown and answered? Nobody unknown, nobody blocked."""
        if peer is None or peer.standing is Standing.BLOCKED:
            return False
        return peer.standing is Standing.CONTACT or self.policy is Policy.SHOW

    def has_room(self, identity: bytes, device: bytes) -> bool:
        """May something that claims to be from that device be opened and kept?"""
        database = self._database
        peer = database.peer(identity)
        if peer is None:
            return database.count_peers(Standing.REQUEST) < MAX_STRANGERS
        is_stranger = peer.standing is Standing.REQUEST
        # Without a session it was listed, or somebody's claim: that keeps nobody out.
        most = MAX_STRANGER_DEVICES if is_stranger else MAX_DEVICES
        if (
            not database.has_session(identity, device)
            and database.count_sessions(identity) >= most
            and not self._forgot_devices(peer)
        ):
            return False
        if not is_stranger:
            return True
        waiting = database.waiting_of(identity)
        return (
            waiting.messages < MAX_WAITING_MESSAGES
            and waiting.contents < MAX_WAITING_CONTENTS
            and waiting.bytes < MAX_WAITING_BYTES
        )

    def _forgot_devices(self, peer: Peer) -> bool:
        """Let go of a contact's devices that their list names no more; False where none was."""
        if peer.standing is Standing.REQUEST or peer.device_list is None:
            return False
        before = self._database.count_sessions(peer.identity)
        listed = [each.device for each in device_list(peer.device_list).devices]
        self._database.keep_devices(peer.identity, listed)
        return self._database.count_sessions(peer.identity) < before


def policy_of(database: HomeDatabase) -> Policy:
    """``SHOW`` where the user never said."""
    said = database.setting(_POLICY)
    return Policy.SHOW if said is None else Policy(said.decode())


def set_policy(database: HomeDatabase, policy: Policy) -> None:
    """For this home, from the next command on; programs that run take it up as well."""
    database.set_setting(_POLICY, policy.encode())
