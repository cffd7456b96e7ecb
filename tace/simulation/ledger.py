"""What was sent, what the network said of it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tace.ids import MessageId

REPAIRED_SECONDS = 20.0
"""So long after the last fault every replica must know of an ack."""


@dataclass(slots=True)
class Letter:
    """One message. Times are seconds since the world began; None where it has not happened."""

    number: int
    sender: str
    recipient: str
    sent: float
    stored: float | None = None
    """When the network said that a majority has it on disk."""
    stored_by: str = ""
    delivered: float | None = None
    acked: float | None = None
    """When the network said that a majority has the recipient's ack on disk."""
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"message {self.number} from {self.sender} to {self.recipient}"


class Ledger:
    """Every message of a simulation.

    A message counts as *lost* when the network said that it was stored and its recipient, who asked
    for it long enough, did not get it. It counts as *doubled* when it came twice in one connection,
    or again long after the network had said that the ack was stored. A replica that was down when
    the ack came may name the message once more before it has been told; clients know what they have
    read. So it is not held against the network in the first :data:`REPAIRED_SECONDS` after the last
    fault.
    """

    def __init__(self) -> None:
        self.letters: dict[MessageId, Letter] = {}

    def sent(self, message: MessageId, letter: Letter) -> None:
        self.letters[message] = letter

    def stored(self, message: MessageId, at: float, by: str) -> None:
        letter = self.letters[message]
        if letter.stored is None:
            letter.stored, letter.stored_by = at, by

    def delivered(
        self, message: MessageId, at: float, *, again_in_connection: bool, last_fault: float = 0.0
    ) -> None:
        """
        :param again_in_connection: it had come over this connection before.
        :param last_fault: when a node last died or started, or the network was cut or healed.
        """
        letter = self.letters[message]
        if again_in_connection:
            letter.faults.append(f"{letter} came twice in one connection, at {at:.3f} s")
        elif letter.acked is not None and at > max(letter.acked, last_fault) + REPAIRED_SECONDS:
            letter.faults.append(
                f"{letter} came again at {at:.3f} s, though its ack was stored at"
                f" {letter.acked:.3f} s"
            )
        if letter.delivered is None:
            letter.delivered = at

    def acked(self, message: MessageId, at: float) -> None:
        letter = self.letters[message]
        if letter.acked is None:
            letter.acked = at

    # -- sums ------------------------------------------------------------------------------------

    @property
    def sent_count(self) -> int:
        return len(self.letters)

    @property
    def stored_count(self) -> int:
        return sum(letter.stored is not None for letter in self.letters.values())

    @property
    def delivered_count(self) -> int:
        return sum(letter.delivered is not None for letter in self.letters.values())

    @property
    def lost(self) -> list[str]:
        """What was called stored and did not come; a line each."""
        return [
            f"{letter} was called stored by {letter.stored_by} at {letter.stored:.3f} s and is lost"
            for letter in self.letters.values()
            if letter.stored is not None and letter.delivered is None
        ]

    @property
    def doubled(self) -> list[str]:
        """What came when it should not have; a line each."""
        return [fault for letter in self.letters.values() for fault in letter.faults]

    def late(self, bound_seconds: float) -> list[str]:
        """What came so long after it was called stored; a line each."""
        return [
            f"{letter} came {letter.delivered - letter.stored:.1f} s after it was stored"
            for letter in self.letters.values()
            if letter.stored is not None
            and letter.delivered is not None
            and letter.delivered - letter.stored > bound_seconds
        ]
