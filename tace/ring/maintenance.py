"""Keeping the ring correct: join, stabilise, notify, rectify (page 2.2).

The corrected Chord of P. Zave (2017), one instance for all positions of a node. Every pointer
moves only to a place whose node has just answered over its own authenticated link; at most one
operation is outstanding per position; each answer re-checks that its premise still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from random import Random

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.background import Periodic
from tace.errors import (
    Failure,
    LocalExhaustion,
    RateLimited,
    Refusal,
    TooMany,
    Unauthorized,
)
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId, Place, Position, between
from tace.ring.gossip import Gossip
from tace.ring.membership import Membership
from tace.ring.pointers import (
    Pointers,
    merged,
    nearer_successors,
    should_replace_predecessor,
)
from tace.seams import Counters, Links, Procedure
from tace.wire.fields import PlaceField
from tace.wire.message import Message
from tace.wire.peer import Done, GetRing, Notify, Ring

GUARDED_SUCCESSORS = 2
MAX_STEPS_PER_ROUND = 16
"""Nodes asked one after the other in one round of stabilising one position."""
MAX_HASTY_ROUNDS = 64
"""How many quick rounds an event brings at most, while lists still disagree with what is known."""


class RingMaintenance:
    """The pointers of this node's positions, and the procedures that keep them right.

    :param also_needed: other nodes whose links are to be kept and whose silence matters.
    :param successors: r, distinct nodes in a successor list.
    :param after_event_seconds: time to the next round after something changed.
    :param quiet_seconds: time to the next round when nothing did.
    """

    _log = Logger()

    def __init__(
        self,
        membership: Membership,
        gossip: Gossip,
        *,
        links: Links,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        also_needed: Callable[[], Collection[NodeId]],
        successors: int,
        after_event_seconds: float,
        quiet_seconds: float,
    ) -> None:
        self._membership = membership
        self._gossip = gossip
        self._links = links
        self._counters = counters
        self._also_needed = also_needed
        self._distinct = successors
        self._own = membership.own
        self._pointers = {
            index: Pointers(Place(self._own, index)) for _, index in membership.current.places
        }
        self._locks = {index: DeferredLock() for index in self._pointers}
        self._heard: dict[Place, Ring] = {}
        self._settled = True
        self._haste = 0
        self._after_event = after_event_seconds
        self._quiet = quiet_seconds
        self._rounds = Periodic(
            "stabilize",
            clock,
            lambda: (
                (self._quiet if self._settled else self._after_event) * random.uniform(0.75, 1.25)
            ),
            self._round,
        )
        membership.when_changed(self._disturbed)
        membership.when_news(self._heard_news)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {GetRing: self._on_get_ring, Notify: self._on_notify}

    def start(self) -> None:
        self._rounds.start(delay=0.0)

    async def stop(self) -> None:
        await self._rounds.stop()

    def snapshot(self) -> list[Pointers]:
        """Every position as it stands, by number."""
        return [self._pointers[index] for index in sorted(self._pointers)]

    @property
    def joined(self) -> bool:
        return all(pointers.member for pointers in self._pointers.values())

    def neighbours(self) -> list[NodeId]:
        """The distinct other nodes that this node's pointers name, sorted."""
        nodes = {
            place.node
            for pointers in self._pointers.values()
            for place in (pointers.predecessor, *pointers.successors)
            if place is not None
        }
        return sorted(nodes - {self._own})

    # -- what others ask -------------------------------------------------------------------------

    async def _on_get_ring(self, peer: NodeId, message: GetRing) -> Ring:
        return self._ring_of(message.index, message.known_digest)

    def _ring_of(self, index: int, known_digest: bytes = b"") -> Ring:
        pointers = self._pointers.get(index)
        if pointers is None:
            raise Unauthorized("this node does not stand at that position")
        predecessor = pointers.predecessor
        if predecessor is not None and self._membership.is_dead(predecessor.node):
            pointers = pointers.with_predecessor(None)
        digest = pointers.digest
        if known_digest == digest:
            return Ring(index, pointers.member, digest, unchanged=True)
        return Ring(
            index,
            pointers.member,
            digest,
            predecessor=None if pointers.predecessor is None else PlaceField(*pointers.predecessor),
            successors=tuple(PlaceField(*place) for place in pointers.successors),
        )

    async def _on_notify(self, peer: NodeId, message: Notify) -> Done:
        record = self._membership.record_of(peer)
        if message.to_index not in self._pointers or record is None:
            raise Unauthorized("this node does not stand at that position")
        if not record.position_mask >> message.from_index & 1:
            raise Unauthorized("the asker's record names no such position")
        await self._rectify(message.to_index, Place(peer, message.from_index))
        return Done()

    # -- rectify ---------------------------------------------------------------------------------

    async def _rectify(self, index: int, candidate: Place) -> None:
        """A predecessor gives way to a nearer live node, or when it is dead; never blindly."""
        verdict = should_replace_predecessor(self._pointers[index], candidate)
        if verdict is None:
            present = self._pointers[index].predecessor
            if present is None or await self._answers(present):
                return
            verdict = self._pointers[index].predecessor == present
        if verdict:
            self._pointers[index] = self._pointers[index].with_predecessor(candidate)
            self._counters.count("pointer_changes_total", pointer="predecessor")
            self._disturbed()

    async def _answers(self, place: Place) -> bool:
        if self._membership.is_dead(place.node):
            return False
        return await self._ask(place) is not None

    # -- stabilise -------------------------------------------------------------------------------

    def _disturbed(self) -> None:
        self._settled = False
        self._haste = MAX_HASTY_ROUNDS
        self._rounds.soon(self._after_event)

    def _heard_news(self, record: NodeRecord) -> None:
        """Who says that it goes is passed over now: there is nothing to wait for or confirm."""
        if self._membership.is_dead(record.node_id):
            self._rounds.soon()

    async def _round(self) -> None:
        self._settled = True
        for index in self._pointers:
            await self._locks[index].run(self._locked_stabilize, index)
        if self._haste:
            # Lists mend from the front, one node a round: go on quickly until they are whole.
            self._haste -= 1
            self._settled = self._settled and self._lists_are_whole()
        self._watch_neighbours()

    def _lists_are_whole(self) -> bool:
        """Does every list name each known living place that lies within its reach?"""
        return all(
            pointers.successors[-1:] and list(pointers.successors) == self._known_after(pointers)
            for pointers in self._pointers.values()
        )

    def _known_after(self, pointers: Pointers) -> list[Place]:
        """The known living places after a position, as many as its list has."""
        walk = self._membership.table.clockwise(_next(pointers.position))
        living = (place for _, place in walk if not self._membership.is_dead(place.node))
        return list(islice(living, len(pointers.successors)))

    def _locked_stabilize(self, index: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.stabilize(index))

    def _watch_neighbours(self) -> None:
        """Keep links to ring neighbours and watched replicas, and have their silence noticed."""
        guarded = set(self._also_needed())
        self._links.pin(sorted({*self.neighbours(), *guarded} - {self._own}))
        for pointers in self._pointers.values():
            if pointers.predecessor is not None:
                guarded.add(pointers.predecessor.node)
            others = (p.node for p in pointers.successors if p.node != self._own)
            for _, node in zip(range(GUARDED_SUCCESSORS), dict.fromkeys(others), strict=False):
                guarded.add(node)
        self._links.guard(sorted(guarded - {self._own}))

    async def stabilize(self, index: int) -> None:
        """One round for one position: ask the successor, adopt a nearer one, notify it."""
        heard = await self._first_living_successor(index)
        if heard is None:
            await self._recover(index)
            return
        successor, ring = heard
        for candidate in nearer_successors(
            self._pointers[index],
            (_place(ring.predecessor), *self._hints_between(index, successor)),
            is_dead=self._membership.is_dead,
        ):
            answer = await self._ask(candidate) if self._stands(candidate) else None
            if answer is not None and self._is_nearer(index, candidate):
                self._adopt(index, candidate, answer)
                successor, ring = candidate, answer
                break
        if successor.node != self._own or successor.number != index:
            await self._notify(index, successor, ring)

    async def _first_living_successor(self, index: int) -> tuple[Place, Ring] | None:
        """The first successor that answers, its list merged in; dead ones leave the list."""
        for _ in range(MAX_STEPS_PER_ROUND):
            successor = self._pointers[index].successor
            if successor is None:
                return None
            ring = await self._ask(successor)
            if self._pointers[index].successor != successor:
                continue
            if ring is not None:
                self._adopt(index, successor, ring)
                return successor, ring
            rest = self._pointers[index].successors[1:]
            self._pointers[index] = self._pointers[index].with_successors(rest)
            self._counters.count("pointer_changes_total", pointer="successor")
            self._settled = False
        return None

    def _stands(self, place: Place) -> bool:
        """Does a verified record say that this place is taken? Names alone are not believed."""
        record = self._membership.record_of(place.node)
        return record is not None and bool(record.position_mask >> place.number & 1)

    def _is_nearer(self, index: int, candidate: Place) -> bool:
        pointers = self._pointers[index]
        end = pointers.successors[0].position if pointers.successors else pointers.position
        return between(pointers.position, candidate.position, end)

    def _adopt(self, index: int, head: Place, ring: Ring) -> None:
        pointers = self._pointers[index]
        successors = merged(
            pointers.place,
            head,
            filter(self._stands, (Place(*field) for field in ring.successors)),
            (place for _, place in self._membership.table.clockwise(head.position)),
            distinct_nodes=self._distinct,
            is_dead=self._membership.is_dead,
        )
        if successors != pointers.successors:
            self._pointers[index] = pointers.with_successors(successors)
            self._counters.count("pointer_changes_total", pointer="successor")
            self._settled = False

    def _hints_between(self, index: int, successor: Place) -> list[Place]:
        """Known living places between this position and its successor."""
        own = self._pointers[index].position
        found: list[Place] = []
        for position, place in self._membership.table.clockwise(_next(own)):
            if not between(own, position, successor.position) or len(found) == 8:
                break
            found.append(place)
        return found

    async def _notify(self, index: int, successor: Place, ring: Ring) -> None:
        own = self._pointers[index].place
        if _place(ring.predecessor) == own:
            return
        if successor.node == self._own:
            await self._rectify(successor.number, own)
            return
        try:
            await self._links.call(successor.node, Notify(successor.number, own.number))
        except (Failure, Refusal):
            self._settled = False

    async def _recover(self, index: int) -> None:
        """No successor left: the nearest known place that answers; own places come last.

        A node that has ever known another never silently becomes a ring of one: the places of
        others are tried first, and a node that is truly alone keeps asking through its seeds.
        """
        own = self._pointers[index].place
        places = [
            place
            for _, place in self._membership.table.clockwise(_next(own.position))
            if place != own and not self._membership.is_dead(place.node)
        ]
        others = [place for place in places if place.node != self._own]
        for candidate in [*others[:MAX_STEPS_PER_ROUND], *places[:1], own]:
            answer = await self._ask(candidate)
            if answer is not None:
                self._adopt(index, candidate, answer)
                return

    # -- join ------------------------------------------------------------------------------------

    async def join(self) -> None:
        """Take a place among the living: a successor list from a node that answers, then notify.

        The arcs are pulled afterwards; :meth:`become_member` tells the ring when that is done.
        """
        for index in self._pointers:
            await self._locks[index].run(self._locked_stabilize, index)
        self._watch_neighbours()

    def become_member(self) -> None:
        """The arcs are here: from now on this node is a principal of the ring."""
        for index, pointers in self._pointers.items():
            self._pointers[index] = pointers.joined()

    # -- asking ----------------------------------------------------------------------------------

    async def _ask(self, place: Place) -> Ring | None:
        """The snapshot of a place, over its own link; None when it does not answer.

        Repeated asking costs a few bytes: an unchanged snapshot is not sent again. Who is too busy
        to answer lives, and counts with its last snapshot; so does one that this node itself has
        no room to dial.
        """
        if place.node == self._own:
            return self._ring_of(place.number) if place.number in self._pointers else None
        if self._membership.is_dead(place.node):
            return None
        known = self._heard.get(place)
        try:
            ring = await self._links.call(
                place.node, GetRing(place.number, known.digest if known is not None else b"")
            )
        except (RateLimited, TooMany, LocalExhaustion):
            return known
        except Refusal:
            return None
        except Failure:
            self._heard.pop(place, None)
            return None
        if ring.unchanged:
            return known
        self._remember(place, ring)
        await self._learn_missing(place.node, ring)
        return ring

    def _remember(self, place: Place, ring: Ring) -> None:
        if len(self._heard) >= 4096:
            self._heard.pop(next(iter(self._heard)))
        self._heard[place] = ring

    async def _learn_missing(self, node: NodeId, ring: Ring) -> None:
        """Pointers name nodes; what is not known of them yet is asked for at once."""
        named = (ring.predecessor, *ring.successors)
        missing = dict.fromkeys(
            field.node
            for field in named
            if field is not None and self._membership.record_of(field.node) is None
        )
        if missing:
            try:
                await self._gossip.fetch_records(node, list(missing))
            except (Failure, Refusal):
                self._settled = False


def _place(field: PlaceField | None) -> Place | None:
    return None if field is None else Place(*field)


def _next(position: Position) -> Position:
    """The point right after a position, so that a walk does not begin with it."""
    return ((int.from_bytes(position) + 1) % (1 << 256)).to_bytes(32)
