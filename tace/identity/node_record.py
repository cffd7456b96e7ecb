"""The signed node record: all that is believed about a node, and it says so itself (page 2.1).

It travels and is stored as the bytes that were signed: ``body || signature 64``. The body is a
MessagePack array of the fields of :class:`NodeRecord` up to ``expires_seconds``; the signature is
by the identity key over "tace node record 1" || network id || body, so a record of one network
means nothing in another. A node that leaves for good says so in one more element, which no
other record has: so those of all the others are the same bytes as ever.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec

from tace.errors import BadRecord, ForgedRecord
from tace.identity.keys import SIGNATURE_BYTES, SigningKey, node_id, verify
from tace.ids import Label, NodeId, Position, masked_indices, position_of

MAX_RECORD_BYTES = 1024
"""Of what a node says of itself."""
RECORD_VERSION = 1

_Address = Annotated[str, msgspec.Meta(max_length=128)]
_Uint63 = Annotated[int, msgspec.Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]

_Version = Annotated[int, msgspec.Meta(ge=1, le=255)]


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    version: Annotated[int, msgspec.Meta(ge=1, le=255)]
    identity_key: Annotated[bytes, msgspec.Meta(min_length=33, max_length=33)]
    peer_addresses: Annotated[tuple[_Address, ...], msgspec.Meta(max_length=4)]
    client_urls: Annotated[tuple[_Address, ...], msgspec.Meta(max_length=4)]
    boot: _Uint63
    sequence: _Uint63
    position_mask: Annotated[int, msgspec.Meta(ge=1, le=255)]
    capacity: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
    zone: Annotated[str, msgspec.Meta(max_length=32)]
    full: bool
    away_until_seconds: _Uint63
    software: Annotated[str, msgspec.Meta(max_length=32)]
    protocols: Annotated[tuple[_Version, ...], msgspec.Meta(max_length=8)]
    proof_of_work: Annotated[bytes, msgspec.Meta(max_length=64)]
    expires_seconds: _Uint63


class _DepartingBody(_Body, frozen=True, array_like=True, gc=False):
    """Of a node that leaves; any other record ends before the last element."""

    departure: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0


class Departure(IntEnum):
    """What a node says of its leaving for good (page 2.4)."""

    NONE = 0
    LEAVING = 1
    """It still serves what it holds, and others are to take its place."""
    LEFT = 2
    """It has handed over everything and is gone."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_DepartingBody)


class NodeRecord:
    """A verified node record. Made only by :meth:`sign` and :meth:`parse`.

    Of two records of one node the one with the higher (boot, sequence) holds.
    """

    __slots__ = ("_body", "encoded", "node_id", "places")

    def __init__(self, body: _Body, encoded: bytes, node: NodeId) -> None:
        self._body = body
        self.encoded = encoded
        self.node_id = node
        self.places: tuple[tuple[Position, int], ...] = tuple(
            (position_of(node, index), index) for index in masked_indices(body.position_mask)
        )

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        network_id: bytes,
        *,
        peer_addresses: tuple[str, ...],
        client_urls: tuple[str, ...],
        boot: int,
        sequence: int,
        position_mask: int,
        expires_seconds: int,
        capacity: int = 0,
        zone: str = "",
        full: bool = False,
        away_until_seconds: int = 0,
        software: str = "",
        protocols: tuple[int, ...] = (1,),
        proof_of_work: bytes = b"",
        departure: Departure = Departure.NONE,
    ) -> NodeRecord:
        fields = (
            RECORD_VERSION,
            key.public,
            peer_addresses,
            client_urls,
            boot,
            sequence,
            position_mask,
            capacity,
            zone,
            full,
            away_until_seconds,
            software,
            protocols,
            proof_of_work,
            expires_seconds,
        )
        body = _DepartingBody(*fields, departure) if departure else _Body(*fields)
        encoded = _encoder.encode(body)
        signature = key.sign(Label.NODE_RECORD, network_id, encoded)
        return cls(body, encoded + signature, node_id(key.public))

    @classmethod
    def parse(cls, encoded: bytes, network_id: bytes) -> NodeRecord:
        """Read one.

        :raises BadRecord: too large, or not a record.
        :raises ForgedRecord: not signed by the key it names.
        """
        if not SIGNATURE_BYTES < len(encoded) <= MAX_RECORD_BYTES:
            raise BadRecord(f"a node record of {len(encoded)} bytes")
        signed, signature = encoded[:-SIGNATURE_BYTES], encoded[-SIGNATURE_BYTES:]
        try:
            body = _decoder.decode(signed)
            node = node_id(body.identity_key)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise BadRecord(f"node record: {str(error)[:120]}") from None
        if not verify(body.identity_key, signature, Label.NODE_RECORD, network_id, signed):
            raise ForgedRecord("the node record is not signed by its key for this network")
        return cls(body, encoded, node)

    @property
    def identity_key(self) -> bytes:
        return self._body.identity_key

    @property
    def peer_addresses(self) -> tuple[str, ...]:
        """``host:port`` each, the preferred one first."""
        return self._body.peer_addresses

    @property
    def client_urls(self) -> tuple[str, ...]:
        return self._body.client_urls

    @property
    def freshness(self) -> tuple[int, int]:
        """(boot, sequence): of two records of one node the higher holds."""
        return (self._body.boot, self._body.sequence)

    @property
    def boot(self) -> int:
        return self._body.boot

    @property
    def sequence(self) -> int:
        return self._body.sequence

    @property
    def position_mask(self) -> int:
        return self._body.position_mask

    @property
    def capacity(self) -> int:
        return self._body.capacity

    @property
    def zone(self) -> str:
        return self._body.zone

    @property
    def full(self) -> bool:
        return self._body.full

    @property
    def away_until_seconds(self) -> int:
        return self._body.away_until_seconds

    @property
    def departure(self) -> Departure:
        """A word of a version to come is that it is about to leave, and no more."""
        word = getattr(self._body, "departure", 0)
        return Departure(word) if word <= Departure.LEFT else Departure.LEAVING

    @property
    def software(self) -> str:
        return self._body.software

    @property
    def expires_seconds(self) -> int:
        return self._body.expires_seconds

    def __repr__(self) -> str:
        return f"<NodeRecord {self.node_id.hex()[:8]} boot {self.boot}.{self.sequence}>"
