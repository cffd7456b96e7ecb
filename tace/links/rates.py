"""How fast one peer may ask."""

from __future__ import annotations

from tace.config import LinksSettings
from tace.ids import NodeId
from tace.limits import BucketTable, TokenBucket

BURST_SECONDS = 2.0
"""So many seconds' worth of requests may come at once: a node that was held up catches up."""
REFUSALS_SECONDS = 0.05
"""So many seconds' worth of requests are refused at once. Refusing costs, too: a peer that goes on
all the same is not read from for as long (:meth:`~tace.links.reading.ReadingGate.rest`)."""
FORGERIES_PER_SECOND = 1.0
MAX_FORGERIES = 16
"""So many forged signatures are taken from one peer at once. Each costs as much to find out as ten
requests, and a node that checks what it passes on sends none."""
MAX_REMEMBERED = 4096
"""Peers whose rate is remembered when they have no link: hanging up wins nothing."""


class Allowance:
    """What one peer may ask; all its links share it.

    :param requests: tokens are requests; None where they are not bounded.
    :param size: tokens are bytes of requests; None where they are not bounded.
    :param refusals: tokens are refusals, of one link; None where they are not bounded.
    :param forgeries: tokens are signatures that do not hold.
    """

    __slots__ = ("_forgeries", "_refusals", "_requests", "_size")

    def __init__(
        self,
        requests: TokenBucket | None,
        size: TokenBucket | None,
        refusals: TokenBucket | None,
        forgeries: TokenBucket,
    ) -> None:
        self._requests = requests
        self._size = size
        self._refusals = refusals
        self._forgeries = forgeries

    def take(self, now: float, frame_bytes: int) -> float:
        """Ask for one request of that size: 0.0 when it may be served, else seconds to wait."""
        if self._size is not None and (wait := self._size.take(now, frame_bytes)) > 0.0:
            return wait
        return 0.0 if self._requests is None else self._requests.take(now)

    def may_be_refused(self, now: float) -> bool:
        """One more is refused. Were there not too many of them?"""
        return self._refusals is None or self._refusals.take(now) == 0.0

    def may_have_forged(self, now: float, count: int) -> bool:
        """So many more signatures did not hold. Were there not too many of them?"""
        return self._forgeries.take(now, count) == 0.0


class PeerRates:
    """The allowance of each peer.

    :param settings: ``max_requests_per_second`` and ``max_request_bytes_per_second``, 0 for none.
    """

    def __init__(self, settings: LinksSettings) -> None:
        self._per_second = settings.max_requests_per_second
        self._requests = _table(settings.max_requests_per_second)
        self._size = _table(settings.max_request_bytes_per_second)
        self._forgeries: BucketTable[NodeId] = BucketTable(
            FORGERIES_PER_SECOND, MAX_FORGERIES, MAX_REMEMBERED
        )

    def of(self, node: NodeId) -> Allowance:
        refusals = None
        if self._per_second:
            burst = max(1.0, self._per_second * REFUSALS_SECONDS)
            refusals = TokenBucket(self._per_second, burst)
        return Allowance(
            _bucket(self._requests, node),
            _bucket(self._size, node),
            refusals,
            self._forgeries.bucket(node),
        )


def _table(per_second: float) -> BucketTable[NodeId] | None:
    if not per_second:
        return None
    return BucketTable(per_second, per_second * BURST_SECONDS, MAX_REMEMBERED)


def _bucket(table: BucketTable[NodeId] | None, node: NodeId) -> TokenBucket | None:
    return None if table is None else table.bucket(node)
