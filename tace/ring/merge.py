"""Finding the dead again, and making one ring of several after a partition (page 2.6).

Nodes of another part are held for dead, and only they lead there. Some are always asked whether
they are back (:mod:`tace.ring.dead_cache`), also when they are known no more, for their records are
over: then at the addresses that they had. When one answers, those that died with it are asked at
once, memberships are exchanged, and the nodes that stand next to a found one are told of it. The
word of others has a node look for itself and nothing more; a verdict of its own holds nobody off.

After Shafaat, Ghodsi and Haridi, "Dealing with network partitions in structured overlay networks"
(2009). Their forwarded hints are one message here, as a node knows who stands where.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tace.background import Periodic, background
from tace.errors import Failure, LinkLost, Refusal
from tace.identity.node_record import Departure, NodeRecord
from tace.ids import NodeId
from tace.ring.dead_cache import Dead, DeadCache
from tace.ring.dead_memory import DeadMemory
from tace.ring.gossip import Gossip
from tace.ring.membership import Membership
from tace.seams import Counters, Links, Procedure, Store
from tace.wire.fields import MemberField
from tace.wire.message import Message
from tace.wire.peer import Ping, Returned

ROUND_SECONDS = 1.0
AWAY_SECONDS = 5.0
"""One node that is away by its own word is asked this often."""
AT_ONCE = 16
"""Nodes that are looked for at one time."""
MAX_WAITING = 1024
"""Nodes that may be back and wait to be looked for."""
EXCHANGE_SECONDS = 1.0
"""After a found node memberships are exchanged with the next one no sooner."""
GATHER_SECONDS = 0.1
"""Nodes found within this time share a message."""
TOLD_PER_MESSAGE = 32
MAX_UNTOLD = 1024
"""Nodes found again that wait to be named to others."""
FANOUT = 3
"""Nodes that are told of a found one beside those that stand next to it."""
BESIDE = 2
"""Linked nodes told of it, on each side of each of its positions."""
WALKED = 16
"""Places that are looked at for these."""
RETURNS_PER_SECOND, RETURNS_AT_ONCE = 64.0, 1024.0
"""Nodes that one peer may say are back; more are not listened to."""
MAX_PEERS_KNOWN = 4096
"""Nodes whose rate of such words is remembered."""


class Merge:
    """Asks the dead, and brings back whom it finds and all that were lost with them.

    Implements :class:`~tace.seams.LinkEvents`.

    :param store: where the dead are remembered.
    :param wait_seconds: asked at each word of a peer; above 0 it is not heeded.
    """

    _log = Logger()

    def __init__(
        self,
        membership: Membership,
        gossip: Gossip,
        *,
        links: Links,
        store: Store,
        network_id: bytes,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        wait_seconds: Callable[[NodeId], float],
    ) -> None:
        self._membership = membership
        self._gossip = gossip
        self._links = links
        self._clock = clock
        self._random = random
        self._counters = counters
        self._dead = DeadCache(random)
        self._memory = DeadMemory(
            self._dead, store=store, own=membership.own, network_id=network_id, clock=clock
        )
        self._verdicts: set[NodeId] = set()
        """Who was held for dead at the last look."""
        self._waiting: dict[NodeId, None] = {}
        self._looking: set[NodeId] = set()
        self._untold: dict[NodeId, None] = {}
        self._telling: IDelayedCall | None = None
        self._exchanged = 0.0
        self._next_away = clock.seconds() + AWAY_SECONDS
        self._stopped = False
        self._wait_seconds = wait_seconds
        self._rounds = Periodic(
            "ask the dead", clock, lambda: ROUND_SECONDS * random.uniform(0.75, 1.25), self._round
        )
        membership.when_news(self._news)

    def procedures(self) -> dict[type[Message], Procedure]:
        return {Returned: self._on_returned}

    @property
    def silent(self) -> int:
        """How many nodes of a suspected partition's other side are still gone; 0: there is none."""
        return self._dead.silent

    @property
    def silent_since(self) -> float | None:
        """When the first of these was found dead, unix seconds; None: there is none."""
        return self._dead.silent_since

    @property
    def looked_for(self) -> int:
        """How many dead nodes are asked whether they are back."""
        return len(self._dead)

    async def load(self) -> None:
        """Take in the dead of last time; to be called once, before :meth:`start`."""
        await self._memory.load()
        if self.silent:
            self._log.warn(
                "{silent} nodes that went silent together before this start are looked for",
                silent=self.silent,
            )

    def start(self) -> None:
        self._rounds.start()
        self._memory.start()

    async def stop(self) -> None:
        self._stopped = True
        self._waiting.clear()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        await self._rounds.stop()
        await self._memory.stop()

    # -- the dead --------------------------------------------------------------------------------

    async def _round(self) -> None:
        self._note_deaths()
        now = self._clock.seconds()
        was_silent = self.silent
        self._dead.forget_old(now)
        if was_silent and not self.silent:
            self._log.info("nodes that went silent together are looked for no more")
        for node in self._dead.next(now):
            self._look_for(node)
        if now >= self._next_away:
            self._next_away = now + AWAY_SECONDS
            self._look_for_away()
        self._counters.gauge("dead_nodes", float(len(self._dead)))
        self._counters.gauge("partition_silent_nodes", float(self.silent))

    def _look_for_away(self) -> None:
        """Who said that it would be back may be, and may have told nobody of it."""
        away = [node for node in self._membership.gone() if node not in self._dead]
        if away:
            self._look_for(self._random.choice(away))

    def _note_deaths(self) -> None:
        now = self._clock.seconds()
        gone = self._membership.dead()
        died = [
            Dead(record, now - (self._membership.dead_for(node) or 0.0))
            for node in gone
            if node not in self._verdicts
            and (record := self._membership.record_of(node)) is not None
        ]
        known = len(self._membership.table) - len(gone) + len(died)
        was_silent = self.silent
        burst = self._dead.add(died, known, now)
        if burst and not was_silent:
            self._suspect(burst, known, known - len(died))
        ended, self._verdicts = self._verdicts.difference(gone), set(gone)
        for node in sorted(ended):
            self._verdict_ended(node)

    def _verdict_ended(self, node: NodeId) -> None:
        """Others brought word of it; or its record is over, and nobody has heard of it at all."""
        if self._membership.record_of(node) is None:
            return
        together = self._back(node)
        if not self._membership.is_dead(node):
            self._look_for_all(together)

    def _suspect(self, burst: int, known: int, here: int) -> None:
        """Many at once: whatever it was, they are asked often for a while."""
        self._counters.count("partitions_suspected_total")
        self._log.warn(
            "{silent} of {known} known nodes went silent within a minute:"
            " this side of a partition has {here}",
            silent=burst,
            known=known,
            here=here,
        )

    def _back(self, node: NodeId) -> list[NodeId]:
        """It is here; whoever died with it may be, too."""
        was_silent = self.silent
        together = self._dead.discard(node)
        if was_silent and not self.silent:
            self._log.info("all nodes that went silent together are back")
        return together

    def _news(self, record: NodeRecord) -> None:
        if record.departure is Departure.LEFT:
            # For good, by its own word: nobody looks for it.
            self._back(record.node_id)
        else:
            self._dead.heard_of(record)

    # -- looking ---------------------------------------------------------------------------------

    def _look_for_all(self, nodes: list[NodeId]) -> None:
        """These may be back: ask each at once, or as soon as there is room."""
        now = self._clock.seconds()
        for node in nodes:
            if len(self._waiting) >= MAX_WAITING:
                break
            if node not in self._looking and self._dead.may_ask(node, now):
                self._waiting[node] = None
        self._look_on()

    def _look_on(self) -> None:
        while self._waiting and len(self._looking) < AT_ONCE and not self._stopped:
            node = next(iter(self._waiting))
            del self._waiting[node]
            if node in self._dead:
                self._look_for(node)

    def _look_for(self, node: NodeId) -> None:
        if node not in self._looking:
            self._looking.add(node)
            self._dead.asked(node, self._clock.seconds())
            self._links.reset_backoff((node,))
            background("ask whether a node is back", self._look(node))

    async def _look(self, node: NodeId) -> None:
        try:
            await self._ask(node)
        except Refusal:
            self._found(node)
        except Failure:
            self._counters.count("dead_probes_total")
        else:
            self._found(node)
        finally:
            self._looking.discard(node)
            self._look_on()

    async def _ask(self, node: NodeId) -> None:
        """Have a sign of life of it, and of nobody else.

        :raises Failure: there is none.
        :raises Refusal: that is one, too.
        """
        kept = self._dead.record_of(node)
        if kept is None or self._membership.record_of(node) is not None:
            await self._links.call(node, Ping())
            return
        failure: Failure = LinkLost("it names no address")
        for address in kept.peer_addresses:
            try:
                # The link proves that it is this node, and brings the record that it has now.
                await self._links.introduce(f"{address.partition('#')[0]}#{node.hex()}")
                return
            except Failure as error:
                failure = error
        raise failure

    # -- found -----------------------------------------------------------------------------------

    def link_up(self, record: NodeRecord) -> None:
        self._found(record.node_id)

    def link_lost(self, node: NodeId) -> None:
        """Judged by :mod:`tace.ring.liveness`."""

    def unreachable(self, node: NodeId) -> None:
        """Judged by :mod:`tace.ring.liveness`."""

    def _found(self, node: NodeId) -> None:
        self._membership.heard(node)
        if self._stopped or node not in self._dead:
            return
        if self._membership.record_of(node) is None:
            # It lives, and its record does not hold: its clock may be far off. It is asked again.
            return
        self._counters.count("dead_returned_total")
        together = self._back(node)
        self._look_for_all(together)
        self._tell_soon(node)
        now = self._clock.seconds()
        if together and now - self._exchanged >= EXCHANGE_SECONDS:
            self._exchanged = now
            background("exchange with a node that is back", self._exchange(node))

    async def _exchange(self, node: NodeId) -> None:
        """What each of the two knows of others, and who of them is here in the other's eyes."""
        try:
            here = await self._gossip.exchange_with(node)
        except (Failure, Refusal):
            return
        self._look_for_all([other for other in here if other in self._dead])

    # -- telling ---------------------------------------------------------------------------------

    def _tell_soon(self, node: NodeId) -> None:
        if len(self._untold) < MAX_UNTOLD:
            self._untold[node] = None
            if self._telling is None:
                self._telling = self._clock.callLater(GATHER_SECONDS, self._tell)

    def _tell(self) -> None:
        """To those that stand next to a found node, which are to point at it; and to a few more."""
        self._telling = None
        untold, self._untold = self._untold, {}
        up = list(self._links.up())
        others = self._random.sample(up, min(FANOUT, len(up)))
        letters: dict[NodeId, list[MemberField]] = {}
        for node in untold:
            record = self._membership.record_of(node)
            if record is None:
                continue
            for peer in dict.fromkeys((*self._beside(record), *others)):
                if peer != node:
                    letters.setdefault(peer, []).append(MemberField(node, *record.freshness))
        for peer, members in letters.items():
            for start in range(0, len(members), TOLD_PER_MESSAGE):
                self._links.send(peer, Returned(tuple(members[start : start + TOLD_PER_MESSAGE])))

    def _beside(self, record: NodeRecord) -> list[NodeId]:
        """Linked nodes next to its positions."""
        table = self._membership.table
        found: list[NodeId] = []
        for position, _ in record.places:
            for walk in (table.counter_clockwise(position), table.clockwise(position)):
                near = (place.node for _, place in islice(walk, WALKED))
                linked = (node for node in near if self._links.is_up(node))
                found.extend(islice((n for n in linked if n != record.node_id), BESIDE))
        return found

    async def _on_returned(self, peer: NodeId, message: Returned) -> None:
        members = [m for m in message.members if self._wait_seconds(peer) <= 0.0]
        unknown = [m.node for m in members if self._membership.record_of(m.node) is None]
        if unknown:
            # Named nodes are asked about, never taken from the message: only records count.
            try:
                await self._gossip.fetch_records(peer, unknown)
            except (Failure, Refusal):
                return
        # They are dead here, and it has not been noticed above: deaths are looked at each second.
        self._note_deaths()
        self._look_for_all([m.node for m in members])
