"""Saying who this node is on a new link, and finding out who the other one is."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from tace.identity.keys import SigningKey, node_id
from tace.identity.link_proof import LinkTerms, Role, check_hello, sign_link_proof
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.seams import OwnRecord
from tace.wire.peer import PROTOCOL_VERSION, Hello

VERSIONS = (PROTOCOL_VERSION,)
CLOCK_FLAGGED_SECONDS = 10 * 60
"""A peer's clock this far off is worth a line in the log."""
CLOCK_UNFIT_SECONDS = 60 * 60
"""A peer whose clock is this far off cannot keep messages: it is no replica."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What a verified hello said."""

    record: NodeRecord
    clock_difference_seconds: float
    """Their clock minus ours, when the hello arrived (its time on the way included)."""
    requests_stamp_bits: int


class Introduction:
    """Makes our hellos and checks theirs.

    :param clock: its ``seconds()`` is unix time.
    :param requests_stamp_bits: what this node demands of envelopes for requests mailboxes.
    """

    def __init__(
        self,
        identity: SigningKey,
        network_id: bytes,
        own: OwnRecord,
        clock: IReactorTime,
        requests_stamp_bits: int = 0,
    ) -> None:
        self._identity = identity
        self._network_id = network_id
        self._own = own
        self._clock = clock
        self._requests_stamp_bits = requests_stamp_bits
        self.node = node_id(identity.public)
        self._terms = LinkTerms(network_id, self.node, VERSIONS)

    def hello(self, role: Role, exporter: bytes) -> Hello:
        """Our hello for one TLS session."""
        return Hello(
            VERSIONS,
            self._network_id,
            self._own.current.encoded,
            int(self._clock.seconds() * 1000),
            sign_link_proof(self._identity, self._network_id, role, exporter),
            self._requests_stamp_bits,
        )

    def check(self, hello: Hello, role: Role, exporter: bytes, dialled: NodeId | None) -> Peer:
        """What their hello proves.

        :param role: theirs.
        :raises ProtocolError: one of its kinds, see :func:`check_hello`.
        """
        record = check_hello(
            self._terms,
            versions=hello.versions,
            network_id=hello.network_id,
            record=hello.record,
            signature=hello.signature,
            role=role,
            exporter=exporter,
            dialled=dialled,
        )
        difference = hello.clock_ms / 1000 - self._clock.seconds()
        return Peer(record, difference, hello.requests_stamp_bits)
