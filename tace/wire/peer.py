"""The messages between nodes (docs/protocol/peer.md). Numbers 1 to 255, only ever appended."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tace.wire.fields import (
    MAX_LISTED,
    MAX_TOMBSTONES,
    BlobName,
    Envelopes,
    LeaseField,
    MemberField,
    NodeRecordBytes,
    PlaceField,
    PutResult,
    RedirectRecords,
    RemovalBytes,
    StoredBlobBytes,
    TombstoneField,
    UserRecordBytes,
    WaitingItem,
)
from tace.wire.message import (
    Bytes32,
    Line,
    Message,
    MessageTable,
    Request,
    Signature,
    UInt8,
    UInt32,
    UInt63,
    Word,
)
from tace.wire.objects import ENVELOPE_BYTES, STORED_BLOB_BYTES
from tace.wire.ranges import (
    FINGERPRINT_BYTES,
    LEAF_ITEMS,
    MAX_PARTS,
    MAX_RANGES,
    PLACE_BYTES,
    SHORT_BYTES,
)

PROTOCOL_VERSION = 1

_Digest = Annotated[bytes, msgspec.Meta(max_length=32)]
_Hint = Annotated[bytes, msgspec.Meta(max_length=32)]
"""The member that the receiver stands in for; empty where it takes the objects for itself."""
_Versions = Annotated[tuple[UInt8, ...], msgspec.Meta(min_length=1, max_length=8)]

# -- the link itself -----------------------------------------------------------------------------


class Hello(Message, frozen=True, array_like=True, gc=False):
    """First frame, both ways; nothing else is accepted before it.

    ``signature`` is by the identity key in ``record`` over "tace link 1" || network id 32 ||
    role u8 (1 the side that dialled, 2 the side that listened) || TLS exporter value 32.
    """

    NUMBER = 1
    versions: _Versions
    network_id: Bytes32
    record: NodeRecordBytes
    clock_ms: UInt63
    signature: Signature
    requests_stamp_bits: UInt8 = 0


class Refused(Message, frozen=True, array_like=True, gc=False):
    """The answer that says no, to any request. ``records`` come with ``redirect``."""

    NUMBER = 2
    code: Word
    detail: Line = ""
    retry_after_ms: UInt32 = 0
    records: RedirectRecords = ()


class Goodbye(Message, frozen=True, array_like=True, gc=False):
    """One-way: why the link is closed. The sender hangs up after it."""

    NUMBER = 3
    code: Word
    detail: Line = ""


class Done(Message, frozen=True, array_like=True, gc=False):
    """The answer that says yes and nothing more."""

    NUMBER = 4


class Pong(Message, frozen=True, array_like=True, gc=False):
    NUMBER = 5


class Ping(Request[Pong], frozen=True, array_like=True, gc=False):
    NUMBER = 6
    ANSWER = Pong


# -- ring ----------------------------------------------------------------------------------------


class Ring(Message, frozen=True, array_like=True, gc=False):
    """One snapshot of one position: predecessor and successor list, nearest first.

    ``member`` is false while the position is still joining. ``unchanged`` stands for a snapshot
    whose digest the asker named; then the lists are empty.
    """

    NUMBER = 10
    index: UInt8
    member: bool
    digest: _Digest
    unchanged: bool = False
    predecessor: PlaceField | None = None
    successors: Annotated[tuple[PlaceField, ...], msgspec.Meta(max_length=64)] = ()


class GetRing(Request[Ring], frozen=True, array_like=True, gc=False):
    """Asks the node for the snapshot of its position ``index``."""

    NUMBER = 11
    ANSWER = Ring
    index: UInt8
    known_digest: _Digest = b""


class Changed(Message, frozen=True, array_like=True, gc=False):
    """One-way, to my predecessor: the snapshot that its position ``index`` asks me for changed."""

    NUMBER = 61
    index: UInt8


class Notify(Request[Done], frozen=True, array_like=True, gc=False):
    """Says that my position ``from_index`` may be the predecessor of your ``to_index``."""

    NUMBER = 12
    ANSWER = Done
    to_index: UInt8
    from_index: UInt8


# -- membership ----------------------------------------------------------------------------------


class Records(Message, frozen=True, array_like=True, gc=False):
    """Node records: news that spreads one-way, or the answer to :class:`GetRecords`."""

    NUMBER = 20
    records: Annotated[tuple[NodeRecordBytes, ...], msgspec.Meta(max_length=32)]


class GetRecords(Request[Records], frozen=True, array_like=True, gc=False):
    """Asks for the records of these nodes; unknown ones are left out."""

    NUMBER = 21
    ANSWER = Records
    nodes: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=32)]


class Members(Message, frozen=True, array_like=True, gc=False):
    """One page of the members, by node id; ``more`` says that another page follows."""

    NUMBER = 22
    members: Annotated[tuple[MemberField, ...], msgspec.Meta(max_length=MAX_LISTED)]
    more: bool = False


class GetMembers(Request[Members], frozen=True, array_like=True, gc=False):
    """Asks for the members whose node id is greater than ``after`` (empty: from the first)."""

    NUMBER = 23
    ANSWER = Members
    after: _Digest = b""


# -- mailboxes -----------------------------------------------------------------------------------


class PutAnswer(Message, frozen=True, array_like=True, gc=False):
    """One result for each object of the request, in its order.

    Sent only when what it calls ``stored`` or ``duplicate`` is on disk. ``records`` come with a
    result ``redirect``: who is nearer to the key.
    """

    NUMBER = 30
    results: Annotated[tuple[PutResult, ...], msgspec.Meta(max_length=MAX_TOMBSTONES)]
    records: RedirectRecords = ()


class PutEnvelopes(Request[PutAnswer], frozen=True, array_like=True, gc=False):
    """Stores envelopes. ``records`` are newer ones the asker placed them by.

    ``instead_of`` here and in the other requests that store: the node they are meant for too,
    which cannot take them now. The receiver hands them over when it is back.
    """

    NUMBER = 31
    ANSWER = PutAnswer
    envelopes: Envelopes
    records: RedirectRecords = ()
    instead_of: _Hint = b""


class PutTombstones(Request[PutAnswer], frozen=True, array_like=True, gc=False):
    """Replaces envelopes by tombstones.

    The results are those of ``tombstones``, then those of ``removals``.
    """

    NUMBER = 32
    ANSWER = PutAnswer
    tombstones: Annotated[tuple[TombstoneField, ...], msgspec.Meta(max_length=MAX_TOMBSTONES - 4)]
    removals: Annotated[tuple[RemovalBytes, ...], msgspec.Meta(max_length=4)] = ()
    records: RedirectRecords = ()
    instead_of: _Hint = b""


class MailboxPage(Message, frozen=True, array_like=True, gc=False):
    """What waits in a mailbox, in the order it arrived here.

    ``cursor`` continues the list when ``more``. ``partial``: this replica is still pulling its
    arcs and may lack what others have.
    """

    NUMBER = 33
    items: Annotated[tuple[WaitingItem, ...], msgspec.Meta(max_length=MAX_LISTED)]
    cursor: UInt63
    more: bool = False
    partial: bool = False


class Watch(Request[MailboxPage], frozen=True, array_like=True, gc=False):
    """Lists a mailbox and has everything that arrives later pushed to the asking node.

    The lease must name the node at the other end of this link. The watch ends with the link, with
    the lease, or with :class:`Unwatch`. ``bodies``: push envelopes whole, not only their ids.
    """

    NUMBER = 34
    ANSWER = MailboxPage
    lease: LeaseField
    bodies: bool


class ListMailbox(Request[MailboxPage], frozen=True, array_like=True, gc=False):
    """The next page; answered only to a node that watches the mailbox."""

    NUMBER = 35
    ANSWER = MailboxPage
    mailbox: Bytes32
    cursor: UInt63


class Unwatch(Message, frozen=True, array_like=True, gc=False):
    """One-way: the asking node no longer wants to hear of these mailboxes."""

    NUMBER = 36
    mailboxes: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=64)]


class EnvelopeList(Message, frozen=True, array_like=True, gc=False):
    NUMBER = 37
    envelopes: Envelopes


class FetchEnvelopes(Request[EnvelopeList], frozen=True, array_like=True, gc=False):
    """Asks for bodies; answered only to a node that watches the mailbox.

    Missing ones are left out.
    """

    NUMBER = 38
    ANSWER = EnvelopeList
    mailbox: Bytes32
    ids: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=16)]


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that has just become durable here.

    ``envelope`` is empty unless bodies were asked.
    """

    mailbox: Bytes32
    id: Bytes32
    expires_hours: UInt32
    envelope: Annotated[bytes, msgspec.Meta(max_length=ENVELOPE_BYTES)] = b""


