"""Who may connect at all: so many connections, and so many new ones, from one network address.

This stands before TLS and HTTP, where a refusal costs next to nothing and has no words: the
connection is closed. There is more room here than for clients, so that an honest one meets the
refusal that has words first (503 and ``too-many``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from tace.gateway.addresses import counted_group
from tace.gateway.misconduct import ClientMisconduct
from tace.gateway.rates import BURST_SECONDS, MAX_ADDRESSES
from tace.limits import AddressCounts, Admission, BucketTable

CONNECTIONS_PER_CLIENT = 2
"""So many connections of one address are taken in for each client it may have: browsers need more
than one."""
MAX_SPARE_CONNECTIONS = 1024
"""So many connections, and no more than there may be clients, are taken in beside the clients."""


def max_client_connections(max_clients: int) -> int:
    """How many connections a node takes in on its client side."""
    return max_clients + min(max_clients, MAX_SPARE_CONNECTIONS)


class Door:
    """Counts the connections to a node's client side.

    :param max_clients: sessions that the node takes (see :func:`max_client_connections`).
    :param max_per_address: sessions of one address group; 0 for no bound.
    :param accepts_per_second: new connections of one address group; 0 for no bound.
    :param trusted_proxies: addresses that connect for many; only the total counts for them.
    """

    def __init__(
        self,
        max_clients: int,
        max_per_address: int,
        accepts_per_second: float,
        *,
        trusted_proxies: Collection[str],
        clock: IReactorTime,
        misconduct: ClientMisconduct,
    ) -> None:
        self._max = max_client_connections(max_clients)
        self._counts = AddressCounts(max_per_address * CONNECTIONS_PER_CLIENT, self._max)
        self._accepts = (
            BucketTable[str](accepts_per_second, accepts_per_second * BURST_SECONDS, MAX_ADDRESSES)
            if accepts_per_second > 0
            else None
        )
        self._trusted_proxies = frozenset(trusted_proxies)
        self._clock = clock
        self._misconduct = misconduct

    def __len__(self) -> int:
        return len(self._counts)

    def enter(self, host: str) -> bool:
        """Whether a connection from there may stay; then :meth:`leave` it once."""
        group = self._group(host)
        if not group:
            admitted = len(self._counts) < self._max
        elif self._accepts is not None and self._accepts.take(group, self._clock.seconds()):
            admitted = False
        else:
            admitted = self._counts.would_admit(group) is Admission.ADMITTED
        if admitted:
            self._counts.add(group)
        else:
            self._misconduct.report(group, "connection-closed")
        return admitted

    def leave(self, host: str) -> None:
        self._counts.release(self._group(host))

    def _group(self, host: str) -> str:
        return "" if host in self._trusted_proxies else counted_group(host)


def _host(address: Any) -> str:
    """Of an address; a UNIX socket has none."""
    return getattr(address, "host", "") or ""


class _Guarded:
    """A factory whose connections are counted from their making to their end."""

    door: Door

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if not self.door.enter(_host(addr)):
            return None
        building: Any = super()
        return building.buildProtocol(addr)

    def unregisterProtocol(self, p: Any) -> None:
        self.door.leave(_host(p.getPeer()))
        ending: Any = super()
        ending.unregisterProtocol(p)


class GuardedFactory(_Guarded, WrappingFactory[ProtocolWrapper]):
    """Clients without TLS.

    :param site: what speaks HTTP.
    """

    noisy = False

    def __init__(self, site: Any, door: Door) -> None:
        wrapping: Any = WrappingFactory
        wrapping.__init__(self, site)
        self.door = door


class GuardedTLSFactory(_Guarded, TLSMemoryBIOFactory):
    """Clients over TLS, counted before the handshake."""

    noisy = False

    def __init__(self, context_factory: Any, site: Any, door: Door, reactor: Any) -> None:
        TLSMemoryBIOFactory.__init__(self, context_factory, False, site, reactor)
        self.door = door
