"""HTTP requests as the gateway takes them: bounded, in memory, without cookies or forms.

Over HTTP/1.1 the time a request takes is bounded by its channel (:mod:`tace.gateway.channel`);
over HTTP/2, where requests share a connection, here.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

from tace.gateway.addresses import counted_group
from tace.gateway.channel import REQUEST_SECONDS
from tace.gateway.frames import MAX_BODY_BYTES

MAX_BODIES_BYTES = 64 * 1024 * 1024
"""All bodies of requests that are held at one time: over HTTP/2 one connection may send many."""

MAX_UNSENT_BYTES = 512 * 1024
"""Of answers that an HTTP/2 client has asked for and does not read; beyond it no more is answered.
Over HTTP/1.1 one answer waits at most."""
MAX_BODIES_SHARE = 0.25
"""Of that, for what comes from one address (of IPv6, one /56)."""


class BodyRoom:
    """How many bytes of bodies a site holds."""

    def __init__(self, max_bytes: int = MAX_BODIES_BYTES) -> None:
        self._max = max_bytes
        self._max_of_group = max_bytes * MAX_BODIES_SHARE
        self._groups: dict[str, int] = {}
        self.held = 0

    def take(self, count: int, group: str = "") -> bool:
        """Whether there was room for them.

        :param group: of the address they come from; empty for one that is not counted.
        """
        of_group = self._groups.get(group, 0) + count
        if self.held + count > self._max or (group and of_group > self._max_of_group):
            return False
        self.held += count
        self._groups[group] = of_group
        return True

    def give_back(self, count: int, group: str = "") -> None:
        self.held -= count
        left = self._groups[group] - count
        if left:
            self._groups[group] = left
        else:
            del self._groups[group]


class BoundedRequest(Request):
    """Refuses a body that is too large: twisted.web itself would take any size.

    Over HTTP/1.1 it is refused by its length, before a byte of it is read. Over HTTP/2, where many
    requests share a connection and a length need not be said, it is refused at its end, and
    nothing of it is kept.
    """

    _refused = False
    _multiplexed = False
    _held = 0
    _group = ""
    _room: BodyRoom
    _deadline: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        # Never a file: twisted.web would put larger bodies on the disk.
        self.content = BytesIO()
        channel: Any = self.channel
        self._room = channel.site.bodies
        self._group = counted_group(getattr(channel.getPeer(), "host", "") or "")
        self._multiplexed = not isinstance(self.channel, HTTPChannel)
        if self._multiplexed:
            # twisted.web does not know the stream yet; it can be refused only later.
            self._refused = (length or 0) > MAX_BODY_BYTES
            self._deadline = channel.site.reactor.callLater(REQUEST_SECONDS, self._too_slow)
        elif length is None or length > MAX_BODY_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        if self._refused:
            if not self._multiplexed and self.channel is not None:
                # A TLS transport goes on reading while it says goodbye.
                self.channel.forceAbortClient()
        elif self._held + len(data) > MAX_BODY_BYTES or not self._room.take(len(data), self._group):
            self._refuse()
        else:
            self._held += len(data)
            Request.handleContentChunk(self, data)

    def parseCookies(self) -> None:
        """Nothing here looks at cookies."""

    def getHeader(self, key: Any) -> Any:
        # twisted.web decodes UTF-8, and fails over anything else a stranger may send.
        if isinstance(key, str):
            value = Request.getHeader(self, key.encode("ascii"))
            return None if value is None else value.decode("latin-1")
        return Request.getHeader(self, key)

    def forwarded_for(self) -> str:
        """What proxies on the way say (X-Forwarded-For): all its lines, by commas."""
        lines = self.requestHeaders.getRawHeaders(b"x-forwarded-for") or []
        return b",".join(lines).decode("latin-1")

    def setHeader(self, name: bytes | str, value: bytes | str) -> None:
        # twisted.web tells everybody what the node is made of.
        if name != b"Server":
            Request.setHeader(self, name, value)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self._in_time()
        if not self._refused:
            Request.requestReceived(self, command, path, version)
        elif self._multiplexed and self.channel is not None:
            self.channel._respondToBadRequestAndDisconnect()

    def body(self) -> bytes:
        """The whole body, once: the room it took is given back, however long the answer takes."""
        body = b"" if self.content is None else bytes(self.content.read())
        self._let_go()
        return body

    def finish(self) -> None:
        self._let_go()
        Request.finish(self)

    def connectionLost(self, reason: Failure) -> None:
        self._in_time()
        self._let_go()
        Request.connectionLost(self, reason)

    def _too_slow(self) -> None:
        self._deadline = None
        self._refused = True
        self._let_go()
        # Resets the stream: after an answer twisted.web would stumble over what still comes on it.
        channel: Any = self.channel
        channel.abortConnection()

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        self._refused = True
        self._let_go()
        if not self._multiplexed:
            channel: Any = self.channel
            channel._respondToBadRequestAndDisconnect()

    def _let_go(self) -> None:
        if self._held:
            self._room.give_back(self._held, self._group)
            self._held = 0
            self.content = BytesIO()


def unsent_bytes(request: Request) -> int:
    """Of answers to earlier requests of the same HTTP/2 connection; over HTTP/1.1 there are none,
    because a request is read when the answer before it has left."""
    connection: Any = getattr(request.channel, "_conn", None)
    if connection is None:
        return 0
    queues = connection._outboundStreamQueues.values()
    return sum(len(chunk) for queue in queues for chunk in queue if isinstance(chunk, bytes))