class Arrived(Message, frozen=True, array_like=True, gc=False):
    """One-way: news for a watching node."""

    NUMBER = 39
    arrivals: Annotated[tuple[Arrival, ...], msgspec.Meta(max_length=16)]


class PutRecord(Request[PutAnswer], frozen=True, array_like=True, gc=False):
    """Stores a user record; the highest (sequence, hash) wins."""

    NUMBER = 40
    ANSWER = PutAnswer
    record: UserRecordBytes
    records: RedirectRecords = ()
    instead_of: _Hint = b""


class RecordAnswer(Message, frozen=True, array_like=True, gc=False):
    """The user record under a key; empty where there is none. ``partial`` as in a mailbox page."""

    NUMBER = 41
    record: Annotated[bytes, msgspec.Meta(max_length=8192)]
    partial: bool = False


class GetRecord(Request[RecordAnswer], frozen=True, array_like=True, gc=False):
    NUMBER = 42
    ANSWER = RecordAnswer
    key: Bytes32


# -- blobs ---------------------------------------------------------------------------------------


class StoreBlob(Request[PutAnswer], frozen=True, array_like=True, gc=False):
    """Stores one blob; the latest expiry holds. Beside it there is room for one node record."""

    NUMBER = 43
    ANSWER = PutAnswer
    blob: StoredBlobBytes
    records: RedirectRecords = ()
    instead_of: _Hint = b""


