"""What the owner of a mailbox signs with the mailbox key: leases and removals (page 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from tace.errors import ForgedProof, Malformed, Unauthorized
from tace.identity.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify
from tace.ids import MAILBOX_KINDS, Label, MailboxId, MessageId, NodeId, mailbox_id

LEASE_SECONDS = 15 * 60
"""So long a client asks to read a mailbox before it signs anew."""
REPLICA_LEASE_SECONDS = 20 * 60
"""A replica accepts a lease at most this long before its end."""
MAX_ORIGIN_BYTES = 200
"""Of the name a node is dialled by, as a lease holds it."""
MAX_REMOVED = 64
"""Messages in one signed removal."""

_REMOVAL_HEAD = Struct(">33sBB")
_REMOVED = Struct(">32sI")


@dataclass(frozen=True, slots=True)
class Lease:
    """The owner's word that one node may collect a mailbox for a while.

    ``signature`` is by the mailbox key over "tace lease 1" || network id 32 || mailbox 32 ||
    node id 32 || origin length u8 || origin || challenge 32 || expires u64 (unix seconds).
    It names the node, so another node that gets hold of it can do nothing with it.
    """

    mailbox_key: bytes
    kind: int
    origin: str
    challenge: bytes
    expires_seconds: int
    signature: bytes

    @staticmethod
    def _fields(
        network_id: bytes,
        mailbox: MailboxId,
        node: NodeId,
        origin: str,
        challenge: bytes,
        expires_seconds: int,
    ) -> tuple[bytes, ...]:
        name = origin.encode()
        return (
            network_id,
            mailbox,
            node,
            len(name).to_bytes(1),
            name,
            challenge,
            expires_seconds.to_bytes(8),
        )

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        kind: int,
        *,
        network_id: bytes,
        node: NodeId,
        origin: str,
        challenge: bytes,
        expires_seconds: int,
    ) -> Lease:
        mailbox = mailbox_id(key.public, kind)
        fields = cls._fields(network_id, mailbox, node, origin, challenge, expires_seconds)
        signature = key.sign(Label.LEASE, *fields)
        return cls(key.public, kind, origin, challenge, expires_seconds, signature)

    @property
    def mailbox(self) -> MailboxId:
        return mailbox_id(self.mailbox_key, self.kind)

    def check(self, *, network_id: bytes, node: NodeId, now: float) -> MailboxId:
        """The mailbox it opens to ``node`` at ``now``.

        :raises Unauthorized: over, or too far ahead.
        :raises ForgedProof: not signed for that node and network.
        """
        if self.kind not in MAILBOX_KINDS or len(self.origin.encode()) > MAX_ORIGIN_BYTES:
            raise Unauthorized("that lease opens no mailbox")
        if not 0 < self.expires_seconds - now <= REPLICA_LEASE_SECONDS:
            raise Unauthorized("the lease is over, or ends too far in the future")
        mailbox = self.mailbox
        fields = self._fields(
            network_id, mailbox, node, self.origin, self.challenge, self.expires_seconds
        )
        if not verify(self.mailbox_key, self.signature, Label.LEASE, *fields):
            raise ForgedProof("the lease is not signed by the mailbox key for this node")
        return mailbox

    def __repr__(self) -> str:
        return "<Lease>"


@dataclass(frozen=True, slots=True)
class Removal:
    """The owner's word that messages nobody could unseal may go.

    ``mailbox key 33 | kind u8 | count u8 | count x (id 32 | expires u32) | signature 64``, signed
    by the mailbox key over "tace removal 1" || everything before the signature. At most 64 ids.
    """

    mailbox_key: bytes
    kind: int
    items: tuple[tuple[MessageId, int], ...]
    """(message id, expires in hours)."""
    encoded: bytes

    @classmethod
    def sign(cls, key: SigningKey, kind: int, items: Sequence[tuple[MessageId, int]]) -> Removal:
        if not 0 < len(items) <= MAX_REMOVED:
            raise ValueError(f"a removal names 1 to {MAX_REMOVED} messages")
        signed = _REMOVAL_HEAD.pack(key.public, kind, len(items)) + b"".join(
            _REMOVED.pack(message, expires) for message, expires in items
        )
        return cls.parse(signed + key.sign(Label.REMOVAL, signed))

    @classmethod
    def parse(cls, encoded: bytes) -> Removal:
        """:raises Malformed: not a removal, or not signed by the mailbox key."""
        if len(encoded) < _REMOVAL_HEAD.size:
            raise Malformed("a removal is longer than that")
        key, kind, count = _REMOVAL_HEAD.unpack_from(encoded)
        end = _REMOVAL_HEAD.size + count * _REMOVED.size
        if not 0 < count <= MAX_REMOVED or len(encoded) != end + SIGNATURE_BYTES:
            raise Malformed("the count does not fit the removal")
        if kind not in MAILBOX_KINDS or not verify(
            key, encoded[end:], Label.REMOVAL, encoded[:end]
        ):
            raise Malformed("the removal is not signed by the mailbox key")
        items = tuple(
            _REMOVED.unpack_from(encoded, _REMOVAL_HEAD.size + i * _REMOVED.size)
            for i in range(count)
        )
        return cls(key, kind, items, encoded)

    @property
    def mailbox(self) -> MailboxId:
        return mailbox_id(self.mailbox_key, self.kind)

    def __repr__(self) -> str:
        return f"<Removal of {len(self.items)}>"


assert _REMOVAL_HEAD.size == PUBLIC_KEY_BYTES + 2
