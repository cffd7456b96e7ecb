"""What a program is told while a user's messages come and go."""

from __future__ import annotations

from typing import Protocol

from tace.client.address import NodeAddress
from tace.client.rows import HistoryMessage


class UserEvents(Protocol):
    """What a program may want to tell its user. Called from the reactor."""

    def show(self, message: HistoryMessage) -> None:
        """A received message, in its place; when this returns it counts as shown."""

    def changed(self, message: HistoryMessage) -> None:
        """The state of a message of ours may have changed."""

    def unreadable(self, identity: bytes) -> None:
        """Something that claims to be from that person cannot be read; it is asked for again."""

    def unlisted(self, identity: bytes) -> None:
        """Something came from a device of that person which is not on their device list: an old
        one that they replaced, or one that somebody took from them."""

    def requested(self, identity: bytes) -> None:
        """A stranger wrote, and waits to be accepted or blocked."""

    def no_room(self) -> None:
        """Strangers' messages stay in the mailbox: too many of them wait here already."""

    def connected(self, address: NodeAddress) -> None:
        """Messages are pushed from that node now."""

    def disconnected(self, reason: str) -> None:
        """No node pushes messages; it is tried again."""


class NoUserEvents:
    """For programs that only send."""

    def show(self, message: HistoryMessage) -> None:
        """Nothing is received."""

    def changed(self, message: HistoryMessage) -> None:
        """The sender asks for the state."""

    def unreadable(self, identity: bytes) -> None:
        """Nothing is received."""

    def unlisted(self, identity: bytes) -> None:
        """Nothing is received."""

    def requested(self, identity: bytes) -> None:
        """Nothing is received."""

    def no_room(self) -> None:
        """Nothing is received."""

    def connected(self, address: NodeAddress) -> None:
        """Nothing is received."""

    def disconnected(self, reason: str) -> None:
        """Nothing is received."""
