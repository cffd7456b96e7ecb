"""Five nodes from the command that people run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from tace.client.address import NodeAddress
from tests.letters import Box
from tests.processes import Program, tace
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.nodes import free_ports
from tests.smoke.stage.people import Recipient, Sender

NODES = 5
FORMS_WITHIN_SECONDS = 30.0
"""On a machine that does other things meanwhile; on one at rest it takes about 4 s."""
KEPT = ("url", "peer_port", "data_dir", "node_id")


class RingOfFive(SmokeCase):
    """``tace network --nodes 5``, which is what ``scripts/run --nodes 5`` runs."""

    async def test_start_and_start_again(self) -> None:
        """One ring in good time, from nothing and from its data; a message of the first life is
        there in the second.
        """
        base = Path(self.mktemp()).absolute()
        port = str(free_ports(2 * NODES))
        box = Box()
        first, nodes = await self._start(base, "--first-port", port)
        sender = await Sender.at(self, NodeAddress.parse(nodes[1]["url"]))
        result = await sender.send_one(box.envelope(1, reactor.seconds()))
        self.assertEqual((result.state, result.of), ("stored", NODES))
        first.signal("TERM")
        ended = await first.ended.addTimeout(10, reactor)
        self.assertEqual(ended.status, 0, ended)

        _, again = await self._start(base)
        self.assertEqual(
            [{key: node[key] for key in KEPT} for node in again],
            [{key: node[key] for key in KEPT} for node in nodes],
        )
        recipient = await Recipient.at(self, NodeAddress.parse(again[3]["url"]), box)
        self.assertTrue(await recipient.complete.addTimeout(5, reactor))
        self.assertEqual(list(recipient.arrived), [1])

    async def _start(self, base: Path, *options: str) -> tuple[Program, list[dict[str, Any]]]:
        begun = reactor.seconds()
        program = tace(reactor, ".", "network", f"--nodes={NODES}", f"--base-dir={base}", *options)
        self.addCleanup(program.end, "TERM")
        await program.says(f"{NODES} nodes form one ring.")
        taken = reactor.seconds() - begun
        print(f"\n  {NODES} nodes form one ring {taken:.2f} s after the start of the command")
        self.assertLess(taken, FORMS_WITHIN_SECONDS)
        nodes: list[dict[str, Any]] = json.loads((base / "network.json").read_text())["nodes"]
        return program, nodes
