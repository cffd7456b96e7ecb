"""How the operator speaks to a running node: HTTP over a socket in its data directory.

Nobody but the owner of the directory reaches it: the socket has mode 0600. ``POST /leave`` has the
node leave for good, or joins in watching when it is leaving already; the answer is a stream of
lines, one JSON object each, that ends with the stage ``left``.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from tace.errors import StartError
from tace.mailbox.leave import CannotLeave, Leave, Stage, Standing

SOCKET_NAME = "control"
SOCKET_MODE = 0o600
MAX_PATH_BYTES = 103
"""Of a socket's address: 107 on Linux, 103 on other systems."""
MAX_BODY_BYTES = 4096
"""Of a request at the control socket."""
IDLE_SECONDS = 60
PROBE_SECONDS = 1.0


def socket_path(data_dir: Path) -> Path:
    """Where a node with that directory is spoken to.

    :raises StartError: its name is too long for a socket.
    """
    path = data_dir / SOCKET_NAME
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise StartError(
            f"[node] data_dir: {path} has {length} bytes, and the name of a socket at most"
            f" {MAX_PATH_BYTES}: use a shorter (or a relative) path"
        )
    return path


def clear_stale(path: Path) -> None:
    """Remove the socket that a node which was killed has left behind.

    :raises StartError: somebody listens there, or it is no socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"[node] data_dir: {path} is in the way: it is no socket; move it away")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(PROBE_SECONDS)
    try:
        probe.connect(os.fspath(path))
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StartError(f"[node] data_dir: {path}: {error.strerror or error}") from error
    else:
        raise StartError(
            f"[node] data_dir: another node runs in {path.parent}: one directory, one node"
        )
    finally:
        probe.close()


class _SmallRequest(Request):
    """Its body is small, or it is no request for this."""

    def gotLength(self, length: int | None) -> None:
        if length is None or length > MAX_BODY_BYTES:
            channel: Any = self.channel
            channel.loseConnection()
        self.content = BytesIO()


class _ControlSite(Site):
    noisy = False
    displayTracebacks = False  # noqa: N815 - Twisted reads it by this name

    def __init__(self, root: Resource, reactor: Any) -> None:
        Site.__init__(
            self,
            root,
            requestFactory=_SmallRequest,
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )

    def log(self, request: HttpRequest) -> None:
        return None


def control_site(leave: Leave, node: bytes, reactor: Any) -> Site:
    """What is served at the socket.

    :param node: the id of the node, told in every line.
    """
    root = Resource()
    root.putChild(b"leave", _LeaveResource(leave, node))
    return _ControlSite(root, reactor)


def line_of(standing: Standing, node: bytes) -> bytes:
    """One line of the stream."""
    told = {"node": node.hex(), "stage": str(standing.stage), **asdict(standing.progress)}
    return json.dumps(told).encode() + b"\n"


class _LeaveResource(Resource):
    isLeaf = True  # noqa: N815 - Twisted reads it by this name

    def __init__(self, leave: Leave, node: bytes) -> None:
        Resource.__init__(self)
        self._leave = leave
        self._node = node

    def render_POST(self, request: HttpRequest) -> bytes | int:
        request.setHeader("cache-control", "no-store")
        request.setHeader("content-type", "application/json")
        try:
            if not self._leave.under_way:
                self._leave.begin(consent=_consent(request))
            stream = _Lines(request, self._node)
            stream.watched_by(self._leave.watch(stream.tell))
        except CannotLeave as error:
            request.setResponseCode(409)
            refused = {"code": error.code, "detail": str(error), "consent": error.consent}
            return json.dumps(refused).encode() + b"\n"
        return NOT_DONE_YET


def _consent(request: HttpRequest) -> bool:
    content: Any = request.content
    try:
        asked = json.loads(content.read() or b"{}")
    except ValueError:
        return False
    return isinstance(asked, dict) and asked.get("consent") is True


@implementer(IPushProducer)
class _Lines:
    """The stream to one watcher. One that does not read gets the latest line when it does."""

    def __init__(self, request: HttpRequest, node: bytes) -> None:
        self._request = request
        self._node = node
        self._paused = False
        self._over = False
        self._held: Standing | None = None
        self._unwatch: Callable[[], None] = lambda: None
        request.notifyFinish().addBoth(lambda _: self._ended())
        request.registerProducer(self, True)

    def watched_by(self, unwatch: Callable[[], None]) -> None:
        """What ends the watching."""
        self._unwatch = unwatch
        if self._over:
            unwatch()

    def tell(self, standing: Standing) -> None:
        if self._over:
            return
        if self._paused:
            self._held = standing
            return
        self._request.write(line_of(standing, self._node))
        if standing.stage is Stage.LEFT:
            self._request.unregisterProducer()
            self._request.finish()

    def _ended(self) -> None:
        self._over = True
        self._unwatch()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        held, self._held = self._held, None
        if held is not None:
            self.tell(held)

    def stopProducing(self) -> None:
        self._ended()
