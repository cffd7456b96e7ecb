"""A simulated machine: one production core after another, on simulated sockets and one disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from twisted.internet.defer import Deferred

from tace import __version__
from tace.background import background
from tace.config import Settings
from tace.core import Core, build_core
from tace.ids import NodeId
from tace.links.service import PeerLinks
from tace.mailbox.leave import CannotLeave
from tace.ring.membership import Membership
from tace.ring.pointers import Pointers
from tace.seams import NamedSeed
from tace.simulation.clock import VirtualClock
from tace.simulation.disk import Disk, SimulatedStore
from tace.simulation.names import SimulatedNames
from tace.simulation.network import Network
from tace.simulation.oracle import Oracle
from tace.simulation.process import Process
from tace.simulation.signatures import SeededKey

PORT = 6512
DRAIN_SECONDS = 5.0


class Sums:
    """Counters that remember their sums, by name."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        self.sums[name] = self.sums.get(name, 0) + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Nobody looks at these here."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Nor at these."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all machines of a world share.

    :param random: makes the randomness of one life of one node, from its name.
    :param commit_seconds: what a disk takes to commit.
    :param names: what the name service answers.
    """

    clock: VirtualClock
    network: Network
    oracle: Oracle
    random: Callable[[str], Random]
    commit_seconds: float
    names: dict[str, list[NamedSeed]]


class SimulatedNode:
    """A machine with its key, its disk and its address. Started, killed, and started again.

    :param host: its IPv4 address.
    :param seeds: addresses of others, as in the settings.
    """

    def __init__(
        self,
        name: str,
        host: str,
        key: SeededKey,
        settings: Settings,
        surroundings: Surroundings,
        disk: Disk,
    ) -> None:
        self.name = name
        self.host = host
        self.settings = settings
        self.disk = disk
        self._key = key
        self._world = surroundings
        self._lives = 0
        self._pointers: list[Pointers] = []
        self._powered = True
        self.seconds_off = 0.0
        """How far the machine's clock is ahead; from its next start on."""
        self.counters = Sums()
        self.process = Process(surroundings.clock)
        self.process.kill()
        self.core: Core
        self.store: SimulatedStore
        self._links: PeerLinks
        self.ended: list[Callable[[], None]] = []
        """Called when it dies, for those who were connected to it."""

    @property
    def id(self) -> NodeId:
        return self.core.membership.own

    @property
    def address(self) -> str:
        """Where other nodes dial it."""
        return f"{self.host}:{PORT}"

    @property
    def alive(self) -> bool:
        return self.process.alive

    @property
    def is_member(self) -> bool:
        return self.alive and self.core.ring.joined

    def twin(self, surroundings: Surroundings) -> SimulatedNode:
        """The same machine in another world, with an empty disk; not started."""
        return SimulatedNode(self.name, self.host, self._key, self.settings, surroundings, Disk())

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new program on this machine, with what is on its disk."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        if not self._powered:
            self._world.network.power_on(self.host)
            self._powered = True
        self._lives += 1
        self.process = Process(self._world.clock, self._look, seconds_off=self.seconds_off)
        self.store = SimulatedStore(
            self.disk, self.process, commit_seconds=self._world.commit_seconds
        )
        self.process.turn(self._begin)

    def _begin(self) -> None:
        random = self._world.random(f"{self.name}.{self._lives}")
        settings = self.settings
        host = self._world.network.host(self.host, self.process)

        def make_links(membership: Membership) -> PeerLinks:
            self._links = PeerLinks(
                settings.links,
                self._key,
                settings.network_id,
                membership,
                membership,
                host,
                self.process,
                random,
                self.counters,
                requests_stamp_bits=settings.limits.requests_stamp_bits,
                dial_endpoint=host.endpoint(settings.links.hello_timeout_seconds),
            )
            return self._links

        self.core = build_core(
            settings,
            self._key,
            peer_addresses=(self.address,),
            client_urls=(f"http://{self.name}",),
            make_links=make_links,
            store=self.store,
            clock=self.process,
            random=random,
            counters=self.counters,
            software=f"tace {__version__}",
            names=SimulatedNames(self.process, self._world.names),
        )
        self._pointers = self.core.ring.snapshot()
        self._world.oracle.lives(self.id, self.name)
        self._links.start()
        background("start the node", self.core.start())

    def _look(self) -> None:
        """After each turn: has it moved a pointer?"""
        now = self.core.ring.snapshot()
        if now != self._pointers:
            before, self._pointers = self._pointers, now
            self._world.oracle.changed(self.id, before, now)

    def kill(self) -> None:
        """The program is gone in this instant; the machine closes its connections."""
        self._end()
        self._world.network.end_process(self.host)

    def power_off(self) -> None:
        """The machine is gone in this instant, without a word to anybody."""
        self._end()
        self._powered = False
        self._world.network.power_off(self.host)

    def wipe(self) -> None:
        """Its disk is lost; only while it is down. The key is kept, as an operator would."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs")
        self.disk.wipe()

    def stop(self) -> Deferred[None]:
        """Stopped in good order: it says that it will be back, finishes, and ends."""
        stopped: Deferred[None] = Deferred()

        async def drain() -> None:
            await self.core.say_away()
            await self._close(stopped)

        self.process.turn(lambda: background("drain", drain()))
        return stopped

    def leave(self, *, consent: bool = False) -> Deferred[None]:
        """Has it leave for good; fires when it has handed everything over and is gone.

        :raises CannotLeave: it does not begin.
        """
        left: Deferred[None] = Deferred()
        leave = self.core.leave
        leave.when_left(lambda: background("leave", self._close(left)))
        refused: list[CannotLeave] = []

        def begin() -> None:
            try:
                leave.begin(consent=consent)
            except CannotLeave as error:
                refused.append(error)

        self.process.turn(begin)
        if refused:
            raise refused[0]
        return left

    async def _close(self, closed: Deferred[None]) -> None:
        """The program ends in good order, by itself."""

        def gone() -> None:
            if self.alive:
                self.kill()
                closed.callback(None)

        await self.core.stop()
        await self._links.close(within_seconds=DRAIN_SECONDS)
        await self.store.close()
        # In a turn of the world: nothing of a program ends within its own turn.
        self._world.clock.callLater(0.0, gone)

    def _end(self) -> None:
        if not self.alive:
            raise RuntimeError(f"{self.name} does not run")
        self.process.kill()
        self.disk.unmount()
        self._world.oracle.died(self.id)
        ended, self.ended = self.ended, []
        for tell in ended:
            tell()
