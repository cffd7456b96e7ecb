"""The few interfaces that the node is written against: links to other nodes, the store, counters.

The real ones are in :mod:`tace.links` and :mod:`tace.storage`; the simulator has others. All of
them pass the same contract tests. Methods that wait return Deferreds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from tace.identity.mailbox_proof import Removal
from tace.identity.node_record import NodeRecord
from tace.identity.user_record import UserRecord
from tace.ids import Arc, MailboxId, MessageId, NodeId
from tace.wire.fields import BlobName
from tace.wire.message import Message, Request
from tace.wire.objects import Blob, Envelope, Tombstone
from tace.wire.ranges import RangeSum

A = TypeVar("A", bound=Message)

Procedure = Callable[[NodeId, Any], Awaitable[Message | None]]
"""Answers one class of message from one authenticated node; None for a one-way message.

What it raises goes back as a refusal: a ``Refusal`` as itself, anything else as
``internal-error`` (and into the log).
"""


class LinkEvents(Protocol):
    """What links tell those who subscribe; never called from within a call to the links."""

    def link_up(self, record: NodeRecord) -> None:
        """A node has proved itself with this record (it dialled us, or we it)."""

    def link_lost(self, node: NodeId) -> None:
        """The last link to a node has gone: closed, reset, or silent for too long."""

    def unreachable(self, node: NodeId) -> None:
        """Dialling it failed at every address it names."""


class Links(Protocol):
    """Node to node: authenticated, many requests in flight, one connection a peer."""

    def serve(self, procedures: Mapping[type[Message], Procedure]) -> None:
        """Say who answers what. Called once, before the first link."""

    def subscribe(self, listener: LinkEvents) -> None:
        """Have the listener told of links that come and go."""

    def call(
        self, node: NodeId, request: Request[A], *, timeout_seconds: float | None = None
    ) -> Deferred[A]:
        """Ask one node, dialling it first where no link is open.

        :raises LinkLost: no link could be had, or it went away.
        :raises TimedOut: no answer within the time (default: the links' setting).
        :raises Refusal: the node's own no.
        """

    def send(self, node: NodeId, message: Message) -> bool:
        """Send a one-way message over an open link; False where there is none."""

    def is_up(self, node: NodeId) -> bool:
        """Is a verified link open?"""

    def up(self) -> Collection[NodeId]:
        """Every node a verified link is open to, in a stable order."""

    def introduce(self, address: str, *, name: str = "") -> Deferred[NodeRecord]:
        """Dial ``host:port`` or ``host:port#node_id_hex`` of a node not yet known.

        Succeeds with its record once the link is verified.

        :param name: the host name under which the address was found: in a private network the
            certificate there must be for that name. Empty: for the host of the address.
        :raises AnotherNode: it is not the node that was named.
        :raises LinkLost: nobody there.
        """

    def pin(self, nodes: Collection[NodeId]) -> None:
        """Keep these links open (and dial them when they are lost); replaces the earlier set."""

    def reset_backoff(self, nodes: Collection[NodeId]) -> None:
        """These may be back: forget that they could not be reached, dial anew where it hangs."""

    def requests_stamp_bits(self, node: NodeId) -> int | None:
        """The stamp that node demands for requests mailboxes; None where no link is up."""

    def clock_difference_seconds(self, node: NodeId) -> float | None:
        """That node's clock minus ours, as its hello said; None where no link is up."""

    def guard(self, nodes: Collection[NodeId]) -> None:
        """Ping these when they are silent, and report silence as a lost link; replaces the set."""


class AddressBook(Protocol):
    """Where links learn how to reach a node."""

    def record_of(self, node: NodeId) -> NodeRecord | None:
        """The newest verified record, or None."""


class OwnRecord(Protocol):
    """Where links learn what to say of this node in a hello."""

    @property
    def current(self) -> NodeRecord:
        """The record as it stands, signed."""


@dataclass(frozen=True, slots=True)
class NamedSeed:
    """A seed that a name service told of: nothing that it says is believed of more than that.

    ``known_as``: ``host:port`` as the service names it; ``address``: what is dialled,
    ``ip:port`` or ``ip:port#node_id_hex``.
    """

    known_as: str
    address: str


class SeedNames(Protocol):
    """Where seeds are found under a name."""

    def look_up(self, name: str) -> Deferred[Sequence[NamedSeed]]:
        """The seeds under that name, the preferred first; few, and never none.

        :raises NameFailed: there is no such name, or no answer in time.
        """


# -- placement -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StandIn:
    """A node that takes new copies for a member that cannot, with a hint for whom they are.

    ``absent``: the member is dead or away; else it is here, but full.
    """

    node: NodeId
    member: NodeId
    absent: bool


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """Who keeps a key.

    ``members``: n nodes, those away or dead for a short while included; quorums count over these.
    ``holders``: the n nodes that keep copies now; they differ from the members only while a member
    is dead long enough to be replaced and not long enough to be forgotten.
    ``stand_ins``: one for each member that is dead, away or full, as far as there are candidates.
    ``everyone``: members first, then holders that are none.
    """

    members: tuple[NodeId, ...]
    holders: tuple[NodeId, ...]
    stand_ins: tuple[StandIn, ...] = ()
    everyone: tuple[NodeId, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: a set is remembered, and asked for at every write.
        others = (node for node in self.holders if node not in self.members)
        object.__setattr__(self, "everyone", (*self.members, *others))

    @property
    def size(self) -> int:
        """n."""
        return len(self.members)

    @property
    def write_quorum(self) -> int:
        """W: a majority of the members."""
        return len(self.members) // 2 + 1

    @property
    def read_quorum(self) -> int:
        """R: so many that every write quorum meets it."""
        return len(self.members) - self.write_quorum + 1


class View(Protocol):
    """What a node knows of who stands where; only verified records count."""

    @property
    def own(self) -> NodeId:
        """This node."""

    def replica_set(self, key: bytes) -> ReplicaSet:
        """Who keeps that key."""

    def is_candidate(self, node: NodeId, key: bytes, per_replica: int = 3) -> bool:
        """Is the node within the first ``per_replica`` * N clockwise from the key, of all or of
        those that live?"""

    def candidates(self, key: bytes) -> tuple[NodeId, ...]:
        """The first 3N distinct nodes clockwise from the key that are not long dead, and the
        first 3N that live, in order."""

    def may_ask_about(self, node: NodeId, arc: Arc) -> bool:
        """Does the node keep every key of the arc, or stand within the first 2N for it, and so
        may reconcile it?"""

    def nearer_records(self, key: bytes) -> tuple[bytes, ...]:
        """Records of the nodes nearest to the key, at most eight, as signed bytes."""

    def learn(self, records: Sequence[bytes]) -> bool:
        """Take in records; True when one of them was news. What is over or no
        record is dropped.

        :raises ForgedRecord: one is not signed by its node; those before it have been taken in.
        """

    def learn_around(self, key: bytes, records: Sequence[bytes]) -> None:
        """As :meth:`learn`, of records that a node has sent because they are nearer to the key: of
        a key that is far away, these are known from now on.

        :raises ForgedRecord: one is not signed by its node.
        """

    def arcs_held(self) -> tuple[tuple[Arc, ReplicaSet], ...]:
        """The arcs whose keys this node keeps, in ring order; the same object for as long as they
        and their replica sets are the same."""

    @property
    def many_came(self) -> bool:
        """Have so many nodes come, or come back, within a minute that others than those who keep a
        key now may hold what is kept there?"""

    def is_dead(self, node: NodeId) -> bool:
        """Is it not to be asked: found dead and not heard of since, or away by its own word?"""

    def is_full(self, node: NodeId) -> bool:
        """Does it say that it takes nothing new?"""

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Have it called after replica sets may have changed."""


# -- store ---------------------------------------------------------------------------------------


HINT_SECONDS = 3 * 3600
"""So long a node remembers for whom it keeps a copy; the copy stays, and repair takes care."""
MAX_HINTS = 65_536
"""Copies kept in the place of nodes that are gone, with the note for whom."""
MAX_ANCHORS = 4
"""Nodes that are dialled first at the next start."""
MAX_KNOWN_SEEDS = 256
"""Addresses of seeds of which it is remembered which node answered there."""
MAX_KNOWN_DEAD = 1024
"""Dead nodes that are kept in mind, in memory and on the disk."""


class ItemState(IntEnum):
    """As in :class:`~tace.wire.peer.ItemField`, where no blob is ever named.

    Of a blob the key and the name are its hash.
    """

    ENVELOPE = 1
    TOMBSTONE = 2
    RECORD = 3
    BLOB = 4


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """The name of something a replica holds; see :class:`~tace.wire.peer.ItemField`."""

    key: bytes
    name: bytes
    state: ItemState


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one object.

    ``code``: ``stored`` (new and durable), ``duplicate`` (was durable already), ``acked`` (a
    tombstone stands in its place; ``secret`` where it holds one), ``quota``, ``full``,
    ``expired``, ``stale-sequence``.
    """

    code: str
    secret: bytes = b""

    @property
    def durable(self) -> bool:
        """Does this replica now keep the object, or the proof that it is no longer needed?"""
        return self.code in ("stored", "duplicate", "acked")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in a mailbox listing; ``sequence`` is the order of arrival at this store."""

    sequence: int
    id: MessageId
    expires_hours: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the store holds. ``bytes`` is the size of its files, or of its values in memory."""

    envelopes: int
    tombstones: int
    records: int
    bytes: int
    blobs: int = 0


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """A node remembered from earlier: its record as signed bytes, when it was last heard."""

    node: NodeId
    record: bytes
    last_heard_seconds: float


@dataclass(frozen=True, slots=True)
class KnownSeed:
    """Who answered at a seed's address the first time: ``host:port``, the node, when (unix)."""

    address: str
    node: NodeId
    since_seconds: float


@dataclass(frozen=True, slots=True)
class KnownDead:
    """A node that was found dead: its last record as signed bytes, which may be over; when it died
    (unix seconds); whether many others died about then."""

    node: NodeId
    record: bytes
    died_seconds: float
    in_burst: bool


class StoreState(StrEnum):
    """What a store is good for."""

    OK = "ok"
    FULL = "full"
    """New envelopes and blobs are refused; acks, which make room, are taken."""
    FAILING = "failing"
    """The disk refuses every write (read-only, an I/O error); what can be read is read."""
    DAMAGED = "damaged"
    """Something in the file cannot be read. It is being mended, and every call fails; or it cannot
    be mended, ``detail`` says why, and what can be read is read."""


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How a store is. ``detail`` is one line for the operator, about this state."""

    state: StoreState
    detail: str = ""

    @property
    def takes_messages(self) -> bool:
        """Does it keep what is new?"""
        return self.state is StoreState.OK


class Store(Protocol):
    """What a node keeps. Every put is durable before its Deferred fires.

    Puts that arrive together share one commit. Results stand in the order of the arguments.
    ``now`` is unix seconds. All methods raise :class:`~tace.errors.StoreError` where the disk
    fails; a full store answers ``full`` instead.
    """

    def put_envelopes(self, envelopes: Sequence[Envelope], now: float) -> Deferred[list[Put]]:
        """Add envelopes: ``stored``, ``duplicate``, ``acked``, ``quota``, ``full`` or ``expired``.

        Signatures, stamps and far expiries are the caller's to check; the mailbox quota (by kind)
        is checked here, inside the transaction.
        """

    def put_tombstones(self, tombstones: Sequence[Tombstone], now: float) -> Deferred[list[Put]]:
        """Replace envelopes: ``stored``, ``duplicate``, ``expired``, ``full`` or ``quota``.

        A tombstone for an unknown envelope is kept all the same: the envelope may still come. So
        many of these are kept in a mailbox (else ``quota``) and in all (else ``full``); one whose
        envelope is here is always taken, for it makes room.
        A tombstone with a secret replaces one made by a removal.
        """

    def put_removals(self, removals: Sequence[Removal], now: float) -> Deferred[list[Put]]:
        """The same for everything a removal names; one result for each removal."""

    def put_records(self, records: Sequence[UserRecord], now: float) -> Deferred[list[Put]]:
        """Add user records: ``stored``, ``duplicate``, ``stale-sequence``, ``expired``, ``full``.

        The highest :attr:`UserRecord.order` wins. The highest sequence is remembered for 30 days
        after the record's expiry.
        """

    def list_mailbox(
        self, mailbox: MailboxId, after: int, limit: int, now: float
    ) -> Deferred[list[Waiting]]:
        """What waits and has not expired, in arrival order, after that sequence."""

    def get_envelopes(
        self, mailbox: MailboxId, ids: Sequence[MessageId], now: float
    ) -> Deferred[list[Envelope]]:
        """Those of the ids that are here and not expired, in no particular order."""

    def get_record(self, key: bytes, now: float) -> Deferred[UserRecord | None]:
        """The record under a key, unless it has expired."""

    def put_blobs(self, blobs: Sequence[Blob], now: float) -> Deferred[list[Put]]:
        """Add blobs, or keep them for longer: ``stored``, ``duplicate``, ``expired`` or ``full``.

        Of two expiries the later holds, with the stamp it came with; a blob that is new here or
        has a later expiry than before is ``stored``. Stamps and far expiries are the caller's to
        check. A quarter of the budget is closed to blobs, so that they never keep messages out.
        """

    def get_blob(self, name: bytes, now: float) -> Deferred[Blob | None]:
        """The blob with that hash, unless it has expired."""

    def list_blobs(
        self, arc: Arc, *, after: bytes, limit: int, now: float
    ) -> Deferred[list[BlobName]]:
        """Unexpired blobs in an arc, in the order of :meth:`list_items`.

        ``after``: the last hash of the page before; empty for the first page.
        """

    def list_items(
        self, arc: Arc, *, records: bool, after: Item | None, limit: int, now: float
    ) -> Deferred[list[Item]]:
        """What is held in an arc (unexpired envelopes and tombstones, or records).

        In clockwise-segment order: :meth:`Arc.segments` one after the other, each by (key, name).
        """

    def sum_items(
        self, lower: bytes, upper: bytes, *, parts: int, now: float
    ) -> Deferred[list[RangeSum]]:
        """What is held in a range of places (:mod:`tace.wire.ranges`) and not over at ``now``.

        Of all kinds: envelopes, tombstones, records. The range is cut into at most ``parts`` parts
        of about equal counts: one where it holds no more than LEAF_ITEMS, else two or more, unless
        one was asked for. Parts join up, the last one ends at ``upper``.
        """

    def list_range(
        self, lower: bytes, upper: bytes, *, limit: int, now: float
    ) -> Deferred[list[Item]]:
        """What :meth:`sum_items` sums, item by item, in the order of the places."""

    def held_items(self, items: Sequence[Item]) -> Deferred[list[Item]]:
        """What is here under the keys and names of these, in whatever state; in no order."""

    def get_items(
        self, items: Sequence[Item], now: float
    ) -> Deferred[tuple[list[Envelope], list[Tombstone], list[Removal], list[UserRecord]]]:
        """The named items that are here; a tombstone made by a removal comes as the removal."""

    def put_hints(self, member: NodeId, items: Sequence[Item], now: float) -> Deferred[bool]:
        """Remember that copies which are here are meant for that node too; it could not take them.

        A hint that is there keeps its age. At most MAX_HINTS are kept, the oldest go first.
        False where there is no room on the disk: the copies stand without a hint.
        """

    def hinted_members(self) -> Deferred[list[NodeId]]:
        """The nodes for which there are hints, by id."""

    def list_hints(self, member: NodeId, limit: int) -> Deferred[list[Item]]:
        """What is meant for that node, the oldest hints first; the copies may be gone by now."""

    def drop_hints(self, member: NodeId, items: Sequence[Item]) -> Deferred[None]:
        """Forget these hints: the node has the copies, or will not take them."""

    def expire_hints(self, now: float) -> Deferred[int]:
        """Forget hints older than :data:`HINT_SECONDS`; how many went, 0 when none is left."""

    def drop_items(self, items: Sequence[Item]) -> Deferred[None]:
        """Forget items this node is no longer a replica for."""

    def expire(self, now: float) -> Deferred[int]:
        """Forget what is over (envelopes, tombstones past grace, records, blobs); how many."""

    def totals(self) -> Deferred[Totals]:
        """Counts and size."""

    def save_peers(self, peers: Sequence[KnownPeer]) -> Deferred[None]:
        """Remember nodes (the address book); known ones are updated."""

    def load_peers(self) -> Deferred[list[KnownPeer]]:
        """Every remembered node, the last heard first; at most 1,024."""

    def forget_peers(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        """Drop nodes from the address book."""

    def save_anchors(self, anchors: Sequence[KnownPeer]) -> Deferred[None]:
        """Remember these nodes in the place of the anchors before; at most :data:`MAX_ANCHORS`."""

    def load_anchors(self) -> Deferred[list[KnownPeer]]:
        """The anchors, in the order they were saved in."""

    def save_seeds(self, seeds: Sequence[KnownSeed]) -> Deferred[None]:
        """Remember who answered there; known addresses are updated."""

    def load_seeds(self) -> Deferred[list[KnownSeed]]:
        """Every remembered seed, the latest first; at most :data:`MAX_KNOWN_SEEDS`."""

    def save_dead(self, dead: Sequence[KnownDead]) -> Deferred[None]:
        """Remember nodes that were found dead; known ones are updated. The longest dead go where
        there are more than :data:`MAX_KNOWN_DEAD`."""

    def load_dead(self) -> Deferred[list[KnownDead]]:
        """Every remembered dead node, the last death first."""

    def forget_dead(self, nodes: Sequence[NodeId]) -> Deferred[None]:
        """These are back, or nobody looks for them any more."""

    def next_boot(self, now: float) -> Deferred[int]:
        """max(stored + 1, now): a number higher than any this node ever started with."""

    @property
    def health(self) -> StoreHealth:
        """How it is now."""

    def when_health_changes(self, listener: Callable[[StoreHealth], None]) -> None:
        """Have it called with the health as it is, at once, and whenever it has changed.

        It heals by itself: a full store when there is room again (with some to spare, so that it
        does not go to and fro), a failing one when the disk can be written to, a damaged one when
        it has been mended.
        """

    def close(self) -> Deferred[None]:
        """Finish what was asked, then close."""


# -- counters ------------------------------------------------------------------------------------


class Counters(Protocol):
    """Where procedures count; labels are few and fixed."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a value."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Record a duration."""
