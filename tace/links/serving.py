"""Answering what the other side of one link asks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tace.errors import DrainingNow, InternalError, Refusal, UnknownMessage
from tace.ids import NodeId
from tace.seams import Counters, Procedure
from tace.wire.message import Message, Request
from tace.wire.peer import Ping, Pong


@dataclass(frozen=True, slots=True)
class Replies:
    """How an answer gets back; both do nothing once the link is over."""

    answer: Callable[[int, Message], None]
    refuse: Callable[[int, Refusal], None]
    heard: Callable[[], None]
    """A one-way message has been dealt with."""
    ill_heard: Callable[[Refusal], None]
    """It was refused: nobody waits for the answer, but the link may want to know."""


class Serving:
    """Runs procedures, many at a time, and turns what they raise into refusals.

    A procedure that still runs when its link goes away runs on; nobody gets its answer.

    :param max_one_way: one-way messages beyond so many at work are dropped. (Requests are bounded
        by the session.)
    """

    _log = Logger()

    def __init__(
        self,
        procedures: Mapping[type[Message], Procedure],
        counters: Counters,
        replies: Replies,
        max_one_way: int,
    ) -> None:
        self._procedures = procedures
        self._counters = counters
        self._replies = replies
        self._max_one_way = max_one_way
        self._draining = False
        self.one_way_running = 0

    def drain(self) -> None:
        """Refuse new requests from now on, but for pings."""
        self._draining = True

    def request(self, node: NodeId, request_id: int, request: Message) -> None:
        """Have a request answered, sooner or later."""
        if type(request) is Ping:
            self._replies.answer(request_id, Pong())
            return
        if self._draining:
            self._replies.refuse(request_id, DrainingNow())
            return
        procedure = self._procedures.get(type(request))
        if procedure is None:
            self._replies.refuse(request_id, UnknownMessage("nobody answers that here"))
            return
        _run(self._answer(procedure, node, request_id, request))

    def one_way(self, node: NodeId, message: Message) -> None:
        """Pass a one-way message on, where anyone wants it."""
        procedure = self._procedures.get(type(message))
        if procedure is None:
            return
        if self.one_way_running >= self._max_one_way:
            self._counters.count("link_one_way_dropped")
            return
        self.one_way_running += 1
        _run(self._hear(procedure, node, message))

    async def _answer(
        self, procedure: Procedure, node: NodeId, request_id: int, request: Message
    ) -> None:
        try:
            answer = await procedure(node, request)
            if not isinstance(request, Request) or type(answer) is not request.ANSWER:
                raise TypeError(f"{type(request).__name__} answered with {type(answer).__name__}")
        except Refusal as refusal:
            self._replies.refuse(request_id, refusal)
        except Exception:
            self._failed(request)
            self._replies.refuse(request_id, InternalError())
        else:
            self._replies.answer(request_id, answer)

    async def _hear(self, procedure: Procedure, node: NodeId, message: Message) -> None:
        try:
            await procedure(node, message)
        except Refusal as refusal:
            self._counters.count("link_one_way_refused")
            self._replies.ill_heard(refusal)
        except Exception:
            self._failed(message)
        finally:
            self.one_way_running -= 1
            self._replies.heard()

    def _failed(self, message: Message) -> None:
        name = type(message).__name__
        self._counters.count("link_procedures_failed", message=name)
        self._log.failure("answering {message} failed", message=name)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Start a coroutine that raises nothing; with a Deferred only if it has to wait.

    Many procedures answer from memory. A Deferred for each of them costs 2 us, a third of what a
    small request costs here, so the first step is taken without one.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return
    Deferred.fromCoroutine(_rest(work, awaited))


def _rest(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """What awaiting ``work`` does after its first step (as PEP 380 spells out ``yield from``)."""
    step: Callable[[Any], Any]
    value: Any
    while True:
        try:
            value = yield awaited
        except GeneratorExit:
            # Nobody waits any more: whoever collected this may have closed `work` first.
            work.close()
            raise
        except BaseException as error:
            step, value = work.throw, error
        else:
            step = work.send
        try:
            awaited = step(value)
        except StopIteration:
            return
