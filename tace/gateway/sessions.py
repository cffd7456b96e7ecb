"""Every client of a node, whatever carries its session; one bound for all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from tace.errors import DrainingNow, TooMany
from tace.gateway.addresses import client_host, counted_group
from tace.gateway.services import GatewayServices
from tace.gateway.session import ClientSession, ClientTransport
from tace.limits import AddressCounts, Admission

FULL_RETRY_MS = 10_000
"""When somebody for whom there was no room may ask again."""


class ClientSessions:
    """The sessions that are there now.

    :param max_sessions: how many there may be; whoever opens one asks :meth:`require_room` first.
    :param max_per_address: of one address group; 0 for no bound.
    :param trusted_proxies: addresses whose ``X-Forwarded-For`` is believed.
    """

    def __init__(
        self,
        services: GatewayServices,
        max_sessions: int,
        *,
        max_per_address: int = 0,
        trusted_proxies: Collection[str] = (),
    ) -> None:
        self.services = services
        self.max_sessions = max_sessions
        self._trusted_proxies = frozenset(trusted_proxies)
        self._counts = AddressCounts(max_per_address, max_sessions)
        self._sessions: dict[ClientSession, str] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(list(self._sessions))

    def group_of(self, peer: str, forwarded: str) -> str:
        """The address group that a client is counted in; empty for one that is not.

        :param peer: the address at the other end of the connection.
        :param forwarded: the request's ``X-Forwarded-For``.
        """
        return counted_group(client_host(peer, forwarded, self._trusted_proxies))

    def require_room(self, group: str) -> None:
        """
        :raises TooMany: the node, or that address, has as many clients as it may.
        """
        if not group:
            full = len(self._counts) >= self.max_sessions
            admission = Admission.FULL if full else Admission.ADMITTED
        else:
            admission = self._counts.would_admit(group)
        if admission is Admission.ADMITTED:
            return
        self.services.misconduct.report(group, "too-many-connections")
        if admission is Admission.GROUP_FULL:
            raise TooMany("too many connections from your address", FULL_RETRY_MS)
        raise TooMany("this node has as many clients as it takes", FULL_RETRY_MS)

    def add(self, transport: ClientTransport, group: str = "") -> ClientSession:
        """A new session, which has not said anything yet; :meth:`remove` it when it has ended."""
        session = ClientSession(self.services, transport, group)
        self._sessions[session] = group
        self._counts.add(group)
        return session

    def remove(self, session: ClientSession) -> None:
        group = self._sessions.pop(session, None)
        if group is not None:
            self._counts.release(group)

    def end_all(self) -> None:
        """Tell every client that the node is about to stop."""
        for session in self:
            session.end(DrainingNow("this node is about to stop; use another one"))

    def finished(self) -> Deferred[Any]:
        """Fires when no answer to any client is outstanding."""
        return DeferredList([session.finished() for session in self], consumeErrors=True)
