"""What anyone may know of a node and of its network."""

from __future__ import annotations

from tace.gateway.services import GatewayServices
from tace.wire.client import NetworkInfo, PositionStatus, StatusInfo

MAX_NETWORK_RECORDS = 32
"""Node records in one answer to GetNetwork."""


def network_info(services: GatewayServices) -> NetworkInfo:
    """Nodes that a client may dial, this one first, and how many there are."""
    membership = services.core.membership
    living = membership.living()
    others = [r for r in living if r.node_id != membership.own and r.client_urls]
    records = [membership.current, *others[: MAX_NETWORK_RECORDS - 1]]
    return NetworkInfo(tuple(record.encoded for record in records), len(living), services.state())


async def status_info(services: GatewayServices) -> StatusInfo:
    """Where this node stands on the ring and how much it holds."""
    core = services.core
    totals = await core.sizes.get()
    return StatusInfo(
        node_id=core.membership.own,
        network_id=services.network_id,
        version=services.software,
        positions=tuple(
            PositionStatus(
                pointers.position,
                b"" if pointers.predecessor is None else pointers.predecessor.position,
                tuple(place.position for place in pointers.successors),
            )
            for pointers in core.ring.snapshot()
        ),
        members=len(core.membership.living()),
        items=totals.envelopes,
        bytes=totals.bytes,
        state=services.state(),
        tried=core.bootstrap.failures,
        silent=core.merge.silent,
        silent_since=int(core.merge.silent_since or 0),
    )
