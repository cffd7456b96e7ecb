"""A whole network in virtual time: machines, people, what happens to them, and who watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random

from tace.config import Settings, default_settings
from tace.identity.node_record import NodeRecord
from tace.seams import KnownPeer, NamedSeed
from tace.simulation.clock import VirtualClock
from tace.simulation.disk import Disk
from tace.simulation.history import History
from tace.simulation.ledger import Ledger
from tace.simulation.network import NEARBY, Latency, Network
from tace.simulation.node import SimulatedNode, Surroundings
from tace.simulation.oracle import Oracle
from tace.simulation.people import Person
from tace.simulation.signatures import SeededKey, remembered_signatures
from tace.storage.memory import MemoryStore

SEEDS_PER_NODE = 3
LOOK_SECONDS = 1.0
BOOTED_SECONDS = 0.05
"""A node has signed its record by then."""


class World:
    """Everything that is simulated, from one seed.

    :param seed: of all randomness and all keys.
    :param settings: of every node: ``{"ring.replicas": 3}``.
    :param latency: of every packet between nodes.
    :param commit_seconds: what a disk takes to commit.
    """

    def __init__(
        self,
        seed: int,
        settings: Mapping[str, object] | None = None,
        *,
        latency: Latency = NEARBY,
        commit_seconds: float = 0.002,
    ) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        self._began = self.clock.seconds()
        self.random = self._random("world")
        self._settings = dict(settings or {})
        self.network = Network(self.clock, self._random("network"), latency)
        self.history = History(self.clock)
        self.ledger = Ledger()
        self.oracle = Oracle(
            self.history,
            self.since,
            successors=default_settings(**self._settings).ring.successors,
        )
        self.names: dict[str, list[NamedSeed]] = {}
        """What the name service answers, by name."""
        self._surroundings = Surroundings(
            self.clock, self.network, self.oracle, self._random, commit_seconds, self.names
        )
        self.nodes: list[SimulatedNode] = []
        self.people: list[Person] = []
        self._named: dict[str, Person] = {}
        self._letters = 0
        self.last_fault = 0.0
        """When something last happened to a node or to the network; as :meth:`since` counts."""
        self._look_again()

    def _random(self, what: str) -> Random:
        # Seeded with a text, Random does not use the hash of it that differs between processes.
        return Random(f"{self.seed}/{what}")

    def since(self) -> float:
        """Seconds since the world began."""
        return self.clock.seconds() - self._began

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run_for(seconds)

    def _look_again(self) -> None:
        self.oracle.look_at_everything()
        self.clock.callLater(LOOK_SECONDS, self._look_again)

    def _fault(self, who: str, what: str) -> None:
        self.last_fault = self.since()
        self.history.note(who, what)

    # -- machines --------------------------------------------------------------------------------

    def add_node(self) -> SimulatedNode:
        """One more machine, which knows a few of the others; not started."""
        number = len(self.nodes)
        name = f"n{number:02}"
        settings = self._settings_with_seeds()
        storage = settings.storage
        node = SimulatedNode(
            name,
            f"10.{number >> 8}.{number & 255}.1",
            SeededKey.named(self.seed, name),
            settings,
            self._surroundings,
            Disk(
                lambda: MemoryStore(
                    max_bytes=storage.max_bytes,
                    mailbox_max_items=storage.mailbox_max_items,
                    requests_mailbox_max_items=storage.requests_mailbox_max_items,
                )
            ),
        )
        self.nodes.append(node)
        return node

    def _settings_with_seeds(self, but: SimulatedNode | None = None) -> Settings:
        others = [node.address for node in self.nodes if node is not but]
        seeds = tuple(self.random.sample(others, min(SEEDS_PER_NODE, len(others))))
        return default_settings(**{**self._settings, "links.seeds": seeds})

    def start(self, node: SimulatedNode) -> None:
        """The first node of all is told of others as soon as it is started a second time."""
        if not node.settings.links.seeds:
            node.settings = self._settings_with_seeds(node)
        self._fault(node.name, "starts")
        node.start()

    def kill(self, node: SimulatedNode, *, power: bool = False, wipe: bool = False) -> None:
        """It is gone in this instant.

        :param power: without a word on the wire, too.
        :param wipe: and its disk with it.
        """
        how = "loses power" if power else "is killed"
        self._fault(node.name, f"{how}, its disk is lost" if wipe else how)
        if power:
            node.power_off()
        else:
            node.kill()
        if wipe:
            node.wipe()

    def stop(self, node: SimulatedNode) -> None:
        """Stopped in good order; it takes as long as it takes."""
        self._fault(node.name, "is told to stop")
        node.stop()

    def leave(self, node: SimulatedNode) -> None:
        """Told to leave for good; it is gone when it has handed everything over.

        :raises CannotLeave: it does not begin.
        """
        self._fault(node.name, "is told to leave")
        node.leave().addCallback(lambda _: self._fault(node.name, "has left"))

    def ring(self, count: int, *, apart_seconds: float = 1.0) -> list[SimulatedNode]:
        """So many new nodes, started one after the other."""
        added = []
        for _ in range(count):
            added.append(self.add_node())
            self.start(added[-1])
            self.run_for(apart_seconds)
        return added

    def storm(self, count: int) -> list[SimulatedNode]:
        """So many new nodes, started in the same instant."""
        added = [self.add_node() for _ in range(count)]
        for node in added:
            self.start(node)
        return added

    def acquainted(self, count: int) -> list[SimulatedNode]:
        """So many new nodes that know each other from before, started in the same instant.

        Each has on its disk the record that every other one signs when it starts, so none of them
        is news to anybody. They take their places on the ring as after any start.
        """
        added = [self.add_node() for _ in range(count)]
        peers = [
            KnownPeer(record.node_id, record.encoded, self.clock.seconds())
            for record in self._first_records(added)
        ]
        for number, node in enumerate(added):
            node.disk.content.save_peers(peers[:number] + peers[number + 1 :])
        for node in added:
            self.start(node)
        return added

    def _first_records(self, nodes: Sequence[SimulatedNode]) -> list[NodeRecord]:
        """What these nodes would say of themselves if they were started now.

        The same machines are started at the same time in a world of their own, without a network.
        """
        elsewhere = World(self.seed, self._settings)
        elsewhere.run_for(self.since())
        twins = [node.twin(elsewhere._surroundings) for node in nodes]
        for twin in twins:
            elsewhere.network.power_off(twin.host)
            twin.start()
        elsewhere.run_for(BOOTED_SECONDS)
        return [twin.core.membership.current for twin in twins]

    def partition(self, *groups: Sequence[SimulatedNode]) -> None:
        """Nothing gets from one group to another, until :meth:`heal`."""
        shown = " | ".join(" ".join(node.name for node in group) for group in groups)
        self._fault("network", f"is cut: {shown}")
        self.oracle.expect_disorder(float("inf"))
        self.network.partition(*([node.host for node in group] for group in groups))

    def heal(self, *, order_within_seconds: float = 30.0) -> None:
        """Every way is open again; so much later there must be one ring."""
        self._fault("network", "is whole again")
        self.network.heal()
        self.oracle.order_within(order_within_seconds)

    def break_connections(self, node: SimulatedNode) -> None:
        """Every connection of a node breaks at both ends; everybody is there."""
        self._fault(node.name, "has all its connections broken")
        self.network.reset_connections(node.host)

    @property
    def living(self) -> list[SimulatedNode]:
        return [node for node in self.nodes if node.alive]

    def some_node(self, random: Random) -> SimulatedNode | None:
        serving = [node for node in self.nodes if node.is_member]
        return random.choice(serving) if serving else None

    # -- people ----------------------------------------------------------------------------------

    def person(self, name: str) -> Person:
        """Somebody new."""
        person = Person(
            self, name, SeededKey.named(self.seed, f"person {name}"), self._random(name)
        )
        self.people.append(person)
        self._named[name] = person
        return person

    def person_named(self, name: str) -> Person:
        """:raises KeyError: nobody has that name."""
        return self._named[name]

    def next_letter(self) -> int:
        self._letters += 1
        return self._letters

    # -- judgements ------------------------------------------------------------------------------

    def seconds_until_ideal(self, bound_seconds: float) -> float:
        """Let time pass until every pointer is right; a violation where that takes longer.

        :return: how long it took, to the twentieth of a second.
        """
        began = self.since()
        while self.oracle.ideal_fault() is not None:
            if self.since() - began >= bound_seconds:
                self.oracle.not_ideal(bound_seconds)
                break
            self.run_for(0.05)
        return self.since() - began

    def faults(self, *, late_seconds: float = float("inf")) -> list[str]:
        """Everything that is wrong with this world so far, the oracle's first violation first."""
        return [
            *map(str, self.oracle.violations),
            *self.ledger.lost,
            *self.ledger.doubled,
            *self.ledger.late(late_seconds),
        ]


@contextmanager
def simulated_world(
    seed: int,
    settings: Mapping[str, object] | None = None,
    *,
    latency: Latency = NEARBY,
    commit_seconds: float = 0.002,
) -> Iterator[World]:
    """A :class:`World` in which each signature is checked once."""
    with remembered_signatures():
        yield World(seed, settings, latency=latency, commit_seconds=commit_seconds)
