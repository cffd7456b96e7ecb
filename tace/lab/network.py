"""A network of nodes on this machine, each a ``twistd`` process of its own.

A node that dies is reported and stays dead until :meth:`LocalNetwork.start_again`, or until
somebody starts it by hand (``twistd -n --pidfile= tace --config DIR/node-2/node.toml``).
"""

from __future__ import annotations

import fcntl
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import deferLater

from tace.client.address import NodeAddress
from tace.client.connection import Connection
from tace.errors import Failure, Refusal, StartError
from tace.lab.inquiry import Inquiry
from tace.lab.layout import NodePlan, ensure_free, write_atomically
from tace.lab.process import NodeProcess
from tace.lab.ring_shape import missing_for_one_ring
from tace.wire.client import StatusInfo

LAUNCH_AT_ONCE = 4
"""Starting costs a node a second of CPU; a hundred at once would make each slow."""
ASK_EVERY_SECONDS = 0.1
ANSWER_SECONDS = 60.0
"""From a node's launch to its first answer."""
FORM_SECONDS = 240.0
"""From the last node's first answer to one ring."""
STOP_SECONDS = 12.0
"""A node ends within 10 seconds of SIGTERM; after this it is killed."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def progress(self, answering: int, text: str) -> None:
        """So many nodes answer; ``text`` says what happens now."""

    def died(self, node: NodeProcess) -> None:
        """A node's process has ended, and nobody had asked it to."""


