"""The HTTP side of a node: what is at which path, and bounds on everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from tace.gateway.channel import bounded_protocol
from tace.gateway.frames import MAX_BODY_BYTES
from tace.gateway.polling_http import ExchangeResource, PollResource, SessionResource
from tace.gateway.polling_sessions import PollingSessions
from tace.gateway.requests import BodyRoom, BoundedRequest
from tace.gateway.web_files import WebFile
from tace.gateway.web_site import WebClient, set_page_headers

__all__ = ["IDLE_SECONDS", "MAX_BODY_BYTES", "QuietSite", "Text", "make_site"]

IDLE_SECONDS = 60
"""A connection without a request ends after this. More than twice what a poll waits: over HTTP/2
this ends a connection in the middle of one."""
WITHOUT_WEB = "A tace node. Clients connect to /v1/socket."
WITHOUT_BUILD = (
    WITHOUT_WEB + "\nIt serves no web client: tace/web was not built when it was installed."
)


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
    """``/v1`` is for clients, from any origin; everything else is the page."""

    def __init__(
        self, socket: IResource, polling: PollingSessions, files: Mapping[str, WebFile] | None
    ) -> None:
        Directory.__init__(self)
        version = Directory()
        version.putChild(b"socket", socket)
        version.putChild(b"session", SessionResource(polling))
        version.putChild(b"exchange", ExchangeResource(polling))
        version.putChild(b"poll", PollResource(polling))
        self.putChild(b"v1", version)
        self._web = WebClient(files or {})
        if not files:
            text = WITHOUT_WEB if files is None else WITHOUT_BUILD
            self.putChild(b"", Text(200, lambda: text))

    def getChildWithDefault(self, path: bytes, request: HttpRequest) -> IResource:
        if path != b"v1":
            set_page_headers(request)
            if self._web.has(request.path):
                return self._web
        known: IResource | None = self.children.get(path)
        return known or self.getChild(path, request)


class QuietSite(Site):
    """No access log: request lines carry addresses beside what was asked."""

    noisy = False
    displayTracebacks = False  # noqa: N815 - Twisted reads it by this name
    protocol = staticmethod(bounded_protocol)

    def __init__(self, root: IResource, reactor: Any) -> None:
        self.bodies = BodyRoom()
        Site.__init__(
            self,
            root,
            requestFactory=BoundedRequest,
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )

    def log(self, request: HttpRequest) -> None:
        return None


def make_site(
    socket: IResource,
    polling: PollingSessions,
    files: Mapping[str, WebFile] | None,
    reactor: Any,
) -> QuietSite:
    """
    :param socket: what upgrades to a WebSocket.
    :param files: of the web client; None where it is not to be served, empty where it was not
        built.
    """
    return QuietSite(Root(socket, polling, files), reactor)
