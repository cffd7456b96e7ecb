"""``tace verify-web``: is the page that a node serves the one in this package?"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from tace.cli.options import NodeUrl
from tace.cli.output import printable
from tace.cli.run import run
from tace.client.address import NodeAddress
from tace.errors import TaceError
from tace.gateway.web_files import INDEX, MANIFEST, WebFile, WebManifest, installed_files

CONNECT_SECONDS = 10.0
FILE_SECONDS = 30.0
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_SHOWN = 20
_REFERENCE = re.compile(rb"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)

Fetch = Callable[[str], Awaitable[bytes]]
"""Brings what is at a path (``/sw.js``), uncompressed.

Raises :class:`Absent` or :class:`Unfetched`.
"""


class Unfetched(TaceError):
    """No answer, or none that can be used; nothing is known about the file."""

    code = "unfetched"


class Absent(TaceError):
    """The node answers that it has no such file."""

    code = "absent"


class State(Enum):
    SAME = "same"
    DIFFERS = "differs"
    CANNOT = "cannot be compared"


EXIT_STATUS = {State.SAME: 0, State.DIFFERS: 1, State.CANNOT: 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """:param details: one line each: what differs, or why nothing can be said."""

    state: State
    details: tuple[str, ...] = ()
    version: str = ""
    compared: int = 0


async def verify(fetch: Fetch, installed: Mapping[str, WebFile]) -> Verdict:
    """Compare every file of the installed web client with what ``fetch`` brings."""
    try:
        own = _own_manifest(installed)
        told = _manifest(await fetch(f"/{MANIFEST}"))
    except Absent:
        return _cannot("the node serves no web client, or one without a list of its files")
    except TaceError as error:
        return _cannot(str(error))
    if told.version != own.version:
        return _cannot(f"the node serves version {told.version}, this package has {own.version}")
    differences = [
        f"{name}: is not part of this package" for name in sorted(set(told.files) - set(own.files))
    ]
    unfetched: list[str] = []
    # What a browser opens is the bare address; it has to be the same page.
    paths = {"/": INDEX, **{f"/{name}": name for name in sorted(own.files)}}
    for path, name in paths.items():
        try:
            content = await fetch(path)
        except Absent:
            differences.append(f"{path}: is missing")
            continue
        except Unfetched as error:
            unfetched.append(f"{path}: {error}")
            continue
        if sha256(content).hexdigest() != own.files[name]:
            differences.append(f"{path}: has other content")
            if name == INDEX:
                differences += _foreign(content, own)
    state = State.DIFFERS if differences else State.CANNOT if unfetched else State.SAME
    details = tuple(dict.fromkeys([*differences, *unfetched]))
    return Verdict(state, details, own.version, len(paths) - len(unfetched))


def _own_manifest(installed: Mapping[str, WebFile]) -> WebManifest:
    """
    :raises Unfetched: there is nothing to compare with.
    """
    if MANIFEST not in installed:
        raise Unfetched("this package was installed without a web client")
    try:
        own = WebManifest.parse(installed[MANIFEST].content)
    except ValueError as error:
        raise Unfetched(f"this package is damaged: {error}") from error
    there = {name: file.sha256 for name, file in installed.items() if name != MANIFEST}
    if there != dict(own.files) or INDEX not in there:
        raise Unfetched("this package is damaged: its files are not those of its own list")
    return own


def _manifest(content: bytes) -> WebManifest:
    try:
        return WebManifest.parse(content)
    except ValueError as error:
        raise Unfetched(f"the node's {error}") from error


def _cannot(reason: str) -> Verdict:
    return Verdict(State.CANNOT, (reason,))


def _foreign(page: bytes, own: WebManifest) -> list[str]:
    """What another page names and this package does not have."""
    named = {match.decode("latin-1") for match in _REFERENCE.findall(page)}
    return [
        f"the page names {name}, which is not part of this package"
        for name in sorted(named)
        if name.removeprefix("./").removeprefix("/") not in own.files
    ]


# -- over the network ------------------------------------------------------------------------------


class WebFetcher:
    """Fetches files of one node as a browser would: compressed, with the certificate verified.

    Follows no redirect: what is elsewhere is not what this node serves.

    :param policy: how certificates are verified; by default as the platform does.
    """

    def __init__(self, reactor: Any, address: NodeAddress, policy: Any = None) -> None:
        self._reactor = reactor
        self._address = address
        pool = HTTPConnectionPool(reactor, persistent=False)
        more = {} if policy is None else {"contextFactory": policy}
        self._agent = Agent(reactor, connectTimeout=CONNECT_SECONDS, pool=pool, **more)

    async def __call__(self, path: str) -> bytes:
        fetching = Deferred.fromCoroutine(self._fetch(path))
        try:
            return await fetching.addTimeout(FILE_SECONDS, self._reactor)
        except TimeoutError as error:
            raise Unfetched(f"no answer within {FILE_SECONDS:.0f} s") from error
        except (ConnectError, ConnectTimeout, DNSLookupError) as error:
            raise Unfetched(f"{self._address}: {error}") from error
        except ResponseFailed as error:
            if any(failure.check(CancelledError) for failure in error.reasons):
                raise Unfetched(f"no answer within {FILE_SECONDS:.0f} s") from error
            why = "; ".join(sorted({failure.getErrorMessage() for failure in error.reasons}))
            if "certificate verify failed" in why:
                why = "its certificate cannot be verified"
            raise Unfetched(f"{self._address}: {why}") from error

    async def _fetch(self, path: str) -> bytes:
        response = await self._agent.request(
            b"GET",
            (self._address.origin + path).encode("ascii"),
            Headers({b"accept-encoding": [b"gzip"]}),
        )
        body = _Body()
        response.deliverBody(body)
        try:
            content = await body.done
        except BaseException:
            body.stop()
            raise
        if response.code == 404:
            raise Absent(path)
        if response.code != 200:
            raise Unfetched(f"the node answers with status {response.code}")
        coding = response.headers.getRawHeaders(b"content-encoding", [b"identity"])
        if coding == [b"identity"]:
            return content
        if coding != [b"gzip"]:
            raise Unfetched("the node answers in an encoding that was not asked for")
        return _decompress(content)


class _Body(Protocol):
    """Collects a bounded body."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_FILE_BYTES:
            self._end(Failure(Unfetched(f"is larger than {MAX_FILE_BYTES:,} bytes")))
            self.stop()
        else:
            self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(ResponseDone, PotentialDataLoss):
            self._end(b"".join(self._parts))
        else:
            self._end(Failure(Unfetched("the connection broke")))

    def stop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _end(self, result: bytes | Failure) -> None:
        if not self.done.called:
            self.done.callback(result)


