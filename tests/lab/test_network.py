"""The life of a local network: here with processes that are none, so that every turn can be had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import StartError
from tace.lab.layout import lay_out
from tace.lab.network import (
    ANSWER_SECONDS,
    ASK_EVERY_SECONDS,
    FORM_SECONDS,
    LAUNCH_AT_ONCE,
    STOP_SECONDS,
    LocalNetwork,
)
from tace.lab.process import NodeProcess, twistd_command
from tace.lab.tied import tied
from tests.lab.fakes import FakeGateway, FakeReactor, ring_statuses


class Notes:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.dead: list[int] = []

    def progress(self, answering: int, text: str) -> None:
        self.texts.append(f"{answering} {text}")

    def died(self, node: NodeProcess) -> None:
        self.dead.append(node.plan.index)


class NetworkCase(SynchronousTestCase):
    """Builds a network and its stand-ins."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.reactor = FakeReactor()
        self.notes = Notes()

    def build(self, nodes: int, environ: Mapping[str, str] | None = None) -> LocalNetwork:
        plans = lay_out(self.base, nodes, 0, {})
        self.gateways = {
            plan.url: FakeGateway(status, self.reactor)
            for plan, status in zip(plans, ring_statuses(nodes), strict=True)
        }
        self.in_order = list(self.gateways.values())

        def dial(address: NodeAddress) -> Deferred[Connection]:
            return self.gateways[address.origin].dial(address)

        return LocalNetwork(
            self.reactor,
            self.base,
            plans,
            dial=dial,
            watcher=self.notes,
            environ=environ or {},
        )

    def start(self, network: LocalNetwork) -> Deferred[None]:
        return Deferred.fromCoroutine(network.start())

    def running(self, nodes: int) -> LocalNetwork:
        network = self.build(nodes)
        for gateway in self.in_order:
            gateway.up = True
        starting = self.start(network)
        self.wait(1)
        self.successResultOf(starting)
        return network

    def wait(self, seconds: float) -> None:
        """Step by step, as calls make calls."""
        for _ in range(round(seconds / ASK_EVERY_SECONDS)):
            self.reactor.advance(ASK_EVERY_SECONDS)


class Start(NetworkCase):
    """Until there is one ring, and what may come between."""

    def test_first_node_first(self) -> None:
        """The others are launched when the first answers, a few at a time."""
        network = self.build(7)
        starting = self.start(network)
        self.assertEqual(len(self.reactor.processes), 1)
        self.in_order[0].up = True
        self.wait(0.2)
        self.assertEqual(len(self.reactor.processes), 1 + LAUNCH_AT_ONCE)
        for gateway in self.in_order:
            gateway.up = True
        self.wait(2)
        self.successResultOf(starting)
        self.assertEqual(len(self.reactor.processes), 7)
        self.assertEqual(self.notes.texts[-1].split()[0], "7")

    def test_description(self) -> None:
        """network.json lists the nodes, and only once the ring has formed."""
        network = self.build(2)
        ideal = self.in_order[1].status
        self.in_order[1].status = msgspec.structs.replace(ideal, state="joining")
        for gateway in self.in_order:
            gateway.up = True
        starting = self.start(network)
        self.wait(1)
        self.assertNoResult(starting)
        self.assertFalse((self.base / "network.json").exists())
        self.assertEqual(self.notes.texts[-1], "2 forming the ring: node 1 is joining")
        self.in_order[1].status = ideal
        self.wait(0.5)
        self.successResultOf(starting)
        described = json.loads((self.base / "network.json").read_text())
        plan = network.processes[1].plan
        self.assertEqual(
            described["nodes"][1],
            {
                "url": plan.url,
                "pid": 1001,
                "peer_port": plan.peer_port,
                "data_dir": str(self.base / "node-1"),
                "node_id": "02" * 32,
            },
        )
        self.assertEqual(len(described["nodes"]), 2)
        self.assertEqual([gateway.closed for gateway in self.in_order], [1, 1])

    def test_old_description_goes_first(self) -> None:
        """What an earlier, killed network left is not there while the new one starts."""
        network = self.build(1)
        network.description.write_text("old")
        starting = self.start(network)
        self.assertFalse(network.description.exists())
        self.in_order[0].up = True
        self.wait(0.5)
        self.successResultOf(starting)

    def test_command_line(self) -> None:
        """Each process is twistd with that node's settings; its neighbours' do not leak in.

        It is tied to the one that starts it.
        """
        network = self.build(1, {"PATH": "/bin", "TACE_GATEWAY_LISTEN": "tcp:1"})
        self.start(network)
        (process,) = self.reactor.processes
        self.assertEqual(
            process.arguments[len(tied([])) + len(twistd_command()) :],
            [
                "-n",
                "--pidfile=",
                f"--logfile={self.base}/node-0/node.log",
                "tace",
                f"--config={self.base}/node-0/node.toml",
            ],
        )
        self.assertEqual(process.arguments[: len(tied([]))], tied([]))
        self.assertEqual(process.env, {"PATH": "/bin"})
        self.assertTrue(process.stdin_closed)

    def test_node_ends_while_starting(self) -> None:
        """Its last line is the reason."""
        starting = self.start(self.build(2))
        self.reactor.processes[0].end(status=1, last_words=b"tace: no space\n")
        self.wait(0.1)
        self.assertEqual(
            self.failureResultOf(starting, StartError).getErrorMessage(),
            "node 0 ended (exit status 1): tace: no space",
        )

    def test_later_node_ends_while_starting(self) -> None:
        """The others' launch is given up as well, without further processes."""
        network = self.build(9)
        self.in_order[0].up = True
        starting = self.start(network)
        self.wait(0.1)
        self.reactor.processes[2].end(signal=11)
        self.wait(0.1)
        self.assertEqual(
            self.failureResultOf(starting, StartError).getErrorMessage(),
            f"node 2 ended (killed by signal 11): see {self.base}/node-2/node.log",
        )
        self.successResultOf(Deferred.fromCoroutine(network.stop()))
        self.wait(1)
        self.assertEqual(
            [process.signals for process in self.reactor.processes],
            [["TERM"], ["TERM"], [], ["TERM"], ["TERM"], ["TERM"]],
        )

    def test_node_does_not_answer(self) -> None:
        """After a minute it is given up."""
        starting = self.start(self.build(1))
        self.wait(ANSWER_SECONDS - 1)
        self.assertNoResult(starting)
        self.wait(2)
        self.assertRegex(
            self.failureResultOf(starting, StartError).getErrorMessage(),
            "node 0 does not answer: http://127.0.0.1:.*: nobody there",
        )

    def test_no_ring(self) -> None:
        """After four minutes the reason is told."""
        network = self.build(2)
        for gateway in self.in_order:
            gateway.up = True
        self.in_order[0].status = msgspec.structs.replace(self.in_order[0].status, members=1)
        starting = self.start(network)
        self.wait(FORM_SECONDS + 1)
        self.assertEqual(
            self.failureResultOf(starting, StartError).getErrorMessage(),
            "no ring after 240 s: node 0 knows 1 of 2 nodes",
        )

    def test_one_network_a_directory(self) -> None:
        """A second one on the same directory does not start, until the first has stopped."""
        first = self.running(1)
        second = self.build(1)
        self.assertEqual(
            self.failureResultOf(self.start(second), StartError).getErrorMessage(),
            f"another network runs in {self.base}",
        )
        self.assertTrue(first.description.exists())
        self.successResultOf(Deferred.fromCoroutine(first.stop()))
        third = self.running(1)
        self.successResultOf(Deferred.fromCoroutine(third.stop()))


