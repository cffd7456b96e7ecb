"""Real nodes on disks that fill, refuse, fail, or have spoilt what was written."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from random import Random

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest

from tests.letters import Box
from tests.processes import Program, environment
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.databases import copies
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Recipient, Sender
from tests.smoke.stage.waiting import until
from tests.smoke.test_durable import ensure_strace
from tests.storage.disks import MIB, SmallDisk

PAGE_BYTES = 4096
LETTERS = 120
SOON_SECONDS = 20.0


class Disks(SmokeCase):
    """What people see of it is a word; what the operator sees, a line."""

    async def becomes(self, nodes: Nodes, *states: str) -> None:
        """Wait until node 0 says of itself that it is so."""

        async def look() -> bool:
            status = await nodes.status(0)
            return status is not None and status.state in states

        await until(f"node 0 is {states}", look, SOON_SECONDS)

    async def test_a_full_disk(self) -> None:
        """Sends are refused with ``full``; the node answers, delivers, takes acks, and then takes
        messages again.
        """
        disk = SmallDisk(self, 16 * MIB)
        nodes = Nodes(
            self,
            1,
            {"node.data_dir": str(disk.path / "node"), "storage.min_free_bytes": 4 * MIB},
        )
        await nodes.start()
        sender = await Sender.at(self, nodes.address(0))
        box = Box()
        stored: list[int] = []
        words: Counter[str] = Counter()
        number = 0
        while "full" not in words and number < 4000:
            letters = [box.envelope(number + n, reactor.seconds()) for n in range(16)]
            for n, result in enumerate(await sender.send(*letters)):
                words[result.state] += 1
                if result.state == "stored":
                    stored.append(number + n)
            number += 16
        self.assertLessEqual(set(words), {"stored", "full"})
        self.assertGreater(len(stored), 500)
        await self.becomes(nodes, "full")
        self.assertGreaterEqual(disk.free_bytes, 4 * MIB)
        recipient = await Recipient.at(self, nodes.address(0), box)

        async def all_arrived() -> bool:
            return len(recipient.arrived) >= len(stored)

        await until("everything stored arrives", all_arrived, SOON_SECONDS)
        self.assertEqual(set(stored), set(recipient.arrived))
        await self.becomes(nodes, "alone")
        result = await sender.send_one(box.envelope(90_000, reactor.seconds()))
        self.assertEqual(result.state, "stored")
        said = nodes.running[0].printed
        self.assertEqual(said.count("the store is full"), 1, said[-2000:])
        self.assertEqual(said.count("the store takes messages again"), 1)
        self.assertNotIn("Traceback", said)

    async def test_a_disk_that_refuses(self) -> None:
        """Every write of a running node fails, as on a disk that was made read-only: ``not-stored``
        or ``full``; reads go on; when it works again the node finds out by itself.
        """
        await self._refuses("pwrite64", "EROFS")

    async def test_a_disk_that_cannot_sync(self) -> None:
        """Nothing is called stored then."""
        await self._refuses("fdatasync,fsync", "EIO")

    async def _refuses(self, calls: str, error: str) -> None:
        ensure_strace()
        nodes = Nodes(self, 1)
        await nodes.start()
        sender = await Sender.at(self, nodes.address(0))
        box = Box()
        first = await sender.send_one(box.envelope(1, reactor.seconds()))
        self.assertEqual(first.state, "stored")
        tracer = await self._injecting(nodes, calls, error)
        for number in range(2, 12):
            result = await sender.send_one(box.envelope(number, reactor.seconds()))
            self.assertIn(result.state, ("not-stored", "full"))
        await self.becomes(nodes, "full")
        # What is there is read.
        recipient = await Recipient.at(self, nodes.address(0), box, acks=False)
        self.assertTrue(await recipient.complete.addTimeout(SOON_SECONDS, reactor))
        self.assertIn(1, recipient.arrived)
        tracer.signal("INT")
        await tracer.ended
        await self.becomes(nodes, "alone")
        result = await sender.send_one(box.envelope(50, reactor.seconds()))
        self.assertEqual(result.state, "stored")
        said = nodes.running[0].printed
        self.assertEqual(said.count("the disk fails"), 1, said[-2000:])
        self.assertNotIn("Traceback", said)
        await nodes.end(0, "KILL")
        held = copies([nodes.database(0)])
        for number in (1, 50):
            letter = box.envelope(number, reactor.seconds())
            self.assertIn((letter.mailbox, letter.id), held)

    async def _injecting(self, nodes: Nodes, calls: str, error: str) -> Program:
        """strace, which has these calls fail on the database and its log, until it is stopped."""
        database = nodes.database(0)
        paths = [f"--trace-path={database}{part}" for part in ("", "-wal")]
        command = [
            *["strace", "-f", "-o", "/dev/null", *paths],
            *["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"],
            *["-p", str(nodes.running[0].pid)],
        ]
        tracer = Program(reactor, [shutil.which("strace") or "", *command[1:]], ".", environment())
        self.addCleanup(tracer.end, "INT")
        attached: Deferred[None] = tracer.says("attached")
        try:
            await attached.addTimeout(SOON_SECONDS, reactor)
        except AssertionError as failure:
            raise SkipTest(f"strace cannot attach to a running process here: {failure}") from None
        return tracer

    async def test_a_start_on_a_read_only_disk(self) -> None:
        """It ends, and one line says what to do."""
        disk = SmallDisk(self, 16 * MIB)
        nodes = Nodes(
            self, 1, {"node.data_dir": str(disk.path / "node"), "storage.min_free_bytes": MIB}
        )
        await nodes.start()
        await nodes.end(0)
        disk.remount("ro")
        ended = await nodes.launch(0).ended
        nodes.running.pop(0)
        self.assertNotEqual(ended.status, 0)
        self.assertIn("make it writable", ended.output + ended.errors)
        self.assertNotIn("Traceback", ended.output + ended.errors)
        disk.remount("rw")
        await nodes.start()

    async def test_a_start_on_a_full_disk(self) -> None:
        """At the first start, when not even the key can be written."""
        disk = SmallDisk(self, 1 * MIB)
        disk.fill()
        nodes = Nodes(self, 1, {"node.data_dir": str(disk.path / "node")})
        ended = await nodes.launch(0).ended
        nodes.running.pop(0)
        self.assertNotEqual(ended.status, 0)
        self.assertIn("make room on", ended.output + ended.errors)
        self.assertNotIn("Traceback", ended.output + ended.errors)

    async def test_what_was_damaged_comes_back(self) -> None:
        """Of three nodes one has garbage in the middle of its file. It starts, says so, and has
        everything again from the other two.
        """
        nodes = Nodes(self, 3, {"ring.reconcile_seconds": 1.0})
        await nodes.start()
        sender = await Sender.at(self, nodes.address(1))
        box = Box()
        letters = [box.envelope(number, reactor.seconds()) for number in range(LETTERS)]
        for start in range(0, LETTERS, 12):
            results = await sender.send(*letters[start : start + 12])
            self.assertEqual({result.state for result in results}, {"stored"})
        await nodes.end(0)
        spoilt = spoil(nodes.database(0))
        self.assertGreater(spoilt, 10)
        await nodes.start()

        async def whole() -> bool:
            recipient = await Recipient.at(self, nodes.address(0), box, acks=False)
            return bool(await recipient.complete.addTimeout(SOON_SECONDS, reactor))

        await until("node 0 has compared with the others", whole, SOON_SECONDS)

        async def mended() -> bool:
            said = nodes.running[0].printed
            return "was damaged" in said and "pulled" in said.rpartition("was damaged")[2]

        await until("it is mended and brought up", mended, SOON_SECONDS)

        async def all_there() -> bool:
            status = await nodes.status(0)
            return status is not None and status.items == LETTERS and status.state == "member"

        await until("everything is back", all_there, SOON_SECONDS)
        await nodes.stop()
        self.assertEqual(len(copies([nodes.database(0)])), LETTERS)


def spoil(database: Path) -> int:
    """Garbage in a third of the pages, none of them among the first, where the roots are."""
    random = Random(4)
    pages = database.stat().st_size // PAGE_BYTES
    chosen = random.sample(range(pages // 3, pages), pages // 3)
    with database.open("r+b") as file:
        for page in chosen:
            file.seek(page * PAGE_BYTES)
            file.write(random.randbytes(PAGE_BYTES))
    return len(chosen)
