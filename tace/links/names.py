"""Seeds under a name of the Domain Name System (page 2.7).

Of ``NAME`` the records of ``_tace._tcp.NAME`` are asked for. SRV says where nodes are, in the order
of RFC 2782; TXT may say who they are, one string each of

    id=<node id, 64 hex digits> host=<target of the SRV record> [port=<its port>]

Further words of a string are ignored, and so are strings that do not read so. The addresses of the
targets (A, AAAA) are asked for as well, so that one resolver answers for all of it. Nothing here is
authenticated: what comes out is a list of seeds, bounded in number and in bytes, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.names import client, dns
from twisted.names.error import (
    AuthoritativeDomainError,
    DNSNameError,
    DNSQueryTimeoutError,
)

from tace.errors import NameFailed
from tace.ids import NodeId
from tace.seams import NamedSeed

SERVICE = "_tace._tcp"
DNS_PORT = 53
MAX_SERVICES = 16
"""SRV records of one name that are looked at."""
MAX_TEXTS = 64
"""TXT strings of one name that are looked at."""
MAX_TEXT_BYTES = 512
"""Of one TXT record; a longer one is ignored."""
MAX_TARGETS = 8
"""Targets of one name whose addresses are asked for."""
MAX_ADDRESSES = 2
"""Addresses of each kind, of one target."""
QUERY_SECONDS = (1, 3)
"""A query that is not answered within the first is asked once more, and fails after the second."""
LOOK_UP_SECONDS = 10.0
"""A whole look-up fails after this long."""
RESOLV_CONF = Path("/etc/resolv.conf")
MAX_RESOLV_CONF_BYTES = 64 * 1024
"""Of /etc/resolv.conf; what comes after is not read."""
MAX_SERVERS = 4
"""Name servers that are asked in turn."""


class Resolver(Protocol):
    """What is needed of a resolver of :mod:`twisted.names`.

    Each answers with three lists of resource records, of which the first holds the answers.
    """

    def lookupService(self, name: str) -> Deferred[Any]: ...

    def lookupText(self, name: str) -> Deferred[Any]: ...

    def lookupAddress(self, name: str) -> Deferred[Any]: ...

    def lookupIPV6Address(self, name: str) -> Deferred[Any]: ...


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record."""

    priority: int
    weight: int
    target: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a node may be, and which one, if that was said."""

    host: str
    port: int
    node: NodeId | None


# -- what records mean -----------------------------------------------------------------------------


def in_order(services: Iterable[Service], random: Random) -> list[Service]:
    """By priority, and within one by chance, the heavier the likelier (RFC 2782)."""
    rest = sorted(services, key=lambda service: (service.priority, service.weight, service.target))
    ordered = []
    while rest:
        first = [service for service in rest if service.priority == rest[0].priority]
        # Those of weight 0 stand first: with any heavier one there they are chosen rarely.
        number = random.randint(0, sum(service.weight for service in first))
        for service in first:
            number -= service.weight
            if number <= 0:
                break
        ordered.append(service)
        rest.remove(service)
    return ordered


_WORDS = re.compile(r"([a-z]+)=(\S+)")
_ID = re.compile(r"[0-9a-fA-F]{64}")


def read_text(text: str) -> Target | None:
    """Who is where, by one TXT string; port 0 for every port. None: it does not read so."""
    words = dict(_WORDS.findall(text))
    node, host, port = words.get("id", ""), words.get("host", ""), words.get("port", "0")
    if not (_ID.fullmatch(node) and host and port.isascii() and port.isdigit() and len(port) < 6):
        return None
    return Target(_plain(host), int(port), bytes.fromhex(node))


def targets_of(services: Sequence[Service], texts: Sequence[str], random: Random) -> list[Target]:
    """Whom to dial, the preferred first; at most :data:`MAX_TARGETS`.

    Where several ids are said to be at one place, each is a target: one of them answers.
    """
    said = [target for text in texts[:MAX_TEXTS] if (target := read_text(text)) is not None]
    found: dict[Target, None] = {}
    for service in in_order(services[:MAX_SERVICES], random):
        host = _plain(service.target)
        # A single dot says that the service is decidedly not there.
        if not host or not 0 < service.port < 65536:
            continue
        nodes = [t.node for t in said if t.host == host and t.port in (0, service.port)]
        for node in nodes or [None]:
            found[Target(host, service.port, node)] = None
    return list(found)[:MAX_TARGETS]


def seed_at(target: Target, address: str) -> NamedSeed:
    """What to dial for a target at one of its addresses."""
    shown = f"[{address}]" if ":" in address else address
    pin = "" if target.node is None else f"#{target.node.hex()}"
    return NamedSeed(f"{target.host}:{target.port}", f"{shown}:{target.port}{pin}")


def _plain(host: str) -> str:
    return host.rstrip(".").lower()


# -- asking ----------------------------------------------------------------------------------------


class DnsNames:
    """A :class:`~tace.seams.SeedNames` over a resolver.

    :param make_resolver: makes one for each look-up, with the name servers as they are then.
    """

    def __init__(
        self, make_resolver: Callable[[], Resolver], clock: IReactorTime, random: Random
    ) -> None:
        self._make_resolver = make_resolver
        self._clock = clock
        self._random = random

    def look_up(self, name: str) -> Deferred[Sequence[NamedSeed]]:
        found = Deferred.fromCoroutine(self._look_up(name))

        def too_late(result: Any, seconds: float) -> Any:
            raise NameFailed(f"no answer within {seconds:.0f} s")

        return found.addTimeout(LOOK_UP_SECONDS, self._clock, onTimeoutCancel=too_late)

    async def _look_up(self, name: str) -> Sequence[NamedSeed]:
        try:
            resolver = self._make_resolver()
        except (ValueError, OSError) as error:
            raise NameFailed(f"no name server: {error}") from error
        service_name = f"{SERVICE}.{_plain(name)}"
        both = DeferredList(
            [resolver.lookupService(service_name), resolver.lookupText(service_name)],
            consumeErrors=True,
        )
        (has_services, services), (has_texts, texts) = await both
        if not has_services:
            raise NameFailed(_why(service_name, services.value))
        # Ids that cannot be had are not the same as none: whoever can keep them back must not
        # thereby have another node taken for a seed.
        if not has_texts:
            raise NameFailed(_why(service_name, texts.value))
        targets = targets_of(_services(services), _texts(texts), self._random)
        if not targets:
            raise NameFailed(f"no SRV record of {service_name} names a place")
        hosts = list(dict.fromkeys(target.host for target in targets))
        asked = await DeferredList([self._addresses(resolver, host) for host in hosts])
        addresses: Mapping[str, list[str]] = {
            host: found for host, (_, found) in zip(hosts, asked, strict=True)
        }
        seeds = [seed_at(t, address) for t in targets for address in addresses[t.host]]
        if not seeds:
            raise NameFailed(f"no address of {', '.join(hosts)} is known")
        return seeds

    def _addresses(self, resolver: Resolver, host: str) -> Deferred[list[str]]:
        return Deferred.fromCoroutine(self._addresses_of(resolver, host))

    async def _addresses_of(self, resolver: Resolver, host: str) -> list[str]:
        """At most two of each kind; none where the name is not known or nobody answers."""
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        asked = await DeferredList(
            [resolver.lookupAddress(host), resolver.lookupIPV6Address(host)], consumeErrors=True
        )
        found = []
        for has_answer, answer in asked:
            if has_answer:
                of_kind = (a for record in answer[0] if (a := _address(record.payload)) is not None)
                found.extend(list(dict.fromkeys(of_kind))[:MAX_ADDRESSES])
        return found


def _services(answer: Any) -> list[Service]:
    payloads = (record.payload for record in answer[0])
    return [
        Service(it.priority, it.weight, _text(it.target.name), it.port)
        for it in payloads
        if isinstance(it, dns.Record_SRV)
    ][:MAX_SERVICES]


def _texts(answer: Any) -> list[str]:
    payloads = (record.payload for record in answer[0])
    joined = (b"".join(it.data) for it in payloads if isinstance(it, dns.Record_TXT))
    return [_text(text) for text in joined if len(text) <= MAX_TEXT_BYTES][:MAX_TEXTS]


def _text(octets: bytes) -> str:
    # What is not ASCII is neither a host name nor an id, and matches nothing.
    return octets.decode("ascii", "replace")


def _address(payload: Any) -> str | None:
    if isinstance(payload, dns.Record_A):
        return str(payload.dottedQuad())
    if isinstance(payload, dns.Record_AAAA):
        return str(ip_address(payload.address))
    return None


def _why(name: str, error: BaseException) -> str:
    if isinstance(error, DNSNameError | AuthoritativeDomainError):
        return f"there is no name {name}"
    if isinstance(error, TimeoutError | DNSQueryTimeoutError):
        return f"no answer for {name} in time"
    return f"no answer for {name}: {type(error).__name__}"


# -- the real resolver -----------------------------------------------------------------------------


def make_resolver(reactor: Any, servers: Sequence[str]) -> Callable[[], Resolver]:
    """Makes resolvers that ask these servers, ``ip`` or ``ip:port``; none: those of the system.

    The system's are read each time: they change when a machine moves to another network.
    """
    given = [_server(server) for server in servers[:MAX_SERVERS]]

    def make() -> Resolver:
        resolver: Resolver = client.Resolver(
            servers=given or system_servers(), timeout=QUERY_SECONDS, reactor=reactor
        )
        return resolver

    return make


def system_servers(path: Path = RESOLV_CONF) -> list[tuple[str, int]]:
    """The name servers of a resolv.conf; the one of this machine where it names none.

    :raises OSError: it cannot be read, and that is not because there is none.
    """
    try:
        with path.open("rb") as file:
            text = _text(file.read(MAX_RESOLV_CONF_BYTES))
    except FileNotFoundError:
        text = ""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and _is_address(words[1]):
            found.append((words[1], DNS_PORT))
    return found[:MAX_SERVERS] or [("127.0.0.1", DNS_PORT)]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _server(text: str) -> tuple[str, int]:
    if _is_address(text):
        return text, DNS_PORT
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
