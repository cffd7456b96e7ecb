"""The load generators of a run, seen from the bench: processes that take orders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, FirstError, fail, gatherResults
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tace.errors import StartError
from tace.lab.bench.orders import Answer, Failed, Order, Progress, decode_answer, encode
from tace.lab.tied import tied

MAX_TAIL_BYTES = 8192
MAX_LINE_BYTES = 8 * 1024 * 1024


class WorkerProcess(ProcessProtocol):
    """One generator. It gets one order at a time and ends when its input is closed."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.pid = 0
        self._progress = progress
        self._lines = bytearray()
        self._tail = bytearray()
        self._answer: Deferred[Answer] | None = None
        self._ended = False
        self._gone: list[Deferred[None]] = []

    def start(self, reactor: Any, environ: Mapping[str, str]) -> None:
        """:raises StartError: no process can be made."""
        command = tied([sys.executable, "-m", "tace.lab.bench.worker"])
        try:
            self.pid = reactor.spawnProcess(self, command[0], command, env=dict(environ)).pid
        except OSError as error:
            raise StartError(f"load generator: {error.strerror or error}") from None

    def order(self, order: Order) -> Deferred[Answer]:
        """Fires with the answer.

        :raises StartError: the generator cannot do it, or has ended.
        """
        if self._ended:
            return fail(self._why())
        assert self._answer is None
        self._answer = Deferred()
        assert self.transport is not None
        self.transport.write(encode(order) + b"\n")
        return self._answer

    def end(self) -> Deferred[None]:
        """Kill it; what it has to say has been said."""
        gone: Deferred[None] = Deferred()
        if self._ended or self.transport is None:
            gone.callback(None)
            return gone
        self._gone.append(gone)
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            # The reactor hears of it in its next turn.
            return gone
        return gone

    # -- ProcessProtocol -------------------------------------------------------------------------

    def outReceived(self, data: bytes) -> None:
        self._lines += data
        *lines, rest = self._lines.split(b"\n")
        self._lines = rest
        if len(rest) > MAX_LINE_BYTES:
            self.end()
        for line in lines:
            self._said(bytes(line))

    def errReceived(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-MAX_TAIL_BYTES]

    def processEnded(self, reason: Failure) -> None:
        self._ended = True
        self._finish(self._why())
        gone, self._gone = self._gone, []
        for each in gone:
            each.callback(None)

    # -- inside ----------------------------------------------------------------------------------

    def _said(self, line: bytes) -> None:
        try:
            answer = decode_answer(line)
        except msgspec.DecodeError as error:
            self._finish(StartError(f"load generator: {error}"))
            return
        match answer:
            case Progress():
                self._progress(answer.done)
            case Failed():
                self._finish(StartError(f"load generator: {answer.reason}"))
            case _:
                self._finish(answer)

    def _finish(self, result: Answer | StartError) -> None:
        waiting, self._answer = self._answer, None
        if waiting is not None:
            waiting.callback(result) if isinstance(result, Answer) else waiting.errback(result)

    def _why(self) -> StartError:
        last = self._tail.decode(errors="replace").strip().rpartition("\n")[2]
        return StartError(f"a load generator (pid {self.pid}) ended: {last or 'it says nothing'}")


class Crew:
    """Several generators that get their orders at the same time.

    :param progress: called with the sum of what they have done of the order under way.
    """

    def __init__(self, size: int, progress: Callable[[int], None]) -> None:
        self._done = [0] * size
        self._progress = progress
        self._workers = [WorkerProcess(self._counter(index)) for index in range(size)]

    def start(self, reactor: Any, environ: Mapping[str, str]) -> None:
        """:raises StartError: no process can be made."""
        for worker in self._workers:
            worker.start(reactor, environ)

    async def orders(self, orders: Sequence[Order]) -> list[Answer]:
        """One for each; their answers, when all have answered.

        :raises StartError: one of them cannot do it.
        """
        self._done = [0] * len(self._workers)
        answers = [worker.order(order) for worker, order in zip(self._workers, orders, strict=True)]
        try:
            return list(await gatherResults(answers, consumeErrors=True))
        except FirstError as error:
            error.subFailure.raiseException()

    def end(self) -> Deferred[Any]:
        """Kill them all; fires when they are gone."""
        return gatherResults([worker.end() for worker in self._workers])

    def _counter(self, index: int) -> Callable[[int], None]:
        def count(done: int) -> None:
            self._done[index] = done
            self._progress(sum(self._done))

        return count
