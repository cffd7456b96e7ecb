"""Who is at the other end of a TLS session: signing a hello, and checking one (page 3.1).

A TLS certificate proves only that the peer holds the certificate's key. What binds the node's
identity to the session is a signature by the identity key over

    "tace link 1" || network id 32 || role u8 || TLS exporter value 32

The exporter value (RFC 8446 section 7.5) is known to the two ends of this very session and to no
one else, so a hello cannot be carried over to another session; the role keeps one end from
sending the other's signature back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from tace.errors import BadLinkProof, WrongNetwork, WrongNode, WrongVersion
from tace.identity.keys import SigningKey, verify
from tace.identity.node_record import NodeRecord
from tace.ids import Label, NodeId

EXPORTER_BYTES = 32


class Role(IntEnum):
    """Which end of the connection a side is; the number is what is signed."""

    DIALLED = 1
    LISTENED = 2

    @property
    def other(self) -> Role:
        return Role.LISTENED if self is Role.DIALLED else Role.DIALLED


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What this node expects of everyone it links with."""

    network_id: bytes
    node: NodeId
    """This node: a link to oneself is refused."""
    versions: Collection[int]
    """The protocol versions spoken here."""


def sign_link_proof(key: SigningKey, network_id: bytes, role: Role, exporter: bytes) -> bytes:
    """The signature of a hello, 64 bytes; ``role`` is the signer's."""
    return key.sign(Label.LINK, network_id, bytes([role]), exporter)


def check_hello(
    terms: LinkTerms,
    *,
    versions: Collection[int],
    network_id: bytes,
    record: bytes,
    signature: bytes,
    role: Role,
    exporter: bytes,
    dialled: NodeId | None = None,
) -> NodeRecord:
    """The verified record of the node that sent this hello.

    Two signatures are checked (about 125 us); what costs nothing is looked at first.

    :param role: the sender's.
    :param exporter: the value of the session the hello arrived in.
    :param dialled: who was dialled, where that was known.
    :raises WrongNetwork: the hello names another network.
    :raises WrongVersion: no version in common.
    :raises BadRecord: the record does not parse or is not signed for this network.
    :raises WrongNode: another node than the one that was dialled, or this node itself.
    :raises BadLinkProof: not signed by the record's key over this session.
    """
    if network_id != terms.network_id:
        raise WrongNetwork("this is another network")
    if not set(versions) & set(terms.versions):
        spoken = ", ".join(str(version) for version in sorted(terms.versions))
        raise WrongVersion(f"versions spoken here: {spoken}")
    verified = NodeRecord.parse(record, network_id)
    if verified.node_id == terms.node:
        raise WrongNode("the node at the other end is this one")
    if dialled is not None and verified.node_id != dialled:
        raise WrongNode("another node answered than the one that was dialled")
    if not verify(
        verified.identity_key, signature, Label.LINK, network_id, bytes([role]), exporter
    ):
        raise BadLinkProof("the hello is not signed for this session")
    return verified
