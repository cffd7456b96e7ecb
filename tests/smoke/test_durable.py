"""Nothing is called stored before the disk has it.

``kill -9`` proves nothing about that: what a process wrote survives it, synced or not. So strace
looks on.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Sender
from tests.smoke.stage.trace import TRACED, Exchange, exchanges
from tests.smoke.stage.waiting import until

LETTERS = 20
QUIET = {
    # No other frame stands between an envelope and its answer.
    "links.ping_after_seconds": 60.0,
    "links.lost_after_seconds": 90.0,
    "ring.stabilize_quiet_seconds": 300.0,
    "ring.stabilize_slower": 1000.0,
    "ring.stabilize_stale_share": 1.0,
    "ring.reconcile_seconds": 3600.0,
}

# -D: the process that is started is the node, so that signals reach it.
STRACE = (*["strace", "-D", "-f", "--seccomp-bpf", "-yy", "-s", "0", "-e"], f"trace={TRACED}")


def ensure_strace() -> None:
    """:raises SkipTest: with the reason why nothing can be traced here."""
    if shutil.which("strace") is None:
        raise SkipTest("strace is not installed (apt-get install strace)")
    tried = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        raise SkipTest(f"strace may not trace here: {tried.stderr.strip()[-200:]}")


class Durable(SmokeCase):
    """One letter after the other to nodes under strace."""

    async def test_one_node(self) -> None:
        """Between each envelope that a client sends and its answer the log of commits is synced."""
        (client,) = await self._traced(1)
        self._assert_all_durable(client)

    async def test_two_nodes(self) -> None:
        """At the gateway, and at the replica that gets the envelope over a link."""
        gateway, replica = await self._traced(2)
        self._assert_all_durable(gateway)
        self._assert_all_durable(replica)

    async def test_not_synchronous(self) -> None:
        """With synchronous = "off" the same look finds no envelope that was waited for."""
        (client,) = await self._traced(1, {"storage.synchronous": "off"})
        self.assertEqual([each.durable for each in client], [False] * LETTERS)

    async def test_answer_before_commit(self) -> None:
        """A node that answers first and writes afterwards is found out."""
        (client,) = await self._traced(1, alteration="answer_before_commit")
        self.assertEqual(len(client), LETTERS)
        self.assertIn(False, [each.durable for each in client])

    def _assert_all_durable(self, seen: list[Exchange]) -> None:
        self.assertEqual([each.durable for each in seen], [True] * LETTERS)
        self.assertEqual(len({each.socket for each in seen}), 1)

    async def _traced(
        self, count: int, settings: dict[str, object] | None = None, alteration: str = ""
    ) -> list[list[Exchange]]:
        """What each node's trace shows; the letters come in through node 0."""
        ensure_strace()
        traces = Path(self.mktemp()).absolute()
        traces.mkdir()
        nodes = Nodes(
            self,
            count,
            {**QUIET, **(settings or {})},
            alterations=[alteration] if alteration else [],
            before=[*STRACE, f"--output={traces}/{{index}}"],
        )
        await nodes.start()
        await self._at_rest([traces / str(index) for index in range(count)])
        sender = await Sender.at(self, nodes.address(0))
        box = Box()
        for number in range(LETTERS):
            result = await sender.send_one(box.envelope(number, reactor.seconds()))
            self.assertEqual((result.state, result.copies), ("stored", count))
        await nodes.stop()
        return [exchanges((traces / str(index)).read_text().splitlines()) for index in range(count)]

    async def _at_rest(self, traces: list[Path]) -> None:
        """Until the nodes have said nothing to each other for a second: the ring has come to rest,
        and what stands between an envelope and its answer has to do with these.
        """

        async def look() -> bool:
            sizes = [trace.stat().st_size for trace in traces]
            await deferLater(reactor, 1.0)
            return sizes == [trace.stat().st_size for trace in traces]

        await until("the nodes are at rest", look, 20)


CLIENT = "18<TCP:[127.0.0.1:31088->127.0.0.1:33692]>"
WAL = "8</data/node.db-wal>"
READ = f'10 recvfrom({CLIENT}, ""..., 65536, 0, NULL, NULL) = 3649'
SYNC = f"11 fdatasync({WAL}) = 0"
ANSWER = f'10 sendto({CLIENT}, ""..., 24, 0, NULL, 0) = 24'


class Looking(SynchronousTestCase):
    """The look itself, on lines as strace writes them."""

    def _durable(self, *lines: str) -> list[bool]:
        return [each.durable for each in exchanges(lines)]

    def test_order(self) -> None:
        """Read, sync, answer; and every order in which a promise would be broken."""
        self.assertEqual(self._durable(READ, SYNC, ANSWER), [True])
        self.assertEqual(self._durable(READ, ANSWER, SYNC), [False])
        self.assertEqual(self._durable(SYNC, READ, ANSWER), [False])
        self.assertEqual(self._durable(READ, SYNC, ANSWER, READ, ANSWER, SYNC), [True, False])

    def test_sync_on_two_lines(self) -> None:
        """It must begin after the read, and end before the answer begins."""
        begun, ended = f"11 fdatasync({WAL} <unfinished ...>", "11 <... fdatasync resumed>) = 0"
        self.assertEqual(self._durable(READ, begun, ended, ANSWER), [True])
        self.assertEqual(self._durable(begun, READ, ended, ANSWER), [False])
        self.assertEqual(self._durable(READ, begun, ANSWER, ended), [False])

    def test_sync_of_something_else(self) -> None:
        """Another file, or one that failed, does not count."""
        other = "11 fdatasync(9</data/node.log>) = 0"
        failed = f"11 fdatasync({WAL}) = -1 EIO (Input/output error)"
        self.assertEqual(self._durable(READ, other, ANSWER), [False])
        self.assertEqual(self._durable(READ, failed, ANSWER), [False])

    def test_pieces(self) -> None:
        """An envelope may come in pieces; what is smaller is none."""
        piece = f'10 recvfrom({CLIENT}, ""..., 65536, 0, NULL, NULL) = 2000'
        self.assertEqual(self._durable(piece, piece, SYNC, ANSWER), [True])
        self.assertEqual(self._durable(piece, SYNC, ANSWER), [])
        begun = f"10 recvfrom({CLIENT},  <unfinished ...>"
        resumed = '10 <... recvfrom resumed>""..., 65536, 0, NULL, NULL) = 3649'
        self.assertEqual(self._durable(begun, SYNC, resumed, ANSWER), [False])