class BlobAnswer(Message, frozen=True, array_like=True, gc=False):
    """The stored blob under a hash; empty where there is none. ``partial`` as in a mailbox page."""

    NUMBER = 44
    blob: Annotated[bytes, msgspec.Meta(max_length=STORED_BLOB_BYTES)]
    partial: bool = False


class FetchBlob(Request[BlobAnswer], frozen=True, array_like=True, gc=False):
    NUMBER = 45
    ANSWER = BlobAnswer
    hash: Bytes32


# -- repair --------------------------------------------------------------------------------------


class ItemField(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something a replica holds: (key 32, name 32, state).

    State 1: envelope, 2: tombstone (key = mailbox, name = message id); 3: user record (key = record
    key, name = SHA-256 of its bytes).
    """

    key: Bytes32
    name: Bytes32
    state: Annotated[int, msgspec.Meta(ge=1, le=3)]


_ItemFields = Annotated[tuple[ItemField, ...], msgspec.Meta(max_length=MAX_LISTED)]


class ItemPage(Message, frozen=True, array_like=True, gc=False):
    """Part of what this node holds in an arc, ordered by (state class, key, name)."""

    NUMBER = 50
    items: _ItemFields
    more: bool = False


class ListItems(Request[ItemPage], frozen=True, array_like=True, gc=False):
    """Lists the arc (start, end], after the item ``after`` of an earlier page.

    ``records`` false: envelopes and tombstones; true: user records. Answered only for arcs for
    which the asker is within the first 2N candidates; others get ``not-replica``.
    """

    NUMBER = 51
    ANSWER = ItemPage
    start: Bytes32
    end: Bytes32
    records: bool
    after: ItemField | None = None


class Items(Message, frozen=True, array_like=True, gc=False):
    """The items that were asked for and exist, as many as fit a frame."""

    NUMBER = 52
    envelopes: Envelopes = ()
    tombstones: Annotated[tuple[TombstoneField, ...], msgspec.Meta(max_length=MAX_TOMBSTONES)] = ()
    removals: Annotated[tuple[RemovalBytes, ...], msgspec.Meta(max_length=16)] = ()
    records: Annotated[tuple[UserRecordBytes, ...], msgspec.Meta(max_length=7)] = ()


class FetchItems(Request[Items], frozen=True, array_like=True, gc=False):
    """Asks for what a listing named; the same asker rule as :class:`ListItems`."""

    NUMBER = 53
    ANSWER = Items
    items: Annotated[tuple[ItemField, ...], msgspec.Meta(max_length=MAX_TOMBSTONES)]


class BlobPage(Message, frozen=True, array_like=True, gc=False):
    """Part of the blobs that this node holds in an arc, in ascending order of hashes."""

    NUMBER = 54
    blobs: Annotated[tuple[BlobName, ...], msgspec.Meta(max_length=MAX_LISTED)]
    more: bool = False


class ListBlobs(Request[BlobPage], frozen=True, array_like=True, gc=False):
    """Lists the arc (start, end], after the hash ``after`` of an earlier page (empty: from its
    start). The same asker rule as :class:`ListItems`; the blobs are fetched one by one."""

    NUMBER = 55
    ANSWER = BlobPage
    start: Bytes32
    end: Bytes32
    after: _Digest = b""


_Bound = Annotated[bytes, msgspec.Meta(max_length=PLACE_BYTES)]
"""Of a range of places (:mod:`tace.wire.ranges`); as an upper one, empty: behind the last place."""


class PartField(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is held from the end of the part before up to ``upper``."""

    upper: _Bound
    fingerprint: Annotated[
        bytes, msgspec.Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)
    ]