def _decompress(content: bytes) -> bytes:
    """
    :raises Unfetched: no gzip, or too large.
    """
    reading = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = reading.decompress(content, MAX_FILE_BYTES)
    except zlib.error as error:
        raise Unfetched("the node says gzip and sends something else") from error
    if not reading.eof or reading.unused_data:
        raise Unfetched("is too large, or cut short")
    return plain


# -- the command -----------------------------------------------------------------------------------


def show(address: NodeAddress, verdict: Verdict) -> None:
    """For people: the verdict, then a line for each detail."""
    version = printable(verdict.version)
    match verdict.state:
        case State.SAME:
            click.echo(f"same: {address} serves the web client of version {version}, as installed.")
        case State.DIFFERS:
            click.echo(f"DIFFERS: {address} does not serve the web client of version {version}.")
            click.echo("Do not use its page.")
        case State.CANNOT:
            click.echo(f"cannot be compared: {address}")
    for detail in verdict.details[:MAX_SHOWN]:
        click.echo(f"  {printable(detail)[:300]}")
    if len(verdict.details) > MAX_SHOWN:
        click.echo(f"  and {len(verdict.details) - MAX_SHOWN} more")


@click.command("verify-web")
@click.argument("address", metavar="URL", type=NodeUrl())
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(context: click.Context, address: NodeAddress, as_json: bool) -> None:
    """Compare the web client that the node at URL serves with the one in this package.

    It shows what the node serves to you now; not what it serves to others, or later.

    Exit status: 0 the same, 1 it differs, 2 it cannot be compared.
    """
    verdict = run(lambda reactor: verify(WebFetcher(reactor, address), installed_files()))
    if as_json:
        click.echo(
            json.dumps(
                {
                    "verdict": verdict.state.value,
                    "version": verdict.version or None,
                    "files": verdict.compared,
                    "details": list(verdict.details),
                }
            )
        )
    else:
        show(address, verdict)
    context.exit(EXIT_STATUS[verdict.state])
