"""The commands of a script: what each of them has happen on a stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tace.simulation.latency import lossy
from tace.simulation.node import SimulatedNode
from tace.simulation.scenarios.stage import Stage

WRITTEN_PER_SECOND = 20.0


class Command(Protocol):
    """One line of a script."""

    def play(self, stage: Stage) -> None:
        """Have it happen."""


@dataclass(frozen=True, slots=True)
class Who:
    """Some of the nodes: one by its name, so many at random or next to each other, half or all.

    :ivar share: of the nodes it is asked of; used where ``count`` and ``name`` are not given.
    """

    name: str = ""
    count: int = 0
    share: float = 0.0
    adjacent: bool = False

    def choose(self, stage: Stage, among: list[SimulatedNode]) -> list[SimulatedNode]:
        """Of the given nodes; fewer where there are not so many, none for a name that is not."""
        if self.name:
            return [node for node in among if node.name == self.name]
        count = self.count or int(len(among) * self.share)
        if count >= len(among):
            return list(among)
        return stage.neighbours(count) if self.adjacent else stage.choose(count, among)


@dataclass(frozen=True, slots=True)
class Ring:
    """``ring 12 [apart 0.5]``: nodes that join one after the other, until the ring is ideal."""

    count: int
    apart_seconds: float

    def play(self, stage: Stage) -> None:
        stage.form(self.count, apart_seconds=self.apart_seconds)


@dataclass(frozen=True, slots=True)
class Storm:
    """``storm 8``: nodes that join in one instant."""

    count: int

    def play(self, stage: Stage) -> None:
        stage.step(f"{self.count} join at once")
        stage.world.storm(self.count)


@dataclass(frozen=True, slots=True)
class People:
    """``people 6 [away 3]``: who read all the time, but for those who are away until the end."""

    count: int
    away: int

    def play(self, stage: Stage) -> None:
        stage.load.add(self.count, away=self.away)


@dataclass(frozen=True, slots=True)
class Load:
    """``load 2/s``: so many messages on average, from now on; ``load 0/s`` ends it."""

    per_second: float

    def play(self, stage: Stage) -> None:
        if self.per_second:
            stage.load.begin(self.per_second)
        else:
            stage.load.end()


@dataclass(frozen=True, slots=True)
class Write:
    """``write 40``: so many messages to those who are away, until all are stored."""

    count: int

    def play(self, stage: Stage) -> None:
        stage.write(self.count, WRITTEN_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Keep:
    """``records 6``, ``files 3``, ``renew``: what people keep beside messages, until stored."""

    records: int = 0
    files: int = 0
    renew: bool = False

    def play(self, stage: Stage) -> None:
        stage.keep(records=self.records, files=self.files, renew=self.renew)


@dataclass(frozen=True, slots=True)
class Run:
    """``run 60``: virtual seconds pass."""

    seconds: float

    def play(self, stage: Stage) -> None:
        stage.step("time passes", self.seconds)
        stage.run_for(self.seconds)


@dataclass(frozen=True, slots=True)
class Kill:
    """``kill half [power] [wipe]``: without a word to others, and the disks with them."""

    who: Who
    power: bool
    wipe: bool

    def play(self, stage: Stage) -> None:
        stage.kill(self.who.choose(stage, stage.world.living), power=self.power, wipe=self.wipe)


@dataclass(frozen=True, slots=True)
class Stop:
    """``stop n03``: in good order."""

    who: Who

    def play(self, stage: Stage) -> None:
        for node in self.who.choose(stage, stage.world.living):
            stage.step(f"{node.name} is told to stop")
            stage.world.stop(node)


@dataclass(frozen=True, slots=True)
class Leave:
    """``leave 2 within 20``: for good, one after the other, so many seconds apart; by then each has
    handed over everything and is gone."""

    who: Who
    seconds: float

    def play(self, stage: Stage) -> None:
        stage.leave(self.who.choose(stage, stage.world.living), seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Start:
    """``start all``: of those that are down."""

    who: Who

    def play(self, stage: Stage) -> None:
        stage.start(self.who.choose(stage, stage.down))


@dataclass(frozen=True, slots=True)
class Stall:
    """``stall 2 for 3``: their loops stand still for so many seconds."""

    who: Who
    seconds: float

    def play(self, stage: Stage) -> None:
        for node in self.who.choose(stage, stage.world.living):
            stage.step(f"{node.name} stands still for {self.seconds:g} s")
            node.process.stall(self.seconds)


@dataclass(frozen=True, slots=True)
class Skew:
    """``skew 3 by -20``: their clocks are so many seconds ahead, from their next start on."""

    who: Who
    seconds: float

    def play(self, stage: Stage) -> None:
        for node in self.who.choose(stage, stage.world.nodes):
            stage.step(f"the clock of {node.name} is {self.seconds:+g} s off")
            node.seconds_off = self.seconds


@dataclass(frozen=True, slots=True)
class Loss:
    """``loss 5%``: of all packets, from now on; they are sent again. ``loss 0%`` ends it."""

    share: float

    def play(self, stage: Stage) -> None:
        stage.step(f"{100 * self.share:g} % of all packets are lost")
        stage.world.network.latency = lossy(stage.usual_latency, self.share)


@dataclass(frozen=True, slots=True)
class Partition:
    """``partition 3``: in parts of one size, until ``heal``."""

    ways: int

    def play(self, stage: Stage) -> None:
        stage.split(self.ways)


@dataclass(frozen=True, slots=True)
class Cut:
    """``cut n01 n02``: nothing gets from the one to the other; the way back is open."""

    source: str
    destination: str

    def play(self, stage: Stage) -> None:
        hosts = {node.name: node.host for node in stage.world.nodes}
        stage.step(f"nothing gets from {self.source} to {self.destination}")
        if self.source in hosts and self.destination in hosts:
            stage.world.network.cut(hosts[self.source], hosts[self.destination])
        else:
            stage.promise(False, f"there is no {self.source} or no {self.destination} to cut")


@dataclass(frozen=True, slots=True)
class Heal:
    """``heal [order 60]``: every way is open; so many seconds later there must be one ring."""

    order_seconds: float

    def play(self, stage: Stage) -> None:
        stage.heal(order_seconds=self.order_seconds)


@dataclass(frozen=True, slots=True)
class Reset:
    """``reset n03``: all its connections break; everybody lives."""

    who: Who

    def play(self, stage: Stage) -> None:
        for node in self.who.choose(stage, stage.world.living):
            stage.step(f"all connections of {node.name} break")
            stage.world.break_connections(node)


@dataclass(frozen=True, slots=True)
class Return:
    """``return``: who was away reads from now on."""

    def play(self, stage: Stage) -> None:
        stage.load.come_back()


@dataclass(frozen=True, slots=True)
class Disorder:
    """``disorder 30``: for so long nobody asks for one ring, as when a whole arc is gone."""

    seconds: float

    def play(self, stage: Stage) -> None:
        stage.world.oracle.expect_disorder(self.seconds)


@dataclass(frozen=True, slots=True)
class ExpectIdeal:
    """``expect ideal within 10``: seconds after the last fault."""

    seconds: float

    def play(self, stage: Stage) -> None:
        stage.ideal_within(self.seconds)


@dataclass(frozen=True, slots=True)
class ExpectCopies:
    """``expect copies within 60``: seconds after the last fault."""

    seconds: float

    def play(self, stage: Stage) -> None:
        stage.copies_within(self.seconds)


@dataclass(frozen=True, slots=True)
class ExpectMembers:
    """``expect members 12``: right now."""

    count: int

    def play(self, stage: Stage) -> None:
        members = len(stage.world.oracle.members)
        stage.promise(members == self.count, f"{members} members, and not {self.count}")


@dataclass(frozen=True, slots=True)
class ExpectNoLoss:
    """``expect no loss``: of anything called stored, though no sender returns."""

    def play(self, stage: Stage) -> None:
        stage.promise_no_loss()


@dataclass(frozen=True, slots=True)
class ExpectBelongings:
    """``expect belongings``: every record, the newest, and every chunk is found, now."""

    def play(self, stage: Stage) -> None:
        stage.find_all()