class RangeField(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A range [lower, upper) to compare.

    With a ``fingerprint``: of what the asker holds there. Without one the range is to be listed,
    but for what the asker ``held``: short names of 8 bytes, joined.
    """

    lower: _Bound
    upper: _Bound
    fingerprint: Annotated[bytes, msgspec.Meta(max_length=FINGERPRINT_BYTES)] = b""
    held: Annotated[bytes, msgspec.Meta(max_length=LEAF_ITEMS * SHORT_BYTES)] = b""


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """About the range with that number in the request: parts of it, or what is held there.

    ``until``: the list stops before that place; empty: it is whole.
    """

    range: Annotated[int, msgspec.Meta(ge=0, lt=MAX_RANGES)]
    parts: Annotated[tuple[PartField, ...], msgspec.Meta(max_length=MAX_PARTS)] = ()
    items: _ItemFields = ()
    until: _Bound = b""


class RangeDifferences(Message, frozen=True, array_like=True, gc=False):
    """Where the answering node holds something else than the asker.

    The first ``looked`` ranges of the request were looked at; of these, one that is not among the
    findings is in step. With a later ``hour`` than the asker's none was: ask again as of it.
    """

    NUMBER = 56
    hour: UInt32
    looked: UInt8
    findings: Annotated[tuple[Finding, ...], msgspec.Meta(max_length=MAX_RANGES)] = ()


class CompareRanges(Request[RangeDifferences], frozen=True, array_like=True, gc=False):
    """Asks what differs in some ranges, leaving out what is over at ``hour`` (hours since 1970).

    The same asker rule as :class:`ListItems`, for each range. One at a time of each asker.
    """

    NUMBER = 57
    ANSWER = RangeDifferences
    hour: UInt32
    ranges: Annotated[tuple[RangeField, ...], msgspec.Meta(min_length=1, max_length=MAX_RANGES)]


# -- liveness ------------------------------------------------------------------------------------


class Probed(Message, frozen=True, array_like=True, gc=False):
    """What came of looking for a node.

    0: not looked, for the answering node has nothing to do with it; 1: it answered; 2: it did not.
    """

    NUMBER = 58
    found: Annotated[int, msgspec.Meta(ge=0, le=2)]


class ProbeFor(Request[Probed], frozen=True, array_like=True, gc=False):
    """Asks a neighbour of ``node``, which the asker cannot reach, to try it now."""

    NUMBER = 59
    ANSWER = Probed
    node: Bytes32


class Accused(Message, frozen=True, array_like=True, gc=False):
    """One-way: these incarnations of nodes were not to be reached, by the sender and two others.

    No proof: whoever cares looks for itself. The accused answers with a fresher record.
    """

    NUMBER = 60
    members: Annotated[tuple[MemberField, ...], msgspec.Meta(max_length=32)]


class Returned(Message, frozen=True, array_like=True, gc=False):
    """One-way: the sender had these incarnations of nodes for dead, and they have just answered it.

    No proof: whoever holds one of them for dead looks for itself, at once.
    """

    NUMBER = 62
    members: Annotated[tuple[MemberField, ...], msgspec.Meta(max_length=32)]


# -- handing on ----------------------------------------------------------------------------------

MAX_OFFERED_BLOBS = 64
"""Blobs in one offer: each of them is 63 kB to bring."""
_Place = Annotated[int, msgspec.Meta(ge=0, lt=MAX_LISTED + MAX_OFFERED_BLOBS)]
"""Where something stands in an offer: items come first, then blobs."""
_Places = Annotated[tuple[_Place, ...], msgspec.Meta(max_length=MAX_LISTED + MAX_OFFERED_BLOBS)]


class OfferAnswer(Message, frozen=True, array_like=True, gc=False):
    """What of an offer is not held here, by place; what is in neither list is.

    ``misplaced``: nothing is taken under those keys; ``records`` are the nodes nearest to the first
    of them.
    """

    NUMBER = 66
    lacking: _Places
    misplaced: _Places = ()
    records: RedirectRecords = ()


class Offer(Request[OfferAnswer], frozen=True, array_like=True, gc=False):
    """Names what the asker holds and would bring: items, and blobs with their expiry."""

    NUMBER = 67
    ANSWER = OfferAnswer
    items: _ItemFields
    blobs: Annotated[tuple[BlobName, ...], msgspec.Meta(max_length=MAX_OFFERED_BLOBS)] = ()


# -- lookups -------------------------------------------------------------------------------------

MAX_FOUND_RECORDS = 48
"""Node records in one answer of a lookup."""
MAX_HOPS = 16
"""How often a lookup may be passed on."""


class Successors(Message, frozen=True, array_like=True, gc=False):
    """``found``: the nodes that follow the key, nearest first, as many as keep or may keep it.

    Else nodes that precede the key more closely than the answering one, nearest first. ``hops``:
    how often the question was passed on.
    """

    NUMBER = 70
    found: bool
    records: Annotated[tuple[NodeRecordBytes, ...], msgspec.Meta(max_length=MAX_FOUND_RECORDS)]
    hops: Annotated[int, msgspec.Meta(ge=0, le=MAX_HOPS)] = 0


class FindSuccessors(Request[Successors], frozen=True, array_like=True, gc=False):
    """Asks who follows the key. A node that does not know may pass it on ``hops`` times (recursive
    lookup); with 0 it names nodes that are nearer (iterative lookup)."""

    NUMBER = 71
    ANSWER = Successors
    key: Bytes32
    hops: Annotated[int, msgspec.Meta(ge=0, le=MAX_HOPS)] = 0


PEER_MESSAGES = MessageTable(
    (
        Hello,
        Refused,
        Goodbye,
        Done,
        Pong,
        Ping,
        Ring,
        GetRing,
        Notify,
        Changed,
        Records,
        GetRecords,
        Members,
        GetMembers,
        PutAnswer,
        PutEnvelopes,
        PutTombstones,
        MailboxPage,
        Watch,
        ListMailbox,
        Unwatch,
        EnvelopeList,
        FetchEnvelopes,
        Arrived,
        PutRecord,
        RecordAnswer,
        GetRecord,
        StoreBlob,
        BlobAnswer,
        FetchBlob,
        ItemPage,
        ListItems,
        Items,
        FetchItems,
        BlobPage,
        ListBlobs,
        RangeDifferences,
        CompareRanges,
        Probed,
        ProbeFor,
        Accused,
        Returned,
        OfferAnswer,
        Offer,
        Successors,
        FindSuccessors,
    )
)
