"""``/v1/session``, ``/v1/exchange``, ``/v1/poll``: client sessions over plain HTTP requests.

The law is docs/protocol/client.md, section 12. Any origin may ask: there are no cookies, and the
token that names a session is a header that only the program that was given it can send.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tace.errors import (
    DrainingNow,
    ProtocolError,
    RateLimited,
    Refusal,
    TooMany,
    Unauthorized,
)
from tace.gateway.frames import join_frames, split_frames
from tace.gateway.polling import (
    BadExchange,
    BadPoll,
    PollingSession,
    UnknownSession,
)
from tace.gateway.polling_sessions import PollingSessions
from tace.gateway.requests import MAX_UNSENT_BYTES, BoundedRequest, unsent_bytes
from tace.gateway.waiting import Messages
from tace.wire.client import ClientRefused, encode_client_message

PREFLIGHT_SECONDS = 86_400
_TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
_NUMBER = re.compile(rb"[1-9][0-9]{0,8}")

Answer = tuple[int, Messages]
Methods = dict[bytes, Callable[[Any, BoundedRequest], Any]]


class _Endpoint(Resource):
    """One path: its methods, and what is the same for all of them."""

    isLeaf = True  # noqa: N815 - Twisted reads it by this name
    methods: ClassVar[Methods]
    """What each method does; it may raise what :meth:`render` turns into statuses."""

    def __init__(self, sessions: PollingSessions) -> None:
        Resource.__init__(self)
        self._sessions = sessions

    def render(self, request: BoundedRequest) -> Any:
        for name, value in (
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "tace-session"),
        ):
            request.setHeader(name, value)
        if request.postpath:
            return _say(request, 404, [])
        if request.method == b"OPTIONS":
            return self._preflight(request)
        method = self.methods.get(request.method)
        if method is None:
            request.setHeader("allow", ", ".join(self._allowed()))
            return _say(request, 405, [])
        try:
            if unsent_bytes(request) > MAX_UNSENT_BYTES:
                raise TooMany("read the answers you have asked for", retry_after_ms=1000)
            return method(self, request)
        except UnknownSession:
            return _say(request, *_NO_SESSION)
        except BadExchange as error:
            return _say(request, 400, [error.last_word])
        except BadPoll as error:
            return _say(request, 400, [_refusal(ProtocolError(str(error)))])
        except (TooMany, DrainingNow) as refusal:
            return _later(request, 503, refusal)
        except RateLimited as refusal:
            return _later(request, 429, refusal)

    def _allowed(self) -> list[str]:
        return [*(name.decode() for name in self.methods), "OPTIONS"]

    def _preflight(self, request: BoundedRequest) -> bytes:
        """What a browser asks before it lets a page of another origin send our headers."""
        request.setHeader("access-control-allow-methods", ", ".join(self._allowed()))
        request.setHeader("access-control-allow-headers", "tace-session, tace-poll, content-type")
        request.setHeader("access-control-max-age", str(PREFLIGHT_SECONDS))
        request.setResponseCode(204)
        return b""

    def _session(self, request: BoundedRequest) -> PollingSession:
        return self._sessions.find(_token(request))


class SessionResource(_Endpoint):
    """Opens a session, and ends one."""

    def _open(self, request: BoundedRequest) -> bytes:
        if request.body():
            return _say(request, 400, [_refusal(ProtocolError("opening a session has no body"))])
        channel: Any = request.channel
        peer = getattr(channel.getPeer(), "host", "") or ""
        group = self._sessions.group_of(peer, request.forwarded_for())
        token, messages = self._sessions.open(group)
        request.setHeader("tace-session", urlsafe_b64encode(token).rstrip(b"="))
        return _say(request, 200, messages)

    def _end(self, request: BoundedRequest) -> bytes:
        self._session(request).discard()
        request.setResponseCode(204)
        return b""

    methods: ClassVar[Methods] = {b"POST": _open, b"DELETE": _end}


class ExchangeResource(_Endpoint):
    """Takes requests and brings their answers."""

    def _exchange(self, request: BoundedRequest) -> Any:
        session = self._session(request)
        try:
            messages = split_frames(request.body())
        except ProtocolError as error:
            raise session.malformed(error) from error
        return _answer_later(request, session.exchange(messages))

    methods: ClassVar[Methods] = {b"POST": _exchange}


class PollResource(_Endpoint):
    """Waits for what the node has to say."""

    def _poll(self, request: BoundedRequest) -> Any:
        session = self._session(request)
        number = request.getHeader(b"tace-poll") or b""
        if not _NUMBER.fullmatch(number):
            raise BadPoll("tace-poll is a number from 1")
        return _answer_later(request, session.poll(int(number)))

    methods: ClassVar[Methods] = {b"GET": _poll}


def _token(request: BoundedRequest) -> bytes:
    """
    :raises UnknownSession: there is none, or it is not 43 characters of base64url.
    """
    text = request.getHeader(b"tace-session") or b""
    if not _TOKEN.fullmatch(text):
        raise UnknownSession
    return urlsafe_b64decode(text + b"=")


def _say(request: BoundedRequest, status: int, messages: Messages) -> bytes:
    request.setResponseCode(status)
    request.setHeader("content-type", "application/octet-stream")
    body = join_frames(messages)
    request.setHeader("content-length", str(len(body)))
    return body


def _later(request: BoundedRequest, status: int, refusal: Refusal) -> bytes:
    """No, and when it makes sense to ask again."""
    if refusal.retry_after_ms:
        request.setHeader("retry-after", str(-(-refusal.retry_after_ms // 1000)))
    return _say(request, status, [_refusal(refusal)])


def _answer_later(request: BoundedRequest, answer: Deferred[Messages]) -> int:
    """Answer when there is something; drop it when the client is gone before that."""

    def gone(_: Failure) -> None:
        answer.cancel()

    # Its Deferred fires with None when the answer has been written.
    request.notifyFinish().addErrback(gone)

    def ready(messages: Messages) -> None:
        answering: Any = request
        answering.write(_say(request, 200, messages))
        request.finish()

    def cancelled(failure: Failure) -> None:
        failure.trap(CancelledError)

    answer.addCallbacks(ready, cancelled)
    return int(NOT_DONE_YET)


def _refusal(reason: Refusal) -> bytes:
    return encode_client_message(
        ClientRefused(reason.code, str(reason)[:200], reason.retry_after_ms), 0
    )


_NO_SESSION: Answer = (401, [_refusal(Unauthorized("there is no such session"))])
