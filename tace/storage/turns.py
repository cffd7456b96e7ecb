"""A thread that does in turns what the reactor asks of it: all that waits, up to a bound, at once.

The disk makes the turns: while one is being written, what arrives gathers for the next one. So a
lone request is served at once, and under load hundreds share one commit, without any timer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread, main_thread
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from tace.errors import StoreError

R = TypeVar("R")
LOOK_ROUND_SECONDS = 1.0
"""So often an idle thread looks round, also whether the program has ended without a word to it."""


@dataclass(frozen=True, slots=True)
class _Asked(Generic[R]):
    request: R
    weight: int
    answer: Deferred[Any]


class Turns(Generic[R]):
    """One thread and the bounded queue before it.

    Public methods are called from the reactor's thread, the three callables run in this one.

    :param take_turn: answers the requests of one turn, in their order; a :class:`StoreError` in
        place of an answer fails that request. What it raises fails the whole turn.
    :param afterwards: runs when the answers of a turn are on their way; told whether nothing waits.
    :param look_round: runs when nothing was asked for ``look_round_seconds``.
    :param finish: runs at the end, after the last turn.
    :param most_waiting: weight of all requests that are not answered yet; beyond it they fail.
    :param most_a_turn: a turn takes requests until it weighs this much.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        reactor: IReactorFromThreads,
        take_turn: Callable[[list[R]], Sequence[object]],
        *,
        afterwards: Callable[[bool], None],
        finish: Callable[[], None],
        most_waiting: int,
        most_a_turn: int,
        look_round: Callable[[], None] = lambda: None,
        look_round_seconds: float = LOOK_ROUND_SECONDS,
    ) -> None:
        self._name = name
        self._reactor = reactor
        self._take_turn = take_turn
        self._afterwards = afterwards
        self._finish = finish
        self._look_round = look_round
        self._look_round_seconds = look_round_seconds
        self._reported = ""
        self._most_waiting = most_waiting
        self._most_a_turn = most_a_turn
        self._queue: SimpleQueue[_Asked[R] | None] = SimpleQueue()
        self._waiting = 0
        self._stopping: Deferred[None] | None = None
        self._refusal = ""
        self._thread = Thread(target=self._run, name=name, daemon=False)
        self._thread.start()

    def ask(self, request: R, weight: int = 1) -> Deferred[Any]:
        """The answer to ``request``.

        :raises StoreError: it failed, too much is waiting already, or the thread is stopping.
        """
        if self._stopping is not None:
            return fail(StoreError(self._refusal))
        if self._waiting and self._waiting + weight > self._most_waiting:
            return fail(StoreError(f"the {self._name} is too far behind"))
        asked: _Asked[R] = _Asked(request, weight, Deferred())
        self._waiting += weight
        self._queue.put(asked)
        return asked.answer

    def stop(self, refusal: str = "the store is closed") -> Deferred[None]:
        """Serve what was asked, then end; fires when the thread has gone, at once if it has.

        Not called while another stop is under way.
        :param refusal: what those hear who ask for more.
        """
        if self._stopping is not None:
            return succeed(None)
        self._refusal = refusal
        self._stopping = Deferred()
        self._queue.put(None)
        return self._stopping

    # -- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        more = True
        while more:
            turn, more = self._next_turn()
            if turn:
                self._serve(turn)
                self._guarded(lambda: self._afterwards(self._queue.empty()))
        self._guarded(self._finish)
        self._reactor.callFromThread(self._ended)

    def _next_turn(self) -> tuple[list[_Asked[R]], bool]:
        """What waits (the first is waited for), and whether there may be more after it."""
        turn: list[_Asked[R]] = []
        weight = 0
        asked = self._first()
        while asked is not None:
            turn.append(asked)
            weight += asked.weight
            if weight >= self._most_a_turn:
                return turn, True
            try:
                asked = self._queue.get_nowait()
            except Empty:
                return turn, True
        return turn, False

    def _first(self) -> _Asked[R] | None:
        """What comes next; None at the end, which must come: a finished program waits for us."""
        while True:
            try:
                return self._queue.get(timeout=self._look_round_seconds)
            except Empty:
                if not main_thread().is_alive():
                    return None
                self._guarded(self._look_round)

    def _serve(self, turn: list[_Asked[R]]) -> None:
        answers: Sequence[object]
        try:
            answers = self._take_turn([asked.request for asked in turn])
        except Exception as error:
            self._reactor.callFromThread(self._report, Failure())
            answers = [StoreError(f"{type(error).__name__}: {error}") for _ in turn]
        self._reactor.callFromThread(self._answer, turn, answers)

    def _guarded(self, step: Callable[[], None]) -> None:
        """The thread must outlive everything, or those who wait would wait for ever."""
        try:
            step()
        except Exception:
            self._reactor.callFromThread(self._report, Failure())

    # -- in the reactor's thread -----------------------------------------------------------------

    def _answer(self, turn: list[_Asked[R]], answers: Sequence[object]) -> None:
        for asked, answer in zip(turn, answers, strict=True):
            self._waiting -= asked.weight
            if isinstance(answer, StoreError):
                if str(answer) != self._reported:
                    # Once: a disk that fails does so with every turn, and the log lies on it too.
                    self._reported = str(answer)
                    self._log.error("{thread}: {error}", thread=self._name, error=self._reported)
                asked.answer.errback(answer)
            else:
                self._reported = ""
                asked.answer.callback(answer)

    def _report(self, failure: Failure) -> None:
        self._log.failure("{thread} failed", failure, thread=self._name)

    def _ended(self) -> None:
        self._thread.join()
        assert self._stopping is not None
        self._stopping.callback(None)
