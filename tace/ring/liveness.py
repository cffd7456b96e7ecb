"""Who still answers: a node that was lost is looked for, by others too, before it is called dead.

What a node finds out for itself stands for its own pointers; a death that two others confirm is
passed on (:mod:`tace.ring.hearsay`). The rules are in :mod:`tace.ring.suspicion`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice
from math import inf
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.background import background
from tace.errors import Failure, LocalExhaustion, Refusal, TooMany
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.membership import Membership
from tace.ring.suspicion import Accusations, Allowances, Evidence, Verdict
from tace.seams import Counters, Links, Procedure
from tace.wire.message import Message
from tace.wire.peer import Ping, Probed, ProbeFor

ASKED = 3
"""Neighbours of a node that are asked to look for it."""
NEAREST = 8
"""They are chosen among so many that are linked, so that not all nodes ask the same ones."""
WALKED = 32
"""Places on each side of a node's own that are looked at for such neighbours."""
PROBE_SECONDS = 1.5
"""So long a node looks for another one that it was asked about; its asker waits for longer."""
MAX_UNDER_WAY = 1024
"""Nodes that are looked for at one time."""
SHUN_SECONDS = 15.0
"""A node that others reach and this one does not is no pointer, and is looked for this often."""
MAX_VOUCHED = 1024
"""Nodes that only others reach."""
ALARM_LOSSES = 2
ALARM_WINDOW_SECONDS = 5.0
"""So many nodes lost within this time: whatever took them may have taken more."""
ALARM_SECONDS = 6.0

UNKNOWN, REACHED, MISSED = range(3)
"""What :class:`~tace.wire.peer.Probed` says."""


