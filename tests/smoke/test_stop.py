"""SIGTERM while there is work."""

from __future__ import annotations

import os
import signal

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from tace.client.websocket import WebSocketDialer
from tace.errors import LinkLost
from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.databases import copies
from tests.smoke.stage.load import Load
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Sender
from tests.smoke.stage.waiting import until

ENDS_WITHIN_SECONDS = 10.0
LETTERS = 8


class Stop(SmokeCase):
    """Three nodes, so that a letter is stored when two have it."""

    async def test_in_flight(self) -> None:
        """What waits for other nodes when the signal comes is finished and answered."""
        nodes = Nodes(self, 3)
        await nodes.start()
        sender = await Sender.at(self, nodes.address(0))
        box = Box()
        # The other two hold still, so that the letters are in flight for as long as we like.
        for index in (1, 2):
            nodes.running[index].signal("STOP")
        now = reactor.seconds()
        answers = [
            Deferred.fromCoroutine(sender.send_one(box.envelope(number, now)))
            for number in range(LETTERS)
        ]

        async def kept() -> bool:
            status = await nodes.status(0)
            return status is not None and status.items == LETTERS

        await until("node 0 has its own copies", kept, 2)
        self.assertEqual([answer.called for answer in answers], [False] * LETTERS)
        begun = reactor.seconds()
        ending = Deferred.fromCoroutine(nodes.end(0, "TERM"))

        async def closed() -> bool:
            try:
                connection = await WebSocketDialer(reactor)(nodes.address(0))
            except LinkLost:
                return True
            connection.close()
            return False

        await until("node 0 takes no new clients", closed, 2)
        for index in (1, 2):
            os.kill(nodes.running[index].pid, signal.SIGCONT)
        results = await gatherResults(answers)
        self.assertEqual([result.state for result in results], ["stored"] * LETTERS)
        ended = await ending
        self._report("8 letters in flight", begun)
        self.assertEqual((ended.status, ended.errors), (0, ""))

    async def test_under_load(self) -> None:
        """It ends within 10 s with exit status 0, and keeps its word."""
        nodes = Nodes(self, 3)
        await nodes.start()
        boxes = [Box(f"box {number}") for number in range(3)]
        loads = [Load(await Sender.at(self, nodes.address(0)), box, LETTERS) for box in boxes]
        for load in loads:
            await load.under_way(50)
        begun = reactor.seconds()
        ended = await nodes.end(0, "TERM")
        self._report("under load", begun)
        self.assertEqual((ended.status, ended.errors), (0, ""))
        self.assertLess(reactor.seconds() - begun, ENDS_WITHIN_SECONDS)
        for load in loads:
            await load.over()
            self.assertLessEqual(set(load.refused.values()), {"draining"})
        await nodes.stop()
        there = copies(nodes.database(index) for index in range(3))
        for load in loads:
            for letter in load.stored.values():
                self.assertGreaterEqual(there[letter.mailbox, letter.id], 2)

    def _report(self, what: str, begun: float) -> None:
        print(f"\n  ended {reactor.seconds() - begun:.2f} s after SIGTERM, {what}")
