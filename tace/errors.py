"""The exception family.

Two kinds matter to every caller. A *refusal* is an answer: the other side (or this one) will not do
what was asked, and says why with a word that a program branches on; the word stands on the class
and travels on the wire. A *failure* is the absence of an answer: no link, no time left.

``ProtocolError`` is what a decoder raises for bytes that break the protocol: always the sender's
fault, and the only thing that leaves a decoder.
"""

from __future__ import annotations

from typing import ClassVar


class TaceError(Exception):
    """Everything tace raises on purpose."""

    code: ClassVar[str] = "internal"
    """The word for it on the wire. Lower case, hyphens, never changed once released."""


class SettingsError(TaceError):
    """A setting is unknown, or its value cannot be used. The text is one line for the operator."""

    code = "settings"


class StartError(TaceError):
    """The node cannot start (port taken, directory not writable ...). One line for the operator."""

    code = "start"


class StoreError(TaceError):
    """The store could not do what was asked: disk full, read-only, damaged."""

    code = "store"


# -- failures: no answer -------------------------------------------------------------------------


class Failure(TaceError):
    """The other side did not answer; nothing is known about what it did."""

    code = "failure"


class LinkLost(Failure):
    """There is no link to that node, or it went away before the answer came."""

    code = "link-lost"


class AnotherNode(LinkLost):
    """A node answers at that address, and it is not the one that was named."""

    code = "another-node"


class LocalExhaustion(LinkLost):
    """This node itself has no room for another connection (file descriptors, ports, memory).

    It says nothing about the node that was dialled: no reason to hold it for dead.
    """

    code = "local-exhaustion"


class NameFailed(Failure):
    """The name service did not answer, or does not know that name."""

    code = "name-failed"


class TimedOut(Failure):
    """The answer did not come in time."""

    code = "timed-out"


# -- refusals: an answer with a reason -----------------------------------------------------------

_refusals: dict[str, type[Refusal]] = {}


class Refusal(TaceError):
    """An answer that says no.

    :param detail: one line for a person; never a key, an id beside an address, or content.
    :param retry_after_ms: when asking again makes sense; 0 where time alone will not help.
    """

    code = "refused"

    def __init__(self, detail: str = "", retry_after_ms: int = 0) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.retry_after_ms = retry_after_ms

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Of several with one word the first is what arrives: the word tells no more.
        _refusals.setdefault(cls.code, cls)


def refusal_from_wire(code: str, detail: str, retry_after_ms: int) -> Refusal:
    """The exception for a refusal that arrived; an unknown word stays a plain ``Refusal``."""
    return _refusals.get(code, UnknownRefusal)(detail or code, retry_after_ms)


class UnknownRefusal(Refusal):
    """A word this version does not know, from a newer one."""

    code = "unknown-refusal"


class ProtocolError(Refusal):
    """Bytes that break the protocol. The link that sent them gets this word and is closed."""

    code = "protocol-error"


class UnknownMessage(Refusal):
    """A request of a number this version does not know. The link stays up."""

    code = "unknown-message"


class WrongNetwork(ProtocolError):
    """The hello names another network."""

    code = "wrong-network"


class WrongVersion(ProtocolError):
    """No protocol version in common."""

    code = "wrong-version"


class BadLinkProof(ProtocolError):
    """The hello's signature is not by the node's key over this very TLS session."""

    code = "bad-link-proof"


class BadRecord(ProtocolError):
    """A record that does not parse, or is not signed by the key it names."""

    code = "bad-record"


class ForgedRecord(BadRecord):
    """A node record that its signature does not bear out. An honest node looks before it passes one
    on, and looking costs more than forging."""


class WrongNode(ProtocolError):
    """The node that answered is not the one that was dialled (or it is this node itself)."""

    code = "wrong-node"


class TooLarge(Refusal):
    code = "too-large"


class Malformed(Refusal):
    """A stored object (envelope, tombstone, record) that is not what it should be."""

    code = "malformed"


class Expired(Refusal):
    code = "expired"


class TooFarAhead(Refusal):
    """An expiry further in the future than the network keeps anything."""

    code = "too-far-ahead"


class NotStored(Refusal):
    """Not enough replicas could take it. Nothing is known to be lost or kept."""

    code = "not-stored"


class Unauthorized(Refusal):
    """Not yours, or not there: the two are one answer."""

    code = "unauthorized"


class ForgedProof(Unauthorized):
    """A proof that its signature does not bear out. Honest nodes look before they pass one on."""


class Quota(Refusal):
    """The mailbox holds as much as a mailbox may."""

    code = "quota"


class Full(Refusal):
    """The node's disk is as full as its settings allow."""

    code = "full"


class StampRequired(Refusal):
    """The mailbox takes only stamped envelopes; ``detail`` ends with the target in bits."""

    code = "stamp-required"


class RateLimited(Refusal):
    code = "rate-limited"


class DrainingNow(Refusal):
    """The node is about to stop; ask another one."""

    code = "draining"


class NotReplica(Refusal):
    """The asker is not, in this node's verified view, among the nodes that may ask this."""

    code = "not-replica"


class Redirect(Refusal):
    """This node is not among the candidates for that key; its records say who is nearer.

    ``records`` are node records as signed bytes, at most eight.
    """

    code = "redirect"

    def __init__(
        self, detail: str = "", retry_after_ms: int = 0, records: tuple[bytes, ...] = ()
    ) -> None:
        super().__init__(detail, retry_after_ms)
        self.records = records


class WrongConnection(Refusal):
    """The command belongs on the other kind of connection (inbox or outbox)."""

    code = "wrong-connection"


class StaleSequence(Refusal):
    """A record with a sequence below the one that is known."""

    code = "stale-sequence"


class TooMany(Refusal):
    """A bound of this connection is reached (requests in flight, mailboxes, items)."""

    code = "too-many"


class InternalError(Refusal):
    """The node failed at it; its log has the reason."""

    code = "internal-error"
