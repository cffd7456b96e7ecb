"""Real :class:`~tace.links.service.PeerLinks` on the memory network."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

from tace.config import LinksSettings
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.links.service import PeerLinks
from tests.links.contract import Procedures
from tests.links.fakes import Counts, Heard, MemoryNetwork

NETWORK_ID = b"\x77" * 32
PORT = 6512


def key_of(number: int) -> SigningKey:
    return SigningKey.from_seed(bytes([number]) * 48)


def signed_record(
    key: SigningKey,
    *,
    boot: int = 1,
    addresses: tuple[str, ...] = (),
    network_id: bytes = NETWORK_ID,
) -> NodeRecord:
    return NodeRecord.sign(
        key,
        network_id,
        peer_addresses=addresses,
        client_urls=(),
        boot=boot,
        sequence=1,
        position_mask=1,
        expires_seconds=2_000_000_000,
    )


class Book:
    """An address book that everybody in a test shares."""

    def __init__(self) -> None:
        self.records: dict[NodeId, NodeRecord] = {}

    def record_of(self, node: NodeId) -> NodeRecord | None:
        return self.records.get(node)


class Own:
    """An :class:`~tace.seams.OwnRecord`."""

    def __init__(self, record: NodeRecord) -> None:
        self.current = record


class MemoryNode:
    """One node with links, alone on its host."""

    def __init__(
        self,
        network: MemoryNetwork,
        book: Book,
        number: int,
        *,
        boot: int = 1,
        clock_seconds_off: float = 0.0,
        network_id: bytes = NETWORK_ID,
        addresses: tuple[str, ...] | None = None,
        requests_stamp_bits: int = 0,
        host: str = "",
        **settings: Any,
    ) -> None:
        self.network = network
        self.host = host or f"10.0.0.{number}"
        self.address = f"{self.host}:{PORT}"
        self.key = key_of(number)
        listed = (self.address,) if addresses is None else addresses
        self.record = signed_record(self.key, boot=boot, addresses=listed, network_id=network_id)
        self.node = self.record.node_id
        book.records[self.node] = self.record
        reactor = network.reactor(self.host)
        self.counts = Counts()
        self.links = PeerLinks(
            LinksSettings(**({"listen": f"tcp:{PORT}"} | settings)),
            self.key,
            network_id,
            Own(self.record),
            book,
            reactor,
            cast(Any, _Shifted(reactor, clock_seconds_off)),
            Random(number),
            self.counts,
            requests_stamp_bits=requests_stamp_bits,
        )
        self.heard = Heard()
        self.links.subscribe(self.heard)

    def start(self, procedures: Procedures) -> MemoryNode:
        self.links.serve(procedures)
        self.links.start().addErrback(lambda failure: failure.raiseException())
        return self

    def crash(self) -> None:
        self.network.crash(self.host)


class _Shifted:
    """A clock that shows another time."""

    def __init__(self, clock: Any, seconds_off: float) -> None:
        self._clock = clock
        self._off = seconds_off

    def seconds(self) -> float:
        seconds: float = self._clock.seconds() + self._off
        return seconds

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        return self._clock.callLater(delay, call, *args, **kw)

    def getDelayedCalls(self) -> Any:
        return self._clock.getDelayedCalls()
