"""Procedures: at once, later, failing, and what becomes of their answers."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import Quota, Refusal
from tace.links import serving
from tace.links.serving import Replies, Serving
from tace.wire.message import Message
from tace.wire.peer import Done, Notify, Ping, Pong, Unwatch
from tests.links.fakes import Counts

NODE = b"\x01" * 32


class ServingTests(SynchronousTestCase):
    """Without any link."""

    def setUp(self) -> None:
        self.answers: list[tuple[int, Message]] = []
        self.refusals: list[tuple[int, str]] = []
        self.dealt_with = 0
        self.refusals_of_one_way: list[Refusal] = []
        self.waits: list[Deferred[int]] = []
        self.counts = Counts()
        self.serving = Serving(
            {Notify: self.notify, Unwatch: self.unwatch},
            self.counts,
            Replies(self.answer, self.refuse, self.heard, self.refusals_of_one_way.append),
            max_one_way=2,
        )

    def answer(self, request_id: int, message: Message) -> None:
        self.answers.append((request_id, message))

    def refuse(self, request_id: int, refusal: Refusal) -> None:
        self.refusals.append((request_id, refusal.code))

    def heard(self) -> None:
        self.dealt_with += 1

    async def notify(self, node: bytes, message: Notify) -> Message:
        """Waits as often as it is told to; refuses when the sum of what came is odd."""
        total = 0
        for _ in range(message.to_index):
            total += await self.wait()
        if total % 2:
            raise Quota
        return Done()

    async def unwatch(self, node: bytes, message: Unwatch) -> None:
        await self.wait()

    def wait(self) -> Deferred[int]:
        self.waits.append(Deferred())
        return self.waits[-1]

    def test_at_once(self) -> None:
        """Answered before the request returns."""
        self.serving.request(NODE, 1, Notify(0, 0))
        self.serving.request(NODE, 2, Ping())
        self.assertEqual(self.answers, [(1, Done()), (2, Pong())])

    def test_after_several_waits(self) -> None:
        """Values come in where they are awaited, however often."""
        self.serving.request(NODE, 1, Notify(3, 0))
        for value in (1, 2, 3):
            self.assertEqual(self.answers, [])
            self.waits[-1].callback(value)
        self.assertEqual(self.answers, [(1, Done())])

    def test_refused_after_a_wait(self) -> None:
        """What a procedure raises later is a refusal all the same."""
        self.serving.request(NODE, 1, Notify(1, 0))
        self.waits[0].callback(1)
        self.assertEqual((self.answers, self.refusals), ([], [(1, "quota")]))

    def test_what_it_waits_for_fails(self) -> None:
        """The failure is raised in the procedure, not lost."""
        for error in (Quota(), ValueError(), CancelledError()):
            self.serving.request(NODE, 1, Notify(1, 0))
            self.waits[-1].errback(error)
        self.assertEqual(self.refusals, [(1, "quota")] + [(1, "internal-error")] * 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError, CancelledError)), 2)

    def test_draining(self) -> None:
        """Pings are still answered."""
        self.serving.drain()
        self.serving.request(NODE, 1, Notify(0, 0))
        self.serving.request(NODE, 2, Ping())
        self.assertEqual((self.answers, self.refusals), ([(2, Pong())], [(1, "draining")]))

    def test_one_way_messages_are_bounded(self) -> None:
        """Beyond two at work they are dropped, and counted."""
        for _ in range(3):
            self.serving.one_way(NODE, Unwatch(()))
        self.assertEqual(self.serving.one_way_running, 2)
        self.assertEqual(self.counts.sums["link_one_way_dropped",], 1)
        for wait in self.waits:
            wait.callback(0)
        self.assertEqual((self.serving.one_way_running, self.dealt_with), (0, 2))

    def test_collected_while_it_waits(self) -> None:
        """Garbage collection closes a procedure and what runs it in any order."""
        work = self.unwatch(NODE, Unwatch(()))
        rest = serving._rest(work, work.send(None))
        next(rest)
        work.close()
        rest.close()
        self.assertRaises(StopIteration, next, rest)
