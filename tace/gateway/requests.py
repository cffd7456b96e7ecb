"""HTTP requests as the gateway takes them: bounded, in memory, without cookies or forms."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

from tace.gateway.frames import MAX_BODY_BYTES

MAX_BODIES_BYTES = 64 * 1024 * 1024
"""All bodies that are held at one time: over HTTP/2 one connection may send a hundred at once."""


class BodyRoom:
    """How many bytes of bodies a site holds."""

    def __init__(self, max_bytes: int = MAX_BODIES_BYTES) -> None:
        self._max = max_bytes
        self.held = 0

    def take(self, count: int) -> bool:
        """Whether there was room for them."""
        if self.held + count > self._max:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        self.held -= count


class BoundedRequest(Request):
    """Refuses a body that is too large: twisted.web itself would take any size.

    Over HTTP/1.1 it is refused by its length, before a byte of it is read. Over HTTP/2, where many
    requests share a connection and a length need not be said, it is refused at its end, and
    nothing of it is kept.
    """

    _refused = False
    _multiplexed = False
    _held = 0
    _room: BodyRoom

    def gotLength(self, length: int | None) -> None:
        # Never a file: twisted.web would put larger bodies on the disk.
        self.content = BytesIO()
        channel: Any = self.channel
        self._room = channel.site.bodies
        self._multiplexed = not isinstance(self.channel, HTTPChannel)
        if self._multiplexed:
            # twisted.web does not know the stream yet; it can be refused only later.
            self._refused = (length or 0) > MAX_BODY_BYTES
        elif length is None or length > MAX_BODY_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        if self._refused:
            if not self._multiplexed and self.channel is not None:
                # A TLS transport goes on reading while it says goodbye.
                self.channel.forceAbortClient()
        elif self._held + len(data) > MAX_BODY_BYTES or not self._room.take(len(data)):
            self._refuse()
        else:
            self._held += len(data)
            Request.handleContentChunk(self, data)

    def parseCookies(self) -> None:
        """Nothing here looks at cookies."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._refused:
            Request.requestReceived(self, command, path, version)
        elif self._multiplexed and self.channel is not None:
            self.channel._respondToBadRequestAndDisconnect()

    def finish(self) -> None:
        self._let_go()
        Request.finish(self)

    def connectionLost(self, reason: Failure) -> None:
        self._let_go()
        Request.connectionLost(self, reason)

    def _refuse(self) -> None:
        self._refused = True
        self._let_go()
        if not self._multiplexed:
            channel: Any = self.channel
            channel._respondToBadRequestAndDisconnect()

    def _let_go(self) -> None:
        if self._held:
            self._room.give_back(self._held)
            self._held = 0
            # A request that waits for its answer has been read.
            self.content = BytesIO()
