"""Five nodes under steady load, abused every few seconds, one ended every 20 s.

Two minutes of it; ``TACE_SOAK_SECONDS=3600`` for the hour, ``TACE_SOAK_SEED`` for another course.
"""

from __future__ import annotations

import json
import os

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.processes import tace

SECONDS = float(os.environ.get("TACE_SOAK_SECONDS", "120"))
SEED = os.environ.get("TACE_SOAK_SEED", "1")
STARTING_AND_DRAINING_SECONDS = 420.0


class Soak(TestCase):
    """The promise, as its users see it."""

    timeout = SECONDS + STARTING_AND_DRAINING_SECONDS

    async def test_it_keeps_its_word(self) -> None:
        """Nothing acknowledged is lost, nothing is shown twice, no node grows, p99 under 1 s."""
        arguments = ("--seconds", str(SECONDS), "--seed", SEED, "--json", "--dir", self.mktemp())
        program = tace(reactor, ".", "soak", *arguments)
        self.addCleanup(program.end, "INT")
        ended = await program.ended
        self.assertIn("{", ended.output, ended.errors[-4000:])
        told = json.loads(ended.output)
        print(f"\n{json.dumps(told, indent=2)}")
        self.assertEqual(told["broken"], [])
        self.assertEqual((ended.status, told["lost"], told["doubled"]), (0, 0, 0))
        self.assertEqual(told["shown"], told["sent"])
        # It was a soak: most of what is on the list has happened, and nodes were ended.
        self.assertGreaterEqual(len(told["endings"]), int(SECONDS // 20) - 1)
        runs = sum(notes["runs"] for notes in told["abuses"].values())
        self.assertGreaterEqual(runs, SECONDS / 8)