class LocalNetwork:
    """
    :param plans: from :func:`tace.lab.layout.lay_out`; their directories lie in ``base_dir``.
    :param dial: how a node is reached as a client.
    :param environ: what the nodes' processes inherit.
    :param farewell: the signal they get when this process ends without having ended them.
    """

    def __init__(
        self,
        reactor: Any,
        base_dir: Path,
        plans: Sequence[NodePlan],
        *,
        dial: Callable[[NodeAddress], Deferred[Connection]],
        watcher: Watcher,
        environ: Mapping[str, str],
        farewell: int = signal.SIGTERM,
    ) -> None:
        self.processes = [NodeProcess(plan, farewell) for plan in plans]
        self._farewell = farewell
        self.description = base_dir / "network.json"
        self._reactor = reactor
        self._plans = list(plans)
        self._inquiries = [Inquiry(NodeAddress.parse(plan.url), dial) for plan in plans]
        self._watcher = watcher
        self._environ = environ
        self._lock: IO[str] | None = None
        self._answering = 0
        self._told_to_end: set[NodeProcess] = set()
        self._statuses: list[StatusInfo] = []
        self._paused: set[int] = set()
        self.stopping = False

    async def start(self) -> None:
        """Launches the nodes; returns when they form one ring and ``network.json`` says so.

        :raises StartError: one line. What has been launched is still there: call :meth:`stop`.
        """
        self._lock = _locked(self.description.parent)
        self.description.unlink(missing_ok=True)
        ensure_free(self._plans)
        # The first one stands before the others look for it.
        await self._launch(0)
        at_once = DeferredSemaphore(LAUNCH_AT_ONCE)
        others = [
            at_once.run(lambda index: Deferred.fromCoroutine(self._launch(index)), index)
            for index in range(1, len(self.processes))
        ]
        try:
            await gatherResults(others, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        self._statuses = await self._one_ring()
        self._describe(self._statuses)
        for inquiry in self._inquiries:
            inquiry.close()
        for process in self.processes:
            process.when_ended().addCallback(self._ended, process)

    async def end_one(self, index: int, signal: str = "TERM") -> str:
        """Ends one node on purpose; how it ended, in words. Nobody is told that it died.

        :param signal: ``TERM`` for good order, ``KILL`` for a crash. A node that does not end in
            time is killed.
        """
        process = self.processes[index]
        self._told_to_end.add(process)
        process.signal(signal)
        await self._ends_in_time(process)
        process.signal("KILL")
        end: str = await process.when_ended()
        self._answering -= 1
        return end

    def pause(self, index: int) -> None:
        """Stops a node in its tracks, with all its connections open, until :meth:`resume`."""
        self._paused.add(index)
        self.processes[index].signal("STOP")

    def resume(self, index: int) -> None:
        """It goes on where it was."""
        self._paused.discard(index)
        self.processes[index].signal("CONT")

    async def statuses(self) -> list[StatusInfo]:
        """What each node says of itself, in their order.

        :raises Failure: one is not reached, or does not answer.
        :raises Refusal: one does not want to.
        """
        return [await inquiry.status() for inquiry in self._inquiries]

    async def start_again(self, index: int) -> None:
        """Starts a node that has ended, with what it has on disk; returns when it answers a client.

        :raises StartError: it does not, or it still runs.
        """
        before = self.processes[index]
        if not before.end:
            raise StartError(f"node {index} runs")
        self._told_to_end.discard(before)
        process = self.processes[index] = NodeProcess(before.plan, self._farewell)
        status = await self._launch(index)
        self._inquiries[index].close()
        # On an empty disk it is another node than before.
        self._statuses[index] = status
        self._describe(self._statuses)
        process.when_ended().addCallback(self._ended, process)

    async def stop(self) -> list[NodeProcess]:
        """Ends all nodes in good order; returns those that had to be killed."""
        self.stopping = True
        self.description.unlink(missing_ok=True)
        for inquiry in self._inquiries:
            inquiry.close()
        started = [process for process in self.processes if process.pid]
        for process in started:
            process.signal("TERM")
        for index in list(self._paused):
            # Until it goes on it cannot end.
            self.resume(index)
        await gatherResults([self._ends_in_time(process) for process in started])
        stubborn = [process for process in started if not process.end]
        for process in stubborn:
            process.signal("KILL")
        await gatherResults([process.when_ended() for process in stubborn])
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        return stubborn

    def _ends_in_time(self, process: NodeProcess) -> Deferred[str | None]:
        ended: Deferred[str | None] = process.when_ended().addTimeout(STOP_SECONDS, self._reactor)
        return ended.addErrback(lambda failure: failure.trap(DeferredTimeout) and None)

    async def _launch(self, index: int) -> StatusInfo:
        """Starts a node; returns its first answer to a client."""
        if self.stopping:
            raise StartError("stopped")
        process = self.processes[index]
        self._watcher.progress(self._answering, f"starting node {index}")
        process.start(self._reactor, self._environ)
        deadline = self._reactor.seconds() + ANSWER_SECONDS
        while True:
            try:
                status = await self._inquiries[index].status()
            except (Failure, Refusal, ConnectingCancelledError) as error:
                if self._reactor.seconds() > deadline:
                    raise StartError(f"node {index} does not answer: {error}") from None
            else:
                break
            await self._pause()
            self._ensure_alive(process)
        self._answering += 1
        self._watcher.progress(self._answering, f"node {index} answers")
        return status

    async def _one_ring(self) -> list[StatusInfo]:
        deadline = self._reactor.seconds() + FORM_SECONDS
        said = ""
        while True:
            for process in self.processes:
                self._ensure_alive(process)
            try:
                statuses = await self.statuses()
                missing = missing_for_one_ring(statuses)
            except (Failure, Refusal) as error:
                missing = str(error)
            if not missing:
                return statuses
            if missing != said:
                said = missing
                self._watcher.progress(self._answering, f"forming the ring: {missing}")
            if self._reactor.seconds() > deadline:
                raise StartError(f"no ring after {FORM_SECONDS:.0f} s: {missing}")
            await self._pause()

    def _ensure_alive(self, process: NodeProcess) -> None:
        if process.end:
            reason = process.last_line or f"see {process.plan.directory / 'node.log'}"
            raise StartError(f"node {process.plan.index} ended ({process.end}): {reason}")

    def _pause(self) -> Deferred[None]:
        return deferLater(self._reactor, ASK_EVERY_SECONDS, lambda: None)

    def _describe(self, statuses: Sequence[StatusInfo]) -> None:
        nodes = [
            {
                "url": process.plan.url,
                "pid": process.pid,
                "peer_port": process.plan.peer_port,
                "data_dir": str(process.plan.directory),
                "node_id": status.node_id.hex(),
            }
            for process, status in zip(self.processes, statuses, strict=True)
        ]
        write_atomically(self.description, json.dumps({"nodes": nodes}, indent=2) + "\n")

    def _ended(self, _: str, process: NodeProcess) -> None:
        if not self.stopping and process not in self._told_to_end:
            self._watcher.died(process)


def _locked(base_dir: Path) -> IO[str]:
    """Held as long as the file is open, so that two networks never share a directory."""
    path = base_dir / "network.lock"
    try:
        file = path.open("w")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StartError(f"another network runs in {base_dir}") from None
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}") from None
    return file
