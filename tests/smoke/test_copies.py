"""Copies, counted in the databases of stopped nodes."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet import reactor

from tace.wire.objects import Envelope
from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.databases import copies
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Recipient, Sender
from tests.smoke.stage.waiting import until

MAILBOXES = 20
LETTERS = 3
REPAIRED_WITHIN_SECONDS = 40.0


class Copies(SmokeCase):
    """Letters to many mailboxes, so that every arc of the ring keeps some."""

    async def test_default_replicas(self) -> None:
        """Fewer nodes than replicas: each of the five has all; what was acked stands nowhere."""
        nodes = Nodes(self, 5)
        await nodes.start()
        waiting = await self._fill(nodes)
        box = Box("acked")
        recipient = await Recipient.at(self, nodes.address(4), box)
        sender = await Sender.at(self, nodes.address(1))
        result = await sender.send_one(box.envelope(1, reactor.seconds()))
        self.assertEqual((result.state, result.of), ("stored", 5))
        await recipient.gets(1)
        await self._held(nodes, 5 * len(waiting))
        await nodes.stop()
        self._assert_copies(nodes, range(5), waiting, 5)

    async def test_repair(self) -> None:
        """Five copies on six nodes; one node goes for good, and there are five again."""
        nodes = Nodes(
            self,
            6,
            {
                "ring.replicas": 5,
                "ring.repair_after_seconds": 1.0,
                "ring.forget_after_seconds": 2.0,
                "ring.reconcile_seconds": 1.0,
            },
        )
        await nodes.start()
        waiting = await self._fill(nodes)
        await self._held(nodes, 5 * len(waiting))
        await nodes.end(3, "KILL")
        lost = copies([nodes.database(3)])
        self.assertGreater(len(lost), 0)
        begun = reactor.seconds()
        await self._held(nodes, 5 * len(waiting))
        print(
            f"\n  {len(lost)} lost copies repaired {reactor.seconds() - begun:.1f} s after a death"
        )
        await nodes.stop()
        self._assert_copies(nodes, [0, 1, 2, 4, 5], waiting, 5)

    async def _fill(self, nodes: Nodes) -> list[Envelope]:
        """Letters that wait, each stored by a majority."""
        now = reactor.seconds()
        sender = await Sender.at(self, nodes.address(0))
        letters = [
            Box(f"box {number}").envelope(letter, now)
            for number in range(MAILBOXES)
            for letter in range(LETTERS)
        ]
        for start in range(0, len(letters), 16):
            results = await sender.send(*letters[start : start + 16])
            self.assertEqual({(each.state, each.of) for each in results}, {("stored", 5)})
        return letters

    async def _held(self, nodes: Nodes, items: int) -> None:
        """Until the running nodes hold so many envelopes together, as they say themselves."""

        async def look() -> bool:
            statuses = await nodes.statuses(nodes.running)
            return sum(status.items for status in statuses) == items

        await until(f"{items} envelopes are held", look, REPAIRED_WITHIN_SECONDS)

    def _assert_copies(
        self, nodes: Nodes, stopped: Sequence[int], waiting: Sequence[Envelope], n: int
    ) -> None:
        self.assertEqual(
            copies(nodes.database(index) for index in stopped),
            {(letter.mailbox, letter.id): n for letter in waiting},
        )
