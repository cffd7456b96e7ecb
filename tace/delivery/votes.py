"""Counting the answers to one write (page 2.4). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tace.ids import NodeId
from tace.seams import ReplicaSet

DURABLE = ("stored", "duplicate", "acked")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write.

    ``state``: ``stored`` (a majority of the members has it on disk), ``partial`` (fewer have, and
    no missing one answers), ``acked`` (an envelope's recipient has opened it; ``secret`` proves
    it), ``removed`` (a majority says that its recipient could not unseal it), or a refusal's word.
    ``copies`` counts members only, ``stand_ins`` the copies beyond them.
    """

    state: str
    copies: int
    of: int
    secret: bytes = b""
    stand_ins: int = 0


class Votes:
    """The answers to one write, until it is decided."""

    __slots__ = ("_copies", "_durable", "_refusals", "_removed", "_set", "_waiting", "secret")

    def __init__(self, replica_set: ReplicaSet) -> None:
        self._set = replica_set
        self._waiting = set(replica_set.everyone)
        self._durable: set[NodeId] = set()
        self._copies = 0
        """How many of the durable ones are members; kept, because every answer asks."""
        self._refusals: dict[str, int] = {}
        self._removed: tuple[NodeId, ...] = ()
        self.secret = b""

    def cast(self, node: NodeId, code: str) -> None:
        """One replica's answer; ``failed`` for none.

        ``removed`` counts as a copy that is not needed any more. It proves nothing, so the word of
        one replica alone takes no message off its sender's hands.
        """
        self._waiting.discard(node)
        if code == "removed":
            self._removed = (*self._removed, node)
        elif code not in DURABLE:
            self._refusals[code] = self._refusals.get(code, 0) + 1
            return
        if node not in self._durable:
            self._durable.add(node)
            self._copies += node in self._set.members

    @property
    def _is_removed(self) -> bool:
        removed = self._removed
        if not removed:
            return False
        return sum(node in removed for node in self._set.members) >= self._set.write_quorum

    def expect(self, node: NodeId, replica_set: ReplicaSet) -> None:
        """A redirect has shown a better set: count over that, and wait for this node too."""
        if replica_set is not self._set:
            self._set = replica_set
            self._copies = sum(node in self._durable for node in replica_set.members)
        self._waiting.add(node)

    @property
    def decided(self) -> bool:
        return bool(self.secret) or self._copies >= self._set.write_quorum or not self._waiting

    def outcome(self) -> Outcome:
        """As things stand: final when :attr:`decided`, else what is known at the deadline."""
        copies, of = self._copies, self._set.size
        extra = len(self._durable) - copies
        if self.secret:
            return Outcome("acked", copies, of, self.secret, extra)
        if self._is_removed:
            return Outcome("removed", copies, of, stand_ins=extra)
        if of and copies >= self._set.write_quorum:
            return Outcome("stored", copies, of, stand_ins=extra)
        if copies or extra:
            return Outcome("partial", copies, of, stand_ins=extra)
        words = {word: n for word, n in self._refusals.items() if word not in _NO_REASON}
        return Outcome(max(words, key=words.__getitem__, default="not-stored"), 0, of)


_NO_REASON = ("failed", "redirect")
