"""What every :class:`~tace.seams.Links` must do, the real ones and the simulator's.

A ``SynchronousTestCase`` inherits :class:`LinksContract` first and says how nodes are made and how
time passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred

from tace.errors import (
    AnotherNode,
    InternalError,
    LinkLost,
    Quota,
    Redirect,
    TimedOut,
    UnknownMessage,
)
from tace.ids import NodeId
from tace.seams import Links, Procedure
from tace.wire.message import Message
from tace.wire.peer import (
    Done,
    GetRecord,
    GetRing,
    Notify,
    Ping,
    Pong,
    RecordAnswer,
    Ring,
    Unwatch,
)
from tests.links.fakes import Heard
from tests.wire.samples import NODE_RECORD

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _Case
else:
    # Not a TestCase itself: trial would run it in every module that imports it.
    _Case = object

Procedures = Mapping[type[Message], Procedure]
NOBODY = b"\x99" * 32


class ContractNode(Protocol):
    """A node as these tests see it."""

    @property
    def links(self) -> Links: ...

    @property
    def node(self) -> NodeId: ...

    @property
    def address(self) -> str:
        """``host:port``, to be introduced to."""

    @property
    def heard(self) -> Heard:
        """Subscribed to the links."""


class Serving:
    """Procedures for the tests, and what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[NodeId, Message]] = []
        self.waiting: list[Deferred[Message]] = []
        self.procedures: Procedures = {
            Notify: self.notify,
            GetRing: self.get_ring,
            GetRecord: self.get_record,
            Unwatch: self.unwatch,
        }

    async def notify(self, node: NodeId, message: Notify) -> Message:
        """Answered at once; numbers over 100 are refused in several ways."""
        self.asked.append((node, message))
        match message.to_index:
            case 101:
                raise Quota("the mailbox is full", 250)
            case 102:
                raise Redirect("nearer nodes", records=(NODE_RECORD,))
            case 103:
                return Pong()
            case 104:
                raise ValueError("something went wrong in here")
        return Done()

    async def get_ring(self, node: NodeId, message: GetRing) -> Message:
        """Answered when the test says so, through ``waiting``."""
        self.asked.append((node, message))
        later: Deferred[Message] = Deferred()
        self.waiting.append(later)
        return await later

    async def get_record(self, node: NodeId, message: GetRecord) -> Message:
        """Answers with what it was asked."""
        return RecordAnswer(message.key)

    async def unwatch(self, node: NodeId, message: Unwatch) -> None:
        self.asked.append((node, message))


