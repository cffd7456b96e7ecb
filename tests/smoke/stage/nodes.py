"""Nodes as processes that a test can end and start again, each one by itself."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.trial.unittest import TestCase

from tace.client.address import NodeAddress
from tace.client.websocket import WebSocketDialer
from tace.errors import Failure, Refusal
from tace.lab.inquiry import Inquiry
from tace.lab.layout import NodePlan, lay_out
from tace.lab.process import twistd_command
from tace.lab.ring_shape import missing_for_one_ring
from tace.wire.client import StatusInfo
from tests.processes import Ended, Program, environment
from tests.smoke.stage.waiting import until

ALTERED_NODE = Path(__file__).with_name("altered_node.py")
ANSWERS_WITHIN_SECONDS = 30.0
FORMS_WITHIN_SECONDS = 30.0
ENDS_WITHIN_SECONDS = 10.0
LOWEST_PORT = 10_000
LOWEST_EPHEMERAL_PORT = 32_768


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports that nobody has.

    Below those that the system hands to outgoing connections: one of these could take the port of
    a node that is down for a moment.
    """
    random = SystemRandom()
    for _ in range(100):
        first = random.randrange(LOWEST_PORT, LOWEST_EPHEMERAL_PORT - count)
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError(f"no {count} free ports side by side")


class Nodes:
    """So many nodes of one network; those that still run are killed when the test ends.

    :param settings: by ``section.key``, for all nodes, over the defaults.
    :param alterations: names of :mod:`tests.smoke.stage.altered_node`, for all nodes.
    :param before: what stands before the command line of each node, as ``strace`` does.
    """

    def __init__(
        self,
        test: TestCase,
        count: int,
        settings: dict[str, object] | None = None,
        *,
        alterations: Sequence[str] = (),
        before: Sequence[str] = (),
    ) -> None:
        self.base = Path(test.mktemp()).absolute()
        self.plans = self.lay_out(count, settings or {})
        self.running: dict[int, Program] = {}
        self._test = test
        self._alterations = alterations
        self._before = before

    def lay_out(self, count: int, settings: Mapping[str, object]) -> list[NodePlan]:
        """Writes their settings below ``base``."""
        return lay_out(self.base, count, free_ports(2 * count), settings)

    def before(self, index: int) -> list[str]:
        """What stands before the command line of that node."""
        return [part.replace("{index}", str(index)) for part in self._before]

    def __len__(self) -> int:
        return len(self.plans)

    def address(self, index: int) -> NodeAddress:
        """Where clients dial that node."""
        return NodeAddress.parse(self.plans[index].url)

    def database(self, index: int) -> Path:
        return self.plans[index].directory / "node.db"

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> list[StatusInfo]:
        """All that do not run; returns when they stand in one ring."""
        absent = [index for index in range(len(self)) if index not in self.running]
        # The first one stands before the others look for it.
        await self.start_one(absent[0])
        await gatherResults([Deferred.fromCoroutine(self.start_one(i)) for i in absent[1:]])
        return await self.one_ring()

    async def start_one(self, index: int) -> Program:
        """Returns when it answers clients."""
        program = self.launch(index)
        await self.answers(index)
        return program

    def launch(self, index: int) -> Program:
        twistd = twistd_command()
        if self._alterations:
            twistd = [sys.executable, str(ALTERED_NODE), ",".join(self._alterations)]
        plan = self.plans[index]
        command = [*twistd, "-n", "--pidfile=", "tace", f"--config={plan.config}"]
        program = Program(reactor, [*self.before(index), *command], str(self.base), environment())
        self.running[index] = program
        self._test.addCleanup(program.end)
        return program

    async def end(self, index: int, signal: str = "TERM") -> Ended:
        """Ends a node and waits until its process is gone."""
        program = self.running.pop(index)
        program.signal(signal)
        try:
            ended: Ended = await program.ended.addTimeout(ENDS_WITHIN_SECONDS, reactor)
        except DeferredTimeout:
            said = program.printed[-2000:]
            raise AssertionError(
                f"node {index} runs {ENDS_WITHIN_SECONDS} s after SIG{signal}: ...{said}"
            ) from None
        return ended

    async def stop(self) -> list[Ended]:
        """Ends all that run, in good order."""
        return await gatherResults(
            [Deferred.fromCoroutine(self.end(index)) for index in list(self.running)]
        )

    # -- what they say ---------------------------------------------------------------------------

    async def answers(self, index: int) -> StatusInfo:
        """Its status, as soon as it has one to give."""
        program = self.running[index]

        async def look() -> StatusInfo | None:
            if program.ended.called:
                raise AssertionError(f"node {index} ended: {await program.ended}")
            return await self.status(index)

        status = await until(f"node {index} answers", look, ANSWERS_WITHIN_SECONDS)
        assert status is not None
        return status

    async def status(self, index: int) -> StatusInfo | None:
        """None where it does not answer."""
        inquiry = Inquiry(self.address(index), WebSocketDialer(reactor))
        try:
            return await inquiry.status()
        except (Failure, Refusal):
            return None
        finally:
            inquiry.close()

    async def statuses(self, indices: Iterable[int]) -> list[StatusInfo]:
        return [s for index in indices if (s := await self.status(index)) is not None]

    async def one_ring(self) -> list[StatusInfo]:
        """The statuses of those that run, once they form one ring and know of nobody else alive."""
        count = len(self.running)
        missing = ""

        async def look() -> list[StatusInfo]:
            nonlocal missing
            statuses = await self.statuses(sorted(self.running))
            if len(statuses) < count:
                missing = "not all of them answer"
            elif any(status.members > count for status in statuses):
                missing = "one believes the dead to live"
            else:
                missing = missing_for_one_ring(statuses)
            return [] if missing else statuses

        try:
            return await until("one ring", look, FORMS_WITHIN_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: {missing}") from None


def replica_nodes(statuses: Sequence[StatusInfo], key: bytes, replicas: int) -> list[bytes]:
    """Who should keep ``key``, told from the ring as the nodes describe it.

    The nodes of a test are all on one host, so that no diversity rule changes the plain order.
    """
    ring = sorted((p.id, status.node_id) for status in statuses for p in status.positions)
    after = [node for position, node in ring if position >= key]
    before = [node for position, node in ring if position < key]
    return list(dict.fromkeys([*after, *before]))[:replicas]
