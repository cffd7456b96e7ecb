"""What can go wrong for a user, each with one line that a person understands."""

from __future__ import annotations

from tace.errors import TaceError


class HomeError(TaceError):
    """The home directory cannot be used: not there, not readable, of a newer version, damaged."""

    code = "home"


class HomeSealed(HomeError):
    """The home is sealed with a passphrase, and none or a wrong one was given."""

    code = "home-sealed"


class NoNode(TaceError):
    """No node could be reached, or none would.

    :ivar pause_seconds: how long the only one that is known wants to be left alone.
    """

    code = "no-node"

    def __init__(self, detail: str = "", *, pause_seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.pause_seconds = pause_seconds


class TooMuchWork(TaceError):
    """The node wants stamps that cost more than any message is worth."""

    code = "too-much-work"


class OtherNetwork(TaceError):
    """The node belongs to another network than this home."""

    code = "other-network"


class UnknownRecipient(TaceError):
    """Nobody of that name is known here, or more than one."""

    code = "unknown-recipient"


class NeverOnline(TaceError):
    """The recipient has published no record: their program never reached the network."""

    code = "never-online"


class ReplacedIdentity(TaceError):
    """The identity was restored elsewhere, and this home is no longer its device."""

    code = "replaced-identity"


class BlockedPerson(TaceError):
    """The recipient was blocked here: nothing is sent to them."""

    code = "blocked"


class OutboxFull(TaceError):
    """As many messages wait until their recipients confirm them as this home keeps."""

    code = "outbox-full"


class BadContacts(TaceError):
    """Not a contacts file, or a damaged one."""

    code = "bad-contacts"


class FileGone(TaceError):
    """The nodes do not keep that file any more."""

    code = "file-gone"
