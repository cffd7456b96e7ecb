"""Ten people write 1,000 messages to each other while two of five nodes are killed.

``python -m tests.smoke.two_die`` runs it alone and prints what became of the messages.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.scripts.trial import run as run_trial

from tests.processes import Ended, Program, environment, tace, twistd
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.command import Person, lines_of
from tests.smoke.stage.nodes import free_ports
from tests.smoke.stage.sockets import dialled_ports
from tests.smoke.stage.waiting import until

NODES = 5
PEOPLE = 10
MESSAGES = 1000
PROGRAMS = 2
"""Each person's messages leave in so many runs of the writing program, each followed by one
message from the command line; starting a process for each would take most of the time."""
WRITTEN = MESSAGES // PEOPLE // PROGRAMS - 1
KILL_AFTER = 200
REVIVE_AFTER = 600
STAMP_BITS = 8
"""What the first messages to somebody new must show. The proof of work is not what is tested."""
STARTS_AT_ONCE = 3
SENT_WITHIN_SECONDS = 150.0
ARRIVES_WITHIN_SECONDS = 60.0


class TwoDie(SmokeCase):
    """Five nodes, ten people, each with a program that receives and programs that send."""

    timeout = 300

    async def test_ledger(self) -> None:
        """What was sent is what was received: nothing lost, nothing doubled, in order per pair."""
        self.base = Path(self.mktemp()).absolute()
        self.urls, self.pids, network = await self._start_network()
        at_once = DeferredSemaphore(STARTS_AT_ONCE)
        self.people: list[Person] = await gatherResults(
            [
                at_once.run(lambda i: Deferred.fromCoroutine(self._person(i)), index)
                for index in range(PEOPLE)
            ]
        )
        self.index_of = {person.public_key: i for i, person in enumerate(self.people)}
        followers = [p.follow(self.urls[i % NODES]) for i, p in enumerate(self.people)]
        self.ledger = Ledger(followers)
        begun = reactor.seconds()

        sending = gatherResults([Deferred.fromCoroutine(self._write(i)) for i in range(PEOPLE)])
        await self.ledger.reaches(KILL_AFTER)
        killed = await self._kill_gateways(followers)
        for index in killed:
            await network.says(f"node {index} (pid {self.pids[index]}) died: killed by signal 9")
        await self.ledger.reaches(REVIVE_AFTER)
        revived = twistd(reactor, ".", f"--config={self.base}/node-{killed[0]}/node.toml")
        self.addCleanup(revived.end)
        await revived.says("the node is up")
        await sending.addTimeout(SENT_WITHIN_SECONDS, reactor)
        sent_in = reactor.seconds() - begun

        async def all_printed() -> bool:
            return self.ledger.printed() >= MESSAGES

        await until("everything is received", all_printed, ARRIVES_WITHIN_SECONDS)
        received_in = reactor.seconds() - begun
        received = [await self._stopped(follower) for follower in followers]
        # Whatever else there may be for them would be printed now.
        more = await gatherResults(
            [
                at_once.run(lambda p: Deferred.fromCoroutine(p.receive(self.urls[killed[0]])), p)
                for p in self.people
            ]
        )
        print(
            f"\n  {len(self.ledger.sent)} messages sent in {sent_in:.1f} s, received in"
            f" {received_in:.1f} s; killed nodes {killed}, started {killed[0]} again;"
            f" states {dict(self.ledger.states)};"
            f" gateways lost by {self._reconnected(followers)} of {PEOPLE} receivers"
        )
        self.assertEqual(more, [[] for _ in self.people])
        self._compare(received)
        self.assertGreater(self._reconnected(followers), 0)

    # -- the network -----------------------------------------------------------------------------

    async def _start_network(self) -> tuple[list[str], list[int], Program]:
        network = tace(
            reactor,
            ".",
            "network",
            f"--nodes={NODES}",
            f"--base-dir={self.base}",
            f"--first-port={free_ports(2 * NODES)}",
            f"--set=limits.requests_stamp_bits={STAMP_BITS}",
        )
        self.addCleanup(network.end, "TERM")
        await network.says(f"{NODES} nodes form one ring.")
        nodes = json.loads((self.base / "network.json").read_text())["nodes"]
        return [node["url"] for node in nodes], [node["pid"] for node in nodes], network

    async def _kill_gateways(self, followers: Sequence[Program]) -> list[int]:
        """Kills the node that most receivers are at, and of the others the one of most writers."""
        first = self._gateways(followers).most_common(1)[0][0]

        async def of_a_writer() -> list[int]:
            common = self._gateways(self.ledger.writers).most_common()
            return [index for index, _ in common if index != first]

        second = (await until("somebody writes elsewhere", of_a_writer, 10))[0]
        for index in (first, second):
            os.kill(self.pids[index], signal.SIGKILL)
        return [first, second]

    def _gateways(self, programs: Sequence[Program]) -> Counter[int]:
        """At how many of the running programs each node is the gateway, as the kernel tells."""
        ports = {int(url.rpartition(":")[2]): index for index, url in enumerate(self.urls)}
        return Counter(
            ports[port]
            for program in programs
            if not program.ended.called
            for port in dialled_ports(program.pid)
            if port in ports
        )

    # -- the people ------------------------------------------------------------------------------

    async def _person(self, index: int) -> Person:
        """Somebody who has been online, so that others can write to them."""
        person = await Person.new(self, self.base / f"home-{index}", f"person {index}")
        self.assertEqual(await person.receive(self.urls[index % NODES]), [])
        return person

    async def _write(self, index: int) -> None:
        """All messages of one person: to each of the others in turn, numbered per pair."""
        others = [(index + 1 + step) % PEOPLE for step in range(PEOPLE - 1)]
        letters = [
            (self.people[others[n % len(others)]].public_key, f"{index}, number {n}")
            for n in range(MESSAGES // PEOPLE)
        ]
        starts = range(0, len(letters) + 1, WRITTEN + 1)
        for start, end in pairwise(starts):
            await self._write_many(index, letters[start : end - 1])
            to, text = letters[end - 1]
            sent = await self._send_one(index, to, text)
            self.ledger.note({**sent, "to": to, "text": text}, self.people[index].public_key)

    async def _write_many(self, index: int, letters: Sequence[tuple[str, str]]) -> None:
        command = [sys.executable, "-m", "tests.smoke.stage.writer"]
        home = str(self.people[index].home)
        url = self.urls[(index + 1) % NODES]
        program = Program(reactor, [*command, home, url], ".", environment())
        self.addCleanup(program.end)
        self.ledger.writers.append(program)
        assert program.transport is not None
        program.transport.write("".join(f"{to} {text}\n" for to, text in letters).encode())
        program.transport.closeStdin()
        ended = await program.ended
        self.ledger.writers.remove(program)
        self.assertEqual(ended.status, 0, ended)
        for sent in lines_of(ended.output):
            self.ledger.note(sent, self.people[index].public_key)

    async def _send_one(self, index: int, to: str, text: str) -> dict[str, Any]:
        """``tace send``, which may end with "waits in the outbox" while nodes are dead."""
        home = str(self.people[index].home)
        program = tace(reactor, ".", "send", "--home", home, "--json", to, text)
        self.addCleanup(program.end)
        ended = await program.ended
        self.assertIn(ended.status, (0, 3), ended)
        (sent,) = lines_of(ended.output)
        return sent

    async def _stopped(self, follower: Program) -> list[dict[str, Any]]:
        """What it has printed, once it has ended in good order."""
        follower.signal("TERM")
        ended: Ended = await follower.ended.addTimeout(10, reactor)
        self.assertEqual(ended.status, 0, ended)
        return lines_of(ended.output)

    # -- the comparison --------------------------------------------------------------------------

    def _compare(self, received: Sequence[Sequence[dict[str, Any]]]) -> None:
        sent_per_pair: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        got_per_pair: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for sender, message in self.ledger.sent:
            sent_per_pair[sender, message["to"]].append((message["id"], message["text"]))
        for person, messages in zip(self.people, received, strict=True):
            for message in messages:
                pair = (message["from"], person.public_key)
                got_per_pair[pair].append((message["id"], message["text"]))
        self.assertEqual(sum(map(len, sent_per_pair.values())), MESSAGES)
        self.assertEqual(len(sent_per_pair), PEOPLE * (PEOPLE - 1))
        for (sender, to), sent in sent_per_pair.items():
            who = f"from person {self.index_of[sender]} to person {self.index_of[to]}"
            self.assertEqual(got_per_pair.pop((sender, to), []), sent, who)
        self.assertEqual(got_per_pair, {})

    def _reconnected(self, followers: Sequence[Program]) -> int:
        return sum("connected to http" in follower.printed for follower in followers)


class Ledger:
    """What was sent, and how much of it is under way.

    :param followers: the programs that receive.
    """

    def __init__(self, followers: Sequence[Program]) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        """(sender, what the sending program printed), in the order of sending per sender."""
        self.states: Counter[str] = Counter()
        self.writers: list[Program] = []
        self._followers = followers

    def note(self, sent: dict[str, Any], sender: str) -> None:
        self.sent.append((sender, sent))
        self.states[sent["state"]] += 1

    def printed(self) -> int:
        """How many messages the receivers have printed."""
        return sum(
            line.startswith("{")
            for follower in self._followers
            for line in follower.printed.splitlines()
        )

    async def reaches(self, messages: int) -> None:
        """Returns when so many are received."""

        async def look() -> bool:
            return self.printed() >= messages

        await until(f"{messages} messages are received", look, SENT_WITHIN_SECONDS)


def main() -> None:
    """Runs it by itself; what it leaves behind is removed unless it fails."""
    directory = mkdtemp(prefix="tace-two-die-")
    sys.argv[1:] = [f"--temp-directory={directory}/trial", "tests.smoke.two_die"]
    try:
        run_trial()
    except SystemExit as ended:
        if ended.code:
            print(f"the homes and the nodes' data are kept in {directory}")
        else:
            rmtree(directory)
        raise


if __name__ == "__main__":
    main()
