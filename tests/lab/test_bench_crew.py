"""Load generators that are none: what the bench hears of them, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import StartError
from tace.lab.bench.crew import Crew
from tace.lab.bench.orders import (
    Answer,
    ConnectIdle,
    Done,
    Failed,
    Go,
    Progress,
    decode_order,
    encode,
)
from tests.lab.fakes import FakeProcess


class FakeWorker(FakeProcess):
    """Notes the orders it gets."""

    def __init__(self, protocol: ProcessProtocol, arguments: Sequence[str], env: Any, pid: int):
        super().__init__(protocol, arguments, env, pid)
        self.orders: list[object] = []

    def write(self, data: bytes) -> None:
        self.orders += [decode_order(line) for line in data.splitlines()]

    def say(self, *answers: Answer) -> None:
        self.protocol.childDataReceived(1, b"".join(encode(a) + b"\n" for a in answers))


class FakeReactor:
    """Starts no process."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []

    def spawnProcess(
        self, protocol: ProcessProtocol, executable: str, args: Sequence[str], env: Any
    ) -> FakeWorker:
        worker = FakeWorker(protocol, args, env, 100 + len(self.workers))
        self.workers.append(worker)
        protocol.makeConnection(worker)
        return worker


class CrewTests(SynchronousTestCase):
    """Two generators."""

    def setUp(self) -> None:
        self.progress: list[int] = []
        self.crew = Crew(2, self.progress.append)
        reactor = FakeReactor()
        self.crew.start(reactor, {"A": "b"})
        self.one, self.other = reactor.workers

    def order(self) -> Deferred[list[Answer]]:
        return Deferred.fromCoroutine(self.crew.orders([Go(1.0), Go(2.0)]))

    def test_orders(self) -> None:
        """Each gets its own; the answers come in that order, when all are there."""
        answers = self.order()
        self.assertEqual((self.one.orders, self.other.orders), ([Go(1.0)], [Go(2.0)]))
        self.other.say(Done())
        self.assertNoResult(answers)
        self.one.say(Done())
        self.assertEqual(self.successResultOf(answers), [Done(), Done()])
        again = Deferred.fromCoroutine(self.crew.orders([ConnectIdle({"u": 1})] * 2))
        self.assertEqual(self.one.orders[1:], [ConnectIdle({"u": 1})])
        self.one.say(Done())
        self.other.say(Done())
        self.successResultOf(again)

    def test_lines_in_pieces(self) -> None:
        """However the bytes arrive."""
        answers = self.order()
        self.other.say(Done())
        for byte in encode(Done()) + b"\n":
            self.assertNoResult(answers)
            self.one.protocol.childDataReceived(1, bytes([byte]))
        self.successResultOf(answers)

    def test_progress(self) -> None:
        """The sum, from nothing with each order."""
        self.order()
        self.one.say(Progress(3))
        self.other.say(Progress(4))
        self.one.say(Progress(5), Done())
        self.other.say(Done())
        self.assertEqual(self.progress, [3, 7, 9])
        self.order()
        self.other.say(Progress(1))
        self.assertEqual(self.progress[-1], 1)

    def test_failed(self) -> None:
        """One that cannot do it ends the waiting for all."""
        answers = self.order()
        self.other.say(Failed("no room"))
        self.assertEqual(
            self.failureResultOf(answers, StartError).getErrorMessage(), "load generator: no room"
        )

    def test_garbage(self) -> None:
        """What is no answer is one, too: a bad one."""
        answers = self.order()
        self.one.protocol.childDataReceived(1, b"Traceback\n")
        self.failureResultOf(answers, StartError)

    def test_died(self) -> None:
        """Its last words are the reason; so for whatever is asked of it later."""
        answers = self.order()
        self.one.protocol.childDataReceived(2, b"Traceback ...\nMemoryError\n")
        self.one.end(signal=9)
        self.other.say(Done())
        for each in (answers, self.order()):
            self.assertEqual(
                self.failureResultOf(each, StartError).getErrorMessage(),
                "a load generator (pid 100) ended: MemoryError",
            )

    def test_end(self) -> None:
        """All are killed; those that are gone already are none that one waits for."""
        self.one.end(signal=9)
        ended = self.crew.end()
        self.successResultOf(ended)
        self.assertEqual((self.one.signals, self.other.signals), ([], ["KILL"]))
