"""``tace bench link``: requests over a link between two nodes, beside bare Twisted TLS."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, gatherResults

from tace.config import default_settings
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.lab.bench.bare_tls import BareTls
from tace.lab.bench.letters import Mailbox
from tace.lab.bench.rates import rates_off
from tace.lab.layout import LOOPBACK
from tace.links.service import PeerLinks
from tace.links.tls import LinkTls
from tace.observe.metrics import Metrics
from tace.wire.fields import PutResult
from tace.wire.framing import HEAD_BYTES
from tace.wire.message import Message, Request, encode
from tace.wire.peer import Ping, Pong, PutAnswer, PutEnvelopes

IN_FLIGHT = 64
REPEATS = 3
ENVELOPE_HOURS = 24


class LinkFigures(msgspec.Struct, frozen=True):
    """Of one kind of request; both ends together, which share one thread."""

    request_bytes: int
    answer_bytes: int
    requests_per_second: float
    cpu_us_per_request: float
    bare_requests_per_second: float
    bare_cpu_us_per_request: float
    ratio: float
    """Bare TLS's CPU by the link's, for frames of the same sizes.

    One core does all of it, so on a machine that has nothing else to do this is the ratio of the
    rates; on another one it still holds.
    """


class LinkReport(msgspec.Struct, frozen=True):
    """``tace bench link --json``."""

    in_flight: int
    requests: int
    put: LinkFigures
    """``PutEnvelopes`` with one envelope: what a message costs on its way to a replica."""
    ping: LinkFigures
    """``Ping``: the least that there is."""


class _End:
    """One node's links, on loopback, with what they need around them."""

    def __init__(self, reactor: Any, book: dict[NodeId, NodeRecord]) -> None:
        settings = default_settings(
            **{"links.listen": f"tcp:0:interface={LOOPBACK}", **rates_off()}
        )
        self._network_id = settings.network_id
        self._key = SigningKey.generate()
        self._book = book
        self._reactor = reactor
        self.current = self._signed(())
        self.links = PeerLinks(
            settings.links,
            self._key,
            self._network_id,
            self,
            self,
            reactor,
            reactor,
            Random(0),
            Metrics(),
        )

    async def start(self) -> NodeId:
        """Listens, and is in the book from then on."""
        await self.links.start()
        self.current = self._signed((f"{LOOPBACK}:{self.links.port}",))
        self._book[self.current.node_id] = self.current
        return self.current.node_id

    def record_of(self, node: NodeId) -> NodeRecord | None:
        return self._book.get(node)

    def _signed(self, addresses: tuple[str, ...]) -> NodeRecord:
        return NodeRecord.sign(
            self._key,
            self._network_id,
            peer_addresses=addresses,
            client_urls=(),
            boot=1,
            sequence=len(addresses),
            position_mask=1,
            expires_seconds=int(self._reactor.seconds()) + 3600,
        )


async def run_link_bench(
    reactor: Any, requests: int, random_bytes: Callable[[int], bytes]
) -> LinkReport:
    """Everything is in this process, so that one core does all of it, ours and the bare one.

    :param requests: so many of each kind, several times; the one with the least CPU counts.
    :raises TaceError: the link is not to be had.
    """
    hours = int(reactor.seconds() // 3600) + ENVELOPE_HOURS
    put = PutEnvelopes((Mailbox().letter(hours, random_bytes).envelope,))
    stored = PutAnswer((PutResult("stored"),))
    book: dict[NodeId, NodeRecord] = {}
    asking, answering = _End(reactor, book), _End(reactor, book)
    try:
        await asking.start()
        node = await answering.start()
        answering.links.serve({PutEnvelopes: _always(stored), Ping: _always(Pong())})

        async def measured(request: Request[Any], answer: Message) -> LinkFigures:
            return await _measured(reactor, asking.links, node, request, answer, requests)

        return LinkReport(
            in_flight=IN_FLIGHT,
            requests=requests,
            put=await measured(put, stored),
            ping=await measured(Ping(), Pong()),
        )
    finally:
        for end in (asking, answering):
            await end.links.close(within_seconds=0)


def _always(answer: Message) -> Any:
    async def procedure(_node: NodeId, _request: Message) -> Message:
        return answer

    return procedure


async def _measured(
    reactor: Any,
    links: PeerLinks,
    node: NodeId,
    request: Request[Any],
    answer: Message,
    count: int,
) -> LinkFigures:
    # Both have a length of four bytes before a frame.
    request_bytes = HEAD_BYTES - 4 + len(encode(request))
    answer_bytes = HEAD_BYTES - 4 + len(encode(answer))
    bare = BareTls(reactor, LinkTls(reactor.seconds()), request_bytes, answer_bytes)
    requests = await bare.open()
    try:
        own_best = bare_best = (float("inf"), float("inf"))
        for _ in range(REPEATS):
            own_best = min(own_best, await _timed(_through(links, node, request, count)))
            exchange = _awaited(requests.exchange(count, IN_FLIGHT))
            bare_best = min(bare_best, await _timed(exchange))
    finally:
        await bare.close()
    return LinkFigures(
        request_bytes=request_bytes,
        answer_bytes=answer_bytes,
        requests_per_second=round(count / own_best[1], 1),
        cpu_us_per_request=round(own_best[0] / count * 1e6, 2),
        bare_requests_per_second=round(count / bare_best[1], 1),
        bare_cpu_us_per_request=round(bare_best[0] / count * 1e6, 2),
        ratio=round(bare_best[0] / own_best[0], 2),
    )


async def _through(links: PeerLinks, node: NodeId, request: Request[Any], count: int) -> None:
    left = count

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await links.call(node, request)

    await gatherResults([Deferred.fromCoroutine(one_after_another()) for _ in range(IN_FLIGHT)])


async def _awaited(waiting: Deferred[None]) -> None:
    await waiting


async def _timed(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """(CPU seconds, seconds by the clock)."""
    began, used = time.perf_counter(), time.process_time()
    await work
    return time.process_time() - used, time.perf_counter() - began
