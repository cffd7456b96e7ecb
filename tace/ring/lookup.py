"""Lookups in a network that is larger than the routing table (page 2.3; Chord, section 4).

Who does not know a key's surroundings asks nodes that precede it more and more closely, until one
answers that stands so near that it knows them. A lookup goes along several paths that share no
node, and takes two answers together: one node that lies can name others beside those that keep the
key, but cannot hide these, because positions are computed and whoever stands nearer counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice
from math import ceil
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.background import background
from tace.errors import Failure, NotStored, RateLimited, Refusal, TooMany
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId, distance
from tace.ring.membership import Membership
from tace.seams import Counters, Procedure
from tace.wire.message import Message, Request
from tace.wire.peer import MAX_FOUND_RECORDS, FindSuccessors, Successors

A = TypeVar("A", bound=Message)
PATHS = 3
"""Ways that one lookup goes at the same time."""
ENOUGH_ANSWERS = 2
"""So many of them have to arrive, unless the others have ended."""
MAX_STEPS = 16
"""Nodes that are asked on one path."""
NEARER_NAMED = 8
"""Nodes that one answer names, where the surroundings are not known."""
HOPS = 8
"""A lookup that is passed on is passed on so often at most."""
TRIES = 3
"""A lookup is passed on to so many nodes, one after the other, until one answers."""
MAX_SEARCHES = 256
"""Lookups of this node that are under way."""
MAX_PASSED_ON = 256
"""Lookups of others that are under way through this node."""
ANSWER_BYTES = 60_000
"""Records in an answer, at most: a frame has room for so much."""
STEP_SECONDS = 1.0
PASSED_ON_SECONDS = 0.4
"""Longer for each time it may be passed on: who is nearer to the asker waits longer."""
DEADLINE_SECONDS = 2.5
"""A lookup ends by then, with what it has. A write is to be answered within 2.8 s."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup came to.

    :ivar records: the nodes that follow the key, nearest first, at most 3N.
    :ivar hops: from this node to the first that keeps the key, where that is one after the other;
        of the longer of the paths whose answers are in it.
    :ivar first_hops: of the shorter.
    :ivar asked: requests in all.
    :ivar silent: those of them that brought no answer.
    """

    records: tuple[NodeRecord, ...]
    hops: int
    first_hops: int
    asked: int
    silent: int


class Peers(Protocol):
    """What a lookup needs of :class:`~tace.seams.Links`."""

    def call(
        self, node: NodeId, request: Request[A], *, timeout_seconds: float | None = None
    ) -> Deferred[A]:
        """Ask one node; raises as that of links does."""

    def is_up(self, node: NodeId) -> bool:
        """Is a verified link open?"""


class Lookup:
    """Finds who keeps a key, and answers others that look.

    :param may_ask: seconds that a node has to wait before it may ask (again); 0.0: it may.
    :param candidates: 3N.
    """

    def __init__(
        self,
        membership: Membership,
        *,
        links: Peers,
        clock: IReactorTime,
        counters: Counters,
        may_ask: Callable[[NodeId], float],
        candidates: int,
    ) -> None:
        self._membership = membership
        self._links = links
        self._clock = clock
        self._counters = counters
        self._may_ask = may_ask
        self._candidates = min(candidates, MAX_FOUND_RECORDS)
        self._under_way: dict[bytes, list[Deferred[None]]] = {}
        self._passing_on = 0

    def procedures(self) -> dict[type[Message], Procedure]:
        return {FindSuccessors: self._on_find}

    # -- for this node ---------------------------------------------------------------------------

    def knows(self, key: bytes) -> bool:
        """Is it arithmetic who keeps that key?"""
        return self._membership.knows(key)

    async def resolve(self, key: bytes) -> None:
        """Make sure that it is known who keeps the key, as far as that can be found out in time.

        A second call for a key waits for the first. Where nothing is found, replicas are chosen
        from what is known, and those that are none say who is nearer.
        """
        if self.knows(key):
            return
        if key not in self._under_way:
            if len(self._under_way) >= MAX_SEARCHES:
                self._counters.count("lookups_total", result="too-many")
                return
            self._under_way[key] = []
            # For all who wait: that one of them is cancelled is no reason to end it.
            background("find who keeps a key", self._look_up(key))
        if key in self._under_way:
            ended: Deferred[None] = Deferred()
            self._under_way[key].append(ended)
            await ended

    async def _look_up(self, key: bytes) -> None:
        try:
            found = await self.find(key)
            self._membership.remember(key, found.records)
            self._counters.count("lookups_total", result="found")
        except NotStored:
            self._counters.count("lookups_total", result="nothing")
        finally:
            for waiting in self._under_way.pop(key):
                waiting.callback(None)

    def find(self, key: bytes) -> Awaitable[Found]:
        """Along three paths: the first is passed on by others over links that are open anyway, the
        rest are walked by this node.

        :raises NotStored: no path led to the key.
        """
        return self._search(key, (HOPS, *[0] * (PATHS - 1)))

    def iterative(self, key: bytes) -> Awaitable[Found]:
        """Ask one node after the other, on every path.

        :raises NotStored: no path led to the key.
        """
        return self._search(key, (0,) * PATHS)

    def recursive(self, key: bytes) -> Awaitable[Found]:
        """Have it passed on from node to node, on one path.

        :raises NotStored: that led to nothing.
        """
        return self._search(key, (HOPS,))

    async def _search(self, key: bytes, hops: Sequence[int]) -> Found:
        if self._membership.table.covers(key):
            records = tuple(self._known_after(key))
            return Found(records, 1, 1, 0, 0)
        search = _Search(
            key, self._membership, self._links, self._clock, self._counters, self._candidates
        )
        return await search.run(hops, list(self._nearer(key, PATHS * NEARER_NAMED)))

    # -- for others ------------------------------------------------------------------------------

    async def _on_find(self, peer: NodeId, message: FindSuccessors) -> Successors:
        wait = self._may_ask(peer)
        if wait > 0.0:
            raise RateLimited("so many lookups", retry_after_ms=ceil(wait * 1000))
        key = message.key
        if self._membership.table.covers(key):
            return Successors(True, _fitting(self._known_after(key)))
        if message.hops:
            return await self._pass_on(peer, key, message.hops - 1)
        return Successors(False, _fitting(self._nearer(key, NEARER_NAMED)))

    def _known_after(self, key: bytes) -> Iterator[NodeRecord]:
        nodes = self._membership.candidates(key)[: self._candidates]
        records = (self._membership.record_of(node) for node in nodes)
        return (record for record in records if record is not None)

    def _nearer(self, key: bytes, count: int) -> Iterator[NodeRecord]:
        """Living nodes that precede the key more closely than this one, nearest first."""
        return islice(self._all_nearer(key), count)

    def _all_nearer(self, key: bytes) -> Iterator[NodeRecord]:
        own = self._membership.own
        seen: set[NodeId] = set()
        for _, place in self._membership.table.counter_clockwise(key):
            if place.node == own:
                return
            if place.node in seen or self._membership.is_dead(place.node):
                continue
            seen.add(place.node)
            record = self._membership.table.get(place.node)
            if record is not None:
                yield record

    async def _pass_on(self, peer: NodeId, key: bytes, hops: int) -> Successors:
        """Ask the nearest node for the asker; one with an open link if it is about as near."""
        if self._passing_on >= MAX_PASSED_ON:
            raise TooMany("this node passes on as many lookups as it may", retry_after_ms=1000)
        nearest = [record for record in self._nearer(key, TRIES) if record.node_id != peer]
        nearest.sort(key=lambda record: not self._links.is_up(record.node_id))
        self._passing_on += 1
        try:
            for record in nearest:
                try:
                    answer = await self._links.call(
                        record.node_id, FindSuccessors(key, hops), timeout_seconds=_patience(hops)
                    )
                except (Failure, Refusal) as error:
                    self._counters.count("lookup_steps_failed_total", reason=error.code)
                    continue
                passed = min(answer.hops + 1, HOPS)
                return Successors(answer.found, answer.records, passed)
        finally:
            self._passing_on -= 1
        return Successors(False, _fitting(nearest))


def _patience(hops: int) -> float:
    return min(STEP_SECONDS + PASSED_ON_SECONDS * hops, DEADLINE_SECONDS)


def _fitting(records: Iterator[NodeRecord] | Sequence[NodeRecord]) -> tuple[bytes, ...]:
    """As many of the records as a frame has room for."""
    room = ANSWER_BYTES
    fitting: list[bytes] = []
    for record in records:
        room -= len(record.encoded)
        if room < 0:
            break
        fitting.append(record.encoded)
    return tuple(fitting)


def before(record: NodeRecord, key: bytes) -> int:
    """How far the nearest place of a node lies before the key, or at it."""
    return min(distance(position, key) for position, _ in record.places)


def after(record: NodeRecord, key: bytes) -> int:
    """How far the nearest place of a node lies after the key, or at it."""
    return min(distance(key, position) for position, _ in record.places)


@dataclass(slots=True, eq=False)
class _Path:
    """One way towards the key: nodes to ask, nearest first, with the hops that lead to them."""

    hops: int
    """May be passed on so often."""
    nodes: list[tuple[int, NodeId, int]] = field(default_factory=list)
    named: set[NodeId] = field(default_factory=set)

    def add(self, before_key: int, node: NodeId, depth: int) -> None:
        self.named.add(node)
        heappush(self.nodes, (before_key, node, depth))


class _Search:
    """One lookup under way."""

    def __init__(
        self,
        key: bytes,
        membership: Membership,
        links: Peers,
        clock: IReactorTime,
        counters: Counters,
        candidates: int,
    ) -> None:
        self._key = key
        self._membership = membership
        self._links = links
        self._clock = clock
        self._counters = counters
        self._candidates = candidates
        self._held: list[NodeId] = []
        self._spent: set[NodeId] = set()
        """Everyone that was asked; nobody is asked on two paths."""
        self._found: dict[NodeId, NodeRecord] = {}
        self._lengths: list[int] = []
        """Of the paths that have brought an answer."""
        self._walking = 0
        self._asked = 0
        self._silent = 0
        self._done: Deferred[None] = Deferred()

    async def run(self, hops: Sequence[int], start: Sequence[NodeRecord]) -> Found:
        """:raises NotStored: no path led to the key."""
        paths = [_Path(each) for each in hops]
        for n, record in enumerate(start):
            self._name(paths[n % len(paths)], record, before(record, self._key), 1)
        self._walking = len(paths)
        deadline = self._clock.callLater(DEADLINE_SECONDS, self._end)
        try:
            for path in paths:
                if not self._done.called:
                    background("lookup", self._walk(path))
            await self._done
        finally:
            _cancel(deadline)
            self._membership.acquaintances.release(self._held)
        if not self._found:
            raise NotStored("nobody was found who knows that key", retry_after_ms=1000)
        nearest = sorted(self._found.values(), key=lambda record: after(record, self._key))
        return Found(
            tuple(nearest[: self._candidates]),
            max(self._lengths) + 1,
            min(self._lengths) + 1,
            self._asked,
            self._silent,
        )

    def _end(self) -> None:
        if not self._done.called:
            self._done.callback(None)

    def _name(self, path: _Path, record: NodeRecord, before_key: int, depth: int) -> None:
        node = record.node_id
        if node not in path.named and node != self._membership.own:
            # It is dialled by its record, and the table may have no room for that.
            self._membership.acquaintances.hold(record)
            self._held.append(node)
            path.add(before_key, node, depth)

    async def _walk(self, path: _Path) -> None:
        try:
            for _ in range(MAX_STEPS):
                while path.nodes and self._is_of_no_use(path.nodes[0][1]):
                    heappop(path.nodes)
                if self._done.called or not path.nodes or await self._step(path):
                    return
        finally:
            self._walking -= 1
            if not self._walking:
                self._end()

    def _is_of_no_use(self, node: NodeId) -> bool:
        return node in self._spent or self._membership.is_dead(node)

    async def _step(self, path: _Path) -> bool:
        """Ask the nearest node of the path; True when that ends it."""
        before_key, node, depth = heappop(path.nodes)
        self._spent.add(node)
        self._asked += 1
        # What another one passes on, or a dial comes before, says nothing of how far that node is.
        measured = not path.hops and self._links.is_up(node)
        asked_at = self._clock.seconds()
        try:
            answer = await self._links.call(
                node, FindSuccessors(self._key, path.hops), timeout_seconds=_patience(path.hops)
            )
        except (Failure, Refusal) as error:
            self._silent += 1
            self._counters.count("lookup_steps_failed_total", reason=error.code)
            return False
        if measured:
            self._membership.table.met(node, max(0.0, self._clock.seconds() - asked_at))
        if self._done.called:
            return True
        depth += answer.hops
        records = self._verified(answer)
        if answer.found and records:
            self._take(records, depth)
            return True
        for record in records[:NEARER_NAMED]:
            nearer = before(record, self._key)
            # Each step is one towards the key: there are no loops, and no wild-goose chases.
            if nearer < before_key:
                self._name(path, record, nearer, depth + 1)
        return False

    def _verified(self, answer: Successors) -> list[NodeRecord]:
        records = (self._membership.verified(encoded) for encoded in answer.records)
        return [record for record in records if record is not None]

    def _take(self, records: Sequence[NodeRecord], length: int) -> None:
        for record in records:
            known = self._found.get(record.node_id)
            if known is None or known.freshness < record.freshness:
                self._found[record.node_id] = record
        self._lengths.append(length)
        if len(self._lengths) >= ENOUGH_ANSWERS:
            self._end()


def _cancel(call: IDelayedCall) -> None:
    if call.active():
        call.cancel()
