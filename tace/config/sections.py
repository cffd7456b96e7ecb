"""The table of settings: each section a dataclass, each field one row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from tace.config.rows import (
    KINDS,
    Row,
    address,
    between,
    endpoint,
    endpoint_or_empty,
    host_name,
    ip_address_each,
    name_server,
    one_of,
    origin,
    seed,
    setting,
    utf8_bytes,
)
from tace.errors import SettingsError
from tace.ids import Label, digest

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """The node itself."""

    data_dir: Path = setting(
        Path("./data/node"), "Where the node keeps everything. One directory is one node."
    )
    network: str = setting(
        "tace",
        "The network's name. Nodes of different networks refuse each other.",
        utf8_bytes(1, 64),
    )
    zone: str = setting(
        "",
        "What this node would go down together with (a rack, a provider). Copies are spread over "
        "zones.",
        utf8_bytes(0, 32),
    )
    capacity: int = setting(
        0, "Relative capacity, told to the other nodes. 0 says nothing.", between(0, 0xFFFF_FFFF)
    )
    log_level: str = setting(
        "info",
        "The least serious message that is logged.",
        one_of("debug", "info", "warn", "error", "critical"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksSettings:
    """Connections between nodes. They are always TLS 1.3, whatever is set here."""

    listen: str = setting(
        "tcp:6512", "Where other nodes connect (a Twisted endpoint; TLS is put on it).", endpoint
    )
    advertise: tuple[str, ...] = setting(
        (),
        "The addresses other nodes are told to dial, at most 4. Empty: the listening port on "
        "loopback, which is for trying out only.",
        address,
    )
    seeds: tuple[str, ...] = setting(
        (),
        "Nodes to join the network through, at most 64. Any one that answers is enough. With an id "
        "(host:port#id) only that node is taken there; without, the first that answers is "
        "remembered, and the log warns when it is another one later.",
        seed,
    )
    seed_names: tuple[str, ...] = setting(
        (),
        "Names under which DNS tells seeds, at most 8: SRV records of _tace._tcp.NAME say where, "
        "TXT records there may say id=NODE-ID host=TARGET.",
        host_name,
    )
    name_servers: tuple[str, ...] = setting(
        (),
        "Where seed_names are looked up, at most 4. Empty: the name servers of /etc/resolv.conf.",
        name_server,
    )
    ca_file: Path | None = setting(
        None,
        "Makes the network private: only certificates that lead to one in this PEM file may take "
        "part. Needs certificate_file and private_key_file.",
    )
    certificate_file: Path | None = setting(
        None,
        "The certificate chain shown to other nodes (PEM). Read again when it changes. Empty: made "
        "at start, which is right for an open network.",
    )
    private_key_file: Path | None = setting(
        None, "The private key of certificate_file (PEM). Read again when it changes."
    )
    max_links: int = setting(1024, "Open links to other nodes at one time.", between(4, 65536))
    max_links_per_address: int = setting(
        64,
        "Open links that came in from one address (of IPv6, one /56). Links within this machine "
        "are not counted. 0: no bound.",
        between(0, 65536),
    )
    max_unproved: int = setting(
        256,
        "Connections at one time that have come in and not proved themselves. When there are "
        "more, an address with few takes the place of one with many.",
        between(4, 65536),
    )
    accepts_per_second: float = setting(
        32.0,
        "New connections from one address (of IPv6, one /56) each second, eight times as many at "
        "once; more are cut. Connections within this machine are not counted. 0: no bound.",
        between(0, 1_000_000),
    )
    call_timeout_seconds: float = setting(
        2.5, "A request to another node fails after this long.", between(0.05, 60)
    )
    ping_after_seconds: float = setting(
        1.0, "A watched link this silent is pinged.", between(0.05, 60)
    )
    lost_after_seconds: float = setting(
        3.0, "A watched link this silent is given up.", between(0.1, 300)
    )
    hello_timeout_seconds: float = setting(
        5.0, "A new link that has not proved itself by then is closed.", between(0.1, 60)
    )
    max_requests_in_flight: int = setting(
        1024, "Unanswered requests on one link, each way.", between(1, 65536)
    )
    max_unsent_bytes: int = setting(
        8 * MIB,
        "Bytes waiting to be sent on one link. Beyond that requests fail at once.",
        between(256 * 1024, 1024 * MIB),
    )
    max_requests_per_second: int = setting(
        20_000,
        "Requests from one node each second, twice as many at once; more are refused as "
        "rate-limited. 0: no bound.",
        between(0, 10_000_000),
    )
    max_request_bytes_per_second: int = setting(
        64 * MIB,
        "Bytes of requests from one node each second, twice as many at once; more are refused as "
        "rate-limited. 0: no bound.",
        between(0, 1024 * 1024 * MIB),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RingSettings:
    """The Chord ring and the copies on it."""

    replicas: int = setting(
        8,
        "Copies of each message: on the first so many distinct nodes clockwise from its mailbox. "
        "The same on every node of a network.",
        between(1, 32),
    )
    successors: int = setting(16, "Distinct nodes in a successor list (Chord's r).", between(1, 64))
    positions: int = setting(4, "Places this node takes on the ring.", between(1, 8))
    stabilize_after_event_seconds: float = setting(
        0.25, "Time to the next maintenance round after something changed.", between(0.01, 60)
    )
    stabilize_slower: float = setting(
        1.25,
        "With each quiet maintenance round the time to the next one grows by this factor.",
        between(1.01, 1000),
    )
    stabilize_quiet_seconds: float = setting(
        15.0, "The longest time between maintenance rounds.", between(0.01, 300)
    )
    stabilize_stale_share: float = setting(
        0.01,
        "The share of first successors that may be out of date on average: where nodes come and go "
        "quickly, maintenance rounds come more often than stabilize_quiet_seconds says.",
        between(0.0001, 1),
    )
    repair_after_seconds: float = setting(
        30.0, "A node gone this long is replaced in the sets it was in.", between(0, 86_400)
    )
    forget_after_seconds: float = setting(
        300.0,
        "A node gone less than this still counts in n when a message is stored at k of n.",
        between(0, 86_400),
    )
    away_seconds: float = setting(
        300.0,
        "When this node is told to stop, it asks the others to keep its place for this long: no "
        "copies are made in its stead, and a restart moves no data. At most an hour is believed.",
        between(1, 3600),
    )
    reconcile_seconds: float = setting(
        30.0, "Time between comparisons of what two replicas hold.", between(0.05, 86_400)
    )
    table_capacity: int = setting(
        20_000,
        "Nodes that are remembered. A larger network is routed through with fingers.",
        between(16, 10_000_000),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """What is kept for mailboxes on this node."""

    kind: str = setting(
        "sqlite",
        "Where it is kept. What is in memory is gone when the node stops.",
        one_of("sqlite", "memory"),
    )
    max_bytes: int = setting(
        0,
        "The most the database may take on disk. 0: as much as min_free_bytes leaves to it.",
        between(0, 2**50),
    )
    min_free_bytes: int = setting(
        256 * MIB,
        "So much of the disk stays free: with less the node is full. It then refuses new "
        "messages, serves and lets go of those it has, and takes new ones when there is room.",
        between(0, 2**50),
    )
    mailbox_max_items: int = setting(
        4096, "Messages waiting in one contacts mailbox.", between(1, 1_000_000)
    )
    requests_mailbox_max_items: int = setting(
        256, "Messages waiting in one requests mailbox.", between(1, 1_000_000)
    )
    synchronous: str = setting(
        "full",
        "SQLite's promise: full waits for the disk before anything is acknowledged; off loses "
        "acknowledged messages in a power cut and is for tests only.",
        one_of("full", "off"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where people's programs connect."""

    listen: str = setting(
        "tcp:8080:interface=127.0.0.1",
        "Where clients connect (a Twisted endpoint). With certificate_file the default is "
        "tcp:8443, and it speaks TLS.",
        endpoint,
    )
    certificate_file: Path | None = setting(
        None, "The certificate chain shown to clients (PEM). Read again when it changes."
    )
    private_key_file: Path | None = setting(
        None, "The private key of certificate_file (PEM). Read again when it changes."
    )
    names: tuple[str, ...] = setting(
        (),
        "The origins this node answers to, as clients dial them, at most 16. A lease for another "
        "one is refused. Empty: derived from listen.",
        origin,
    )
    max_connections: int = setting(
        20_000,
        "Clients at one time; those that speak plain HTTP get half of it. Some more connections "
        "are taken in (1,024 at most), the others are closed.",
        between(1, 1_000_000),
    )
    max_connections_per_address: int = setting(
        512,
        "Clients at one time from one address (of IPv6, one /56), and twice as many connections. "
        "Those of this machine are not counted. 0: no bound.",
        between(0, 1_000_000),
    )
    accepts_per_second: float = setting(
        64.0,
        "New connections from one address (of IPv6, one /56) each second, eight times as many at "
        "once; more are closed. Those of this machine are not counted. 0: no bound.",
        between(0, 1_000_000),
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses of proxies in front of this node whose X-Forwarded-For says who asks. Without "
        "them that header is ignored, and who comes through a proxy is counted as the proxy.",
        ip_address_each,
    )
    web: bool = setting(True, "Serve the web client. It is part of the installed package.")
    window: int = setting(
        64, "Messages pushed to one client and not yet acknowledged by it.", between(1, 1024)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSettings:
    """What one client may ask for."""

    message_lifetime_max_days: int = setting(30, "The longest a message may wait.", between(1, 30))
    requests_stamp_bits: int = setting(
        18,
        "Proof of work on a message to somebody's requests mailbox: leading zero bits. 18 costs "
        "a phone about a second. The same on every node of a network.",
        between(0, 24),
    )
    sends_in_flight_per_connection: int = setting(
        64, "Unanswered requests of one client connection.", between(1, 1024)
    )
    sends_per_second: float = setting(
        1000.0,
        "Messages handed in from one address (of IPv6, one /56) each second. Of this and the rates "
        "below: eight times as many at once, a quarter for one connection, and only that quarter "
        "for clients on this machine; more are refused as rate-limited. 0: no bound.",
        between(0, 1_000_000),
    )
    acks_per_second: float = setting(
        2000.0,
        "Messages let go of from one address each second; of one mailbox a quarter. 0: no bound.",
        between(0, 1_000_000),
    )
    lookups_per_second: float = setting(
        200.0,
        "Records, node lists and states asked for from one address each second. 0: no bound.",
        between(0, 1_000_000),
    )
    records_per_second: float = setting(
        20.0, "Records published from one address each second. 0: no bound.", between(0, 1_000_000)
    )
    blobs_per_second: float = setting(
        256.0,
        "Chunks of files put or fetched from one address each second, 63,488 bytes each. "
        "0: no bound.",
        between(0, 1_000_000),
    )
    leases_per_second: float = setting(
        200.0,
        "Mailboxes opened from one address each second. 0: no bound.",
        between(0, 1_000_000),
    )
    sessions_per_second: float = setting(
        32.0,
        "Sessions opened over plain HTTP from one address each second. 0: no bound.",
        between(0, 1_000_000),
    )
    commands_per_second: float = setting(
        4000.0,
        "Messages of any kind from clients at one address each second. A connection that sends "
        "more is not read for a while. 0: no bound.",
        between(0, 1_000_000),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveSettings:
    """What the operator can see."""

    metrics_listen: str = setting(
        "",
        "Where Prometheus reads the metrics (a Twisted endpoint). Empty: nowhere. Keep it away "
        "from the public.",
        endpoint_or_empty,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one node, checked."""

    node: NodeSettings
    links: LinksSettings
    ring: RingSettings
    storage: StorageSettings
    gateway: GatewaySettings
    limits: LimitsSettings
    observe: ObserveSettings

    @property
    def network_id(self) -> bytes:
        """32 bytes; in every hello and under every signature of the network."""
        return digest(Label.NETWORK, self.node.network.encode())


def complete(given: dict[str, Any]) -> None:
    """Defaults that depend on what was given."""
    if given.get("gateway.certificate_file") is not None:
        given.setdefault("gateway.listen", "tcp:8443")


def contradictions(settings: Settings) -> Iterator[str]:
    """What no single row can see."""
    links, gateway = settings.links, settings.gateway
    for name, section in (("links", links), ("gateway", gateway)):
        if (section.certificate_file is None) != (section.private_key_file is None):
            yield f"[{name}] certificate_file and private_key_file: set both or neither"
    if links.ca_file is not None and links.certificate_file is None:
        yield "[links] ca_file: needs certificate_file and private_key_file"
    if links.ping_after_seconds >= links.lost_after_seconds:
        yield "[links] ping_after_seconds: must be less than lost_after_seconds"
    for key, addresses, most in (
        ("[links] advertise", links.advertise, 4),
        ("[links] seeds", links.seeds, 64),
        ("[links] seed_names", links.seed_names, 8),
        ("[links] name_servers", links.name_servers, 4),
        ("[gateway] names", gateway.names, 16),
    ):
        if len(addresses) > most:
            yield f"{key}: at most {most} are allowed, not {len(addresses)}"


SECTIONS: dict[str, type[Any]] = get_type_hints(Settings)


def _rows() -> Iterator[Row]:
    for section, cls in SECTIONS.items():
        kinds = get_type_hints(cls)
        for field in fields(cls):
            yield Row(
                section,
                field.name,
                KINDS[kinds[field.name]],
                field.default,
                field.metadata["meaning"],
                field.metadata["check"],
            )


TABLE: dict[str, Row] = {row.dotted: row for row in _rows()}


def row_named(section: str, key: str, where: str) -> Row:
    row = TABLE.get(f"{section}.{key}")
    if row is None:
        keys = ", ".join(row.key for row in TABLE.values() if row.section == section)
        raise SettingsError(f"{where}: no such setting; [{section}] has {keys}")
    return row
