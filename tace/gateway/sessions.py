"""Every client of a node, whatever carries its session; one bound for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from tace.errors import DrainingNow
from tace.gateway.services import GatewayServices
from tace.gateway.session import ClientSession, ClientTransport


class ClientSessions:
    """The sessions that are there now.

    :param max_sessions: how many there may be; whoever opens one asks :meth:`has_room` first.
    """

    def __init__(self, services: GatewayServices, max_sessions: int) -> None:
        self.services = services
        self.max_sessions = max_sessions
        self._sessions: dict[ClientSession, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(list(self._sessions))

    def has_room(self) -> bool:
        return len(self._sessions) < self.max_sessions

    def add(self, transport: ClientTransport) -> ClientSession:
        """A new session, which has not said anything yet; :meth:`remove` it when it has ended."""
        session = ClientSession(self.services, transport)
        self._sessions[session] = None
        return session

    def remove(self, session: ClientSession) -> None:
        self._sessions.pop(session, None)

    def end_all(self) -> None:
        """Tell every client that the node is about to stop."""
        for session in self:
            session.end(DrainingNow("this node is about to stop; use another one"))

    def finished(self) -> Deferred[Any]:
        """Fires when no answer to any client is outstanding."""
        return DeferredList([session.finished() for session in self], consumeErrors=True)
