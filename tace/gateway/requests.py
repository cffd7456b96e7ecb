"""HTTP requests as the gateway takes them: bounded, in memory, without cookies or forms."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.web.http import HTTPChannel
from twisted.web.server import Request

from tace.gateway.frames import MAX_BODY_BYTES


class BoundedRequest(Request):
    """Refuses a body that is too large: twisted.web itself would take any size.

    Over HTTP/1.1 it is refused by its length, before a byte of it is read. Over HTTP/2, where many
    requests share a connection and a length need not be said, it is refused at its end, and
    nothing of it is kept.
    """

    _refused = False
    _multiplexed = False

    def gotLength(self, length: int | None) -> None:
        # Never a file: twisted.web would put larger bodies on the disk.
        self.content = BytesIO()
        self._multiplexed = not isinstance(self.channel, HTTPChannel)
        if self._multiplexed:
            # twisted.web does not know the stream yet; it can be refused only later.
            self._refused = (length or 0) > MAX_BODY_BYTES
        elif length is None or length > MAX_BODY_BYTES:
            self._refused = True
            self.channel._respondToBadRequestAndDisconnect()

    def handleContentChunk(self, data: bytes) -> None:
        content: Any = self.content
        if self._multiplexed and content.tell() + len(data) > MAX_BODY_BYTES:
            self._refused = True
        if not self._refused:
            Request.handleContentChunk(self, data)
        elif self._multiplexed:
            self.content = BytesIO()
        elif self.channel is not None:
            # A TLS transport goes on reading while it says goodbye, and would fill the memory.
            self.channel.forceAbortClient()

    def parseCookies(self) -> None:
        """Nothing here looks at cookies."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._refused:
            Request.requestReceived(self, command, path, version)
        elif self._multiplexed and self.channel is not None:
            self.channel._respondToBadRequestAndDisconnect()
