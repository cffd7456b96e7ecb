"""A network that falls into three parts and comes together again: the kernel cuts the links."""

from __future__ import annotations

import subprocess

from twisted.internet import reactor
from twisted.trial.unittest import SkipTest

from tace.lab.ring_shape import missing_for_one_ring
from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.namespaces import GroupedNodes, Namespaces
from tests.smoke.stage.people import Recipient, Sender
from tests.smoke.stage.waiting import until

GROUPS = 3
NODES_A_GROUP = 2
SETTINGS: dict[str, object] = {
    "limits.requests_stamp_bits": 8,
    "gateway.web": False,
    # What is left of the ring counts as the ring soon, so that it acknowledges by itself.
    "ring.repair_after_seconds": 1.0,
    "ring.forget_after_seconds": 2.0,
    "ring.reconcile_seconds": 1.0,
}
LETTERS = 3
APART_WITHIN_SECONDS = 40.0
STORED_WITHIN_SECONDS = 20.0
TOGETHER_WITHIN_SECONDS = 60.0
DELIVERED_WITHIN_SECONDS = 30.0


class Remains(SmokeCase):
    """What is left on the machine."""

    def left(self, spaces: Namespaces) -> list[str]:
        lines = [*_lines("ip", "netns", "list"), *_lines("ip", "-br", "link")]
        return [line for line in lines if spaces.name in line]

    def test_nothing(self) -> None:
        """Two namespaces, a bridge and four links were there, and are gone."""
        spaces = Namespaces(self, 2)
        self.assertEqual(len(self.left(spaces)), 2 + 1 + 4)
        spaces.remove()
        self.assertEqual(self.left(spaces), [])

    def test_nothing_of_half_of_it(self) -> None:
        """Where the kernel refuses something in the middle the test is skipped; all of it goes."""
        made: list[Namespaces] = []

        class Refused(Namespaces):
            def test_address(self, group: int) -> str:
                made[:] = [self]
                return super().test_address(group) if group == 0 else "no address"

        self.assertRaises(SkipTest, Refused, self, 2)
        self.assertEqual(len(self.left(made[0])), 2 + 1 + 4)
        made[0].remove()
        self.assertEqual(self.left(made[0]), [])


class Partition(SmokeCase):
    """Three groups of two nodes."""

    timeout = 300

    async def test_what_each_part_acknowledged_is_there(self) -> None:
        """Cut off from the others each part goes on; afterwards it is one ring with all letters."""
        spaces = Namespaces(self, GROUPS)
        nodes = GroupedNodes(self, spaces, GROUPS * NODES_A_GROUP, SETTINGS)
        await nodes.start()
        for group in range(GROUPS):
            spaces.cut(group)
        cut = reactor.seconds()
        for group in range(GROUPS):
            await self._is_alone(nodes, group)
        print(f"\n  {GROUPS} parts know of it after {reactor.seconds() - cut:.1f} s")

        # One mailbox for all: each part has letters for it that the others know nothing of.
        box = Box("partition")
        numbers: dict[int, None] = {}
        for group in range(GROUPS):
            for number in range(10 * group, 10 * group + LETTERS):
                await self._store(nodes, group, box, number)
                numbers[number] = None

        for group in range(GROUPS):
            spaces.restore(group)
        healed = reactor.seconds()
        await until("one ring", lambda: self._is_one_ring(nodes), TOGETHER_WITHIN_SECONDS)
        print(f"  links back: one ring after {reactor.seconds() - healed:.1f} s")

        recipient = await Recipient.at(self, nodes.address(0), box)
        for number in numbers:
            await recipient.gets(number).addTimeout(DELIVERED_WITHIN_SECONDS, reactor)
        print(f"  all {len(numbers)} letters after {reactor.seconds() - healed:.1f} s")
        self.assertEqual(set(recipient.arrived), set(numbers))

    async def _is_alone(self, nodes: GroupedNodes, group: int) -> None:
        """Until its nodes count nobody else."""

        async def look() -> bool:
            statuses = await nodes.statuses(nodes.members(group))
            return [status.members for status in statuses] == [NODES_A_GROUP] * NODES_A_GROUP

        await until(f"part {group} knows that it is alone", look, APART_WITHIN_SECONDS)

    async def _store(self, nodes: GroupedNodes, group: int, box: Box, number: int) -> None:
        """As an outbox does: again and again until that part says that it is stored."""
        sender = await Sender.at(self, nodes.address(nodes.members(group)[0]))
        letter = box.envelope(number, reactor.seconds())

        async def look() -> bool:
            return (await sender.send_one(letter)).state == "stored"

        await until(f"letter {number} is stored", look, STORED_WITHIN_SECONDS)

    async def _is_one_ring(self, nodes: GroupedNodes) -> bool:
        statuses = await nodes.statuses(range(len(nodes)))
        return len(statuses) == len(nodes) and not missing_for_one_ring(statuses)


def _lines(*command: str) -> list[str]:
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return ended.stdout.splitlines()
