"""Where a scenario plays: a world, the people in it, who watches, and what was promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from tace.errors import TaceError
from tace.mailbox.leave import CannotLeave
from tace.seams import Totals
from tace.simulation.ledger import Letter
from tace.simulation.node import SimulatedNode
from tace.simulation.scenarios.belongings import Belongings
from tace.simulation.scenarios.copies import Copies
from tace.simulation.scenarios.load import Load
from tace.simulation.scenarios.watch import Watch
from tace.simulation.world import World

SLICE_SECONDS = 0.5
"""So often progress is told and an interrupt is noticed."""
APART_SECONDS = 0.25
"""Between the starts of two nodes, where nothing else is asked."""
ORDER_SECONDS = 30.0
"""After a network is whole again there is one ring, where nothing else is asked."""
FORM_SECONDS = 120.0
LEAVE_SECONDS = 120.0
"""A node that is told to leave has handed everything over by then."""
FILLED_PER_SECOND = 50.0
COME_SECONDS = 60.0
"""What is stored is with a reader by then."""


class Interrupted(TaceError):
    """Whoever started the simulation has ended it."""

    code = "interrupted"


class Screen(Protocol):
    """Is told how it goes."""

    def step(self, text: str, total: float | None = None) -> None:
        """Something begins, which takes so many virtual seconds."""

    def progress(self, done: float) -> None:
        """So many of them are over."""


class NoScreen:
    """For those who do not want to know."""

    def step(self, text: str, total: float | None = None) -> None:
        """Nobody looks."""

    def progress(self, done: float) -> None:
        """Nobody looks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the messages.

    :ivar delivered: before any sender came back.
    :ivar lost: called stored, not delivered, and on no living disk.
    :ivar waiting: called stored, not delivered though its reader asked, and on some disk.
    :ivar lost_after_resend: called stored and not delivered, though the senders came back.
    """

    sent: int
    stored: int
    delivered: int
    lost: int
    waiting: int
    delivered_after_resend: int
    lost_after_resend: int
    duplicated: int


class Stage:
    """What scenarios and scripts call.

    :param interrupted: is it to end at once?
    """

    def __init__(
        self,
        world: World,
        screen: Screen | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.world = world
        self._screen: Screen = screen or NoScreen()
        self._interrupted = interrupted
        self.random = Random(f"{world.seed}/scenario")
        """Who is hit, and when."""
        self.usual_latency = world.network.latency
        """What packets take when nothing is wrong."""
        self.copies = Copies(world)
        self.watch = Watch(world, self.copies)
        self.load = Load(world, Random(f"{world.seed}/load"))
        self.belongings = Belongings(world, Random(f"{world.seed}/belongings"))
        self.broken: list[str] = []
        """What was promised and did not hold, a line each."""
        self.notes: list[tuple[float, str]] = []
        """What the scenario did, with the seconds since the world began."""
        self._judges: list[Callable[[Outcome], str | None]] = []
        self.measured: dict[str, float | int | None] = {}
        """What this scenario measures beside what all do."""
        self.mean_hops: float | None = None
        """Of lookups, where a scenario has measured them."""
        self.without_people = 0
        """Nodes beside those of the world, that have tables and nothing else."""

    # -- time ------------------------------------------------------------------------------------

    def step(self, text: str, total: float | None = None) -> None:
        """Something begins: shown, and noted for the timeline."""
        self.notes.append((round(self.world.since(), 3), text))
        self._screen.step(text, total)

    def run_for(self, seconds: float) -> None:
        """Let so much time pass.

        :raises Interrupted: it is to end at once.
        """
        self.run_until(lambda: False, seconds)

    def run_until(self, condition: Callable[[], bool], bound_seconds: float) -> bool:
        """Let time pass until something holds, which is asked every half second.

        :return: whether it held within the bound.
        :raises Interrupted: it is to end at once.
        """
        began = self.world.since()
        end = self.world.clock.seconds() + bound_seconds
        while not condition():
            left = end - self.world.clock.seconds()
            if left <= 1e-9:
                return False
            if self._interrupted():
                raise Interrupted("interrupted")
            self.world.run_for(min(SLICE_SECONDS, left))
            self._screen.progress(self.world.since() - began)
        return True

    def told(self, done: float) -> None:
        """So much of the step is done, where no time passes.

        :raises Interrupted: it is to end at once.
        """
        if self._interrupted():
            raise Interrupted("interrupted")
        self._screen.progress(done)

    # -- promises --------------------------------------------------------------------------------

    def promise(self, held: bool, otherwise: str) -> None:
        """Something must be so; if it is not, these words are in the report."""
        if not held:
            self.broken.append(f"after {self.world.since():.2f} s: {otherwise}")

    def promise_no_loss(self) -> None:
        """Nothing that was called stored may be lost, whether its sender returns or not."""
        self._promise_of_outcome(
            lambda outcome: f"{outcome.lost} messages are lost" if outcome.lost else None
        )

    def promise_lost_share(self, most: float) -> None:
        """Of all that was called stored, at most such a share may be lost for good."""

        def judge(outcome: Outcome) -> str | None:
            share = outcome.lost / max(outcome.stored, 1)
            return f"{100 * share:.2f} % of what was stored is lost" if share > most else None

        self._promise_of_outcome(judge)

    def promise_delivered_share(self, least: float) -> None:
        """Of all that was sent, such a share is delivered though no sender returns."""

        def judge(outcome: Outcome) -> str | None:
            share = outcome.delivered / max(outcome.sent, 1)
            return f"only {100 * share:.2f} % was delivered" if share < least else None

        self._promise_of_outcome(judge)

    def _promise_of_outcome(self, judge: Callable[[Outcome], str | None]) -> None:
        self._judges.append(judge)

    def ideal_within(self, seconds: float) -> None:
        """Every pointer is right so long after the last fault, counted from the fault."""
        self.step("until the ring is ideal", seconds)
        watch = self.watch
        if not self._until_told(lambda: watch.ideal_after_seconds, seconds):
            fault = watch.ideal_fault()
            self.promise(False, f"not ideal {seconds:g} s after the last fault: {fault}")

    def copies_within(self, seconds: float) -> None:
        """Every live item is on all its living replicas so long after the last fault."""
        self.step("until all copies are there", seconds)
        watch = self.watch
        if not self._until_told(lambda: watch.replicated_after_seconds, seconds):
            letter = self.copies.missing()
            self.promise(
                False, f"copies are missing {seconds:g} s after the last fault, of {letter}"
            )

    def _until_told(self, figure: Callable[[], float | None], seconds: float) -> bool:
        left = self.world.last_fault + seconds - self.world.since()
        self.run_until(lambda: figure() is not None, max(left, 0.0) + SLICE_SECONDS)
        found = figure()
        return found is not None and found <= seconds

    # -- what happens ----------------------------------------------------------------------------

    def form(self, count: int, *, apart_seconds: float = APART_SECONDS) -> list[SimulatedNode]:
        """So many nodes, one after the other, and the ring they make is ideal."""
        self.step(f"a ring of {count} forms", count * apart_seconds)
        added = []
        for number in range(count):
            added.append(self.world.add_node())
            self.world.start(added[-1])
            # The others join once there is something to join.
            self.run_for(apart_seconds if number else 1.0)
        self._formed()
        return added

    def stand(self, count: int) -> list[SimulatedNode]:
        """So many nodes that know each other from before, and the ring they make is ideal.

        For what happens to a ring that stands; how it grew costs more than all the rest.
        """
        self.step(f"a ring of {count} starts")
        # Nobody has joined anything yet, so there is no ring to join.
        self.world.oracle.expect_disorder(FORM_SECONDS)
        added = self.world.acquainted(count)
        self._formed()
        self.world.oracle.order_within(0.0)
        return added

    def _formed(self) -> None:
        def stands() -> bool:
            members = all(node.is_member for node in self.world.living)
            return members and self.watch.ideal_after_seconds is not None

        if not self.run_until(stands, FORM_SECONDS):
            self.ideal_within(FORM_SECONDS)
        self.watch.measure_from_now()

    def fill(self, people: int, letters: int, per_second: float) -> None:
        """People who write and read, and so many messages to as many others, who are away.

        Each in a mailbox of its own: what lies in one mailbox shares its fate.

        :param per_second: messages from now on.
        """
        self.load.add(people + letters, away=letters)
        self.write(letters, FILLED_PER_SECOND)
        self.load.begin(per_second)

    def write(self, count: int, per_second: float) -> None:
        """So many messages to those who are away in turn, and until all of them are stored."""
        self.step(f"{count} messages to people who are away", count / per_second)
        for number in range(count):
            self.load.one(to=self.load.absent[number % len(self.load.absent)])
            self.run_for(1 / per_second)
        ledger = self.world.ledger
        self.promise(
            self.run_until(lambda: ledger.stored_count == ledger.sent_count, COME_SECONDS),
            f"{ledger.sent_count - ledger.stored_count} messages could not be stored",
        )

    def keep(self, *, records: int = 0, files: int = 0, renew: bool = False) -> None:
        """So many more records of people and chunks of files, and until all are stored.

        :param renew: everybody publishes a newer record as well.
        """
        kept = self.belongings
        if renew:
            self.step("everybody publishes a newer record", COME_SECONDS)
            kept.renew()
        if records or files:
            self.step(f"{records} records and {files} chunks of files", COME_SECONDS)
        kept.publish(records)
        kept.store(files)
        self.promise(
            self.run_until(lambda: not kept.unstored, COME_SECONDS),
            f"{len(kept.unstored)} records or chunks could not be stored",
        )

    def find_all(self) -> None:
        """Every record and chunk is found, the newest and whole."""
        kept = self.belongings
        self.step(f"{len(kept)} records and chunks are looked for", COME_SECONDS)
        kept.look_for_all()
        if not self.run_until(lambda: not kept.unfound, COME_SECONDS):
            words = ", ".join(sorted(set(kept.unfound.values())))
            self.promise(False, f"{len(kept.unfound)} of {len(kept)} are not found: {words}")

    def choose(
        self, count: int, among: Sequence[SimulatedNode] | None = None
    ) -> list[SimulatedNode]:
        """So many of the living (or of ``among``), at random; all of them where there are fewer."""
        living = self.world.living if among is None else among
        return self.random.sample(living, min(count, len(living)))

    def neighbours(self, count: int) -> list[SimulatedNode]:
        """So many nodes that stand next to each other: all who have a position in one arc."""
        places = sorted(
            (position, node.name, node)
            for node in self.world.living
            for position, _ in node.core.membership.current.places
        )
        start = self.random.randrange(len(places))
        found: dict[str, SimulatedNode] = {}
        for _, name, node in [*places[start:], *places[:start]]:
            if len(found) == count:
                break
            found[name] = node
        return list(found.values())

    def kill(
        self, nodes: Sequence[SimulatedNode], *, power: bool = False, wipe: bool = False
    ) -> None:
        """All of them in the same instant."""
        how = "are wiped" if wipe else "lose power" if power else "are killed"
        self.step(f"{len(nodes)} of {len(self.world.living)} {how}")
        for node in nodes:
            self.world.kill(node, power=power, wipe=wipe)

    def leave(self, nodes: Sequence[SimulatedNode], *, seconds: float | None = None) -> None:
        """One after the other leaves for good, and is gone.

        :param seconds: let so much time pass for each, however soon it is gone; without it, the
            next one follows at once.
        """
        for node in nodes:
            bound = LEAVE_SECONDS if seconds is None else seconds
            self.step(f"{node.name} leaves", bound)
            try:
                self.world.leave(node)
            except CannotLeave as error:
                self.promise(False, f"{node.name} does not leave: {error}")
                continue
            if seconds is None:
                self.run_until(partial(_is_down, node), bound)
            else:
                self.run_for(bound)
            waiting = node.core.leave.standing.progress.waiting
            self.promise(not node.alive, f"{node.name} is still here after {bound:g} s: {waiting}")

    def start(self, nodes: Sequence[SimulatedNode]) -> None:
        """All of them in the same instant, with what is on their disks."""
        self.step(f"{len(nodes)} start")
        for node in nodes:
            self.world.start(node)

    def split(self, ways: int) -> None:
        """Cut the network into so many parts of one size, drawn at random."""
        self.step(f"the network is split in {ways}")
        nodes = self.random.sample(self.world.nodes, len(self.world.nodes))
        self.world.partition(*(nodes[part::ways] for part in range(ways)))

    def heal(self, *, order_seconds: float = ORDER_SECONDS) -> None:
        """Every way is open again; so much later the oracle asks for one ring."""
        self.step("the network is whole again")
        self.world.heal(order_within_seconds=order_seconds)

    def kept_items(self, node: SimulatedNode) -> int:
        """How many messages and acks are on its disk."""
        found: list[Totals] = []
        node.disk.content.totals().addCallback(found.append)
        return found[0].envelopes + found[0].tombstones

    @property
    def down(self) -> list[SimulatedNode]:
        """The machines that do not run now."""
        return [node for node in self.world.nodes if not node.alive]

    # -- the end ---------------------------------------------------------------------------------

    def end(self) -> Outcome:
        """Nobody writes any more, everybody reads; then the senders come back, too."""
        ledger = self.world.ledger
        self.load.end()
        self.load.come_back()
        self.step("everybody reads", COME_SECONDS)
        self.run_until(self._all_arrived, COME_SECONDS)
        delivered = ledger.delivered_count
        missing = self._undelivered()
        lost = sum(self.copies.is_nowhere(message) for message in missing)
        if missing:
            self.step(f"the senders of {len(missing)} return", COME_SECONDS)
            for message, letter in missing.items():
                self.world.person_named(letter.sender).send_again(message)
            self.run_until(self._all_arrived, COME_SECONDS)
        outcome = Outcome(
            sent=ledger.sent_count,
            stored=ledger.stored_count,
            delivered=delivered,
            lost=lost,
            waiting=len(missing) - lost,
            delivered_after_resend=ledger.delivered_count,
            lost_after_resend=len(self._undelivered()),
            duplicated=len(ledger.doubled),
        )
        self.broken += [words for judge in self._judges if (words := judge(outcome))]
        return outcome

    def _all_arrived(self) -> bool:
        ledger = self.world.ledger
        return ledger.delivered_count == ledger.stored_count == ledger.sent_count

    def _undelivered(self) -> dict[bytes, Letter]:
        return {
            message: letter
            for message, letter in self.world.ledger.letters.items()
            if letter.stored is not None and letter.delivered is None
        }


def _is_down(node: SimulatedNode) -> bool:
    return not node.alive
