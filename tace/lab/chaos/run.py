"""Runs chaos: people talk while nodes are killed, paused, restarted and wiped; then it is counted.

Where the copies are is read from the nodes' own files while they run: a client may not ask, and a
node that asked as a replica would be one more member of the ring that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import Failure, Refusal
from tace.lab.chaos.absent import Absent
from tace.lab.chaos.copies import Item, lacking
from tace.lab.chaos.plan import ChaosSettings, Fault, FaultKind, deposits, faults, refused
from tace.lab.chaos.report import Report
from tace.lab.chaos.sqlite import items_in
from tace.lab.layout import wipe
from tace.lab.logs import errors_in_logs
from tace.lab.network import LocalNetwork, Watcher
from tace.lab.people.ledger import Disturbance, Ledger
from tace.lab.people.letters import letters, pairs
from tace.lab.people.person import Person, introduce, leave
from tace.lab.process import NodeProcess
from tace.lab.ring_shape import missing_for_one_ring
from tace.lab.timing import all_of, in_time

KNOWN_NODES = 3
"""How many nodes each person was told of; their programs learn of the others."""
IDEAL_WITHIN_SECONDS = 60.0
REPLICATED_WITHIN_SECONDS = 240.0
"""Rounds of reconciliation are up to 30 s apart, and those of some pairs longer."""
DRAIN_SECONDS = 150.0
"""What is stored and unconfirmed is offered again after a minute, so this is more than twice."""
LOOK_EVERY_SECONDS = 0.25
CLEAN_END = "exit status 0"


class Screen(Protocol):
    """Shows how it goes."""

    def step(self, text: str, total: float | None = None) -> None:
        """A new step begins; ``total``: where its progress will end."""

    def progress(self, done: float) -> None:
        """Of the step under way so much is done."""

    def say(self, text: str) -> None:
        """One line for the person."""


class Chaos:
    """One run.

    The :class:`~tace.lab.network.Watcher` of its network: a node that dies unasked is a failure.

    :param make_network: with this as its watcher.
    :param dial: how a node is reached as a client.
    """

    def __init__(
        self,
        reactor: Any,
        make_network: Callable[[Watcher], LocalNetwork],
        dial: Callable[[NodeAddress], Deferred[Connection]],
        settings: ChaosSettings,
        screen: Screen,
    ) -> None:
        self._reactor = reactor
        self._network = make_network(self)
        self._dial = dial
        self._settings = settings
        self._screen = screen
        self._written = Ledger()
        self._left = Ledger()
        self._people: list[Person] = []
        self._absent: list[Absent] = []
        self._away: set[int] = set()
        self._wiped: dict[int, float] = {}
        """Node -> until when its disk counts as wiped."""
        self._under_way: list[Deferred[None]] = []
        self._faults: list[Disturbance] = []
        self._skipped = 0
        self._failures: list[str] = []
        self._start = 0.0
        self._over = False

    async def run(self) -> Report:
        """From the start of the network to its end; whatever happens, no node is left behind.

        :raises StartError: the network does not start, or a node does not start again.
        """
        ideal: float | None = None
        replicated: float | None = None
        try:
            self._screen.step("starting nodes", self._settings.nodes)
            await self._network.start()
            await self._gather_people()
            await self._disturb()
            back = self._reactor.seconds()
            self._screen.step("all nodes are back: one ring?")
            ideal = await self._seconds_until(self._is_ideal, back, IDEAL_WITHIN_SECONDS)
            self._screen.step("all copies?")
            replicated = await self._seconds_until(
                self._is_replicated, back, REPLICATED_WITHIN_SECONDS
            )
            await self._deliver_the_rest()
            self._failures += [f"{p.name} stopped: {p.failure}" for p in self._people if p.failure]
        finally:
            self._over = True
            for work in self._under_way:
                work.cancel()
            await leave(self._people)
            stubborn = await self._network.stop()
        self._failures += [f"node {p.plan.index} did not end in time" for p in stubborn]
        self._failures += list(errors_in_logs(p.plan for p in self._network.processes))
        return Report(
            self._settings,
            self._start,
            self._written,
            self._left,
            self._faults,
            self._skipped,
            ideal,
            replicated,
            self._failures,
        )

    # -- Watcher ---------------------------------------------------------------------------------

    def progress(self, answering: int, text: str) -> None:
        if not self._start:
            self._screen.progress(answering)

    def died(self, node: NodeProcess) -> None:
        what = f"node {node.plan.index} died unasked: {node.end}: {node.last_line}"
        self._failures.append(what)
        self._screen.say(what)

    # -- who takes part --------------------------------------------------------------------------

    async def _gather_people(self) -> None:
        settings = self._settings
        addresses = [NodeAddress.parse(p.plan.url) for p in self._network.processes]
        for number in range(settings.people):
            random = Random(f"{settings.seed} person {number}")
            known = random.sample(addresses, min(KNOWN_NODES, len(addresses)))
            self._people.append(
                Person(self._reactor, random, f"person {number}", known, self._written)
            )
        for number in range(settings.absent):
            random = Random(f"{settings.seed} absent {number}")
            name = f"absent {number}"
            self._absent.append(
                Absent(self._reactor, random, name, self._dial, addresses, self._left)
            )
        self._screen.step("people get to know each other")
        await introduce(self._people, pairs(settings.people))

    # -- what happens ----------------------------------------------------------------------------

    async def _disturb(self) -> None:
        """Returns when all nodes answer again."""
        self._screen.step("people talk, nodes fail", self._settings.seconds)
        self._start = self._reactor.seconds()
        ticking = self._begin(self._tick())
        ticking.addErrback(lambda failure: None)
        self._under_way.append(ticking)
        leaving = self._begin(self._leave_letters())
        await all_of([self._begin(self._write_letters()), leaving, self._begin(self._fault())])
        ticking.cancel()
        await all_of([work for work in self._under_way if work is not ticking])
        self._under_way.clear()

    async def _tick(self) -> None:
        while True:
            self._screen.progress(self._now())
            await deferLater(self._reactor, 1.0, lambda: None)

    async def _write_letters(self) -> None:
        async for letter in in_time(self._reactor, self._now, letters(self._settings)):
            sender, recipient = self._people[letter.sender], self._people[letter.recipient]
            sender.write(recipient, letter.text)

    async def _leave_letters(self) -> None:
        deadline = self._start + self._settings.seconds + DRAIN_SECONDS
        async for deposit in in_time(self._reactor, self._now, deposits(self._settings)):
            text = f"letter {deposit.number} to absent {deposit.recipient}"
            absent = self._absent[deposit.recipient]
            self._under_way.append(self._begin(absent.leave(text, self._after(deadline))))

    async def _fault(self) -> None:
        async for fault in in_time(self._reactor, self._now, faults(self._settings)):
            now = self._reactor.seconds()
            wiped = [node for node, until in self._wiped.items() if until > now]
            # A node may have taken longer to come back than was planned.
            if refused(self._settings, fault, away=self._away, wiped=wiped):
                self._skipped += 1
            else:
                self._away.add(fault.node)
                self._under_way.append(self._begin(self._suffer(fault)))

    async def _suffer(self, fault: Fault) -> None:
        node, began = fault.node, self._reactor.seconds()
        if fault.kind is FaultKind.PAUSE:
            self._network.pause(node)
        else:
            await self._end(fault)
        await deferLater(self._reactor, fault.seconds, lambda: None)
        if fault.kind is FaultKind.PAUSE:
            self._network.resume(node)
        else:
            await self._network.start_again(node)
        now = self._reactor.seconds()
        if fault.kind is FaultKind.WIPE:
            self._wiped[node] = now + self._settings.repair_seconds
        self._away.discard(node)
        self._faults.append(Disturbance(f"{fault.kind} node {node}", began, now))

    async def _end(self, fault: Fault) -> None:
        node = fault.node
        signal = "TERM" if fault.kind is FaultKind.RESTART else "KILL"
        if fault.kind is FaultKind.WIPE:
            # From now on, and not only once it is back.
            self._wiped[node] = float("inf")
        how = await self._network.end_one(node, signal)
        if signal == "TERM" and how != CLEAN_END:
            self._failures.append(f"node {node} was told to stop and ended: {how}")
        if fault.kind is FaultKind.WIPE:
            wipe(self._network.processes[node].plan)

    async def _deliver_the_rest(self) -> None:
        """Those who were absent come, and the others wait for what is still under way."""
        self._screen.step("the last messages")
        late = self._after(self._reactor.seconds() + DRAIN_SECONDS)
        self._under_way = [self._begin(absent.collect(late)) for absent in self._absent]
        await all_of(self._under_way)
        self._under_way.clear()
        while self._written.missing() and not late():
            await deferLater(self._reactor, LOOK_EVERY_SECONDS, lambda: None)

    # -- what is looked at -----------------------------------------------------------------------

    async def _is_ideal(self) -> bool:
        try:
            return not missing_for_one_ring(await self._network.statuses())
        except (Failure, Refusal):
            return False

    async def _is_replicated(self) -> bool:
        try:
            statuses = await self._network.statuses()
            held = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._held)
        except (Failure, Refusal, OSError):
            return False
        waiting = [item for absent in self._absent for item in absent.stored]
        return not any(lacking(statuses, waiting, held, self._settings.set_size))

    def _held(self) -> dict[int, set[Item]]:
        plans = [process.plan for process in self._network.processes]
        return {plan.index: items_in(plan.directory / "node.db") for plan in plans}

    async def _seconds_until(self, look: Any, since: float, within: float) -> float | None:
        """When ``look`` was true first, in seconds after ``since``; None: not in time."""
        while True:
            found = await look()
            passed: float = self._reactor.seconds() - since
            if found:
                return passed
            if passed > within:
                return None
            await deferLater(self._reactor, LOOK_EVERY_SECONDS, lambda: None)

    # -- time ------------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds since the run began."""
        seconds: float = self._reactor.seconds() - self._start
        return seconds

    def _after(self, deadline: float) -> Callable[[], bool]:
        return lambda: self._over or self._reactor.seconds() > deadline

    def _begin(self, work: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(work)