class LinksContract(_Case):
    """The contract. Abstract: the first four methods are the implementation's."""

    def make_nodes(self, procedures: Sequence[Procedures]) -> Sequence[ContractNode]:
        """That many nodes, serving that, listening; each can find every other's record."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Let time pass; 0 lets everything happen that can happen now."""
        raise NotImplementedError

    def crash(self, node: ContractNode) -> None:
        """Its links break and nobody answers there any more."""
        raise NotImplementedError

    def freeze(self, node: ContractNode) -> None:
        """Nothing gets in or out any more, and nobody is told."""
        raise NotImplementedError

    # -- helpers

    def pair(self) -> tuple[ContractNode, ContractNode, Serving]:
        """Two nodes; what the second one serves."""
        serving = Serving()
        first, second = self.make_nodes([{}, serving.procedures])
        return first, second, serving

    def result(self, deferred: Deferred[Any]) -> Any:
        self.advance(0)
        return self.successResultOf(deferred)

    def failure(self, deferred: Deferred[Any], kind: type[Exception]) -> Any:
        self.advance(0)
        return self.failureResultOf(deferred, kind).value

    # -- calls

    def test_a_call_is_answered(self) -> None:
        """Dialled, asked, answered; the procedure learns who asks."""
        first, second, serving = self.pair()
        self.assertEqual(self.result(first.links.call(second.node, Notify(1, 2))), Done())
        self.assertEqual(serving.asked, [(first.node, Notify(1, 2))])

    def test_many_at_once(self) -> None:
        """Each answer finds its question."""
        first, second, _ = self.pair()
        keys = [bytes([i]) * 32 for i in range(100)]
        calls = [first.links.call(second.node, GetRecord(key)) for key in keys]
        self.advance(0)
        answers = [self.successResultOf(call) for call in calls]
        self.assertEqual(answers, [RecordAnswer(key) for key in keys])

    def test_answers_out_of_order(self) -> None:
        """A slow procedure holds up nobody."""
        first, second, serving = self.pair()
        slow = first.links.call(second.node, GetRing(1))
        self.assertEqual(self.result(first.links.call(second.node, Notify(1, 2))), Done())
        self.assertNoResult(slow)
        serving.waiting[0].callback(Ring(1, True, b""))
        self.assertEqual(self.result(slow), Ring(1, True, b""))

    def test_ping_needs_no_procedure(self) -> None:
        """Links answer it themselves."""
        first, second, _ = self.pair()
        self.assertEqual(self.result(second.links.call(first.node, Ping())), Pong())

    def test_refusal(self) -> None:
        """A procedure's no arrives as the same exception, with its time."""
        first, second, _ = self.pair()
        refusal = self.failure(first.links.call(second.node, Notify(101, 0)), Quota)
        self.assertEqual((refusal.detail, refusal.retry_after_ms), ("the mailbox is full", 250))

    def test_redirect(self) -> None:
        """With the records that tell where."""
        first, second, _ = self.pair()
        refusal = self.failure(first.links.call(second.node, Notify(102, 0)), Redirect)
        self.assertEqual(refusal.records, (NODE_RECORD,))

    def test_nobody_serves_it(self) -> None:
        """A message the other node has no procedure for."""
        first, second, _ = self.pair()
        self.failure(second.links.call(first.node, Notify(1, 2)), UnknownMessage)

    def test_procedure_fails(self) -> None:
        """An accident stays in the node where it happened, but for the fact."""
        first, second, _ = self.pair()
        error = self.failure(first.links.call(second.node, Notify(104, 0)), InternalError)
        self.assertNotIn("went wrong", error.detail)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_procedure_answers_with_the_wrong_class(self) -> None:
        """That never goes onto the wire."""
        first, second, _ = self.pair()
        self.failure(first.links.call(second.node, Notify(103, 0)), InternalError)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_no_answer_in_time(self) -> None:
        """The caller's own time; the late answer harms nobody."""
        first, second, serving = self.pair()
        call = first.links.call(second.node, GetRing(1), timeout_seconds=0.5)
        self.advance(0.25)
        self.assertNoResult(call)
        self.advance(0.5)
        self.failureResultOf(call, TimedOut)
        serving.waiting[0].callback(Ring(1, True, b""))
        self.assertEqual(self.result(first.links.call(second.node, Notify(1, 2))), Done())

    def test_a_cancelled_call(self) -> None:
        """Nobody waits any more; the link goes on."""
        first, second, serving = self.pair()
        call = first.links.call(second.node, GetRing(1))
        self.advance(0)
        call.cancel()
        self.failureResultOf(call)
        serving.waiting[0].callback(Ring(1, True, b""))
        self.assertEqual(self.result(first.links.call(second.node, Notify(1, 2))), Done())

    def test_unknown_node(self) -> None:
        """No address is known."""
        first, _, _ = self.pair()
        call = first.links.call(NOBODY, Ping())
        self.advance(10)
        self.failureResultOf(call, LinkLost)

    # -- one way

    def test_send(self) -> None:
        """Goes over an open link only."""
        first, second, serving = self.pair()
        self.assertFalse(first.links.send(second.node, Unwatch(())))
        self.result(first.links.call(second.node, Ping()))
        self.assertTrue(first.links.send(second.node, Unwatch((NOBODY,))))
        self.advance(0)
        self.assertEqual(serving.asked, [(first.node, Unwatch((NOBODY,)))])

    # -- links that come and go

    def test_up(self) -> None:
        """Both sides know of a link, and say so once."""
        first, second, _ = self.pair()
        self.assertFalse(first.links.is_up(second.node))
        self.assertEqual(list(first.links.up()), [])
        self.result(first.links.call(second.node, Ping()))
        self.assertTrue(first.links.is_up(second.node))
        self.assertEqual(list(first.links.up()), [second.node])
        self.assertTrue(second.links.is_up(first.node))
        self.assertEqual(first.heard.events, [("up", second.node)])
        self.assertEqual(second.heard.events, [("up", first.node)])

    def test_events_are_not_told_within_a_call(self) -> None:
        """Not even of a node nobody can reach."""
        first, second, _ = self.pair()
        self.crash(second)
        calls = [first.links.call(node, Ping()) for node in (second.node, NOBODY)]
        self.assertEqual(first.heard.events, [])
        self.advance(10)
        for call in calls:
            self.failureResultOf(call, LinkLost)
        self.assertEqual(set(first.heard.names()), {"unreachable"})

    def test_unreachable(self) -> None:
        """Nobody listens: the call fails and it is told."""
        first, second, _ = self.pair()
        self.crash(second)
        call = first.links.call(second.node, Ping())
        self.advance(10)
        self.failureResultOf(call, LinkLost)
        self.assertEqual(first.heard.events, [("unreachable", second.node)])

    def test_link_lost(self) -> None:
        """What is in flight fails, and it is told, once."""
        first, second, _ = self.pair()
        call = first.links.call(second.node, GetRing(1), timeout_seconds=60)
        self.advance(0)
        self.crash(second)
        self.failure(call, LinkLost)
        self.assertFalse(first.links.is_up(second.node))
        self.assertEqual(first.heard.events, [("up", second.node), ("lost", second.node)])

    def test_guarded_and_silent(self) -> None:
        """A guarded node that falls silent is lost within seconds, with no link closed."""
        first, second, _ = self.pair()
        self.result(first.links.call(second.node, Ping()))
        first.links.guard([second.node])
        self.advance(20)
        self.assertTrue(first.links.is_up(second.node))
        self.freeze(second)
        self.advance(5)
        self.assertFalse(first.links.is_up(second.node))
        self.assertEqual(first.heard.names([second.node])[:2], ["up", "lost"])

    def test_unguarded_and_silent(self) -> None:
        """A link nobody guards may be silent for long."""
        first, second, _ = self.pair()
        self.result(first.links.call(second.node, Ping()))
        self.freeze(second)
        self.advance(60)
        self.assertTrue(first.links.is_up(second.node))

    # -- introductions and pins

    def test_introduce(self) -> None:
        """An address, with and without an id."""
        first, second, third = self.make_nodes([{}, {}, {}])
        record = self.result(first.links.introduce(second.address))
        self.assertEqual(record.node_id, second.node)
        self.assertTrue(first.links.is_up(second.node))
        record = self.result(first.links.introduce(f"{third.address}#{third.node.hex()}"))
        self.assertEqual(record.node_id, third.node)

    def test_introduce_to_somebody_else(self) -> None:
        """Another node than the one that was named is no link."""
        first, second, _ = self.make_nodes([{}, {}, {}])
        self.failure(first.links.introduce(f"{second.address}#{NOBODY.hex()}"), AnotherNode)
        self.assertFalse(first.links.is_up(second.node))

    def test_introduce_to_nobody(self) -> None:
        """Nobody there, or no address at all."""
        first, second, _ = self.pair()
        self.crash(second)
        introduced = first.links.introduce(second.address)
        self.advance(10)
        self.failureResultOf(introduced, LinkLost)
        self.failure(first.links.introduce("no address"), LinkLost)

    def test_pinned(self) -> None:
        """A pinned link is dialled without a call, and again when it is lost."""
        first, second, _ = self.pair()
        first.links.pin([second.node])
        self.advance(1)
        self.assertTrue(first.links.is_up(second.node))
        self.crash(second)
        self.advance(1)
        self.assertFalse(first.links.is_up(second.node))
        self.assertIn("unreachable", first.heard.names([second.node]))
