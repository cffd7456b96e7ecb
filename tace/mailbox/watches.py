"""Which nodes want to hear of which mailboxes: soft state, bound to links and leases. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tace.ids import MailboxId, NodeId


@dataclass(frozen=True, slots=True)
class WatchEntry:
    bodies: bool
    expires_seconds: float


class WatchTable:
    """Watches by mailbox and by node.

    :param max_watches: over this, :meth:`add` answers False.
    :param max_per_node: the same for one node, so that none can take all; by default, no less.
    """

    def __init__(self, max_watches: int, max_per_node: int | None = None) -> None:
        self._max = max_watches
        self._max_per_node = max_watches if max_per_node is None else max_per_node
        self._by_mailbox: dict[MailboxId, dict[NodeId, WatchEntry]] = {}
        self._by_node: dict[NodeId, dict[MailboxId, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, node: NodeId, mailbox: MailboxId, entry: WatchEntry) -> bool:
        watchers = self._by_mailbox.get(mailbox, {})
        if node not in watchers:
            if self._count >= self._max or len(self._by_node.get(node, ())) >= self._max_per_node:
                return False
            self._count += 1
        self._by_mailbox.setdefault(mailbox, watchers)[node] = entry
        self._by_node.setdefault(node, {})[mailbox] = None
        return True

    def remove(self, node: NodeId, mailbox: MailboxId) -> None:
        watchers = self._by_mailbox.get(mailbox, {})
        if watchers.pop(node, None) is None:
            return
        self._count -= 1
        if not watchers:
            del self._by_mailbox[mailbox]
        mailboxes = self._by_node[node]
        del mailboxes[mailbox]
        if not mailboxes:
            del self._by_node[node]

    def remove_node(self, node: NodeId) -> None:
        for mailbox in list(self._by_node.get(node, {})):
            self.remove(node, mailbox)

    def watches(self, node: NodeId, mailbox: MailboxId, now: float) -> bool:
        entry = self._by_mailbox.get(mailbox, {}).get(node)
        return entry is not None and entry.expires_seconds > now

    def watchers(self, mailbox: MailboxId, now: float) -> Iterator[tuple[NodeId, WatchEntry]]:
        """Who is to be told, in the order they asked."""
        for node, entry in self._by_mailbox.get(mailbox, {}).items():
            if entry.expires_seconds > now:
                yield node, entry

    def expire(self, now: float) -> None:
        over = [
            (node, mailbox)
            for mailbox, watchers in self._by_mailbox.items()
            for node, entry in watchers.items()
            if entry.expires_seconds <= now
        ]
        for node, mailbox in over:
            self.remove(node, mailbox)
