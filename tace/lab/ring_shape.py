"""Do the nodes of a network stand in one ring? Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tace.wire.client import StatusInfo

READY_ALONE = ("alone", "member")


def missing_for_one_ring(statuses: Sequence[StatusInfo]) -> str:
    """What is still missing until these nodes, and no others alive, form one ideal ring.

    Ideal: each position's predecessor and first successor are its neighbours among all of them.
    A line for a person; empty when nothing is missing.
    """
    if len(statuses) == 1:
        state = statuses[0].state
        return "" if state in READY_ALONE else f"the node is {state}"
    for index, status in enumerate(statuses):
        if status.state != "member":
            return f"node {index} is {status.state}"
        if status.members < len(statuses):
            return f"node {index} knows {status.members} of {len(statuses)} nodes"
    ring = sorted(position.id for status in statuses for position in status.positions)
    after = dict(zip(ring, ring[1:] + ring[:1], strict=True))
    before = {successor: position for position, successor in after.items()}
    for index, status in enumerate(statuses):
        for position in status.positions:
            if position.successors[:1] != (after[position.id],):
                return f"a successor of node {index} is not in place"
            if position.predecessor != before[position.id]:
                return f"a predecessor of node {index} is not in place"
    return ""
