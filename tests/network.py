"""A network in memory: every message is encoded and decoded, time is a clock, nodes can die.

The links here keep the contract of :class:`tace.seams.Links` as the real ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tace.config import Settings, default_settings
from tace.core import Core, build_core
from tace.errors import (
    AnotherNode,
    InternalError,
    LinkLost,
    NameFailed,
    Redirect,
    Refusal,
    TimedOut,
    refusal_from_wire,
)
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.ring.membership import Membership
from tace.seams import LinkEvents, NamedSeed, Procedure
from tace.storage.memory import MemoryStore
from tace.wire.message import Message, Request, encode
from tace.wire.peer import PEER_MESSAGES, Ping, Pong, Refused

START_SECONDS = 1_800_000_000.0
LATENCY_SECONDS = 0.001
CALL_TIMEOUT_SECONDS = 2.5


class NoCounters:
    """Counters that remember their sums, for tests to look at."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        return None

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        return None


class MemoryNetwork:
    """All nodes of a test, and the ways between them."""

    def __init__(self, seed: int = 1, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.rightNow = START_SECONDS
        self.random = Random(seed)
        self.settings: Settings = default_settings(
            **{"limits.requests_stamp_bits": 4, "ring.stabilize_quiet_seconds": 2.0, **settings}
        )
        self.links: dict[NodeId, MemoryLinks] = {}
        self.addresses: dict[str, NodeId] = {}
        self.cut: set[frozenset[NodeId]] = set()
        self.stamp_bits: dict[NodeId, int] = {}
        self.clock_differences: dict[NodeId, float] = {}
        self.frames: list[tuple[NodeId, NodeId, str]] = []
        self.names = MemoryNames()

    def node(
        self,
        name: str,
        *,
        seeds: tuple[str, ...] = (),
        seed_names: tuple[str, ...] = (),
        store: MemoryStore | None = None,
    ) -> TestNode:
        """A node with a key made from its name; not started yet."""
        key = SigningKey.from_seed((name.encode() * 48)[:48])
        store = store or MemoryStore()
        return TestNode(self, name, key, store, seeds, seed_names)

    def ring(self, count: int) -> list[TestNode]:
        """So many nodes, started one after the other through the first, settled."""
        nodes = [self.node("n0")]
        nodes[0].start()
        for index in range(1, count):
            nodes.append(self.node(f"n{index}", seeds=("n0:1",)))
            nodes[-1].start()
            self.run(1.0)
        self.run(10.0)
        return nodes

    def run(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.clock.seconds() + seconds
        while True:
            due = [call.getTime() for call in self.clock.getDelayedCalls()]
            due = [at for at in due if at <= end]
            if not due:
                break
            self.clock.advance(max(0.0, min(due) - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def result(self, deferred: Deferred[Any], within: float = 10.0) -> Any:
        """What a Deferred brings within so much virtual time; raises what it fails with."""
        results: list[Any] = []
        deferred.addBoth(results.append)
        end = self.clock.seconds() + within
        while not results and self.clock.seconds() < end:
            self.run(0.01)
        if not results:
            raise AssertionError(f"nothing came within {within} s")
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def connected(self, a: NodeId, b: NodeId) -> bool:
        return b in self.links and a in self.links and frozenset((a, b)) not in self.cut

    def partition(self, *groups: Collection[NodeId]) -> None:
        """Cut every way between nodes of different groups; link losses are noticed at once."""
        for i, one in enumerate(groups):
            for other in groups[i + 1 :]:
                for a in one:
                    for b in other:
                        self.cut.add(frozenset((a, b)))
                        for x, y in ((a, b), (b, a)):
                            if x in self.links:
                                self.links[x].drop(y)


class MemoryNames:
    """A :class:`~tace.seams.SeedNames`: what is not in the table does not exist."""

    def __init__(self) -> None:
        self.table: dict[str, list[NamedSeed]] = {}
        self.asked: list[str] = []

    def look_up(self, name: str) -> Deferred[Sequence[NamedSeed]]:
        self.asked.append(name)
        if not self.table.get(name):
            return fail(NameFailed("no such name"))
        return succeed(self.table[name])


class TestNode:
    """One node of a memory network: its core, and what a test does to it."""

    __test__ = False

    def __init__(
        self,
        network: MemoryNetwork,
        name: str,
        key: SigningKey,
        store: MemoryStore,
        seeds: tuple[str, ...],
        seed_names: tuple[str, ...],
    ) -> None:
        self.network = network
        self.name = name
        self.key = key
        self.store = store
        self.seeds = seeds
        self.seed_names = seed_names
        self.counters = NoCounters()
        settings = default_settings(
            **{
                **{f"ring.{k}": getattr(network.settings.ring, k) for k in _slots(network)},
                "limits.requests_stamp_bits": network.settings.limits.requests_stamp_bits,
                "links.seeds": seeds,
                "links.seed_names": seed_names,
            }
        )
        self.core: Core = build_core(
            settings,
            key,
            peer_addresses=(f"{name}:1",),
            client_urls=(f"http://{name}",),
            make_links=lambda membership: MemoryLinks(network, membership),
            store=store,
            clock=network.clock,
            random=Random(name),
            counters=self.counters,
            software="test",
            names=network.names,
        )

    @property
    def id(self) -> NodeId:
        return self.core.membership.own

    def start(self) -> Deferred[None]:
        self.network.links[self.id] = self.raw_links
        self.network.addresses[f"{self.name}:1"] = self.id
        self.started = Deferred.fromCoroutine(self.core.start())
        return self.started

    @property
    def raw_links(self) -> MemoryLinks:
        links: Any = self.core.links
        raw: MemoryLinks = links._links
        return raw

    def kill(self) -> None:
        """Gone in this instant, without a word. Its store stays as the disk would."""
        del self.network.links[self.id]
        self.raw_links.alive = False
        for links in list(self.network.links.values()):
            links.drop(self.id)
        Deferred.fromCoroutine(self.core.stop())

    def drain(self) -> None:
        """Stopped in good order: it says that it will be back, and goes."""
        self.network.result(Deferred.fromCoroutine(self.core.say_away()))
        self.kill()

    def again(self) -> TestNode:
        """The same identity and disk, started again."""
        node = TestNode(self.network, self.name, self.key, self.store, self.seeds, self.seed_names)
        node.start()
        return node


def _slots(network: MemoryNetwork) -> tuple[str, ...]:
    return tuple(type(network.settings.ring).__dataclass_fields__)


class MemoryLinks:
    """Links of one node in a memory network."""

    def __init__(self, network: MemoryNetwork, membership: Membership) -> None:
        self._network = network
        self._membership = membership
        self._clock = network.clock
        self._procedures: Mapping[type[Message], Procedure] = {}
        self._listeners: list[LinkEvents] = []
        self._up: dict[NodeId, None] = {}
        self._pending: dict[NodeId, list[Deferred[Any]]] = {}
        self.pinned: Collection[NodeId] = ()
        self.guarded: Collection[NodeId] = ()
        self.alive = True

    def serve(self, procedures: Mapping[type[Message], Procedure]) -> None:
        self._procedures = procedures

    def subscribe(self, listener: LinkEvents) -> None:
        self._listeners.append(listener)

    def is_up(self, node: NodeId) -> bool:
        return node in self._up

    def up(self) -> Collection[NodeId]:
        return list(self._up)

    def pin(self, nodes: Collection[NodeId]) -> None:
        self.pinned = list(nodes)

    def reset_backoff(self, nodes: Collection[NodeId]) -> None:
        """There is none here: every dial is tried at once."""

    def guard(self, nodes: Collection[NodeId]) -> None:
        self.guarded = list(nodes)

    def requests_stamp_bits(self, node: NodeId) -> int | None:
        return self._network.stamp_bits.get(node) if node in self._up else None

    def clock_difference_seconds(self, node: NodeId) -> float | None:
        return self._network.clock_differences.get(node, 0.0) if node in self._up else None

    # -- links that come and go ------------------------------------------------------------------

    def _open(self, node: NodeId) -> bool:
        """Have a link to that node; both ends hear of it."""
        if node in self._up:
            return True
        own = self._membership.own
        if not self.alive or node == own or not self._network.connected(own, node):
            if self.alive:
                self._clock.callLater(0, self._tell, "unreachable", node)
            return False
        other = self._network.links[node]
        self._note_up(node, other._membership.current)
        other._note_up(own, self._membership.current)
        return True

    def _note_up(self, node: NodeId, record: NodeRecord) -> None:
        self._up[node] = None
        self._clock.callLater(0, self._tell, "link_up", record)

    def drop(self, node: NodeId) -> None:
        """The link to that node is gone; pinned ones are dialled again at once."""
        if self._up.pop(node, 0) == 0:
            return
        for waiting in self._pending.pop(node, []):
            if not waiting.called:
                waiting.errback(LinkLost("the link went away"))
        self._clock.callLater(0, self._tell, "link_lost", node)
        if node in self.pinned:
            self._clock.callLater(LATENCY_SECONDS, self._open, node)

    def _tell(self, event: str, argument: Any) -> None:
        if self.alive:
            for listener in self._listeners:
                getattr(listener, event)(argument)

    # -- messages --------------------------------------------------------------------------------

    def introduce(self, address: str, *, name: str = "") -> Deferred[NodeRecord]:
        node = self._network.addresses.get(address.partition("#")[0])
        pin = bytes.fromhex(address.partition("#")[2])
        if node is not None and pin not in (b"", node):
            return fail(AnotherNode("another node answered than the one that was dialled"))
        if node is None or not self._open(node):
            return fail(LinkLost(f"nobody answers at {address}"))
        found: Deferred[NodeRecord] = Deferred()
        record = self._network.links[node]._membership.current
        self._clock.callLater(LATENCY_SECONDS, found.callback, record)
        return found

    def send(self, node: NodeId, message: Message) -> bool:
        if node not in self._up:
            return False
        self._carry(node, message, lambda links, decoded: links.answer(self.own, decoded))
        return True

    @property
    def own(self) -> NodeId:
        return self._membership.own

    def call(
        self, node: NodeId, request: Request[Any], *, timeout_seconds: float | None = None
    ) -> Deferred[Any]:
        if not self._open(node):
            return fail(LinkLost("no link"))
        answer: Deferred[Any] = Deferred()
        self._pending.setdefault(node, []).append(answer)
        timer = self._clock.callLater(
            timeout_seconds or CALL_TIMEOUT_SECONDS,
            _fail_if_open,
            answer,
        )

        def ended(result: Any) -> Any:
            if timer.active():
                timer.cancel()
            if answer in self._pending.get(node, []):
                self._pending[node].remove(answer)
            return result

        answer.addBoth(ended)

        def serve(links: MemoryLinks, decoded: Message) -> None:
            def back(result: Any) -> None:
                reply = _reply(result)
                links._carry(self.own, reply, lambda mine, message: mine._settle(answer, message))

            links.answer(self.own, decoded).addBoth(back)

        self._carry(node, request, serve)
        return answer

    def _settle(self, answer: Deferred[Any], message: Message) -> None:
        if answer.called:
            return
        if isinstance(message, Refused):
            if message.code == Redirect.code:
                answer.errback(Redirect(message.detail, records=message.records))
            else:
                answer.errback(
                    refusal_from_wire(message.code, message.detail, message.retry_after_ms)
                )
        else:
            answer.callback(message)

    def answer(self, peer: NodeId, message: Message) -> Deferred[Any]:
        if isinstance(message, Ping):
            return succeed(Pong())
        procedure = self._procedures[type(message)]

        async def run() -> Any:
            return await procedure(peer, message)

        return Deferred.fromCoroutine(run())

    def _carry(
        self, node: NodeId, message: Message, arrive: Callable[[MemoryLinks, Message], object]
    ) -> None:
        """Bytes over the wire: encoded here, decoded there, a latency later, if still connected."""
        body = encode(message)
        self._network.frames.append((self.own, node, type(message).__name__))

        def arrived() -> None:
            links = self._network.links.get(node)
            silent = frozenset((self.own, node)) in self._network.cut
            if links is not None and self.own in links._up and self.alive and not silent:
                arrive(links, PEER_MESSAGES.decode(message.NUMBER, body))

        self._clock.callLater(LATENCY_SECONDS, arrived)


def _fail_if_open(answer: Deferred[Any]) -> None:
    if not answer.called:
        answer.errback(TimedOut("no answer"))


def _reply(result: Any) -> Message:
    value = getattr(result, "value", result)
    if isinstance(value, Redirect):
        return Refused(value.code, value.detail, value.retry_after_ms, value.records)
    if isinstance(value, Refusal):
        return Refused(value.code, value.detail[:200], value.retry_after_ms)
    if isinstance(value, BaseException):
        raise AssertionError("a procedure failed") from value
    return Refused(InternalError.code) if value is None else value
