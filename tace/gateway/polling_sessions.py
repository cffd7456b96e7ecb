"""The sessions that are polled, by token."""

from __future__ import annotations

from hashlib import sha256

from twisted.internet.interfaces import IReactorTime

from tace.errors import DrainingNow, RateLimited, TooMany
from tace.gateway.polling import PollingSession, UnknownSession
from tace.gateway.rates import Kind
from tace.gateway.sessions import FULL_RETRY_MS, ClientSessions
from tace.gateway.waiting import Messages

TOKEN_BYTES = 32


class PollingSessions:
    """Opens them and finds them.

    They may take half of the room that all clients of the node have: opening one costs a request,
    a WebSocket costs a connection, and who has connections shall find room.
    """

    def __init__(self, sessions: ClientSessions, clock: IReactorTime) -> None:
        self._sessions = sessions
        self._clock = clock
        self._max = max(1, sessions.max_sessions // 2)
        self._by_digest: dict[bytes, PollingSession] = {}

    def __len__(self) -> int:
        return len(self._by_digest)

    def open(self, group: str = "") -> tuple[bytes, Messages]:
        """A new session: its token, 32 random bytes, and what the node says first.

        :param group: of the client's address (:meth:`ClientSessions.group_of`).
        :raises TooMany: the node, or that address, has as many clients as it may.
        :raises RateLimited: that address opens them too fast.
        :raises DrainingNow: it is about to stop.
        """
        services = self._sessions.services
        if services.state() == "draining":
            raise DrainingNow("this node is about to stop")
        now = self._clock.seconds()
        wait = services.rates.wait_of_address(Kind.SESSIONS, group, now)
        if wait:
            services.misconduct.report(group, "rate-limited")
            raise RateLimited("too many new sessions from your address", int(wait * 1000) + 1)
        self._sessions.require_room(group)
        if len(self) >= self._max:
            raise TooMany("this node has as many clients as it takes", FULL_RETRY_MS)
        token = services.random_bytes(TOKEN_BYTES)
        digest = _digest(token)

        def gone(_: PollingSession) -> None:
            del self._by_digest[digest]

        polled = PollingSession(self._sessions, self._clock, gone, group)
        self._by_digest[digest] = polled
        return token, polled.open()

    def group_of(self, peer: str, forwarded: str) -> str:
        """As :meth:`ClientSessions.group_of`."""
        return self._sessions.group_of(peer, forwarded)

    def find(self, token: bytes) -> PollingSession:
        """Looked up by a hash, so that the time it takes tells nothing about other tokens.

        :raises UnknownSession: there is none.
        """
        found = self._by_digest.get(_digest(token))
        if found is None:
            raise UnknownSession
        return found

    def discard_all(self) -> None:
        """The node has stopped: no timer is left."""
        for polled in list(self._by_digest.values()):
            polled.discard()


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()
