"""The HTTP side of a node: where the WebSocket lives, and bounds on everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

MAX_BODY_BYTES = 128 * 1024
IDLE_SECONDS = 60


class BoundedRequest(Request):
    """Refuses a body before it is read: twisted.web itself would take any size."""

    _refused = False

    def gotLength(self, length: int | None) -> None:
        Request.gotLength(self, length)
        if length is None or length > MAX_BODY_BYTES:
            self._refused = True
            self.channel._respondToBadRequestAndDisconnect()

    def handleContentChunk(self, data: bytes) -> None:
        # A TLS transport goes on reading while it says goodbye, and would fill the disk.
        if not self._refused:
            Request.handleContentChunk(self, data)
        elif self.channel is not None:
            self.channel.forceAbortClient()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._refused:
            Request.requestReceived(self, command, path, version)


class Text(Resource):
    """A short answer in plain text."""

    isLeaf = True  # noqa: N815 - Twisted reads it by this name

    def __init__(self, code: int, text: Callable[[], str]) -> None:
        Resource.__init__(self)
        self._code = code
        self._text = text

    def render(self, request: HttpRequest) -> bytes:
        request.setResponseCode(self._code)
        request.setHeader("content-type", "text/plain; charset=utf-8")
        request.setHeader("cache-control", "no-store")
        request.setHeader("x-content-type-options", "nosniff")
        body = (self._text() + "\n").encode()
        return b"" if request.method == b"HEAD" else body


class Directory(Resource):
    """Is nothing itself, and holds nothing but the children it is given."""

    def __init__(self) -> None:
        Resource.__init__(self)

    def getChild(self, path: bytes, request: HttpRequest) -> Text:
        return Text(404, lambda: "Nothing is here.")

    def render(self, request: HttpRequest) -> bytes:
        return self.getChild(b"", request).render(request)


class Root(Directory):
    """``/v1/socket`` is the WebSocket; everything else is not found."""

    def __init__(self, socket: IResource) -> None:
        Directory.__init__(self)
        version = Directory()
        version.putChild(b"socket", socket)
        self.putChild(b"v1", version)
        self.putChild(b"", Text(200, lambda: "A tace node. Clients connect to /v1/socket."))


class QuietSite(Site):
    """No access log: request lines carry addresses beside what was asked."""

    noisy = False
    displayTracebacks = False  # noqa: N815 - Twisted reads it by this name

    def __init__(self, root: IResource, reactor: Any) -> None:
        Site.__init__(
            self, root, requestFactory=BoundedRequest, timeout=IDLE_SECONDS, reactor=reactor
        )

    def log(self, request: HttpRequest) -> None:
        return None


def make_site(socket: IResource, reactor: Any) -> Site:
    return QuietSite(Root(socket), reactor)
