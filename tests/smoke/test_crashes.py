"""``kill -9`` in the middle of work."""

from __future__ import annotations

from random import Random

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.load import Load
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Recipient, Sender

SEED = 20260101
CRASHES = 6
DEPTH = 8
LONGEST_SECONDS = 0.4


class Crashes(SmokeCase):
    """One node, the only one that keeps anything."""

    async def test_acknowledged_is_there(self) -> None:
        """Killed at random moments under load and started again, it has all it said it stored."""
        random = Random(SEED)
        nodes = Nodes(self, 1)
        acknowledged = 0
        cut_off = 0
        await nodes.start()
        for crash in range(CRASHES):
            box = Box(f"crash {crash}")
            load = Load(await Sender.at(self, nodes.address(0)), box, DEPTH)
            await load.under_way(1)
            await deferLater(reactor, random.uniform(0, LONGEST_SECONDS))
            await nodes.end(0, "KILL")
            await load.over()
            await nodes.start()
            recipient = await Recipient.at(self, nodes.address(0), box, acks=False)
            self.assertTrue(await recipient.complete.addTimeout(10, reactor))
            self.assertEqual(load.stored.keys() - recipient.arrived.keys(), set())
            self.assertEqual(load.refused, {})
            acknowledged += len(load.stored)
            cut_off += len(load.unanswered)
        print(f"\n  {CRASHES} crashes: {acknowledged} acknowledged, all there; {cut_off} cut off")
        self.assertEqual(cut_off, CRASHES * DEPTH)
