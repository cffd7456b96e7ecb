"""One HTTP/1.1 connection as the gateway takes it: so long for a request, so much unsent.

twisted.web's own channel lets a request take for ever as long as a byte comes now and then, goes on
parsing after it has refused, and answers whatever it has read, whether or not the client reads.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol
from twisted.web.server import Site

OPENING_SECONDS = 20.0
"""From the connection to the end of the first request, the TLS handshake included."""
REQUEST_SECONDS = 60.0
"""From the first byte of a later request to its end."""


class BoundedChannel(HTTPChannel):
    """Reads requests in bounded time, and none while the client leaves answers unread."""

    site: Site
    transport: Any
    _refused = False
    _reading_request = True

    def connectionMade(self) -> None:
        # Not set first and shortened then: for that Twisted searches all timers that there are,
        # which with ten thousand connections takes a millisecond for each.
        opening: Any = self._at_most(OPENING_SECONDS)
        self.timeOut = opening
        HTTPChannel.connectionMade(self)

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            # A TLS transport goes on reading while it says goodbye.
            self.transport.abortConnection()
            return
        if not self._reading_request:
            self._reading_request = True
            self._allow(REQUEST_SECONDS)
        HTTPChannel.dataReceived(self, data)

    def _allow(self, seconds: float) -> None:
        within: Any = self.setTimeout
        within(self._at_most(seconds))

    def _at_most(self, seconds: float) -> float:
        return min(seconds, self.site.timeOut or seconds)

    def resetTimeout(self) -> None:
        """A byte now and then earns nobody more time."""

    def lineReceived(self, line: bytes) -> None:
        # What stands behind a line that was refused is nothing.
        if not self._refused:
            HTTPChannel.lineReceived(self, line)

    def timeoutConnection(self) -> None:
        """As twisted.web's, without a line in the log for each: anybody could fill the disk."""
        self._refused = True
        later: Any = self.callLater
        self._abortingCall = later(self.abortTimeout, self.forceAbortClient)
        close: Any = self.loseConnection
        close()

    def forceAbortClient(self) -> None:
        self._abortingCall = None
        self.transport.abortConnection()

    def requestDone(self, request: object) -> None:
        self._reading_request = False
        self._savedTimeOut = self.site.timeOut
        HTTPChannel.requestDone(self, request)

    def _respondToBadRequestAndDisconnect(self) -> None:
        if not self._refused:
            self._refused = True
            HTTPChannel._respondToBadRequestAndDisconnect(self)

    # -- IPushProducer: the transport says whether the client reads --------------------------------

    def pauseProducing(self) -> None:
        """Neither read nor answer what was read already: a few bytes may hold many requests."""
        self.paused = True
        HTTPChannel.pauseProducing(self)
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        HTTPChannel.resumeProducing(self)
        self._networkProducer.resumeProducing()
        self.paused = False
        if not self._refused:
            HTTPChannel.dataReceived(self, b"")


class QuietProtocol(_GenericHTTPChannelProtocol):
    """Changes to HTTP/2 where that is negotiated, and says nothing of clients that fall silent."""

    def dataReceived(self, data: bytes) -> None:
        _GenericHTTPChannelProtocol.dataReceived(self, data)
        negotiated: Any = self._negotiatedProtocol
        if negotiated == b"h2":
            # It would write the address of every browser that has been idle for a minute.
            channel: Any = self._channel
            channel._log = _UNSAID


class _Unsaid:
    """A log that is not written."""

    def info(self, text: str, **fields: object) -> None:
        """Nothing."""

    error = info


_UNSAID = _Unsaid()


def bounded_protocol() -> QuietProtocol:
    """What a site makes for a connection."""
    channel: Any = BoundedChannel
    return QuietProtocol(channel())
