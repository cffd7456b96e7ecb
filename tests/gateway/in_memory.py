"""HTTP/1.1 to a site without sockets, and the polling client over it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IReactorTime
from twisted.internet.testing import StringTransportWithDisconnection

from tace.gateway.misconduct import ClientMisconduct
from tace.gateway.polling_sessions import PollingSessions
from tace.gateway.rates import RateLimits, Rates
from tace.gateway.services import GatewayLimits, GatewayServices
from tace.gateway.sessions import ClientSessions
from tace.gateway.site import QuietSite, Text, make_site
from tace.gateway.web_files import WebFile
from tace.wire.client import CLIENT_MESSAGES, split_client_message
from tace.wire.message import Message
from tests.network import MemoryNetwork, TestNode


class Answer(NamedTuple):
    """:param fields: header fields, names in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class Connection:
    """One HTTP/1.1 connection.

    :param peer: the address it comes from.
    """

    def __init__(self, site: QuietSite, peer: str = "127.0.0.1") -> None:
        address = IPv4Address("TCP", peer, 1)
        self.transport = StringTransportWithDisconnection(peerAddress=address)
        self.protocol = site.buildProtocol(address)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        if self.transport.connected:
            self.protocol.dataReceived(data)

    def start(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """One request; its answer is not waited for."""
        self.transport.clear()
        lines = [f"{method} {path} HTTP/1.1", "Host: n"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def ask(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.start(method, path, fields, body)
        answer = self.answer()
        assert answer is not None, "no answer yet"
        return answer

    def answer(self) -> Answer | None:
        """What has come since the last request."""
        top, found, body = self.transport.value().partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = top.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        return Answer(int(first.split()[1]), {n.lower(): v for n, v in fields.items()}, body)

    def go(self) -> None:
        """The client is gone."""
        self.transport.loseConnection()


def services(
    network: MemoryNetwork, node: TestNode, rates: RateLimits | None = None
) -> GatewayServices:
    """A node of a memory network, as its clients see it."""
    return GatewayServices(
        core=node.core,
        network_id=network.settings.network_id,
        software="test",
        names=lambda: (f"http://{node.name}",),
        state=lambda: node.core.state,
        limits=GatewayLimits(
            window=64,
            requests_in_flight=8,
            max_lifetime_hours=720,
            requests_stamp_bits=network.settings.limits.requests_stamp_bits,
        ),
        clock=network.clock,
        counters=node.counters,
        random_bytes=os.urandom,
        rates=Rates(rates or RateLimits()),
        misconduct=ClientMisconduct(network.clock, node.counters),
    )


def site_of(
    sessions: ClientSessions, clock: IReactorTime, files: Mapping[str, WebFile] | None = None
) -> QuietSite:
    """Where the WebSocket would be, ``socket`` says so."""
    socket = Text(426, lambda: "a WebSocket")
    return make_site(socket, PollingSessions(sessions, clock), files, clock)


def decode(data: bytes) -> tuple[int, Message]:
    """(request id, message)."""
    number, request, body = split_client_message(data)
    return request, CLIENT_MESSAGES.decode(number, body)
