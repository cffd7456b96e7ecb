"""What is done to nodes, with processes that are none."""

from __future__ import annotations

import json
import signal

import msgspec
from twisted.internet.defer import Deferred

from tace.lab.layout import wipe
from tests.lab.test_network import NetworkCase


class Paused(NetworkCase):
    """A node that holds its breath."""

    def test_pause_and_resume(self) -> None:
        """By the two signals; it has not died."""
        network = self.running(3)
        network.pause(1)
        network.resume(1)
        self.assertEqual(self.reactor.processes[1].signals, ["STOP", signal.SIGCONT])
        self.assertEqual(self.notes.dead, [])

    def test_one_that_is_paused_is_ended_too(self) -> None:
        """It could not take SIGTERM before it goes on."""
        network = self.running(3)
        network.pause(1)
        self.successResultOf(Deferred.fromCoroutine(network.stop()))
        self.assertEqual(self.reactor.processes[1].signals[:2], ["STOP", "TERM"])
        self.assertEqual(self.reactor.processes[1].signals[2:], [signal.SIGCONT])
        self.assertEqual(self.reactor.processes[0].signals, ["TERM"])


class Wiped(NetworkCase):
    """A node that starts with nothing."""

    def test_settings_and_log_stay(self) -> None:
        """All else has gone, whatever it is."""
        plan = self.build(1).processes[0].plan
        for name in ("node.db", "node.db-wal", "identity.pem", "node.log", "node.log.1"):
            (plan.directory / name).write_text(name)
        (plan.directory / "kept").mkdir()
        (plan.directory / "kept" / "blob").write_text("x")
        settings = plan.config.read_text()
        wipe(plan)
        left = sorted(path.name for path in plan.directory.iterdir())
        self.assertEqual(left, ["node.log", "node.log.1", "node.toml"])
        self.assertEqual(plan.config.read_text(), settings)

    def test_it_is_described_anew(self) -> None:
        """With the identity that it has made itself."""
        network = self.running(2)
        ended = Deferred.fromCoroutine(network.end_one(1, "KILL"))
        self.successResultOf(ended)
        gateway = self.in_order[1]
        gateway.status = msgspec.structs.replace(gateway.status, node_id=b"\xaa" * 32)
        again = Deferred.fromCoroutine(network.start_again(1))
        self.wait(1)
        self.successResultOf(again)
        described = json.loads((self.base / "network.json").read_text())
        self.assertEqual(described["nodes"][1]["node_id"], "aa" * 32)
