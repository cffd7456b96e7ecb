"""Keeping the ring correct: join, stabilise, notify, rectify (page 2.2).

The corrected Chord of P. Zave (2017), one instance for all positions of a node. Every pointer
moves only to a place whose node has just answered over its own authenticated link; at most one
operation is outstanding per position; each answer re-checks that its premise still holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import nsmallest
from itertools import islice
from random import Random
from typing import Any

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
from tace.ring.liveness import Liveness
from tace.ring.membership import Membership
from tace.ring.pacing import ChurnEstimate, PacingLaw, Schedule
from tace.ring.pointers import (
    Pointers,
    merged,
    nearer_successors,
    should_replace_predecessor,
)
from tace.seams import Counters, Links, Procedure
from tace.wire.fields import PlaceField
from tace.wire.message import Message
from tace.wire.peer import Changed, Done, GetRing, Notify, Ring

GUARDED_SUCCESSORS = 2
MAX_STEPS_PER_ROUND = 16
"""Nodes asked in one round of stabilising one position, before a nearer one is looked for."""
ASKED_AT_ONCE = 4
"""Of these, side by side, where the first one is in doubt."""
MAX_HASTY_ROUNDS = 64
"""How many quick rounds an event brings at most, while lists still disagree with what is known."""


class RingMaintenance:
    """The pointers of this node's positions, and the procedures that keep them right.

    :param also_needed: other nodes whose links are to be kept and whose silence matters.
    :param successors: r, distinct nodes in a successor list.
    :param law: how often each position is stabilised.
    """

    _log = Logger()

    def __init__(
        self,
        membership: Membership,
        gossip: Gossip,
        liveness: Liveness,
        *,
        links: Links,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        also_needed: Callable[[], Collection[NodeId]],
        successors: int,
        law: PacingLaw,
    ) -> None:
        self._membership = membership
        self._gossip = gossip
        self._liveness = liveness
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
        self._clock = clock
        self._law = law
        self._schedule = Schedule(law, self._pointers, random, clock.seconds())
        self._churn = ChurnEstimate(clock.seconds())
        self._settled = True
        self._view_changed = False
        self._haste = dict.fromkeys(self._pointers, 0)
        self._rounds = Periodic("stabilize", clock, self._until_next, self._round)
        membership.when_changed(self._disturbed)
        liveness.when_shunned(lambda _: self._disturbed())
        membership.when_news(self._heard_news)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {
            GetRing: self._on_get_ring,
            Notify: self._on_notify,
            Changed: self._on_changed,
        }

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

    def _is_gone(self, node: NodeId) -> bool:
        """Dead or away, or out of this node's own reach: nothing is to point there."""
        return self._membership.is_dead(node) or self._liveness.shuns(node)

    # -- what others ask -------------------------------------------------------------------------

    async def _on_get_ring(self, peer: NodeId, message: GetRing) -> Ring:
        return self._ring_of(message.index, message.known_digest)

    def _ring_of(self, index: int, known_digest: bytes = b"") -> Ring:
        pointers = self._pointers.get(index)
        if pointers is None:
            raise Unauthorized("this node does not stand at that position")
        predecessor = pointers.predecessor
        if predecessor is not None and self._is_gone(predecessor.node):
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
            before = self._pointers[index].predecessor
            self._pointers[index] = self._pointers[index].with_predecessor(candidate)
            self._counters.count("pointer_changes_total", pointer="predecessor")
            self._tell_changed(before)
            self._haste[index] = MAX_HASTY_ROUNDS
            self._schedule.event(index, self._clock.seconds())
            self._rounds.soon(self._until_next())

    async def _answers(self, place: Place) -> bool:
        if self._is_gone(place.node):
            return False
        return await self._ask(place) is not None

    # -- stabilise -------------------------------------------------------------------------------

    def _until_next(self) -> float:
        return max(0.0, self._schedule.next_at - self._clock.seconds())

    def _disturbed(self) -> None:
        """Who is known to be here has changed: soon it is seen what that means for the lists."""
        self._view_changed = True
        self._rounds.soon(self._law.after_event_seconds)

    def _heard_news(self, record: NodeRecord) -> None:
        """Who says that it goes is passed over now: there is nothing to wait for or confirm."""
        if self._membership.is_dead(record.node_id):
            self._rounds.soon()

    async def _on_changed(self, peer: NodeId, message: Changed) -> None:
        """The first successor has another snapshot now: what it gained may concern this list."""
        pointers = self._pointers.get(message.index)
        successor = None if pointers is None else pointers.successor
        if successor is not None and successor.node == peer:
            self._schedule.nudge(message.index, self._clock.seconds())
            self._rounds.soon(self._until_next())

    def _tell_changed(self, predecessor: Place | None) -> None:
        """So news runs back along the ring, and nobody has to ask for it often."""
        if predecessor is not None and predecessor.node != self._own:
            self._links.send(predecessor.node, Changed(predecessor.number))

    async def _round(self) -> None:
        """One for each position that is due, side by side."""
        if self._view_changed:
            self._view_changed = False
            self._look_at_lists()
        due = self._schedule.due(self._clock.seconds())
        if not due:
            return
        before = {index: self._pointers[index].successors for index in due}
        self._settled = True
        await self._stabilize_all(due)
        ceiling = self._law.ceiling_seconds(self._churn.deaths_per_second)
        for index in due:
            pointers = self._pointers[index]
            changed = pointers.successors != before[index]
            if changed:
                self._haste[index] = MAX_HASTY_ROUNDS
                self._tell_changed(pointers.predecessor)
            # Lists mend from the front: go on quickly until they are whole, within bounds.
            hasty = self._haste[index] > 0 and not self._is_whole(pointers)
            self._haste[index] = self._haste[index] - 1 if hasty else 0
            quiet = self._settled and not changed and not hasty
            self._schedule.done(index, self._clock.seconds(), quiet=quiet, ceiling_seconds=ceiling)
        self._watch_neighbours()

    def _look_at_lists(self) -> None:
        """Have each list that is not what it should be, as far as is known, mended at once."""
        now = self._clock.seconds()
        neighbours = self.neighbours()
        deaths = sum(self._membership.dead_for(node) is not None for node in neighbours)
        self._churn.look(len(neighbours), deaths, now)
        for index, pointers in self._pointers.items():
            if not self._is_whole(pointers):
                self._haste[index] = MAX_HASTY_ROUNDS
                self._schedule.hurry(index, now)

    def _is_whole(self, pointers: Pointers) -> bool:
        """Does the list name each known living place that lies within its reach?"""
        return bool(pointers.successors) and (
            list(pointers.successors) == self._known_after(pointers)
        )

    def _known_after(self, pointers: Pointers) -> list[Place]:
        """The known living places after a position, as many as its list has."""
        walk = self._membership.table.clockwise(_next(pointers.position))
        living = (place for _, place in walk if not self._is_gone(place.node))
        return list(islice(living, len(pointers.successors)))

    async def _stabilize_all(self, indexes: Iterable[int]) -> None:
        """Side by side: one position that waits for the dead holds up no other."""
        rounds = deque(self._locks[index].run(self._locked_stabilize, index) for index in indexes)
        try:
            while rounds:
                await rounds.popleft()
        finally:
            _abandon(rounds)

    def _locked_stabilize(self, index: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.stabilize(index))

    def _watch_neighbours(self) -> None:
        """Keep links to ring neighbours and watched replicas, and have their silence noticed."""
        guarded = set(self._also_needed())
        needed = {*self.neighbours(), *guarded} - {self._own}
        for pointers in self._pointers.values():
            if pointers.predecessor is not None:
                guarded.add(pointers.predecessor.node)
            others = (p.node for p in pointers.successors if p.node != self._own)
            for _, node in zip(range(GUARDED_SUCCESSORS), dict.fromkeys(others), strict=False):
                guarded.add(node)
        self._liveness.attend(needed, guarded - {self._own})

    async def stabilize(self, index: int) -> None:
        """One round for one position: ask the successor, adopt a nearer one, notify it."""
        heard = await self._first_living_successor(index)
        if heard is None:
            await self._recover(index)
            return
        successor, ring = heard
        nearer = nearer_successors(
            self._pointers[index],
            (_place(ring.predecessor), *self._hints_between(index, successor)),
            is_dead=self._is_gone,
        )
        nearer = [place for place in nearer if self._stands(place)]
        heard = await self._first_to_answer(nearer, joined=True)
        if heard is not None and self._is_nearer(index, heard[0]):
            self._adopt(index, *heard)
            successor, ring = heard
        if successor.node != self._own or successor.number != index:
            await self._notify(index, successor, ring)

    async def _first_living_successor(self, index: int) -> tuple[Place, Ring] | None:
        """The first successor that answers, its list merged in; dead ones leave the list.

        Where the first is in doubt the next ones are asked beside it: a burst of deaths costs the
        time of one.
        """
        asked = 0
        while asked < MAX_STEPS_PER_ROUND:
            successors = self._pointers[index].successors
            living = [place for place in successors if not self._is_gone(place.node)]
            if not living:
                break
            doubtful = asked > 0 or self._liveness.is_suspect(living[0].node)
            heads = living[: ASKED_AT_ONCE if doubtful else 1]
            heard = await self._first_to_answer(heads)
            asked += len(heads)
            if self._pointers[index].successors != successors:
                continue
            if heard is not None:
                self._adopt(index, *heard)
                return heard
            self._drop(index, successors[successors.index(heads[-1]) + 1 :])
        else:
            return None
        self._drop(index, ())
        return None

    def _drop(self, index: int, rest: tuple[Place, ...]) -> None:
        """Leave this of a list whose first entries are gone."""
        if rest != self._pointers[index].successors:
            self._pointers[index] = self._pointers[index].with_successors(rest)
            self._counters.count("pointer_changes_total", pointer="successor")
            self._settled = False

    async def _first_to_answer(
        self, places: Sequence[Place], *, joined: bool = False
    ) -> tuple[Place, Ring] | None:
        """The first of these, in their order, that answers; all are asked at once.

        :param joined: only one that has successors itself: who joins through another that is only
            joining hangs in the air with it.
        """
        answers = deque(Deferred.fromCoroutine(self._ask(place)) for place in places)
        try:
            for place in places:
                ring = await answers.popleft()
                if ring is not None and (ring.successors or not joined):
                    return place, ring
            return None
        finally:
            _abandon(answers)

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
            is_dead=self._is_gone,
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
        """No successor left: the nearest known place that answers and has joined; else any that
        answers; own places come last.

        A node that has ever known another never silently becomes a ring of one: the places of
        others are tried first, and a node that is truly alone keeps asking through its seeds.
        """
        own = self._pointers[index].place
        places = [
            place
            for _, place in self._membership.table.clockwise(_next(own.position))
            if place != own and not self._is_gone(place.node)
        ]
        others = [place for place in places if place.node != self._own]
        nearest = others[:MAX_STEPS_PER_ROUND]
        # Where many join at once nobody near has joined yet, but those who have been up for longest
        # have; in a network that starts as a whole nobody has joined anything.
        for few, joined in ((nearest, True), (self._longest_up(others), True), (nearest, False)):
            for start in range(0, len(few), ASKED_AT_ONCE):
                asked = few[start : start + ASKED_AT_ONCE]
                heard = await self._first_to_answer(asked, joined=joined)
                if heard is not None:
                    self._adopt(index, *heard)
                    return
        heard = await self._first_to_answer([*places[:1], own])
        if heard is not None:
            self._adopt(index, *heard)

    def _longest_up(self, places: Sequence[Place]) -> list[Place]:
        """Of the nodes that say that they started first, the first place of each among these."""
        first = {place.node: place for place in reversed(places)}
        started = (
            (record.boot, node)
            for node in first
            if (record := self._membership.record_of(node)) is not None
        )
        return [first[node] for _, node in nsmallest(ASKED_AT_ONCE, started)]

    # -- join ------------------------------------------------------------------------------------

    async def join(self) -> None:
        """Take a place among the living: a successor list from a node that answers, then notify.

        The arcs are pulled afterwards; :meth:`become_member` tells the ring when that is done.
        """
        await self._stabilize_all(self._pointers)
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
        if self._is_gone(place.node):
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


def _abandon(works: Collection[Deferred[Any]]) -> None:
    """Nobody waits for these any more."""
    for work in works:
        work.addErrback(lambda _: None)
        work.cancel()


def _place(field: PlaceField | None) -> Place | None:
    return None if field is None else Place(*field)


def _next(position: Position) -> Position:
    """The point right after a position, so that a walk does not begin with it."""
    return ((int.from_bytes(position) + 1) % (1 << 256)).to_bytes(32)
