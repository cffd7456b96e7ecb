"""Six nodes for 25 seconds, of which some are killed, paused, restarted and wiped.

``TACE_CHAOS_SECONDS=300 TACE_CHAOS_NODES=20`` for the long run, ``TACE_CHAOS_SEED`` for another.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.processes import tace

NODES = os.environ.get("TACE_CHAOS_NODES", "6")
SECONDS = float(os.environ.get("TACE_CHAOS_SECONDS", "25"))
SEED = os.environ.get("TACE_CHAOS_SEED", "1")
STARTING_AND_HEALING_SECONDS = 600.0
STOPS_WITHIN_SECONDS = 30.0


class Chaos(TestCase):
    """The promise, as its users see it."""

    timeout = SECONDS + STARTING_AND_HEALING_SECONDS

    async def test_it_keeps_its_word(self) -> None:
        """Nothing is lost, nothing shown twice, one ring and all copies afterwards."""
        arguments = ("--nodes", NODES, "--seconds", str(SECONDS), "--seed", SEED, "--json")
        program = tace(reactor, ".", "chaos", *arguments, "--dir", self.mktemp())
        self.addCleanup(program.end, "INT")
        ended = await program.ended
        self.assertIn("{", ended.output, ended.errors[-4000:])
        told = json.loads(ended.output)
        print(f"\n{json.dumps(told)}")
        self.assertEqual(told["broken"], [])
        self.assertEqual((ended.status, told["lost"], told["duplicated"]), (0, 0, 0))
        self.assertEqual((told["delivered"], told["stored"]), (told["sent"], told["sent"]))
        self.assertGreater(sum(told["faults"].values()), 2)
        self.assertGreater(told["for_absent"], 0)

    async def test_interrupted(self) -> None:
        """Ctrl-C ends every node that it has started, even where one is paused."""
        base = Path(self.mktemp()).absolute()
        arguments = ("--nodes", "3", "--seconds", "60", "--dir", str(base))
        program = tace(reactor, ".", "chaos", *arguments)
        self.addCleanup(program.end, "INT")
        await program.says("people talk")
        nodes = [node["pid"] for node in json.loads((base / "network.json").read_text())["nodes"]]
        os.kill(nodes[1], 19)
        program.signal("INT")
        ended = await program.ended.addTimeout(STOPS_WITHIN_SECONDS, reactor)
        self.assertEqual(ended.status, 1, ended)
        self.assertEqual([pid for pid in nodes if Path(f"/proc/{pid}").exists()], [])
