"""Addresses, and connections to them: from ``host:port`` to a link that has proved itself."""

from __future__ import annotations

from collections.abc import Callable
from errno import EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM
from ipaddress import ip_address
from typing import Any, NamedTuple

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOProtocol

from tace.errors import LinkLost, LocalExhaustion
from tace.identity.node_record import NodeRecord
from tace.ids import ID_BYTES, NodeId
from tace.links.connection import Link
from tace.links.handshake import LinkTlsFactory
from tace.links.needs import Dialled, LinkNeeds

DialEndpoint = Callable[[str, int], IStreamClientEndpoint]
"""The endpoint for a host and a port."""


EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL})
"""What a socket fails with when this machine, not the other side, has nothing left: descriptors of
the process or the system, buffers, memory, local ports."""


class Address(NamedTuple):
    host: str
    port: int
    node: NodeId | None
    """Whom it must be; None: whoever answers."""


def parse_address(text: str) -> Address:
    """Read ``host:port`` or ``host:port#node_id_hex``; an IPv6 address stands in brackets.

    :raises ValueError: it is neither.
    """
    place, mark, node_hex = text.partition("#")
    host, colon, port = place.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"an IPv6 address stands in brackets: {text!r}")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"not host:port or host:port#node-id: {text!r}")
    node = bytes.fromhex(node_hex) if mark else None
    if node is not None and len(node) != ID_BYTES:
        raise ValueError(f"a node id has {ID_BYTES} bytes: {text!r}")
    return Address(host, int(port), node)


def tcp_endpoint(reactor: Any, timeout_seconds: float) -> DialEndpoint:
    """Endpoints over TCP; only names, not addresses, go to the resolver."""

    def endpoint(host: str, port: int) -> IStreamClientEndpoint:
        try:
            version = ip_address(host).version
        except ValueError:
            return HostnameEndpoint(reactor, host, port, timeout=timeout_seconds)
        kind = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
        return kind(reactor, host, port, timeout=timeout_seconds)

    return endpoint


class _LinkFactory(Factory):
    noisy = False

    def __init__(self, make: Callable[[], Link]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Link:
        return self._make()


class ListeningFactory(Factory):
    """Makes links of connections that come in.

    :param may_enter: asked about the host of each; those it says no to are cut at once.
    """

    noisy = False

    def __init__(self, needs: LinkNeeds, may_enter: Callable[[str], bool]) -> None:
        self._tls = LinkTlsFactory(
            needs.tls, False, _LinkFactory(lambda: Link(needs, None)), needs.clock
        )
        self._may_enter = may_enter

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol | None:
        return self._tls.buildProtocol(addr) if self._may_enter(getattr(addr, "host", "")) else None


class Dialler:
    """Opens links to addresses."""

    def __init__(self, needs: LinkNeeds, endpoint: DialEndpoint) -> None:
        self._needs = needs
        self._endpoint = endpoint

    async def dial(self, address: Address, name: str = "") -> Link:
        """A link that is up.

        :param name: whom a certificate must be for, if that is not the host of the address.
        :raises LinkLost: nobody there, or not who it must be; the text says which.
        :raises LocalExhaustion: it could not be tried.
        """
        link = Link(self._needs, Dialled(name or address.host, address.node))
        factory = LinkTlsFactory(
            self._needs.tls, True, _LinkFactory(lambda: link), self._needs.clock
        )
        try:
            await self._endpoint(address.host, address.port).connect(factory)
        except Exception as error:
            # Endpoints fail with many types: refused, timed out, no route, unknown host, bad name.
            if _number_of(error) in EXHAUSTED:
                raise LocalExhaustion(f"no socket to be had: {error}") from error
            raise LinkLost(f"nobody there: {type(error).__name__}") from error
        await link.when_proved()
        return link

    async def dial_record(self, record: NodeRecord) -> Link:
        """A link to that node, at the first of its addresses where it answers.

        :raises LinkLost: at none of them.
        :raises LocalExhaustion: at none of them, and not all could be tried.
        """
        reasons = []
        kind = LinkLost
        for text in record.peer_addresses:
            try:
                host, port, _ = parse_address(text)
                return await self.dial(Address(host, port, record.node_id))
            except (LinkLost, ValueError) as error:
                reasons.append(str(error))
                if isinstance(error, LocalExhaustion):
                    kind = LocalExhaustion
        raise kind("; ".join(reasons) or "it names no address")


def _number_of(error: Exception) -> int | None:
    """The system's error number, as Twisted's errors and Python's hold it."""
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    return number if isinstance(number, int) else getattr(number, "errno", None)
