"""Which nodes should keep what, and which of them lack it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tace.wire.client import StatusInfo

Item = tuple[bytes, bytes]
"""(mailbox, message id)"""


def replica_set(statuses: Sequence[StatusInfo], key: bytes, count: int) -> list[int]:
    """The first ``count`` distinct nodes clockwise from ``key``, by their place in ``statuses``.

    The nodes of a local network share one address group and name no zone, so that no rule of
    diversity changes the plain order (:func:`tace.ring.placement.choose`).
    """
    ring = sorted(
        (position.id, node) for node, status in enumerate(statuses) for position in status.positions
    )
    clockwise = [node for position, node in ring if position >= key]
    clockwise += [node for position, node in ring if position < key]
    return list(dict.fromkeys(clockwise))[:count]


def lacking(
    statuses: Sequence[StatusInfo],
    items: Iterable[Item],
    held: Mapping[int, Collection[Item]],
    count: int,
) -> Iterator[tuple[int, Item]]:
    """Each (node, item) where the node is one of the item's replicas and does not have it.

    :param statuses: of all nodes; node i is the one of place i.
    :param held: what each node has in its store.
    :param count: how many copies there should be, where there are so many nodes.
    """
    for item in items:
        for node in replica_set(statuses, item[0], count):
            if item not in held[node]:
                yield node, item
