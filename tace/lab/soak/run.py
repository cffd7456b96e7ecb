"""Runs a soak: honest people, random abuse, nodes that end and come back, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tace.client.address import NodeAddress
from tace.errors import TaceError
from tace.lab.attack.catalogue import ATTACKS
from tace.lab.attack.ground import Ground, Target, scout
from tace.lab.logs import errors_in_logs
from tace.lab.network import LocalNetwork, Watcher
from tace.lab.people.ledger import Disturbance, Ledger, Spread
from tace.lab.people.letters import letters, pairs
from tace.lab.people.person import Person, introduce, leave
from tace.lab.process import NodeProcess
from tace.lab.soak.memory import Sample, look
from tace.lab.soak.plan import (
    TERM,
    WITNESS,
    Abuse,
    SoakSettings,
    abuses,
    endings,
)
from tace.lab.soak.report import AbuseNotes, Report
from tace.lab.timing import all_of, in_time

MAX_ABUSES_AT_ONCE = 4
PATIENCE_SECONDS = 75.0
"""Longer than a node gives anybody: a peer that reads nothing is cut within a minute."""
SAMPLE_EVERY_SECONDS = 2.0
LAG_EVERY_SECONDS = 0.05
DRAIN_SECONDS = 150.0
"""What is stored and unconfirmed is offered again after a minute, so this is more than twice."""
KNOWN_NODES = 2
"""How many nodes each person was told of; their programs learn of the others."""
SILENT = ("peer-silence", "http-silence")
WARM_UP = "peer-silence"


class Soak:
    """One run.

    The :class:`~tace.lab.network.Watcher` of its network: a node that dies unasked is a failure.

    :param make_network: with this as its watcher; its nodes are ended and started again.
    :param say: told what happens, a line each.
    """

    def __init__(
        self,
        reactor: Any,
        make_network: Callable[[Watcher], LocalNetwork],
        settings: SoakSettings,
        say: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._network = make_network(self)
        self._settings = settings
        self._say = say
        self._ledger = Ledger()
        self._people: list[Person] = []
        self._targets: list[Target] = []
        self._start = 0.0
        self._over = False
        self._absences: list[Disturbance] = []
        self._away: dict[int, float] = {}
        self._abuses: dict[str, AbuseNotes] = {}
        self._abusing: list[Deferred[None]] = []
        self._under_way = 0
        self._silent_under_way = 0
        self._memory: dict[int, list[Sample]] = {n: [] for n in range(settings.nodes)}
        self._lags: list[float] = []
        self._failures: list[str] = []

    async def run(self) -> Report:
        """From the start of the network to its end.

        :raises StartError: the network does not start.
        """
        try:
            await self._network.start()
            await self._gather_people()
            await self._warm_up()
            self._say(f"{len(self._people)} people talk; {self._settings.seconds:.0f} s begin")
            self._start = self._reactor.seconds()
            watching = [self._begin(self._watch_memory()), self._begin(self._watch_lag())]
            await all_of(
                [
                    self._begin(self._write_letters()),
                    self._begin(self._abuse()),
                    self._begin(self._end_nodes()),
                ]
            )
            await all_of(self._abusing)
            await self._drain()
            self._over = True
            await all_of(watching)
            self._failures += [f"{p.name} stopped: {p.failure}" for p in self._people if p.failure]
        finally:
            self._over = True
            await leave(self._people)
            stubborn = await self._network.stop()
        self._failures += [f"node {p.plan.index} did not end in time" for p in stubborn]
        self._failures += list(errors_in_logs(p.plan for p in self._network.processes))
        return Report(
            self._settings.seconds,
            self._settings.seed,
            self._start,
            self._ledger,
            self._absences,
            self._abuses,
            self._memory,
            Spread.of(self._lags),
            self._failures,
        )

    # -- Watcher ---------------------------------------------------------------------------------

    def progress(self, answering: int, text: str) -> None:
        """Starting is not what it is about."""

    def died(self, node: NodeProcess) -> None:
        what = f"node {node.plan.index} died unasked: {node.end}: {node.last_line}"
        self._failures.append(what)
        self._say(what)

    # -- who takes part --------------------------------------------------------------------------

    async def _gather_people(self) -> None:
        addresses = [NodeAddress.parse(p.plan.url) for p in self._network.processes]
        self._targets = [await scout(self._reactor, address) for address in addresses]
        for number in range(self._settings.people):
            random = Random(f"{self._settings.seed} person {number}")
            known = random.sample(addresses, min(KNOWN_NODES, len(addresses)))
            self._people.append(
                Person(self._reactor, random, f"person {number}", known, self._ledger)
            )
        await introduce(self._people, pairs(self._settings.people))

    async def _warm_up(self) -> None:
        """Have the witness hold as much as it ever will: memory that was needed once is kept by
        the allocator, and would look like growth where it is needed late.
        """
        self._start = self._reactor.seconds()
        notes = self._abuses.setdefault(WARM_UP, AbuseNotes())
        await self._abuse_once(Abuse(0.0, WARM_UP, WITNESS, self._settings.seed), notes)

    # -- what happens ----------------------------------------------------------------------------

    async def _write_letters(self) -> None:
        async for letter in in_time(self._reactor, self._now, letters(self._settings)):
            sender, recipient = self._people[letter.sender], self._people[letter.recipient]
            sender.write(recipient, letter.text)

    async def _abuse(self) -> None:
        async for abuse in in_time(
            self._reactor, self._now, abuses(self._settings, sorted(ATTACKS))
        ):
            notes = self._abuses.setdefault(abuse.name, AbuseNotes())
            silent = abuse.name in SILENT
            if self._under_way >= MAX_ABUSES_AT_ONCE or (silent and self._silent_under_way):
                notes.skipped += 1
                continue
            self._abusing.append(self._begin(self._abuse_once(abuse, notes)))

    async def _abuse_once(self, abuse: Abuse, notes: AbuseNotes) -> None:
        attack = ATTACKS[abuse.name]
        silent = abuse.name in SILENT
        ground = Ground(
            self._reactor,
            self._targets[abuse.node],
            Random(abuse.seed),
            self._settings.silent_connections if silent else attack.size,
            PATIENCE_SECONDS,
            self._people[abuse.seed % len(self._people)].identity,
        )
        began = self._now()
        notes.runs += 1
        self._under_way += 1
        self._silent_under_way += silent
        wrong = ""
        try:
            words = await attack.run(ground)
        except (TaceError, AssertionError) as error:
            wrong = f"broke off at {began:.0f} s: {type(error).__name__} {error}"
        else:
            notes.words += words
            wrong = attack.failed(words) and f"{attack.failed(words)} at {began:.0f} s"
        finally:
            self._under_way -= 1
            self._silent_under_way -= silent
        if self._was_away(abuse.node, began):
            notes.interrupted += 1
        elif wrong:
            notes.wrong.append(wrong)
            self._say(f"{abuse.name} at node {abuse.node}: {wrong}")

    async def _end_nodes(self) -> None:
        async for ending in in_time(self._reactor, self._now, endings(self._settings)):
            began = self._now()
            self._away[ending.node] = began
            how = await self._network.end_one(ending.node, ending.signal)
            if ending.signal == TERM and how != "exit status 0":
                self._failures.append(f"node {ending.node} was told to stop and ended: {how}")
            await deferLater(self._reactor, ending.away, lambda: None)
            await self._network.start_again(ending.node)
            del self._away[ending.node]
            what = f"node {ending.node} by {ending.signal}"
            self._absences.append(Disturbance(what, self._start + began, self._reactor.seconds()))
            self._say(f"{what} at {began:.0f} s, back after {self._now() - began:.1f} s")

    def _was_away(self, node: int, since: float) -> bool:
        """Was it ended, or did it come back, after ``since``?"""
        if node in self._away:
            return True
        began = self._start + since
        return any(
            absence.what.startswith(f"node {node} ") and absence.end >= began
            for absence in self._absences
        )

    async def _drain(self) -> None:
        """Until everything written is shown, or for as long as that may take."""
        until = self._reactor.seconds() + DRAIN_SECONDS
        while self._ledger.missing() and self._reactor.seconds() < until:
            await deferLater(self._reactor, 0.1, lambda: None)
        self._say(f"drained at {self._now():.0f} s")

    # -- watching --------------------------------------------------------------------------------

    async def _watch_memory(self) -> None:
        while not self._over:
            for process in self._network.processes:
                sample = look(process.pid, self._now())
                if sample is not None and not process.end:
                    self._memory[process.plan.index].append(sample)
            await deferLater(self._reactor, SAMPLE_EVERY_SECONDS, lambda: None)

    async def _watch_lag(self) -> None:
        while not self._over:
            due = self._reactor.seconds() + LAG_EVERY_SECONDS
            await deferLater(self._reactor, LAG_EVERY_SECONDS, lambda: None)
            self._lags.append(max(0.0, self._reactor.seconds() - due))

    # -- time ------------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds since the run began."""
        seconds: float = self._reactor.seconds() - self._start
        return seconds

    def _begin(self, work: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(work)
