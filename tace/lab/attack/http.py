"""Raw bytes at the client port: noise, loris, silence, and bodies that do not fit."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from tace.lab.attack.ground import CUT, Ground, Words
from tace.lab.attack.peers import NESTED, TRICKLE_SECONDS
from tace.lab.attack.raw import Raw, connect, connect_many, end_of, ends_of, trickle
from tace.wire.client import Send

LARGE = 1 << 40


async def noise(ground: Ground) -> Words:
    """Bytes that are no HTTP, and HTTP that is wrong."""
    requests = (
        ground.random.randbytes(600) + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/exchange HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    )
    return await _each(ground, requests)


async def large_bodies(ground: Ground) -> Words:
    """Bodies announced larger than any may be, and of no announced length."""
    start = b"POST /v1/exchange HTTP/1.1\r\nHost: x\r\n"
    return await _each(
        ground,
        (
            start + b"Content-Length: %d\r\n\r\n" % LARGE,
            start + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n",
        ),
    )


async def slow_headers(ground: Ground) -> Words:
    """Slow loris: a request whose head never ends, byte by byte."""
    return await _slowly(ground, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200)


async def slow_body(ground: Ground) -> Words:
    """Slow loris: a body that comes byte by byte."""
    head = b"POST /v1/exchange HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"

    async def one() -> str:
        raw = await _connect(ground)
        if raw is None:
            return CUT
        raw.write(head)
        return await trickle(ground, raw, bytes(10_000), TRICKLE_SECONDS)

    return Words(
        await gatherResults(
            [Deferred.fromCoroutine(one()) for _ in range(ground.size)], consumeErrors=True
        )
    )


async def silence(ground: Ground) -> Words:
    """Connections that say nothing."""
    client = ground.target.client
    raws = await connect_many(ground, client.host, client.port, ground.size)
    refused = ground.size - len(raws)
    words = await ends_of(ground, raws)
    words[CUT] += refused
    return words


async def nested(ground: Ground) -> Words:
    """An exchange with a message nested a thousand deep, in a session of its own."""
    words = Words()
    for _ in range(ground.size):
        token = await _session(ground)
        if token is None:
            words[CUT] += 1
            continue
        message = Send.NUMBER.to_bytes(2) + (1).to_bytes(4) + NESTED
        body = len(message).to_bytes(4) + message
        words[await _request(ground, _post(b"/v1/exchange", body, token))] += 1
    return words


async def guessed_tokens(ground: Ground) -> Words:
    """Sessions that are somebody else's, or nobody's."""
    words = Words()
    for _ in range(ground.size):
        token = b"A" * 43
        words[await _request(ground, _post(b"/v1/exchange", b"", token))] += 1
    return words


# -- in common -----------------------------------------------------------------------------------


async def _connect(ground: Ground) -> Raw | None:
    return await connect(ground, ground.target.client.host, ground.target.client.port)


def _post(path: bytes, body: bytes, token: bytes = b"") -> bytes:
    session = b"Tace-Session: " + token + b"\r\n" if token else b""
    return (
        b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + session
        + b"Content-Length: %d\r\n\r\n" % len(body) + body
    )  # fmt: skip


async def _session(ground: Ground) -> bytes | None:
    """The token of a new session."""
    raw = await _connect(ground)
    if raw is None:
        return None
    raw.write(_post(b"/v1/session", b""))
    await end_of(ground, raw)
    raw.abort()
    for line in raw.heard.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"tace-session":
            return value.strip()
    return None


async def _request(ground: Ground, request: bytes) -> str:
    """The status of the answer, as a word; ``cut`` where there is none."""
    raw = await _connect(ground)
    if raw is None:
        return CUT
    raw.write(request)
    word = await end_of(ground, raw)
    raw.abort()
    return _status(raw.heard) or word


async def _each(ground: Ground, requests: tuple[bytes, ...]) -> Words:
    words = Words()
    for number in range(ground.size):
        words[await _request(ground, requests[number % len(requests)])] += 1
    return words


async def _slowly(ground: Ground, data: bytes) -> Words:
    async def one() -> str:
        raw = await _connect(ground)
        return CUT if raw is None else await trickle(ground, raw, data, TRICKLE_SECONDS)

    return Words(
        await gatherResults(
            [Deferred.fromCoroutine(one()) for _ in range(ground.size)], consumeErrors=True
        )
    )


def _status(heard: bytes) -> str:
    """``http-400`` and so on; empty where no answer came."""
    first = heard.split(b"\r\n", 1)[0].split(b" ")
    if first[0].startswith(b"HTTP/") and len(first) > 1 and first[1].isdigit():
        return f"http-{first[1].decode()}"
    return ""
