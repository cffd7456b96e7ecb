"""All links of a node: one to each peer, made when needed, kept while worth it.

Two nodes that dial each other at the same moment have two links for a while. Both keep the one
that the node with the lower id dialled (of two dialled by one side: the newer); whoever dialled the
other closes it once it is idle. A request that crosses the goodbye of an idle link was never begun,
and is asked again over the link that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tace.background import background
from tace.config import LinksSettings
from tace.errors import LinkLost, LocalExhaustion, TooMany, WrongNode
from tace.identity.link_proof import Role
from tace.ids import NodeId
from tace.limits import Notices, is_loopback
from tace.links.backoff import Backoff
from tace.links.calls import Call, PendingCalls
from tace.links.connection import SILENT, Link
from tace.links.dialling import Dialler
from tace.links.entrance import Entrance
from tace.links.health import LocalHealth
from tace.links.misconduct import Misconduct
from tace.seams import AddressBook, Counters, LinkEvents
from tace.wire.session import GOODBYE_DRAINING, GOODBYE_DUPLICATE, GOODBYE_IDLE

T = TypeVar("T")

SHORT_WAIT_SECONDS = 0.5
"""A call to a node in backoff waits this long at most; else it fails at once."""
LASTING_SECONDS = 5.0
"""A link that ends sooner counts as a failed dial: a pinned peer is not dialled in circles."""
RETIRE_SECONDS = 10.0
"""How long a superfluous link may take to finish what is under way."""
MAX_SPARE_PER_NODE = 1
"""Links to one node beside the one in use: two that dialled each other at once."""
REDIALLED_AFTER_SECONDS = 1.0
"""A dial this old, to a node that is said to be back, began while it was not: it begins anew."""
MAX_DIALS = 1024
"""Nodes that are being dialled at one time. Calls to further ones fail at once; pinned nodes are
always dialled."""
MAX_SILENCED = 1024
"""Nodes whose link was given up for its silence: one that is back with the same boot lived."""
EXHAUSTION_LINE_SECONDS = 60.0
"""One line in the log about a lack of sockets this often."""


@dataclass(slots=True)
class _Dial:
    """A dial under way, and the calls that wait for its link."""

    waiting: PendingCalls
    running: Deferred[None] = field(default_factory=Deferred)
    pausing: bool = True
    """Nothing has been dialled yet: it waits for its turn, or for the backoff to end."""
    began: float = 0.0
    abandoned: bool = False
    """Another one has taken its place: what comes of it says nothing."""

    def fail(self, error: LinkLost) -> None:
        for call in self.waiting.take_all():
            call.fail(error)


class LinkPool:
    """The links that are up, and the dials under way.

    The :class:`~tace.links.needs.LinkOwner` of every link.

    :param node: this node.
    :param clock: for backoff, deadlines and events that must not be told within a call.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        node: NodeId,
        settings: LinksSettings,
        book: AddressBook,
        clock: IReactorTime,
        backoff: Backoff,
        counters: Counters,
        misconduct: Misconduct,
        health: LocalHealth,
    ) -> None:
        self._node = node
        self._settings = settings
        self._book = book
        self._clock = clock
        self._backoff = backoff
        self._counters = counters
        self._health = health
        self._silenced: dict[NodeId, int] = {}
        """With which boot the last link to a node was given up for its silence."""
        self._dialler: Dialler | None = None
        self._listeners: list[LinkEvents] = []
        self._links: dict[NodeId, Link] = {}
        self._spare: dict[NodeId, list[Link]] = {}
        self._ending: dict[NodeId, Link] = {}
        self._open: dict[Link, None] = {}
        self._entrance = Entrance(settings, clock, misconduct, lambda: len(self._open))
        self._dials: dict[NodeId, _Dial] = {}
        self._pinned: dict[NodeId, None] = {}
        self._guarded: frozenset[NodeId] = frozenset()
        self._numbers = count(1)
        self._exhaustion = Notices(EXHAUSTION_LINE_SECONDS)
        self._closing = False
        self._emptied: list[Deferred[None]] = []

    def dial_with(self, dialler: Dialler) -> None:
        """Say how links are dialled; called once, before any is needed."""
        self._dialler = dialler

    def subscribe(self, listener: LinkEvents) -> None:
        self._listeners.append(listener)

    # -- what others ask

    @property
    def links(self) -> Mapping[NodeId, Link]:
        """The link to each node it is up to, in the order they came up."""
        return self._links

    def may_enter(self, host: str) -> bool:
        """Is there room for another connection that has not proved itself?"""
        return not self._closing and self._entrance.may_enter(host)

    def place(self, node: NodeId, call: Call) -> None:
        """Ask a node, dialling it first where no link is up."""
        link = self._links.get(node)
        if link is not None:
            link.place(call)
        elif self._closing:
            call.fail(LinkLost("this node is stopping"))
        elif node == self._node:
            call.fail(LinkLost("there is no link to oneself"))
        elif self._wait_seconds(node) > SHORT_WAIT_SECONDS:
            call.fail(LinkLost("could not be reached a moment ago"))
        elif len(self._dials) >= MAX_DIALS and node not in self._dials:
            call.fail(TooMany("too many nodes are being dialled"))
        else:
            waiting = self._dial(node).waiting
            if len(waiting) >= self._settings.max_requests_in_flight:
                call.fail(TooMany("too many requests wait for this link"))
            else:
                waiting.add(next(self._numbers), call)

    def pin(self, nodes: Collection[NodeId]) -> None:
        self._pinned = dict.fromkeys(node for node in nodes if node != self._node)
        for node in self._pinned:
            self._keep_up(node)

    def reset_backoff(self, nodes: Collection[NodeId]) -> None:
        for node in nodes:
            self._backoff.clear(node)
            dial = self._dials.get(node)
            if dial is not None and (
                dial.pausing or self._clock.seconds() - dial.began >= REDIALLED_AFTER_SECONDS
            ):
                self._dial_anew(node, dial)

    def guard(self, nodes: Collection[NodeId]) -> None:
        before, self._guarded = self._guarded, frozenset(nodes)
        for node in sorted(before ^ self._guarded):
            link = self._links.get(node)
            if link is not None:
                link.guard(node in self._guarded)

    def drain(self, within_seconds: float) -> Deferred[None]:
        """Take nothing new, finish what is under way, close everything; fires when all is gone."""
        self._closing = True
        for dial in list(self._dials.values()):
            dial.fail(LinkLost("this node is stopping"))
            dial.running.cancel()
        for link in list(self._open):
            link.close_when_idle(GOODBYE_DRAINING, within_seconds)
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        self._tell_if_empty()
        return emptied

    # -- what links tell (LinkOwner)

    def link_opened(self, link: Link) -> None:
        self._open[link] = None
        if link.role is Role.LISTENED:
            self._entrance.add(link)
            self._gauge()

    def link_proved(self, link: Link) -> None:
        self._entrance.remove(link)
        node = link.node
        if self._closing:
            link.close(GOODBYE_DRAINING)
            return
        if link.role is Role.LISTENED:
            self._backoff.clear(node)
        current = self._links.get(node)
        if current is None:
            self._adopt(link)
        else:
            self._settle(current, link)
        self._make_room(link)
        self._gauge()

    def link_closing(self, link: Link) -> None:
        if link.peer is None:
            return
        node = link.node
        spares = self._spare.pop(node, [])
        if link in spares:
            spares.remove(link)
        if self._links.get(node) is link:
            del self._links[node]
            if spares:
                spare = spares.pop()
                spare.keep()
                self._prefer(spare)
            else:
                self._ending[node] = link
        if spares:
            self._spare[node] = spares

    def link_ended(self, link: Link) -> None:
        del self._open[link]
        self._entrance.remove(link)
        self._gauge()
        if link.peer is not None:
            node = link.node
            if self._clock.seconds() - link.up_since >= LASTING_SECONDS:
                self._backoff.clear(node)
            elif link.role is Role.DIALLED:
                self._backoff.failed(node, self._clock.seconds())
            if link.end == SILENT:
                self._silenced.pop(node, None)
                if len(self._silenced) >= MAX_SILENCED:
                    del self._silenced[next(iter(self._silenced))]
                self._silenced[node] = link.peer.record.boot
            if self._ending.get(node) is link:
                self._announce_lost(node)
            self._keep_up(node)
        self._tell_if_empty()

    def calls_returned(self, node: NodeId, calls: Sequence[Call]) -> None:
        for call in calls:
            self.place(node, call)

    # -- links

    def _adopt(self, link: Link) -> None:
        node = link.node
        if node in self._ending:
            self._announce_lost(node)
        self._prefer(link)
        self._log.debug("link to {node} is up", node=node.hex())
        assert link.peer is not None
        if self._silenced.pop(node, None) == link.peer.record.boot:
            self._counters.count("links_false_alarms")
            self._health.false_alarm(self._clock.seconds())
        for listener in self._listeners:
            self._tell(listener.link_up, link.peer.record)

    def _prefer(self, link: Link) -> None:
        """From now on everything for this node goes over this link."""
        node = link.node
        self._links[node] = link
        link.guard(node in self._guarded)
        dial = self._dials.get(node)
        if dial is not None:
            for call in dial.waiting.take_all():
                link.place(call)
            if dial.pausing:
                dial.running.cancel()

    def _settle(self, current: Link, new: Link) -> None:
        """Choose between two links to one node."""
        assert current.peer is not None and new.peer is not None
        node = new.node
        known_boot, boot = current.peer.record.boot, new.peer.record.boot
        if boot < known_boot:
            self._counters.count("links_identity_twice")
            self._log.warn(
                "{node} linked with an earlier boot than the one that is linked: two nodes with "
                "one identity?",
                node=node.hex(),
            )
            new.close(WrongNode.code, "this identity is here with a later boot")
            return
        if boot > known_boot:
            # Restarted: whatever was under way or remembered over there is gone.
            for old in [*self._spare.get(node, ()), current]:
                old.abort("restarted")
            self._adopt(new)
            return
        if new.role is current.role:
            # The same side has dialled again: it may hold the old link for lost, and with it
            # whatever stood on it. Both sides must think so, or one waits for news for ever.
            goes = current
            current.guard(False)
            for listener in self._listeners:
                self._tell(listener.link_lost, node)
            self._adopt(new)
        elif self._is_preferred(new):
            goes = current
            current.guard(False)
            self._prefer(new)
        else:
            goes = new
        spare = self._spare.setdefault(node, [])
        spare.append(goes)
        if goes.role is Role.DIALLED:
            goes.close_when_idle(GOODBYE_DUPLICATE, RETIRE_SECONDS)
        while len(spare) > MAX_SPARE_PER_NODE:
            spare.pop(0).close_when_idle(GOODBYE_DUPLICATE, RETIRE_SECONDS)

    def _is_preferred(self, new: Link) -> bool:
        """Of two links dialled by two sides: the one that the lower id dialled."""
        lower_is_here = self._node < new.node
        return (new.role is Role.DIALLED) == lower_is_here

    def _make_room(self, newest: Link) -> None:
        """Close a link where there are too many from one address, or in all."""
        links = [*self._links.values(), *chain.from_iterable(self._spare.values())]
        group = newest.address_group
        if newest.role is Role.LISTENED and not is_loopback(group):
            came_in = (link for link in links if link.role is Role.LISTENED)
            neighbours = [link for link in came_in if link.address_group == group]
            if 0 < self._settings.max_links_per_address < len(neighbours):
                self._close_one(neighbours, newest)
                return
        if len(links) > self._settings.max_links:
            self._close_one(links, newest)

    def _close_one(self, links: Sequence[Link], newest: Link) -> None:
        """Close the one that was silent longest of those nobody needs; else the newest."""
        candidates = [
            link
            for link in links
            if link is not newest
            and link.is_idle
            and link is self._links.get(link.node)
            and link.node not in self._pinned
            and link.node not in self._guarded
        ]
        if candidates:
            min(candidates, key=lambda link: link.last_heard).close(GOODBYE_IDLE)
            self._counters.count("links_evicted")
        elif newest.node not in self._pinned:
            newest.close(TooMany.code, "no room for another link")

    # -- dialling

    def _wait_seconds(self, node: NodeId) -> float:
        return self._backoff.wait_seconds(node, self._clock.seconds())

    def _keep_up(self, node: NodeId) -> None:
        if node in self._pinned and node not in self._links and not self._closing:
            self._dial(node)

    def _dial(self, node: NodeId) -> _Dial:
        """The dial to this node that is under way, or a new one."""
        dial = self._dials.get(node)
        if dial is None:
            dial = self._dials[node] = _Dial(PendingCalls(self._clock, _nothing))
            dial.running = background("links: dial", self._dial_once(node, dial))
        return dial

    def _dial_anew(self, node: NodeId, dial: _Dial) -> None:
        """Whoever waits for this dial waits for a new one."""
        dial.abandoned = True
        del self._dials[node]
        calls = dial.waiting.take_all()
        dial.running.cancel()
        for call in calls:
            self.place(node, call)
        self._keep_up(node)

    async def _dial_once(self, node: NodeId, dial: _Dial) -> None:
        reason = LinkLost("the link went away at once")
        reached = True
        try:
            # At least one turn of the reactor: nothing is told within the call that asked.
            await deferLater(self._clock, self._wait_seconds(node))
            dial.pausing = False
            dial.began = self._clock.seconds()
            await self._reach(node)
        except LinkLost as error:
            reason, reached = error, False
        finally:
            if self._dials.get(node) is dial:
                del self._dials[node]
        if dial.abandoned:
            return
        if not reached and node not in self._links and not self._closing:
            self._backoff.failed(node, self._clock.seconds())
            self._counters.count("links_dials_failed")
            self._log.debug("cannot reach {node}: {why}", node=node.hex(), why=str(reason))
            if isinstance(reason, LocalExhaustion):
                self._exhausted(reason)
            else:
                for listener in self._listeners:
                    self._tell(listener.unreachable, node)
        dial.fail(reason)
        self._keep_up(node)

    def _exhausted(self, reason: LocalExhaustion) -> None:
        """We could not even try: nobody is to be held for dead because of that."""
        self._counters.count("links_local_exhaustion")
        times = self._exhaustion.note("", self._clock.seconds())
        if times:
            self._log.error(
                "this node cannot dial: {why} ({times} since the last line)",
                why=str(reason),
                times=times,
            )

    async def _reach(self, node: NodeId) -> None:
        assert self._dialler is not None
        record = self._book.record_of(node)
        if record is None:
            raise LinkLost("no address is known")
        await self._dialler.dial_record(record)

    # -- telling

    def _announce_lost(self, node: NodeId) -> None:
        ended = self._ending.pop(node)
        self._log.debug("link to {node} is lost: {why}", node=node.hex(), why=ended.end)
        for listener in self._listeners:
            self._tell(listener.link_lost, node)

    def _tell(self, listen: Callable[[T], None], what: T) -> None:
        """One listener's accident is neither the link's nor the next listener's."""
        try:
            listen(what)
        except Exception:
            self._log.failure("a listener to links failed")

    def _gauge(self) -> None:
        self._counters.gauge("links_up", len(self._links))
        self._counters.gauge("links_unproved", len(self._entrance))
        self._counters.gauge("links_stretch", self._health.stretch)

    def _tell_if_empty(self) -> None:
        if self._closing and not self._open:
            told, self._emptied = self._emptied, []
            for emptied in told:
                emptied.callback(None)


def _nothing() -> None:
    return None