class Running(NetworkCase):
    """Once it stands."""

    def test_death_is_told(self) -> None:
        """A dead node is reported, and not started again."""
        network = self.running(3)
        self.reactor.processes[1].end(signal=9)
        self.wait(60)
        self.assertEqual(self.notes.dead, [1])
        self.assertEqual(network.processes[1].end, "killed by signal 9")
        self.assertEqual(len(self.reactor.processes), 3)

    def test_one_is_ended_and_started_again(self) -> None:
        """On purpose, so no death is told; with its ports and data, and the description follows."""
        network = self.running(3)
        ended = Deferred.fromCoroutine(network.end_one(1, "KILL"))
        self.assertEqual(self.successResultOf(ended), "killed by signal 9")
        self.in_order[1].up = False
        again = Deferred.fromCoroutine(network.start_again(1))
        self.wait(1)
        self.assertNoResult(again)
        self.in_order[1].up = True
        self.wait(0.5)
        self.successResultOf(again)
        self.assertEqual(self.notes.dead, [])
        first, second = self.reactor.processes[1], self.reactor.processes[3]
        self.assertEqual(second.arguments, first.arguments)
        described = json.loads(network.description.read_text())
        self.assertEqual(described["nodes"][1]["pid"], second.pid)
        second.end(signal=9)
        self.assertEqual(self.notes.dead, [1])

    def test_a_node_that_runs_is_not_started_again(self) -> None:
        """Two processes on one directory would be two nodes with one identity."""
        network = self.running(2)
        starting = Deferred.fromCoroutine(network.start_again(1))
        refused = self.failureResultOf(starting, StartError)
        self.assertEqual(refused.getErrorMessage(), "node 1 runs")

    def test_one_that_does_not_end_is_killed(self) -> None:
        """After the same time as when all of them are stopped."""
        network = self.running(2)
        self.reactor.processes[0].stubborn = True
        ending = Deferred.fromCoroutine(network.end_one(0))
        self.wait(STOP_SECONDS - 1)
        self.assertNoResult(ending)
        self.wait(2)
        self.assertEqual(self.successResultOf(ending), "killed by signal 9")


class Stop(NetworkCase):
    """In good order, and within bounds."""

    def test_graceful(self) -> None:
        """Every living node gets SIGTERM; the description goes; no death is reported."""
        network = self.running(3)
        self.reactor.processes[2].end(signal=9)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(network.stop())), [])
        self.assertEqual(
            [process.signals for process in self.reactor.processes], [["TERM"], ["TERM"], []]
        )
        self.assertFalse(network.description.exists())
        self.assertEqual(self.notes.dead, [2])

    def test_stubborn(self) -> None:
        """What has not ended after its time is killed, and named."""
        network = self.running(2)
        self.reactor.processes[0].stubborn = True
        stopping = Deferred.fromCoroutine(network.stop())
        self.wait(STOP_SECONDS - 1)
        self.assertNoResult(stopping)
        self.wait(2)
        self.assertEqual(self.successResultOf(stopping), [network.processes[0]])
        self.assertEqual(self.reactor.processes[0].signals, ["TERM", "KILL"])

    def test_during_start(self) -> None:
        """Nothing is launched any more."""
        network = self.build(3)
        starting = self.start(network)
        self.successResultOf(Deferred.fromCoroutine(network.stop()))
        self.in_order[0].up = True
        self.wait(1)
        self.failureResultOf(starting, StartError)
        self.assertEqual(len(self.reactor.processes), 1)