class Liveness:
    """Judges the nodes that do not answer.

    Implements :class:`~tace.seams.LinkEvents`. Pins and guards links as the ring needs it; after
    several losses at once it guards all of them for a while, so that a loss of many is found in
    the time of one.

    :param accusations: what others say; one that is found wrong is marked so.
    :param questions: of each peer, about others.
    """

    _log = Logger()

    def __init__(
        self,
        membership: Membership,
        *,
        links: Links,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        accusations: Accusations,
        questions: Allowances,
    ) -> None:
        self._membership = membership
        self._links = links
        self._clock = clock
        self._random = random
        self._counters = counters
        self._accusations = accusations
        self._death_listeners: list[Callable[[NodeId], None]] = []
        self._shun_listeners: list[Callable[[NodeId], None]] = []
        self._needed: frozenset[NodeId] = frozenset()
        self._guarded: frozenset[NodeId] = frozenset()
        self._alarmed_until = -inf
        self._losses: dict[NodeId, float] = {}
        self._under_way: dict[NodeId, bool] = {}
        """Who is looked for; has it come by itself meanwhile?"""
        self._probes: dict[NodeId, list[Deferred[int]]] = {}
        self._vouched: dict[NodeId, tuple[float, float]] = {}
        """Since when others reach a node that this one does not, and when it is tried again."""
        self._questions = questions
        membership.when_news(self._heard_news)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {ProbeFor: self._on_probe_for}

    # -- what the ring asks ----------------------------------------------------------------------

    def attend(self, needed: Collection[NodeId], guarded: Collection[NodeId]) -> None:
        """Keep links to the needed nodes, and notice when one of the guarded falls silent.

        Those that only others reach are dialled, too: they would be needed.
        """
        self._needed = frozenset([*needed, *self._vouched])
        self._guarded = frozenset(guarded)
        self._links.pin(sorted(self._needed))
        self._guard()
        now = self._clock.seconds()
        for node in [node for node, (_, until) in self._vouched.items() if until <= now]:
            if self._membership.record_of(node) is None:
                del self._vouched[node]
            self.look_for(node, failures=1)

    def when_confirmed(self, listener: Callable[[NodeId], None]) -> None:
        """Have it called with every node that is found dead, here and by two others."""
        self._death_listeners.append(listener)

    def when_shunned(self, listener: Callable[[NodeId], None]) -> None:
        """Have it called with every node that is shunned from now on, or no longer."""
        self._shun_listeners.append(listener)

    def matters(self, node: NodeId) -> bool:
        """Is it needed, or linked with?"""
        return node in self._needed or self._links.is_up(node)

    def is_suspect(self, node: NodeId) -> bool:
        """Is it being looked for just now?"""
        return node in self._under_way

    def shuns(self, node: NodeId) -> bool:
        """Is it out of our own reach, though others reach it?"""
        return node in self._vouched

    def _guard(self) -> None:
        everyone = self._links.up() if self._alarmed else ()
        self._links.guard(sorted({*self._guarded, *everyone}))

    @property
    def _alarmed(self) -> bool:
        return self._clock.seconds() < self._alarmed_until

    # -- LinkEvents ------------------------------------------------------------------------------

    def link_up(self, record: NodeRecord) -> None:
        if record.node_id in self._under_way:
            self._under_way[record.node_id] = True
        self._reached(record.node_id)

    def link_lost(self, node: NodeId) -> None:
        """A sign of death; and of two at once, that more may be gone.

        Who is not needed now may be, when others have left the lists.
        """
        if self._links.is_up(node) or self._membership.is_dead(node):
            return
        if node in self._needed:
            self._note_loss(node)
        elif not self._alarmed:
            return
        self.look_for(node, failures=1)

    def unreachable(self, node: NodeId) -> None:
        """One dial that fails is an accident; it is dialled once more before it counts."""
        _, until = self._vouched.get(node, (0.0, -inf))
        if self._clock.seconds() >= until:
            self.look_for(node, failures=1)

    def _note_loss(self, node: NodeId) -> None:
        now = self._clock.seconds()
        self._losses.pop(node, None)
        self._losses[node] = now
        while now - next(iter(self._losses.values())) > ALARM_WINDOW_SECONDS:
            del self._losses[next(iter(self._losses))]
        if len(self._losses) >= ALARM_LOSSES and not self._alarmed:
            self._alarmed_until = now + ALARM_SECONDS
            self._counters.count("liveness_alarms_total")
            self._guard()

    def _heard_news(self, record: NodeRecord) -> None:
        """One that is held for dead has something new to say: perhaps it lives."""
        if self._membership.dead_for(record.node_id) is not None:
            background("look for a node", self._look_again(record.node_id))

    async def _look_again(self, node: NodeId) -> None:
        if await self._reaches(node):
            self._membership.heard(node)

    # -- looking ---------------------------------------------------------------------------------

    def look_for(self, node: NodeId, *, failures: int = 0) -> None:
        """Find out whether it lives, unless that is known or under way.

        :param failures: signs of death that were met with already.
        """
        if (
            node not in self._under_way
            and len(self._under_way) < MAX_UNDER_WAY
            and not self._membership.is_dead(node)
            and self._membership.record_of(node) is not None
        ):
            self._under_way[node] = False
            background("look for a node", self._look(node, failures))

    async def _look(self, node: NodeId, failures: int) -> None:
        try:
            verdict = await self._judge(node, failures)
            self._counters.count("suspicions_total", end=verdict.value)
        finally:
            del self._under_way[node]
        if verdict is Verdict.LIVES:
            self._reached(node)
        elif verdict in (Verdict.DEAD, Verdict.CONFIRMED):
            self._vouched.pop(node, None)
            self._membership.found_dead(node)
            if verdict is Verdict.CONFIRMED:
                self._tell(self._death_listeners, node)

    def _reached(self, node: NodeId) -> None:
        self._accusations.refuted(node, self._clock.seconds())
        if self._vouched.pop(node, None) is not None:
            self._tell(self._shun_listeners, node)

    def _tell(self, listeners: list[Callable[[NodeId], None]], node: NodeId) -> None:
        for listener in listeners:
            listener(node)

    async def _judge(self, node: NodeId, failures: int) -> Verdict:
        votes = [self._ask(other, node) for other in self._neighbours_of(node)]
        reached = await self._reaches(node)
        if reached is None:
            return Verdict.UNDECIDED
        if reached:
            return Verdict.LIVES
        found = {other: await answer for other, answer in votes}
        if self._under_way[node] and self._links.is_up(node):
            # It has dialled us meanwhile. (A link that was there before may only seem to be.)
            return Verdict.LIVES
        missed_by = {other for other, answer in found.items() if answer == MISSED}
        reached_by = [other for other, answer in found.items() if answer == REACHED]
        record = self._membership.record_of(node)
        if record is not None:
            missed_by |= self._accusations.accusers(node, record.freshness, self._clock.seconds())
        evidence = Evidence(
            failures + 1,
            missed_by=len(missed_by),
            reached_by=len(reached_by),
            vouched_for_seconds=self._vouched_for(node) if reached_by else 0.0,
        )
        return evidence.verdict

    def _vouched_for(self, node: NodeId) -> float:
        """How long others have been saying so, this time included."""
        now = self._clock.seconds()
        known = self._vouched.pop(node, None)
        since = now if known is None else known[0]
        if len(self._vouched) >= MAX_VOUCHED:
            del self._vouched[next(iter(self._vouched))]
        self._vouched[node] = (since, now + SHUN_SECONDS)
        if known is None:
            self._tell(self._shun_listeners, node)
        return now - since

    async def _reaches(self, node: NodeId, timeout_seconds: float | None = None) -> bool | None:
        """Does it answer? None: it could not be tried."""
        try:
            await self._links.call(node, Ping(), timeout_seconds=timeout_seconds)
        except (LocalExhaustion, TooMany):
            return None
        except Refusal:
            return True
        except Failure:
            return False
        return True

    # -- others ----------------------------------------------------------------------------------

    def _neighbours_of(self, node: NodeId) -> list[NodeId]:
        """A few linked nodes that stand near it and are not in doubt themselves."""
        near = islice(dict.fromkeys(self._linked_near(node)), NEAREST)
        nearest = list(near)
        return self._random.sample(nearest, min(ASKED, len(nearest)))

    def _linked_near(self, node: NodeId) -> Iterator[NodeId]:
        record = self._membership.record_of(node)
        table = self._membership.table
        for position, _ in () if record is None else record.places:
            before = islice(table.counter_clockwise(position), WALKED)
            after = islice(table.clockwise(position), WALKED)
            for _, place in chain.from_iterable(zip(before, after, strict=False)):
                other = place.node
                if other not in (node, self._membership.own) and (
                    self._links.is_up(other) and not self.is_suspect(other)
                ):
                    yield other

    def _ask(self, other: NodeId, node: NodeId) -> tuple[NodeId, Deferred[int]]:
        answer = self._links.call(other, ProbeFor(node))
        return other, answer.addCallbacks(lambda probed: probed.found, lambda _: UNKNOWN)

    async def _on_probe_for(self, peer: NodeId, message: ProbeFor) -> Probed:
        return Probed(await self._probed(peer, message.node))

    async def _probed(self, peer: NodeId, node: NodeId) -> int:
        if node == self._membership.own:
            return REACHED
        if self._membership.dead_for(node) is not None:
            return MISSED
        if not self.matters(node) or self._questions.take(peer, self._clock.seconds()) > 0.0:
            return UNKNOWN
        waiting = self._probes.get(node)
        if waiting is not None:
            # Many ask when a node dies; it is looked for once.
            shared: Deferred[int] = Deferred()
            waiting.append(shared)
            return await shared
        self._probes[node] = []
        found = UNKNOWN
        try:
            answers = await self._reaches(node, PROBE_SECONDS)
            found = UNKNOWN if answers is None else REACHED if answers else MISSED
        finally:
            for other in self._probes.pop(node):
                other.callback(found)
        return found
